package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// Cancels: a job that is no longer wanted is cancelled on its remote, and then polled, as it may have finished meanwhile: what is paid
// for is collected.

const (
	// maxCancelling bounds the calls under way on all endpoints together, cancelTries the calls for one job and the polls after one that was taken.
	maxCancelling = 16
	cancelTries   = 3
)

// open lists the open attempts by number: a map has no order, and equal inputs are to give equal runs. O(n log n); nothing calls it for each event.
func (c *core) open() []*attempt {
	list := make([]*attempt, 0, len(c.attempts))
	for _, a := range c.attempts {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *attempt) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// askCancel puts a job in for cancelling. A submit under way is waited for first; a finished job is collected.
func (c *core) askCancel(a *attempt, why string) {
	if a.cancel != "" || a.isLeft || a.State != AttemptSubmitted && a.State != AttemptRunning {
		return
	}
	// Polls rest until the remote has answered: the entry in the timeline no longer counts.
	a.cancel = why
	a.pollAt = time.Time{}
	a.endpoint.stops.add(c.now, a)
}

// sendCancels sends the cancels that are due, within the rate that the platform takes.
func (c *core) sendCancels() {
	for _, ep := range c.endpoints {
		for c.cancelling < maxCancelling && c.cancelDue(ep) && !tokenAt(ep.cancels, c.now).After(c.now) {
			a := ep.stops.take()
			ep.cancels.AllowN(c.now, 1)
			c.cancelling++
			a.requests++
			c.ask(call{kind: callCancel, endpoint: ep.index, attempt: a.Number, remote: a.Remote})
		}
	}
}

// cancelDue drops entries of jobs that have ended and tells whether the first one that is left is due.
func (c *core) cancelDue(ep *endpoint) bool {
	for ep.stops.len() > 0 {
		at, a := ep.stops.head()
		// The first that still counts decides: entries are in order of time.
		if c.attempts[a.Number] == a && !a.isLeft && inFlight(a.State) {
			return !at.After(c.now)
		}
		ep.stops.take()
	}
	return false
}

// cancelAnswer is the answer to callCancel.
type cancelAnswer struct {
	attempt int64
	err     *Error
}

func (in cancelAnswer) apply(c *core) {
	c.calls--
	c.cancelling--
	a := c.attempts[in.attempt]
	switch {
	case a == nil || a.isLeft || !inFlight(a.State):
	// That the remote took the cancel does not say how the job ended: it may have been done before, and is then collected.
	case in.err == nil:
		c.pollIn(a, 0)
	// With pauses of up to 2 and 4 s, by jitter.
	case a.requests < cancelTries && !c.aborted:
		a.endpoint.stops.add(c.now.Add(c.jitter(time.Second<<a.requests)), a)
	// A job that hangs where even its cancel fails must not hold its render for ever; any other one is left to the next run.
	case a.overdue:
		c.lostContact(a)
	default:
		c.leave(a, "it could not be cancelled: "+in.err.Message)
	}
}

// stillThere deals with a job that was cancelled and is not final: it is polled a few times more, then the remote's word is taken.
func (c *core) stillThere(a *attempt) {
	// Platforms take a moment to show a cancel.
	if a.looks++; a.looks < cancelTries {
		c.pollIn(a, 500*time.Millisecond)
		return
	}
	c.settle(a, c.observed(a))
	c.cancelledAttempt(a)
}

// lostContact gives up a job that neither ends nor can be cancelled, and does its renders again.
// Its time so far is taken as paid, so that the cap holds if it does go on.
func (c *core) lostContact(a *attempt) {
	c.settle(a, c.observed(a))
	c.end(a, AttemptExpired, Lost, a.cancel+" and could not be cancelled")
	c.retry(a, Lost, true)
}

// stopped deals with a job that the remote calls cancelled.
func (c *core) stopped(a *attempt, st Status) {
	c.settle(a, c.paid(a, st))
	if a.cancel == "" {
		a.cancel = "it was cancelled on the remote"
	}
	c.cancelledAttempt(a)
}

// cancelledAttempt ends a settled attempt that was cancelled.
func (c *core) cancelledAttempt(a *attempt) {
	if a.overdue {
		c.end(a, AttemptExpired, Lost, a.cancel)
		c.retry(a, Lost, true)
		return
	}
	c.end(a, AttemptCancelled, Lost, a.cancel)
	if a.beaten || c.part(a, false) != nil {
		return
	}
	for _, i := range a.shard.renders {
		rec := c.record(a)
		rec.Kind, rec.Reason = Lost, a.cancel
		c.ended++
		c.setRender(i, RenderCancelled, rec)
	}
}

// leave gives an attempt up for this run. Its row stays open, so the next run polls it; its reservation stays too, as the job may still cost money.
// The run ends when all attempts that are open are left.
func (c *core) leave(a *attempt, why string) {
	if a.isLeft {
		return
	}
	a.isLeft = true
	c.left++
	for _, i := range a.shard.renders {
		c.trouble[i] = Trouble{Render: i, Kind: Lost, Code: "job_left", Reason: why, Endpoint: a.Endpoint, Remote: a.Remote}
	}
}
