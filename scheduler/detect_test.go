package scheduler_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// TestDetection counts calls and delays of whole runs in virtual time, on jobs of 1 to 20 s (98 % of a lognormal distribution) with calls of 20 ms,
// told exactly and not told how long they took.
func TestDetection(t *testing.T) {
	for _, silent := range []bool{false, true} {
		for _, at := range []int{1, 8, 32} {
			synctest.Test(t, func(t *testing.T) { detect(t, silent, at) })
		}
	}
}

func detect(t *testing.T, silent bool, parallel int) {
	const n = 800
	e := newEnd("a", 3)
	e.silent, e.props.Limits.InFlight, e.props.Limits.StatusPer10s = silent, parallel, 400
	e.draw = func(r *rand.Rand) time.Duration {
		return min(max(time.Duration(4.47*math.Exp(0.643*r.NormFloat64())*1e9), time.Second), 20*time.Second)
	}
	seen := map[string]time.Time{}
	busiest, recent := 0, []time.Time{}
	opts := scheduler.Options{OnEvent: func(ev scheduler.Event) {
		if a := ev.Attempt; a != nil && a.State == scheduler.AttemptFinished {
			seen[a.Remote] = ev.Time
		}
	}}
	e.onPoll = func(now time.Time) {
		recent = append(recent, now)
		for now.Sub(recent[0]) >= 10*time.Second {
			recent = recent[1:]
		}
		busiest = max(busiest, len(recent))
	}
	mustRun(t, &fakeWork{n: n}, ends(e), &store.Memory{}, &fakeSink{}, opts)
	var delays []time.Duration
	for id, j := range e.jobs {
		delays = append(delays, seen[id].Sub(j.end))
	}
	slices.Sort(delays)
	calls, median, p99 := float64(e.polls)/n, delays[n/2], delays[n*99/100]
	t.Logf("silent %v, %d at once: %.2f calls a job, seen after %v (median), %v (p99); at most %d calls in 10 s", silent, parallel, calls, median, p99, busiest)
	most := 410 * time.Millisecond
	if silent {
		most = 520 * time.Millisecond
	}
	if calls > 6.2 || median > most || p99 > 5*time.Second || busiest > 400 {
		t.Error("too many, or too late")
	}
}
