package scheduler

import (
	"slices"
	"time"
)

// Stopping early. Nothing more is submitted; what is in flight is cancelled, or finishes, or is left, as the reason says.

// why says in words why a run stops, for the renders that are cancelled by it.
func (s Stop) why() string {
	return map[Stop]string{
		StopInterrupted: "the run was interrupted", StopBudget: "the budget is used up", StopDeadline: "the deadline has passed",
		StopFailFast: "another render failed", StopUnusable: "no endpoint can be used", StopSink: "files cannot be written",
		StopStore: "the state cannot be written", StopDrained: "the run was asked to end",
	}[s]
}

// halt stops submitting. An interrupt and a dead disk weigh more than what stopped the run before.
func (c *core) halt(why Stop) {
	if c.stop == why || c.stop != "" && why != StopInterrupted && why != StopSink {
		return
	}
	c.stop = why
	c.emit(Event{Notice: &Notice{why.Code(), why.why()}})
	c.putAllBack()
	for _, a := range c.open() {
		c.stopOne(a)
	}
}

// stopOne does with an attempt in flight what the reason to stop asks for.
func (c *core) stopOne(a *attempt) {
	switch {
	case a.State == AttemptSubmitting:
	case a.beaten:
		c.askCancel(a, beatenWhy)
	case c.stop == "" && c.allUnwanted(a):
		c.askCancel(a, unwantedWhy)
	case c.stop == "":
	case c.aborted, c.stop == StopSink, c.stop == StopInterrupted && c.opts.LeaveOnInterrupt && a.State != AttemptFinished:
		c.leave(a, c.stop.why())
	case c.stop == StopInterrupted, c.stop == StopFailFast:
		c.askCancel(a, c.stop.why())
	}
}

// putAllBack makes all renders wait again of which nothing is in flight.
func (c *core) putAllBack() {
	c.eachReady(func(s *shard) bool {
		c.putBack(s)
		return false
	})
	for c.delayed.len() > 0 {
		c.putBack(c.delayed.take())
	}
}

// interrupted says that the context of the run has ended.
type interrupted struct{}

func (interrupted) apply(c *core) {
	if c.grace.IsZero() {
		c.grace = c.now.Add(c.opts.Grace)
		c.halt(StopInterrupted)
	}
}

// enforce looks for reasons to stop that come with time.
func (c *core) enforce() {
	if c.stop == "" && !c.deadline.IsZero() && !c.now.Before(c.deadline) {
		c.halt(StopDeadline)
	}
	if c.stop == "" && c.hopeless() {
		c.halt(StopUnusable)
	}
	if c.sick.is() && c.now.Sub(c.sick.since) >= c.opts.Patience {
		c.halt(StopSink)
	}
	if !c.grace.IsZero() && !c.now.Before(c.grace) && !c.aborted {
		c.aborted = true
		for _, a := range c.open() {
			c.stopOne(a)
		}
	}
	c.leaveUnreachable()
}

// hopeless tells whether no endpoint can take anything in this run.
func (c *core) hopeless() bool {
	if c.counts[Waiting]+c.counts[Active] == 0 || c.reusesMore() {
		return false
	}
	for _, ep := range c.endpoints {
		if !ep.drain && (ep.unchecked || ep.usable() && c.borne(ep)) {
			return false
		}
	}
	return true
}

// leaveUnreachable gives up the jobs of endpoints that have not answered for too long.
func (c *core) leaveUnreachable() {
	for _, ep := range c.endpoints {
		if ep.bad.IsZero() || c.borne(ep) || ep.silent {
			continue
		}
		ep.silent = true
		c.leaveAll(ep, "its endpoint does not answer: "+ep.trouble)
	}
}

func (c *core) leaveAll(ep *endpoint, why string) {
	for _, a := range c.open() {
		if a.endpoint == ep && a.State != AttemptSubmitting && !a.hasOutput {
			c.leave(a, why)
		}
	}
}

// checked is the answer to callCheck.
type checked struct {
	endpoint int
	err      *Error
}

func (in checked) apply(c *core) {
	c.calls--
	c.checking--
	ep := c.endpoints[in.endpoint]
	if in.err == nil {
		ep.unchecked, c.stale = false, true
		c.emit(Event{Endpoint: &EndpointEvent{Name: ep.Name, Usable: true}})
	}
	ep.check = in.err
	if c.checking == 0 {
		c.judge()
	}
}

// judge decides, once all checks are in, about the endpoints that did not pass. Trouble that may pass is waited out only if another
// endpoint works meanwhile: a run that can do nothing says so at once.
func (c *core) judge() {
	works := slices.ContainsFunc(c.endpoints, func(ep *endpoint) bool {
		return !ep.drain && (ep.check == nil || ep.check.Kind == Busy)
	})
	c.stale = true
	for _, ep := range c.endpoints {
		ep.unchecked = false
		switch err := ep.check; {
		case err == nil:
		case err.Kind == Busy:
			c.hurried(ep, err)
		case works && (err.Kind == Transient || err.Kind == Unreachable):
			c.failed(ep, err, true)
		default:
			c.kill(ep, err.Kind, err.Message)
			c.leaveAll(ep, "its endpoint cannot be used: "+err.Message)
		}
	}
}

// tick says that time has passed.
type tick struct{}

func (tick) apply(*core) {}

// wake gives the next moment at which something is due that no answer will bring.
func (c *core) wake() time.Time {
	var w earliest
	if c.stop == "" {
		w.at(c.deadline)
		c.wakeToSubmit(&w)
	}
	if !c.aborted {
		w.at(c.grace)
	}
	if c.shares != nil && !c.shares.busy {
		w.at(c.shares.next)
	}
	if c.sick.is() {
		w.at(c.sick.since.Add(c.opts.Patience))
	}
	if c.changed && c.opts.listens() {
		w.at(c.told.Add(totalsEvery))
	}
	w.head(c.now, &c.cancels)
	c.wakeToFind(&w)
	c.wakeToReuse(&w)
	w.head(c.now, &c.sick.waiting)
	for _, ep := range c.endpoints {
		c.wakeToPoll(ep, &w)
	}
	return w.time
}

func (c *core) wakeToSubmit(w *earliest) {
	if c.ready > 0 && !c.paused {
		w.at(c.planned.Add(replanIdle))
	}
	if c.delayed.len() > 0 {
		if at, _ := c.delayed.head(); at.After(c.now) {
			w.at(at)
		}
	}
	for _, ep := range c.endpoints {
		if c.ready == 0 || c.paused || ep.drain || !ep.usable() {
			continue
		}
		if ep.until.After(c.now) {
			w.at(ep.until)
		} else if at := tokenAt(ep.submits, c.now); at.After(c.now) {
			w.at(at)
		}
	}
}

func (c *core) wakeToPoll(ep *endpoint, w *earliest) {
	if !ep.bad.IsZero() && !ep.silent {
		patience := c.opts.Patience
		if ep.busy {
			patience *= busyTimes
		}
		w.at(ep.bad.Add(patience))
	}
	if c.pollDue(ep) {
		if at := ep.mayPoll(c.now); at.After(c.now) {
			w.at(at)
		}
	} else if ep.polls.len() > 0 {
		at, _ := ep.polls.head()
		w.at(at)
	}
}

// earliest is the least of the times given to it.
type earliest struct{ time time.Time }

func (e *earliest) at(t time.Time) {
	if !t.IsZero() && (e.time.IsZero() || t.Before(e.time)) {
		e.time = t
	}
}

func (e *earliest) head(now time.Time, t *timeline[*attempt]) {
	if t.len() > 0 {
		if at, _ := t.head(); at.After(now) {
			e.at(at)
		}
	}
}
