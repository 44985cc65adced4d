package scheduler

import (
	"strings"
	"testing"
	"time"
)

// The clock's setting during a run that goes on from stored times changes nothing: package time measures between two times by the monotonic
// clock if both carry a reading of it, and stored ones carry none before they are tied to the run's.
func TestStoredTimesAreTiedToTheMonotonicClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"an hour behind": -time.Hour, "a minute behind": -time.Minute, "a minute ahead": time.Minute, "an hour ahead": time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, Options{Deadline: 10 * time.Hour}, "a")
			r.at = time.Now()
			written := r.at.Add(off).UTC().Round(0) // by the clock of whoever ran it before
			saved := savedAttempt{Attempt: Attempt{Number: 1, Renders: []RenderRef{{0, r.work.RenderID(0)}}, Try: 1, State: AttemptFinished, Endpoint: "a", Remote: "x",
				Created: written, Submitted: written, Finished: written, Expires: written.Add(6 * time.Hour)}}
			r.feed(opened{plan: "p", meta: Meta{Started: written, Last: 1}, attempts: []savedAttempt{saved}})
			a := r.attempts[1]
			for what, at := range map[string]time.Time{"created": a.Created, "submitted": a.Submitted, "finished": a.Finished, "deadline": r.deadline, "expires": a.Expires} {
				if !strings.Contains(at.String(), " m=") {
					t.Errorf("%s follows the wall clock: %v", what, at)
				}
			}
			// Nothing has happened later than now; what is still to come stands where it was written.
			for _, at := range []time.Time{a.Created, a.Submitted, a.Finished} {
				if at.After(r.at) || off < 0 && !at.Equal(written) {
					t.Errorf("%v became %v at %v", written, at, r.at)
				}
			}
			if left := r.deadline.Sub(r.at); left > 10*time.Hour || off < 0 && left != 10*time.Hour+off {
				t.Errorf("the deadline is in %v", left)
			}
			if !a.Expires.Equal(saved.Expires) {
				t.Errorf("it expires %v, and not %v", a.Expires, saved.Expires)
			}
		})
	}
}

// After a crash, results that are finished remotely and not yet safe here are asked for before anything else is asked, and before anything is
// submitted: that which expires soonest first, whatever order they were submitted in.
func TestStepUnsafeResultsBeforeAllElse(t *testing.T) {
	r := newRig(t, 7, Options{}, "a")
	var saved []savedAttempt
	for n, left := range []time.Duration{3 * time.Hour, time.Hour, 0, 2 * time.Hour} { // of 0 nothing is known: it runs
		a := Attempt{Number: int64(n + 1), Renders: []RenderRef{{n, r.work.RenderID(n)}}, Try: 1, State: AttemptFinished, Endpoint: "a", Remote: "x",
			Submitted: noon.Add(-time.Hour), Expires: noon.Add(left)}
		if left == 0 {
			a.State = AttemptRunning
		}
		saved = append(saved, savedAttempt{Attempt: a})
	}
	r.feed(opened{plan: "p", meta: Meta{Last: 4}, attempts: saved})
	if len(r.log) < 4 {
		t.Fatalf("%q", r.log)
	}
	log := r.log
	r.log = log[:4]
	r.expect("poll a 2", "poll a 4", "poll a 1", "poll a 3")
	for _, what := range log[4:] {
		if !strings.Contains(what, "submit") { // the three renders that waited
			t.Errorf("%s", what)
		}
	}
}
