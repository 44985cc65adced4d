package scheduler

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Model is an endpoint of a simulation: how a platform behaves of which only the statistics are known. Workers are started when more jobs
// wait than the starting ones will take, and stopped when they have idled for Properties.Workers.IdleTimeout; all of their time is billed.
type Model struct {
	Properties
	Latency time.Duration // of every call
	// Draw gives the paid time of one render of a kind, Cold that of starting a worker. They are called from one goroutine.
	Draw func(rng *rand.Rand, kind int) time.Duration
	Cold func(rng *rand.Rand) time.Duration
	Load time.Duration // of a job's time, when the worker had another kind's models in memory
	Job  time.Duration // of a job's time, whatever it holds
	// Fails are the odds that a job fails, at any moment of its time.
	Fails float64
}

// Simulation is a batch of renders that exist in numbers only, and the endpoints that they go to.
type Simulation struct {
	Renders int
	// Kinds are jobs that stand for all of their kind; KindOf says which one a render is, nil for the first. A job's Renders are filled in.
	Kinds  []compiler.Job
	KindOf func(render int) int
	Models []Model
	// Router replaces the choice of endpoints, for comparison: round-robin, least-pending or random; "" is ours. They fill what the limits allow.
	Router string
	Seed   uint64
}

// SimulationReport is how a simulated run went.
type SimulationReport struct {
	Summary
	Makespan  time.Duration // until the last render ended
	Endpoints []SimulatedEndpoint
}

// SimulatedEndpoint is what an endpoint did.
type SimulatedEndpoint struct {
	Name    string
	Jobs    int             // that began on a worker
	Renders int             // done
	Failed  int             // jobs
	Work    time.Duration   // of jobs that were done
	Wasted  time.Duration   // of jobs that failed or were cancelled
	Colds   []time.Duration // by worker that was started
	Billed  time.Duration   // workers' time: starts, work and idling
	USD     float64         // for that
	Polls   int
}

// Simulate runs a simulation with the same step as Run, on a clock of its own: equal arguments give equal reports. It reads no clock, does no I/O and
// needs about 20 µs for each render.
func Simulate(sim Simulation, options Options) SimulationReport {
	w := newSimWorld(sim, options)
	w.run()
	return w.report()
}

// simWorld is the platforms of a simulation, and the calls that are under way.
type simWorld struct {
	sim    Simulation
	core   *core
	rng    *rand.Rand
	ends   []*simEnd
	start  time.Time
	now    time.Time
	line   timeline[func()]
	inputs []input
	last   time.Time // when the last render ended
}

type numberedRenders int

func (n numberedRenders) Len() int { return int(n) }
func (n numberedRenders) RenderID(i int) (id compiler.RenderID) {
	binary.LittleEndian.PutUint64(id[:], uint64(i))
	return id
}

// simCommit is how long a commit takes before a submit may be sent.
const simCommit = 2 * time.Millisecond

func newSimWorld(sim Simulation, options Options) *simWorld {
	if sim.KindOf == nil {
		sim.KindOf = func(int) int { return 0 }
	}
	// Any moment will do, but the same one each time.
	w := &simWorld{sim: sim, rng: rand.New(rand.NewPCG(sim.Seed, 0x73696d)), start: time.Unix(1_700_000_000, 0)}
	w.now = w.start
	w.core = blankCore(numberedRenders(sim.Renders), options.filled())
	w.core.chooser = chooserOf(sim.Router, w.rng)
	for i := range sim.Models {
		m := &sim.Models[i]
		w.core.endpoints = append(w.core.endpoints, newEndpoint(i, m.Properties))
		e := &simEnd{Model: m, world: w, jobs: map[string]*simJob{}}
		for range m.Workers.Min {
			e.add(0).ready = true
		}
		w.ends = append(w.ends, e)
	}
	w.core.recallSpeeds(options.Speeds)
	return w
}

// run goes until the core says that the run is over.
func (w *simWorld) run() {
	w.inputs = append(w.inputs, opened{plan: "simulation"})
	for {
		inputs := w.inputs
		w.inputs = nil
		out := step(w.core, inputs, w.now)
		for i := range out.changes {
			// There is no store: a change is durable when it is made, and costs simCommit before a submit.
			if out.changes[i].Record != nil {
				w.last = w.now
			}
		}
		for _, k := range out.calls {
			w.call(k)
		}
		if out.done {
			return
		}
		w.advance(out.wake)
	}
}

// advance lets time pass until something happens, or the core wants to be woken, whichever is first. Time jumps; it never goes back.
func (w *simWorld) advance(wake time.Time) {
	for len(w.inputs) == 0 {
		if w.line.len() == 0 && wake.IsZero() {
			panic("the simulation has come to a standstill")
		}
		if at, _ := w.head(); !wake.IsZero() && (w.line.len() == 0 || wake.Before(at)) {
			if wake.After(w.now) {
				w.now = wake
			}
			w.inputs = append(w.inputs, tick{})
			return
		}
		at, _ := w.line.head()
		w.now = at
		w.line.take()()
	}
}

func (w *simWorld) head() (time.Time, bool) {
	if w.line.len() == 0 {
		return time.Time{}, false
	}
	at, _ := w.line.head()
	return at, true
}

// after lets something happen at a later moment. What happens at the same moment happens in the order in which it was put in.
func (w *simWorld) after(d time.Duration, do func()) { w.line.add(w.now.Add(d), do) }

// answer gives the core an input after a while.
func (w *simWorld) answer(d time.Duration, in input) {
	w.after(d, func() { w.inputs = append(w.inputs, in) })
}

// call does what the loop's pool would do. Kinds that are missing are never asked for: a simulation has no store of others to share, reuse or look
// into, and no answer is lost.
func (w *simWorld) call(k call) {
	switch k.kind {
	case callPrepare:
		job := w.sim.Kinds[w.sim.KindOf(k.renders[0])]
		job.Renders = k.renders
		w.inputs = append(w.inputs, prepared{shard: k.shard, job: &job})
	case callCheck:
		w.inputs = append(w.inputs, checked{endpoint: k.endpoint})
	case callSubmit:
		e := w.ends[k.endpoint]
		w.after(simCommit+e.Latency, func() {
			remote := e.accept(k)
			w.inputs = append(w.inputs, submitted{attempt: k.attempt, remote: remote})
		})
	case callPoll:
		e := w.ends[k.endpoint]
		e.report.Polls++
		w.after(e.Latency, func() { w.inputs = append(w.inputs, e.poll(k)) })
	case callCancel:
		e := w.ends[k.endpoint]
		w.after(e.Latency, func() {
			e.cancel(k.remote)
			w.inputs = append(w.inputs, cancelAnswer{attempt: k.attempt})
		})
	case callCollect:
		var got Collected
		for _, i := range k.renders {
			got.Done = append(got.Done, DoneRender{Render: i})
		}
		w.answer(5*time.Millisecond, collected{attempt: k.attempt, got: got})
	}
}

func (w *simWorld) report() SimulationReport {
	r := SimulationReport{Summary: w.core.summary(), Makespan: w.last.Sub(w.start)}
	for _, e := range w.ends {
		e.bill()
		r.Endpoints = append(r.Endpoints, e.report)
	}
	return r
}

// chooserOf gives a plain way to choose endpoints, nil for ours.
func chooserOf(name string, rng *rand.Rand) chooser {
	turn := 0
	switch name {
	case "round-robin":
		return func(c *core, found []candidate) *endpoint {
			for range found {
				turn++
				if ep := found[turn%len(found)].endpoint; c.takes(ep) {
					return ep
				}
			}
			return nil
		}
	case "least-pending":
		return func(c *core, found []candidate) (best *endpoint) {
			for _, f := range found {
				if c.takes(f.endpoint) && (best == nil || f.inFlight < best.inFlight) {
					best = f.endpoint
				}
			}
			return best
		}
	case "random":
		return func(c *core, found []candidate) *endpoint {
			for _, i := range rng.Perm(len(found)) {
				if c.takes(found[i].endpoint) {
					return found[i].endpoint
				}
			}
			return nil
		}
	}
	return nil
}
