package scheduler

import (
	"slices"
	"testing"
	"time"
)

// polledNow answers counts and gives the attempts that are polled at once, as they end.
func (r *rig) polledNow(asked time.Time, queued, running int) (list []int64) {
	r.feed(counted{endpoint: 0, asked: asked, stats: Stats{Queued: queued, Running: running}})
	for len(r.open[callPoll]) > 0 {
		k := r.take(callPoll)
		list = append(list, k.attempt)
	}
	return list
}

// As many jobs as are missing from the counts are polled at once, the oldest first; what the remote took after the question is not missed.
func TestCountsPollWhatIsMissing(t *testing.T) {
	start := func() *rig {
		r := newRig(t, 8, Options{}, "a")
		r.endpoints[0].Limits.InFlight = 20
		r.start()
		for i := range r.attempts { // none is an early probe
			r.attempts[i].estimate().probing = probes
		}
		for range 8 {
			r.submitOK()
			r.at = r.at.Add(time.Millisecond)
		}
		if len(r.attempts) != 8 {
			t.Fatalf("%d are in flight", len(r.attempts))
		}
		return r
	}
	for _, tc := range []struct {
		queued, running int
		want            []int64
	}{
		{0, 8, nil},
		{3, 5, nil},
		{9, 9, nil}, // other people's
		{2, 3, []int64{1, 2, 3}},
		{0, 0, []int64{1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		r := start()
		if got := r.polledNow(r.at, tc.queued, tc.running); !slices.Equal(got, tc.want) {
			t.Errorf("%d wait and %d run: polled %v, want %v", tc.queued, tc.running, got, tc.want)
		}
	}
	r := start()
	if got := r.polledNow(noon.Add(3*time.Millisecond+time.Microsecond), 0, 0); !slices.Equal(got, []int64{1, 2, 3, 4}) {
		t.Errorf("of four that were there when it was asked: %v", got)
	}
}

// A breaker opens after five failures, lets one probe through after each pause, and closes with the first success. Its pauses are drawn from all of a
// span that doubles up to a minute.
func TestBreaker(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for seed := range uint64(40) {
		r := newRig(t, 30, Options{Retries: 100, Seed: seed, Patience: 100 * time.Hour}, "a")
		r.endpoints[0].Limits.InFlight = 5
		ep := r.start().endpoints[0]
		for len(r.open[callSubmit]) > 0 { // the fifth opens it; the others were under way
			r.submitFails(Transient)
		}
		for span := firstPause; span < maxPause; span *= 2 {
			if pause := ep.until.Sub(r.at); !ep.open() || pause < 0 || pause > span {
				t.Fatalf("open %v, a pause of %v of %v", ep.open(), pause, span)
			}
			least, most = min(least, ep.until.Sub(r.at)*100/span), max(most, ep.until.Sub(r.at)*100/span)
			if ep.until.After(r.at) && len(r.open[callSubmit]) != 0 {
				t.Fatal("a submit during the pause")
			}
			r.pass(max(ep.until.Sub(r.at), 0)).pass(2 * time.Second)
			if n := len(r.open[callSubmit]); n != 1 {
				t.Fatalf("%d probes", n)
			}
			r.submitFails(Transient)
		}
		r.pass(time.Minute + 2*time.Second).submitOK()
		if ep.open() || len(r.open[callSubmit]) < 2 {
			t.Fatalf("after a success: open %v, %d submits", ep.open(), len(r.open[callSubmit]))
		}
	}
	if least > 10 || most < 90 {
		t.Errorf("pauses of %d to %d %% of the span", least, most)
	}
}
