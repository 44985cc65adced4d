package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// records gives what the store knows, by state.
func records(t *testing.T, st scheduler.Store) (list []scheduler.Record, counts scheduler.Counts) {
	t.Helper()
	for rec, err := range st.Records(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		counts[rec.State]++
		list = append(list, rec)
	}
	return list, counts
}

func ends(list ...*fakeEnd) (out []scheduler.Endpoint) {
	for _, e := range list {
		out = append(out, e)
	}
	return out
}

func mustRun(t *testing.T, work scheduler.Work, list []scheduler.Endpoint, st scheduler.Store, sink scheduler.Sink, opts scheduler.Options) scheduler.Summary {
	t.Helper()
	sum, err := scheduler.Run(context.Background(), work, list, st, sink, opts)
	if err != nil {
		t.Fatalf("%v\n%+v", err, sum)
	}
	return sum
}

func TestRunAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work, end, st, sink := &fakeWork{n: 100}, newEnd("a", 1), &store.Memory{}, &fakeSink{}
		var events []scheduler.Event
		begin := time.Now()
		sum := mustRun(t, work, ends(end), st, sink, scheduler.Options{OnEvent: func(e scheduler.Event) { events = append(events, e) }})
		if !sum.AllDone() || sum.Attempts != 100 || len(end.jobs) != 100 || end.mostBusy > 20 {
			t.Errorf("%+v, %d jobs, at most %d at once", sum, len(end.jobs), end.mostBusy)
		}
		if took := time.Since(begin); took < 10*time.Second || took > 14*time.Second {
			t.Errorf("100 jobs of 2 s, 20 at once, took %v", took)
		}
		if end.polls > 300 {
			t.Errorf("%d polls for 100 jobs", end.polls)
		}
		if want := 0.2; sum.SpentUSD < want*0.999 || sum.SpentUSD > want*1.001 {
			t.Errorf("spent %v, want %v", sum.SpentUSD, want)
		}
		list, _ := records(t, st)
		for i, rec := range list {
			if rec.Render != i || rec.State != scheduler.Done || len(rec.Files) != 1 || rec.Endpoint != "a" || rec.Remote == "" || rec.Attempts != 1 || rec.CostUSD == nil {
				t.Fatalf("record %d is %+v", i, rec)
			}
		}
		checkEvents(t, events, 100)

		again := mustRun(t, work, ends(end), st, sink, scheduler.Options{})
		if again.Kept != 100 || again.Attempts != 0 || !again.AllDone() || len(end.jobs) != 100 {
			t.Errorf("the second run: %+v", again)
		}
	})
}

// checkEvents holds that every render was told to be active and then done, and that the last event has the totals.
func checkEvents(t *testing.T, events []scheduler.Event, n int) {
	t.Helper()
	seen := map[int]scheduler.RenderState{}
	for _, e := range events {
		if e.Render != nil {
			if from := seen[e.Render.Index]; e.Render.State != from+1 {
				t.Errorf("render %d went from %v to %v", e.Render.Index, from, e.Render.State)
			}
			seen[e.Render.Index] = e.Render.State
		}
	}
	last := events[len(events)-1].Totals
	if len(seen) != n || last == nil || last.Done != n || last.Active != 0 || last.SpentUSD == 0 || last.ReservedUSD > 1e-9 {
		t.Errorf("%d renders seen, the last event is %+v", len(seen), last)
	}
}

func TestPreflight(t *testing.T) {
	unauthorized := &scheduler.Error{Kind: scheduler.Unauthorized, Endpoint: "a", Op: "check", Message: "the key is not accepted"}
	refused := &scheduler.Error{Kind: scheduler.Unreachable, Endpoint: "b", Op: "check", Message: "connection refused"}
	synctest.Test(t, func(t *testing.T) {
		a, b := newEnd("a", 1), newEnd("b", 2)
		a.check, b.check = unauthorized, refused
		st, begin := &store.Memory{}, time.Now()
		sum, err := scheduler.Run(context.Background(), &fakeWork{n: 5}, ends(a, b), st, &fakeSink{}, scheduler.Options{})
		var unusable *scheduler.UnusableError
		if !errors.As(err, &unusable) || len(unusable.Endpoints) != 2 || sum.Attempts != 0 || sum.Counts[scheduler.Waiting] != 5 {
			t.Errorf("%v, %+v", err, sum)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %v to say so", took)
		}
		if want := "no endpoint can be used: a: the key is not accepted; b: connection refused"; err == nil || err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
	synctest.Test(t, func(t *testing.T) { // one that works is enough, and the refusing one is tried again later
		a, b := newEnd("a", 1), newEnd("b", 2)
		b.check = refused
		sum := mustRun(t, &fakeWork{n: 100}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || len(b.jobs) == 0 {
			t.Errorf("%+v, %d jobs on b", sum, len(b.jobs))
		}
	})
}

func TestRetries(t *testing.T) {
	for _, tc := range []struct {
		name    string
		faults  faults
		retries int
		done    bool
		tries   int // submissions that were taken
	}{
		{"worker fails", faults{jobFails: 1}, 2, false, 3},
		{"no retries", faults{jobFails: 1}, 0, false, 1},
		{"lost", faults{gone: 1}, 1, false, 2},
		{"partial", faults{partial: 1}, 3, false, 4},
		{"refused by 500", faults{submit500: 1}, 1, false, 0},
		{"out of memory, and no other GPU", faults{outOfMemory: 1}, 5, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := newEnd("a", 1)
				end.faults = tc.faults
				sum := mustRun(t, &fakeWork{n: 1}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: tc.retries})
				if sum.AllDone() != tc.done || end.taken[0] != tc.tries {
					t.Errorf("%+v, taken %d times", sum, end.taken[0])
				}
				if !tc.done && (len(sum.Failures) != 1 || sum.Failures[0].Reason == "" || sum.Failures[0].Endpoint != "a") {
					t.Errorf("failures: %+v", sum.Failures)
				}
			})
		})
	}
}

func TestElsewhereFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := newEnd("bad", 1), newEnd("good", 2)
		bad.faults.jobFails = 1
		*good.props.Price = 0.1 // dearer, so bad is asked first
		sum := mustRun(t, &fakeWork{n: 10}, ends(bad, good), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: 1, Objective: scheduler.Cheapest})
		if !sum.AllDone() || len(bad.jobs) != 10 || len(good.jobs) != 10 {
			t.Errorf("%+v, %d and %d jobs", sum, len(bad.jobs), len(good.jobs))
		}
	})
}

func TestMissingModelGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newEnd("a", 1), newEnd("b", 2)
		*b.props.Price = 0.1
		a.reject = map[int]*scheduler.Error{}
		for i := range 200 {
			a.reject[i] = a.trouble(scheduler.MissingModel, "no flux.safetensors here")
		}
		sum := mustRun(t, &fakeWork{n: 200}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{Objective: scheduler.Cheapest})
		if !sum.AllDone() || len(a.submits) > 16 {
			t.Errorf("%+v, %d submits to the endpoint without the model", sum, len(a.submits))
		}
	})
}

func TestUnfitEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newEnd("a", 1), newEnd("b", 2)
		a.props.Supports = func(class string) string {
			if class == "FluxGuidance" {
				return "its worker image lacks FluxGuidance"
			}
			return ""
		}
		b.props.Limits.JobBytes = 4
		sum := mustRun(t, &fakeWork{n: 1, classes: []string{"FluxGuidance"}}, ends(a, b), &store.Memory{}, &fakeSink{}, scheduler.Options{})
		want := "no endpoint can run it: a: its worker image lacks FluxGuidance; b: the job has 0.0 MiB, and it takes at most 0.0"
		if len(sum.Failures) != 1 || sum.Failures[0].Reason != want || sum.Attempts != 0 {
			t.Errorf("%+v", sum)
		}
	})
}

func TestUncertain(t *testing.T) {
	for _, policy := range []scheduler.Policy{scheduler.Hold, scheduler.Resubmit} {
		synctest.Test(t, func(t *testing.T) {
			end, st := newEnd("a", 1), &store.Memory{}
			end.faults.lostTaken = 0.2
			sum := mustRun(t, &fakeWork{n: 30}, ends(end), st, &fakeSink{}, scheduler.Options{Uncertain: policy, Retries: 20})
			held := len(end.unclear)
			if policy == scheduler.Resubmit {
				if !sum.AllDone() || sum.StakeUSD != 0 {
					t.Errorf("%+v", sum)
				}
				return
			}
			if held == 0 || len(sum.Held) != held || sum.Counts[scheduler.Held] != held || sum.Counts[scheduler.Done] != 30-held || sum.StakeUSD == 0 {
				t.Fatalf("%d unclear, %+v", held, sum)
			}
			for _, h := range sum.Held {
				if end.unclear[h.Render] != 1 || h.StakeUSD == nil || end.taken[h.Render] != 1 {
					t.Errorf("held: %+v, taken %d times", h, end.taken[h.Render])
				}
			}
			end.faults = faults{}
			if sum = mustRun(t, &fakeWork{n: 30}, ends(end), st, &fakeSink{}, scheduler.Options{}); len(sum.Held) != held || sum.Attempts != 0 {
				t.Errorf("a second run without the user's word: %+v", sum)
			}
			sum = mustRun(t, &fakeWork{n: 30}, ends(end), st, &fakeSink{}, scheduler.Options{ResubmitUncertain: true})
			if !sum.AllDone() || sum.Attempts != held {
				t.Errorf("sent again: %+v", sum)
			}
		})
	}
}

func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("a", 1), &store.Memory{}
		end.work = time.Minute
		end.reject = map[int]*scheduler.Error{3: end.trouble(scheduler.Rejected, "value_not_in_list")}
		sum := mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{FailFast: true})
		if sum.Stopped != scheduler.StopFailFast || sum.Counts[scheduler.RenderFailed] != 1 || sum.Counts[scheduler.Done] != 0 || sum.Counts[scheduler.Active] != 0 || end.busy != 0 {
			t.Errorf("%+v, %d jobs still busy", sum, end.busy)
		}
		end.reject = nil
		if sum = mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{}); sum.Counts[scheduler.Done] != 99 || len(sum.Failures) != 1 {
			t.Errorf("the next run: %+v", sum)
		}
		if sum = mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{RetryFailed: true}); !sum.AllDone() || sum.Attempts != 1 {
			t.Errorf("the failed again: %+v", sum)
		}
	})
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st, cap := newEnd("a", 1), &store.Memory{}, 0.1
		opts := scheduler.Options{Budget: &cap, Expect: nil}
		sum := mustRun(t, &fakeWork{n: 1000}, ends(end), st, &fakeSink{}, opts)
		if sum.Stopped != scheduler.StopBudget || sum.SpentUSD > cap+1e-9 || end.paid*0.001 > cap+1e-9 || sum.Counts[scheduler.Done] < 40 {
			t.Errorf("%+v, really paid $%.4f", sum, end.paid*0.001)
		}
		if sum = mustRun(t, &fakeWork{n: 1000}, ends(end), st, &fakeSink{}, opts); sum.SpentUSD > cap+1e-9 {
			t.Errorf("the cap holds over runs: %+v", sum)
		}
		end.props.Price = nil
		_, err := scheduler.Run(context.Background(), &fakeWork{n: 1}, ends(end), st, &fakeSink{}, opts)
		var config *scheduler.ConfigError
		if !errors.As(err, &config) || config.Code != "unknown_price" {
			t.Errorf("an unknown price: %v", err)
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("a", 1), &store.Memory{}
		end.work = 10 * time.Second
		opts := scheduler.Options{Deadline: 25 * time.Second}
		sum := mustRun(t, &fakeWork{n: 1000}, ends(end), st, &fakeSink{}, opts)
		if sum.Stopped != scheduler.StopDeadline || sum.Counts[scheduler.Done] != 60 || sum.Elapsed > 36*time.Second {
			t.Errorf("%+v", sum)
		}
		if sum = mustRun(t, &fakeWork{n: 1000}, ends(end), st, &fakeSink{}, opts); sum.Attempts != 0 || sum.Stopped != scheduler.StopDeadline {
			t.Errorf("it counts from the first start: %+v", sum)
		}
	})
}

func TestMaxParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newEnd("a", 1), newEnd("b", 2)
		most, now := 0, 0
		opts := scheduler.Options{MaxParallel: 5, OnEvent: func(e scheduler.Event) {
			if e.Totals != nil {
				now = e.Totals.InFlight
				most = max(most, now)
			}
		}}
		sum := mustRun(t, &fakeWork{n: 60}, ends(a, b), &store.Memory{}, &fakeSink{}, opts)
		if !sum.AllDone() || most > 5 || a.mostBusy > 5 || b.mostBusy > 5 || len(a.jobs)+len(b.jobs) != 60 {
			t.Errorf("%+v, at most %d, %d and %d", sum, most, a.mostBusy, b.mostBusy)
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.props.Limits.SubmitPer10s, end.props.Limits.InFlight, end.work = 40, 1000, 0
		sum := mustRun(t, &fakeWork{n: 200}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() {
			t.Fatalf("%+v", sum)
		}
		for i, at := range end.submits {
			inWindow := 0
			for _, later := range end.submits[i:] {
				if later.Sub(at) < 10*time.Second {
					inWindow++
				}
			}
			if inWindow > 40 {
				t.Fatalf("%d submits in the 10 s from %v", inWindow, at)
			}
		}
		if sum.Elapsed > 55*time.Second {
			t.Errorf("200 submits at 40 per 10 s took %v", sum.Elapsed)
		}
	})
}

func TestInterrupt(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			end, st := newEnd("a", 1), &store.Memory{}
			end.work = time.Minute
			ctx, cancel := context.WithTimeout(context.Background(), 70*time.Second)
			defer cancel()
			sum, err := scheduler.Run(ctx, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{LeaveOnInterrupt: leave})
			if err != nil || sum.Stopped != scheduler.StopInterrupted || sum.Counts[scheduler.Done] != 20 {
				t.Fatalf("%v, %+v", err, sum)
			}
			if leave && (end.cancels != 0 || len(sum.Left) != 20 || sum.Counts[scheduler.Active] != 20) || !leave && (end.busy != 0 || sum.Counts[scheduler.RenderCancelled] != 20) {
				t.Errorf("leave %v: %d cancels, %+v", leave, end.cancels, sum)
			}
			if sum.Elapsed > 75*time.Second {
				t.Errorf("it took %v", sum.Elapsed)
			}
			sum = mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{})
			want := map[bool]int{false: 120, true: 100}[leave]
			if !sum.AllDone() || len(end.jobs) != want {
				t.Errorf("leave %v: %d jobs in all, want %d; %+v", leave, len(end.jobs), want, sum)
			}
		})
	}
}

// An endpoint that neither answers cancels nor polls does not keep a run from ending.
func TestInterruptOfADeadEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("a", 1), &store.Memory{}
		end.work = time.Minute
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		end.hangs = func() bool { return ctx.Err() != nil }
		sum, err := scheduler.Run(ctx, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{Grace: 5 * time.Second})
		if err != nil || len(sum.Left) != 20 || sum.Counts[scheduler.Active] != 20 || sum.Elapsed > 16*time.Second {
			t.Errorf("%v, %+v", err, sum)
		}
		end.hangs = nil
		if sum = mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{}); !sum.AllDone() || len(end.jobs) != 100 {
			t.Errorf("%+v, %d jobs", sum, len(end.jobs))
		}
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, begin := newEnd("a", 1), time.Now()
		end.down = func() *scheduler.Error {
			if since := time.Since(begin); since > 5*time.Second && since < 5*time.Minute {
				return end.trouble(scheduler.Transient, "503")
			}
			return nil
		}
		sum := mustRun(t, &fakeWork{n: 100}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: 3})
		if !sum.AllDone() || len(end.submits) > 180 {
			t.Errorf("%+v, %d submits", sum, len(end.submits))
		}
	})
	synctest.Test(t, func(t *testing.T) { // for ever
		end, st, begin := newEnd("a", 1), &store.Memory{}, time.Now()
		end.down = func() *scheduler.Error {
			if time.Since(begin) > 5*time.Second {
				return end.trouble(scheduler.Transient, "503")
			}
			return nil
		}
		sum, err := scheduler.Run(context.Background(), &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{Retries: 3})
		var unusable *scheduler.UnusableError
		if !errors.As(err, &unusable) || len(sum.Left) == 0 || sum.Counts[scheduler.Active] != len(sum.Left) || sum.Elapsed > 17*time.Minute {
			t.Errorf("%v, %+v", err, sum)
		}
		end.down = nil
		if sum = mustRun(t, &fakeWork{n: 100}, ends(end), st, &fakeSink{}, scheduler.Options{RetryFailed: true}); !sum.AllDone() {
			t.Errorf("after the outage: %+v", sum)
		}
		for i, n := range end.taken {
			if n != 1 {
				t.Errorf("render %d was taken %d times", i, n)
			}
		}
	})
}

func TestHangingJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.faults.never = 0.1
		sum := mustRun(t, &fakeWork{n: 50}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{Retries: 5, Timeout: 10 * time.Minute})
		if !sum.AllDone() || len(end.jobs) == 50 || end.cancels == 0 {
			t.Errorf("%+v, %d jobs, %d cancels", sum, len(end.jobs), end.cancels)
		}
	})
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, sink, st, begin := newEnd("a", 1), &fakeSink{}, &store.Memory{}, time.Now()
		full := errors.New("no space left on device")
		sink.fail = func() error {
			if since := time.Since(begin); since > 3*time.Second && since < 90*time.Second {
				return full
			}
			return nil
		}
		sum := mustRun(t, &fakeWork{n: 100}, ends(end), st, sink, scheduler.Options{})
		if !sum.AllDone() || len(end.jobs) != 100 {
			t.Errorf("%+v, %d jobs", sum, len(end.jobs))
		}
		for _, at := range end.submits {
			if since := at.Sub(begin); since > 8*time.Second && since < 90*time.Second {
				t.Errorf("a submit %v after the start, while the disk was full", since)
			}
		}
		sink.fail = func() error { return full }
		sum, err := scheduler.Run(context.Background(), &fakeWork{n: 200}, ends(end), st, sink, scheduler.Options{})
		if !errors.Is(err, full) || sum.Stopped != scheduler.StopSink || len(sum.Left) == 0 {
			t.Errorf("%v, %+v", err, sum)
		}
		sink.fail = nil
		if sum = mustRun(t, &fakeWork{n: 200}, ends(end), st, sink, scheduler.Options{}); !sum.AllDone() || len(end.jobs) != 200 {
			t.Errorf("with room again: %+v, %d jobs", sum, len(end.jobs))
		}
	})
}

func TestEditedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("a", 1), &store.Memory{}
		mustRun(t, &fakeWork{n: 20}, ends(end), st, &fakeSink{}, scheduler.Options{})
		// The order is turned round, one render is new, one is gone.
		edited := &fakeWork{n: 20, renames: map[int]string{0: "new"}}
		for i := 1; i < 20; i++ {
			edited.renames[i] = "render " + strconv.Itoa(20-i)
		}
		sum := mustRun(t, edited, ends(end), st, &fakeSink{}, scheduler.Options{})
		if !sum.AllDone() || sum.Kept != 19 || sum.Attempts != 1 {
			t.Errorf("%+v", sum)
		}
		list, _ := records(t, st)
		if len(list) != 21 || list[0].Render != -1 {
			t.Fatalf("%d records, the first is %+v", len(list), list[0])
		}
		for i, rec := range list[1:] {
			if rec.Render != i || rec.ID != edited.RenderID(i) {
				t.Errorf("record %d is of render %d", i, rec.Render)
			}
		}
		if sum = mustRun(t, &fakeWork{n: 20}, ends(end), st, &fakeSink{}, scheduler.Options{}); sum.Kept != 20 || !sum.AllDone() {
			t.Errorf("back to the first plan, nothing is forgotten: %+v", sum)
		}
	})
}

func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, st := newEnd("a", 1), &store.Memory{}
		mustRun(t, &fakeWork{n: 10}, ends(end), st, &fakeSink{}, scheduler.Options{})
		sum := mustRun(t, &fakeWork{n: 10}, ends(end), st, &fakeSink{}, scheduler.Options{Keep: func(r scheduler.Record) bool { return r.Render != 4 }})
		if !sum.AllDone() || sum.Kept != 9 || sum.Attempts != 1 || end.taken[4] != 2 {
			t.Errorf("%+v", sum)
		}
	})
}

func TestPreviewIsNeverMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drawn, real, st := newEnd("preview", 1), newEnd("a", 2), &store.Memory{}
		drawn.props.Preview, drawn.props.Price = true, nil
		if _, err := scheduler.Run(context.Background(), &fakeWork{n: 3}, ends(drawn, real), st, &fakeSink{}, scheduler.Options{}); err == nil {
			t.Error("both kinds in one run")
		}
		mustRun(t, &fakeWork{n: 3}, ends(drawn), st, &fakeSink{}, scheduler.Options{})
		if sum := mustRun(t, &fakeWork{n: 3}, ends(drawn), st, &fakeSink{}, scheduler.Options{}); sum.Kept != 3 {
			t.Errorf("previews are kept for previews: %+v", sum)
		}
		if sum := mustRun(t, &fakeWork{n: 3}, ends(real), st, &fakeSink{}, scheduler.Options{}); sum.Kept != 0 || len(real.jobs) != 3 {
			t.Errorf("a preview was taken for a render: %+v", sum)
		}
	})
}

// A job on an endpoint that this run does not have is neither lost nor paid for twice.
func TestEndpointLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, st := newEnd("a", 1), newEnd("b", 2), &store.Memory{}
		a.work = time.Minute
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := scheduler.Run(ctx, &fakeWork{n: 10}, ends(a), st, &fakeSink{}, scheduler.Options{LeaveOnInterrupt: true}); err != nil {
			t.Fatal(err)
		}
		sum := mustRun(t, &fakeWork{n: 12}, ends(b), st, &fakeSink{}, scheduler.Options{})
		if len(sum.Held) != 10 || sum.Counts[scheduler.Done] != 2 {
			t.Errorf("%+v", sum)
		}
		sum = mustRun(t, &fakeWork{n: 12}, ends(b), st, &fakeSink{}, scheduler.Options{Collect: ends(a, b)})
		if !sum.AllDone() || len(a.jobs) != 10 || len(b.jobs) != 2 {
			t.Errorf("%+v, %d and %d jobs", sum, len(a.jobs), len(b.jobs))
		}
	})
}

func TestPanicComesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.before = func(*compiler.Job) { panic("a bug") }
		defer func() {
			if v := recover(); v != "a bug" {
				t.Errorf("recovered %v", v)
			}
		}()
		scheduler.Run(context.Background(), &fakeWork{n: 3}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{})
	})
}

func TestObjectives(t *testing.T) {
	for _, tc := range []struct {
		objective scheduler.Objective
		check     func(slow, fast int) bool
	}{
		{scheduler.Cheapest, func(slow, fast int) bool { return slow == 200 && fast == 0 }},
		{scheduler.Fastest, func(slow, fast int) bool { return fast > slow && slow > 0 }},
		{scheduler.Balanced, func(slow, fast int) bool { return fast > 0 && slow > 0 }},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow, fast := newEnd("4090", 1), newEnd("h100", 2)
			slow.work, fast.work = 14*time.Second, 5*time.Second
			*slow.props.Price, *fast.props.Price = 0.00031, 0.00116
			fast.props.GPU = "h100"
			expect := func(p scheduler.Properties, _ *compiler.Job) time.Duration {
				return map[string]time.Duration{"4090": 14 * time.Second, "h100": 5 * time.Second}[p.Name]
			}
			sum := mustRun(t, &fakeWork{n: 200}, ends(slow, fast), &store.Memory{}, &fakeSink{}, scheduler.Options{Objective: tc.objective, Expect: expect})
			if !sum.AllDone() || !tc.check(len(slow.jobs), len(fast.jobs)) {
				t.Errorf("%s: %d jobs on the slow, %d on the fast", tc.objective, len(slow.jobs), len(fast.jobs))
			}
		})
	}
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := newEnd("a", 1)
		end.props.Limits.InFlight = 1
		mustRun(t, &fakeWork{n: 30}, ends(end), &store.Memory{}, &fakeSink{}, scheduler.Options{})
		if !slices.IsSorted(end.order) {
			t.Errorf("taken in the order %v", end.order)
		}
	})
}

// `cheapest` also renders what the cheapest endpoint cannot, on the one that can, and nothing else there.
func TestCheapestCoversAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cheap, dear := newEnd("cheap", 1), newEnd("dear", 2)
		*dear.props.Price = 0.01
		dear.props.GPU = "h100"
		cheap.reject = map[int]*scheduler.Error{}
		for i := range 5 {
			cheap.reject[10*i] = cheap.trouble(scheduler.OutOfMemory, "CUDA out of memory")
		}
		sum := mustRun(t, &fakeWork{n: 60}, ends(cheap, dear), &store.Memory{}, &fakeSink{}, scheduler.Options{Objective: scheduler.Cheapest, Retries: 3, Fuse: 1})
		if !sum.AllDone() || len(dear.jobs) != 5 || len(cheap.jobs) != 55 {
			t.Errorf("%+v, %d and %d jobs", sum, len(cheap.jobs), len(dear.jobs))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cheap, dear := newEnd("cheap", 1), newEnd("dear", 2)
		*dear.props.Price = 0.01
		cheap.props.Supports = func(class string) string {
			if class == "B" {
				return "it has no node B"
			}
			return ""
		}
		work := &twoKinds{fakeWork{n: 60}}
		sum := mustRun(t, work, ends(cheap, dear), &store.Memory{}, &fakeSink{}, scheduler.Options{Objective: scheduler.Cheapest, Fuse: 1})
		if !sum.AllDone() || len(dear.jobs) != 20 || len(cheap.jobs) != 40 {
			t.Errorf("%+v, %d and %d jobs", sum, len(cheap.jobs), len(dear.jobs))
		}
	})
}

// twoKinds is a plan in which every third render has another node class.
type twoKinds struct{ fakeWork }

func (w *twoKinds) Job(renders ...int) (*compiler.Job, error) {
	job, err := w.fakeWork.Job(renders...)
	if job.Classes = []string{"A"}; renders[0]%3 == 0 {
		job.Classes = []string{"B"}
	}
	return job, err
}
