package scheduler

import (
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Objective says which of several endpoints is better.
type Objective string

// The objectives. Cheapest waits for the cheapest endpoint while it is healthy; Fastest takes whichever is done first; Balanced,
// the default, weighs both and lets nothing idle.
const (
	Balanced Objective = "balanced"
	Cheapest Objective = "cheapest"
	Fastest  Objective = "fastest"
)

// Policy says what becomes of a render whose submission's answer was lost: it may be running, and paid for.
type Policy string

// The policies. Hold, the default, waits for the user; Resubmit takes the risk of paying twice.
const (
	Hold     Policy = "hold"
	Resubmit Policy = "resubmit"
)

// Hedge says whether a job that takes much longer than usual is started a second time elsewhere.
type Hedge string

// The ways to hedge. HedgeAuto does it when nothing waits any more, for one of twenty renders at most, within the budget.
const (
	HedgeOff  Hedge = "off"
	HedgeAuto Hedge = "auto"
)

// Options of a run. The zero value is a run without limits but the endpoints' own.
type Options struct {
	Name        string        // of the batch, for the store
	MaxParallel int           // shards in flight; 0 means as many as the endpoints take
	Retries     int           // extra attempts per shard after the first; negative means 0
	FailFast    bool          // the first failed render stops the run and cancels what is in flight
	Budget      *float64      // USD for the whole batch, earlier runs included; nil means no cap
	Deadline    time.Duration // from the batch's first start; nothing is submitted later; 0 means none
	Objective   Objective     // "" means Balanced
	Uncertain   Policy        // for answers lost in this run; "" means Hold
	// Fuse is how many renders are merged into one remote job at most: 1 means never; 0 means as many as the measured overhead per job
	// is worth, which is none until it is known. Limits of the endpoints make it fewer. At most compiler.MaxFused.
	Fuse int
	// Hedge says whether stragglers are done twice at the end of a run; "" means HedgeOff.
	Hedge Hedge
	// ResubmitUncertain sends renders again that an earlier run held, and those whose submission a crash cut off.
	ResubmitUncertain bool
	// RetryFailed sends renders again that failed in an earlier run, with all their attempts anew.
	RetryFailed bool
	// CancelOnly submits nothing: what is on remotes from earlier runs is cancelled, what had finished is collected, all within Grace.
	CancelOnly bool
	// LeaveOnInterrupt leaves remote jobs to finish when the context ends; the next run collects them. Otherwise they are
	// cancelled, and those that cannot be are left.
	LeaveOnInterrupt bool

	Grace    time.Duration // for answers, cancels and results after an interrupt; 0 means 10 s
	Patience time.Duration // how long a dead endpoint or a full disk is borne; 0 means 15 min
	Timeout  time.Duration // a job that has run for so long is cancelled and done again; 0 means 1 h

	Seed uint64 // of the jitter

	// Expect says how many seconds of paid time a job takes on an endpoint, before anything was learned. It is called once for each
	// kind of graph, from one goroutine, and must do no I/O. nil means ExpectSeconds.
	Expect func(p Properties, job *compiler.Job) time.Duration
	// Fits says why an endpoint cannot run a kind of graph, "" if it can: for want of memory or models, as far as can be known before. It is
	// called as Expect is. nil fits all.
	Fits func(p Properties, job *compiler.Job) string
	// Keep says whether the files of a render that an earlier run did are still there; if not, it is done again. Called before
	// anything is submitted, for each of them, from the caller's goroutine. nil keeps all.
	Keep func(Record) bool
	// Collect lists endpoints that get no new jobs, but whose jobs of an earlier run are collected.
	Collect []Endpoint
	// Reuse knows renders that were finished for other batches. May be nil.
	Reuse Reuser
	// Control steers the run while it goes on. May be nil.
	Control *Control
	// Webhook gives the public address that a platform is to call when the attempt with this token ends; what arrives there is passed on by
	// Control.Hint. nil means that there is none.
	Webhook func(token string) string
	// Shares hands out what this run has in common with others: places on endpoints, submits, money. The limits of the endpoints, MaxParallel and
	// Budget are then those of all runs together. nil means that the run has them to itself.
	Shares Shares
	// Fence is asked right before each submit, cancel and collect, from many goroutines; an error keeps it from being sent, as when another machine
	// may have taken this run over. nil never does.
	Fence func() error
	// Speeds is what earlier runs learned of the endpoints; this run adds to it at its end. May be nil, and be shared by runs.
	Speeds *Speeds
	// OnEvent is told what happens, in order, from one goroutine. It must not block. May be nil.
	OnEvent func(Event)
}

// filled gives the options with defaults for what is zero.
func (o Options) filled() Options {
	o.Retries = max(o.Retries, 0)
	o.Fuse = min(max(o.Fuse, 0), compiler.MaxFused)
	if o.MaxParallel <= 0 {
		o.MaxParallel = 1 << 30
	}
	if o.Objective == "" {
		o.Objective = Balanced
	}
	if o.Uncertain == "" {
		o.Uncertain = Hold
	}
	if o.Expect == nil {
		o.Expect = ExpectSeconds
	}
	o.Grace = orDuration(o.Grace, 10*time.Second)
	o.Patience = orDuration(o.Patience, 15*time.Minute)
	o.Timeout = orDuration(o.Timeout, time.Hour)
	return o
}

func orDuration(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
