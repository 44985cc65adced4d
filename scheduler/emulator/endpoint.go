package emulator

import (
	"slices"
	"sync"
	"time"
)

// keepJobs is how many finished jobs an endpoint remembers at most, and how many distinct prompts it counts.
const keepJobs = 200_000

// endpoint is one emulated endpoint at work. Its lock guards everything that is reached from it; it is never held while something is rendered or sent.
type endpoint struct {
	Endpoint
	em   *Emulator
	form form

	mu          sync.Mutex
	closed      bool
	dice        dice
	requests    map[Op]int // that got through key and rates, for the numbers of faults
	submits     rate       // each of the three has a window of its own
	polls       rate
	cancels     rate
	purges      rate            // of RunPod's, within those
	pool        pool            // the workers
	jobs        map[string]*job // all that are known, by id: waiting, running and finished
	waiting     []*job          // in the order of their turns
	patient     int             // of those, the ones for which no worker is started
	dispatching bool            // dispatch is at work further up the stack
	running     int             // jobs on workers
	finished    []*job          // oldest first
	counters    Counters        // since the start; never reset
	tally       tally           // what was run how often

	images gallery // has a lock of its own
	server *server // of the native dialect, nil if it is not spoken
}

// locked calls f under the lock, unless the emulator is closed. Timers and renderings come back through it: a timer that was stopped too late
// finds the endpoint closed, or its job in another state, and does nothing.
func (ep *endpoint) locked(f func()) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	// One lock for all that an endpoint knows makes each request one step, as seen from outside.
	if !ep.closed {
		f()
	}
}

// accept puts a new job into the queue.
func (ep *endpoint) accept(j *job) {
	ep.counters.Accepted++
	// Numbers are in the order of acceptance, which is all that job faults depend on besides the seed.
	j.number = ep.counters.Accepted
	j.accepted = time.Now()
	j.faults = ep.dice.job(j.number)
	ep.jobs[j.id] = j
	if j.ttl > 0 {
		j.expiry = time.AfterFunc(j.ttl, func() { ep.locked(func() { ep.end(j, timedOut) }) })
	}
	ep.enqueue(j)
}

// enqueue lets a job wait for its turn: behind all others, but native prompts by their number. Then workers are started and given work.
func (ep *endpoint) enqueue(j *job) {
	j.state = queued
	at := len(ep.waiting)
	// Linear from the end: nearly always the place is the last one. `front: true` gives a negative number, and so the first place.
	for j.native != nil && at > 0 && ep.waiting[at-1].native != nil && ep.waiting[at-1].native.number > j.native.number {
		at--
	}
	ep.waiting = slices.Insert(ep.waiting, at, j)
	ep.left(j, 1)
	ep.grow()
	ep.dispatch()
}

// left counts a patient job into the queue, or out of it.
func (ep *endpoint) left(j *job, by int) {
	if j.patient {
		ep.patient += by
	}
}

// grow starts workers for the jobs that wait and are worth one.
// Jobs that are patient (policy.lowPriority) wait for a worker that others have started.
func (ep *endpoint) grow() { ep.pool.grow(len(ep.waiting) - ep.patient - ep.room()) }

// room counts the jobs that ready workers can still take.
func (ep *endpoint) room() (n int) {
	for _, b := range ep.pool.boxes {
		if b.ready {
			n += ep.Concurrency - b.busy
		}
	}
	return n
}

// dispatch hands waiting jobs to free workers. A job that is done at once calls it again, which then leaves the rest to the loop.
func (ep *endpoint) dispatch() {
	if ep.dispatching {
		return
	}
	ep.dispatching = true
	defer func() { ep.dispatching = false }()
	for len(ep.waiting) > 0 {
		b := ep.pool.free()
		if b == nil {
			return
		}
		j := ep.waiting[0]
		// The array behind the slice lives on, and would keep the job.
		ep.waiting[0] = nil
		ep.waiting = ep.waiting[1:]
		ep.left(j, -1)
		b.busy++
		ep.running++
		ep.start(j, b)
	}
}

// unqueue takes a job out of the queue. It looks from the end, from which a purge takes them.
func (ep *endpoint) unqueue(j *job) {
	for i, w := range slices.Backward(ep.waiting) {
		if w == j {
			ep.waiting = slices.Delete(ep.waiting, i, i+1)
			ep.left(j, -1)
			return
		}
	}
}

// leave takes a job off its worker.
func (ep *endpoint) leave(j *job) {
	j.silence()
	if b := j.worker; b != nil {
		b.busy--
		ep.running--
		j.worker = nil
		if j.native != nil {
			ep.server.running = slices.DeleteFunc(ep.server.running, func(r *job) bool { return r == j })
		}
		ep.pool.rest(b)
	}
}

// end makes a job final. A job that is final already stays as it is.
func (ep *endpoint) end(j *job, s state) bool {
	if j.state.final() {
		return false
	}
	if j.state == queued {
		ep.unqueue(j)
	}
	ep.counters.count(s)
	j.state, j.finished = s, time.Now()
	ep.leave(j)
	if j.expiry != nil {
		j.expiry.Stop()
		j.expiry = nil
	}
	ep.remember(j)
	// Wakes the long polls; they look at the job again, under the lock.
	if j.done != nil {
		close(j.done)
		j.done = nil
	}
	if j.native != nil {
		ep.server.ended(j)
	}
	// The body is written now: later the job may be retried, and its end would be another.
	if j.webhook != "" {
		ep.em.notify(ep, j.webhook, ep.status(j, nil))
	}
	ep.grow()
	ep.dispatch()
	return true
}

// remember keeps a finished job until its retention is over, or until there are too many.
func (ep *endpoint) remember(j *job) {
	ep.finished = append(ep.finished, j)
	now := time.Now()
	// Not by a timer: what is over its time is dropped when the next job ends, or refused when it is asked for.
	for len(ep.finished) > 1 && (len(ep.finished) > keepJobs || ep.finished[0].gone(now)) {
		old := ep.finished[0]
		ep.finished[0] = nil
		ep.finished = ep.finished[1:]
		// A job that was retried stands in the list twice, and may be running now.
		if old.state.final() && (old.gone(now) || len(ep.finished) >= keepJobs) {
			ep.forget(old)
		}
	}
}

// forget drops a finished job and its output, as if its retention were over.
func (ep *endpoint) forget(j *job) {
	ep.em.vault.drop(j.output)
	if ep.jobs[j.id] == j { // a prompt may come twice with one id
		delete(ep.jobs, j.id)
	}
	if j.native != nil {
		ep.server.forget(j)
	}
}

// find gives a job that is still known. A result that memory had no room for counts as expired.
func (ep *endpoint) find(id string) *job {
	j := ep.jobs[id]
	if j == nil {
		return nil
	}
	_, kept := ep.em.vault.get(j.output)
	if j.gone(time.Now()) || j.output != nil && !kept {
		ep.counters.Expired++
		ep.forget(j)
		return nil
	}
	return j
}

// purge cancels all jobs that wait.
func (ep *endpoint) purge() (removed int) {
	for len(ep.waiting) > 0 {
		ep.end(ep.waiting[len(ep.waiting)-1], cancelled)
		removed++
	}
	return removed
}

// again puts a failed or timed-out job back into the queue, as RunPod's retry does.
func (ep *endpoint) again(j *job) bool {
	// work is dropped when a job is COMPLETED, so a success has nothing to run again with.
	if j.state != failed && j.state != timedOut || j.work == nil && ep.form != formEcho {
		return false
	}
	ep.counters.Retried++
	ep.em.vault.drop(j.output)
	j.output, j.err, j.drained = nil, "", false
	j.started, j.finished, j.box = time.Time{}, time.Time{}, ""
	ep.enqueue(j)
	return true
}

// shut stops all clocks and renderings. Nothing happens on a closed endpoint any more.
func (ep *endpoint) shut() {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.closed = true
	ep.pool.close()
	for _, j := range ep.jobs {
		j.silence()
		if j.expiry != nil {
			j.expiry.Stop()
		}
	}
	if ep.server != nil {
		ep.server.shut()
	}
}
