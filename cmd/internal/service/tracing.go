package service

import (
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
	"github.com/comfyc/comfyc/scheduler"
)

// tracing makes spans of works: one for each turn of a work, below the request that it came with, and below that one for each of its
// attempts, which is a job on a remote. It is the queue's Watcher.
// It is called by the queue from many goroutines, under its own lock, and never waits for the network: the exporter has a
// queue.
type tracing struct {
	to *trace.Exporter

	mu    sync.Mutex
	works map[string]*tracedWork // that run here and whose request is traced
}

// tracedWork is a work with the attempts that have not ended, by number.
type tracedWork struct {
	span     *trace.Span           // ended when the turn of the work ends
	attempts map[int64]*trace.Span // by the attempt's number in the batch's state
}

// maxTracedAttempts bounds the attempts of one work that are open at one time; what is beyond is not traced.
const maxTracedAttempts = 1000

// newTracing is not called without an exporter, so `to` is never nil.
func newTracing(to *trace.Exporter) *tracing {
	return &tracing{to: to, works: map[string]*tracedWork{}}
}

// Begins implements queue.Watcher. Works of requests that were not traced are not, either.
func (t *tracing) Begins(w ledger.Work, parent string) {
	if parent == "" { // no traceparent was stored with the request
		return
	}
	s := t.to.Start(trace.Parse(parent), trace.Internal, w.Kind, w.Started)
	if s == nil { // not sampled
		return
	}
	s.Set("comfyc.work", w.ID)
	s.Set("comfyc.pool", w.Pool)
	s.Set("comfyc.key", w.Owner)
	s.Set("comfyc.renders", w.Renders)
	s.Set("comfyc.turn", w.Turns)
	s.Set("comfyc.waited_s", w.Started.Sub(w.Created).Seconds()) // from submit to its turn
	t.mu.Lock()
	defer t.mu.Unlock()
	t.works[w.ID] = &tracedWork{s, map[int64]*trace.Span{}}
}

// Attempt implements queue.Watcher.
func (t *tracing) Attempt(work string, at time.Time, e scheduler.AttemptEvent) {
	// An attempt is first heard of when its money is reserved; the span runs from there to its final state. An attempt of an
	// earlier turn that is already final opens none.
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.works[work]
	if w == nil {
		return
	}
	s := w.attempts[e.Number]
	if s == nil {
		if len(w.attempts) >= maxTracedAttempts || e.State.Final() { // too many, or its begin was in an earlier turn
			return
		}
		s = t.to.Start(w.span.Where(), trace.Client, "attempt", at)
		s.Set("comfyc.endpoint", e.Endpoint)
		s.Set("comfyc.attempt", int(e.Number))
		s.Set("comfyc.try", e.Try)
		s.Set("comfyc.renders", len(e.Renders))
		w.attempts[e.Number] = s
	}
	if !e.State.Final() {
		return
	}
	delete(w.attempts, e.Number)
	s.Set("comfyc.state", e.State.String())
	s.Set("comfyc.remote", e.Remote)
	s.Set("comfyc.worker", e.Worker)
	s.Set("comfyc.execution_s", e.Seconds)
	if e.CostUSD != nil {
		s.Set("comfyc.cost_usd", *e.CostUSD)
	}
	// Lost, expired and cancelled attempts mark their span as failed, with the code that `comfyc explain` knows.
	failed := ""
	if e.State != scheduler.AttemptCollected {
		failed = e.State.String() + " " + e.Code
	}
	s.End(at, failed)
}

// Ends implements queue.Watcher. Attempts that are still open go on remotely; a later turn collects them.
func (t *tracing) Ends(w ledger.Work, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	traced := t.works[w.ID]
	if traced == nil {
		return
	}
	delete(t.works, w.ID)
	// The remote has no part in these spans, so "left" says that the job may still run there.
	for _, s := range traced.attempts {
		s.Set("comfyc.state", "left")
		s.End(at, "")
	}
	traced.span.Set("comfyc.state", string(w.State))
	traced.span.Set("comfyc.spent_usd", w.Spent)
	// Cancelled is no failure: somebody wanted it.
	failed := ""
	if w.State == ledger.Failed || w.State == ledger.TimedOut || w.State == ledger.Incomplete {
		failed = string(w.State)
	}
	traced.span.End(at, failed)
}
