package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// shelf is a Reuser that has some renders. Those in broken turn out to be damaged; while full is not over, nothing can be written.
type shelf struct {
	known, broken []int
	full          time.Time

	mu    sync.Mutex
	asked []int
	taken []int
	tries int
}

func (s *shelf) Known(_ context.Context, renders []int) (out []int) {
	s.asked = renders
	for _, i := range renders {
		if slices.Contains(s.known, i) {
			out = append(out, i)
		}
	}
	return out
}

func (s *shelf) Reuse(_ context.Context, i int) (got scheduler.Reused, ok bool, err error) {
	time.Sleep(10 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	switch {
	case time.Now().Before(s.full):
		return got, false, errors.New("no space left on device")
	case slices.Contains(s.broken, i):
		return got, false, nil
	}
	s.taken = append(s.taken, i)
	return scheduler.Reused{Endpoint: "elsewhere", GPU: "h100", Files: []scheduler.FileRecord{{Path: fmt.Sprint(i), Reused: &scheduler.Origin{Batch: "b"}}}}, true, nil
}

// TestReuse: what is known is taken over without an attempt and without money; what turns out to be damaged is submitted; the rest is too.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("gpu", 1), &store.Memory{}
		s := &shelf{known: []int{0, 2, 4, 6, 8}, broken: []int{4}}
		var events []scheduler.RenderEvent
		sum, err := scheduler.Run(t.Context(), &fakeWork{n: 10}, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{Reuse: s, Fuse: 1, OnEvent: func(e scheduler.Event) {
			if e.Render != nil && e.Render.Reused {
				events = append(events, *e.Render)
			}
		}})
		if err != nil || !sum.AllDone() || sum.Reused != 4 || sum.Attempts != 6 || len(events) != 4 || *events[0].CostUSD != 0 || events[0].Attempts != 0 {
			t.Errorf("%+v, %v, events %+v", sum, err, events)
		}
		for i := range 10 {
			if want := map[bool]int{true: 0, false: 1}[i%2 == 0 && i != 4]; end.taken[i] != want {
				t.Errorf("render %d was sent %d times, want %d", i, end.taken[i], want)
			}
		}
		for r, err := range st.Records(t.Context()) {
			if reused := len(r.Files) > 0 && r.Files[0].Reused != nil; err != nil || reused != (end.taken[r.Render] == 0) || reused && r.Endpoint != "elsewhere" {
				t.Errorf("record %+v, %v", r, err)
			}
		}
		// The next run has nothing to ask for.
		s.asked, s.taken = nil, nil
		if sum, err := scheduler.Run(t.Context(), &fakeWork{n: 10}, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{Reuse: s}); err != nil || sum.Kept != 10 || len(s.asked)+len(s.taken) > 0 {
			t.Errorf("again: %+v, %v, asked %v", sum, err, s.asked)
		}
	})
}

// TestReuseWithoutEndpoint: what is known is taken over although no endpoint works, no money is left, or the deadline is over.
func TestReuseWithoutEndpoint(t *testing.T) {
	all := make([]int, 20)
	for i := range all {
		all[i] = i
	}
	nothing := 0.0
	for name, test := range map[string]struct {
		opts scheduler.Options
		down error
	}{
		"dead endpoint": {scheduler.Options{}, &scheduler.Error{Kind: scheduler.Unauthorized, Op: "check", Message: "no key"}},
		"no money":      {scheduler.Options{Budget: &nothing}, nil},
		"too late":      {scheduler.Options{Deadline: time.Nanosecond}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := newEnd("gpu", 1)
				end.check = test.down
				test.opts.Reuse = &shelf{known: all}
				sum, err := scheduler.Run(t.Context(), &fakeWork{n: 20}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, test.opts)
				if err != nil || !sum.AllDone() || sum.Reused != 20 || len(end.taken) > 0 {
					t.Errorf("%+v, %v", sum, err)
				}
			})
		})
	}
}

// TestReuseFullDisk: while files cannot be written, nothing is taken over and nothing is paid for instead; it goes on when there is room.
func TestReuseFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("gpu", 1)
		s := &shelf{known: []int{0, 1, 2, 3}, full: time.Now().Add(3 * time.Minute)}
		sum, err := scheduler.Run(t.Context(), &fakeWork{n: 4}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, scheduler.Options{Reuse: s})
		if err != nil || sum.Reused != 4 || len(end.taken) > 0 || sum.Elapsed < 3*time.Minute || sum.Elapsed > 4*time.Minute || s.tries > 200 {
			t.Errorf("%+v, %v, %d tries", sum, err, s.tries)
		}
	})
	synctest.Test(t, func(t *testing.T) { // it stays full: the run ends after its patience, and says why
		s := &shelf{known: []int{0, 1}, full: time.Now().Add(time.Hour)}
		sum, err := scheduler.Run(t.Context(), &fakeWork{n: 2}, []scheduler.Endpoint{newEnd("gpu", 1)}, &store.Memory{}, &fakeSink{}, scheduler.Options{Reuse: s})
		if err == nil || sum.Stopped != scheduler.StopSink || sum.Counts[scheduler.Waiting] != 2 {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// TestReuseInterrupted: an interrupt ends it soon, and the next run takes over the rest.
func TestReuseInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := make([]int, 400)
		for i := range all {
			all[i] = i
		}
		st, s := &store.Memory{}, &shelf{known: all}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		first, err := scheduler.Run(ctx, &fakeWork{n: 400}, []scheduler.Endpoint{newEnd("gpu", 1)}, st, &fakeSink{}, scheduler.Options{Reuse: s})
		if err != nil || first.Stopped != scheduler.StopInterrupted || first.Reused == 0 || first.Reused > 200 {
			t.Errorf("%+v, %v", first, err)
		}
		second, err := scheduler.Run(t.Context(), &fakeWork{n: 400}, []scheduler.Endpoint{newEnd("gpu", 1)}, st, &fakeSink{}, scheduler.Options{Reuse: s})
		if err != nil || second.Kept != first.Reused || second.Kept+second.Reused != 400 || len(s.taken) != 400 {
			t.Errorf("%+v, %v", second, err)
		}
	})
}

// TestCancelOnly: what an earlier run left on remotes is cancelled, what had finished is collected, and nothing is submitted.
func TestCancelOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st, work := newEnd("gpu", 1), &store.Memory{}, &fakeWork{n: 100}
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		first, err := scheduler.Run(ctx, work, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{Fuse: 1, LeaveOnInterrupt: true})
		if err != nil || first.Counts[scheduler.Active] == 0 || first.Counts[scheduler.Waiting] == 0 {
			t.Fatalf("%+v, %v", first, err)
		}
		sent := len(end.submits)
		sum, err := scheduler.Run(t.Context(), work, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{Fuse: 1, CancelOnly: true, Grace: time.Minute})
		if err != nil || len(end.submits) != sent || sum.Counts[scheduler.Active] != 0 || sum.Counts[scheduler.Waiting] != first.Counts[scheduler.Waiting] || len(sum.Left) > 0 {
			t.Errorf("%+v, %v; %d submits more", sum, err, len(end.submits)-sent)
		}
		if end.busy != 0 {
			t.Errorf("%d jobs go on", end.busy)
		}
		last, err := scheduler.Run(t.Context(), work, []scheduler.Endpoint{end}, st, &fakeSink{}, scheduler.Options{Fuse: 1})
		if err != nil || !last.AllDone() {
			t.Errorf("gone on with: %+v, %v", last, err)
		}
	})
}
