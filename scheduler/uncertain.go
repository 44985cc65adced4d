package scheduler

import "time"

// Submissions whose answer was lost. Where the endpoint can be asked, by a Finder or through the webhook that the platform calls when the job
// ends, they are asked about first; their renders stay Active meanwhile. What cannot be found out is held or sent again, by Options.Uncertain.

const (
	// The pauses are 5, 10, 20, 40 and then 60 s: about 36 minutes in all, in which a platform that lags has shown its jobs.
	findAgain = 5 * time.Second
	findTries = 40               // with growing pauses
	webhookIn = 20 * time.Minute // how long a webhook is waited for
	findTime  = 30 * time.Second
)

// uncertain deals with a submit whose answer was lost: it may be running, and will be paid for if it is.
func (c *core) uncertain(a *attempt, why string) {
	a.Kind, a.Reason = Uncertain, why
	// The money counts as spent from now on, so that the cap holds in the worst case.
	c.stake(a)
	c.setAttempt(a, AttemptUncertain)
	c.investigate(a)
}

// investigate asks what became of an uncertain attempt, or decides by the policy if nobody can tell.
func (c *core) investigate(a *attempt) {
	// A webhook may speak of it at any time, also when the policy has decided.
	c.lost[a.Token] = a
	switch {
	case a.Token == "" || c.stop != "" && c.stop != StopDrained && c.stop != StopBudget && c.stop != StopDeadline:
		c.unresolved(a)
	case a.endpoint.finds:
		c.asked[a.Number] = a
		c.askFind(a, 0)
	case a.endpoint.TakesWebhook && c.opts.Webhook != nil:
		c.asked[a.Number] = a
		a.askUntil = c.now.Add(webhookIn)
	default:
		c.unresolved(a)
	}
}

// maxFinding is how many of them are asked about at once, on all endpoints: after a crash there may be hundreds.
const maxFinding = 16

func (c *core) askFind(a *attempt, wait time.Duration) { c.finding.add(c.now.Add(wait), a) }

// findLost asks about uncertain attempts that are due, and gives up those for which no webhook came.
func (c *core) findLost() {
	for c.finding.len() > 0 && c.findingNow < maxFinding {
		at, a := c.finding.head()
		if at.After(c.now) {
			break
		}
		c.finding.take()
		// A webhook may have told meanwhile; then nobody needs to ask.
		if c.asked[a.Number] == a {
			c.findingNow++
			c.ask(call{kind: callFind, endpoint: a.endpoint.index, attempt: a.Number, token: a.Token})
		}
	}
	for _, a := range c.asked {
		if !a.askUntil.IsZero() && !c.now.Before(a.askUntil) {
			c.unresolved(a)
		}
	}
}

// found is the answer to callFind.
type found struct {
	attempt int64
	Found
	err *Error
}

func (in found) apply(c *core) {
	c.calls--
	c.findingNow--
	a := c.asked[in.attempt]
	if a == nil {
		return
	}
	a.finds++
	sure := c.now.Sub(a.Created) > submitTime // a request that was on its way has arrived by now, or never will
	switch {
	case in.err == nil && in.Arrival == Arrived:
		c.arrived(a, in.Remote)
	case in.err == nil && in.Arrival == NotFound && sure:
		c.notArrived(a)
	case in.err == nil && in.Arrival == CannotTell, a.finds >= findTries, c.aborted:
		c.unresolved(a)
	default:
		c.askFind(a, min(findAgain<<min(a.finds-1, 4), time.Minute))
	}
}

// arrived goes on with an attempt of which it is known now where it went. Its money is reserved again, no longer at stake, and its renders are
// Active, also those that were held because of it. If all of them ended meanwhile it is beaten, and cancelled.
func (c *core) arrived(a *attempt, remote string) {
	delete(c.asked, a.Number)
	delete(c.lost, a.Token)
	usd := amount(a.ReservedUSD)
	c.money.stake = max(0, c.money.stake-usd)
	c.money.reserved += usd
	a.Remote, a.Kind, a.Reason, a.code = remote, 0, "", ""
	a.Submitted, a.alive, a.restored = a.Created, c.now, true
	c.attempts[a.Number] = a
	a.beaten = true
	for _, i := range a.shard.renders {
		a.beaten = a.beaten && c.renders[i] != Active && c.renders[i] != Held
		if c.renders[i] == Held {
			c.drop(c.work.RenderID(i))
			delete(c.trouble, i)
			c.setRender(i, Waiting, nil)
			c.setRender(i, Active, nil)
		}
	}
	c.setAttempt(a, AttemptSubmitted)
	a.endpoint.begin(a, a.Created)
	c.pollIn(a, 0)
	c.stopOne(a)
}

// notArrived ends an attempt that the remote certainly never got: nothing was paid.
func (c *core) notArrived(a *attempt) {
	delete(c.asked, a.Number)
	delete(c.lost, a.Token)
	c.money.stake = max(0, c.money.stake-amount(a.ReservedUSD))
	a.settled = true
	a.Kind, a.Reason = Transient, a.Reason+" (it never arrived there)"
	a.Finished = c.now
	c.setAttempt(a, AttemptFailed)
	// It costs no try: the job was never there.
	c.retry(a, Transient, false)
}

// unresolved follows the policy for an attempt of which nobody can tell: Options.Uncertain, or the user's word for those of earlier runs. The default
// holds it: a submission is never repeated blindly.
func (c *core) unresolved(a *attempt) {
	delete(c.asked, a.Number)
	c.holdOrResubmit(a, c.opts.Uncertain == Resubmit || a.restored && c.opts.ResubmitUncertain)
}

// wakeToFind gives when an uncertain attempt is asked about next.
func (c *core) wakeToFind(w *earliest) {
	w.head(c.now, &c.finding)
	for _, a := range c.asked {
		w.at(a.askUntil)
	}
}
