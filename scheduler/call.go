package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// The calls that the core asks for, each made in a goroutine of the pool and answered by a message. What is here sees the call and nothing of the
// core's state; a call that must not be repeated blindly (the submit) is made once, whatever comes of it.

// How long a call may take. A submit carries input files, a collect fetches results.
const (
	// uncertain.go reckons with it: a request is on its way for so long at most.
	submitTime  = 2 * time.Minute
	pollTime    = 30 * time.Second
	cancelTime  = 15 * time.Second
	checkTime   = 15 * time.Second
	collectTime = 15 * time.Minute
	uploadTime  = 10 * time.Minute
	tradeTime   = 10 * time.Second
)

// panicked brings a bug of an endpoint, sink or store into the loop's goroutine, so that it comes out of Run, where a caller can recover it; in a
// goroutine of the pool it would end the program.
type panicked struct{ value any }

// polledOutputs is a poll's answer with its outputs, which the core does not see.
type polledOutputs struct {
	polled
	full Status
}

// preparedJob is a prepared shard with its job.
type preparedJob struct{ prepared }

// submittedJob is a submit that was taken, with its job, which says what is owed.
type submittedJob struct {
	submitted
	job *compiler.Job
}

// spawn runs f in the pool and sends what it gives to the inbox. There is a place in the inbox for every goroutine of the pool.
func (l *loop) spawn(f func() any) {
	l.pool.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				l.inbox <- panicked{v}
			}
		}()
		l.inbox <- f()
	})
}

// start makes a call in the pool. What it needs of the loop is taken out here, in the loop's goroutine: none of the functions below touches the
// loop's maps.
func (l *loop) start(k call) {
	switch k.kind {
	case callPrepare:
		l.spawn(func() any {
			job, err := l.work.Job(k.renders...)
			return preparedJob{prepared{shard: k.shard, job: job, err: err}}
		})
	case callCheck:
		l.spawn(func() any { return checked{k.endpoint, l.check(k)} })
	case callSubmit:
		l.watch(k.endpoint)
		job := l.jobs.take(int64(k.shard))
		// A merged shard has a job of its own, which submit makes; those of its parts are of no use any more.
		for _, id := range k.mates {
			l.jobs.take(int64(id))
		}
		l.spawn(func() any { return l.submit(k, job) })
	case callPoll:
		l.watch(k.endpoint)
		l.spawn(func() any { return l.poll(k) })
	case callTrade:
		l.spawn(func() any {
			ctx, cancel := context.WithTimeout(l.calls, tradeTime)
			defer cancel()
			grant, err := l.opts.Shares.Trade(ctx, *k.want)
			return traded{k.want, grant, err}
		})
	case callStats:
		// Jobs that are submitted after this moment cannot be in the counts.
		asked := l.core.now
		l.spawn(func() any { return l.stats(k, asked) })
	case callFind:
		l.spawn(func() any { return l.find(k) })
	case callCancel:
		l.spawn(func() any { return l.cancel(k) })
	case callReuse:
		l.spawn(func() any { return l.takeOver(k) })
	case callCollect:
		status, job := l.results[k.attempt], l.sent.take(k.attempt)
		l.spawn(func() any { return l.collect(k, job, status) })
	}
}

// check asks whether an endpoint can be used; one that cannot be asked passes, and its first submit shows.
func (l *loop) check(k call) *Error {
	checker, ok := l.ends[k.endpoint].(Checker)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.calls, checkTime)
	defer cancel()
	return l.asError(k, "check", checker.Check(ctx))
}

// submit makes the paid call of an attempt, whose intent is durable by now. The fence is asked as late as possible: a machine that lost its lease
// while it uploaded sends nothing. An error without a class is Uncertain, since the request may have arrived.
func (l *loop) submit(k call, job *compiler.Job) any {
	if job == nil { // dropped for want of memory
		var err error
		if job, err = l.work.Job(k.renders...); err != nil {
			return submitted{attempt: k.attempt, err: &Error{Kind: Rejected, Op: "submit", Message: err.Error(), Err: err}}
		}
	}
	if err := l.ready(k, job); err != nil {
		return submitted{attempt: k.attempt, err: err}
	}
	if err := l.opts.fenced(l.core.endpoints[k.endpoint].Name, "submit"); err != nil {
		return submitted{attempt: k.attempt, err: err}
	}
	ctx, cancel := context.WithTimeout(l.calls, submitTime)
	defer cancel()
	remote, err := l.ends[k.endpoint].Submit(ctx, job, k.terms)
	if err != nil {
		return submitted{attempt: k.attempt, err: l.asError(k, "submit", err)}
	}
	return submittedJob{submitted{attempt: k.attempt, remote: remote}, job}
}

// ready lets an endpoint do what it can before the paid call: files are uploaded, which may take minutes, and the job is held against what the
// remote has. What only says that this could not be done is left to the submit. No error of it is Uncertain, as nothing was sent yet.
func (l *loop) ready(k call, job *compiler.Job) *Error {
	p, ok := l.ends[k.endpoint].(Preparer)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.calls, uploadTime)
	defer cancel()
	err := l.asError(call{kind: callPrepare, endpoint: k.endpoint}, "prepare", p.Prepare(ctx, job))
	if err != nil && (err.Kind == MissingModel || err.Kind == Rejected || err.Kind == Unreachable || ctx.Err() != nil) {
		return err
	}
	return nil
}

// poll asks for a job's state. The outputs of a finished one may be megabytes of base64: the core gets their size only, the loop keeps them for
// collect.
func (l *loop) poll(k call) any {
	st, err := l.pollWait(k)
	// long tells the core which of its two counters this poll was in.
	in := polled{long: k.wait > 0, endpoint: k.endpoint, attempt: k.attempt, status: st, err: l.asError(k, "poll", err)}
	if err != nil || st.State != Completed {
		return in
	}
	for _, out := range st.Outputs {
		in.bytes += len(out.Base64)
		in.byURL = in.byURL || out.URL != ""
	}
	// The copy that the core gets; st keeps them.
	in.status.Outputs, in.status.Problems = nil, nil
	return polledOutputs{in, st}
}

// find asks whether a submit arrived whose answer was lost; repeatable, and the endpoint is a Finder, as the core knows.
func (l *loop) find(k call) any {
	ctx, cancel := context.WithTimeout(l.calls, findTime)
	defer cancel()
	got, err := l.ends[k.endpoint].(Finder).Find(ctx, k.token)
	return found{k.attempt, got, l.asError(k, "find", err)}
}

// cancel is repeatable too: a job that has ended, or is cancelled already, is no error of a dialect.
func (l *loop) cancel(k call) any {
	if err := l.opts.fenced(l.core.endpoints[k.endpoint].Name, "cancel"); err != nil {
		return cancelAnswer{k.attempt, err}
	}
	ctx, cancel := context.WithTimeout(l.calls, cancelTime)
	defer cancel()
	return cancelAnswer{k.attempt, l.asError(k, "cancel", l.ends[k.endpoint].Cancel(ctx, k.remote))}
}

// collect makes a result safe. The job says what is owed; it is built again if it was dropped, sent by an earlier run, or some of its renders have
// ended.
func (l *loop) collect(k call, job *compiler.Job, st Status) any {
	if job == nil || !slices.Equal(job.Renders, k.renders) {
		var err error
		// It may fail where it worked before, as the plan's files may have changed. What was paid for is missing then, and the user is told why.
		if job, err = l.work.Job(k.renders...); err != nil {
			return collected{attempt: k.attempt, got: allMissing(k.renders, Rejected, "the job cannot be made: "+err.Error())}
		}
	}
	// Transient: the files stay on the remote, for whoever has the lease now.
	if err := l.opts.fenced(k.result.Endpoint.Name, "collect"); err != nil {
		return collected{attempt: k.attempt, got: allMissing(k.renders, Transient, err.Error())}
	}
	result := *k.result
	result.Job, result.Outputs, result.Problems = job, st.Outputs, st.Problems
	result.Fetch = func(ctx context.Context, out Output) (io.ReadCloser, error) {
		return l.ends[k.endpoint].Fetch(ctx, out)
	}
	ctx, cancel := context.WithTimeout(l.calls, collectTime)
	defer cancel()
	got, err := l.sink.Collect(ctx, result)
	if err != nil && ctx.Err() != nil && l.calls.Err() == nil { // this result was slow; the sink is well
		return collected{attempt: k.attempt, got: allMissing(k.renders, Transient, fmt.Sprintf("fetching its files took longer than %v", collectTime))}
	}
	return collected{k.attempt, got, err}
}

// allMissing is the answer of a sink that could save nothing, for one reason.
func allMissing(renders []int, kind Kind, why string) (got Collected) {
	for _, i := range renders {
		got.Missing = append(got.Missing, MissingRender{Render: i, Kind: kind, Reason: why})
	}
	return got
}

// asError gives an endpoint's error as an *Error. What an endpoint does not class is Transient; but of a submit nobody knows then whether it
// was taken.
func (l *loop) asError(k call, op string, err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	// A submit is the one call of which "again" could mean "paid twice".
	kind := Transient
	if k.kind == callSubmit {
		kind = Uncertain
	}
	return &Error{Kind: kind, Endpoint: l.ends[k.endpoint].Properties().Name, Op: op, Message: err.Error(), Err: err}
}

// jobCache keeps jobs that were built until they are needed, up to some memory; what does not fit is built again.
type jobCache struct {
	by    map[int64]*compiler.Job
	bytes int // of their prompts
}

// maxJobBytes bounds the prompts kept, in bytes. Above it all are dropped rather than the oldest: it is seldom reached, and building again is cheap.
const maxJobBytes = 32 << 20

func (c *jobCache) put(key int64, job *compiler.Job) {
	if job == nil {
		return
	}
	c.take(key)
	if c.by == nil || c.bytes+len(job.Prompt) > maxJobBytes {
		c.by, c.bytes = map[int64]*compiler.Job{}, 0
	}
	c.by[key] = job
	c.bytes += len(job.Prompt)
}

// take removes a job and gives it, nil if it was dropped.
func (c *jobCache) take(key int64) *compiler.Job {
	job := c.by[key]
	if job != nil {
		delete(c.by, key)
		c.bytes -= len(job.Prompt)
	}
	return job
}
