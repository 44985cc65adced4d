package scheduler

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Polls follow the expected end. What was learned of a kind of graph is the last durations from submit to end; the first poll of an
// attempt falls where the earliest of them ended, and the pauses after it are the shorter the likelier the end is.

const (
	// minPoll and maxPoll bound the pause between two polls of a job; usualPoll is for kinds of which nothing is known. pollCost is what the sum of
	// delay and polls is weighed by: with 0.07, a job that ends with odds of 1 in 10 s is polled every 1.2 s.
	minPoll    = 5 * time.Millisecond
	usualPoll  = 250 * time.Millisecond
	maxPoll    = 5 * time.Second
	pollCost   = 0.07 // seconds of delay that one poll is worth
	probes     = 4    // attempts of an unknown kind that are polled early, to learn
	maxBacklog = 256  // results in memory, and their bytes: no polls while there are more

	maxBacklogBytes = 64 << 20
)

// schedulePoll sets the next poll of an attempt, by the best of what is known: that its end is told by a watch, that no worker has begun with it,
// that the remote can hold the poll back until it ends, or when others of its kind ended.
func (c *core) schedulePoll(a *attempt) {
	est := a.estimate()
	if est.whole.len() == 0 && a.polls == 0 && est.probing < probes {
		est.probing++
		a.probe = true
	}
	switch {
	case a.endpoint.watched:
		c.pollIn(a, watchedPoll)
	case a.beganAt.IsZero() && !a.probe && a.endpoint.allWait:
		c.pollIn(a, stillWaits)
	case a.beganAt.IsZero() && !a.probe:
		c.pollIn(a, waitingPoll)
	case a.beganAt.IsZero():
		c.pollIn(a, unknownPoll(c.now.Sub(a.Submitted), true))
	case a.endpoint.LongPoll > 0 && a.endpoint.long < maxLong:
		c.pollIn(a, est.notBefore(c.now.Sub(a.beganAt)))
	default:
		c.pollIn(a, min(est.nextPoll(c.now.Sub(a.beganAt), a.probe), a.endpoint.mostPause()))
	}
}

// mostPause is how long nobody may look whether a job has ended. Where no other one waits for its worker, that stops after a while, and its next
// job would pay for another start.
func (ep *endpoint) mostPause() time.Duration {
	if ep.quota == 0 || ep.depth > 0 || ep.upkeep() == 0 {
		return maxPoll
	}
	return min(max(ep.idle()/2, 2*usualPoll), maxPoll)
}

// pollIn sets the next poll, in place of one that was set before: of an attempt's entries in the timeline only that at pollAt counts.
func (c *core) pollIn(a *attempt, wait time.Duration) {
	a.pollAt = c.now.Add(wait)
	a.endpoint.polls.add(a.pollAt, a)
}

// notBefore is how long a job is sure to go on: a poll that is held back begins then.
func (e *estimate) notBefore(elapsed time.Duration) time.Duration {
	if e.whole.len() < planLeast {
		return 0
	}
	// An eighth less than the shortest that was seen: a poll that is held back from too late on shows the end too late.
	return max(0, e.whole.sorted[0]*7/8-elapsed)
}

// nextPoll gives the pause before the next poll of a job that was submitted some time ago and is not known to have ended.
func (e *estimate) nextPoll(elapsed time.Duration, probe bool) time.Duration {
	known := e.whole.sorted
	if len(known) == 0 {
		return unknownPoll(elapsed, probe)
	}
	if wait, ok := e.planned(elapsed); ok {
		return wait
	}
	// Nothing ended before the shortest that was seen. A little before that the polls begin, half a gap in, as for a job that may end at any time.
	first := known[0] - known[0]/64
	if elapsed >= first {
		return e.gap(elapsed)
	}
	return first - elapsed + e.gap(first)/2
}

// gap gives the pause between two polls at some time after the submit: sqrt(2c/h), where h is the hazard then, the odds per second that a
// job ends that has not ended yet. That is the least of the delay, f(t)·gap/2, and c times the polls, S(t)/gap, over all t.
func (e *estimate) gap(at time.Duration) time.Duration {
	known := e.whole.sorted
	// known[i:] are the durations longer than at: the jobs like this one that had not ended by then.
	i, _ := slices.BinarySearch(known, at+1)
	left := len(known) - i
	if left == 0 { // later than all before it
		return pause(at.Seconds() / 4)
	}
	// h is about (k/left)/span: a quarter of those that are left, not just the next one, so that one odd duration does not rule.
	k := (left + 3) / 4 // so many of those left end within span
	span := (known[i+k-1] - at).Seconds()
	floor := 0.02
	if len(known) < 4 {
		floor = 0.1 // little is known yet
	}
	return pause(max(span, floor*at.Seconds()) * float64(left) / float64(k))
}

// pause is the gap for 1/h in seconds.
func pause(inverse float64) time.Duration {
	gap := time.Duration(math.Sqrt(2*pollCost*inverse) * float64(time.Second))
	return min(max(gap, minPoll), maxPoll)
}

// unknownPoll is for kinds of graphs of which none has ended yet.
func unknownPoll(elapsed time.Duration, probe bool) time.Duration {
	first := usualPoll
	if probe {
		first = 2 * minPoll
	}
	return min(max(elapsed/2, first), maxPoll)
}

// poll sends the polls that are due, within the status rate, and while there is room for what they bring.
func (c *core) poll() {
	for _, ep := range c.endpoints {
		for c.pollDue(ep) && ep.mayCall() && c.backlog < maxBacklog && c.backlogBytes < maxBacklogBytes && !ep.mayPoll(c.now).After(c.now) {
			// pollDue has dropped what does not count, so the head is an attempt to be polled.
			a := ep.polls.take()
			a.pollAt, a.polling = time.Time{}, true
			ep.statuses.AllowN(c.now, 1)
			k := call{kind: callPoll, endpoint: ep.index, attempt: a.Number, remote: a.Remote}
			if k.wait = ep.holdBack(a); k.wait > 0 {
				ep.long++
			} else {
				ep.polling++
			}
			c.ask(k)
		}
	}
}

// maxLong is how many polls may be held back at once on one endpoint: each of them takes a connection.
const maxLong = 64

// mayCall tells whether another poll may be under way.
// Polls that are held back do not count here: they wait on the remote, and have a bound of their own.
func (ep *endpoint) mayCall() bool {
	return ep.polling < maxPolling
}

// holdBack is for how long a poll is held back, 0 if it is not: only those of jobs with which a worker has begun are.
func (ep *endpoint) holdBack(a *attempt) time.Duration {
	if ep.LongPoll <= 0 || ep.long >= maxLong || a.beganAt.IsZero() || a.cancel != "" {
		return 0
	}
	return ep.LongPoll
}

// mayPoll gives when the next poll is allowed: by the rate, and by the remote's wish.
func (ep *endpoint) mayPoll(now time.Time) time.Time {
	at := tokenAt(ep.statuses, now)
	if ep.quiet.After(at) {
		return ep.quiet
	}
	return at
}

// pollDue drops entries that no longer count and tells whether the first one is due.
func (c *core) pollDue(ep *endpoint) bool {
	for ep.polls.len() > 0 {
		at, a := ep.polls.head()
		if a.pollAt.Equal(at) && !a.isLeft && !a.polling && c.attempts[a.Number] == a {
			return !at.After(c.now)
		}
		ep.polls.take()
	}
	return false
}

// polled is the answer to callPoll. The outputs stay with the loop.
type polled struct {
	endpoint int
	attempt  int64
	long     bool // it was held back
	status   Status
	bytes    int  // of the outputs
	byURL    bool // some are elsewhere
	err      *Error
}

func (in polled) apply(c *core) {
	c.calls--
	if ep := c.endpoints[in.endpoint]; in.long {
		ep.long--
	} else {
		ep.polling--
	}
	a := c.attempts[in.attempt]
	// The attempt ended while the poll was under way, as by a webhook's or another poll's answer.
	if a == nil {
		return
	}
	a.polling, a.outputs, a.byURL = false, in.bytes, in.byURL
	switch {
	case a.isLeft:
	case in.err != nil:
		c.pollFailed(a, in.err)
	default:
		if a.hinted {
			a.hinted = false
			// After answered, which may have set the next poll later, or ended the attempt.
			defer c.pollSoon(a)
		}
		c.worked(a.endpoint, false)
		a.polls++
		a.failures = 0
		c.answered(a, in.status)
	}
}

// pollFailed deals with a poll that got no answer: it is repeated, ever more slowly, and says nothing about the job.
func (c *core) pollFailed(a *attempt, err *Error) {
	// Some dialects say by an error that a job is not known.
	if err.Kind == Lost {
		c.answered(a, Status{State: Gone, Err: err})
		return
	}
	c.ill(a.endpoint, err)
	// Nothing can be learned of the job in this run; a later one with a key that works finds it.
	if err.Kind == Unauthorized && !a.endpoint.usable() || c.aborted {
		c.leave(a, err.Message)
		return
	}
	a.failures++
	wait := min(500*time.Millisecond<<min(a.failures-1, 6), 30*time.Second)
	// The whole endpoint is left in peace, for as long as it asked for, within reason.
	if asked := min(err.RetryAfter, 10*time.Minute); err.Kind == Busy {
		a.endpoint.quiet = c.now.Add(max(asked, wait))
	}
	c.pollIn(a, c.jitter(wait))
}

// answered deals with a job's state.
func (c *core) answered(a *attempt, st Status) {
	if st.Worker != "" {
		a.Worker = st.Worker
	}
	if st.State != Gone {
		a.gone = 0
	}
	if st.State.Final() {
		a.endAt = c.endOf(a, st)
	}
	// Only a known final state ends an attempt; whatever else a remote says means that it is polled on.
	switch st.State {
	case Completed:
		c.completed(a, st)
	case Failed, TimedOut:
		c.broke(a, st)
	case Cancelled:
		c.stopped(a, st)
	case Gone:
		c.vanished(a, st)
	default:
		c.unfinished(a, st)
	}
}

// unfinished deals with a job that is still queued or running, or in a state that we do not know: all the same.
func (c *core) unfinished(a *attempt, st Status) {
	a.endpoint.heard(a, st.State, c.now)
	a.alive = c.now
	if st.Progress != a.progress {
		a.progress = st.Progress
		c.tellAttempt(a)
	}
	if st.State == Running && a.runningAt.IsZero() {
		a.runningAt = c.now
	}
	if st.State == Running && a.State == AttemptSubmitted {
		c.setAttempt(a, AttemptRunning)
	}
	if a.cancel != "" {
		c.stillThere(a)
		return
	}
	// A quarter more than what was seen, so that the money is there before it is spent; else the cap would be found broken only afterwards.
	if !c.topUp(a, c.observed(a)*5/4) {
		c.halt(StopBudget)
		c.askCancel(a, "it took longer than the budget allows")
		return
	}
	if c.overdue(a) {
		a.overdue = true
		c.askCancel(a, fmt.Sprintf("it gave no end within %v", c.opts.Timeout))
		return
	}
	c.schedulePoll(a)
}

// overdue tells whether a job takes so long that it must hang. A queue may be long: it is given a day.
func (c *core) overdue(a *attempt) bool {
	if a.runningAt.IsZero() {
		return c.now.Sub(a.Submitted) > c.opts.Timeout+24*time.Hour
	}
	return c.now.Sub(a.runningAt) > c.opts.Timeout
}

// broke deals with a job that failed remotely.
func (c *core) broke(a *attempt, st Status) {
	kind, why := WorkerFailed, "the worker failed and did not say why"
	if st.State == TimedOut {
		why = "the platform's time-out ended it"
	}
	if st.Err != nil {
		kind, why = ofJob(st.Err.Kind), st.Err.Message
	}
	c.settle(a, c.paid(a, st))
	if a.cancel != "" && !a.overdue {
		c.cancelledAttempt(a)
		return
	}
	// A result may have been too large to arrive: what a job of this kind weighs is doubted, see answer.go.
	if kind == Lost && st.State == Failed {
		c.doubted(a, why)
	}
	c.end(a, AttemptFailed, kind, why)
	c.retry(a, kind, true)
}

// ofJob keeps the kinds that a job's own failure can have: what else a dialect says of it is just a failure, and counts as one.
func ofJob(kind Kind) Kind {
	switch kind {
	case Rejected, MissingModel, OutOfMemory, Lost:
		return kind
	}
	return WorkerFailed
}

// goneTwice: a remote that does not know a job is asked again after a while, as it may learn of it late.
const (
	goneTwice = 2
	goneAgain = 2 * time.Second
)

// vanished deals with a job that the remote does not know any more.
func (c *core) vanished(a *attempt, st Status) {
	if a.gone++; a.gone < goneTwice {
		c.pollIn(a, goneAgain)
		return
	}
	why := "the remote does not know the job any more"
	if st.Err != nil {
		why = st.Err.Message
	}
	c.settle(a, max(c.observed(a), c.paid(a, st)))
	if a.cancel != "" && !a.overdue {
		c.cancelledAttempt(a)
		return
	}
	c.end(a, AttemptExpired, Lost, why)
	c.retry(a, Lost, true)
}

// paid is the paid time of a job that has ended: as told, else from when a worker had it to between the last two polls.
func (c *core) paid(a *attempt, st Status) time.Duration {
	if st.Execution > 0 {
		return st.Execution
	}
	// It was never seen on a worker and did not finish: it is taken to have cost nothing.
	if a.runningAt.IsZero() && st.State != Completed {
		return 0
	}
	// This process was not there when it began; what such jobs usually take is the best guess.
	if a.restored {
		return a.estimate().expected()
	}
	from := a.runningAt
	if from.IsZero() {
		from = a.Submitted
	}
	return max(0, c.seenEnd(a).Sub(from))
}

// endedAt is when a job ended, as far as is known.
func (c *core) endedAt(a *attempt) time.Time {
	if a.endAt.IsZero() {
		return c.now
	}
	return a.endAt
}

// endOf tells when a job ended: as the remote told it, within what the polls allow, else about. The remote's durations are added to our own clock's
// submit, so its clock does not matter.
func (c *core) endOf(a *attempt, st Status) time.Time {
	if st.Execution <= 0 || a.restored {
		return c.seenEnd(a)
	}
	end := a.Submitted.Add(st.Delay + st.Execution)
	if end.Before(a.alive) {
		return a.alive
	} else if end.After(c.now) {
		return c.now
	}
	return end
}

// seenEnd is about when a job ended: somewhere between the last two polls, and nearer to the later one, as polls come close together near an end.
func (c *core) seenEnd(a *attempt) time.Time {
	return a.alive.Add(c.now.Sub(a.alive) * 3 / 4)
}

// learn takes a finished job's times into account.
func (c *core) learn(a *attempt, st Status, paid time.Duration) {
	if a.restored {
		return
	}
	est := a.estimate()
	whole := a.endAt.Sub(a.Submitted)
	if a.shard.class != nil {
		c.learnAnswer(a)
	}
	a.endpoint.learnGap(a, st)
	a.endpoint.brief = paid < briefJob
	c.learnPlaces(a, st, whole, paid)
	first := est.whole.len() == 0
	if !a.beganAt.IsZero() {
		est.seen(max(a.endAt.Sub(a.beganAt), time.Millisecond))
	}
	est.paid.add(paid)
	est.long.add(paid.Seconds())
	// How many workers are well used is reckoned in renders: where all are merged, jobs of several are all that tells how long one takes.
	if n := len(a.Renders); n > 1 && a.shard.class != nil {
		a.shard.class.estimate[a.endpoint.index].long.add(paid.Seconds() / float64(n))
	}
	// The worst is forgotten slowly: after 355 jobs without one like it, half of it is left.
	est.worst = max(est.worst-est.worst/512, paid)
	if first {
		c.repoll(est)
	}
	// Only by steps of a tenth, since every open attempt is gone through.
	if now := est.expected(); c.money.limit != nil && now > est.reserved*11/10 {
		est.reserved = now
		c.reserveMore(est)
	}
}

// reserveMore raises the reservations of what is in flight to what is known now.
func (c *core) reserveMore(est *estimate) {
	for _, a := range c.open() {
		if a.estimate() == est && inFlight(a.State) {
			c.topUp(a, est.expected())
		}
	}
}

// repoll sets the polls anew of all attempts of a kind of which the first has just ended.
func (c *core) repoll(est *estimate) {
	for _, a := range c.open() {
		if a.polls == 0 && !a.pollAt.IsZero() && a.estimate() == est {
			c.schedulePoll(a)
		}
	}
}
