package scheduler_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// tenSeconds is what a job is said to take; a forecast takes two thirds of it at best and three halves at worst.
func tenSeconds(scheduler.Properties, *compiler.Job) time.Duration { return 10 * time.Second }

// hosted is an endpoint of one worker that starts in a minute and stops after five seconds, for 0.001 USD a second.
func hosted(name string) scheduler.Properties {
	price := 0.001
	return scheduler.Properties{Name: name, Type: "runpod", GPU: "rtx4090", Price: &price, Limits: newEnd(name, 1).props.Limits,
		Workers: compiler.Workers{Max: 1, Concurrency: 1, ColdStart: time.Minute, IdleTimeout: 5 * time.Second}}
}

// about holds a range against numbers worked out by hand; calls and the last poll may add 3 s.
func about(t *testing.T, what string, got compiler.Range, low, high, slack float64) {
	t.Helper()
	low, high, slack = low-1e-6, high-1e-6, slack+2e-6
	if got.Low < low || got.Low > low+slack || got.High < high || got.High > high+slack {
		t.Errorf("%s: %.3f to %.3f, want %.3f to %.3f", what, got.Low, got.High, low, high)
	}
}

// Twelve jobs one after the other take 80 to 180 s of work, after a minute's start, and the worker idles for 5 s.
func TestForecastByHand(t *testing.T) {
	f, err := scheduler.ForecastRun(&fakeWork{n: 12}, nil, []scheduler.Properties{hosted("a")}, scheduler.Options{Expect: tenSeconds, Fuse: 1})
	if err != nil {
		t.Fatal(err)
	}
	about(t, "seconds until the end", f.Seconds, 60+80, 60+180, 4)
	e := f.Endpoints[0]
	about(t, "renders", e.Renders, 12, 12, 0)
	about(t, "jobs", e.Jobs, 12, 12, 0)
	about(t, "workers", e.Workers, 1, 1, 0)
	about(t, "paid seconds", e.Seconds, 60+80+5, 60+180+5, 4)
	about(t, "dollars", e.USD, 0.145, 0.245, 0.004)
	about(t, "dollars of all", f.USD, 0.145, 0.245, 0.004)
	if f.Unpriced || !f.Deadline || len(e.Why) != 2 || !strings.Contains(e.Why[1], "which is paid for too: 1") {
		t.Errorf("%+v", f)
	}
}

// A server of one's own has no start and no price.
func TestForecastOfOnesOwn(t *testing.T) {
	own := hosted("own")
	own.Type, own.Price, own.Workers = "comfyui", nil, compiler.Workers{Min: 1, Max: 1}
	f, err := scheduler.ForecastRun(&fakeWork{n: 12}, nil, []scheduler.Properties{own}, scheduler.Options{Expect: tenSeconds, Fuse: 1})
	if err != nil {
		t.Fatal(err)
	}
	about(t, "seconds", f.Seconds, 80, 180, 4)
	if !f.Unpriced || f.USD.High != 0 {
		t.Errorf("%+v", f)
	}
}

// Of more renders than are simulated, each simulated one stands for several: the work is the same.
func TestForecastOfMany(t *testing.T) {
	f, err := scheduler.ForecastRun(&fakeWork{n: 12000}, nil, []scheduler.Properties{hosted("a")}, scheduler.Options{Expect: tenSeconds, Fuse: 1})
	if err != nil {
		t.Fatal(err)
	}
	e := f.Endpoints[0]
	about(t, "renders", e.Renders, 12000, 12000, 0)
	if low, high := e.Seconds.Low/80000, e.Seconds.High/180000; math.Abs(low-1) > 0.02 || math.Abs(high-1) > 0.02 {
		t.Errorf("%.0f to %.0f paid seconds, want about 80000 to 180000", e.Seconds.Low, e.Seconds.High)
	}
}

// Merged renders are counted as jobs, also where each simulated one stands for several: 10 s each, so 4 go together as asked.
func TestForecastOfMerged(t *testing.T) {
	for _, n := range []int{200, 4000} {
		f, err := scheduler.ForecastRun(&fakeWork{n: n}, nil, []scheduler.Properties{hosted("a")}, scheduler.Options{Expect: tenSeconds, Fuse: 4})
		if err != nil {
			t.Fatal(err)
		}
		e := f.Endpoints[0]
		about(t, "renders", e.Renders, float64(n), float64(n), 0)
		about(t, "jobs", e.Jobs, float64(n)/4, float64(n)/4, float64(n)/200)
		about(t, "renders in a job", e.PerJob, 3.9, 3.9, 0.1)
	}
}

// What is done is not counted, and only what is left is looked at.
func TestForecastOfTheRest(t *testing.T) {
	seen := map[int]bool{}
	work := &watchedWork{fakeWork{n: 100}, seen}
	f, err := scheduler.ForecastRun(work, func(i int) bool { return i < 60 }, []scheduler.Properties{hosted("a")}, scheduler.Options{Expect: tenSeconds, Fuse: 1})
	if err != nil {
		t.Fatal(err)
	}
	about(t, "renders", f.Endpoints[0].Renders, 40, 40, 0)
	for i := range seen {
		if i < 60 {
			t.Errorf("render %d is done, and was looked at", i)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d of 40 were looked at", len(seen))
	}
}

// watchedWork notes of which renders jobs were built.
type watchedWork struct {
	fakeWork
	seen map[int]bool
}

func (w *watchedWork) Job(renders ...int) (*compiler.Job, error) {
	for _, i := range renders {
		w.seen[i] = true
	}
	return w.fakeWork.Job(renders...)
}

// Whether a deadline is met is judged by the bad end.
func TestForecastOfADeadline(t *testing.T) {
	for deadline, met := range map[time.Duration]bool{100 * time.Second: false, 200 * time.Second: false, 10 * time.Minute: true} {
		f, err := scheduler.ForecastRun(&fakeWork{n: 12}, nil, []scheduler.Properties{hosted("a")},
			scheduler.Options{Expect: tenSeconds, Fuse: 1, Objective: scheduler.Cheapest, Deadline: deadline})
		if err != nil || f.Deadline != met {
			t.Errorf("%v: %+v, %v", deadline, f, err)
		}
	}
}

// For the lowest bill the dear endpoint gets nothing, and the forecast says why.
func TestForecastOfTwo(t *testing.T) {
	dear := hosted("dear")
	ten := 0.01
	dear.Price = &ten
	f, err := scheduler.ForecastRun(&fakeWork{n: 12}, nil, []scheduler.Properties{dear, hosted("a")},
		scheduler.Options{Expect: tenSeconds, Fuse: 1, Objective: scheduler.Cheapest})
	if err != nil {
		t.Fatal(err)
	}
	if d := f.Endpoints[0]; d.Renders.High != 0 || d.USD.High != 0 || d.Why[0] != "not used: a render costs less elsewhere" {
		t.Errorf("%+v", d)
	}
	about(t, "dollars", f.USD, 0.145, 0.245, 0.01)
}

// With nothing left to do there is nothing to say.
func TestForecastOfNothing(t *testing.T) {
	if f, err := scheduler.ForecastRun(&fakeWork{}, nil, []scheduler.Properties{hosted("a")}, scheduler.Options{}); err != nil || !f.Deadline || len(f.Endpoints) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
