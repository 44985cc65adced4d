package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// Cancels: a job that is no longer wanted is cancelled on its remote, and then polled, as it may have finished meanwhile: what is paid
// for is collected.

const (
	maxCancelling = 16
	cancelTries   = 3
)

// open lists the open attempts by number.
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
	a.cancel = why
	a.pollAt = time.Time{}
	c.cancels.add(c.now, a)
}

// sendCancels sends the cancels that are due.
func (c *core) sendCancels() {
	for c.cancelling < maxCancelling && c.cancels.len() > 0 {
		if at, _ := c.cancels.head(); at.After(c.now) {
			return
		}
		a := c.cancels.take()
		if c.attempts[a.Number] != a || a.isLeft || !inFlight(a.State) {
			continue
		}
		c.cancelling++
		a.requests++
		c.ask(call{kind: callCancel, endpoint: a.endpoint.index, attempt: a.Number, remote: a.Remote})
	}
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
	case in.err == nil:
		c.pollIn(a, 0)
	case a.requests < cancelTries && !c.aborted:
		c.cancels.add(c.now.Add(time.Duration(a.requests)*500*time.Millisecond), a)
	case a.overdue:
		c.lostContact(a)
	default:
		c.leave(a, "it could not be cancelled: "+in.err.Message)
	}
}

// stillThere deals with a job that was cancelled and is not final: it is polled a few times more, then the remote's word is taken.
func (c *core) stillThere(a *attempt) {
	if a.looks++; a.looks < cancelTries {
		c.pollIn(a, 500*time.Millisecond)
		return
	}
	c.settle(a, c.observed(a))
	c.cancelledAttempt(a)
}

// lostContact gives up a job that neither ends nor can be cancelled, and does its renders again.
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

// leave gives an attempt up for this run. Its row stays open, so the next run polls it.
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
