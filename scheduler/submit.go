package scheduler

import (
	"cmp"
	"fmt"
	"time"
)

// The life of an attempt up to its remote id. The order in begin is what makes a crash harmless: money is reserved and the intent written, with the
// attempt's token, before anything is sent; so whatever may have been sent is known afterwards, and nothing is sent twice.

// begin starts an attempt: money, then the intent, then the submit, which the loop holds back until the intent is durable.
func (c *core) begin(s *shard, ep *endpoint) *attempt {
	// The number is the row's key in the store; Try counts the attempts of this shard, from 1.
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
	if c.token != nil {
		a.Token = c.token()
	}
	c.setAttempt(a, AttemptSubmitting)
	// maySubmit has looked that the rate allows it; here the token is taken.
	ep.submits.AllowN(c.now, 1)
	ep.submitting++
	if s.class != nil && s.class.doubtful(ep) {
		s.class.estimate[ep.index].scout = a.Number
	}
	c.useGrant(ep)
	if ep.firstSent.IsZero() || ep.inFlight == 1 && c.now.Sub(ep.lastDone) > time.Minute {
		ep.firstSent = c.now
	}
	// While the breaker is open this one submit shows whether it may close.
	ep.probing = ep.open()
	c.ask(call{kind: callSubmit, endpoint: ep.index, shard: s.id, attempt: a.Number, renders: s.renders, mates: s.mates, terms: c.terms(a)})
	return a
}

// terms are what the remote is told about an attempt: a job that hangs is ended there too, also when nobody is here to see it, and one that
// nobody asked for any more does not start.
func (c *core) terms(a *attempt) Terms {
	t := Terms{Token: a.Token}
	if ep := a.endpoint; ep.TakesTimeouts {
		// Three times what money is reserved for: far beyond any job that is well, and short enough that one which hangs does not cost the day.
		t.Execution = min(max(3*a.estimate().atMost(), shortestLimit), c.opts.Timeout)
		t.TTL = longestWait + t.Execution
	}
	if ep := a.endpoint; ep.TakesPriority {
		// What waits there beyond the quota is for workers that are running; it is not to start another one.
		t.LowPriority = c.opts.Objective == Cheapest && ep.inFlight > ep.quota && ep.quota < ep.capacity()
	}
	if c.opts.Webhook != nil && a.endpoint.TakesWebhook && a.Token != "" {
		t.Webhook = c.opts.Webhook(a.Token)
	}
	return t
}

const (
	shortestLimit = 5 * time.Minute // of a job's time on a worker: a first one may load models from a slow disk
	longestWait   = 23 * time.Hour  // in the queue; the platforms' own limit is a day
)

func (c *core) refs(renders []int) []RenderRef {
	out := make([]RenderRef, len(renders))
	for k, i := range renders {
		out[k] = RenderRef{i, c.work.RenderID(i)}
	}
	return out
}

// estimate is what is known of jobs like this one on its endpoint; of those of an earlier run the kind is not known.
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
	// The intent may be durable, so it is taken back: nothing was sent and nothing is owed.
	case in.unsent:
		c.settle(a, 0)
		c.setAttempt(a, AttemptCancelled)
		if c.part(a, false) == nil {
			c.putBack(a.shard)
		}
	case in.err != nil && in.err.Kind == Uncertain:
		c.failed(a.endpoint, in.err, false)
		c.uncertain(a, in.err.Message)
	case in.err != nil:
		c.refused(a, in.err)
	default:
		c.accepted(a, in.remote)
	}
}

// accepted notes the remote's id, from which on the job can be found whatever happens here. A run that stopped meanwhile deals with it at once.
func (c *core) accepted(a *attempt, remote string) {
	c.worked(a.endpoint, true)
	a.endpoint.widen()
	a.Remote, a.Submitted, a.alive = remote, c.now, c.now
	c.setAttempt(a, AttemptSubmitted)
	a.endpoint.took(a, c.now)
	c.schedulePoll(a)
	c.stopOne(a)
}

// refused deals with a submit that the remote has certainly not taken.
func (c *core) refused(a *attempt, err *Error) {
	ep := a.endpoint
	probe := ep.probing
	switch err.Kind {
	// It works, and has no room: fewer jobs are ventured, and its pause is kept.
	case Busy:
		c.calm(ep)
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
	// A probe was sent to learn about the endpoint; that it fails says nothing about the job.
	c.retry(a, err.Kind, err.Kind.counts() && !(err.Kind == Transient && probe))
}

// holdOrResubmit follows the policy for an uncertain attempt.
func (c *core) holdOrResubmit(a *attempt, resubmit bool) {
	if c.part(a, false) != nil {
		return // the other attempt decides
	}
	if !resubmit {
		c.hold(a, "its submission's answer was lost, so it may be running and paid for"+atStake(a)+": "+a.Reason)
		return
	}
	c.assumePaid(a)
	a.Reason += " (given up, sent again)"
	delete(c.lost, a.Token)
	c.setAttempt(a, AttemptFailed)
	c.retry(a, Uncertain, true)
}

// atStake says in words how much one render of an uncertain attempt may have cost, "" if that is not known or nothing.
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
		if c.renders[i].Final() {
			continue // another attempt was faster
		}
		rec := c.record(a)
		rec.Kind, rec.Reason = Uncertain, why
		c.trouble[i] = a.held(i, why)
		// Held has a row: the next run asks about the attempt again, or sends it anew by the user's word.
		c.setRender(i, Held, rec)
	}
}
