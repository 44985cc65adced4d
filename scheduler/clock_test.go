package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// skewed is a store whose times were written by a machine with another clock, or before this one's was set.
type skewed struct {
	scheduler.Store
	by time.Duration
}

func (s skewed) move(times ...*time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			*t = t.Add(s.by)
		}
	}
}

func (s skewed) Meta(ctx context.Context) (scheduler.Meta, error) {
	m, err := s.Store.Meta(ctx)
	s.move(&m.Started, &m.Updated)
	return m, err
}

func (s skewed) Attempts(ctx context.Context) iter.Seq2[scheduler.Attempt, error] {
	return func(yield func(scheduler.Attempt, error) bool) {
		for a, err := range s.Store.Attempts(ctx) {
			s.move(&a.Created, &a.Submitted, &a.Finished, &a.Expires)
			if !yield(a, err) {
				return
			}
		}
	}
}

func (s skewed) Records(ctx context.Context) iter.Seq2[scheduler.Record, error] {
	return func(yield func(scheduler.Record, error) bool) {
		for r, err := range s.Store.Records(ctx) {
			s.move(&r.Submitted, &r.Finished)
			if !yield(r, err) {
				return
			}
		}
	}
}

// A run that goes on from a state whose times are off, by a minute between two machines or by hours after a clock was set, takes over what is on the
// remote, asks for it, and sends nothing of it again. It waits for none of these hours to pass.
func TestClockOff(t *testing.T) {
	for _, by := range []time.Duration{-3 * time.Hour, -time.Minute, time.Minute, 3 * time.Hour} {
		for at := 3; at <= 30; at += 9 {
			t.Run(fmt.Sprint(by, " after write ", at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { goOnSkewed(t, by, at) })
			})
		}
	}
}

func goOnSkewed(t *testing.T, by time.Duration, at int) {
	const n = 40
	end, sink, mem, work := newEnd("a", uint64(at)), &fakeSink{lag: 10 * time.Millisecond}, &store.Memory{}, &fakeWork{n: n}
	end.spread, end.props.Limits.InFlight, end.props.Limits.Retention = 3*time.Second, 7, 6*time.Hour
	if _, err := scheduler.Run(context.Background(), work, ends(end), &dyingStore{Store: mem, left: at}, sink, scheduler.Options{Fuse: 1}); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	sum := mustRun(t, work, ends(end), skewed{mem, by}, sink, scheduler.Options{Fuse: 1})
	if sum.Counts[scheduler.Done]+len(sum.Held) != n || len(sum.Held) > 16 || sum.Elapsed > 5*time.Minute {
		t.Errorf("%+v", sum)
	}
	for i := range n {
		if end.taken[i] != 1 && len(sum.Held) == 0 || end.taken[i] > 1 {
			t.Errorf("render %d was sent %d times", i, end.taken[i])
		}
	}
}
