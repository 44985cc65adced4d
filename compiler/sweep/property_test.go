package sweep

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawn specifications: axes a0, a1, … with values v0, v1, …, as YAML.
type random struct {
	sizes    []int
	excludes []map[int]int
	zip      int // steps of a zip group of two axes, 0 for none
}

func drawSpec(t *rapid.T) random {
	r := random{sizes: rapid.SliceOfN(rapid.IntRange(1, 5), 1, 4).Draw(t, "sizes"), zip: rapid.IntRange(0, 3).Draw(t, "zip")}
	for range rapid.IntRange(0, 3).Draw(t, "excludes") {
		conditions := map[int]int{}
		for range rapid.IntRange(1, 2).Draw(t, "conditions") {
			a := rapid.IntRange(0, len(r.sizes)-1).Draw(t, "axis")
			conditions[a] = rapid.IntRange(0, r.sizes[a]-1).Draw(t, "value")
		}
		r.excludes = append(r.excludes, conditions)
	}
	return r
}

func (r random) yaml() string {
	var b strings.Builder
	b.WriteString("matrix:\n")
	for a, n := range r.sizes {
		fmt.Fprintf(&b, "  a%d: [%s]\n", a, values(n))
	}
	if r.zip > 0 {
		fmt.Fprintf(&b, "zip: {z0: [%s], z1: [%s]}\n", values(r.zip), values(r.zip))
	}
	for i, e := range r.excludes {
		if i == 0 {
			b.WriteString("exclude:\n")
		}
		b.WriteString("  - {")
		for a := range r.sizes {
			if v, ok := e[a]; ok {
				fmt.Fprintf(&b, "a%d: v%d,", a, v)
			}
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func values(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("v%d", i))
	}
	return strings.Join(out, ", ")
}

// naive makes the product and takes away what an exclude names.
func (r random) naive() []string {
	points := [][]int{nil}
	for _, n := range r.sizes {
		var next [][]int
		for _, p := range points {
			for v := range n {
				next = append(next, append(slices.Clone(p), v))
			}
		}
		points = next
	}
	var out []string
	for _, p := range points {
		if r.taken(p) {
			continue
		}
		for step := range max(r.zip, 1) {
			text := ""
			for a, v := range p {
				text += fmt.Sprintf("a%d=v%d ", a, v)
			}
			if r.zip > 0 {
				text += fmt.Sprintf("z0=v%d z1=v%d", step, step)
			}
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out
}

func (r random) taken(p []int) bool {
	for _, e := range r.excludes {
		all := true
		for a, v := range e {
			all = all && p[a] == v
		}
		if all {
			return true
		}
	}
	return false
}

func TestProductLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawSpec(t)
		want := r.naive()
		s, findings := Build(parse(t, r.yaml()), Options{})
		if s == nil {
			if len(want) > 0 {
				t.Fatalf("%s: %v", r.yaml(), findings)
			}
			return
		}
		if got := list(s); !slices.Equal(got, want) {
			t.Fatalf("%s\ngot  %q\nwant %q", r.yaml(), got, want)
		}
		if seen := ids(s); len(seen) != s.Len() {
			t.Fatalf("%s: %d ids for %d coordinates", r.yaml(), len(seen), s.Len())
		}
	})
}

func ids(s *Sweep) map[string]string {
	out := map[string]string{}
	values := make([]int, len(s.Axes))
	for i, name := range list(s) {
		s.At(i, values)
		out[s.ID(values)] = name
	}
	return out
}

// Adding a value, and reordering the axes, keeps the ids of every coordinate that stays.
func TestIDsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawSpec(t)
		before, _ := Build(parse(t, r.yaml()), Options{})
		grown := r
		grown.sizes = slices.Clone(r.sizes)
		grown.sizes[rapid.IntRange(0, len(r.sizes)-1).Draw(t, "grow")]++
		after, _ := Build(parse(t, grown.yaml()), Options{Seed: 99})
		if before == nil || after == nil {
			return
		}
		kept := ids(after)
		for id, name := range ids(before) {
			if kept[id] != name {
				t.Fatalf("%s became %q", name, kept[id])
			}
		}
	})
}

func TestSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawSpec(t)
		all := r.naive()
		n := rapid.IntRange(1, len(all)+2).Draw(t, "count")
		take := func(n int) []string {
			s, _ := Build(parse(t, r.yaml()+fmt.Sprintf("sample: {count: %d, seed: 3}\n", n)), Options{})
			if s == nil {
				return nil
			}
			return list(s)
		}
		small, large := take(n), take(n+1)
		if len(small) != min(n, len(all)) {
			t.Fatalf("%d of %d for a sample of %d", len(small), len(all), n)
		}
		at := 0
		for _, name := range small {
			if !slices.Contains(large, name) {
				t.Fatalf("a larger sample lost %s", name)
			}
			i := slices.Index(all[at:], name)
			if i < 0 {
				t.Fatalf("%s is not of the sweep, or out of order", name)
			}
			at += i + 1
		}
	})
}

// A sample of 10^18 combinations takes neither long nor much memory, and is different for another seed.
func TestSampleOfHuge(t *testing.T) {
	axis := `{from: 1, count: 1000}`
	text := fmt.Sprintf("matrix: {a: %s, b: %s, c: %s, d: %s, e: %s, f: %s}\nexclude: [{a: 5}]\n", axis, axis, axis, axis, axis, axis)
	one, two := build(t, text+"sample: {count: 500, seed: 1}"), build(t, text+"sample: {count: 500, seed: 2}")
	if one.Len() != 500 || two.Len() != 500 || slices.Equal(list(one), list(two)) {
		t.Errorf("%d and %d, equal: %v", one.Len(), two.Len(), slices.Equal(list(one), list(two)))
	}
	first := map[int]bool{}
	values := make([]int, 6)
	for i := range one.Len() {
		one.At(i, values)
		first[values[0]] = true
	}
	if len(first) < 300 || first[4] {
		t.Errorf("500 points have %d values of the first axis; an excluded one: %v", len(first), first[4])
	}
}

func TestShuffleIsAPermutation(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 5, 16, 17, 100, 1000, 4097} {
		s := newShuffle(n, 42)
		seen := map[uint64]bool{}
		for k := range n {
			seen[s.at(k)] = true
		}
		if uint64(len(seen)) != n {
			t.Errorf("%d of %d numbers", len(seen), n)
		}
	}
}

// A million coordinates keep no memory of their own.
func TestMemoryIsFlat(t *testing.T) {
	text := "matrix: {a: {from: 1, count: 100}, b: {from: 1, count: 100}, c: {from: 1, count: 100}}"
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := build(t, text)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if s.Len() != 1_000_000 {
		t.Fatal(s.Len())
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("a sweep of a million coordinates keeps %d bytes", grown)
	}
	runtime.KeepAlive(s)
}

func BenchmarkAt(b *testing.B) {
	s := build(b, "matrix: {a: {from: 1, count: 100}, b: {from: 1, count: 100}, c: {from: 1, count: 100}}")
	values := make([]int, len(s.Axes))
	for b.Loop() {
		s.At(b.N%s.Len(), values)
		s.ID(values)
	}
}
