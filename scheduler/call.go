package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// How long a call may take. A submit carries input files, a collect fetches results.
const (
	submitTime  = 2 * time.Minute
	pollTime    = 30 * time.Second
	cancelTime  = 15 * time.Second
	checkTime   = 15 * time.Second
	collectTime = 15 * time.Minute
	tradeTime   = 10 * time.Second
)

// panicked brings a bug of an endpoint, sink or store into the loop's goroutine.
type panicked struct{ value any }

// polledOutputs is a poll's answer with its outputs, which the core does not see.
type polledOutputs struct {
	polled
	full Status
}

// preparedJob is a prepared shard with its job.
type preparedJob struct{ prepared }

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

// start makes a call in the pool.
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
		job := l.jobs.take(k.shard)
		for _, id := range k.mates {
			l.jobs.take(id)
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
	case callFind:
		l.spawn(func() any { return l.find(k) })
	case callCancel:
		l.spawn(func() any { return l.cancel(k) })
	case callReuse:
		l.spawn(func() any { return l.takeOver(k) })
	case callCollect:
		status := l.results[k.attempt]
		l.spawn(func() any { return l.collect(k, status) })
	}
}

func (l *loop) check(k call) *Error {
	checker, ok := l.ends[k.endpoint].(Checker)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.calls, checkTime)
	defer cancel()
	return l.asError(k, "check", checker.Check(ctx))
}

func (l *loop) submit(k call, job *compiler.Job) any {
	if job == nil { // dropped for want of memory
		var err error
		if job, err = l.work.Job(k.renders...); err != nil {
			return submitted{attempt: k.attempt, err: &Error{Kind: Rejected, Op: "submit", Message: err.Error(), Err: err}}
		}
	}
	if err := l.opts.fenced(l.core.endpoints[k.endpoint].Name, "submit"); err != nil {
		return submitted{attempt: k.attempt, err: err}
	}
	ctx, cancel := context.WithTimeout(l.calls, submitTime)
	defer cancel()
	remote, err := l.ends[k.endpoint].Submit(ctx, job, k.terms)
	return submitted{attempt: k.attempt, remote: remote, err: l.asError(k, "submit", err)}
}

func (l *loop) poll(k call) any {
	st, err := l.pollWait(k)
	in := polled{long: k.wait > 0, endpoint: k.endpoint, attempt: k.attempt, status: st, err: l.asError(k, "poll", err)}
	if err != nil || st.State != Completed {
		return in
	}
	for _, out := range st.Outputs {
		in.bytes += len(out.Base64)
		in.byURL = in.byURL || out.URL != ""
	}
	in.status.Outputs, in.status.Problems = nil, nil
	return polledOutputs{in, st}
}

func (l *loop) find(k call) any {
	ctx, cancel := context.WithTimeout(l.calls, findTime)
	defer cancel()
	got, err := l.ends[k.endpoint].(Finder).Find(ctx, k.token)
	return found{k.attempt, got, l.asError(k, "find", err)}
}

func (l *loop) cancel(k call) any {
	if err := l.opts.fenced(l.core.endpoints[k.endpoint].Name, "cancel"); err != nil {
		return cancelAnswer{k.attempt, err}
	}
	ctx, cancel := context.WithTimeout(l.calls, cancelTime)
	defer cancel()
	return cancelAnswer{k.attempt, l.asError(k, "cancel", l.ends[k.endpoint].Cancel(ctx, k.remote))}
}

// collect makes a result safe. The job is built again, as it says what is owed.
func (l *loop) collect(k call, st Status) any {
	job, err := l.work.Job(k.renders...)
	if err != nil {
		return collected{attempt: k.attempt, got: allMissing(k.renders, Rejected, "the job cannot be made: "+err.Error())}
	}
	if err := l.opts.fenced(k.result.Endpoint.Name, "collect"); err != nil {
		return collected{attempt: k.attempt, got: allMissing(k.renders, Transient, err.Error())}
	}
	result := k.result
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
	kind := Transient
	if k.kind == callSubmit {
		kind = Uncertain
	}
	return &Error{Kind: kind, Endpoint: l.ends[k.endpoint].Properties().Name, Op: op, Message: err.Error(), Err: err}
}

// jobCache keeps the jobs of prepared shards until they are submitted, up to some memory; what does not fit is built again.
type jobCache struct {
	byShard map[int]*compiler.Job
	bytes   int
}

const maxJobBytes = 32 << 20

func (c *jobCache) put(shard int, job *compiler.Job) {
	if job == nil {
		return
	}
	c.take(shard)
	if c.bytes+len(job.Prompt) > maxJobBytes {
		clear(c.byShard)
		c.bytes = 0
	}
	c.byShard[shard] = job
	c.bytes += len(job.Prompt)
}

func (c *jobCache) take(shard int) *compiler.Job {
	job := c.byShard[shard]
	if job != nil {
		delete(c.byShard, shard)
		c.bytes -= len(job.Prompt)
	}
	return job
}
