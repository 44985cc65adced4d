package scheduler_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// world is a drawn batch with drawn faults.
type world struct {
	work   *fakeWork
	ends   []*fakeEnd
	sink   *fakeSink
	opts   scheduler.Options
	stop   time.Duration // when the first run is interrupted; 0: never
	orders []order       // given to the first run
	finds  bool          // the endpoints can be asked about lost answers
}

// order is something that somebody asks of a run while it goes on.
type order struct {
	at   time.Duration
	what string
	ints []int
}

func (o order) give(c *scheduler.Control) {
	switch o.what {
	case "pause":
		c.Pause()
		after(30*time.Second, c.Resume)
	case "cancel":
		c.Cancel(o.ints...)
	case "priority":
		c.Priority(o.ints[0]-5, o.ints...)
	case "drain":
		c.Drain()
	case "hint":
		c.Hint(scheduler.Hint{Endpoint: "e0", Remote: fmt.Sprint("e0-", o.ints[0]), State: scheduler.Completed})
		c.Hint(scheduler.Hint{Token: "nobody's", Remote: "x"})
	}
}

func drawOrders(t *rapid.T, n int) (list []order) {
	for range rapid.IntRange(0, 4).Draw(t, "orders") {
		list = append(list, order{time.Duration(rapid.IntRange(0, 30000).Draw(t, "at")) * time.Millisecond,
			rapid.SampledFrom([]string{"pause", "cancel", "priority", "hint", "hint", "drain"}).Draw(t, "order"),
			rapid.SliceOfN(rapid.IntRange(0, n+1), 1, 5).Draw(t, "renders")})
	}
	return list
}

func drawWorld(t *rapid.T) func() *world {
	odds := func(name string) float64 {
		return rapid.SampledFrom([]float64{0, 0, 0, 0.05, 0.3}).Draw(t, name)
	}
	n := rapid.IntRange(1, 60).Draw(t, "renders")
	count := rapid.IntRange(1, 3).Draw(t, "endpoints")
	var all []faults
	var limits []int
	var lags []time.Duration
	for range count {
		all = append(all, faults{submit500: odds("500"), submit429: odds("429"), refused: odds("refused"), lostTaken: odds("lost, taken"), lostUntaken: odds("lost"),
			poll500: odds("poll 500"), gone: odds("gone"), jobFails: odds("job fails"), outOfMemory: odds("out of memory"), partial: odds("partial"),
			unknown: odds("unknown status"), never: odds("never ends"), cancel500: odds("cancel 500")})
		limits = append(limits, rapid.IntRange(1, 30).Draw(t, "in flight"))
		lags = append(lags, time.Duration(rapid.IntRange(0, 300).Draw(t, "lag"))*time.Millisecond)
	}
	opts := scheduler.Options{Retries: rapid.IntRange(0, 4).Draw(t, "retries"), Seed: rapid.Uint64().Draw(t, "seed"), Fuse: rapid.SampledFrom([]int{0, 1, 2, 3, 8, 64}).Draw(t, "fuse"), Timeout: 10 * time.Minute, Patience: 12 * time.Hour,
		Objective:        rapid.SampledFrom([]scheduler.Objective{"", scheduler.Cheapest, scheduler.Fastest, scheduler.Balanced}).Draw(t, "objective"),
		Uncertain:        rapid.SampledFrom([]scheduler.Policy{"", scheduler.Resubmit}).Draw(t, "uncertain"),
		FailFast:         rapid.IntRange(0, 5).Draw(t, "fail-fast") == 0,
		LeaveOnInterrupt: rapid.Bool().Draw(t, "leave"),
		MaxParallel:      rapid.SampledFrom([]int{0, 1, 7}).Draw(t, "max-parallel")}
	if rapid.IntRange(0, 3).Draw(t, "with a budget") == 0 {
		usd := rapid.Float64Range(0.001, 0.3).Draw(t, "budget")
		opts.Budget = &usd
	}
	var stop time.Duration
	if rapid.IntRange(0, 2).Draw(t, "with an interrupt") == 0 {
		stop = time.Duration(rapid.IntRange(0, 60000).Draw(t, "interrupt")) * time.Millisecond
	}
	silent, finds := rapid.Bool().Draw(t, "silent"), rapid.Bool().Draw(t, "finds")
	opts.Hedge = rapid.SampledFrom([]scheduler.Hedge{"", scheduler.HedgeAuto}).Draw(t, "hedge")
	var orders []order
	if rapid.Bool().Draw(t, "with orders") {
		orders = drawOrders(t, n)
	}
	if rapid.IntRange(0, 5).Draw(t, "with a deadline") == 0 {
		opts.Deadline = time.Duration(rapid.IntRange(1, 200).Draw(t, "deadline")) * time.Second
	}
	return func() *world { // within the bubble, as it holds times
		w := &world{work: &fakeWork{n: n}, sink: &fakeSink{lag: 5 * time.Millisecond}, opts: opts, stop: stop, orders: orders, finds: finds}
		for i := range all {
			e := newEnd(fmt.Sprint("e", i), opts.Seed+uint64(i))
			e.faults, e.lag, e.props.Limits.InFlight, e.silent, e.spread = all[i], lags[i], limits[i], silent, 5*time.Second
			e.props.GPU = fmt.Sprint("gpu", i)
			w.ends = append(w.ends, e)
		}
		return w
	}
}

// watcher holds what must be true at every moment.
type watcher struct {
	t      *testing.T
	store  *store.Memory
	opts   *scheduler.Options
	slack  float64 // USD: what jobs in flight cost between two polls
	mu     sync.Mutex
	states map[int]scheduler.RenderState
	ended  map[int]int
}

// intent holds that nothing is submitted whose intent is not durable.
func (w *watcher) intent(endpoint string) func(*compiler.Job) {
	return func(job *compiler.Job) {
		for a, err := range w.store.Attempts(context.Background()) {
			if err == nil && a.State == scheduler.AttemptSubmitting && a.Endpoint == endpoint && slices.EqualFunc(a.Renders, job.Renders, isRef) {
				return
			}
		}
		w.t.Errorf("renders %v were submitted to %s without a durable intent", job.Renders, endpoint)
	}
}

func isRef(ref scheduler.RenderRef, i int) bool { return ref.Index == i }

func (w *watcher) event(e scheduler.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := e.Render; r != nil {
		if was := w.states[r.Index]; was.Final() && !(was == scheduler.Held && r.State == scheduler.Waiting) {
			w.t.Errorf("render %d went from %v to %v", r.Index, was, r.State)
		}
		w.states[r.Index] = r.State
		if r.State.Final() {
			w.ended[r.Index]++
		}
	}
	if m := e.Totals; m != nil && w.opts.Budget != nil && m.SpentUSD+m.StakeUSD > *w.opts.Budget+w.slack {
		w.t.Errorf("the budget of %v is overdrawn: %+v", *w.opts.Budget, *m)
	}
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		build := drawWorld(rt)
		synctest.Test(t, func(t *testing.T) {
			w := build()
			st := &store.Memory{}
			first := w.run(t, st, w.stop)
			w.check(t, st, first)
			if w.stop == 0 && len(w.orders) == 0 || first.Stopped == scheduler.StopBudget {
				return
			}
			for _, e := range w.ends {
				e.faults = faults{}
			}
			w.opts.Budget, w.opts.Deadline, w.orders = nil, 0, nil
			w.opts.ResubmitUncertain, w.opts.RetryFailed, w.opts.Retries = true, true, 100
			w.run(t, st, 0) // jobs that were left may be of those that fail
			if last := w.run(t, st, 0); !last.AllDone() {
				t.Errorf("without faults it is not done in the end: %+v", last)
			}
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func (w *world) run(t *testing.T, st *store.Memory, stop time.Duration) scheduler.Summary {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if stop > 0 {
		ctx, cancel = context.WithTimeout(ctx, stop)
		defer cancel()
	}
	watch := &watcher{t: t, store: st, opts: &w.opts, states: map[int]scheduler.RenderState{}, ended: map[int]int{}}
	for _, e := range w.ends {
		watch.slack += *e.props.Price * (4 + 2*float64(max(w.opts.Fuse, 1))) * float64(e.props.Limits.InFlight)
		e.before = watch.intent(e.props.Name)
	}
	opts := w.opts
	opts.OnEvent = watch.event
	// 100 h of virtual time are more than anything may take: a hang is a failure, not a dead test.
	begin := time.Now()
	opts.Control = &scheduler.Control{}
	for _, o := range w.orders {
		after(o.at, func() { o.give(opts.Control) })
	}
	sum, err := scheduler.Run(ctx, w.work, w.endpoints(), st, w.sink, opts)
	if err != nil {
		t.Errorf("%v; %+v", err, sum)
	}
	if took := time.Since(begin); took > 100*time.Hour {
		t.Errorf("it took %v", took)
	}
	for i, n := range watch.ended {
		if n > 1 {
			t.Errorf("render %d ended %d times", i, n)
		}
	}
	return sum
}

func (w *world) endpoints() (list []scheduler.Endpoint) {
	for _, e := range w.ends {
		if w.finds {
			list = append(list, &findable{fakeEnd: e})
		} else {
			list = append(list, e)
		}
	}
	return list
}

// check holds what must be true after a run.
func (w *world) check(t *testing.T, st *store.Memory, sum scheduler.Summary) {
	if sum.Hedges > 1+w.work.n/20 || w.opts.Hedge == "" && sum.Hedges > 0 {
		t.Errorf("%d hedges for %d renders", sum.Hedges, w.work.n)
	}
	total := 0
	for _, n := range sum.Counts {
		total += n
	}
	if total != w.work.n || sum.Stopped == "" && sum.Counts[scheduler.Waiting]+sum.Counts[scheduler.Active] > 0 || len(sum.Left) != sum.Counts[scheduler.Active] {
		t.Errorf("%d renders, but %+v", w.work.n, sum)
	}
	if sum.Counts[scheduler.Done] != len(w.sink.files) {
		t.Errorf("%d done, %d with files", sum.Counts[scheduler.Done], len(w.sink.files))
	}
	for i := range w.work.n {
		taken := 0
		for _, e := range w.ends {
			taken += e.taken[i]
		}
		most := 1 + w.opts.Retries + sum.Hedges // each of them is of one render
		if w.opts.Fuse != 1 {
			most++ // a job of several that failed costs none of its renders a retry
		}
		if taken > most {
			t.Errorf("render %d was taken %d times with %d retries", i, taken, w.opts.Retries)
		}
	}
	for _, e := range w.ends {
		if e.mostBusy > e.props.Limits.InFlight+uncertainOn(e) {
			t.Errorf("%d jobs at once on %s, which takes %d", e.mostBusy, e.props.Name, e.props.Limits.InFlight)
		}
	}
	_, counts := records(t, st)
	for state := scheduler.Active; state <= scheduler.Held; state++ {
		if counts[state] != sum.Counts[state] {
			t.Errorf("%d %v in the store, %d in the summary", counts[state], state, sum.Counts[state])
		}
	}
}

// uncertainOn is how many jobs of an endpoint nobody but the remote knows of, or which count as lost.
func uncertainOn(e *fakeEnd) int {
	n := 0
	for _, j := range e.jobs {
		if j.state == scheduler.Gone {
			n++
		}
	}
	for _, lost := range e.unclear {
		n += lost
	}
	return n + len(e.jobs)*int(e.faults.never+0.99)
}
