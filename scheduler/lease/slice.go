package lease

import (
	"context"
	"slices"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// A run of a slice counts its renders from 0; the plan, the files and the events have the batch's indexes. Here is where one becomes the other.

// sliceWork is a range of a work's renders.
type sliceWork struct {
	scheduler.Work
	// the batch's indexes, past not included
	first, past int
}

// Len gives the renders of the range.
func (w sliceWork) Len() int { return w.past - w.first }

// RenderID implements scheduler.Work.
func (w sliceWork) RenderID(i int) compiler.RenderID { return w.Work.RenderID(i + w.first) }

// Job implements scheduler.Work.
func (w sliceWork) Job(renders ...int) (*compiler.Job, error) {
	job, err := w.Work.Job(shifted(renders, w.first)...)
	if err != nil {
		return nil, err
	}
	return shiftJob(job, -w.first), nil
}

// shifted copies, as the list belongs to whoever gave it.
func shifted(renders []int, by int) []int {
	out := slices.Clone(renders)
	for k := range out {
		out[k] += by
	}
	return out
}

// shiftJob copies a job with other indexes. The graph itself names renders by their ids only.
func shiftJob(job *compiler.Job, by int) *compiler.Job {
	out := *job
	out.Renders = shifted(job.Renders, by)
	out.Owed = slices.Clone(job.Owed)
	for k := range out.Owed {
		out.Owed[k].Render += by
	}
	return &out
}

// sliceSink gives results to the sink of the whole batch.
// Fetch, Outputs and all else of a result pass unchanged; only indexes differ.
type sliceSink struct {
	scheduler.Sink
	first int
}

// Collect implements scheduler.Sink.
func (s sliceSink) Collect(ctx context.Context, result scheduler.Result) (scheduler.Collected, error) {
	result.Job = shiftJob(result.Job, s.first)
	got, err := s.Sink.Collect(ctx, result)
	out := scheduler.Collected{Done: slices.Clone(got.Done), Missing: slices.Clone(got.Missing)}
	for k := range out.Done {
		out.Done[k].Render -= s.first
	}
	for k := range out.Missing {
		out.Missing[k].Render -= s.first
	}
	return out, err
}

// outsideEvent copies an event with the batch's indexes.
func outsideEvent(e scheduler.Event, first int) scheduler.Event {
	if e.Render != nil {
		r := *e.Render
		r.Index += first
		e.Render = &r
	}
	if e.Attempt != nil {
		a := *e.Attempt
		a.Renders = shifted(a.Renders, first)
		e.Attempt = &a
	}
	return e
}
