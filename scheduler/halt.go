package scheduler

import (
	"slices"
	"time"
)

// Stopping early. Nothing more is submitted; what is in flight is cancelled, or finishes, or is left, as the reason says.

// why says in words why a run stops, for the renders that are cancelled by it and the notice that users read.
func (s Stop) why() string {
	return map[Stop]string{
		StopInterrupted: "the run was interrupted", StopBudget: "the budget is used up", StopDeadline: "the deadline has passed",
		StopFailFast: "another render failed", StopUnusable: "no endpoint can be used", StopSink: "files cannot be written",
		StopStore: "the state cannot be written", StopDrained: "the run was asked to end",
	}[s]
}

// halt stops submitting. An interrupt and a dead disk weigh more than what stopped the run before; apart from these the first reason stays. Submits
// that wait for their intents are taken back by the writer.
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

// stopOne does with an attempt in flight what the reason to stop asks for. It is called when a run stops and when a submit is answered after that, so
// no attempt is missed. For reasons that are not named (budget, deadline, drained) what is in flight is paid and may finish.
func (c *core) stopOne(a *attempt) {
	switch {
	// Nothing can be cancelled before there is an id.
	case a.State == AttemptSubmitting:
	case a.beaten:
		c.askCancel(a, beatenWhy)
	case c.stop == "" && c.allUnwanted(a):
		c.askCancel(a, unwantedWhy)
	case c.stop == "":
	// Results cannot be made safe, or not in time, or another run goes on here: the remote keeps them.
	case c.aborted, c.stop == StopSink, c.stop == StopInterrupted && c.opts.LeaveOnInterrupt && a.State != AttemptFinished:
		c.leave(a, c.stop.why())
	case c.stop == StopInterrupted, c.stop == StopFailFast:
		c.askCancel(a, c.stop.why())
	}
}

// putAllBack makes all renders wait again of which nothing is in flight. They have no row in the store, so the next run finds them by the plan.
func (c *core) putAllBack() {
	c.eachReady(func(s *shard) bool {
		c.putBack(s)
		return false
	})
	for c.delayed.len() > 0 {
		c.putBack(c.delayed.take())
	}
}

// interrupted says that the context of the run has ended. Only the first one sets the grace: asking again does not lengthen it.
type interrupted struct{}

func (interrupted) apply(c *core) {
	if c.grace.IsZero() {
		c.grace = c.now.Add(c.opts.Grace)
		c.halt(StopInterrupted)
	}
}

// enforce looks for reasons to stop that come with time. It runs at every step, before anything is started; wake sees to it that there is a step when
// one of them is due.
func (c *core) enforce() {
	if c.stop == "" && !c.deadline.IsZero() && !c.now.Before(c.deadline) {
		c.halt(StopDeadline)
	}
	if c.stop == "" && c.hopeless() {
		c.halt(StopUnusable)
	}
	// Even if the run stops already: nothing that is fetched now could be kept.
	if c.sick.is() && c.now.Sub(c.sick.since) >= c.opts.Patience {
		c.halt(StopSink)
	}
	// The grace is over: what is still open is left, and calls under way are given up.
	if !c.grace.IsZero() && !c.now.Before(c.grace) && !c.aborted {
		c.aborted = true
		for _, a := range c.open() {
			c.stopOne(a)
		}
	}
	c.leaveUnreachable()
}

// hopeless tells whether no endpoint can take anything in this run. One that is still being checked, or whose trouble is borne for now, is a hope.
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

// leaveUnreachable gives up the jobs of endpoints that have not answered for too long, once for each time that they fall silent. What has its
// result in memory is the sink's business by then.
func (c *core) leaveUnreachable() {
	for _, ep := range c.endpoints {
		// bad is since when it has not answered; silent is cleared by its next answer.
		if ep.bad.IsZero() || c.borne(ep) || ep.silent {
			continue
		}
		ep.silent = true
		c.leaveAll(ep, "its endpoint does not answer: "+ep.trouble)
	}
}

// leaveAll gives up the jobs on one endpoint. A submit under way is answered, or runs out of its time, all the same.
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
	// A check that passes opens the endpoint at once; one that does not waits for judge.
	ep.check = in.err
	// One answer does not decide: whether trouble is waited out depends on how the others are.
	if c.checking == 0 {
		c.judge()
	}
}

// judge decides, once all checks are in, about the endpoints that did not pass. Trouble that may pass is waited out only if another
// endpoint works meanwhile: a run that can do nothing says so at once.
func (c *core) judge() {
	// Endpoints that are only collected from do no work, so the others are not waited for because of them.
	works := slices.ContainsFunc(c.endpoints, func(ep *endpoint) bool {
		return !ep.drain && (ep.check == nil || ep.check.Kind == Busy)
	})
	c.stale = true
	for _, ep := range c.endpoints {
		ep.unchecked = false
		switch err := ep.check; {
		case err == nil:
		// It is there and takes our key.
		case err.Kind == Busy:
			c.hurried(ep, err)
		case works && (err.Kind == Transient || err.Kind == Unreachable):
			c.failed(ep, err, true)
		// Wrong keys, wrong settings, or no endpoint that works: waiting would change nothing.
		default:
			c.kill(ep, err.Kind, err.Message)
			c.leaveAll(ep, "its endpoint cannot be used: "+err.Message)
		}
	}
}

// tick says that time has passed.
type tick struct{}

func (tick) apply(*core) {}

// wake gives the next moment at which something is due that no answer will bring; zero if nothing is. Each part below mirrors a condition of the step
// that waits for a time: one that is forgotten here would wait until something else happens.
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
	// Totals are told at most so often, however many renders end.
	if c.changed && c.opts.listens() {
		w.at(c.told.Add(totalsEvery))
	}
	c.wakeToFind(&w)
	c.wakeToReuse(&w)
	w.head(c.now, &c.sick.waiting)
	for _, ep := range c.endpoints {
		c.wakeToPoll(ep, &w)
		c.wakeToCancel(ep, &w)
		c.wakeToCount(ep, &w)
	}
	return w.time
}

func (c *core) wakeToSubmit(w *earliest) {
	// Quotas change with time alone, as when a deadline comes nearer.
	if c.ready > 0 && !c.paused {
		w.at(c.planned.Add(replanIdle))
	}
	if c.delayed.len() > 0 {
		// A shard whose time has come and that is still there waits for a place, not for time.
		if at, _ := c.delayed.head(); at.After(c.now) {
			w.at(at)
		}
	}
	for _, ep := range c.endpoints {
		if c.ready == 0 || c.paused || ep.drain || !ep.usable() {
			continue
		}
		// The breaker's pause first; the rate only matters once submits are allowed.
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
		// The wait of borne, see health.go: an endpoint that says it is busy is borne for longer than one that says nothing.
		if ep.busy {
			patience *= busyTimes
		}
		w.at(ep.bad.Add(patience))
	}
	// pollDue is called first, since it drops the entries that no longer count.
	if c.pollDue(ep) {
		if at := ep.mayPoll(c.now); at.After(c.now) {
			w.at(at)
		}
	} else if ep.polls.len() > 0 {
		at, _ := ep.polls.head()
		w.at(at)
	}
}

func (c *core) wakeToCancel(ep *endpoint, w *earliest) {
	if c.cancelDue(ep) {
		if at := tokenAt(ep.cancels, c.now); at.After(c.now) {
			w.at(at)
		}
		return
	}
	w.head(c.now, &ep.stops)
}

// earliest is the least of the times given to it; zero times stand for "never" and are left out.
type earliest struct{ time time.Time }

func (e *earliest) at(t time.Time) {
	if !t.IsZero() && (e.time.IsZero() || t.Before(e.time)) {
		e.time = t
	}
}

// head takes a timeline's first entry, if it lies ahead. One that is due and was not taken waits for something else, such as a place.
func (e *earliest) head(now time.Time, t *timeline[*attempt]) {
	if t.len() > 0 {
		if at, _ := t.head(); at.After(now) {
			e.at(at)
		}
	}
}
