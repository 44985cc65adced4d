package scheduler

import "time"

// Hedging: at the end of a run, when nothing waits any more, a job that takes much longer than usual is given to another worker as well. The
// first result counts; the other job is cancelled, and what it cost is counted. It is off unless asked for, bounded in number and within the
// budget, and only for jobs of one render.

const (
	hedgeShare = 20   // one hedge for so many renders at most, and one more
	hedgeGain  = 0.75 // the new job is to end within this part of the time that the old one is thought to take still, unless for `fastest`
	hedgeLearn = 8    // jobs to be seen of a kind before one counts as slow
	hedgeEvery = 500 * time.Millisecond
)

// hedge looks for stragglers.
func (c *core) hedge() {
	if c.opts.Hedge != HedgeAuto || c.stop != "" || c.paused || c.counts[Waiting] > 0 || c.ready > 0 || c.inFlight == 0 || c.now.Sub(c.hedged) < hedgeEvery {
		return
	}
	c.hedged = c.now
	for _, a := range c.open() {
		if c.hedges > c.work.Len()/hedgeShare || c.inFlight >= c.opts.MaxParallel {
			return
		}
		if ep := c.hedgeOn(a); ep != nil {
			c.beginHedge(a, ep)
		}
	}
}

// hedgeOn gives the endpoint on which a job would be done much sooner if it began anew, nil if there is none. Jobs that wait in a queue are left
// out: a second one would wait as well.
func (c *core) hedgeOn(a *attempt) *endpoint {
	if len(a.Renders) != 1 || a.twin != nil || a.restored || a.cancel != "" || a.isLeft || a.State != AttemptSubmitted && a.State != AttemptRunning ||
		a.beganAt.IsZero() || a.shard.class == nil || a.shard.stray != nil {
		return nil
	}
	est := a.estimate()
	if est.paid.len() < hedgeLearn {
		return nil
	}
	left := est.left(c.now.Sub(a.beganAt)).Seconds()
	// For the shortest time it is enough that the new job will probably be done before; else what it costs must be well spent.
	fastest := c.opts.Objective == Fastest
	if !fastest {
		left *= hedgeGain
	}
	var best candidate
	for _, ep := range c.endpoints {
		on := &a.shard.class.estimate[ep.index]
		// A free worker, not just a free place; the same endpoint counts, since its next worker may be quicker.
		if !c.takes(ep) || ep.begun >= ep.capacity() || c.unfit(a.shard, ep) != "" || !c.affordable(ep, on) {
			continue
		}
		f := c.weighUp(a.shard, ep, on)
		if fastest && on.paid.len() >= hedgeLearn {
			f.seconds += (on.paid.median() - on.mean()).Seconds()
		}
		if f.seconds < left && (best.endpoint == nil || f.seconds < best.seconds) {
			best = f
		}
	}
	return best.endpoint
}

// left is how much longer a job is thought to take that has taken so long: by those that took as long, else a quarter of that.
func (e *estimate) left(elapsed time.Duration) time.Duration {
	sum, n := time.Duration(0), time.Duration(0)
	for _, d := range e.paid.sorted {
		if d > elapsed {
			sum += d - elapsed
			n++
		}
	}
	if n == 0 {
		return elapsed / 4
	}
	return sum / n
}

// beginHedge starts a second attempt of what a runs.
func (c *core) beginHedge(a *attempt, ep *endpoint) {
	s := c.newShard(a.shard.renders...)
	s.class, s.bytes, s.unfit, s.history, s.last = a.shard.class, a.shard.bytes, a.shard.unfit, a.shard.history, a.shard.last
	c.hedges++
	b := c.begin(s, ep)
	a.twin, b.twin = b, a
}

// twinAlive gives the other attempt of the same renders, nil if there is none that goes on.
func (c *core) twinAlive(a *attempt) *attempt {
	if t := a.twin; t != nil && c.attempts[t.Number] == t {
		return t
	}
	return nil
}

// part ends what binds an attempt that has ended to the one that goes on: its failure, and what it cost, count there.
func (c *core) part(a *attempt, counts bool) (went *attempt) {
	t := c.twinAlive(a)
	if t == nil {
		return nil
	}
	a.twin, t.twin = nil, nil
	// What a hedge cost is the render's cost, whichever of the two ends it.
	if counts {
		t.shard.tries++
	}
	t.shard.cost += amount(a.CostUSD)
	// If the other one fails as well, the render is held because of this one, which may still be running.
	if a.State == AttemptUncertain {
		t.shard.stray = a
	}
	return t
}

// dropTwin cancels the slower one of two attempts, since the other's files are safe.
func (c *core) dropTwin(a *attempt) {
	if t := c.twinAlive(a); t != nil {
		a.twin, t.twin = nil, nil
		t.beaten = true
		c.askCancel(t, beatenWhy)
	}
}

const beatenWhy = "another attempt was faster"
