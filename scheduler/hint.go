package scheduler

import "time"

// Hints: news about jobs from outside the polls, by a Watcher or by Control.Hint. They make a poll happen at once and show progress meanwhile;
// what they say of a state is never believed. While an endpoint's watch is up, its jobs are polled seldom.

// chooser takes the place of pick where ways to choose are compared.
type chooser func(c *core, found []candidate) *endpoint

// A hint with a token is a webhook's, one with a remote id a watch's. Those that fit no open attempt are dropped: late ones, and lies.
func (in hinted) apply(c *core) {
	if in.Token != "" {
		c.tokenHint(Hint(in))
		return
	}
	if a := c.findRemote(in.Endpoint, in.Remote); a != nil {
		c.hintAbout(a, Hint(in))
	}
}

// pollAll polls all open jobs of an endpoint, since news of them may have been missed.
func (c *core) pollAll(name string) {
	for _, a := range c.open() {
		if a.Endpoint == name && a.Remote != "" {
			c.pollSoon(a)
		}
	}
}

// findRemote gives the open attempt with a remote id. The index is made with the first hint, and kept from then on.
func (c *core) findRemote(endpoint, remote string) *attempt {
	if c.byRemote == nil {
		c.byRemote = map[string]*attempt{}
		for _, a := range c.attempts {
			c.indexRemote(a)
		}
	}
	// The index may hold an attempt that has ended; attempts is the truth. Two endpoints may give the same id.
	a := c.byRemote[remote]
	if a == nil || c.attempts[a.Number] != a || endpoint != "" && a.Endpoint != endpoint {
		return nil
	}
	return a
}

// indexRemote keeps the index after each change of an attempt's state: an open one is in it, an ended one is not.
func (c *core) indexRemote(a *attempt) {
	if c.byRemote == nil || a.Remote == "" {
		return
	}
	if c.attempts[a.Number] == a {
		c.byRemote[a.Remote] = a
	} else if c.byRemote[a.Remote] == a {
		delete(c.byRemote, a.Remote)
	}
}

// tokenHint finds the attempt that a webhook speaks of. It may have been uncertain until now.
// Tokens are secret and drawn anew for each attempt, so a webhook cannot speak for another one. Webhooks are few; a search does.
func (c *core) tokenHint(h Hint) {
	for _, a := range c.attempts {
		if a.Token == h.Token {
			c.hintAbout(a, h)
			return
		}
	}
	if a := c.lost[h.Token]; a != nil && h.Remote != "" {
		c.arrived(a, h.Remote)
	}
}

// hintAbout shows what a hint says, and polls unless it tells of progress only.
func (c *core) hintAbout(a *attempt, h Hint) {
	if h.Progress > 0 && h.Progress != a.progress {
		a.progress = min(h.Progress, 1)
		c.tellAttempt(a)
	}
	if h.State.Final() || h.State == Running && a.runningAt.IsZero() || h.State == Unknown && h.Progress == 0 && h.Node == "" {
		c.pollSoon(a)
	}
}

// pollSoon brings the next poll of a job forward to now; one that is under way is followed by another.
func (c *core) pollSoon(a *attempt) {
	switch {
	case a.State != AttemptSubmitted && a.State != AttemptRunning || a.isLeft:
	case a.polling:
		a.hinted = true
	default:
		c.pollIn(a, 0)
	}
}

// watched says whether the loop has a connection over which an endpoint tells what happens.
type watched struct {
	endpoint int
	up       bool
}

func (in watched) apply(c *core) {
	ep := c.endpoints[in.endpoint]
	ep.watched = in.up
	// What happened before the connection was there was not told.
	if in.up {
		c.pollAll(ep.Name)
	}
}

// watchedPoll is the least pause between polls of a job whose endpoint tells of its end: the poll is for the case that it does not.
const watchedPoll = 15 * time.Second
