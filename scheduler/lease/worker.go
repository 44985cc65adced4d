package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Host is what a machine brings to a batch: its endpoints with their keys, and the place where files are made safe.
type Host interface {
	// Open makes a batch ready to be run here. It is called once for each batch at a time, by one goroutine, and serves all its slices
	// until Opened.Close. An error gives the slice back, for another machine or a later try.
	Open(ctx context.Context, b Batch) (*Opened, error)
}

// Opened is a batch that can be run here.
type Opened struct {
	Work      scheduler.Work // the whole plan
	Endpoints []scheduler.Endpoint
	Sink      scheduler.Sink                  // for the whole batch's indexes; used by several runs at once
	Options   scheduler.Options               // of the whole batch; what belongs to leases is filled in
	Parallel  func() int                      // shards in flight, of all slices together, as of now; asked at each trade, and must not wait. nil means Batch.MaxParallel
	Ended     func(ctx context.Context) error // called by the machine that ends the batch's last slice, e.g. to write the gallery; may be nil
	Close     func() error                    // may be nil
}

// Worker runs slices on this machine.
type Worker struct {
	Queue *Queue
	Host  Host
	Slots int          // slices at a time; 0 means 2
	Name  string       // of this machine, for status; "" makes one of host name, process and chance
	Log   *slog.Logger // nil logs nothing
	// Grace is for the submits under way when Run ends; 0 means 10 s.
	Grace time.Duration
	// Others tells whether other machines work too. Then one that has a slice of a batch leaves the batch's other slices to them for a moment, so
	// that all of them get some. It must not wait. nil means that it is first come, first served.
	Others func() bool
	// Speeds is what this machine's runs know of the endpoints: each slice begins with what those before it have learned, and adds to it. nil begins
	// with nothing.
	Speeds *scheduler.Speeds

	log  *slog.Logger
	mu   sync.Mutex
	open map[string]*opening // by batch
	jobs map[string]int      // by batch: leases that are had or tried for
}

// opening is a batch that some slices of this machine share. users is guarded by the worker's mu; the rest is written once, inside of once, and read
// behind it.
type opening struct {
	users int
	once  sync.Once
	got   *Opened
	batch Batch
	err   error
}

// maxTries is how often in a row a slice may fail to run, on any machine, before it ends with the reason.
const maxTries = 5

// leaseTime is how long a River job runs at most: then the slice is handed on. Jobs of machines that died are cleared away after it.
const leaseTime = 6 * time.Hour

// Run works until ctx ends. Then the slices are given back at once: nothing more is submitted, jobs stay on their remotes, and another
// machine goes on with them. It may be called once.
func (w *Worker) Run(ctx context.Context) error {
	w.fill()
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{w: w})
	client, err := river.NewClient(riverpgxv5.New(w.Queue.db.Pool), &river.Config{Schema: store.Schema, Logger: slog.New(slog.DiscardHandler), ID: w.Name,
		Queues: map[string]river.QueueConfig{queueName: {MaxWorkers: w.Slots}}, Workers: workers,
		JobTimeout: -1, CompletedJobRetentionPeriod: time.Hour, RescueStuckJobsAfter: leaseTime + time.Hour, FetchCooldown: 20 * time.Millisecond, FetchPollInterval: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	// Jobs end by our own word, so that they have time to give their slices back.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("%s: %w", w.Queue.db.Where(), err)
	}
	w.log.Info("working", "name", w.Name, "slots", w.Slots, "database", w.Queue.db.Where())
	w.sweep(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Grace+20*time.Second)
	defer cancel()
	return client.StopAndCancel(stop)
}

func (w *Worker) fill() {
	if w.log = w.Log; w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.Slots <= 0 {
		w.Slots = 2
	}
	if w.Grace <= 0 {
		w.Grace = 10 * time.Second
	}
	if w.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "machine"
		}
		w.Name = fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), rand.Text()[:6])
	}
	if w.Speeds == nil {
		w.Speeds = &scheduler.Speeds{}
	}
	w.open, w.jobs = map[string]*opening{}, map[string]int{}
}

// sweep takes over from silent machines until ctx ends.
func (w *Worker) sweep(ctx context.Context) {
	t := time.NewTicker(Beat)
	defer t.Stop()
	for {
		n, err := w.Queue.sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.Warn("look for silent machines", "error", err)
		case n > 0:
			w.log.Warn("took slices from silent machines", "slices", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// riverWorker runs one River job: one lease.
type riverWorker struct {
	river.WorkerDefaults[args]
	w *Worker
}

// Timeout implements river.Worker.
func (r *riverWorker) Timeout(*river.Job[args]) time.Duration { return leaseTime }

// Work implements river.Worker. A slice that could not be run was given back with a job of its own, so that this one is done in any case.
func (r *riverWorker) Work(ctx context.Context, job *river.Job[args]) error {
	w := r.w
	free, done := w.begin(job.Args.Batch)
	defer done()
	if !free && job.Args.Passed < maxPassed && w.Others != nil && w.Others() && ctx.Err() == nil {
		return w.Queue.pass(ctx, job.Args)
	}
	h, err := w.Queue.claim(ctx, job.Args, w.Name)
	if err != nil || h == nil {
		return err
	}
	w.log.Info("took a slice", "slice", h.String())
	if err := w.run(ctx, h); err != nil {
		w.log.Warn("a slice was not finished", "slice", h.String(), "error", err)
	}
	return nil
}

// run runs a slice until nothing is left to do, the lease is lost, or ctx ends.
func (w *Worker) run(ctx context.Context, h *hold) error {
	// live is for heartbeat and events, which go on while the run gives its slice back; running is for the run, and ends with ctx, when the lease is
	// lost, or when the slice makes room.
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	control := &scheduler.Control{}
	running, interrupt := context.WithCancel(ctx)
	h.yield = interrupt
	var background sync.WaitGroup
	ordered := func(o orders) {
		if o.asked != "" {
			control.Cancel()
		}
	}
	background.Go(func() { h.keep(live, ordered, interrupt) })
	background.Go(func() { h.report(live) })
	end := func() { stop(); interrupt(); background.Wait() }
	defer end()

	op, err := w.opened(ctx, h.Batch)
	defer w.closed(h.Batch)
	if err != nil {
		end()
		return w.giveUp(ctx, h, fmt.Errorf("open the batch: %w", err))
	}
	o, gone, err := h.begin(running)
	if gone {
		return errors.New("it was taken over before it began")
	}
	if err != nil {
		end()
		return w.giveUp(ctx, h, err)
	}
	ordered(o)
	if o.againFailed || o.againHeld { // what is done once more is noted in the first commit
		background.Go(func() { h.forgetAgain(live) })
	}
	sum, err := scheduler.Run(running, sliceWork{op.got.Work, h.First, h.Past}, op.got.Endpoints, h.db().Slice(h.Lease), sliceSink{op.got.Sink, h.First},
		w.options(op, h, control, o))
	end()
	return w.finish(ctx, h, op, sum, err)
}

// options are the batch's, with what a lease adds.
func (w *Worker) options(op *opening, h *hold, control *scheduler.Control, o orders) scheduler.Options {
	opts := op.got.Options
	opts.Control, opts.Fence, opts.LeaveOnInterrupt, opts.Grace = control, h.fence, true, w.Grace
	opts.RetryFailed, opts.ResubmitUncertain = opts.RetryFailed || o.againFailed, opts.ResubmitUncertain || o.againHeld
	// The batch's budget, not a part of it: how much of it this slice may use is for Shares to say.
	opts.Budget = op.batch.Budget
	opts.Seed += uint64(h.Slice) // so that slices do not retry in step
	if opts.Speeds == nil {
		opts.Speeds = w.Speeds
	}
	// Previews cost nothing and run on this machine: there is nothing to share.
	if !op.batch.Preview {
		opts.Shares = &trader{h: h, batchPlaces: op.batch.MaxParallel, parallel: op.got.Parallel, budget: op.batch.Budget}
	}
	if keep := opts.Keep; keep != nil {
		opts.Keep = func(r scheduler.Record) bool {
			r.Render += h.First
			return keep(r)
		}
	}
	if opts.Reuse != nil {
		opts.Reuse = sliceReuser{opts.Reuse, h.First}
	}
	listen := opts.OnEvent
	opts.OnEvent = func(e scheduler.Event) {
		e = outsideEvent(e, h.First)
		h.events.add(e)
		if listen != nil {
			listen(e)
		}
	}
	return opts
}

// finish does with a slice what its run came to.
func (w *Worker) finish(ctx context.Context, h *hold, op *opening, sum scheduler.Summary, err error) error {
	var fenced *scheduler.FencedError
	var unusable *scheduler.UnusableError
	// ctx may have ended; the slice is given back all the same. If the database does not answer for so long, others take it after Silence.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	switch {
	// Nothing is written: all that there is belongs to the next owner.
	case h.lost.Load(), errors.As(err, &fenced):
		return errors.New("it was taken over")
	case (ctx.Err() != nil || h.yielded.Load()) && sum.Stopped == scheduler.StopInterrupted:
		return h.release(late, false, 0, "")
	case errors.As(err, &unusable), err != nil, sum.Stopped == scheduler.StopInterrupted:
		return w.giveUp(late, h, err)
	}
	last, err := h.end(late, string(sum.Stopped), "", h.events.last())
	w.log.Info("ended a slice", "slice", h.String(), "stopped", sum.Stopped, "done", sum.Counts[scheduler.Done], "of", sum.Renders)
	if err == nil && last && op.got.Ended != nil {
		err = op.got.Ended(context.WithoutCancel(ctx))
	}
	return err
}

// giveUp gives a slice back that cannot be run here, or ends it if nobody could for several times.
func (w *Worker) giveUp(ctx context.Context, h *hold, cause error) error {
	reason := "it was interrupted"
	if cause != nil {
		reason = strings.ToValidUTF8(strings.ReplaceAll(cause.Error(), "\x00", ""), "\uFFFD") // what Postgres stores as text
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	var tries int
	if err := h.db().Pool.QueryRow(ctx, "SELECT tries FROM slices WHERE batch = $1 AND slice = $2", h.Batch, h.Slice).Scan(&tries); err != nil {
		return errors.Join(cause, err)
	}
	// The pause doubles from 5 s: 5, 10, 20, 40. A release without failure sets tries back to 0.
	if tries+1 < maxTries {
		return errors.Join(cause, h.release(ctx, true, time.Duration(1<<tries)*5*time.Second, reason))
	}
	_, err := h.end(ctx, string(scheduler.StopUnusable), reason, h.events.last())
	return errors.Join(cause, err)
}

// opened gives the batch of a slice, opened once for all slices here. closed must be called, also after an error.
func (w *Worker) opened(ctx context.Context, id string) (*opening, error) {
	w.mu.Lock()
	op := w.open[id]
	if op == nil {
		op = &opening{}
		w.open[id] = op
	}
	op.users++
	w.mu.Unlock()
	// Outside of the lock, as it compiles the batch; other slices of the batch wait here for the first one. An error holds for all that wait, and is
	// forgotten with the last of them.
	op.once.Do(func() { op.batch, op.got, op.err = w.openBatch(ctx, id) })
	return op, op.err
}

func (w *Worker) openBatch(ctx context.Context, id string) (b Batch, got *Opened, err error) {
	if b, err = w.Queue.batch(ctx, id); err != nil {
		return b, nil, err
	}
	if got, err = w.Host.Open(ctx, b); err != nil {
		return b, nil, err
	}
	// Slices are ranges of indexes: under another plan they would be other renders.
	if hash := got.Work.Hash(); hash != b.Plan || got.Work.Len() != b.Renders {
		_ = got.close()
		return b, nil, fmt.Errorf("here the batch compiles to another plan (%.12s) than where it was submitted (%.12s): this machine runs another version of comfyc, or has other nodes", hash, b.Plan)
	}
	return b, got, nil
}

func (w *Worker) closed(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	op := w.open[id]
	if op.users--; op.users > 0 {
		return
	}
	delete(w.open, id)
	if err := op.got.close(); err != nil {
		w.log.Warn("close the batch", "batch", id, "error", err)
	}
}

func (o *Opened) close() error {
	if o == nil || o.Close == nil {
		return nil
	}
	return o.Close()
}

// batch reads a batch as it was submitted.
func (q *Queue) batch(ctx context.Context, id string) (Batch, error) {
	b := Batch{ID: id}
	s, err := q.settings(ctx, id)
	if err != nil {
		return b, err
	}
	// The key and the first events were of use at the submit only, and stay out.
	b.MaxParallel, b.Preview, b.Endpoints, b.MaxUSD, b.Dir, b.Settings = s.MaxParallel, s.Preview, s.Endpoints, s.MaxUSD, s.Dir, s.More
	if err := q.db.Pool.QueryRow(ctx, "SELECT owner, name, plan, renders, budget FROM batches WHERE id = $1", id).Scan(&b.Owner, &b.Name, &b.Plan, &b.Renders, &b.Budget); err != nil {
		return b, err
	}
	b.Bundle, err = q.Bundle(ctx, id)
	return b, err
}

// Get gives a batch as it was submitted, with its files.
func (q *Queue) Get(ctx context.Context, id string) (Batch, error) { return q.batch(ctx, id) }

// forgetAgain notes that what was to be done once more is under way, some time after the first commit has dropped the records.
func (h *hold) forgetAgain(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(2 * Beat):
	}
	_, _ = h.db().Pool.Exec(ctx, `UPDATE slices SET again_failed = FALSE, again_held = FALSE WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held'`, h.Batch, h.Slice, h.Epoch) // when the slice ends it is noted too
}

// handOut inserts the job for one epoch of a slice, to be taken after a while, by the database's clock.
func (q *Queue) handOut(ctx context.Context, tx pgx.Tx, a args, wait time.Duration) error {
	job, err := q.insert.InsertTx(ctx, tx, a, nil)
	if err == nil && wait > 0 {
		_, err = tx.Exec(ctx, "UPDATE river_job SET scheduled_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1", job.Job.ID, wait.Seconds())
	}
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
