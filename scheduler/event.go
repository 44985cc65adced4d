package scheduler

import (
	"cmp"
	"encoding/hex"
	"time"
)

// Event is something that happened in a run. One of its pointers is set. As JSON it is one line of `comfyc render --json`.
type Event struct {
	Time     time.Time      `json:"time"`
	Render   *RenderEvent   `json:"render,omitempty"`
	Attempt  *AttemptEvent  `json:"attempt,omitempty"`
	Endpoint *EndpointEvent `json:"endpoint,omitempty"`
	Totals   *Totals        `json:"totals,omitempty"`
	Notice   *Notice        `json:"notice,omitempty"`
	Summary  *Summary       `json:"-"` // the last one of a Stream
}

// RenderEvent is a render's new state.
type RenderEvent struct {
	Index    int          `json:"index"`
	ID       string       `json:"id"` // hex
	State    RenderState  `json:"state"`
	Files    []FileRecord `json:"files,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Code     string       `json:"code,omitempty"` // for `comfyc explain`
	Endpoint string       `json:"endpoint,omitempty"`
	Attempts int          `json:"attempts,omitempty"`
	Seconds  float64      `json:"seconds,omitempty"`
	CostUSD  *float64     `json:"cost_usd,omitempty"`
	Reused   bool         `json:"reused,omitempty"` // taken over from another batch: see the files' Reused
}

// AttemptEvent is an attempt's new state.
type AttemptEvent struct {
	Number   int64        `json:"number"`
	Renders  []int        `json:"renders"`
	Try      int          `json:"try"`
	State    AttemptState `json:"state"`
	Endpoint string       `json:"endpoint"`
	Remote   string       `json:"remote,omitempty"`
	Worker   string       `json:"worker,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Code     string       `json:"code,omitempty"`
	Progress float64      `json:"progress,omitempty"` // 0 to 1
	Seconds  float64      `json:"seconds,omitempty"`
	CostUSD  *float64     `json:"cost_usd,omitempty"`
}

// EndpointEvent is a change in an endpoint's health.
type EndpointEvent struct {
	Name   string        `json:"name"`
	Usable bool          `json:"usable"`
	Code   string        `json:"code,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Pause  time.Duration `json:"pause_ns,omitempty"` // until it is tried again
}

// Totals is where the run stands: the counts, the money meter and the time to go. Sent at most four times a second, and at the end.
type Totals struct {
	Waiting     int           `json:"waiting"`
	Active      int           `json:"active"`
	Done        int           `json:"done"`
	Failed      int           `json:"failed"`
	Cancelled   int           `json:"cancelled"`
	Held        int           `json:"held"`
	InFlight    int           `json:"in_flight"`    // jobs on remotes
	SpentUSD    float64       `json:"spent_usd"`    // ended attempts, earlier runs included; an estimate
	ReservedUSD float64       `json:"reserved_usd"` // attempts in flight
	StakeUSD    float64       `json:"stake_usd"`    // uncertain ones: may have been paid
	BudgetUSD   *float64      `json:"budget_usd,omitempty"`
	ETA         time.Duration `json:"eta_ns,omitempty"` // 0 if not known yet
}

// Notice is trouble that belongs to no single render or endpoint: a full disk, a run that is stopping.
type Notice struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Code gives the name under which `comfyc explain` says what a kind of trouble means.
func (k Kind) Code() string {
	return [...]string{"endpoint_trouble", "endpoint_busy", "remote_rejected", "remote_missing_model", "out_of_memory", "unauthorized",
		"expired_result", "uncertain_submit", "endpoint_unreachable", "worker_failed"}[k]
}

func (c *core) emit(e Event) {
	if !c.opts.listens() {
		return
	}
	e.Time = c.now
	c.out.events = append(c.out.events, e)
}

func (o *Options) listens() bool { return o.OnEvent != nil }

func (c *core) tellRender(i int, to RenderState, why *Record) {
	c.changed = true
	if !c.opts.listens() {
		return
	}
	id := c.work.RenderID(i)
	e := &RenderEvent{Index: i, ID: hex.EncodeToString(id[:]), State: to}
	if why != nil {
		e.Files, e.Reason, e.Endpoint, e.Attempts, e.Seconds, e.CostUSD = why.Files, why.Reason, why.Endpoint, why.Attempts, why.Seconds, why.CostUSD
		e.Reused = to == Done && len(why.Files) > 0 && why.Files[0].Reused != nil
		if why.Reason != "" {
			e.Code = cmp.Or(c.trouble[i].Code, why.Kind.Code())
		}
	}
	c.emit(Event{Render: e})
}

func (c *core) tellAttempt(a *attempt) {
	c.changed = true
	if !c.opts.listens() {
		return
	}
	e := &AttemptEvent{Number: a.Number, Renders: a.shard.renders, Try: a.Try, State: a.State, Endpoint: a.Endpoint, Remote: a.Remote, Worker: a.Worker,
		Reason: a.Reason, Progress: a.progress, Seconds: a.Seconds, CostUSD: a.CostUSD}
	if a.Reason != "" {
		e.Code = a.troubleCode()
	}
	c.emit(Event{Attempt: e})
}

// troubleCode is the code of an attempt's trouble: its kind's, or a closer one.
func (a *attempt) troubleCode() string { return cmp.Or(a.code, a.Kind.Code()) }

// tellTotals sends where the run stands, if something changed and the last time was a while ago, and once at the end.
func (c *core) tellTotals() {
	last := c.out.done && !c.toldLast
	if !c.opts.listens() || !last && (!c.changed || c.now.Sub(c.told) < totalsEvery) {
		return
	}
	c.toldLast = c.out.done
	c.changed, c.told = false, c.now
	t := c.totals()
	c.emit(Event{Totals: &t})
}

const totalsEvery = 250 * time.Millisecond

func (c *core) totals() Totals {
	n := c.counts
	return Totals{Waiting: n[Waiting], Active: n[Active], Done: n[Done], Failed: n[RenderFailed], Cancelled: n[RenderCancelled], Held: n[Held],
		InFlight: c.inFlight, SpentUSD: c.money.spent, ReservedUSD: c.money.reserved, StakeUSD: c.money.stake, BudgetUSD: c.money.limit, ETA: c.eta()}
}

// eta takes the pace of this run so far for what is left of it.
func (c *core) eta() time.Duration {
	left := c.counts[Waiting] + c.counts[Active]
	if c.ended == 0 || left == 0 {
		return 0
	}
	return c.now.Sub(c.started) / time.Duration(c.ended) * time.Duration(left)
}
