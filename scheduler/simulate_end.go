package scheduler

import (
	"strconv"
	"time"
)

// A serverless platform as its users see it: a queue, workers that start for what waits, work on a job at a time each or on several, idle, and stop.
// Everything is billed from the moment a worker begins to start until it stops, at the price per second. All of it runs in Simulate's goroutine.

// simEnd is one endpoint of a simulation at work.
type simEnd struct {
	*Model
	world  *simWorld
	report SimulatedEndpoint
	// boxes are the workers that are billed now, in the order of their starts; waiting is the queue, oldest first; jobs holds what was not yet told as
	// ended, by remote id; count is the last id given.
	boxes   []*simBox
	waiting []*simJob
	jobs    map[string]*simJob
	count   int
}

// simBox is a worker.
type simBox struct {
	id    string
	ready bool
	busy  int
	since time.Time // when it began to be billed
	rest  time.Time // when it last had nothing to do
	// cold is how long it took to start. kit is the kind whose models are in memory, -1 for none. gone: it has stopped.
	cold time.Duration
	kit  int
	gone bool
}

type simJob struct {
	renders []int
	low     bool
	// at, from and until: when it came, when a worker began with it, and when that ends, or ended.
	at, from, until time.Time
	state           State
	box             *simBox
}

// accept puts a job into the queue and starts workers for what waits, unless it is of a low priority.
func (e *simEnd) accept(k call) string {
	e.count++
	id := strconv.Itoa(e.count)
	j := &simJob{renders: k.renders, low: k.terms.LowPriority, at: e.world.now, state: Queued}
	e.jobs[id] = j
	e.waiting = append(e.waiting, j)
	e.dispatch()
	e.grow()
	return id
}

// concurrency is how many jobs a worker does at a time; 0 in the settings means one.
func (e *simEnd) concurrency() int { return max(1, e.Workers.Concurrency) }

// grow starts workers for the jobs that wait and will not be taken by those that are starting, up to Workers.Max. Jobs of a low priority start none,
// but for the first worker of all: else they would wait for ever.
func (e *simEnd) grow() {
	waiting := 0
	for _, j := range e.waiting {
		if !j.low {
			waiting++
		}
	}
	// Without any worker one starts even for jobs of a low priority.
	if len(e.boxes) == 0 && len(e.waiting) > 0 {
		waiting = max(waiting, 1)
	}
	for _, b := range e.boxes {
		// Each worker that is starting will take so many of them.
		if !b.ready {
			waiting -= e.concurrency()
		}
	}
	for ; waiting > 0 && len(e.boxes) < e.Workers.Max; waiting -= e.concurrency() {
		cold := e.Cold(e.world.rng)
		// Billed from now on, ready after the cold start; then it takes what still waits.
		b := e.add(cold)
		e.world.after(cold, func() {
			b.ready = true
			e.dispatch()
			e.idle(b)
		})
	}
}

// add begins to bill a worker.
func (e *simEnd) add(cold time.Duration) *simBox {
	b := &simBox{id: e.Name + "-" + strconv.Itoa(len(e.report.Colds)), since: e.world.now, rest: e.world.now, cold: cold, kit: -1}
	e.report.Colds = append(e.report.Colds, cold)
	e.boxes = append(e.boxes, b)
	return b
}

// dispatch hands waiting jobs to workers with room, the oldest first, each to the busiest of them: so workers without work fall idle and stop.
func (e *simEnd) dispatch() {
	for len(e.waiting) > 0 {
		var best *simBox
		for _, b := range e.boxes {
			if b.ready && b.busy < e.concurrency() && (best == nil || b.busy > best.busy) {
				best = b
			}
		}
		if best == nil {
			return
		}
		j := e.waiting[0]
		e.waiting = e.waiting[1:]
		e.begin(j, best)
	}
}

// begin lets a worker do a job.
func (e *simEnd) begin(j *simJob, b *simBox) {
	w := e.world
	kind := w.sim.KindOf(j.renders[0])
	// The job's overhead, its renders one after the other, and loading if the worker had other models.
	took := e.Job
	for range j.renders {
		took += e.Draw(w.rng, kind)
	}
	if b.kit != kind {
		took += e.Load
		b.kit = kind
	}
	end := Completed
	if e.Fails > 0 && w.rng.Float64() < e.Fails {
		// A job fails at any moment of its time with the same odds; the time until then is paid.
		end, took = Failed, time.Duration(w.rng.Float64()*float64(took))
	}
	b.busy++
	e.report.Jobs++
	j.state, j.from, j.until, j.box = Running, w.now, w.now.Add(took), b
	w.after(took, func() {
		// It may have been cancelled meanwhile.
		if j.state == Running {
			e.end(j, end)
		}
	})
}

// end notes a job's end and gives its worker something else to do.
func (e *simEnd) end(j *simJob, state State) {
	w := e.world
	took := w.now.Sub(j.from)
	j.state, j.until = state, w.now
	switch state {
	// Only what gave pictures is work; the rest was paid for nothing.
	case Completed:
		e.report.Renders += len(j.renders)
		e.report.Work += took
	case Failed:
		e.report.Failed++
		e.report.Wasted += took
	default:
		e.report.Wasted += took
	}
	j.box.busy--
	j.box.rest = w.now
	e.dispatch()
	e.idle(j.box)
}

// idle lets a worker with nothing to do stop after a while.
func (e *simEnd) idle(b *simBox) {
	// So many workers are kept, and billed, whatever there is to do.
	if b.busy > 0 || len(e.boxes) <= e.Workers.Min {
		return
	}
	// The worker stops only if it has idled since just this moment: a job in between changes b.rest.
	rest := e.world.now
	b.rest = rest
	e.world.after(e.Workers.IdleTimeout, func() {
		if b.busy > 0 || b.gone || !b.rest.Equal(rest) || len(e.boxes) <= e.Workers.Min {
			return
		}
		b.gone = true
		e.report.Billed += e.world.now.Sub(b.since)
		// The order of the others stays, so that runs are equal.
		for i := range e.boxes {
			if e.boxes[i] == b {
				e.boxes = append(e.boxes[:i], e.boxes[i+1:]...)
				return
			}
		}
	})
}

// poll tells a job's state, as a platform does. An ended job is forgotten once it was told, which keeps memory small.
func (e *simEnd) poll(k call) polled {
	j := e.jobs[k.remote]
	in := polled{endpoint: k.endpoint, attempt: k.attempt}
	if j == nil {
		in.status.State = Gone
		return in
	}
	in.status.State = j.state
	if j.box != nil {
		in.status.Worker = j.box.id
	}
	if j.state.Final() && j.box != nil {
		in.status.Delay, in.status.Execution = j.from.Sub(j.at), j.until.Sub(j.from)
		delete(e.jobs, k.remote)
	}
	if j.state == Failed {
		in.status.Err = &Error{Kind: WorkerFailed, Endpoint: e.Name, Op: "poll", Message: "it failed"}
	}
	return in
}

// cancel takes a waiting job out of the queue for nothing, or ends a running one, whose time so far is paid.
func (e *simEnd) cancel(remote string) {
	j := e.jobs[remote]
	switch {
	case j == nil || j.state.Final():
	case j.state == Queued:
		j.state = Cancelled
		for i := range e.waiting {
			if e.waiting[i] == j {
				e.waiting = append(e.waiting[:i:i], e.waiting[i+1:]...)
				return
			}
		}
	default:
		e.end(j, Cancelled)
	}
}

// bill adds what the workers cost that are still there: they idle until they stop.
func (e *simEnd) bill() {
	e.report.Name = e.Name
	for _, b := range e.boxes {
		until := e.world.now
		if b.busy == 0 {
			// Also beyond the end of the run: the platform bills it all the same.
			until = b.rest.Add(e.Workers.IdleTimeout)
		}
		e.report.Billed += max(until.Sub(b.since), 0)
	}
	if e.Price != nil {
		e.report.USD = *e.Price * e.report.Billed.Seconds()
	}
}
