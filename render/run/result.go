package run

import (
	"context"
	"iter"
	"sync"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// Result is a render that has ended in this run.
type Result struct {
	Render int // index in the plan
	ID     compiler.RenderID
	Cells  []int // indexes of its coordinates in the plan
	State  scheduler.RenderState
	Files  []scheduler.FileRecord // paths below the run directory, of a Done render
	Event  scheduler.RenderEvent  // reason, endpoint, seconds, cost
}

// Results runs the batch with its own options and gives each render as it ends; what earlier runs did is not repeated. The last pair
// may be an error, as from [Batch.Run]. Leaving the loop interrupts the run, and returns when it has ended.
func (b *Batch) Results(ctx context.Context) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		// The run goes on in a goroutine of its own and does not wait for the loop's body: a slow caller gets results later, and holds up no poll.
		ctx, stop := context.WithCancel(ctx)
		var q queue
		q.init()
		opts := b.Options()
		opts.OnEvent = func(e scheduler.Event) {
			if e.Render != nil && e.Render.State.Final() {
				q.put(b.result(*e.Render))
			}
		}
		var runErr error
		var wait sync.WaitGroup
		wait.Go(func() {
			defer q.end()
			// runErr is read only behind wait.Wait, so it needs no lock.
			_, runErr = b.Run(ctx, opts)
		})
		// Deferred calls go from the last to the first: stop the run, then wait until it has ended.
		defer wait.Wait()
		defer stop()
		for r, ok := q.take(); ok; r, ok = q.take() {
			if !yield(r, nil) {
				return
			}
		}
		wait.Wait()
		if runErr != nil {
			yield(Result{}, runErr)
		}
	}
}

// result joins an event with what the plan knows of its render.
func (b *Batch) result(e scheduler.RenderEvent) Result {
	return Result{Render: e.Index, ID: b.plan.RenderID(e.Index), Cells: b.plan.CoordinatesOf(e.Index), State: e.State, Files: e.Files, Event: e}
}

// queue hands results over without holding up the scheduler. It is bounded by the renders of the batch, as each of them ends once. One
// goroutine puts, one takes; init comes before both.
type queue struct {
	mu    sync.Mutex
	some  *sync.Cond
	list  []Result
	ended bool
}

func (q *queue) init() { q.some = sync.NewCond(&q.mu) }

func (q *queue) put(r Result) {
	q.mu.Lock()
	q.list = append(q.list, r)
	q.mu.Unlock()
	q.some.Signal()
}

func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.some.Broadcast()
}

// take waits for the next result; ok is false after the last.
func (q *queue) take() (r Result, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.list) == 0 && !q.ended {
		q.some.Wait()
	}
	// What was put before the end is still given.
	if len(q.list) == 0 {
		return r, false
	}
	r = q.list[0]
	q.list = q.list[1:]
	return r, true
}
