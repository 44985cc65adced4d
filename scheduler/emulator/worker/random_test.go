package worker

import (
	"fmt"
	"testing"
)

// TestTwister compares with numpy.random: RandomState(seed).randint and
// permutation.
func TestTwister(t *testing.T) {
	r := newTwister(5489)
	first := r.next()
	for range 9998 {
		r.next()
	}
	if last := r.next(); first != 3499211612 || last != 4123659995 {
		t.Errorf("numbers 1 and 10000 are %d and %d", first, last)
	}
	r = newTwister(42)
	if got, want := fmt.Sprint(r.upTo(100), r.upTo(0), r.upTo(100), r.upTo(1<<31)), "51 0 92 787846414"; got != want {
		t.Errorf("randint: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(newTwister(7).shuffled(8)), "[2 5 0 6 3 1 4 7]"; got != want {
		t.Errorf("permutation: %s, want %s", got, want)
	}
}

// TestNormals compares with torch.manual_seed(seed); torch.randn(n).
func TestNormals(t *testing.T) {
	tests := []struct {
		n    int
		want string
	}{{16, "[-0.0766 0.3599 -0.7820 0.0715 0.6648 -0.2868 1.6206 -1.5967 -0.0517 -0.3060 0.2485 -0.2226 0.9132 0.2043 0.5740 0.4163]"}, {19, "[-0.0766 0.3599 -0.7820 -1.6517 1.0460 0.5222 -0.1668 0.0530 0.4046 0.6113 0.7604 -1.1952 0.9979 0.4592 2.4364 -0.1468 0.4851 0.2052 0.3384]"}}
	for _, tt := range tests {
		pix := make([]float32, tt.n)
		normals(pix, newTwister(3))
		if got := fmt.Sprintf("%.4f", pix); got != tt.want {
			t.Errorf("%d numbers: %s\nwant %s", tt.n, got, tt.want)
		}
	}
}
