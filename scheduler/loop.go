package scheduler

import (
	"context"
	"time"

	"github.com/sourcegraph/conc/pool"
)

// loop is the shell around the core: it has the clock, the store and the goroutines. One goroutine, the caller's, does the following
// until the core says that the run is over:
//
//	gather   what happened since (answers of calls, a commit, the timer, the context's end)
//	step     let the core decide
//	tell     the events, to the listener
//	write    the changes, all that gathered in one commit, while nothing waits for it here
//	call     what the core asks for, in the pool; submits wait until the commit with their intents is durable
type loop struct {
	core  *core
	work  Work
	store Store
	sink  Sink
	opts  *Options
	ends  []Endpoint // by the core's index

	pool  *pool.Pool
	inbox chan any // input, written or panicked
	calls context.Context
	abort context.CancelFunc

	news     *Control // orders of the caller, and what watches tell
	watching []bool

	jobs    jobCache         // of shards that are prepared, by shard
	sent    jobCache         // of attempts that are on their remotes, by attempt: they say what is owed
	results map[int64]Status // with outputs, until they are safe
	writer  writer
	timer   *time.Timer
	err     error // of the store
}

// run goes until the core says that the run is over, and nothing is left to be written.
func (l *loop) run(ctx context.Context, first opened) {
	inputs := l.news.take([]input{first})
	done, ordered := ctx.Done(), l.news.heard()
	for {
		out := step(l.core, inputs, time.Now())
		inputs = l.do(out, inputs[:0])
		if out.done && l.writer.idle() || l.err != nil {
			return
		}
		if len(inputs) > 0 {
			continue
		}
		select {
		case m := <-l.inbox:
			inputs = l.take(m, inputs)
		case <-l.timer.C:
			inputs = append(inputs, tick{})
		case <-ordered:
			inputs = l.news.take(inputs)
		case <-done:
			done = nil
			inputs = append(l.unsend(inputs), interrupted{})
		}
		inputs = l.drain(inputs)
	}
}

// drain takes what else has arrived, so that one step, one commit and one wake-up serve many answers.
func (l *loop) drain(inputs []input) []input {
	// Bounded, so that the core hears of the time, and orders of the caller, however many answers come.
	for len(inputs) < 256 {
		select {
		case m := <-l.inbox:
			inputs = l.take(m, inputs)
		default:
			return inputs
		}
	}
	return inputs
}

// take turns a message into an input.
func (l *loop) take(m any, inputs []input) []input {
	switch m := m.(type) {
	case written:
		return l.wrote(m, inputs)
	case panicked:
		l.abort()
		panic(m.value)
	case polledOutputs:
		l.results[m.attempt] = m.full
		return append(inputs, m.polled)
	case preparedJob:
		l.jobs.put(int64(m.shard), m.job)
		return append(inputs, m.prepared)
	case submittedJob:
		l.sent.put(m.attempt, m.job)
		return append(inputs, m.submitted)
	case input:
		l.forget(m)
		return append(inputs, m)
	}
	panic("unknown message")
}

// forget drops what an ended call needed.
func (l *loop) forget(in input) {
	if c, ok := in.(collected); ok && c.err == nil {
		delete(l.results, c.attempt)
	}
}

// drop lets go of the jobs of attempts that have ended: collected ones have been taken, of others nothing is collected any more.
func (l *loop) drop(changes []Change) {
	for _, ch := range changes {
		if ch.Attempt != nil && ch.Attempt.State.Final() {
			l.sent.take(ch.Attempt.Number)
		}
	}
}

// do carries out what the core wants. It may give inputs at once.
func (l *loop) do(out *effects, inputs []input) []input {
	// Before the write: an event tells what was decided, and what is not durable yet is decided again after a crash.
	for _, e := range out.events {
		l.opts.OnEvent(e)
	}
	l.writer.add(out.changes)
	l.drop(out.changes)
	for _, k := range out.calls {
		if k.kind == callSubmit {
			l.writer.held = append(l.writer.held, k)
		} else {
			l.start(k)
		}
	}
	if out.abort {
		l.abort()
	}
	l.flush(out.done)
	l.setTimer(out.wake)
	return inputs
}

// setTimer wakes the loop when something is due, for the core or for the writer.
func (l *loop) setTimer(wake time.Time) {
	if at := l.writer.due; !at.IsZero() && !l.writer.busy && (wake.IsZero() || at.Before(wake)) {
		wake = at
	}
	if wake.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(max(0, time.Until(wake)))
}
