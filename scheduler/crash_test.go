package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// dyingStore loses every write from some moment on, as when the process is killed: what was durable stays, nothing comes after.
type dyingStore struct {
	scheduler.Store
	left  int  // writes until it dies
	after bool // the last write still gets through, but nobody hears of it
	dead  bool
	wrote int
}

var errKilled = errors.New("killed")

func (s *dyingStore) Apply(ctx context.Context, changes []scheduler.Change) error {
	if s.dead {
		return errKilled
	}
	if s.left--; s.left == 0 {
		s.dead = true
		if s.after {
			s.Store.Apply(ctx, changes)
		}
		return errKilled
	}
	s.wrote++
	return s.Store.Apply(ctx, changes)
}

// TestKilledAtEveryWrite kills a run at each of its writes, goes on twice, and counts on the remote what was really done.
func TestKilledAtEveryWrite(t *testing.T) {
	for _, fuse := range []int{1, 3} {
		t.Run(fmt.Sprint("fuse ", fuse), func(t *testing.T) { killEverywhere(t, fuse) })
	}
}

func killEverywhere(t *testing.T, fuse int) {
	const n = 40
	died, uncertain := 0, 0
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			whole := false
			synctest.Test(t, func(t *testing.T) {
				held, killed := killAt(t, n, at, fuse, after)
				whole = !killed
				uncertain += held
			})
			if whole {
				break
			}
			died++
		}
	}
	if died < 20 || uncertain == 0 {
		t.Errorf("the runs died at %d writes only, and %d submits were uncertain: this test shows nothing", died, uncertain)
	}
}

func killAt(t *testing.T, n, at, fuse int, after bool) (held int, killed bool) {
	end, sink, mem := newEnd("a", uint64(at)), &fakeSink{lag: 10 * time.Millisecond}, &store.Memory{}
	end.spread, end.faults.jobFails, end.props.Limits.InFlight = 3*time.Second, 0.05, 7
	work := &fakeWork{n: n}
	dying := &dyingStore{Store: mem, left: at, after: after}
	if _, err := scheduler.Run(context.Background(), work, ends(end), dying, sink, scheduler.Options{Fuse: fuse, Retries: 9}); err == nil {
		return 0, false
	} else if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	end.faults = faults{}
	first := mustRun(t, work, ends(end), mem, sink, scheduler.Options{Fuse: fuse, Retries: 9})
	if first.Counts[scheduler.Done]+len(first.Held) != n {
		t.Errorf("killed at write %d: %+v", at, first)
	}
	failed := failedJobs(end)
	for i := range n {
		if end.taken[i]-failed[i] > 1 {
			t.Errorf("killed at write %d: render %d was sent %d times without the user's word, and failed %d times", at, i, end.taken[i], failed[i])
		}
	}
	unclear := map[int]bool{}
	for _, h := range first.Held {
		unclear[h.Render] = true
	}
	last := mustRun(t, work, ends(end), mem, sink, scheduler.Options{Fuse: fuse, Retries: 9, ResubmitUncertain: true})
	if !last.AllDone() {
		t.Errorf("killed at write %d, in the end: %+v", at, last)
	}
	for i := range n {
		if end.rendered[i]-failed[i] > 1 && !unclear[i] {
			t.Errorf("killed at write %d: render %d was rendered twice and was not said to be uncertain", at, i)
		}
	}
	if len(unclear) > 16*fuse {
		t.Errorf("killed at write %d: %d submits were in flight", at, len(unclear))
	}
	return len(unclear), true
}

// failedJobs counts the jobs of each render that failed on the remote.
func failedJobs(e *fakeEnd) map[int]int {
	failed := map[int]int{}
	for _, j := range e.jobs {
		if j.state != scheduler.Completed {
			for _, i := range j.renders {
				failed[i]++
			}
		}
	}
	return failed
}

// A run that is killed between a submit's answer and its commit knows of no remote id: that submission is held, with its stake.
func TestKilledInTheMiddleOfASubmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, mem := newEnd("a", 1), &store.Memory{}
		dying := &dyingStore{Store: mem, left: 1 << 30}
		end.before = func(*compiler.Job) { dying.dead = true }
		if _, err := scheduler.Run(context.Background(), &fakeWork{n: 1}, ends(end), dying, &fakeSink{}, scheduler.Options{}); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		end.before = nil
		var events []scheduler.Event
		sum := mustRun(t, &fakeWork{n: 1}, ends(end), mem, &fakeSink{}, scheduler.Options{OnEvent: func(e scheduler.Event) { events = append(events, e) }})
		if len(sum.Held) != 1 || sum.Held[0].StakeUSD == nil || *sum.Held[0].StakeUSD != 0.002 || sum.StakeUSD != 0.002 || len(end.jobs) != 1 {
			t.Errorf("%+v", sum)
		}
		told := false
		for _, e := range events {
			told = told || e.Render != nil && e.Render.State == scheduler.Held && e.Render.Code == "uncertain_submit"
		}
		if !told {
			t.Errorf("the listener was not told: %+v", events)
		}
	})
}
