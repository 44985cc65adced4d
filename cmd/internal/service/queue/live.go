package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// live is a work that runs here.
// It is made when the turn comes and dropped when the turn ends; a work that is retried gets a new one.
type live struct {
	id, owner, lane string                  // "" lane: a batch
	ctx             context.Context         // of the run; its cause says why it ended
	stop            context.CancelCauseFunc // with errCancelled, errShutdown, errTaken or errExpired
	hub             *Hub                    // nil for batches on Postgres, whose events are in the database
	done            chan struct{}           // closed when the row says how it ended
	taken           atomic.Bool             // the row is ours
	saved           atomic.Bool             // and says how it ended
	lost            atomic.Bool             // its row may have been left open, with nobody to go on with it

	// The queue's lock guards these.
	ends      []string            // the endpoints it has places on; of a batch, known once it is compiled
	load      float64             // places in all, of a job
	appetites map[string]appetite // of a batch, by endpoint

	mu     sync.Mutex       // of the fields below
	work   ledger.Work      // as of the last write
	totals scheduler.Totals // as the scheduler told last
	dirty  bool             // there is something new for the gallery
}

// row gives the work as it stands.
// Spent is as of now, and so above what the row has.
func (lv *live) row() ledger.Work {
	lv.mu.Lock()
	defer lv.mu.Unlock()
	w := lv.work
	w.Spent = max(w.Spent, lv.totals.SpentUSD)
	return w
}

// begin makes a ticket a running work, and books a job's place. The lock is held.
// A job books its place before its row is taken, so that two jobs never start on one place. A batch books when its size is
// known.
func (q *Queue) begin(t *ticket) *live {
	lv := &live{id: t.id, owner: t.owner, lane: t.lane, done: make(chan struct{})}
	lv.ctx, lv.stop = context.WithCancelCause(context.Background())
	delete(q.waiting, t.id)
	close(t.begun)
	q.live[t.id] = lv
	if p := q.pools[t.lane]; p != nil && t.lane != "" {
		lv.ends, lv.load = p.Endpoints, 1
		q.occupy(lv.ends, 1)
	}
	return lv
}

// turn runs a work from its turn to its end.
// One goroutine for each running work. The deferred calls run in reverse: events are stored, then the context ends, then the
// places are given back.
func (q *Queue) turn(lv *live) {
	defer q.ended(lv)
	defer lv.stop(nil)
	ctx := context.Background()
	// From here on the row is ours: other replicas leave it alone as long as this one beats, and the epoch guards every write.
	w, ok, err := q.Ledger.Take(ctx, lv.id, q.Replica, q.Now(), Silence, q.Ring.Owner(lv.owner).Concurrent)
	if err != nil {
		q.Log.Error("a work cannot be taken", "work", lv.id, "error", err)
		lv.lost.Store(true)
		return
	}
	if !ok { // it was cancelled, or another replica has it, or more of its owner's run than was known here
		if row, err := q.Ledger.Work(ctx, lv.id); err != nil && !errors.Is(err, ledger.ErrNone) || err == nil && !row.State.Final() {
			lv.lost.Store(true)
		}
		return
	}
	// A cancel that came while nobody ran the work is done first thing.
	if w.Wish == ledger.WishCancel { // of a holder that died
		lv.stop(errCancelled)
	}
	// Events of batches on Postgres are written with the slices' rows; all others through a hub of this process.
	if !q.leased(w) {
		last, err := q.Ledger.LastEvent(ctx, lv.id)
		if err != nil {
			q.Log.Error("a work's events cannot be read", "work", lv.id, "error", err)
			lv.lost.Store(true)
			return
		}
		lv.hub = newHub(last)
		storing, stored := context.WithCancel(ctx)
		var stores sync.WaitGroup
		stores.Go(func() { lv.hub.store(storing, q.Ledger, w) })
		defer stores.Wait() // after `stored`: it returns when the last event is durable
		defer stored()
		lv.hub.add(q.Now(), "state", stateEvent{State: ledger.Running})
	}
	lv.work = w
	lv.taken.Store(true)
	q.count(w, ledger.Waiting, 0)
	q.Log.Info("work begins", "work", lv.id, "kind", w.Kind, "owner", w.Owner, "pool", w.Pool)
	end := q.guarded(lv)
	q.finish(lv, end)
	if q.Watch != nil {
		q.Watch.Ends(lv.row(), q.Now())
	}
}

// stateEvent is the data of an event of the kind state.
// Followers, the page and the native face read it; the final one holds the whole result.
type stateEvent struct {
	State  ledger.State    `json:"state"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// ending is how a run ended.
type ending struct {
	state  ledger.State // "" means that it goes on later
	err    string
	result any     // JSON: *JobResult or Result, nil for none
	spent  float64 // USD of this turn's run
}

// guarded runs a work; a panic, which is a bug, fails it alone.
// The process goes on: other works share it. The client sees no details of a bug.
func (q *Queue) guarded(lv *live) (end ending) {
	defer func() {
		if p := recover(); p != nil {
			q.Log.Error("a bug", "work", lv.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			end = ending{state: ledger.Failed, err: "internal error; the server's log has it under this work's id"}
		}
	}()
	// What was stored at the submit is all that a run knows; nothing is kept in memory between submit and turn.
	data, sealed, err := q.Ledger.Request(lv.ctx, lv.id)
	if err == nil {
		var r *Request
		if r, err = decodeRequest(data); err == nil {
			err = q.bringRequest(lv.ctx, lv.id, r)
		}
		if err == nil {
			if q.Watch != nil {
				q.Watch.Begins(lv.row(), r.Trace)
			}
			switch {
			case r.Job != nil:
				return q.runJob(lv, r, sealed)
			case q.Leases != nil:
				return q.steward(lv, r, sealed)
			}
			return q.runBatch(lv, r, sealed)
		}
	}
	return q.interrupted(lv, ending{state: ledger.Failed, err: err.Error()})
}

// finish writes how a work ended, tells it, and owes its webhook.
// The order matters: row first, then event, then webhook, so that a client that is told always finds the row final. Without a
// state nothing is written: another turn goes on.
func (q *Queue) finish(lv *live, end ending) {
	if end.state == "" { // the service stops: the next start goes on
		return
	}
	ctx := context.Background()
	bytes := q.size(ctx, lv.id) // once, at the end; it may read thousands of entries
	lv.mu.Lock()
	before := lv.work.State
	w := lv.work
	w.State, w.Error, w.Finished, w.Spent = end.state, end.err, q.Now(), max(w.Spent, end.spent)
	w.Bytes = bytes
	w.Expires = q.expiry(w)
	if end.result != nil {
		text, err := json.Marshal(end.result)
		if err != nil {
			panic("a result cannot be written: " + err.Error())
		}
		w.Result = string(text)
	}
	lv.mu.Unlock()
	// Batches on Postgres tell their end through the database before the row is final, as their followers stop at a final row.
	state := stateEvent{State: w.State, Error: w.Error, Result: json.RawMessage(orNull(w.Result))}
	if q.leased(w) && !q.tellLeased(lv, &w, state) {
		return
	}
	lv.saved.Store(true)
	if err := q.Ledger.SaveWork(ctx, w); err != nil {
		q.Log.Error("how a work ended cannot be written", "work", w.ID, "error", err) // the row stays "running": it is taken up again
		lv.lost.Store(true)
		return
	}
	lv.mu.Lock()
	lv.work = w
	lv.mu.Unlock()
	q.count(w, before, 0)
	if lv.hub != nil {
		lv.hub.add(q.Now(), "state", state)
	}
	q.Log.Info("work ended", "work", w.ID, "kind", w.Kind, "owner", w.Owner, "state", w.State, "seconds", w.Finished.Sub(w.Created).Seconds(), "error", w.Error)
	q.told(w)
}

// orNull gives JSON for an empty text.
func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// ended takes a work off the running ones.
// Places are free again before the work counts as done, so that whoever waits for it can submit the next one.
func (q *Queue) ended(lv *live) {
	q.mu.Lock()
	delete(q.live, lv.id)
	q.vacate(lv)
	q.mu.Unlock()
	if lv.lost.Load() { // only now, when it counts as running no more
		q.amiss.Store(true)
	}
	close(lv.done)
	q.poke()
}

// expiry is when a work that ends now is swept.
// The key's own retention goes before the service's.
func (q *Queue) expiry(w ledger.Work) time.Time {
	keep := q.KeepJob
	if w.Kind == ledger.Batch {
		keep = q.KeepBatch
	}
	return q.Now().Add(orTime(q.Ring.Owner(w.Owner).Retention, keep))
}

// sizeOf sums the files of a folder up.
// Files that vanish meanwhile, and folders that cannot be read, count as nothing.
func sizeOf(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a folder that is not there has no size
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

// event passes what the scheduler tells on to the listeners. It does not block.
// It is called in the scheduler's loop. What clients may miss is passed on, what they must find again is stored.
func (q *Queue) event(lv *live, e scheduler.Event) {
	switch {
	case e.Render != nil && e.Render.State.Final(): // renders that only changed places are not told
		lv.hub.add(e.Time, "render", e.Render)
		lv.mu.Lock()
		lv.dirty = true
		lv.mu.Unlock()
	case e.Attempt != nil:
		if q.Watch != nil {
			q.Watch.Attempt(lv.id, e.Time, *e.Attempt)
		}
		lv.hub.pass(e.Time, "attempt", e.Attempt)
	case e.Endpoint != nil:
		q.heard(*e.Endpoint)
		lv.hub.add(e.Time, "endpoint", e.Endpoint)
	case e.Notice != nil:
		lv.hub.add(e.Time, "notice", e.Notice)
	case e.Totals != nil:
		lv.mu.Lock()
		lv.totals = *e.Totals
		lv.mu.Unlock()
		lv.hub.pass(e.Time, "totals", e.Totals)
	}
}

// Totals gives where a running work stands; ok is false if it does not run, or is a job of another replica.
// Of a batch of several replicas they are as of the last half second.
func (q *Queue) Totals(id string) (t scheduler.Totals, ok bool) {
	if q.Leases != nil {
		return q.leasedTotals(id)
	}
	lv := q.liveWork(id)
	if lv == nil {
		return t, false
	}
	lv.mu.Lock()
	defer lv.mu.Unlock()
	return lv.totals, true
}

// sweep deletes works whose time is over.
// At most 1000 a minute, the oldest first: what is left goes the next time. It stops at the first that cannot be deleted, to
// try again.
func (q *Queue) sweep(ctx context.Context) {
	works, err := q.Ledger.Expired(ctx, q.Now(), 1000)
	if err != nil {
		q.Log.Error("works that expired cannot be read", "error", err)
		return
	}
	for _, w := range works {
		if err := q.Forget(ctx, w); err != nil {
			q.Log.Error("a work cannot be deleted", "work", w.ID, "error", err)
			return
		}
		q.Log.Info("work deleted", "work", w.ID, "ended", w.Finished)
	}
}

// ErrRunning says that a work has not ended.
var ErrRunning = errors.New("it has not ended; cancel it first")

// Forget deletes a work that has ended, with its files.
// Files go before the row: after a crash in between the row is found again by the sweep and its folder is simply missing.
func (q *Queue) Forget(ctx context.Context, w ledger.Work) error {
	// A retry that comes at the same time is either before this, and the work stays, or finds that it is gone.
	if ok, err := q.Ledger.Doom(ctx, w.ID); err != nil || !ok {
		return errors.Join(err, q.stillThere(ctx, w.ID))
	}
	if err := q.removeFiles(ctx, w.ID); err != nil {
		return err
	}
	if q.leased(w) {
		if err := q.Leases.Remove(ctx, w.ID); err != nil && !errors.Is(err, lease.ErrNoBatch) {
			return err
		}
	}
	there, err := q.Ledger.Forget(ctx, w.ID)
	if err == nil && there {
		q.uncount(w)
	}
	return err
}

// stillThere is ErrRunning for a work that is there; one that is gone already needs no deleting.
func (q *Queue) stillThere(ctx context.Context, id string) error {
	_, err := q.Ledger.Work(ctx, id)
	if errors.Is(err, ledger.ErrNone) {
		return nil
	}
	return errors.Join(err, ErrRunning)
}
