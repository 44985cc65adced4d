package queue

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// table is a queue with one endpoint, and batches that run on it.
func table(places int) *Queue {
	return &Queue{Config: Config{Ring: &keys.Ring{}}, places: map[string]int{"e": places}, load: map[string]float64{}, jobLoad: map[string]float64{}, fair: newFair(),
		live: map[string]*live{}, pools: map[string]*Pool{"p": {Name: "p", Endpoints: []string{"e"}}}, kick: make(chan struct{}, 1)}
}

// sit lets a batch run.
func (q *Queue) sit(id string) *live {
	lv := &live{id: id, owner: id, ends: []string{"e"}}
	q.live[id] = lv
	return lv
}

// eats asks for places, and gives how many the batch may use.
func (q *Queue) eats(t interface{ Fatalf(string, ...any) }, lv *live, inFlight, wants int) int {
	g, err := portion{q, lv}.Trade(context.Background(), scheduler.Want{Parallel: wants, InFlight: inFlight, Endpoints: []scheduler.EndpointWant{
		{Name: "e", Limits: compiler.Limits{InFlight: q.places["e"]}, InFlight: inFlight, Places: max(wants, inFlight), Submits: max(0, wants-inFlight)}}})
	if err != nil || g.Endpoints[0].Places < inFlight {
		t.Fatalf("%+v, %v for %d in flight", g, err, inFlight)
	}
	return g.Endpoints[0].Places
}

func TestALoneBatchHasAllPlaces(t *testing.T) {
	q := table(8)
	a := q.sit("a")
	if n := q.eats(t, a, 0, 100); n != 8 {
		t.Fatalf("alone: %d of 8", n)
	}
	b := q.sit("b")
	if n := q.eats(t, b, 0, 100); n != 0 {
		t.Errorf("all are in flight: the second has %d", n)
	}
	// What the first has in flight stays; as it ends, the second gets its half.
	for _, inFlight := range []int{8, 6, 4} {
		if n := q.eats(t, a, inFlight, 100); n != inFlight {
			t.Errorf("with %d in flight the first may have %d", inFlight, n)
		}
	}
	q.eats(t, a, 4, 100)
	if n := q.eats(t, b, 0, 100); n != 4 {
		t.Errorf("the second has %d, want its half of 8", n)
	}
	if n := q.eats(t, a, 1, 100); n != 4 {
		t.Errorf("the first may have %d, want its half of 8", n)
	}
	// A job that waits: a quarter is left to it.
	q.fair.add(&ticket{id: "j", owner: "c", lane: "p"})
	if n := q.eats(t, a, 1, 100); n != 3 {
		t.Errorf("with a job that waits: %d, want half of 6", n)
	}
	select {
	case <-q.kick:
	default:
		t.Error("a place was given back, and nobody looks for who waits")
	}
	q.fair.leave(q.fair.lines[0].waiting[0])
	// The first has all it wants: the second may take what is left.
	q.eats(t, a, 1, 1)
	if n := q.eats(t, b, 4, 100); n != 7 {
		t.Errorf("beside one that is content: %d, want 7", n)
	}
	q.vacate(a)
	q.vacate(b)
	if q.load["e"] != 0 {
		t.Errorf("at the end %v places are taken", q.load["e"])
	}
}

// One place and several batches: each of them has its turns.
func TestOnePlaceGoesRound(t *testing.T) {
	q := table(1)
	var all []*live
	for i := range 3 {
		all = append(all, q.sit(fmt.Sprint(i)))
	}
	turns := map[string]int{}
	for range 30 {
		for _, lv := range all { // each asks again when its render has ended
			turns[lv.id] += q.eats(t, lv, 0, 100)
		}
	}
	for _, lv := range all {
		if turns[lv.id] < 6 {
			t.Errorf("turns: %v", turns)
		}
	}
}

// Whatever batches come, go, want and hold: no more places are given than there are, none are lost, and nobody who wants one waits for ever.
func TestPlacesAreNeitherMadeNorLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(1, 9).Draw(t, "places")
		q := table(places)
		flying, hungry := map[*live]int{}, map[*live]int{}
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			if len(q.live) == 0 || len(q.live) < 5 && rapid.IntRange(0, 9).Draw(t, "new") == 0 {
				q.sit(fmt.Sprintf("%03d", i))
			}
			for _, lv := range q.live {
				switch rapid.IntRange(0, 9).Draw(t, "what") {
				case 0: // it ends
					q.vacate(lv)
					delete(q.live, lv.id)
					delete(flying, lv)
					delete(hungry, lv)
					continue
				case 1, 2, 3: // some of its renders end
					flying[lv] = rapid.IntRange(0, flying[lv]).Draw(t, "left")
				}
				n := q.eats(t, lv, flying[lv], rapid.IntRange(0, 12).Draw(t, "wants"))
				flying[lv] = rapid.IntRange(min(flying[lv], n), n).Draw(t, "sent")
			}
			sum := 0
			for _, lv := range q.live {
				sum += lv.appetites["e"].has
			}
			if sum > places || float64(sum) != q.load["e"] {
				t.Fatalf("%d of %d places are given, %v are booked", sum, places, q.load["e"])
			}
		}
		// From here on everybody wants one, and renders end: each has its turn within a few rounds.
		had := map[*live]bool{}
		for range 4 * len(q.live) {
			for _, lv := range q.live {
				if q.eats(t, lv, 0, 1) > 0 {
					had[lv] = true
				}
			}
		}
		if len(had) != len(q.live) {
			t.Fatalf("%d of %d batches had a turn", len(had), len(q.live))
		}
	})
}
