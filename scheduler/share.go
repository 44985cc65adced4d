package scheduler

import (
	"context"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Runs that share. Several runs, also on several machines, may use the same endpoints and spend the same budget. Then a run does not take
// its limits from its options and endpoints, but from what it is granted: places for jobs in flight, submits, money. It asks for them in
// bulk and ahead of need, in a call of its own beside the loop, so that nothing waits for a far database as long as the grants last.

// Shares hands out what runs have in common. Package lease implements it over Postgres.
type Shares interface {
	// Trade says what the run holds and wants, and gives what it may use from now on: more or less than before, but never less than what it
	// holds. The loop calls it from one goroutine at a time, at most every few milliseconds, and again after an error. What was granted stays granted
	// until the next answer.
	Trade(ctx context.Context, want Want) (Grant, error)
}

// Want is what a run holds and would like to have.
type Want struct {
	Parallel, InFlight int     // jobs in flight on all endpoints: wanted in all, and there now
	HeldUSD            float64 // spent, at stake and reserved by this run so far
	SpentUSD           float64 // of it what will never be given back
	JobUSD             float64 // the least more that is of use: what one job may cost; 0 if nothing is to be submitted
	USD                float64 // wanted in all, what is held included
	Endpoints          []EndpointWant
}

// EndpointWant is a Want at one endpoint.
type EndpointWant struct {
	Name     string
	Limits   compiler.Limits // as configured: of all runs together
	InFlight int             // jobs there now
	Places   int             // jobs in flight, wanted in all
	Submits  int             // submits wanted, soon
	// News since the last trade: the endpoint shall get no submit of any run for so long; its breaker is open; or it took a submit.
	Pause        time.Duration
	Open, Worked bool
	Code, Reason string
}

// Grant is what a run may use.
type Grant struct {
	Parallel  int
	USD       float64         // in all, what is held included
	Broke     bool            // the budget has no money left for JobUSD, and no run holds any that could come back
	Endpoints []EndpointGrant // in the order of the Want's
}

// EndpointGrant is a Grant at one endpoint.
type EndpointGrant struct {
	Places  int           // jobs in flight in all
	Submits int           // more submits
	Pause   time.Duration // no submit for so long, as another run found
	Runs    int           // how many runs use the endpoint now: rates of polls are divided by it
}

// sharing is the core's side of Shares.
type sharing struct {
	busy      bool
	next      time.Time     // the next trade, if nothing hurries
	gap       time.Duration // the pause after a trade that brought nothing
	parallel  int
	endpoints []endpointShare // by index; made when they are asked for
	usd       float64
	broke     bool
	shortage  float64 // what could not be reserved since the last trade
	exhausted bool    // something was wanted and not there
}

type endpointShare struct {
	places, submits int // submits that are left
	worked          bool
	told            time.Time // the end of the pause that was told last
}

const (
	tradeEvery = time.Second
	tradeSoon  = 5 * time.Millisecond
)

// at is what is known of one endpoint.
func (s *sharing) at(ep *endpoint) *endpointShare {
	for len(s.endpoints) <= ep.index {
		s.endpoints = append(s.endpoints, endpointShare{})
	}
	return &s.endpoints[ep.index]
}

// granted tells whether one more job may be sent to an endpoint, as far as other runs are concerned.
func (c *core) granted(ep *endpoint) bool {
	s := c.shares
	if s == nil {
		return true
	}
	share := s.at(ep)
	ok := c.inFlight < s.parallel && ep.inFlight < share.places && share.submits > 0
	s.exhausted = s.exhausted || !ok
	return ok
}

// useGrant notes a submit.
func (c *core) useGrant(ep *endpoint) {
	if c.shares != nil {
		c.shares.at(ep).submits--
	}
}

// grantedUSD tells whether the money granted covers an amount more.
func (c *core) grantedUSD(amount float64) bool {
	s := c.shares
	if s == nil || c.money.limit == nil || c.money.spent+c.money.stake+c.money.reserved+amount <= s.usd+1e-9 {
		return true
	}
	s.shortage = max(s.shortage, amount)
	s.exhausted = true
	return false
}

// mayGetMoney tells whether money that is missing may still come.
func (c *core) mayGetMoney() bool { return c.shares != nil && !c.shares.broke }

// trade asks for grants when it is time.
func (c *core) trade() {
	s := c.shares
	if s == nil || s.busy {
		return
	}
	due := s.next
	if soon := c.now.Add(s.gap); s.exhausted && soon.Before(due) {
		due = soon
	}
	if due.After(c.now) {
		s.next = due
		return
	}
	s.busy, s.next, s.exhausted = true, c.now.Add(tradeEvery), false
	c.out.calls = append(c.out.calls, call{kind: callTrade, want: c.want()})
}

// want sums up what is held and wanted: twice what is about to go, so that a trade is under way before the grants are used up, but no more
// than there are renders: places that nobody can use would be missing elsewhere.
func (c *core) want() *Want {
	s := c.shares
	more := 0
	if c.stop == "" && !c.paused {
		soon := c.ready + c.preparing // some of them do not count as waiting: those that are tried again
		more = min(2*soon, max(soon, c.counts[Waiting]))
	}
	w := &Want{InFlight: c.inFlight, Parallel: min(c.opts.MaxParallel, c.inFlight+more)}
	w.SpentUSD = c.money.spent + c.money.stake
	w.HeldUSD = w.SpentUSD + c.money.reserved
	if w.USD = w.HeldUSD; c.money.limit != nil && more > 0 {
		w.JobUSD = s.shortage
		if c.inFlight > 0 {
			w.JobUSD = max(w.JobUSD, c.money.reserved/float64(c.inFlight))
		}
		w.USD += w.JobUSD * float64(more)
	}
	s.shortage = 0
	s.parallel = min(s.parallel, w.Parallel)
	for _, ep := range c.endpoints {
		w.Endpoints = append(w.Endpoints, c.wantAt(ep, more))
	}
	return w
}

func (c *core) wantAt(ep *endpoint, more int) EndpointWant {
	s := c.shares.at(ep)
	w := EndpointWant{Name: ep.Name, Limits: ep.Limits, InFlight: ep.inFlight, Places: ep.inFlight, Worked: s.worked}
	s.worked = false
	if !ep.drain && ep.usable() && more > 0 {
		w.Places = min(ep.Limits.InFlight, ep.inFlight+more)
		w.Submits = max(0, more-s.submits)
	}
	s.places = min(s.places, w.Places) // what is not wanted any more may be another's before the answer is here
	if ep.until.After(c.now) && ep.until.After(s.told) {
		w.Pause, w.Open, w.Code, w.Reason = ep.until.Sub(c.now), ep.open(), ep.sickWith.Code(), ep.trouble
		s.told = ep.until
	}
	return w
}

// traded is the answer to callTrade.
type traded struct {
	want  *Want
	grant Grant
	err   error
}

func (in traded) apply(c *core) {
	s := c.shares
	s.busy = false
	before := s.size()
	if in.err == nil {
		c.take(in.grant)
	}
	if s.gap = max(2*s.gap, tradeSoon); s.size() > before {
		s.gap = tradeSoon
	}
	s.gap = min(s.gap, tradeEvery)
}

// size tells whether a trade brought more.
func (s *sharing) size() float64 {
	n := float64(s.parallel) + s.usd
	for _, ep := range s.endpoints {
		n += float64(ep.places + ep.submits)
	}
	return n
}

// take notes what was granted.
func (c *core) take(g Grant) {
	s := c.shares
	s.parallel, s.usd, s.broke = g.Parallel, g.USD, g.Broke
	for i, eg := range g.Endpoints {
		ep := c.endpoints[i]
		share := s.at(ep)
		share.places = eg.Places
		share.submits += eg.Submits
		if until := c.now.Add(eg.Pause); eg.Pause > 0 && until.After(ep.until) {
			ep.until, share.told = until, until
		}
		if n := ep.Limits.StatusPer10s; n > 0 && eg.Runs > 0 {
			part := perTenSeconds(max(1, n/eg.Runs))
			if ep.statuses.Limit() != part.Limit() {
				ep.statuses.SetLimitAt(c.now, part.Limit())
				ep.statuses.SetBurstAt(c.now, part.Burst())
			}
		}
	}
}

// fenced tells why this run may send and keep nothing any more, nil if it may.
func (o *Options) fenced(endpoint, op string) *Error {
	if o.Fence == nil {
		return nil
	}
	if err := o.Fence(); err != nil {
		return &Error{Kind: Unreachable, Endpoint: endpoint, Op: op, Message: "it was not sent: " + err.Error(), Err: err}
	}
	return nil
}
