package scheduler

// Not everything can run on the endpoints that the objective has chosen: a kind of graph may lack its models there, a render may have run out of
// memory on their GPU. What can run nowhere else gets places on the cheapest endpoint that can run it, and that endpoint gets nothing else.

// cover gives places to what waits and has none. A lane is asked about by its head, which stands for all in it; the work of a kind is taken to be the
// part of what remains that it has of what was prepared so far.
func (c *core) cover() {
	work := map[*endpoint]float64{} // seconds, that only this endpoint is to do
	total := 0.0
	for _, g := range c.kinds {
		total += float64(g.prepared)
	}
	for _, g := range c.kinds {
		if len(g.lane) > 0 {
			c.shelter(g.lane[0], c.remaining()*float64(g.prepared)/max(total, 1), work)
		}
	}
	for _, s := range c.odd {
		if !s.taken {
			c.shelter(s, float64(len(s.renders)), work)
		}
	}
	for ep, seconds := range work {
		ep.refuge = true
		ep.quota = ep.keepWarm(ep.economical(seconds))
	}
}

// shelter adds some renders like those of a shard to the work of the endpoint that does them for the least, if none has places for them.
func (c *core) shelter(s *shard, renders float64, work map[*endpoint]float64) {
	var best *endpoint
	least := 0.0
	for _, ep := range c.endpoints {
		if ep.drain || !ep.usable() || c.unfit(s, ep) != "" || c.shuns(s.class, ep) {
			continue
		}
		// It can go where the objective wants jobs anyway.
		if ep.quota > 0 {
			return
		}
		// Whatever the objective: work that one endpoint alone can do leaves nothing to choose but the price.
		if usd := ep.rate() * s.class.estimate[ep.index].mean().Seconds(); best == nil || usd < least {
			best, least = ep, usd
		}
	}
	if best != nil {
		work[best] += renders * s.class.estimate[best.index].mean().Seconds()
	}
}

// needless tells whether a place is kept for what can run nowhere else, and another endpoint has places for this.
func needless(ep *endpoint, found []candidate) bool {
	if !ep.refuge {
		return false
	}
	for _, other := range found {
		if other.quota > 0 && !other.refuge {
			return true
		}
	}
	return false
}
