package queue

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// turns takes n works and gives their owners.
func turns(f *fair, n int, weights map[string]int) string {
	var b strings.Builder
	for range n {
		t := f.next(func(o string) int { return max(1, weights[o]) }, func(*ticket) bool { return true })
		if t == nil {
			return b.String()
		}
		b.WriteString(t.owner)
	}
	return b.String()
}

func fill(f *fair, owner string, n, priority int) {
	for i := range n {
		f.add(&ticket{id: fmt.Sprint(owner, i), owner: owner, lane: "p", priority: priority})
	}
}

func TestTurnsGoByWeight(t *testing.T) {
	f := newFair()
	fill(f, "a", 100, 0)
	fill(f, "b", 100, 0)
	got := turns(f, 40, map[string]int{"a": 3})
	if a := strings.Count(got, "a"); a != 30 {
		t.Errorf("a with weight 3 had %d of 40 turns: %s", a, got)
	}
}

func TestPriorityGoesFirst(t *testing.T) {
	f := newFair()
	fill(f, "a", 3, 0)
	fill(f, "b", 3, 5)
	if got := turns(f, 6, nil); got != "bbbaaa" {
		t.Error(got)
	}
}

// Somebody who comes late does not get all that the others had meanwhile.
func TestNobodySavesTurnsUp(t *testing.T) {
	f := newFair()
	fill(f, "a", 200, 0)
	turns(f, 100, nil)
	fill(f, "b", 100, 0)
	if got := turns(f, 20, nil); strings.Count(got, "b") > 11 {
		t.Error(got)
	}
}

func TestCancelledAndFullAreSteppedOver(t *testing.T) {
	f := newFair()
	first := &ticket{id: "1", owner: "a", lane: "full"}
	second := &ticket{id: "2", owner: "a", lane: "free", gone: true}
	third := &ticket{id: "3", owner: "a", lane: "free"}
	for _, x := range []*ticket{first, second, third} {
		f.add(x)
	}
	got := f.next(func(string) int { return 1 }, func(x *ticket) bool { return x.lane != "full" })
	if got != third {
		t.Errorf("took %+v", got)
	}
	if n := f.count("full", "", true); n != 1 {
		t.Errorf("%d wait", n)
	}
}

// Every owner that waits all the time gets its share, within one turn per owner.
func TestSharesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFair()
		weights, total := map[string]int{}, 0
		n := rapid.IntRange(2, 6).Draw(t, "owners")
		for i := range n {
			o := string(rune('a' + i))
			weights[o] = rapid.IntRange(1, 5).Draw(t, "weight")
			total += weights[o]
			fill(f, o, 400, 0)
		}
		rounds := 20
		got := turns(f, rounds*total, weights)
		for o, w := range weights {
			if have := strings.Count(got, o); have < rounds*w-n || have > rounds*w+n {
				t.Fatalf("%s with weight %d of %d had %d of %d", o, w, total, have, len(got))
			}
		}
	})
}

// A line whose first has no room does not grow with those who come and go behind it.
func TestWhoLeavesLeavesNothing(t *testing.T) {
	f := newFair()
	first := &ticket{id: "first", owner: "a", lane: "full"}
	f.add(first)
	for i := range 10_000 {
		x := &ticket{id: fmt.Sprint(i), owner: "a", lane: "full", front: i%3 == 0}
		f.add(x)
		f.leave(x)
	}
	if n := len(f.lines[0].waiting); n > 4 || f.count("full", "a", false) != 1 {
		t.Errorf("%d in line, %d wait", n, f.count("full", "a", false))
	}
	if got := f.next(func(string) int { return 1 }, func(*ticket) bool { return true }); got != first {
		t.Errorf("the next is %+v", got)
	}
}

// Whatever comes, leaves and has its turn: nobody is lost, nobody has two turns, and who came to the front goes before the owner's others.
func TestLinesLoseNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFair()
		var waits []*ticket // in the order in which they should go
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				x := &ticket{id: fmt.Sprint(i), owner: "a", lane: "p"}
				f.add(x)
				waits = append(waits, x)
			case 2:
				x := &ticket{id: fmt.Sprint(i), owner: "a", lane: "p", front: true}
				f.add(x)
				waits = append([]*ticket{x}, waits...)
			case 3:
				if n := len(waits); n > 0 {
					at := rapid.IntRange(0, n-1).Draw(t, "who")
					f.leave(waits[at])
					waits = append(waits[:at:at], waits[at+1:]...)
				}
			case 4:
				got := f.next(func(string) int { return 1 }, func(*ticket) bool { return true })
				if len(waits) == 0 && got != nil || len(waits) > 0 && got != waits[0] {
					t.Fatalf("%+v has its turn, %d wait", got, len(waits))
				}
				waits = waits[min(1, len(waits)):]
			}
			if n := f.count("p", "a", false); n != len(waits) {
				t.Fatalf("%d are counted, %d wait", n, len(waits))
			}
		}
	})
}
