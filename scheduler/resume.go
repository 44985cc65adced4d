package scheduler

import (
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Going on after a crash, an interrupt, or an edit of the batch. What a remote has is never submitted again without the user's word: a job with an id
// is polled, a submission without one is asked about or held. Renders that ended keep their state, those that the new plan lacks keep their rows.

// opened is what the store held when the run began, with the indexes of the plan that is run now. It is the first input of a core.
type opened struct {
	meta     Meta
	plan     string
	records  []savedRecord
	attempts []savedAttempt
	reusable []int // renders that a Reuser knows
}

// savedRecord is what counts of a render that has ended.
type savedRecord struct {
	ref     RenderRef
	moved   bool // its index is another than the stored one
	again   bool // Done, but its files are not wanted or not there
	state   RenderState
	trouble *Trouble // of one that is not Done
}

type savedAttempt struct {
	Attempt
	moved bool
}

func (in opened) apply(c *core) {
	c.started = c.now
	// Attempt numbers go on rising: a number is never given twice in a batch's life, so a late row cannot fall on another attempt.
	c.last = in.meta.Last
	c.money.spent = in.meta.SpentUSD
	c.openMeta(in)
	// fresh are renders that begin anew by the user's word: earlier failures of theirs do not count against Retries. Records come before attempts, which
	// are judged by what their renders are.
	fresh := map[int]bool{}
	for i := range in.records {
		c.openRecord(&in.records[i], fresh)
	}
	for i := range in.attempts {
		c.openAttempt(&in.attempts[i], fresh)
	}
	// As if it had been interrupted at once: nothing is submitted, what is open is cancelled.
	if c.opts.CancelOnly {
		interrupted{}.apply(c)
	}
	c.openReuse(in.reusable)
	for _, ep := range c.endpoints {
		// Endpoints that this run has no use for are not asked: their keys may be missing.
		if c.counts[Waiting] > 0 && !ep.drain || c.hasOpen(ep) {
			ep.unchecked = true
			c.checking++
			c.ask(call{kind: callCheck, endpoint: ep.index})
		}
	}
}

// hasOpen tells whether an attempt of an earlier run is open on an endpoint.
func (c *core) hasOpen(ep *endpoint) bool {
	for _, a := range c.attempts {
		if a.endpoint == ep {
			return true
		}
	}
	return false
}

// openMeta notes the plan and the batch's first start, from which a deadline counts.
func (c *core) openMeta(in opened) {
	meta := Meta{Name: c.opts.Name, Plan: in.plan, Renders: c.work.Len(), Started: in.meta.Started}
	if meta.Started.IsZero() {
		meta.Started = c.now
	}
	if meta.Name == "" {
		meta.Name = in.meta.Name
	}
	c.out.changes = append(c.out.changes, Change{Meta: &meta})
	// From the first start on, however often the batch was stopped since.
	if c.opts.Deadline > 0 {
		c.deadline = c.anchored(c.past(meta.Started).Add(c.opts.Deadline))
	}
}

// anchored ties a stored time to this run's clock: what has passed since is measured by the monotonic clock from now on, and a wall clock that is set
// during the run changes nothing. Zero stays zero.
func (c *core) anchored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return c.now.Add(t.Sub(c.now))
}

// past is anchored for something that has happened: at the latest now, though the clock that wrote it may have been ahead of this one.
func (c *core) past(t time.Time) time.Time {
	if t.After(c.now) {
		return c.now
	}
	return c.anchored(t)
}

// openRecord takes over a render that has ended, or lets it wait again.
func (c *core) openRecord(rec *savedRecord, fresh map[int]bool) {
	if rec.moved {
		c.out.changes = append(c.out.changes, Change{Move: &rec.ref})
	}
	i := rec.ref.Index
	// The plan lacks it. Its row stays, under the index -1, in case that the plan comes back.
	if i < 0 {
		return
	}
	switch {
	case rec.state == RenderFailed && c.opts.RetryFailed, rec.state == Held && c.opts.ResubmitUncertain:
		fresh[i] = true
		c.drop(rec.ref.ID)
	// What was cancelled is done by the next run; a Done render whose files are gone begins anew, with all of its retries.
	case rec.again, rec.state == RenderCancelled:
		fresh[i] = rec.again
		c.drop(rec.ref.ID)
	default:
		c.renders[i] = rec.state
		c.counts[Waiting]--
		c.counts[rec.state]++
		if rec.trouble != nil {
			c.trouble[i] = *rec.trouble
		}
		if rec.state == Done {
			c.kept++
		}
	}
}

// drop deletes a render's row: it waits again, and what waits has no row.
func (c *core) drop(id compiler.RenderID) {
	c.out.changes = append(c.out.changes, Change{Drop: &id})
}

// openAttempt takes over an attempt of an earlier run. What was submitted is polled on and never submitted again.
func (c *core) openAttempt(saved *savedAttempt, fresh map[int]bool) {
	a := &attempt{Attempt: saved.Attempt, restored: true}
	a.Created, a.Submitted, a.Finished, a.Expires = c.past(a.Created), c.past(a.Submitted), c.past(a.Finished), c.anchored(a.Expires)
	a.shard = c.newShard(c.wanted(a)...)
	// Attempts are counted on over runs, so that a manifest tells how many there were.
	a.shard.attempts = a.Try
	if saved.moved {
		c.out.changes = append(c.out.changes, Change{Attempt: a.row()})
	}
	if a.State.Final() {
		c.remember(a, fresh)
		return
	}
	known := c.byName(a.Endpoint)
	// A stand-in that nothing is sent to, so that the code below need not ask for nil.
	if a.endpoint = known; known == nil {
		a.endpoint = &endpoint{Properties: Properties{Name: a.Endpoint}}
	}
	// setAttempt counts changes only; what is in flight already is counted here.
	c.moveInFlight(a.endpoint, false, inFlight(a.State))
	switch {
	case a.State == AttemptSubmitting || a.State == AttemptUncertain:
		c.openUncertain(a)
	case known == nil:
		c.openStranded(a)
	default:
		c.openLive(a)
	}
}

// wanted lists the renders of an attempt that are in the plan and not done.
func (c *core) wanted(a *attempt) (list []int) {
	for _, ref := range a.Renders {
		if ref.Index >= 0 && (c.renders[ref.Index] == Waiting || c.renders[ref.Index] == Held) {
			list = append(list, ref.Index)
		}
	}
	return list
}

// byName gives an endpoint of this run, nil if there is none; there are few, so a search does.
func (c *core) byName(name string) *endpoint {
	for _, ep := range c.endpoints {
		if ep.Name == name {
			return ep
		}
	}
	return nil
}

// remember counts an ended attempt of a render that has not ended.
func (c *core) remember(a *attempt, fresh map[int]bool) {
	for _, i := range a.shard.renders {
		h := c.history[i]
		h.attempts++
		switch counts := a.State != AttemptCancelled && a.Kind.counts() && !fresh[i]; {
		// Nobody knows which render a job of several failed for: it costs none of them a try, but they go alone from now on.
		case counts && len(a.Renders) > 1:
			h.alone = true
		case counts:
			h.tries++
		}
		h.cost += amount(a.CostUSD) / float64(len(a.Renders))
		h.unpriced = h.unpriced || a.CostUSD == nil && a.Seconds > 0
		c.history[i] = h
	}
}

// recall gives a shard what earlier attempts of its renders came to.
func (c *core) recall(s *shard) {
	for _, i := range s.renders {
		h := c.history[i]
		delete(c.history, i)
		s.tries, s.cost, s.unpriced, s.alone = max(s.tries, h.tries), max(s.cost, h.cost), s.unpriced || h.unpriced, s.alone || h.alone
	}
}

// openUncertain deals with a submission that was cut off, or whose answer was lost: by the user's word alone it is sent again.
func (c *core) openUncertain(a *attempt) {
	// The intent was durable and no answer was: the POST was sent, or not, or is on its way.
	if a.State == AttemptSubmitting {
		a.Kind, a.Reason, a.Finished = Uncertain, "the run was cut off before the remote's answer came", c.now
		c.setAttempt(a, AttemptUncertain)
	}
	c.money.stake += amount(a.ReservedUSD)
	if a.Token != "" {
		c.lost[a.Token] = a // a webhook may still tell of it
	}
	// Asking costs nothing, so it comes before the user's word.
	if a.Token != "" && a.endpoint.finds && len(a.shard.renders) > 0 {
		c.asked[a.Number] = a
		c.activate(a)
		c.askFind(a, 0)
		return
	}
	if c.opts.ResubmitUncertain {
		c.giveUpAttempt(a, AttemptFailed)
		return
	}
	c.holdWaiting(a, "its submission's answer was lost, so it may be running and paid for"+atStake(a)+": "+a.Reason)
}

// giveUpAttempt ends an attempt that may have been paid, so that its renders can be sent again.
func (c *core) giveUpAttempt(a *attempt, to AttemptState) {
	c.assumePaid(a)
	a.Reason += " (given up, sent again)"
	c.setAttempt(a, to)
	for _, i := range a.shard.renders {
		h := c.history[i]
		h.attempts++
		h.cost += amount(a.CostUSD) / float64(len(a.shard.renders))
		c.history[i] = h
	}
}

// openStranded deals with a job on an endpoint that this run does not have.
func (c *core) openStranded(a *attempt) {
	switch {
	// A preview's jobs live in the process that drew them.
	case a.Preview:
		a.Kind, a.Reason = Lost, "its preview endpoint is gone"
		c.setAttempt(a, AttemptExpired)
	case c.opts.ResubmitUncertain:
		a.Kind, a.Reason = Lost, "its endpoint is not part of this run"
		c.money.stake += amount(a.ReservedUSD)
		c.giveUpAttempt(a, AttemptExpired)
	default:
		// It takes no place here, and its money may be spent: held, with the id by which it can be found.
		a.code = "endpoint_left_out"
		c.moveInFlight(a.endpoint, inFlight(a.State), false)
		c.money.stake += amount(a.ReservedUSD)
		c.holdWaiting(a, "its job "+a.Remote+" is on the endpoint "+a.Endpoint+", which is not part of this run; run with it to collect the result")
	}
}

// holdWaiting holds the renders of an attempt that are not held already.
func (c *core) holdWaiting(a *attempt, why string) {
	var waiting []int
	for _, i := range a.shard.renders {
		if c.renders[i] == Waiting {
			waiting = append(waiting, i)
		} else {
			c.trouble[i] = a.held(i, why)
		}
	}
	a.shard.renders = waiting
	c.hold(a, why)
}

// openLive goes on with a job that is on a remote. Results that were finished are fetched first, by their expiry.
func (c *core) openLive(a *attempt) {
	c.recall(a.shard)
	c.attempts[a.Number] = a
	// The last moment at which it is known not to have ended, as far as this process can tell.
	a.alive = a.Submitted
	if inFlight(a.State) {
		a.endpoint.begin(a, a.Submitted)
	}
	// What a finished one cost is in Meta.SpentUSD already.
	if a.settled = a.State == AttemptFinished; a.settled {
		a.shard.cost += amount(a.CostUSD) / float64(max(1, len(a.Renders)))
	} else {
		c.money.reserved += amount(a.ReservedUSD)
	}
	c.activate(a)
	c.openPoll(a)
}

// activate makes the renders of an attempt of an earlier run Active, also those that were held because of it.
func (c *core) activate(a *attempt) {
	for _, i := range a.shard.renders {
		if c.renders[i] == Held {
			// It was held because of this very attempt; its row goes, and it is Active like any other.
			c.drop(c.work.RenderID(i))
			delete(c.trouble, i)
			c.setRender(i, Waiting, nil)
		}
		c.setRender(i, Active, nil)
	}
}

// openPoll sets the first poll of an attempt of an earlier run: at once, or never where nobody wants the result.
func (c *core) openPoll(a *attempt) {
	switch {
	case len(a.shard.renders) == 0 && a.State != AttemptFinished:
		c.askCancel(a, "it is no more part of the batch")
		return
	case len(a.shard.renders) == 0:
		c.end(a, AttemptCancelled, Lost, "it is no more part of the batch")
		return
	case a.State == AttemptFinished:
		a.pollAt = a.Expires.Add(-100 * 365 * 24 * time.Hour) // before all others
	default:
		a.pollAt = c.now
	}
	a.endpoint.polls.add(a.pollAt, a)
}
