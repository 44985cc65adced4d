package emulator

import (
	"context"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// state is where a job stands.
// The final ones come last, as final counts on.
type state uint8

const (
	queued state = iota
	inProgress
	completed
	failed
	cancelled
	timedOut
)

func (s state) final() bool { return s >= completed }

// word gives the platforms' word for a state.
func (s state) word(queue string) string {
	return [...]string{queue, "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}[s]
}

// job is one accepted submission. All fields belong to the lock of its endpoint.
//
//	queued ──start──▶ running ──finish──▶ completed | failed ──retry, Twice──▶ queued
//	   └──────cancel, ttl, time-out──────▶ cancelled | timedOut
type job struct {
	id      string
	number  int // from 1, per endpoint
	dialect Dialect
	state   state
	work    *work  // nil once it is not needed any more
	echo    []byte // the input of an endpoint that gives it back
	base    string // scheme and host by which the client reaches the emulator, for URLs
	webhook string // "" for none
	faults  []*Fault
	native  *nativeJob // nil for other dialects
	patient bool       // of low priority: no worker is started for it alone

	executionTimeout, ttl, retention time.Duration
	accepted, started, finished      time.Time

	worker *box               // nil unless it runs
	box    string             // the worker's id, also after the end
	runs   int                // times it was started
	span   time.Duration      // drawn execution time of this run
	stop   context.CancelFunc // ends the rendering of this run
	alarms []*time.Timer      // of this run
	expiry *time.Timer        // of the ttl

	output  *blob  // JSON, nil if none
	err     string // "" unless it failed
	fails   []worker.NodeError
	drained bool          // the stream has given its output
	done    chan struct{} // closed at a final state, nil while nobody waits
}

// has gives the fault of a kind, nil if the job is not struck by it.
func (j *job) has(kind Kind) *Fault {
	for _, f := range j.faults {
		if f.Kind == kind {
			return f
		}
	}
	return nil
}

// gone tells whether the result of a finished job is not kept any more.
func (j *job) gone(now time.Time) bool {
	if !j.state.final() {
		return false
	}
	keep := j.retention
	if f := j.has(Expired); f != nil {
		keep = f.Delay
	}
	return now.Sub(j.finished) >= keep
}

// delay is the time in the queue, execution the time on a worker.
func (j *job) delay(now time.Time) time.Duration {
	if j.started.IsZero() {
		return now.Sub(j.accepted)
	}
	return j.started.Sub(j.accepted)
}

// execution is 0 for a job that was never started or is not final yet.
func (j *job) execution() time.Duration {
	if j.started.IsZero() || j.finished.IsZero() {
		return 0
	}
	return j.finished.Sub(j.started)
}

// silence stops the clocks and the rendering of the current run.
func (j *job) silence() {
	// A timer that fires at this very moment waits for the lock, and then finds another run or a final state.
	for _, t := range j.alarms {
		t.Stop()
	}
	j.alarms = nil
	if j.stop != nil {
		j.stop()
		j.stop = nil
	}
}

// wait gives a channel that is closed when the job is final.
func (j *job) wait() <-chan struct{} {
	// Made when somebody asks: most jobs of a batch are never waited for.
	if j.done == nil {
		j.done = make(chan struct{})
		if j.state.final() {
			close(j.done)
		}
	}
	return j.done
}
