package scheduler

import (
	"fmt"
	"math"
	"strings"
)

// route gives prepared shards to endpoints, oldest first. A shard that has to wait does not hold up those behind it; but one that is still
// being prepared does, so that runs do not depend on how goroutines are scheduled.
func (c *core) route() {
	if c.stop != "" || len(c.ready) == 0 || c.sick.is() || c.inFlight >= c.opts.MaxParallel || !c.anyOpen() {
		return
	}
	oldest := c.oldestPreparing()
	list := c.ready
	c.ready = nil // a stop within the loop puts back what is in it
	rest, over := list[:0], false
	c.pass++
	for i, s := range list {
		over = over || c.stop != "" || c.inFlight >= c.opts.MaxParallel || s.id > oldest
		if !s.taken && (over || c.place(s, list[i+1:], oldest)) {
			rest = append(rest, s)
		}
	}
	clear(list[len(rest):])
	c.ready = rest
	if c.stop != "" {
		c.putAllBack()
	}
}

// oldestPreparing gives the least id of a shard whose job is being made.
func (c *core) oldestPreparing() int {
	least := math.MaxInt
	for id := range c.shards {
		least = min(least, id)
	}
	return least
}

// anyOpen tells whether any endpoint could take a job now, or all of them never will.
func (c *core) anyOpen() bool {
	dead := true
	for _, ep := range c.endpoints {
		if c.takes(ep) {
			return true
		}
		dead = dead && !ep.usable()
	}
	return dead
}

// takes tells whether an endpoint has room for a submit now.
func (c *core) takes(ep *endpoint) bool {
	return !ep.drain && !ep.unchecked && ep.inFlight < ep.Limits.InFlight && ep.submitting < ep.slots() && ep.admits(c.now) &&
		!tokenAt(ep.submits, c.now).After(c.now)
}

// place starts an attempt of a shard if it can, with others behind it that are ready too, and tells whether the shard has to wait on.
func (c *core) place(s *shard, behind []*shard, oldest int) (waits bool) {
	if s.class.waits == c.pass {
		return true
	}
	p := c.choose(s)
	switch {
	case p.best != nil:
		whole, wait := c.fuse(s, p.best, behind, oldest)
		if wait {
			return true
		}
		c.begin(whole, p.best)
	case !p.fits:
		c.unplaceable(s)
	case !p.alive:
		c.aside++
		c.putBack(s)
	case !p.affordable && c.inFlight == 0:
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
	affordable bool      // and within the budget
}

type candidate struct {
	*endpoint
	score float64
}

// choose finds the best endpoint for a shard among those that fit, by the objective. "Elsewhere first" is a matter of score.
func (c *core) choose(s *shard) (p placement) {
	found := c.found[:0]
	for _, ep := range c.endpoints {
		if ep.drain || c.unfit(s, ep) != "" {
			continue
		}
		p.fits = true
		if !ep.usable() {
			continue
		}
		p.alive = true
		est := &s.class.estimate[ep.index]
		if !c.affordable(ep, est) {
			continue
		}
		p.affordable = true
		if ep.unchecked || ep.admits(c.now) {
			found = append(found, candidate{ep, c.score(s, ep, est)})
		}
	}
	c.found = found
	p.best = c.pick(found)
	return p
}

// pick takes the best candidate that has room. For the lowest bill a shard waits for the cheapest; else nothing idles.
func (c *core) pick(found []candidate) *endpoint {
	least := math.Inf(1)
	for _, f := range found {
		least = min(least, f.score)
	}
	var best candidate
	for _, f := range found {
		if c.opts.Objective == Cheapest && f.score > least*alike || !c.takes(f.endpoint) {
			continue
		}
		if best.endpoint == nil || f.better(best) {
			best = f
		}
	}
	return best.endpoint
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
func (ep *endpoint) load() float64 { return float64(ep.inFlight) / float64(ep.Limits.InFlight) }

// score says how bad an endpoint is for a shard. An unknown price counts as a dear one.
func (c *core) score(s *shard, ep *endpoint, est *estimate) float64 {
	seconds := est.expected().Seconds() + 1e-3
	usd := 0.001 * seconds
	if ep.Price != nil {
		usd = *ep.Price*seconds + 1e-9
	} else if ep.Preview {
		usd = 1e-9
	}
	score := usd
	switch c.opts.Objective {
	case Fastest:
		score = seconds * (1 + ep.load())
	case Balanced:
		score = usd * seconds * (1 + ep.load())
	}
	if s.avoid == ep {
		score *= 1e6
	}
	return score
}

// unfit says why a shard cannot run on an endpoint, "" if it can.
func (c *core) unfit(s *shard, ep *endpoint) string {
	if why := s.class.unfit[ep.index]; why != "" {
		return why
	}
	if len(s.unfit) > 0 && s.unfit[ep.index] != "" {
		return s.unfit[ep.index]
	}
	if limit := ep.Limits.JobBytes; limit > 0 && ep.inBody() && s.bytes > limit {
		return fmt.Sprintf("the job has %.1f MiB, and it takes at most %.1f", float64(s.bytes)/(1<<20), float64(limit)/(1<<20))
	}
	return ""
}

// inBody tells whether input files travel in the job's body.
func (ep *endpoint) inBody() bool { return ep.Type != "comfyui" }

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
