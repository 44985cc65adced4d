package emulator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"runtime/debug"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// start puts a job on a worker: the clocks begin, and the rendering if there is any to do.
func (ep *endpoint) start(j *job, b *box) {
	j.state, j.worker, j.started = inProgress, b, time.Now()
	j.box = b.id
	j.runs++
	j.span = ep.Execution.draw(ep.dice.rand("span", j.number<<8+j.runs))
	if j.executionTimeout > 0 {
		j.alarms = append(j.alarms, time.AfterFunc(j.executionTimeout, func() {
			ep.locked(func() { ep.end(j, timedOut) })
		}))
	}
	ep.count(j)
	if j.native != nil {
		ep.server.running = append(ep.server.running, j)
		ep.server.started(j)
	}
	// Neither output nor end: only the execution time-out, which was set above, gets the job off its worker.
	if j.has(Hang) != nil {
		return
	}
	if ep.form == formEcho {
		ep.due(j, outcome{output: j.echo})
		return
	}
	ctx, stop := context.WithCancel(ep.em.ctx)
	j.stop = stop
	// A retry begins another run of the same job; a rendering of the old one that comes back late is known by its number.
	run, w := j.runs, j.work
	ep.em.work.Add(1)
	go func() {
		defer ep.em.work.Done()
		o := ep.render(ctx, w, j.id, j.base, j.native != nil)
		ep.locked(func() {
			if j.state == inProgress && j.runs == run {
				ep.due(j, o)
			}
		})
	}()
}

// count notes the run: from here on it is paid for.
func (ep *endpoint) count(j *job) {
	ep.counters.Executed++
	switch {
	case ep.form == formEcho:
		sum := sha256.Sum256(j.echo)
		ep.tally.run(hex.EncodeToString(sum[:]), nil)
	// A job that fails before it begins is no run of a prompt, though the platform bills its seconds.
	case j.work.problem == nil:
		ep.tally.run(j.work.picture, j.work.prefixes)
	}
}

// due ends the run with an outcome when its time is over, which it often is. The result is kept back for the rest of the drawn time, so that a
// fast machine seems as slow as the emulated GPU; a slow one cannot be hidden.
func (ep *endpoint) due(j *job, o outcome) {
	rest := j.span - time.Since(j.started)
	if j.native != nil {
		ep.server.rendered(j, o, rest)
	}
	if rest <= 0 {
		ep.finish(j, o)
		return
	}
	run := j.runs
	j.alarms = append(j.alarms, time.AfterFunc(rest, func() {
		ep.locked(func() {
			if j.state == inProgress && j.runs == run {
				ep.finish(j, o)
			}
		})
	}))
}

// outcome is what a worker gives back for a job: output or error, or both.
type outcome struct {
	output []byte // JSON, nil if none
	err    string // the job has FAILED if not empty
	saved  []saved
	fails  []worker.NodeError
	cached bool
}

// finish makes a job final with the worker's outcome, as the job's faults bend it.
func (ep *endpoint) finish(j *job, o outcome) {
	s := completed
	if f := j.has(Failed); f != nil {
		o = outcome{err: f.Message}
		if o.err == "" {
			o.err = "the worker failed"
		}
	}
	if j.has(Partial) != nil {
		o.output = ep.form.cut(o.output)
	}
	if o.err != "" {
		s, j.err, j.fails = failed, o.err, o.fails
	}
	// As the platforms do it: no error, just COMPLETED and nothing.
	if j.has(NoOutput) != nil || ep.OutputBytes > 0 && int64(len(o.output)) > ep.OutputBytes {
		o.output = nil
	}
	ep.em.vault.drop(j.output)
	j.output = nil
	if o.output != nil {
		j.output = ep.em.vault.put(o.output)
	}
	ep.counters.OutputBytes += len(o.output)
	twice := s == completed && j.runs == 1 && j.has(Twice) != nil
	if s == completed && !twice {
		j.work = nil // a failed job may be tried again
	}
	ep.end(j, s)
	if twice {
		j.alarms = append(j.alarms, time.AfterFunc(time.Second, func() { ep.locked(func() { ep.rerun(j) }) }))
	}
}

// rerun is the platform's mistake of running a finished job once more.
func (ep *endpoint) rerun(j *job) {
	if ep.jobs[j.id] == j {
		j.silence()
		ep.enqueue(j)
	}
}

// render does the work of one job, when one of this machine's CPUs is free. What panics fails the job only. bare leaves the worker's form away.
func (ep *endpoint) render(ctx context.Context, w *work, id, base string, bare bool) (o outcome) {
	select {
	case ep.em.slots <- struct{}{}:
	case <-ctx.Done():
		return outcome{err: "the job was stopped"}
	}
	defer func() {
		<-ep.em.slots
		if p := recover(); p != nil {
			debug.PrintStack()
			o = outcome{err: "the emulator has a bug"}
		}
	}()
	if w.problem != nil {
		return outcome{err: w.problem.text, output: details(w.problem.details)}
	}
	result, err := ep.images.run(ctx, ep, w)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return outcome{err: "the job was stopped"}
		}
		return outcome{err: "Job processing failed", output: details([]string{err.Error()})}
	}
	if bare { // the native dialect serves the files themselves
		o = outcome{saved: result.files, fails: result.fails, cached: result.cached}
		if len(result.fails) > 0 {
			o.err = result.fails[0].Message
		}
		return o
	}
	return ep.form.outcome(ctx, ep, w, result, id, base)
}
