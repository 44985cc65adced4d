package scheduler

import "time"

// ledger is the money of a batch, in USD. What is in flight is reserved before its submit and settled when it ends; what is uncertain
// stays at stake and counts as spent. A reservation grows when its job, or others of its kind, take longer than was thought; a job for
// which there is no money any more is cancelled. So the cap is passed at most by what jobs cost between two polls.
type ledger struct {
	limit                  *float64
	spent, reserved, stake float64
	unpriced               bool // an attempt without a price has ended
}

// fits tells whether an amount can still be reserved.
func (l *ledger) fits(amount float64) bool {
	return l.limit == nil || l.spent+l.stake+l.reserved+amount <= *l.limit+1e-9
}

// cost gives what some seconds cost on an endpoint; nil if its price is unknown. A preview costs nothing.
func (ep *endpoint) cost(d time.Duration) *float64 {
	if ep.Price == nil && ep.Preview {
		return new(float64)
	} else if ep.Price == nil {
		return nil
	}
	usd := *ep.Price * d.Seconds()
	return &usd
}

// affordable tells whether an attempt on an endpoint can be paid. As long as nothing is known of its kind, only a quarter of the
// budget is ventured, but always one job.
func (c *core) affordable(ep *endpoint, est *estimate) bool {
	usd := amount(ep.cost(est.atMost()))
	if est.paid.len() == 0 && c.money.reserved > 0 && c.money.limit != nil && c.money.reserved+usd > *c.money.limit/4 {
		return false
	}
	return c.money.fits(usd) && c.grantedUSD(usd)
}

func amount(usd *float64) float64 {
	if usd == nil {
		return 0
	}
	return *usd
}

// reserve takes the money for an attempt that is about to be submitted.
func (c *core) reserve(a *attempt) {
	a.ReservedUSD = a.endpoint.cost(a.estimate().atMost())
	c.money.reserved += amount(a.ReservedUSD)
}

// settle turns an attempt's reservation into what it cost, and notes both in its row and its shard. Only the first call
// for an attempt counts.
func (c *core) settle(a *attempt, paid time.Duration) {
	if a.settled {
		return
	}
	a.settled = true
	a.Seconds = paid.Seconds()
	a.CostUSD = a.endpoint.cost(paid)
	c.release(a)
	c.money.spent += amount(a.CostUSD)
	if a.CostUSD == nil && paid > 0 {
		c.money.unpriced, a.shard.unpriced = true, true
	}
	if n := len(a.shard.renders); n > 0 {
		a.shard.cost += amount(a.CostUSD) / float64(n)
	}
}

// topUp raises an attempt's reservation to what it will cost at least, and tells whether the budget allows it.
func (c *core) topUp(a *attempt, paid time.Duration) bool {
	more := amount(a.endpoint.cost(paid)) - amount(a.ReservedUSD)
	if c.money.limit == nil || more <= 0 || a.settled {
		return true
	}
	fits := c.money.fits(more) && (c.grantedUSD(more) || c.mayGetMoney())
	usd := amount(a.ReservedUSD) + more
	a.ReservedUSD = &usd
	c.money.reserved += more
	return fits
}

func (c *core) release(a *attempt) {
	c.money.reserved = max(0, c.money.reserved-amount(a.ReservedUSD))
}

// stake moves the reservation of an attempt whose answer was lost to what may have been spent.
func (c *core) stake(a *attempt) {
	c.release(a)
	c.money.stake += amount(a.ReservedUSD)
}

// assumePaid turns the stake of an uncertain attempt that is given up into a cost: the cap is to hold.
func (c *core) assumePaid(a *attempt) {
	usd := amount(a.ReservedUSD)
	c.money.stake = max(0, c.money.stake-usd)
	c.money.spent += usd
	a.CostUSD = a.ReservedUSD
	a.shard.cost += usd / float64(max(1, len(a.shard.renders)))
}

// observed is the paid time as far as it can be seen from here: since a worker had it.
func (c *core) observed(a *attempt) time.Duration {
	if a.runningAt.IsZero() {
		return 0
	}
	return c.now.Sub(a.runningAt)
}
