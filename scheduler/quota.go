package scheduler

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Quotas: how many jobs are to run on each endpoint at once. A platform starts workers for what waits there, and each start is paid for, so the
// quota is what decides about money; which shard goes first is decided in route.go. Fastest lets every endpoint do what it can. Cheapest uses
// those that do a render for the least, and of them as few workers as still are well used: starting one more costs its cold start and the
// time it idles before it stops. With a deadline, dearer endpoints are added as far as the cheap ones cannot make it. Balanced looks for
// the least of cost times duration.
//
// On top of the quota, an endpoint holds just as many jobs more as keep its workers busy until we see that one has ended and the next one has
// arrived. All others wait here, where they can still go anywhere.

const (
	replanEvery = 250 * time.Millisecond // at most, as things happen
	replanIdle  = time.Second            // if nothing happens
	bridge      = 1.2                    // seconds from the end of a job until the next one is there: detection, commit, submit
	tolerance   = 1.02                   // of the least cost that is spent to be done sooner
	usualCold   = 45 * time.Second
	usualIdle   = 5 * time.Second
	addMargin   = 1.06 // of the work that is left, before an endpoint is added to make a deadline
	keepMargin  = 1.2  // and before one is given up again
	unlearned   = 1.3  // times that, as long as speeds are what was said of them
	again       = 3.0  // tails before a deadline: a long job near the end may fail and be done once more, and its next one be long too
	unsure      = 0.3  // doubt from which on that is so
	startMemory = 0.98 // by which a job counts less with each one after it, in the part that waits for a start
)

// room is how many jobs may be on an endpoint now.
func (ep *endpoint) room() int {
	n := min(ep.Limits.InFlight, ep.quota+ep.depth)
	// The window is the endpoint's own word, by its busy answers; one job is ventured in any case, or it could never open again.
	if ep.window > 0 {
		n = min(n, max(1, int(ep.window)))
	}
	return n
}

// bound is how many jobs an endpoint can run at once at most, as far as its settings tell.
func (ep *endpoint) bound() int {
	n := ep.Limits.InFlight
	// Without a number of workers nobody knows; what is seen then decides, see learnPlaces.
	if w := ep.Workers; w.Max > 0 {
		n = min(n, w.Max*max(1, w.Concurrency))
	}
	return n
}

// capacity is how many jobs an endpoint runs at once, as far as was seen.
func (ep *endpoint) capacity() int {
	n := ep.bound()
	if ep.running > 0 {
		n = min(n, int(math.Ceil(ep.running)))
	}
	return max(n, 1)
}

// most is how many jobs would run at once if enough waited: as the settings say, else as was seen.
func (ep *endpoint) most() int {
	if ep.Workers.Max > 0 {
		return ep.bound()
	}
	return ep.capacity()
}

// cold is how long a worker takes to start.
func (ep *endpoint) cold() time.Duration {
	switch {
	case ep.colds.len() > 0:
		return ep.colds.median()
	case ep.Workers.ColdStart > 0:
		return ep.Workers.ColdStart
	// Servers that are always there.
	case ep.Type == "comfyui" || ep.Preview:
		return 0
	}
	return usualCold
}

// coldKnown tells whether cold is more than a guess.
func (ep *endpoint) coldKnown() bool { return ep.colds.len() > 0 || ep.Workers.ColdStart > 0 }

// upkeep is what starting and stopping a worker costs beside its work.
func (ep *endpoint) upkeep() time.Duration {
	if ep.Type == "comfyui" || ep.Preview {
		return 0
	}
	return ep.cold() + ep.idle()
}

// idle is how long a worker waits for its next job before it stops.
func (ep *endpoint) idle() time.Duration {
	if ep.Workers.IdleTimeout > 0 {
		return ep.Workers.IdleTimeout
	}
	return usualIdle
}

// warmUp is how many seconds a job would wait for a worker to start.
func (ep *endpoint) warmUp(c *core) float64 {
	if ep.Workers.Min > 0 || !ep.lastDone.IsZero() && c.now.Sub(ep.lastDone) < max(ep.Workers.IdleTimeout, time.Minute) {
		return 0
	}
	if !ep.firstSent.IsZero() && ep.inFlight > 0 {
		return max(0, (ep.cold() - c.now.Sub(ep.firstSent)).Seconds())
	}
	return ep.cold().Seconds()
}

// replan sets the quotas anew, now and then.
func (c *core) replan() {
	if !c.stale && c.now.Sub(c.planned) < replanEvery {
		return
	}
	c.stale, c.planned = false, c.now
	for _, g := range c.kinds {
		g.rescale()
	}
	var list []*endpoint
	for _, ep := range c.endpoints {
		ep.quota, ep.depth, ep.refuge = 0, 0, false
		if ep.drain || !ep.usable() {
			continue
		}
		ep.typical = c.typical(ep)
		if ep.typical > 0 {
			list = append(list, ep)
		}
	}
	switch {
	case c.chooser != nil:
		for _, ep := range list {
			ep.quota = ep.Limits.InFlight
		}
	case c.opts.Objective == Cheapest:
		c.planCheapest(list)
	case c.opts.Objective == Balanced:
		c.planBalanced(list)
	default:
		for _, ep := range list {
			ep.quota = ep.capacity()
		}
	}
	c.cover()
	for _, ep := range c.endpoints {
		ep.depth = c.depthOf(ep)
	}
}

// typical is the mean time of a render on an endpoint in seconds, over the kinds that were prepared so far; 0 if none can run there.
func (c *core) typical(ep *endpoint) float64 {
	sum, slow, doubt, n := 0.0, 0.0, 0.0, 0.0
	for _, g := range c.kinds {
		if g.unfit[ep.index] == "" && !c.shuns(g, ep) {
			sum += g.estimate[ep.index].mean().Seconds() * float64(g.prepared)
			doubt += g.estimate[ep.index].long.doubt() * float64(g.prepared)
			slow += g.estimate[ep.index].longest().Seconds() * float64(g.prepared)
			n += float64(g.prepared)
		}
	}
	if n == 0 {
		return 0
	}
	ep.slow, ep.doubt = slow/n, doubt/n
	return sum/n + 1e-6
}

// left is how many renders have not ended.
func (c *core) remaining() float64 { return float64(c.counts[Waiting] + c.counts[Active]) }

// planBalanced gives each endpoint its part of the work, and so many workers that cost times duration is least: work/√(cold·upkeep).
func (c *core) planBalanced(list []*endpoint) {
	total := 0.0
	for _, ep := range list {
		total += float64(ep.capacity()) / ep.typical
	}
	for _, ep := range list {
		ep.quota = ep.capacity()
		if !ep.coldKnown() || ep.Workers.Min >= ep.Workers.Max && ep.Workers.Max > 0 {
			continue
		}
		work := c.remaining() * float64(ep.capacity()) / total // seconds of it: that is renders/rate of all
		few := work / math.Sqrt(ep.cold().Seconds()*ep.upkeep().Seconds()+1e-9)
		ep.quota = ep.keepWarm(few)
	}
}

// keepWarm rounds a number of workers to what the endpoint has, and does not give up what was used before: it is warm now.
func (ep *endpoint) keepWarm(few float64) int {
	n := max(1, ep.Workers.Min*max(1, ep.Workers.Concurrency), int(math.Min(few, 1e9)))
	ep.used = max(ep.used, n)
	return min(ep.used, ep.capacity())
}

// planCheapest uses the endpoints that do a render for the least, and others only as far as the deadline asks for it.
func (c *core) planCheapest(list []*endpoint) {
	slices.SortStableFunc(list, func(a, b *endpoint) int { return cmp.Compare(a.rate()*a.typical, b.rate()*b.typical) })
	// While the cheapest one is in trouble the next one gets the work, and gives it back later.
	list = slices.DeleteFunc(list, func(ep *endpoint) bool { return !ep.unchecked && !ep.admits(c.now) })
	if len(list) == 0 {
		return
	}
	var group []*endpoint
	total := 0.0
	for _, ep := range list {
		if ep.asCheapAs(list[0]) {
			group = append(group, ep)
			total += float64(ep.capacity()) / ep.typical
		}
	}
	for _, ep := range group {
		work := c.remaining() * float64(ep.capacity()) / total
		ep.quota = ep.keepWarm(ep.economical(work))
	}
	if !c.deadline.IsZero() {
		c.planDeadline(list)
	}
}

// asCheapAs tells whether an endpoint costs no more than the cheapest one, as far as that is sure. One that is in use stays so for longer.
func (ep *endpoint) asCheapAs(least *endpoint) bool {
	most := alike
	if ep.used > 0 {
		most *= alike
	}
	if ep.GPU == least.GPU && ep.GPU != "" && ep.rate() == least.rate() { // the same for the same price, until it is proven wrong
		most += 0.05 + ep.doubt + least.doubt
	}
	return ep == least || ep.rate()*ep.typical <= least.rate()*least.typical*most
}

// economical is the largest number of workers at which the work costs about the least that it can.
func (ep *endpoint) economical(work float64) float64 {
	// most and not capacity: only where no other worker can start may jobs wait there, and none idles between two.
	most, upkeep := float64(ep.most()), ep.upkeep().Seconds()
	if upkeep == 0 || ep.Workers.Min > 0 && ep.Workers.Min >= ep.Workers.Max {
		return most
	}
	idle := 0.0 // between two jobs, where none may wait there as that would start another worker
	if !ep.TakesPriority {
		idle = work * bridge / 2 / ep.typical
	}
	// Worker's time with all workers, and with one: the extremes between which the number is chosen.
	all := work + most*upkeep
	few := work + idle + upkeep
	least := min(all, few)
	if all <= least*tolerance {
		return most
	}
	return max(1, math.Floor((least*tolerance-work-idle)/upkeep))
}

// planDeadline adds workers, cheap ones first, until all that is left can be done in time.
func (c *core) planDeadline(list []*endpoint) {
	need := c.remaining()
	for _, ep := range list {
		margin := addMargin
		if ep.used > 0 && !ep.lastDone.IsZero() {
			margin = keepMargin
		}
		if ep.doubt >= unsure {
			margin *= unlearned
		}
		time := c.deadline.Sub(c.now).Seconds() - ep.warmUp(c) - again*ep.tail()
		each := max(0, time/ep.typical) + 1e-9 // renders a place does in time
		missing := math.Ceil(need * margin / each)
		if missing > 0 && need > 0 {
			ep.quota = min(ep.capacity(), max(ep.quota, int(math.Min(missing, 1e9))))
			ep.used = max(ep.used, ep.quota)
		}
		need -= float64(ep.quota) * each / margin
	}
}

// tail is by how much jobs take longer than usual now and then, in seconds.
func (ep *endpoint) tail() float64 { return max(ep.slow-ep.typical, 0) }

// depthOf is how many jobs may wait on an endpoint: as many as its workers take until the next one can be there, and some for chance.
func (c *core) depthOf(ep *endpoint) int {
	if ep.quota == 0 {
		return 0
	}
	if c.opts.Objective == Cheapest && c.deadline.IsZero() && ep.quota < ep.most() && !ep.TakesPriority && ep.upkeep() > 0 {
		return 0 // what waits there starts another worker
	}
	n := float64(ep.quota) / ep.typical * bridge
	return int(min(math.Ceil(n+2*math.Sqrt(n)), 1<<30)) + 1
}

// calm keeps the window of an endpoint that says it is busy: fewer jobs are ventured, by a factor, but once a second at most.
func (c *core) calm(ep *endpoint) {
	if c.now.Sub(ep.cut) < time.Second {
		return
	}
	ep.cut = c.now
	was := float64(ep.inFlight)
	if ep.window > 0 {
		was = math.Min(ep.window, was)
	}
	ep.window = math.Max(1, was*0.7)
}

// widen lets an endpoint that takes jobs have more of them, by about one for each time that all of its places were taken once.
func (ep *endpoint) widen() {
	if ep.window == 0 {
		return
	}
	if ep.window += 1 / ep.window; ep.window >= float64(ep.Limits.InFlight) {
		ep.window = 0
	}
}

// learnPlaces follows how many jobs run on an endpoint at once: one that waited in the remote's queue, on an endpoint that starts no more workers,
// says that fewer do than are there; one that did not wait, that as many do.
func (c *core) learnPlaces(a *attempt, st Status, whole, paid time.Duration) {
	ep := a.endpoint
	ep.lastDone = c.now
	if fresh := c.newWorker(a, st); fresh || ep.lastNew.After(a.Submitted) || a.Submitted.Before(ep.settled) {
		return
	}
	waited := whole - paid
	if st.Execution > 0 {
		waited = st.Delay
	}
	// What waits there by our own will waits for about depth ends of jobs.
	turns := 0.5 + 2.5*float64(ep.depth+1)/float64(max(ep.quota, 1))
	slow := time.Duration(ep.typical*turns*float64(time.Second)) + 2*time.Second
	switch {
	// More were sent than run at once. Half a place less each time, so that one odd wait does not halve an endpoint.
	case waited > slow:
		n := math.Min(float64(ep.bound()), float64(ep.inFlight+1))
		if ep.running > 0 {
			n = math.Min(n, ep.running)
		}
		ep.running = math.Max(n-0.5, float64(max(1, ep.awake(c.now)*max(1, ep.Workers.Concurrency))))
	case ep.running > 0 && waited < slow/8 && ep.inFlight+1 >= int(ep.running):
		ep.running = math.Min(ep.running+1, float64(ep.bound()))
	}
}

// newWorker notes a worker that was not seen before; the wait of its first job is about its cold start.
func (c *core) newWorker(a *attempt, st Status) bool {
	ep := a.endpoint
	if a.Worker == "" {
		return false
	}
	if ep.workers == nil {
		ep.workers = map[string]time.Time{}
	}
	_, known := ep.workers[a.Worker]
	ep.workers[a.Worker] = c.now
	ep.told, ep.started = ep.told*startMemory+1, ep.started*startMemory
	if !known && st.Delay > time.Second {
		ep.started++
	}
	if known {
		return false
	}
	if len(ep.workers) > maxWorkers {
		clear(ep.workers)
		ep.workers[a.Worker] = c.now
	}
	ep.lastNew = a.Submitted.Add(st.Delay)
	if st.Delay > time.Second && a.Submitted.Sub(ep.firstSent) < time.Second {
		ep.colds.add(st.Delay)
	}
	return true
}

// awake counts the workers that ended a job lately.
func (ep *endpoint) awake(now time.Time) (n int) {
	lately := time.Duration(3*ep.typical*float64(time.Second)) + 10*time.Second
	for _, at := range ep.workers {
		if now.Sub(at) < lately {
			n++
		}
	}
	return n
}
