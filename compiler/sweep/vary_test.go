package sweep

import (
	"fmt"
	"slices"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// texts makes values of letters.
func texts(letters string) (out []Value) {
	for _, c := range letters {
		out = append(out, Value{source.NewString(string(c)), string(c)})
	}
	return out
}

// variedSweep is a sweep of three numbers with sets of variants on two more axes.
func variedSweep(t *testing.T, sets []Variants, of func(values []int) int) (*Sweep, int, bool) {
	t.Helper()
	root, err := source.ParseYAML(source.NewFile("s.yaml", []byte("n: [10, 20, 30]")), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, findings := Build(Spec{Matrix: root}, Options{})
	if s == nil {
		t.Fatal(findings)
	}
	n, ok := s.Vary([]Variation{{Name: "p#", Values: texts("abcab")}, {Name: "q#", Values: texts("xyz")}}, sets, of)
	return s, n, ok
}

func listed(s *Sweep) (out []string) {
	at := make([]int, len(s.Axes))
	for i := range s.Len() {
		s.At(i, at)
		line := ""
		for a, v := range at {
			line += s.Axes[a].Value(v).Label
		}
		out = append(out, line)
	}
	return out
}

func TestVary(t *testing.T) {
	product := Variants{From: []int{0, 1}, N: []int{2, 2}}
	rows := Variants{Rows: [][]int{{4, 0}, {2, 2}, {1, 0}}}
	one := Variants{From: []int{3, 0}, N: []int{1, 1}}
	s, n, ok := variedSweep(t, []Variants{product, rows, one}, func(values []int) int { return values[0] })
	want := []string{"10ay", "10az", "10by", "10bz", "20b #2x", "20cz", "20bx", "30a #2x"}
	if got := listed(s); !ok || n != 8 || !slices.Equal(got, want) {
		t.Errorf("%d %v\n got %v\nwant %v", n, ok, got, want)
	}
	s, n, ok = variedSweep(t, []Variants{product}, func([]int) int { return 0 })
	if got := listed(s); !ok || n != 12 || got[0] != "10ay" || got[11] != "30bz" {
		t.Errorf("%d %v %v", n, ok, got)
	}
}

// A coordinate's id is made of the text, wherever it stands among the variants.
func TestVaryKeepsIDs(t *testing.T) {
	id := func(v Variants) string {
		s, _, _ := variedSweep(t, []Variants{v}, func([]int) int { return 0 })
		at := make([]int, len(s.Axes))
		s.At(0, at)
		return s.ID(at)
	}
	a := id(Variants{From: []int{0, 0}, N: []int{2, 1}})
	if b := id(Variants{From: []int{3, 0}, N: []int{2, 3}}); a != b {
		t.Error("the same texts have another id", a, b)
	}
	if b := id(Variants{From: []int{1, 0}, N: []int{2, 3}}); a == b {
		t.Error("other texts have the same id")
	}
}

func TestVaryIsBounded(t *testing.T) {
	s, n, ok := variedSweep(t, []Variants{{From: []int{0, 0}, N: []int{MaxCoordinates, MaxCoordinates}}}, func([]int) int { return 0 })
	if ok || n <= MaxCoordinates || s.Len() != 3 || len(s.Axes) != 1 {
		t.Error(n, ok, s.Len(), fmt.Sprint(len(s.Axes)))
	}
}
