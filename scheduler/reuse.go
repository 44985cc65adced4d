package scheduler

import (
	"context"
	"time"
)

// Reusing: a render that was finished for another batch is taken over instead of being rendered again. It goes from Waiting to Done without an
// attempt. This costs no money, so it goes on beside the submits, before a budget or a deadline is asked, and also when no endpoint works.

// Reuser knows finished renders of other batches. A cache is one.
type Reuser interface {
	// Known gives those of some renders, by index, that can probably be taken over. It is called once, before anything is submitted, from
	// Run's goroutine; what cannot be found out is left out.
	Known(ctx context.Context, renders []int) []int
	// Reuse makes the files of one such render safe where the Sink would. It is called from several goroutines, and may be called again after
	// a crash. ok is false if it cannot be taken over after all: then it is rendered. The error is for trouble that concerns the whole sink,
	// such as a full disk: it is tried again.
	Reuse(ctx context.Context, render int) (r Reused, ok bool, err error)
}

// Reused is a render that was taken over: its files, and where they had been made.
type Reused struct {
	Files                 []FileRecord
	Endpoint, GPU, Worker string
}

// maxReusing bounds the renders that are taken over at once: most of the work is this machine's own.
const maxReusing = 8

// reusing is what can be taken over in a run.
type reusing struct {
	queue   []int        // to be tried, rising
	pending map[int]bool // in queue or under way
	under   int          // calls under way
	until   time.Time    // after trouble with the disk: not before
	done    int
}

// askReuser lists the renders of a plan of n that can probably be taken over: all but those that earlier runs have done.
func (in *opened) askReuser(ctx context.Context, r Reuser, n int) {
	if r == nil {
		return
	}
	done := map[int]bool{}
	for _, rec := range in.records {
		done[rec.ref.Index] = rec.state == Done && !rec.again
	}
	var open []int
	for i := range n {
		if !done[i] {
			open = append(open, i)
		}
	}
	if len(open) > 0 {
		in.reusable = r.Known(ctx, open)
	}
}

// openReuse queues the renders that wait and are known. What has a job on a remote is paid for already, and goes on.
func (c *core) openReuse(known []int) {
	c.reuse.pending = make(map[int]bool, len(known))
	for _, i := range known {
		if c.renders[i] == Waiting && !c.reuse.pending[i] {
			c.reuse.queue = append(c.reuse.queue, i)
			c.reuse.pending[i] = true
		}
	}
}

// mayReuse tells whether renders are still taken over: reasons to stop that are about money or endpoints do not matter.
func (c *core) mayReuse() bool {
	return c.stop == "" || c.stop == StopBudget || c.stop == StopDeadline || c.stop == StopUnusable
}

// reusesMore tells whether something is left to be taken over.
func (c *core) reusesMore() bool { return len(c.reuse.pending) > 0 && c.mayReuse() }

// takeOver starts taking renders over.
func (c *core) takeOver() {
	r := &c.reuse
	for c.mayReuse() && !c.paused && r.under < maxReusing && len(r.queue) > 0 && !r.until.After(c.now) {
		i := r.queue[0]
		r.queue = r.queue[1:]
		if c.renders[i] != Waiting { // cancelled meanwhile
			delete(r.pending, i)
			continue
		}
		r.under++
		c.ask(call{kind: callReuse, renders: []int{i}})
	}
}

// tookOver is the answer to callReuse.
type tookOver struct {
	render int
	got    Reused
	ok     bool
	err    error
}

func (in tookOver) apply(c *core) {
	r := &c.reuse
	c.calls--
	r.under--
	switch {
	case in.err != nil && c.mayReuse():
		r.queue = append(r.queue, in.render)
		r.until = c.now.Add(c.sinkTrouble(in.err))
		return
	case in.err != nil || c.renders[in.render] != Waiting:
		delete(r.pending, in.render)
		return
	}
	delete(r.pending, in.render)
	c.sinkWorks()
	if !in.ok {
		s := c.newShard(in.render)
		s.history, s.priority = c.history[in.render], c.priority[in.render]
		delete(c.history, in.render)
		c.again(s, 0)
		return
	}
	c.reusedRender(in.render, in.got)
}

// reusedRender ends a render that was taken over. What earlier attempts of this batch cost stays with it.
func (c *core) reusedRender(i int, got Reused) {
	h := c.history[i]
	delete(c.history, i)
	delete(c.trouble, i)
	c.ended++
	c.reuse.done++
	c.setRender(i, Done, &Record{Files: got.Files, Endpoint: got.Endpoint, GPU: got.GPU, Worker: got.Worker, Attempts: h.attempts,
		Finished: c.now, CostUSD: h.costUSD()})
}

// wakeToReuse is when the disk is tried again.
func (c *core) wakeToReuse(w *earliest) {
	if c.reusesMore() && len(c.reuse.queue) > 0 && c.reuse.until.After(c.now) {
		w.at(c.reuse.until)
	}
}

// takeOver makes the call.
func (l *loop) takeOver(k call) any {
	ctx, cancel := context.WithTimeout(l.calls, collectTime)
	defer cancel()
	got, ok, err := l.opts.Reuse.Reuse(ctx, k.renders[0])
	if err != nil && ctx.Err() != nil && l.calls.Err() == nil { // this one was slow; the sink is well
		ok, err = false, nil
	}
	return tookOver{k.renders[0], got, ok, err}
}
