package scheduler

import (
	"cmp"
	"fmt"
	"time"
)

// What is done after an attempt that failed. Retries live at two levels and no third: a repeatable call (a poll, a cancel, a download) is
// repeated by whoever makes it, and a shard gets a new attempt here.

// end closes an attempt with what went wrong.
func (c *core) end(a *attempt, to AttemptState, kind Kind, why string) {
	a.Kind, a.Reason = kind, why
	if a.Finished.IsZero() {
		a.Finished = c.now
	}
	c.setAttempt(a, to)
}

// counts tells whether an attempt that ended with a kind of trouble counts against Options.Retries. What says nothing about the job, like
// a busy or dead endpoint, does not; a missing model does not either, as it takes the endpoint away for that kind of graph.
func (k Kind) counts() bool {
	return k != Busy && k != Unreachable && k != Unauthorized && k != MissingModel
}

// retry decides what becomes of the shard of a failed attempt, which counts against Options.Retries or not.
func (c *core) retry(a *attempt, kind Kind, counts bool) {
	if c.part(a, counts) != nil || len(c.stillActive(a.shard.renders)) == 0 {
		return // another attempt goes on, or was faster
	}
	// The state is kept on the shard, which outlives its attempts: tries, what they cost, where not to go first.
	s := a.shard
	if s.stray != nil && c.opts.Uncertain != Resubmit {
		c.hold(s.stray, "its submission's answer was lost, so it may be running and paid for"+atStake(s.stray)+": "+s.stray.Reason)
		return
	}
	s.last = Trouble{Kind: kind, Code: a.troubleCode(), Reason: a.Reason, Endpoint: a.Endpoint, Remote: a.Remote}
	if len(a.Renders) > 1 {
		c.dissolve(a, kind, counts)
		return
	}
	// Elsewhere first, but not for ever: if nowhere else is room, it goes there again.
	s.avoid = a.endpoint
	if counts {
		s.tries++
	}
	switch kind {
	case Rejected:
		c.giveUp(s)
		return
	case MissingModel:
		s.class.exclude(a)
	case OutOfMemory:
		c.excludeGPU(s, a)
	case Busy, Unreachable, Unauthorized:
		c.again(s, 0) // the endpoint waits, not the shard
		return
	}
	// Retries are on top of the first try: with 2, three attempts that count.
	if s.tries > c.opts.Retries {
		c.giveUp(s)
		return
	}
	c.again(s, c.backoff(s, kind))
}

// backoff is full jitter over a doubling span, from 1 s to 1 min. Elsewhere it may be tried at once.
func (c *core) backoff(s *shard, kind Kind) time.Duration {
	if kind == MissingModel || kind == OutOfMemory || kind == Lost {
		return 0
	}
	return c.jitter(min(time.Second<<min(max(s.tries-1, 0), 6), time.Minute))
}

// exclude notes that an endpoint lacks what this kind of graph needs.
func (g *graphClass) exclude(a *attempt) {
	if g != nil {
		g.unfit[a.endpoint.index] = a.Reason
	}
}

// excludeGPU keeps a shard from every endpoint with the same GPU.
// What did not fit into a GPU's memory once does not fit into another one of the same model. Only this shard: its kind may hold smaller pictures.
func (c *core) excludeGPU(s *shard, a *attempt) {
	for _, ep := range c.endpoints {
		if ep == a.endpoint || ep.GPU != "" && ep.GPU == a.endpoint.GPU {
			c.exclude(s, ep, a.Reason)
		}
	}
}

// giveUp fails the renders of a shard.
func (c *core) giveUp(s *shard) {
	why := s.last.Reason
	if s.tries > 1 {
		why = fmt.Sprintf("after %d attempts: %s", s.tries, why)
	}
	for _, i := range s.renders {
		rec := &Record{Reason: why, Kind: s.last.Kind, Endpoint: s.last.Endpoint, Remote: s.last.Remote, Attempts: s.attempts, Finished: c.now, CostUSD: s.costUSD()}
		c.trouble[i] = Trouble{Render: i, Kind: rec.Kind, Code: cmp.Or(s.last.Code, rec.Kind.Code()), Reason: why, Endpoint: rec.Endpoint, Remote: rec.Remote}
		c.ended++
		c.setRender(i, RenderFailed, rec)
	}
	if c.opts.FailFast {
		c.halt(StopFailFast)
	}
}

// costUSD is what a render cost over all attempts, nil if a price is unknown.
func (h *history) costUSD() *float64 {
	if h.unpriced {
		return nil
	}
	usd := h.cost
	return &usd
}

// record is what is recorded of a render that ends with an attempt.
func (c *core) record(a *attempt) *Record {
	return &Record{Endpoint: a.Endpoint, GPU: a.GPU, Remote: a.Remote, Worker: a.Worker, Attempts: a.shard.attempts, Submitted: a.Submitted,
		Finished: a.Finished, Seconds: a.Seconds / float64(max(1, len(a.Renders))), CostUSD: a.shard.costUSD()}
}
