package view

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// shapes are large workflows of n nodes that are hard in different ways.
var shapes = []struct {
	name  string
	links func(i, n int, r *rand.Rand) []int
}{
	{"a chain", func(i, _ int, _ *rand.Rand) []int { return before(i - 1) }},
	{"one source for all", func(i, _ int, _ *rand.Rand) []int { return before(min(i, 1) - 1) }},
	{"a chain that one source feeds", func(i, _ int, _ *rand.Rand) []int { return append(before(i-1), before(min(i, 1)-1)...) }},
	{"a sink for all", func(i, n int, _ *rand.Rand) []int {
		if i < n-1 {
			return nil
		}
		all := make([]int, i)
		for k := range all {
			all[k] = k
		}
		return all
	}},
	{"links by chance", func(i, _ int, r *rand.Rand) []int {
		if i == 0 {
			return nil
		}
		return []int{r.IntN(i), r.IntN(i), max(i-1-r.IntN(5), 0)}
	}},
	{"links in all directions", func(_, n int, r *rand.Rand) []int { return []int{r.IntN(n), r.IntN(n)} }},
	{"nothing linked", func(int, int, *rand.Rand) []int { return nil }},
	{"two far ends", func(i, n int, _ *rand.Rand) []int { // a chain, and many long links into its second half
		if i > n/2 {
			return []int{i - 1, i - n/2}
		}
		return before(i - 1)
	}},
}

func before(i int) []int {
	if i < 0 {
		return nil
	}
	return []int{i}
}

func shaped(n int, links func(i, n int, r *rand.Rand) []int) *spec {
	r := rand.New(rand.NewPCG(7, 8))
	s := &spec{}
	for i := range n {
		s.class = append(s.class, classes[i%2*5]) // ImageInvert and KSampler
		s.literal, s.title, s.links = append(s.literal, i%3), append(s.title, ""), append(s.links, links(i, n, r))
	}
	return s
}

// A workflow of 4,000 nodes is drawn and compared, whatever its shape, in bounded time and space, and three changed values are found among them.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("draws 4,000 nodes in many shapes")
	}
	const n = 4_000
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			s := shaped(n, shape.links)
			a := s.plain(t)
			began := time.Now()
			for _, f := range Formats {
				if size := len(f.Write(a)); size > 40<<20 {
					t.Errorf("%s has %d bytes", f.Name, size)
				}
			}
			drawn := time.Since(began)
			for _, k := range []int{5, n / 2, n - 5} {
				s.literal[k] = 99
			}
			began = time.Now()
			c := Diff(a, s.mixed(t, rand.New(rand.NewPCG(9, 10))), DiffOptions{})
			compared := time.Since(began)
			t.Logf("drawn in %v, compared in %v: %d changed, %d removed, %d added", drawn, compared, len(c.Changed), len(c.Removed), len(c.Added))
			if len(c.Changed)+len(c.Removed) != 3 || len(c.Added) != len(c.Removed) {
				t.Error("three changed values are not what is found")
			}
			if drawn+compared > 5*time.Minute {
				t.Error(fmt.Sprint("it takes ", drawn, " to draw and ", compared, " to compare"))
			}
		})
	}
}
