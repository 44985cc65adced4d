package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Pictures of 1024² take about 2 MiB in base64.
const side = 1024

// small is an endpoint whose answers hold less than that, large one whose answers hold more and which costs more.
func small() *fakeEnd {
	e := newEnd("small", 1)
	e.props.Limits.OutputBytes = 1 << 20
	return e
}

func large() *fakeEnd {
	e := newEnd("large", 2)
	e.props.Limits.OutputBytes = 10 << 20
	*e.props.Price = 0.002
	return e
}

// Where an answer of the estimated size would be lost, nothing is sent, if there is another endpoint; also if that one costs more.
func TestLongAnswersGoElsewhere(t *testing.T) {
	for _, objective := range []scheduler.Objective{scheduler.Balanced, scheduler.Cheapest, scheduler.Fastest} {
		synctest.Test(t, func(t *testing.T) {
			a, b := small(), large()
			b.answer = 2 << 20
			sum := mustRun(t, &fakeWork{n: 50, side: side}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{Objective: objective, Fuse: 1})
			if !sum.AllDone() || len(a.jobs) != 0 || len(b.jobs) != 50 {
				t.Errorf("%s: %+v, %d and %d jobs", objective, sum, len(a.jobs), len(b.jobs))
			}
		})
	}
}

// Where there is no other, one job goes ahead. If its answer arrives, the others follow at once.
func TestDoubtfulAnswerGoesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := small()
		a.answer = 1 << 19
		a.before = func(*compiler.Job) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.jobs) == 1 && a.busy > 0 {
				t.Error("a second job was sent before the first one's answer was there")
			}
		}
		if sum := mustRun(t, &fakeWork{n: 50, side: side}, ends(a), &store.Memory{}, &fakeSink{}, scheduler.Options{}); !sum.AllDone() || a.mostBusy < 15 {
			t.Errorf("%+v, %d at once", sum, a.mostBusy)
		}
	})
}

// If its answer is lost twice, no money is spent on the others.
func TestLostAnswersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := small()
		a.answer = 2 << 20
		sum := mustRun(t, &fakeWork{n: 50, side: side}, ends(a), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: 3})
		if sum.Counts[scheduler.RenderFailed] != 50 || len(a.jobs) != 2 {
			t.Errorf("%+v, %d jobs", sum.Counts, len(a.jobs))
		}
	})
}

// What one endpoint's answers show holds for the others: pictures that were thought to be small are sent no more where they do not fit.
func TestAnswersAreLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := small(), large()
		a.answer, b.answer = 2<<20, 2<<20
		a.work = time.Minute // so that the other one's answers are there first
		sum := mustRun(t, &fakeWork{n: 200}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: 3})
		if !sum.AllDone() || len(a.jobs) > a.props.Limits.InFlight {
			t.Errorf("%+v, %d jobs", sum, len(a.jobs))
		}
	})
}

// Pictures that go into a bucket do not count.
func TestAddressesAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := small()
		a.props.ByURL = true
		sum := mustRun(t, &fakeWork{n: 40, side: side}, ends(a), &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || sum.Elapsed > 7*time.Second { // 20 at once, twice 2 s
			t.Errorf("%+v", sum)
		}
	})
}

// Cancels keep to the platform's rate, and all are sent.
func TestCancelRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.work, end.props.CancelPer10s, end.props.Limits.InFlight = time.Hour, 20, 60
		var control scheduler.Control
		time.AfterFunc(time.Minute, func() { control.Cancel() })
		sum := mustRun(t, &fakeWork{n: 60}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Control: &control})
		if sum.Counts[scheduler.RenderCancelled] != 60 || end.cancels < 60 {
			t.Errorf("%+v, %d cancels", sum.Counts, end.cancels)
		}
		for i, at := range end.stops {
			if i >= 20 && at.Sub(end.stops[i-20]) < 10*time.Second {
				t.Fatalf("21 cancels within %v", at.Sub(end.stops[i-20]))
			}
		}
	})
}

// What a platform is told about time-outs follows what is known: three times what hardly any job exceeds, within reason.
func TestTimeoutsFollowTheEstimate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.props.TakesTimeouts, end.props.Limits.InFlight = true, 1
		end.work = 4 * time.Minute
		var told []scheduler.Terms
		end.terms = func(terms scheduler.Terms) { told = append(told, terms) }
		expect := func(scheduler.Properties, *compiler.Job) time.Duration { return time.Minute }
		mustRun(t, &fakeWork{n: 12}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Expect: expect, Timeout: 20 * time.Minute})
		first, last := told[0], told[11]
		if first.Execution != 6*time.Minute || last.Execution != 18*time.Minute {
			t.Errorf("%v at first, %v at last; want 3 × twice the guess, then 3 × 1.5 times what was seen", first.Execution, last.Execution)
		}
		for _, terms := range told {
			if queue := terms.TTL - terms.Execution; queue != 23*time.Hour {
				t.Errorf("%v in the queue", queue)
			}
		}
	})
}

// preparing is a remote that takes files apart from jobs.
type preparing struct {
	*fakeEnd
	takes   time.Duration
	missing bool
}

func (p preparing) Prepare(ctx context.Context, _ *compiler.Job) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.takes):
	}
	if p.missing {
		return p.trouble(scheduler.MissingModel, "it has no such model")
	}
	return nil
}

// Uploads may take longer than a submit is given, and what a remote lacks is known before a submit.
func TestPreparedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, lacks := preparing{newEnd("slow", 1), 5 * time.Minute, false}, preparing{newEnd("lacks", 2), 0, true}
		sum := mustRun(t, &fakeWork{n: 10}, []scheduler.Endpoint{slow, lacks}, &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || len(slow.jobs) != 10 || len(lacks.submits) != 0 {
			t.Errorf("%+v, %d and %d submits", sum, len(slow.submits), len(lacks.submits))
		}
	})
}

// counting is a remote that tells how many jobs wait and run.
type counting struct {
	*fakeEnd
	asked int
	fail  *scheduler.Error
}

func (e *counting) Stats(ctx context.Context) (scheduler.Stats, error) {
	if err := e.wait(ctx); err != nil {
		return scheduler.Stats{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if e.fail != nil {
		return scheduler.Stats{}, e.fail
	}
	s := scheduler.Stats{Completed: -1, Failed: -1}
	now := time.Now()
	for _, j := range e.jobs {
		switch {
		case j.state == scheduler.Cancelled || !now.Before(j.end):
		case now.Before(j.from):
			s.Queued++
		default:
			s.Running++
		}
	}
	return s, nil
}

// Counts are asked for at their pace, and all ends are noticed.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &counting{fakeEnd: newEnd("a", 1)}
		end.work = time.Minute
		sum := mustRun(t, &fakeWork{n: 40}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || end.asked < 10 || end.asked > int(sum.Elapsed/(2*time.Second))+1 {
			t.Errorf("asked %d times in %v", end.asked, sum.Elapsed)
		}
	})
}

// An endpoint that has no counts after all is not asked again; one whose call failed, seldom.
func TestCountsThatFail(t *testing.T) {
	for kind, most := range map[scheduler.Kind]int{scheduler.Rejected: 1, scheduler.Transient: 11} {
		synctest.Test(t, func(t *testing.T) {
			end := &counting{fakeEnd: newEnd("a", 1)}
			end.work, end.fail = 10*time.Minute, end.trouble(kind, "no")
			if sum := mustRun(t, &fakeWork{n: 20}, []scheduler.Endpoint{end}, &store.Memory{}, &fakeSink{}, scheduler.Options{}); !sum.AllDone() || end.asked > most || end.asked == 0 {
				t.Errorf("%v: asked %d times in %v", kind, end.asked, sum.Elapsed)
			}
		})
	}
}
