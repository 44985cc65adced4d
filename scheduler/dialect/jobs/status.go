package jobs

import (
	"encoding/json"
	"math"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// states are the platforms' words. PENDING is Novita's for IN_QUEUE. Case matters: a "completed" has never been seen to be final. A word
// that is missing here reads as Unknown, the zero value, on which the loop polls on.
var states = map[string]scheduler.State{
	"IN_QUEUE":    scheduler.Queued,
	"PENDING":     scheduler.Queued,
	"IN_PROGRESS": scheduler.Running,
	"RUNNING":     scheduler.Running,
	"COMPLETED":   scheduler.Completed,
	"FAILED":      scheduler.Failed,
	"CANCELLED":   scheduler.Cancelled,
	"TIMED_OUT":   scheduler.TimedOut,
}

// Answer is what a platform says of a job, its members still as they came.
type Answer struct {
	State                    string
	Output, Error            []byte
	Delay, Execution, Worker []byte
}

// Answer drops what has been looked at.
func (a answer) Answer() Answer {
	state, _ := text(a.Status) // null, a number, nothing: a state that is not known
	return Answer{state, a.Output, a.Error, a.Delay, a.Execution, a.Worker}
}

// Status reads an answer.
func (e *Endpoint) Status(a Answer) scheduler.Status {
	s := scheduler.Status{State: states[a.State], Delay: milliseconds(a.Delay), Execution: milliseconds(a.Execution)}
	name, _ := text(a.Worker)
	// Shown in tables and written into the manifest, so it must be fit for a terminal.
	s.Worker = e.client.Clean(name)
	switch s.State {
	case scheduler.Running:
		// Output of a running job is the worker's progress_update, whatever it looks like: taking it for the result would end a job early.
		s.Progress = progress(a.Output)
	case scheduler.Completed:
		e.completed(&s, a)
	case scheduler.Failed:
		s.Err = e.failure("poll", worker.Classify(failureTexts(a)))
	case scheduler.TimedOut:
		// Lost and not WorkerFailed: a hung worker (a websocket that broke, see package worker) is the usual cause, and another attempt mends it.
		s.Err = e.client.Fail("poll", scheduler.Lost, "the platform's time-out ended the job; a worker may have hung, or the job takes longer than the endpoint allows")
	}
	return s
}

// completed reads the worker's output. A job that is COMPLETED without anything to collect has failed.
func (e *Endpoint) completed(s *scheduler.Status, a Answer) {
	if text := worker.Text(a.Error); text != "" && worker.Empty(a.Output) {
		s.State, s.Err = scheduler.Failed, e.failure("poll", worker.Classify(text, nil))
		return
	}
	// Partial results pass: what was owed and did not come is found by whoever compares with the plan, not here.
	result := worker.Parse(a.Output)
	if result.Failure != nil {
		s.State, s.Err = scheduler.Failed, e.failure("poll", result.Failure)
		return
	}
	s.Outputs = result.Outputs
	for i := range s.Outputs {
		s.Outputs[i].Problem = e.client.Clean(s.Outputs[i].Problem)
	}
	for _, problem := range result.Problems {
		s.Problems = append(s.Problems, e.client.Clean(problem))
	}
}

// failureTexts collects what a FAILED answer says: the error, and what the worker put into the output beside it.
func failureTexts(a Answer) (string, []string) {
	var output struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
		Details json.RawMessage `json:"details"`
		Errors  json.RawMessage `json:"errors"`
	}
	_ = json.Unmarshal(a.Output, &output) // a text, a list or nothing has no details
	details := append(worker.Texts(output.Details), worker.Texts(output.Errors)...)
	for _, text := range []string{worker.Text(a.Error), worker.Text(output.Error), worker.Text(output.Message)} {
		if text != "" {
			return text, details
		}
	}
	var bare string
	if json.Unmarshal(a.Output, &bare) == nil && bare != "" {
		return bare, details
	}
	return "the job failed and the platform does not say why; see the worker's log", details
}

// failure makes an error of what a worker's texts mean.
func (e *Endpoint) failure(op string, f *worker.Failure) *scheduler.Error {
	failed := e.client.Fail(op, f.Kind, "%s", f.Message)
	for id, text := range f.NodeErrors {
		if failed.NodeErrors == nil {
			failed.NodeErrors = map[string]string{}
		}
		failed.NodeErrors[id] = e.client.Clean(text)
	}
	return failed
}

// milliseconds reads a duration; 0 for what is none. At most 7 days, the longest time that any platform lets a job be told, so that a
// worker's nonsense cannot overflow sums of money.
func milliseconds(raw []byte) time.Duration {
	var ms float64
	if json.Unmarshal(raw, &ms) != nil || ms < 0 || math.IsNaN(ms) {
		return 0
	}
	return time.Duration(min(ms, float64(7*24*time.Hour/time.Millisecond)) * float64(time.Millisecond))
}

// progress reads {"progress": 0.4} or {"progress": 40} from a worker's progress update; 0 for anything else. Up to 1 it is taken for a share,
// above for percents, so the 1 of a worker that counts percents shows as the whole for a moment.
func progress(output []byte) float64 {
	var update struct {
		Progress float64 `json:"progress"`
	}
	if json.Unmarshal(output, &update) != nil || update.Progress < 0 || update.Progress > 100 {
		return 0
	}
	if update.Progress > 1 {
		return update.Progress / 100
	}
	return update.Progress
}
