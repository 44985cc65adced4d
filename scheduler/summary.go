package scheduler

import (
	"strings"
	"time"
)

// Stop says why a run ended before every render had.
type Stop string

// The reasons to stop early; "" is none.
const (
	StopInterrupted Stop = "interrupted" // the context ended
	StopBudget      Stop = "budget"      // the next job could break the cap
	StopDeadline    Stop = "deadline"
	StopFailFast    Stop = "fail-fast"
	StopUnusable    Stop = "unusable" // no endpoint can be used
	StopSink        Stop = "sink"     // files cannot be written here
	StopStore       Stop = "store"    // the state cannot be written here
	StopDrained     Stop = "drained"  // by Control.Drain: what was on remotes has finished
)

// Code gives the name under which `comfyc explain` says what a reason to stop means.
func (s Stop) Code() string {
	return map[Stop]string{
		StopInterrupted: "interrupted", StopBudget: "budget_reached", StopDeadline: "deadline_reached", StopFailFast: "fail_fast",
		StopUnusable: "no_endpoint", StopSink: "sink_trouble", StopStore: "state_trouble", StopDrained: "drained",
	}[s]
}

// Summary is how a run ended.
type Summary struct {
	Renders  int    // of the plan
	Counts   Counts // renders by state; what is Active has a job that was left on its remote, and the next run goes on with it
	Kept     int    // Done by earlier runs
	Reused   int    // taken over in this run from other batches
	Attempts int    // submissions made in this run
	Hedges   int    // of them second ones of renders that one was under way of
	Stopped  Stop
	Elapsed  time.Duration

	SpentUSD float64 // estimate over all runs of the batch
	StakeUSD float64 // of uncertain submissions: may have been paid
	Unpriced bool    // an attempt's price is unknown, so the true sum is higher

	Failures []Trouble       // renders that failed, in earlier runs too; by index
	Held     []Trouble       // renders that wait for the user's word, by index
	Left     []Trouble       // renders whose remote job was left, by index
	Unusable []EndpointEvent // endpoints that could not be used at the end
}

// Trouble is what happened to one render.
type Trouble struct {
	Render   int
	Kind     Kind
	Code     string // for `comfyc explain`
	Reason   string
	Endpoint string
	Remote   string
	StakeUSD *float64 // what a Held one may have cost already, nil if its price is unknown
}

// AllDone tells whether every render of the plan is done.
func (s Summary) AllDone() bool { return s.Counts[Done] == s.Renders }

// UnusableError says that no endpoint could be used, and why for each.
type UnusableError struct{ Endpoints []EndpointEvent }

// Error lists the endpoints.
func (e *UnusableError) Error() string {
	var b strings.Builder
	b.WriteString("no endpoint can be used")
	for i, ep := range e.Endpoints {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		b.WriteString(ep.Name + ": " + ep.Reason)
	}
	return b.String()
}

// ConfigError says that the options and the endpoints do not go together; nothing was sent.
type ConfigError struct{ Code, Message string }

// Error gives the message.
func (e *ConfigError) Error() string { return e.Message }
