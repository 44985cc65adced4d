// Package serverless speaks to HTTP services that answer when the work is done: a ComfyUI server behind an app name (the native
// language, package comfyui), or, where the URL ends in /runsync, a job queue's synchronous call.
//
// The contract of an endpoint is made of ids and polls, so a synchronous call goes on in a goroutine of its own after Submit has
// returned, and Poll looks at how far it is. There are at most as many goroutines as jobs in flight, and each ends with its call,
// after 20 minutes at the latest. Results are kept in memory for the retention of the limits, their pictures until a minute after Poll has
// handed them over. What a process began, another one does not know: after a restart such jobs are Gone.
package serverless

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/comfyui"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Limits of a service that configures none: 20 MB is what RunPod takes for /runsync. Retention is that of the answers in this process's memory;
// a job that RunPod goes on with by itself (it answers IN_PROGRESS after its own wait) is kept there for a minute once it has ended.
var Limits = compiler.Limits{
	InFlight:     8,
	SubmitPer10s: 1000,
	StatusPer10s: 100_000, // polls stay in the process
	JobBytes:     20_000_000,
	OutputBytes:  20_000_000,
	Retention:    10 * time.Minute,
}

// The URL's end by which a synchronous call is known, and how long one may take.
const (
	suffix  = "/runsync"
	longest = 20 * time.Minute // of one synchronous call
	// longPoll bounds a PollWait, which is a wait in this process and no call.
	longPoll = 5 * time.Minute
	// handed is how long pictures stay after Poll has told of them, should its answer have been dropped on the way: whoever polls keeps its own.
	handed = time.Minute
)

// New makes an endpoint of the kind that the client's URL asks for. health is the path of the service's health check from the root of its host; ""
// means the language's own way. bucket may be nil. A service other than RunPod itself may refuse what it does not know, so a job is told terms
// and a bucket only if the user has configured some.
func New(client *call.Client, p scheduler.Properties, o worker.Options, bucket *jobs.Bucket, health string) scheduler.Endpoint {
	if !strings.HasSuffix(client.Base(), suffix) {
		native := comfyui.New(client, p, o)
		native.Health = health
		return native
	}
	client = client.Up()
	p.LongPoll = longPoll
	api := jobs.API{CancelMethods: []string{http.MethodPost}, StatsPaths: []string{"/health"}, Policies: bucket != nil || p.Terms != (compiler.JobTerms{})}
	queue := &jobs.Waiting{Endpoint: jobs.New(api, client, p, o, bucket)}
	return &Endpoint{client: client, queue: queue, health: health, runs: map[string]*run{}}
}

// Endpoint makes synchronous calls. It implements scheduler.Endpoint, scheduler.Checker and scheduler.LongPoller.
type Endpoint struct {
	client *call.Client
	queue  *jobs.Waiting // for bodies and answers, and for jobs that the service goes on with after it answered
	health string
	mu     sync.Mutex
	runs   map[string]*run
}

// run is one synchronous call. Its fields are guarded by Endpoint.mu.
type run struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the call has ended
	status scheduler.Status
	remote string    // the service's own id, once it is known that it goes on by itself
	ended  time.Time // zero while the call goes on
	wanted bool      // that it ends: Cancel was called
	told   bool      // the end has been handed over by Poll
}

// Properties implements scheduler.Endpoint.
func (e *Endpoint) Properties() scheduler.Properties { return e.queue.Properties() }

// Submit implements scheduler.Endpoint. It returns when the request was sent; what the service makes of it, Poll tells.
func (e *Endpoint) Submit(ctx context.Context, job *compiler.Job, terms scheduler.Terms) (string, error) {
	body, err := e.queue.Body(job, terms)
	if err != nil {
		return "", err
	}
	var once sync.Once
	sent, done := make(chan struct{}), make(chan error, 1)
	// The call outlives Submit, whose context ends with it; its values (traces) go along.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	id, r := rand.Text(), &run{cancel: cancel, done: make(chan struct{}), status: scheduler.Status{State: scheduler.Running}}
	go func() {
		defer cancel()
		done <- e.call(own, r, call.Request{Op: "submit", Method: http.MethodPost, Path: suffix, Body: body, Paid: true, Timeout: longest,
			Limit: 2*e.Properties().Limits.OutputBytes + 1<<20, Written: func() { once.Do(func() { close(sent) }) }})
	}()
	select {
	// The whole request is on its way: from now on Poll tells everything, a refusal too.
	case <-sent:
	case err := <-done:
		if err != nil {
			return "", err
		}
	// Stopped while the body was still being written. The call's own error says whether anything may have arrived.
	case <-ctx.Done():
		cancel()
		if err := <-done; err != nil {
			return "", err
		}
	}
	e.keep(id, r)
	return id, nil
}

// call makes the call and keeps its outcome; the error is for a Submit that is still waiting.
func (e *Endpoint) call(ctx context.Context, r *run, request call.Request) error {
	remote, st, err := e.queue.Sync(ctx, request)
	if e.note(r, remote, st, err) {
		// Our hanging up came too late: the service goes on, and would be paid for.
		_ = e.queue.Cancel(context.WithoutCancel(ctx), remote) // nobody waits for it; a poll tells the outcome
	}
	return err
}

// note keeps the outcome of a call. It tells whether the service goes on with a job that is to end.
func (e *Endpoint) note(r *run, remote string, st scheduler.Status, err error) (goesOn bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.ended = time.Now()
	close(r.done)
	// We hung up. Whether the service still works, and bills, cannot be known.
	if r.wanted && err != nil {
		r.status = scheduler.Status{State: scheduler.Cancelled}
		return false
	}
	// A copy, as Submit may be returning the original at the same time.
	if failed, ok := err.(*scheduler.Error); ok {
		told := *failed
		if told.Kind == scheduler.Uncertain {
			// Who answers late has no other way to hand the result over.
			told.Kind = scheduler.Lost
		}
		r.status = scheduler.Status{State: scheduler.Failed, Err: &told}
		return false
	}
	r.status = st
	// RunPod answers with IN_PROGRESS when its own wait is over; the job is then polled like one that was sent by /run.
	if !st.State.Final() {
		r.remote = remote
	}
	return r.wanted && r.remote != ""
}

// keep remembers a run, and forgets those whose time is over.
func (e *Endpoint) keep(id string, r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// Linear in the runs that are kept, once per submission: some hundreds, against a call of seconds.
	for old, o := range e.runs {
		if !o.ended.IsZero() && time.Since(o.ended) > e.Properties().Limits.Retention {
			delete(e.runs, old)
		}
	}
	e.runs[id] = r
}

// look gives what is known of a run.
func (e *Endpoint) look(id string) (st scheduler.Status, remote string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.runs[id]
	if !ok {
		return scheduler.Status{}, "", false
	}
	if r.status.State.Final() && !r.told {
		r.told = true
		time.AfterFunc(handed, func() { e.letGo(r) })
	}
	return r.status, r.remote, true
}

// letGo drops the pictures of a run. Addresses stay: what could not be fetched from there is asked for again.
func (e *Endpoint) letGo(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A new list, as whoever polled holds the old one.
	r.status.Outputs = slices.Clone(r.status.Outputs)
	for i := range r.status.Outputs {
		r.status.Outputs[i].Base64 = ""
	}
}

// Poll implements scheduler.Endpoint.
func (e *Endpoint) Poll(ctx context.Context, id string) (scheduler.Status, error) {
	st, remote, ok := e.look(id)
	switch {
	case !ok:
		return scheduler.Status{State: scheduler.Gone, Err: e.client.Fail("poll", scheduler.Lost, "the synchronous call was made by another process, and its answer went there")}, nil
	case remote != "":
		return e.queue.Poll(ctx, remote)
	}
	return st, nil
}

// PollWait implements scheduler.LongPoller: it waits for the call to end. A job that the service goes on with by itself is waited for there.
func (e *Endpoint) PollWait(ctx context.Context, id string, wait time.Duration) (scheduler.Status, error) {
	begun := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-e.ended(id):
	case <-timer.C:
	case <-ctx.Done():
		return scheduler.Status{}, e.client.Fail("poll", scheduler.Transient, "given up before the call ended")
	}
	if _, remote, _ := e.look(id); remote != "" {
		// Below a second a plain poll is the better use of the call.
		if rest := wait - time.Since(begun); rest > time.Second {
			return e.queue.PollWait(ctx, remote, min(rest, time.Minute))
		}
	}
	return e.Poll(ctx, id)
}

// over is closed: what is not known needs no waiting.
var over = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// ended is closed when a run's call has ended, and for a run that is not known.
func (e *Endpoint) ended(id string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r, ok := e.runs[id]; ok {
		return r.done
	}
	return over
}

// Cancel implements scheduler.Endpoint: it ends the call. Whether the service then stops working is up to the service. A job that the service goes
// on with by itself is cancelled there.
func (e *Endpoint) Cancel(ctx context.Context, id string) error {
	if remote := e.hangUp(id); remote != "" {
		return e.queue.Cancel(ctx, remote)
	}
	return nil
}

// hangUp ends a call that is still going on. It gives the service's own id of a job that goes on without it, "" if there is none.
func (e *Endpoint) hangUp(id string) (remote string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.runs[id]
	if !ok {
		return ""
	}
	if r.ended.IsZero() {
		r.wanted = true
		r.cancel()
	}
	return r.remote
}

// Fetch implements scheduler.Endpoint.
func (e *Endpoint) Fetch(ctx context.Context, out scheduler.Output) (io.ReadCloser, error) {
	return e.queue.Fetch(ctx, out)
}

// Check implements scheduler.Checker. Without a health check that is configured, a service that has no /health is taken to be there.
func (e *Endpoint) Check(ctx context.Context) error {
	if e.health != "" {
		_, err := e.client.Root().Do(ctx, call.Request{Op: "check", Path: e.health, Timeout: 10 * time.Second})
		return err
	}
	a, err := e.client.Do(ctx, call.Request{Op: "check", Path: "/health", Timeout: 10 * time.Second})
	if a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed {
		return nil
	}
	return err
}
