package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// Where replicas share a ledger, batches are theirs together: see the package's documentation. The steward of a batch is the replica that holds its
// row: it hands the batch out when its turn has come, keeps its gallery, and writes down how it ended. The renders are done by every replica's
// worker, for which host opens the batch.

// leased tells whether a work is run by all replicas together.
// Jobs are not: one render cannot be cut.
func (q *Queue) leased(w ledger.Work) bool { return q.Leases != nil && w.Kind == ledger.Batch }

// steward sees a batch through: from its turn to its end, or until this replica stops or is taken for dead. Then another one goes on from
// whatever has been reached.
// An empty ending means "let go": another replica, or the next start, goes on from the database.
func (q *Queue) steward(lv *live, r *Request, sealed []byte) ending {
	bundle := bundleOf(r)
	b, end, ok := q.openLeased(lv, r, sealed)
	if !ok {
		return q.abandon(lv, end)
	}
	defer b.Close()
	if end, ok := q.handOut(lv, b, r, bundle); !ok {
		return q.interrupted(lv, end)
	}
	if !q.attend(lv, b) {
		return ending{}
	}
	return q.leasedEnding(lv, b)
}

// openLeased makes the plan, and opens the run directory to read it.
// The steward reads the state and writes the gallery; it submits nothing, though the batch is opened with keys as for a run.
func (q *Queue) openLeased(lv *live, r *Request, sealed []byte) (*run.Batch, ending, bool) {
	failed := func(err string) (*run.Batch, ending, bool) { return nil, ending{state: ledger.Failed, err: err}, false }
	secrets, err := q.openSecrets(lv.id, sealed)
	if err != nil {
		return failed(err.Error())
	}
	if secrets.Body != nil {
		r.Body = secrets.Body
	}
	files := q.tree(lv.id, r)
	plan, findings := q.compile(lv.ctx, r, files)
	if plan == nil {
		return failed(firstError(findings))
	}
	b, err := run.Open(plan, run.Options{Dir: q.OutDir(lv.id), FS: files, Dialect: q.deps(files), Now: q.Now, Shared: true, Depot: q.depot(lv.id, outFolder), Store: q.Leases.Store(lv.id)})
	if err != nil {
		return failed(err.Error())
	}
	return b, ending{}, true
}

// abandon ends a batch that this replica cannot open. If slices of it are out already they are cancelled: nobody would watch over them.
// It returns without a state if the service stops: then the next start tries again.
func (q *Queue) abandon(lv *live, end ending) ending {
	if end = q.interrupted(lv, end); end.state != "" {
		if err := q.Leases.Cancel(context.Background(), lv.id); err != nil && !errors.Is(err, lease.ErrNoBatch) {
			q.Log.Error("a batch cannot be cancelled", "work", lv.id, "error", err)
		}
	}
	return end
}

// bundleOf gives a request's files as the database keeps them for all replicas. A sealed body is not among them.
// The batch's own text gets a name that no file has; "the-" is put before it as often as needed.
func bundleOf(r *Request) lease.Bundle {
	b := lease.Bundle{File: r.Name, Files: map[string][]byte{}}
	for _, f := range r.Files {
		b.Files[f.Path] = f.Data
	}
	for b.Files[b.File] != nil { // a client's file may have any name
		b.File = "the-" + b.File
	}
	b.Files[b.File] = r.Body
	return b
}

// handOut puts the batch into the queue of slices, if that was not done in this turn before. ok is false if there is no money for it, or it
// was cancelled before.
// Turn is compared, so that a steward that takes over after a crash neither submits nor pays anew. For a retry the slices of
// the last turn are opened again.
func (q *Queue) handOut(lv *live, b *run.Batch, r *Request, bundle lease.Bundle) (end ending, ok bool) {
	ctx, work := context.Background(), lv.row()
	turn, err := q.Leases.Turn(ctx, lv.id)
	fresh := errors.Is(err, lease.ErrNoBatch) // never handed out before
	if err == nil && turn >= work.Turns {
		return ending{}, true
	}
	if err != nil && !fresh {
		return ending{state: ledger.Failed, err: err.Error()}, false
	}
	if lv.ctx.Err() != nil {
		return ending{state: ledger.Cancelled}, false
	}
	opts := b.Options()
	if end, ok := q.allow(lv, b.Plan(), &opts); !ok {
		return end, false
	}
	told := []lease.Told{{Kind: "state", Data: tellText(stateEvent{State: ledger.Running})}} // the first event of the turn, in the same commit
	if !fresh {
		err = q.Leases.Again(ctx, lv.id, lease.Again{Turn: work.Turns, Failed: true, Uncertain: work.Wish == ledger.WishResubmit, Budget: opts.Budget, Told: told})
	} else if err = q.fill(lv.id, r, &bundle); err == nil {
		plan := b.Plan()
		// The same id for all: a second Submit changes nothing.
		_, err = q.Leases.Submit(ctx, lease.Batch{ID: lv.id, Owner: work.Owner, Idempotency: lv.id, Name: plan.Name(), Plan: plan.Hash(), Renders: plan.Len(), Budget: opts.Budget,
			MaxParallel: opts.MaxParallel, Slices: q.slices(plan.Len()), Preview: b.Previewing(), Bundle: bundle, Endpoints: r.Endpoints, MaxUSD: r.MaxUSD, Dir: outFolder, Turn: work.Turns, Told: told})
	}
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}, false
	}
	return ending{}, true
}

// fill loads the files of a bundle that lie in the work's folder.
// Small files are in the request already; it stops at the first that cannot be read.
func (q *Queue) fill(id string, r *Request, b *lease.Bundle) (err error) {
	files := q.tree(id, r)
	for _, f := range r.Files {
		if f.At != "" && err == nil {
			b.Files[f.Path], err = files.read(f.Path)
		}
	}
	return err
}

// A batch is cut so that every replica gets some of it, also one that comes later; into slices of leastSlice renders at least.
// Two slices for each replica, so that one that is done early can take another's second.
const (
	leastSlice = 16
	mostSlices = 16 // as many as are worth their rows and leases
)

// slices is decided once, by the replicas that are known when the batch is handed out.
func (q *Queue) slices(renders int) int {
	n := 2 * (1 + q.own.Others())
	return max(1, min(n, mostSlices, (renders+leastSlice-1)/leastSlice))
}

// tellText writes the data of an event.
func tellText(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic("an event cannot be written: " + err.Error()) // plain structs
	}
	return text
}

// attend follows a batch until all its slices have ended; it passes a cancel on and keeps the gallery. It is false if this replica has to let go
// of the batch.
// It watches events from the database, a goroutine of its own cancels. true means that all slices have ended, or that the batch
// is not there.
func (q *Queue) attend(lv *live, b *run.Batch) bool {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	unhook := context.AfterFunc(lv.ctx, func() {
		if !errors.Is(context.Cause(lv.ctx), errCancelled) { // anything but a cancel means that somebody else attends from now on
			stop()
		} else if err := q.Leases.Cancel(ctx, lv.id); err != nil {
			q.Log.Error("a batch cannot be cancelled", "work", lv.id, "error", err)
		}
	})
	defer unhook()
	page, err := pageOptions(b.Plan())
	if err != nil {
		page.Theme = nil
	}
	defer q.showing(lv, b, page)() // the writing of the page ends with this function
	last, err := q.Leases.Last(ctx, lv.id)
	for ctx.Err() == nil {
		for e, werr := range q.Leases.Watch(ctx, lv.id, last.Seq) {
			if err = werr; err != nil {
				break
			}
			last.Seq = e.Seq
			q.attended(lv, &e.Event)
		}
		if errors.Is(err, lease.ErrNoBatch) { // deleted meanwhile
			return true
		}
		if err == nil {
			if s, serr := q.Leases.Status(ctx, lv.id); serr == nil && !s.Ended.IsZero() {
				return true
			}
		}
		q.pause(ctx, otherReplica) // the database is away, or slow
	}
	return false
}

// pause waits, at most until ctx ends.
// It takes part in no lock, and returns early without an error.
func (q *Queue) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// attended notes what a batch's steward needs to know.
// All else is told to clients by the replicas that they listen to.
func (q *Queue) attended(lv *live, e *scheduler.Event) {
	lv.mu.Lock()
	defer lv.mu.Unlock()
	switch {
	case e.Render != nil && e.Render.State.Final():
		lv.dirty = true
	case e.Totals != nil:
		lv.totals = *e.Totals
	}
}

// leasedEnding says how a batch ended of which all slices have.
// The page is written first, so that a row that says "done" never stands before a page that does not.
func (q *Queue) leasedEnding(lv *live, b *run.Batch) ending {
	ctx := context.Background()
	if !q.holds(lv) {
		return ending{}
	}
	page, err := pageOptions(b.Plan())
	if err == nil {
		err = b.WriteGallery(ctx, page)
	}
	status, serr := q.Leases.Status(ctx, lv.id)
	if serr != nil {
		return ending{state: ledger.Failed, err: serr.Error()}
	}
	s, serr := q.summary(ctx, &status)
	if err = errors.Join(err, serr); err == nil {
		err = unrun(&status)
	}
	end := batchEnding(b.Plan(), s, err)
	if status.Asked == "cancel" && end.state != ledger.Done {
		end.state, end.err = ledger.Cancelled, ""
	}
	return q.interrupted(lv, end)
}

// unrun says why a slice could not be run by any replica.
// The first one's reason stands for all: no machine could compile the batch, or none has a usable endpoint.
func unrun(s *lease.Status) error {
	for _, slice := range s.Slices {
		if slice.Stopped == scheduler.StopUnusable && slice.Reason != "" {
			return errors.New(slice.Reason)
		}
	}
	return nil
}

// summary sums the slices of a batch up as if one run had done it.
// It reads all records once, at the end; memory holds the troubles only.
func (q *Queue) summary(ctx context.Context, status *lease.Status) (s scheduler.Summary, err error) {
	t := status.Totals
	// From the database's clock.
	s = scheduler.Summary{Renders: status.Renders, SpentUSD: t.SpentUSD, StakeUSD: t.StakeUSD, Elapsed: max(0, status.Ended.Sub(status.Started))}
	s.Counts[scheduler.Waiting], s.Counts[scheduler.Active], s.Counts[scheduler.Done] = t.Waiting, t.Active, t.Done
	s.Counts[scheduler.RenderFailed], s.Counts[scheduler.RenderCancelled], s.Counts[scheduler.Held] = t.Failed, t.Cancelled, t.Held
	for _, slice := range status.Slices {
		if slice.Stopped != "" && s.Stopped == "" {
			s.Stopped = slice.Stopped
		}
	}
	for rec, rerr := range q.Leases.Store(status.ID).Records(ctx) {
		if rerr != nil {
			return s, fmt.Errorf("read the batch's state: %w", rerr)
		}
		if rec.Render < 0 { // of a former form of the batch
			continue
		}
		s.Attempts += rec.Attempts
		s.Unpriced = s.Unpriced || rec.CostUSD == nil && rec.Seconds > 0
		trouble := scheduler.Trouble{Render: rec.Render, Kind: rec.Kind, Reason: rec.Reason, Endpoint: rec.Endpoint, Remote: rec.Remote}
		switch rec.State {
		case scheduler.RenderFailed:
			s.Failures = append(s.Failures, trouble)
		case scheduler.Held:
			s.Held = append(s.Held, trouble)
		}
	}
	return s, nil
}

// holds tells whether this replica still holds a work. It is asked before something is written that the ledger does not guard.
// One read of the database; false in doubt. Without Postgres nobody else can hold it.
func (q *Queue) holds(lv *live) bool {
	if !q.Ledger.Shared() {
		return true
	}
	row, err := q.Ledger.Work(context.Background(), lv.id)
	return q.fence() == nil && err == nil && row.Epoch == lv.row().Epoch
}

// tellLeased tells all replicas how a batch ended, before its row says so. It is false if this replica may say nothing of it any more.
// It comes before the row's end, because followers leave once the row is final.
func (q *Queue) tellLeased(lv *live, w *ledger.Work, state stateEvent) bool {
	ctx := context.Background()
	if !q.holds(lv) {
		return false
	}
	if _, err := q.Leases.Turn(ctx, w.ID); errors.Is(err, lease.ErrNoBatch) {
		return true // it never came to slices
	}
	if err := q.Leases.Tell(ctx, w.ID, lease.Told{Kind: "state", Data: tellText(state)}); err != nil {
		q.Log.Error("the end of a batch cannot be told", "work", w.ID, "error", err)
		return false // another steward will
	}
	return true
}
