package jobs

import (
	"context"
	"net/http"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// statsAnswer holds both forms: Novita's /stats and RunPod's /health.
// Pointers tell a count of 0 from one that is not given, which becomes -1.
type statsAnswer struct {
	Pending    *float64 `json:"pending"`
	InProgress *float64 `json:"in_progress"`
	Total      *float64 `json:"total_workers"`
	Busy       *float64 `json:"busy_workers"`
	Jobs       struct {
		InQueue    *float64 `json:"inQueue"`
		InProgress *float64 `json:"inProgress"`
		Completed  *float64 `json:"completed"`
		Failed     *float64 `json:"failed"`
	} `json:"jobs"`
	Workers struct {
		Idle         *float64 `json:"idle"`
		Running      *float64 `json:"running"`
		Initializing *float64 `json:"initializing"`
	} `json:"workers"`
}

// Stats implements scheduler.Stater.
func (e *Endpoint) Stats(ctx context.Context) (scheduler.Stats, error) {
	a, err := e.stats(ctx, "stats")
	if err != nil {
		return scheduler.Stats{}, err
	}
	s := scheduler.Stats{
		Queued:    number(a.Pending, a.Jobs.InQueue),
		Running:   number(a.InProgress, a.Jobs.InProgress),
		Workers:   number(a.Total),
		Busy:      number(a.Busy, a.Workers.Running),
		Completed: number(a.Jobs.Completed),
		Failed:    number(a.Jobs.Failed),
	}
	// /health gives no total. Throttled workers, which RunPod lists beside these, have no GPU, and so are not counted.
	if w := a.Workers; s.Workers < 0 && w.Idle != nil {
		s.Workers = number(w.Idle) + max(0, number(w.Running)) + max(0, number(w.Initializing))
	}
	return s, nil
}

// Check implements scheduler.Checker.
func (e *Endpoint) Check(ctx context.Context) error {
	_, err := e.stats(ctx, "check")
	return err
}

// stats asks the first path that exists. That all are missing means that there is no such endpoint.
func (e *Endpoint) stats(ctx context.Context, op string) (a statsAnswer, err error) {
	for _, path := range e.api.StatsPaths {
		var got call.Answer
		a = statsAnswer{}
		got, err = e.client.JSON(ctx, call.Request{Op: op, Path: path, Timeout: 10 * time.Second}, &a)
		if err == nil || got.Status != http.StatusNotFound && got.Status != http.StatusMethodNotAllowed {
			return a, err
		}
	}
	return a, err
}

// number is the first value that was told, -1 if none was.
func number(values ...*float64) int {
	for _, v := range values {
		// Beyond 1e9 it is no count of anything, and int(float) of a huge one is undefined.
		if v != nil && *v >= 0 && *v < 1e9 {
			return int(*v)
		}
	}
	return -1
}
