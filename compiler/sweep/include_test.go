package sweep

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// point is a coordinate as GitHub's documents describe it: keys with values.
type point map[string]int

// drawIncludes draws entries that name axes of the matrix (values beyond theirs too) and keys of their own.
func drawIncludes(t *rapid.T, r random) (out []point) {
	for range rapid.IntRange(1, 4).Draw(t, "includes") {
		p := point{}
		for a := range r.sizes {
			if rapid.Bool().Draw(t, "names an axis") {
				p[fmt.Sprintf("a%d", a)] = rapid.IntRange(0, r.sizes[a]).Draw(t, "value")
			}
		}
		for _, key := range []string{"x", "y"} {
			if len(p) == 0 || rapid.Bool().Draw(t, "names its own") {
				p[key] = rapid.IntRange(0, 2).Draw(t, "value")
			}
		}
		out = append(out, p)
	}
	return out
}

// included does with a list of points what GitHub's documents say, word by word: an entry is added to each of the original points of which it
// overwrites no original value; if there are none, it is a point of its own. Values that an earlier entry added may be overwritten.
func included(r random, entries []point) (out []point) {
	for _, name := range r.naive() {
		p := point{}
		for _, pair := range strings.Fields(name) {
			key, value, _ := strings.Cut(pair, "=v")
			n, _ := strconv.Atoi(value)
			p[key] = n
		}
		out = append(out, p)
	}
	original := len(out)
	matrix := make([]point, original)
	for i := range out {
		matrix[i] = maps.Clone(out[i])
	}
	for _, e := range entries {
		added := false
		for i := range original {
			if overwrites(matrix[i], e) {
				continue
			}
			added = true
			maps.Copy(out[i], e)
		}
		if !added {
			out = append(out, e)
		}
	}
	return out
}

func overwrites(original, e point) bool {
	for k, v := range e {
		if have, ok := original[k]; ok && have != v {
			return true
		}
	}
	return false
}

// write prints a point with its keys sorted: one string between a key and its value, another between two pairs.
func (p point) write(is, and string) string {
	var parts []string
	for k, v := range p {
		parts = append(parts, fmt.Sprintf("%s%sv%d", k, is, v))
	}
	slices.Sort(parts)
	return strings.Join(parts, and)
}

func TestIncludeLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawSpec(t)
		entries := drawIncludes(t, r)
		text := r.yaml() + "include:\n"
		for _, e := range entries {
			text += "  - {" + e.write(": ", ", ") + "}\n"
		}
		s, findings := Build(parse(t, text), Options{})
		want := included(r, entries)
		if s == nil {
			t.Fatalf("%s: %v", text, findings)
		}
		got := list(s)
		if len(got) != len(want) {
			t.Fatalf("%s%d coordinates, want %d\n%s", text, len(got), len(want), strings.Join(got, "\n"))
		}
		for i := range want {
			if got[i] != want[i].write("=", " ") {
				t.Fatalf("%scoordinate %d is %s, want %s", text, i, got[i], want[i].write("=", " "))
			}
		}
	})
}
