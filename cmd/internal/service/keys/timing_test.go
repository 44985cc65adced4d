package keys

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// wrongKeys are what an attacker may send who measures how long the answer takes: nothing in common with a good key, all but the last byte of
// it, its id alone, another id. All are as long as a key is.
func wrongKeys(good, id string) map[string]string {
	flip := func(i int) string {
		b := []byte(good)
		b[i] ^= 1
		return string(b)
	}
	at := len(prefix) + len(id) + 1
	return map[string]string{"first byte of the secret": flip(at), "last byte of the secret": flip(len(good) - 1), "all of the secret": good[:at] + strings.Repeat("A", len(good)-at),
		"another id": strings.Replace(good, id, "aaaaaaaaaa", 1)}
}

// TestWrongKeysCostTheSame: wherever a key is wrong, the same is done to find that out. Steps are counted, as allocations; times are too
// noisy to be held against each other in a test, and are shown (-v).
func TestWrongKeysCostTheSame(t *testing.T) {
	r, l, c := ring(t)
	good, row := add(t, l, c, Limits{Scopes: []Scope{Read}})
	if r.Find(t.Context(), good) == nil {
		t.Fatal("the good key is not found")
	}
	want := -1.0
	for name, wrong := range wrongKeys(good, row.ID) {
		if r.Find(t.Context(), wrong) != nil {
			t.Fatalf("%s: found", name)
		}
		allocs := testing.AllocsPerRun(100, func() { r.Find(t.Context(), wrong) })
		if want < 0 {
			want = allocs
		}
		if allocs != want {
			t.Errorf("%s: %v allocations, others %v", name, allocs, want)
		}
		t.Logf("%-26s median %v", name, median(func() { r.Find(t.Context(), wrong) }))
	}
}

// median is the middle one of many times.
func median(do func()) time.Duration {
	times := make([]time.Duration, 2001)
	for i := range times {
		began := time.Now()
		do()
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkWrongKey is what each kind of wrong key costs: the figures must not tell them apart.
func BenchmarkWrongKey(b *testing.B) {
	good, row, err := New("x", Limits{Scopes: []Scope{Read}}, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	k, err := From(row)
	if err != nil {
		b.Fatal(err)
	}
	for name, wrong := range wrongKeys(good, row.ID) {
		known := k
		if name == "another id" {
			known = nil
		}
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				if known.is(wrong) {
					b.Fatal("taken")
				}
			}
		})
	}
}
