package scheduler

import (
	"fmt"
	"strings"
)

// Routing: which prepared shard goes where, now. What may run on an endpoint at once is decided in quota.go; here the shard that comes next is
// given to the best of the endpoints that fit it and have room, by the objective; or it waits here, where it can still go anywhere.

// route gives prepared shards to endpoints until nothing more can go. A shard that has to wait does not hold up those of other kinds.
func (c *core) route() {
	if c.stop != "" || c.paused || c.ready == 0 {
		return
	}
	c.replan()
	if !c.mayRoute() {
		return
	}
	// Lanes that were found to wait are marked with the number of the pass, so that each is looked at once in it.
	c.pass++
	oldest := c.oldestPreparing()
	c.routeOdd(oldest)
	// Ends when every lane is empty or waits: each turn takes a shard away or marks a lane.
	for c.mayRoute() && c.routeLane(oldest) {
	}
	if c.stop != "" {
		c.putAllBack()
	}
}

func (c *core) mayRoute() bool {
	// While files cannot be written nothing is submitted: its result would have nowhere to go.
	return c.stop == "" && !c.paused && c.ready > 0 && !c.sick.is() && c.inFlight < c.opts.MaxParallel && c.anyOpen()
}

// anyOpen tells whether any endpoint could take a job now, or all of them never will: those that can be used can run nothing that waits.
func (c *core) anyOpen() bool {
	never := true
	for _, ep := range c.endpoints {
		if c.takes(ep) {
			return true
		}
		never = never && (ep.drain || !ep.usable() || ep.typical == 0)
	}
	return never
}

// takes tells whether an endpoint has room for a submit now.
func (c *core) takes(ep *endpoint) bool { return ep.inFlight < ep.room() && c.maySubmit(ep) }

// takesFor lets a shard that failed elsewhere go to an endpoint that is not meant to be used, as it is dear: one at a time.
func (c *core) takesFor(s *shard, ep *endpoint) bool {
	return c.takes(ep) || s.avoid != nil && s.avoid != ep && s.tries >= min(c.opts.Retries, 2) && ep.quota == 0 && ep.inFlight < min(refugees, ep.Limits.InFlight) && c.maySubmit(ep)
}

// refugees is how many such shards may be on a dear endpoint at once: enough to get on, too few to make a batch dear.
const refugees = 4

// maySubmit tells whether a call of submit is allowed now.
// Submits under way are few (slots), as each of them is uncertain after a crash; then the breaker, the platform's rate, and the share of this run.
func (c *core) maySubmit(ep *endpoint) bool {
	return !ep.drain && !ep.unchecked && ep.submitting < ep.slots() && ep.admits(c.now) &&
		!tokenAt(ep.submits, c.now).After(c.now) && c.granted(ep)
}

// routeOdd goes over the shards that are like no others.
func (c *core) routeOdd(oldest int) {
	list := c.odd
	if len(list) == 0 {
		return
	}
	c.odd = nil // a stop within the loop puts back what is in it
	rest := list[:0]
	for i, s := range list {
		switch {
		case s.taken:
			c.ready--
		case s.id > oldest || !c.mayRoute() || c.place(s, list[i+1:], oldest):
			rest = append(rest, s)
		default:
			c.ready--
		}
	}
	clear(list[len(rest):])
	c.odd = rest
}

// routeLane starts an attempt of the head of a lane, if it can, and tells whether there may be more to do.
func (c *core) routeLane(oldest int) bool {
	g := c.firstLane(oldest)
	if g == nil {
		return false
	}
	if other := c.warmer(g, oldest); other != nil {
		g.passed++
		g = other
	}
	lane := g.lane
	if c.place(lane[0], lane[1:], oldest) {
		g.waits = c.pass
		return true
	}
	g.passed = 0
	if len(g.lane) > 0 { // it was not emptied by a stop
		g.lane = c.shift(lane)
	}
	return true
}

// maxPassed is how often the head of a lane lets another lane go first whose models are loaded where it would go.
const maxPassed = 32

// warmer gives a lane whose models are those that the endpoint has in memory to which the head of another one would go. Loading them anew for
// every job costs more than a little disorder.
func (c *core) warmer(g *graphClass, oldest int) *graphClass {
	if g.kit == 0 || g.passed >= maxPassed || len(c.kinds) < 2 {
		return nil
	}
	ep := c.choose(g.lane[0]).best
	if ep == nil || ep.kit == 0 || ep.kit == g.kit {
		return nil
	}
	for _, other := range c.kinds {
		if other == g || other.kit != ep.kit || len(other.lane) == 0 || other.waits == c.pass || other.lane[0].id > oldest ||
			other.lane[0].priority < g.lane[0].priority {
			continue
		}
		if c.choose(other.lane[0]).best == ep {
			return other
		}
	}
	return nil
}

// place starts an attempt of a shard if it can, with others behind it that are ready too, and tells whether the shard has to wait on.
func (c *core) place(s *shard, behind []*shard, oldest int) (waits bool) {
	p := c.choose(s)
	switch {
	// Else it can run nowhere at all, or nowhere in this run, or no money is left and nothing is in flight that could give some back; or it waits.
	case p.best != nil:
		whole, wait := c.fuse(s, p.best, behind, oldest)
		if wait {
			return true
		}
		p.best.kit = s.class.kit
		c.begin(whole, p.best)
	case !p.fits:
		c.unplaceable(s)
	case !p.alive:
		c.aside++
		c.putBack(s)
	case !p.affordable && c.inFlight == 0 && !c.mayGetMoney():
		c.halt(StopBudget)
		return true
	default:
		return true
	}
	return false
}

// placement is what choose found.
type placement struct {
	best       *endpoint // nil: none now
	fits       bool      // an endpoint can run it
	alive      bool      // and is usable in this run
	affordable bool      // and within the budget, among those that have places for it, or all if none has
}

// candidate is an endpoint on which a shard could run.
type candidate struct {
	*endpoint
	seconds float64 // until it would be done there, if it went now
	score   float64 // the lower the better
}

// choose finds the best endpoint for a shard among those that fit. "Elsewhere first" is a matter of score.
func (c *core) choose(s *shard) (p placement) {
	found, chosen, some := c.found[:0], false, false
	for _, ep := range c.endpoints {
		if ep.drain || c.unfit(s, ep) != "" {
			continue
		}
		p.fits = true
		if !ep.usable() {
			continue
		}
		p.alive = true
		if c.shuns(s.class, ep) {
			continue
		}
		est := &s.class.estimate[ep.index]
		// chosen: an endpoint that fits has places; some: one that fits can be paid, places or not.
		chosen = chosen || ep.quota > 0
		if !c.affordable(ep, est) {
			continue
		}
		some, p.affordable = true, p.affordable || ep.quota > 0
		if ep.unchecked || ep.admits(c.now) {
			found = append(found, c.weighUp(s, ep, est))
		}
	}
	c.found = found
	// Where the objective gives places to none of them, any that can be paid will do.
	p.affordable = p.affordable || some && !chosen
	switch {
	case c.chooser != nil:
		p.best = c.chooser(c, found)
	default:
		p.best = c.pick(s, found)
	}
	return p
}

// pick takes the best candidate that has room. For the lowest bill a shard waits for those that the quota has chosen.
func (c *core) pick(s *shard, found []candidate) *endpoint {
	var best candidate
	for _, f := range found {
		if !c.takesFor(s, f.endpoint) || c.inVain(f, found) || c.scouted(s.class, f.endpoint) || needless(f.endpoint, found) {
			continue
		}
		if best.endpoint == nil || f.better(best) {
			best = f
		}
	}
	return best.endpoint
}

// inVain tells whether faster endpoints will have done all that waits, this shard too, before a slow one has done it alone.
func (c *core) inVain(f candidate, found []candidate) bool {
	if c.opts.Objective != Fastest && c.deadline.IsZero() {
		return false
	}
	rate, slowest := 0.0, 0.0
	for _, other := range found {
		if other.endpoint != f.endpoint && other.seconds < f.seconds/alike {
			rate += float64(min(other.quota, other.capacity())) / other.seconds
			slowest = max(slowest, other.seconds)
		}
	}
	if rate == 0 {
		return false
	}
	// Renders per second of the faster ones, and at the end the time of one job.
	waiting := float64(c.counts[Waiting] + c.delayed.len())
	return waiting/rate+slowest < f.seconds
}

// alike is by how much the scores of two endpoints differ at most that are taken as equal.
const alike = 1.05

// better compares by score, and about equal ones by how much is on them.
func (f candidate) better(than candidate) bool {
	if f.score*alike < than.score || f.score > than.score*alike {
		return f.score < than.score
	}
	return f.load() < than.load()
}

// load is the part of an endpoint's places that is taken.
func (ep *endpoint) load() float64 { return float64(ep.inFlight) / float64(max(ep.quota, 1)) }

// reload is about how long a worker takes to load other models than those that it has in memory.
const reload = 8.0 // seconds

// weighUp says how good an endpoint is for a shard. An unknown price counts as a dear one.
func (c *core) weighUp(s *shard, ep *endpoint, est *estimate) candidate {
	seconds := est.mean().Seconds() + 1e-3
	if !ep.Preview && s.class.kit != 0 && ep.kit != 0 && ep.kit != s.class.kit {
		seconds += reload
	}
	usd := ep.rate() * seconds
	f := candidate{endpoint: ep, seconds: seconds + ep.warmUp(c), score: usd}
	switch c.opts.Objective {
	case Fastest:
		f.score = f.seconds
	case Balanced:
		f.score = usd * f.seconds * (1 + ep.load())
	}
	if s.avoid == ep {
		// Not forbidden: where it is the only one that fits, it is still the best.
		f.score *= 1e6
	}
	return f
}

// rate is the price in USD per second that is reckoned with.
func (ep *endpoint) rate() float64 {
	switch {
	// A trifle is added, so that a free endpoint still has a score by which faster ones come first.
	case ep.Price != nil:
		return *ep.Price + 1e-12
	case ep.Preview:
		return 1e-12
	}
	// Per second, close to what an H100 costs.
	return 0.001
}

// unfit says why a shard cannot run on an endpoint, "" if it can.
func (c *core) unfit(s *shard, ep *endpoint) string {
	if why := s.class.unfit[ep.index]; why != "" {
		return why
	}
	if len(s.unfit) > 0 && s.unfit[ep.index] != "" {
		return s.unfit[ep.index]
	}
	if tooLarge(s, ep) {
		return fmt.Sprintf("the job has %.1f MiB, and it takes at most %.1f", float64(s.bytes)/(1<<20), float64(ep.Limits.JobBytes)/(1<<20))
	}
	return ""
}

// tooLarge tells whether a job's body is over an endpoint's limit, in bytes. Files that are uploaded beforehand are not in it, and are most of it.
func tooLarge(s *shard, ep *endpoint) bool {
	return ep.Limits.JobBytes > 0 && !ep.Uploads && s.bytes > ep.Limits.JobBytes
}

// exclude notes that a shard cannot run on an endpoint.
func (c *core) exclude(s *shard, ep *endpoint, why string) {
	if s.unfit == nil {
		s.unfit = make([]string, len(c.endpoints))
	}
	s.unfit[ep.index] = why
}

func (c *core) whyUnfit(s *shard) string {
	var parts []string
	for _, ep := range c.endpoints {
		if why := c.unfit(s, ep); !ep.drain && why != "" {
			parts = append(parts, ep.Name+": "+why)
		}
	}
	return strings.Join(parts, "; ")
}

// unplaceable fails a shard that no endpoint can run. If attempts led to that, it is of the last one's kind.
func (c *core) unplaceable(s *shard) {
	// It was never tried: which of the reasons is told depends on what all endpoints together lack.
	if s.last.Reason == "" {
		s.last.Kind, s.last.Code = MissingModel, "no_endpoint_fits"
		for _, ep := range c.endpoints {
			if s.class.unfit[ep.index] == "" && c.unfit(s, ep) != "" {
				s.last.Code = "job_too_large"
			}
		}
	}
	s.last.Reason = "no endpoint can run it: " + c.whyUnfit(s)
	c.giveUp(s)
}
