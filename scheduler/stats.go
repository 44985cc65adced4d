package scheduler

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Counts of an endpoint's queue, where it tells them (Stater), say something of all its jobs for the price of one call. They are hints like all
// others: polls decide. If fewer jobs wait and run there than we have, the rest have ended, and so many are polled at once, those first that
// began first. If at least as many wait as are thought to, the polls of those that wait can wait too. Other people's jobs are in the counts, so
// they may hide an end but never make one up.

const (
	statsLeast = 8               // jobs in flight from which on counts are asked for: for fewer, polls are as cheap
	statsEvery = 2 * time.Second // at most
	statsRest  = time.Minute     // after a call that failed
	statsTime  = 10 * time.Second
	stillWaits = 15 * time.Second // the pause between polls of jobs that are known to wait
)

// countable tells whether counts of an endpoint are worth a call: not while its jobs' ends are told by a watch.
func (ep *endpoint) countable() bool {
	return ep.counts && !ep.counting && !ep.watched && ep.usable() && ep.begun+len(ep.queue) >= statsLeast
}

// askStats asks for counts where they are due, within the status rate.
func (c *core) askStats() {
	for _, ep := range c.endpoints {
		if !ep.countable() || c.now.Before(ep.countAt) || ep.mayPoll(c.now).After(c.now) {
			continue
		}
		ep.counting, ep.countAt = true, c.now.Add(statsEvery)
		ep.statuses.AllowN(c.now, 1)
		c.ask(call{kind: callStats, endpoint: ep.index})
	}
}

// stats makes the call.
func (l *loop) stats(k call, asked time.Time) any {
	ctx, cancel := context.WithTimeout(l.calls, statsTime)
	defer cancel()
	st, err := l.ends[k.endpoint].(Stater).Stats(ctx)
	return counted{k.endpoint, asked, st, l.asError(k, "stats", err)}
}

// counted is the answer to callStats.
type counted struct {
	endpoint int
	asked    time.Time
	stats    Stats
	err      *Error
}

func (in counted) apply(c *core) {
	c.calls--
	ep := c.endpoints[in.endpoint]
	ep.counting = false
	switch {
	// It does not tell counts, now or later.
	case in.err != nil && in.err.Kind == Rejected:
		ep.counts = false
	case in.err != nil:
		ep.countAt = c.now.Add(statsRest)
	case in.stats.Queued >= 0 && in.stats.Running >= 0:
		c.compareCounts(ep, in)
	}
}

// compareCounts polls as many jobs as must have ended.
func (c *core) compareCounts(ep *endpoint, in counted) {
	var ours []*attempt
	waiting := 0
	for _, a := range c.attempts {
		// What was sent after the question cannot be in the answer.
		if a.endpoint != ep || a.isLeft || a.Remote == "" || !inFlight(a.State) || a.Submitted.After(in.asked) {
			continue
		}
		ours = append(ours, a)
		if a.beganAt.IsZero() {
			waiting++
		}
	}
	ep.allWait = in.stats.Queued >= waiting && waiting > 0
	ended := len(ours) - in.stats.Queued - in.stats.Running
	if ended <= 0 {
		return
	}
	slices.SortFunc(ours, func(a, b *attempt) int {
		return cmp.Or(compareBegin(a, b), cmp.Compare(a.Number, b.Number))
	})
	for _, a := range ours[:min(ended, len(ours))] {
		c.pollSoon(a)
	}
}

// compareBegin puts jobs that began first before others, and those that wait last.
func compareBegin(a, b *attempt) int {
	if a.beganAt.IsZero() != b.beganAt.IsZero() {
		if a.beganAt.IsZero() {
			return 1
		}
		return -1
	}
	return a.beganAt.Compare(b.beganAt)
}

// wakeToCount wakes for the next call.
func (c *core) wakeToCount(ep *endpoint, w *earliest) {
	if !ep.countable() {
		return
	}
	at := ep.countAt
	if next := ep.mayPoll(c.now); next.After(at) {
		at = next
	}
	if at.After(c.now) {
		w.at(at)
	}
}
