package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// after does something once some virtual time has passed.
func after(d time.Duration, do func()) { time.AfterFunc(d, do) }

func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, control := newEnd("a", 1), &scheduler.Control{}
		end.props.Limits.InFlight = 2
		after(5*time.Second, control.Pause)
		after(100*time.Second, control.Resume)
		var said []string
		sum := mustRun(t, &fakeWork{n: 20}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Control: control, OnEvent: func(e scheduler.Event) {
			if e.Notice != nil {
				said = append(said, e.Notice.Code)
			}
		}})
		if !sum.AllDone() || sum.Elapsed < 100*time.Second || !slices.Equal(said, []string{"paused", "resumed"}) {
			t.Errorf("%+v, %q", sum, said)
		}
		for _, at := range end.submits {
			if since := at.Sub(end.submits[0]); since > 6*time.Second && since < 99*time.Second {
				t.Errorf("a submit after %v, in the pause", since)
			}
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, control := newEnd("a", 1), &scheduler.Control{}
		end.props.Limits.InFlight = 4
		after(5*time.Second, control.Drain)
		sum := mustRun(t, &fakeWork{n: 100}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Control: control})
		if sum.Stopped != scheduler.StopDrained || sum.Counts[scheduler.Active] != 0 || sum.Counts[scheduler.Done] != len(end.jobs) || end.cancels != 0 ||
			sum.Counts[scheduler.Waiting] == 0 {
			t.Errorf("%+v, %d jobs, %d cancels", sum, len(end.jobs), end.cancels)
		}
	})
}

func TestCancelSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, control := newEnd("a", 1), &scheduler.Control{}
		end.work, end.props.Limits.InFlight = 20*time.Second, 3
		after(5*time.Second, func() { control.Cancel(0, 50, 7, -1, 1000) })
		sum := mustRun(t, &fakeWork{n: 60}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Control: control})
		if sum.Stopped != "" || sum.Counts[scheduler.RenderCancelled] != 3 || sum.Counts[scheduler.Done] != 57 || end.taken[50]+end.taken[7] != 0 || end.cancels == 0 {
			t.Errorf("%+v, %d cancels", sum, end.cancels)
		}
	})
}

func TestCancelAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, control, st := newEnd("a", 1), &scheduler.Control{}, &store.Memory{}
		end.props.Limits.InFlight = 3
		after(5*time.Second, func() { control.Cancel() })
		sum := mustRun(t, &fakeWork{n: 60}, ends(end), st, &fakeSink{}, scheduler.Options{Control: control})
		if sum.Stopped != "" || sum.Counts[scheduler.RenderCancelled]+sum.Counts[scheduler.Done] != 60 || sum.Elapsed > 10*time.Second {
			t.Errorf("%+v", sum)
		}
		// Another run goes on with what was cancelled.
		if sum = mustRun(t, &fakeWork{n: 60}, ends(end), st, &fakeSink{}, scheduler.Options{}); !sum.AllDone() {
			t.Errorf("%+v", sum)
		}
	})
}

func TestPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, control := newEnd("a", 1), &scheduler.Control{}
		end.props.Limits.InFlight = 1
		control.Priority(5, 40, 41)
		control.Priority(9, 30)
		control.Priority(-1, 0, 1)
		after(20*time.Second, func() { control.Priority(7, 55, 12) })
		sum := mustRun(t, &fakeWork{n: 60}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Control: control})
		if !sum.AllDone() || !slices.Equal(end.order[:4], []int{30, 40, 41, 2}) || !slices.Equal(end.order[58:], []int{0, 1}) {
			t.Errorf("%+v, in the order %v", sum, end.order)
		}
		if at := slices.Index(end.order, 55); at > 20 || slices.Index(end.order, 12) != at-1 {
			t.Errorf("raised later, but in the order %v", end.order)
		}
	})
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done, last := 0, scheduler.Event{}
		for e, err := range scheduler.Stream(t.Context(), &fakeWork{n: 30}, ends(newEnd("a", 1)), &store.Memory{}, &fakeSink{}, scheduler.Options{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Render != nil && e.Render.State == scheduler.Done {
				done++
			}
			last = e
		}
		if done != 30 || last.Summary == nil || !last.Summary.AllDone() {
			t.Errorf("%d done, at last %+v", done, last)
		}
		end := newEnd("a", 1)
		end.props.Limits.InFlight = 4
		for range scheduler.Stream(t.Context(), &fakeWork{n: 1000}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{}) {
			if end.came() > 5 {
				break
			}
		}
		if n := end.came(); n > 20 {
			t.Errorf("%d jobs after the loop was left", n)
		}
	})
}

// straggling makes an endpoint of which every twentieth job takes very long.
func straggling(seed uint64) *fakeEnd {
	e := newEnd(fmt.Sprint("e", seed), seed)
	e.props.Limits.InFlight = 5
	n := 0
	e.draw = func(*rand.Rand) time.Duration {
		if n++; n%20 == 0 {
			return 10 * time.Minute
		}
		return 10 * time.Second
	}
	return e
}

func TestHedge(t *testing.T) {
	for _, hedge := range []scheduler.Hedge{scheduler.HedgeOff, scheduler.HedgeAuto} {
		synctest.Test(t, func(t *testing.T) {
			a, b := straggling(1), straggling(2)
			sum := mustRun(t, &fakeWork{n: 60}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{Hedge: hedge})
			auto := hedge == scheduler.HedgeAuto
			if !sum.AllDone() || auto != (sum.Elapsed < 5*time.Minute) || auto != (sum.Hedges > 0) || sum.Hedges > 1+60/20 {
				t.Errorf("%s: %+v", hedge, sum)
			}
			if auto && a.cancels+b.cancels == 0 {
				t.Error("the slower ones were not cancelled")
			}
			if spent := a.paid + b.paid; sum.SpentUSD < spent*0.001 {
				t.Errorf("spent %v, the endpoints were paid %v s", sum.SpentUSD, spent)
			}
		})
	}
}

// fullStore has no room for a while.
type fullStore struct {
	store.Memory
	full func() bool
	mu   sync.Mutex
	hits int
}

func (s *fullStore) Apply(ctx context.Context, changes []scheduler.Change) error {
	if s.full() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hits++
		return fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	return s.Memory.Apply(ctx, changes)
}

// A full disk stops submits, loses nothing, and the run goes on when there is room.
func TestStoreFullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, end := time.Now(), newEnd("a", 1)
		st := &fullStore{full: func() bool { s := time.Since(begin); return s > 10*time.Second && s < 3*time.Minute }}
		var said []string
		sum := mustRun(t, &fakeWork{n: 500}, ends(end), st, &fakeSink{}, scheduler.Options{OnEvent: func(e scheduler.Event) {
			if e.Notice != nil {
				said = append(said, e.Notice.Code)
			}
		}})
		if !sum.AllDone() || len(end.jobs) != 500 || st.hits < 5 || st.hits > 200 || !slices.Equal(said, []string{"state_trouble", "state_trouble"}) {
			t.Errorf("%+v, %d jobs, %d writes failed, %q", sum, len(end.jobs), st.hits, said)
		}
		for _, at := range end.submits {
			if since := at.Sub(begin); since > 11*time.Second && since < 3*time.Minute {
				t.Errorf("a submit after %v", since)
			}
		}
	})
}

func TestSpeedsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "speeds.json")
	speeds, err := scheduler.LoadSpeeds(path)
	if err == nil {
		t.Error("there is none yet")
	}
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.work = 7 * time.Second
		mustRun(t, &fakeWork{n: 40}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Speeds: speeds})
	})
	if err := speeds.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := scheduler.LoadSpeeds(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { forecastFrom(t, again) }) // at the time at which it was learned
}

func forecastFrom(t *testing.T, again *scheduler.Speeds) {
	work := &fakeWork{n: 40}
	properties := newEnd("a", 1).props
	properties.Workers.ColdStart = time.Second
	for _, s := range []*scheduler.Speeds{nil, again} {
		f, err := scheduler.ForecastRun(work, nil, []scheduler.Properties{properties}, scheduler.Options{Speeds: s})
		if err != nil {
			t.Fatal(err)
		}
		if sure := f.Endpoints[0].Seconds.High < 1.5*f.Endpoints[0].Seconds.Low; s != nil && !(f.Seconds.Low > 14 && f.Endpoints[0].Renders.High == 40 && sure) {
			t.Errorf("forecast from what was learned: %+v", f)
		} else if s == nil && f.Seconds.High > 150 {
			t.Errorf("forecast: %+v", f)
		}
	}
}

// findable tells of submits whose answer was lost.
type findable struct {
	*fakeEnd
	mu    sync.Mutex
	asked int
}

func (e *findable) Find(_ context.Context, token string) (scheduler.Found, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if id := e.takenAs(token); id != "" {
		return scheduler.Found{Arrival: scheduler.Arrived, Remote: id}, nil
	}
	return scheduler.Found{Arrival: scheduler.NotFound}, nil
}

// What a remote can be asked about is never held, and never done twice.
func TestFinderResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &findable{fakeEnd: newEnd("a", 1)}
		end.faults.lostTaken, end.faults.lostUntaken = 0.2, 0.2
		sum := mustRun(t, &fakeWork{n: 60}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || len(sum.Held) > 0 || sum.StakeUSD > 1e-9 || end.asked == 0 {
			t.Errorf("%+v, asked %d times", sum, end.asked)
		}
		for i, n := range end.taken {
			if n != 1 {
				t.Errorf("render %d was taken %d times", i, n)
			}
		}
	})
}

// After a crash there may be more attempts to ask about than calls that can be under way.
func TestFinderIsAskedAboutMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1500
		end, st, work := &findable{fakeEnd: newEnd("a", 1)}, &store.Memory{}, &fakeWork{n: n}
		var changes []scheduler.Change
		for i := range n {
			changes = append(changes, scheduler.Change{Attempt: &scheduler.Attempt{Number: int64(i + 1), Renders: []scheduler.RenderRef{{Index: i, ID: work.RenderID(i)}},
				Endpoint: "a", Token: fmt.Sprint("token-", i), State: scheduler.AttemptSubmitting, Created: time.Now().Add(-time.Hour)}})
		}
		if err := st.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		if sum := mustRun(t, work, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{}); !sum.AllDone() || end.asked < n {
			t.Errorf("%+v, asked %d times", sum, end.asked)
		}
	})
}

// A webhook's token tells where an uncertain submit went.
func TestWebhookResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &findable{fakeEnd: newEnd("a", 1)}
		end.props.TakesWebhook = true
		end.faults.lostTaken = 0.3
		control := &scheduler.Control{}
		plain := struct{ scheduler.Endpoint }{end} // without its Finder
		after(time.Minute, func() {
			end.fakeEnd.mu.Lock()
			defer end.fakeEnd.mu.Unlock()
			for token, id := range end.tokens {
				control.Hint(scheduler.Hint{Token: token, Remote: id, State: scheduler.Completed})
			}
		})
		webhooks := 0
		sum := mustRun(t, &fakeWork{n: 30}, []scheduler.Endpoint{plain}, &store.Memory{}, &fakeSink{}, scheduler.Options{Control: control,
			Webhook: func(token string) string {
				webhooks++
				if len(token) < 22 || strings.ContainsAny(token, "/?#") {
					t.Errorf("the token %q", token)
				}
				return "https://example.com/hook/" + token
			}})
		if !sum.AllDone() || webhooks != sum.Attempts || len(end.jobs) != 30 {
			t.Errorf("%+v, %d webhooks, %d jobs", sum, webhooks, len(end.jobs))
		}
	})
}

// watchable tells when its jobs end.
type watchable struct {
	*fakeEnd
	told chan scheduler.Hint
}

func (e *watchable) Watch(ctx context.Context, tell func(scheduler.Hint)) error {
	tell(scheduler.Hint{})
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-e.told:
			tell(h)
		}
	}
}

// seenSoon runs 200 renders on an endpoint that is more than a fake one: each end is seen within 50 ms (median), at 3 calls a job at most.
func seenSoon(t *testing.T, end scheduler.Endpoint, fake *fakeEnd) {
	t.Helper()
	seen := map[string]time.Time{}
	sum := mustRun(t, &fakeWork{n: 200}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, scheduler.Options{OnEvent: func(e scheduler.Event) {
		if a := e.Attempt; a != nil && a.State == scheduler.AttemptFinished {
			seen[a.Remote] = e.Time
		}
	}})
	var delays []time.Duration
	for id, j := range fake.jobs {
		delays = append(delays, seen[id].Sub(j.end))
	}
	slices.Sort(delays)
	if calls := float64(fake.polls) / 200; !sum.AllDone() || calls > 3 || delays[100] > 50*time.Millisecond {
		t.Errorf("%.2f polls a job, seen after %v; %+v", calls, delays[100], sum)
	}
}

func TestWatchNeedsFewPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &watchable{newEnd("a", 1), make(chan scheduler.Hint, 1000)}
		end.spread, end.lag = 15*time.Second, 5*time.Millisecond
		end.onTake = func(id string, at time.Time) {
			after(time.Until(at), func() { end.told <- scheduler.Hint{Remote: id, State: scheduler.Completed} })
		}
		seenSoon(t, end, end.fakeEnd)
	})
}

// holding answers a poll when the job has ended.
type holding struct{ *fakeEnd }

func (e *holding) PollWait(ctx context.Context, remote string, wait time.Duration) (scheduler.Status, error) {
	e.mu.Lock()
	until := time.Until(e.jobs[remote].end)
	e.mu.Unlock()
	if wait = min(until, wait); wait > 0 {
		select {
		case <-ctx.Done():
			return scheduler.Status{}, ctx.Err()
		case <-time.After(wait):
		}
	}
	return e.Poll(ctx, remote)
}

func TestLongPollNeedsFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &holding{newEnd("a", 1)}
		end.spread, end.lag, end.props.LongPoll = 15*time.Second, 5*time.Millisecond, 30*time.Second
		seenSoon(t, end, end.fakeEnd)
	})
}

// A run that was cut off asks about what it does not know, and submits none of it again.
func TestFinderResolvesAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := &findable{fakeEnd: newEnd("a", 1)}, &store.Memory{}
		end.faults.lostTaken = 1
		plain := struct{ scheduler.Endpoint }{end} // the first run cannot ask
		sum := mustRun(t, &fakeWork{n: 10}, []scheduler.Endpoint{plain}, st, &fakeSink{}, scheduler.Options{})
		if len(sum.Held) != 10 || sum.StakeUSD == 0 {
			t.Fatalf("%+v", sum)
		}
		end.faults.lostTaken = 0
		sum = mustRun(t, &fakeWork{n: 10}, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || len(end.jobs) != 10 || sum.StakeUSD > 1e-9 {
			t.Errorf("%+v, %d jobs", sum, len(end.jobs))
		}
	})
}
