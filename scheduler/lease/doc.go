// Package lease lets many machines work on the same batches through one Postgres database.
//
// A batch is submitted once, with all files that it names ([Queue.Submit]), and cut into slices: ranges of its renders. A [Worker] on any
// machine takes a lease on a slice, compiles the batch from the stored files (the plan's hash must be the one that was submitted),
// and runs scheduler.Run on the slice. What became of it is read from any machine: [Queue.Status], [Queue.Store], [Queue.Watch].
//
//	queue, err := lease.Open(ctx, "postgres://comfyc@db/comfyc")
//	id, err := queue.Submit(ctx, lease.Batch{Name: plan.Name(), Plan: plan.Hash(), Renders: plan.Len(), Bundle: bundle})
//	…
//	err = (&lease.Worker{Queue: queue, Host: host, Slots: 2}).Run(ctx) // on each machine, until ctx ends
//
// # Who may write
//
// A slice has an owner, an epoch and a heartbeat, which is renewed every 5 s, and by each write. After 30 s of silence any worker takes
// the lease away: it raises the epoch, and the slice is handed out anew. The next owner goes on from the stored ids of remote jobs and
// submits none of them again. Every write of a run carries its epoch, in the same transaction, so that an owner that was only slow, or
// stopped and woken, writes nothing any more: it gets a scheduler.FencedError and stops. It also keeps an eye on itself: 20 s after the
// last heartbeat that was answered it submits, cancels and collects nothing (Options.Fence), by whichever of its clocks is ahead.
// Only the database's clock decides about leases, so the machines' clocks may differ by any amount.
//
// # Who gets what
//
// River hands out the leases: a job is the right to try for one epoch of one slice, so a job that comes twice, or late, does
// nothing. Places on endpoints, submits per time, max-parallel and the budget belong to all slices together. They are rows, and a
// slice takes its share by one conditional UPDATE, in bulk ([scheduler.Shares]); trouble with an endpoint that one slice meets
// pauses it for all. What a slice holds stays its own when its machine dies, as its jobs are still there: the next owner inherits it.
//
// A machine may also have runs of its own that are no slices, such as the single jobs of `comfyc serve`: [Queue.Places] gives it places on the
// endpoints for them, as if they were one more slice. When it dies its places are kept for a while longer than its slices, until others have found
// what it left on remotes.
//
// # Who sees it
//
// [Queue.Watch] tells on any machine what happens to a batch, under numbers that are the same everywhere; whoever watches over a batch adds events of
// his own with [Queue.Tell]. A batch that has ended is done once more with [Queue.Retry], or [Queue.Again] if the caller may ask twice.
//
// # Concurrency and limits
//
// All methods of Queue may be called from many goroutines. A Worker runs each slice in a goroutine of its own, at most Slots at a time, and
// needs about one connection for each, and three more. A bundle holds at most [MaxFiles] files of [MaxBundle] bytes in all.
package lease
