package scheduler

import (
	"cmp"
	"fmt"
)

// begin starts an attempt: money, then the intent, then the submit, which the loop holds back until the intent is durable.
func (c *core) begin(s *shard, ep *endpoint) {
	c.last++
	c.made++
	s.attempts++
	a := &attempt{shard: s, endpoint: ep, Attempt: Attempt{Number: c.last, Renders: c.refs(s.renders), Try: s.attempts, State: AttemptReserved,
		Endpoint: ep.Name, GPU: ep.GPU, Preview: ep.Preview, Created: c.now}}
	c.attempts[a.Number] = a
	for _, i := range s.renders {
		if c.renders[i] == Waiting {
			c.setRender(i, Active, nil)
		}
	}
	c.reserve(a)
	c.setAttempt(a, AttemptSubmitting)
	ep.submits.AllowN(c.now, 1)
	ep.submitting++
	ep.probing = ep.open()
	c.ask(call{kind: callSubmit, endpoint: ep.index, shard: s.id, attempt: a.Number, renders: s.renders, mates: s.mates})
}

func (c *core) refs(renders []int) []RenderRef {
	out := make([]RenderRef, len(renders))
	for k, i := range renders {
		out[k] = RenderRef{i, c.work.RenderID(i)}
	}
	return out
}

func (a *attempt) estimate() *estimate {
	if a.shard.class == nil {
		return &a.endpoint.fallback
	}
	return a.shard.class.of(len(a.Renders), a.endpoint)
}

// submitted is the answer to callSubmit.
type submitted struct {
	attempt int64
	remote  string
	err     *Error
	unsent  bool // the run stopped before the POST was sent
}

func (in submitted) apply(c *core) {
	a := c.attempts[in.attempt]
	a.endpoint.submitting--
	c.calls--
	switch {
	case in.unsent:
		c.settle(a, 0)
		c.setAttempt(a, AttemptCancelled)
		c.putBack(a.shard)
	case in.err != nil && in.err.Kind == Uncertain:
		c.failed(a.endpoint, in.err, false)
		c.uncertain(a, in.err.Message)
	case in.err != nil:
		c.refused(a, in.err)
	default:
		c.accepted(a, in.remote)
	}
}

func (c *core) accepted(a *attempt, remote string) {
	c.worked(a.endpoint, true)
	a.Remote, a.Submitted, a.alive = remote, c.now, c.now
	c.setAttempt(a, AttemptSubmitted)
	c.schedulePoll(a)
	c.stopOne(a)
}

// refused deals with a submit that the remote has certainly not taken.
func (c *core) refused(a *attempt, err *Error) {
	ep := a.endpoint
	probe := ep.probing
	switch err.Kind {
	case Busy:
		c.hurried(ep, err)
	case Unreachable, Transient:
		c.failed(ep, err, err.Kind == Unreachable)
	case Unauthorized:
		c.kill(ep, Unauthorized, err.Message)
	default: // it works, and does not want this job
		c.worked(ep, true)
	}
	c.settle(a, 0)
	c.end(a, AttemptFailed, err.Kind, err.Message)
	c.retry(a, err.Kind, err.Kind.counts() && !(err.Kind == Transient && probe))
}

// uncertain deals with a submit whose answer was lost: it may be running, and will be paid for if it is. It is never repeated but by the
// user's word.
func (c *core) uncertain(a *attempt, why string) {
	a.Kind, a.Reason = Uncertain, why
	c.stake(a)
	c.setAttempt(a, AttemptUncertain)
	c.holdOrResubmit(a, c.opts.Uncertain == Resubmit)
}

// holdOrResubmit follows the policy for an uncertain attempt.
func (c *core) holdOrResubmit(a *attempt, resubmit bool) {
	if !resubmit {
		c.hold(a, "its submission's answer was lost, so it may be running and paid for"+atStake(a)+": "+a.Reason)
		return
	}
	c.assumePaid(a)
	a.Reason += " (given up, sent again)"
	c.setAttempt(a, AttemptFailed)
	c.retry(a, Uncertain, true)
}

func atStake(a *attempt) string {
	if a.ReservedUSD == nil || *a.ReservedUSD == 0 {
		return ""
	}
	return fmt.Sprintf(" (about $%.4f)", *a.share(a.ReservedUSD))
}

// share is the part of an attempt's money that is one render's.
func (a *attempt) share(usd *float64) *float64 {
	if usd == nil || len(a.Renders) < 2 {
		return usd
	}
	part := *usd / float64(len(a.Renders))
	return &part
}

// held is the trouble of a render that is held because of an attempt.
func (a *attempt) held(i int, why string) Trouble {
	return Trouble{Render: i, Kind: Uncertain, Code: cmp.Or(a.code, Uncertain.Code()), Reason: why, Endpoint: a.Endpoint, Remote: a.Remote, StakeUSD: a.share(a.ReservedUSD)}
}

// hold makes the renders of an attempt wait for the user.
func (c *core) hold(a *attempt, why string) {
	for _, i := range a.shard.renders {
		rec := c.record(a)
		rec.Kind, rec.Reason = Uncertain, why
		c.trouble[i] = a.held(i, why)
		c.setRender(i, Held, rec)
	}
}
