package scheduler

import "time"

// When did a worker begin with a job? Polls follow the time since then, not since the submit, as queues come and go. Platforms take jobs in
// order, so what is told of one says something of the others: when one ends, the oldest that waits begins. A job that is not thought to
// have begun is polled now and then, in case that this is wrong.

// waitingPoll is the pause between polls of a job that waits in a remote's queue.
const waitingPoll = 4 * time.Second

// took notes that a remote took a job: it begins at once, as far as is known, if a worker is free.
func (ep *endpoint) took(a *attempt, now time.Time) {
	// Where workers are known to start cold, the first jobs wait for that, however many places are free.
	if ep.begun < ep.capacity() && len(ep.queue) == 0 && !(ep.coldKnown() && ep.lastDone.IsZero() && ep.Workers.Min == 0) {
		ep.begin(a, now)
		return
	}
	ep.queue = append(ep.queue, a)
}

// begin notes that a worker has begun with a job; begun counts the jobs of which that is thought.
func (ep *endpoint) begin(a *attempt, at time.Time) {
	a.beganAt = at
	ep.begun++
}

// gone notes that a job takes no worker any more. The next one has begun.
func (c *core) gone(a *attempt, at time.Time) {
	ep := a.endpoint
	if a.beganAt.IsZero() {
		ep.unqueue(a)
		return
	}
	ep.begun--
	// It cannot have begun before it was there.
	if next := ep.nextInQueue(); next != nil {
		ep.begin(next, later(at, next.Submitted))
		if !next.polling && !next.pollAt.IsZero() {
			c.schedulePoll(next)
		}
	}
}

// nextInQueue takes the oldest job that waits, nil if none does.
func (ep *endpoint) nextInQueue() *attempt {
	for len(ep.queue) > 0 {
		a := ep.queue[0]
		ep.queue[0] = nil
		ep.queue = ep.queue[1:]
		if inFlight(a.State) && !a.isLeft && a.beganAt.IsZero() {
			return a
		}
	}
	return nil
}

// unqueue takes a job out of the line, if it is in it: O(line), and only when a guess was wrong.
func (ep *endpoint) unqueue(a *attempt) {
	for i, q := range ep.queue {
		if q == a {
			ep.queue = append(ep.queue[:i], ep.queue[i+1:]...)
			return
		}
	}
}

// heard corrects what is thought of a job by what a poll says.
func (ep *endpoint) heard(a *attempt, st State, now time.Time) {
	switch {
	case st == Queued && !a.beganAt.IsZero():
		a.beganAt = time.Time{}
		ep.begun--
		ep.queue = append([]*attempt{a}, ep.queue...)
	// It began at some time between the last poll that said otherwise and now: the middle is off by half of that at most.
	case st == Running && a.beganAt.IsZero():
		ep.unqueue(a)
		ep.begin(a, a.alive.Add(now.Sub(a.alive)/2))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
