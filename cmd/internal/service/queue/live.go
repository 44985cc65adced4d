package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler"
)

// live is a work that runs here.
type live struct {
	id, owner, lane string
	ctx             context.Context // of the run; its cause says why it ended
	stop            context.CancelCauseFunc
	hub             *Hub
	done            chan struct{} // closed when the row says how it ended
	taken           atomic.Bool   // the row is ours

	ends     []string // the endpoints it has places on
	load     float64
	reserved float64 // USD of its key's budget

	mu     sync.Mutex
	work   ledger.Work
	totals scheduler.Totals
	dirty  bool // there is something new for the gallery
}

// row gives the work as it stands.
func (lv *live) row() ledger.Work {
	lv.mu.Lock()
	defer lv.mu.Unlock()
	w := lv.work
	w.Spent = max(w.Spent, lv.totals.SpentUSD)
	return w
}

// begin makes a ticket a running work, and books a job's place. The lock is held.
func (q *Queue) begin(t *ticket) *live {
	lv := &live{id: t.id, owner: t.owner, lane: t.lane, done: make(chan struct{})}
	lv.ctx, lv.stop = context.WithCancelCause(context.Background())
	delete(q.waiting, t.id)
	close(t.begun)
	q.live[t.id] = lv
	if p := q.pools[t.lane]; p != nil && t.lane != "" {
		lv.ends, lv.load = p.Endpoints, 1
		q.occupy(lv.ends, 1, true)
	}
	return lv
}

// turn runs a work from its turn to its end.
func (q *Queue) turn(lv *live) {
	defer q.ended(lv)
	defer lv.stop(nil)
	ctx := context.Background()
	w, ok, err := q.Ledger.Take(ctx, lv.id, q.Replica, q.Now(), q.Now().Add(-Silence))
	if err != nil {
		q.Log.Error("a work cannot be taken", "work", lv.id, "error", err)
		return
	}
	if !ok {
		return // it was cancelled, or another replica has it
	}
	last, err := q.Ledger.LastEvent(ctx, lv.id)
	if err != nil {
		q.Log.Error("a work's events cannot be read", "work", lv.id, "error", err)
		return
	}
	lv.work, lv.hub = w, newHub(last)
	lv.taken.Store(true)
	q.count(w, ledger.Waiting, 0)
	storing, stored := context.WithCancel(ctx)
	var stores sync.WaitGroup
	stores.Go(func() { lv.hub.store(storing, q.Ledger, lv.id) })
	defer stores.Wait()
	defer stored()
	lv.hub.add(q.Now(), "state", stateEvent{State: ledger.Running})
	q.Log.Info("work begins", "work", lv.id, "kind", w.Kind, "owner", w.Owner, "pool", w.Pool)
	end := q.guarded(lv)
	q.finish(lv, end)
}

// stateEvent is the data of an event of the kind state.
type stateEvent struct {
	State  ledger.State    `json:"state"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// ending is how a run ended.
type ending struct {
	state  ledger.State // "" means that it goes on later
	err    string
	result any // JSON
	spent  float64
}

// guarded runs a work; a panic, which is a bug, fails it alone.
func (q *Queue) guarded(lv *live) (end ending) {
	defer func() {
		if p := recover(); p != nil {
			q.Log.Error("a bug", "work", lv.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			end = ending{state: ledger.Failed, err: "internal error; the server's log has it under this work's id"}
		}
	}()
	data, sealed, err := q.Ledger.Request(lv.ctx, lv.id)
	if err == nil {
		var r *Request
		if r, err = decodeRequest(data); err == nil {
			if r.Job != nil {
				return q.runJob(lv, r, sealed)
			}
			return q.runBatch(lv, r, sealed)
		}
	}
	return q.interrupted(lv, ending{state: ledger.Failed, err: err.Error()})
}

// finish writes how a work ended, tells it, and owes its webhook.
func (q *Queue) finish(lv *live, end ending) {
	ctx := context.Background()
	lv.mu.Lock()
	if end.state == "" { // the service stops: the next start goes on
		lv.mu.Unlock()
		return
	}
	before := lv.work.State
	w := lv.work
	w.State, w.Error, w.Finished, w.Spent = end.state, end.err, q.Now(), max(w.Spent, end.spent)
	w.Bytes = sizeOf(q.workDir(w.ID))
	w.Expires = q.expiry(w)
	if end.result != nil {
		text, err := json.Marshal(end.result)
		if err != nil {
			panic("a result cannot be written: " + err.Error())
		}
		w.Result = string(text)
	}
	lv.mu.Unlock()
	if err := q.Ledger.SaveWork(ctx, w); err != nil {
		q.Log.Error("how a work ended cannot be written", "work", w.ID, "error", err)
		return
	}
	lv.mu.Lock()
	lv.work = w
	lv.mu.Unlock()
	q.count(w, before, 0)
	lv.hub.add(q.Now(), "state", stateEvent{State: w.State, Error: w.Error, Result: json.RawMessage(orNull(w.Result))})
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
func (q *Queue) ended(lv *live) {
	q.mu.Lock()
	delete(q.live, lv.id)
	q.occupy(lv.ends, -lv.load, lv.lane != "")
	q.mu.Unlock()
	close(lv.done)
	q.poke()
}

// expiry is when a work that ends now is swept.
func (q *Queue) expiry(w ledger.Work) time.Time {
	keep := q.KeepJob
	if w.Kind == ledger.Batch {
		keep = q.KeepBatch
	}
	return q.Now().Add(orTime(q.Ring.Owner(w.Owner).Retention, keep))
}

// sizeOf sums the files of a folder up.
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
func (q *Queue) event(lv *live, e scheduler.Event) {
	switch {
	case e.Render != nil && e.Render.State.Final():
		lv.hub.add(e.Time, "render", e.Render)
		lv.mu.Lock()
		lv.dirty = true
		lv.mu.Unlock()
	case e.Attempt != nil:
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

// Totals gives where a running work stands; ok is false if it does not run here.
func (q *Queue) Totals(id string) (t scheduler.Totals, ok bool) {
	lv := q.liveWork(id)
	if lv == nil {
		return t, false
	}
	lv.mu.Lock()
	defer lv.mu.Unlock()
	return lv.totals, true
}

// sweep deletes works whose time is over.
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
func (q *Queue) Forget(ctx context.Context, w ledger.Work) error {
	if !w.State.Final() {
		return ErrRunning
	}
	if err := os.RemoveAll(q.workDir(w.ID)); err != nil {
		return err
	}
	return q.Ledger.Forget(ctx, w.ID)
}

// Follow tells the events of a work after a number, stored ones and passing ones (whose number is 0), until it has ended and all is told,
// ctx ends, or tell returns an error. It calls tell with no event at least every heartbeat.
func (q *Queue) Follow(ctx context.Context, id string, after int64, heartbeat time.Duration, tell func(*ledger.Event) error) error {
	turn, said := int64(0), time.Now()
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		lv := q.liveWork(id)
		change, pause, over := q.next(id), 2*otherReplica, false
		if change != nil && !q.Ledger.Shared() {
			pause = heartbeat
		} else if !q.Ledger.Shared() {
			pause = 20 * time.Millisecond // it is between its line and its run
		}
		var events, passing []ledger.Event
		complete := false
		if lv != nil {
			events, passing, turn, complete, over, change = lv.hub.after(after, turn)
			pause = heartbeat
		}
		if !complete {
			var err error
			if events, err = q.Ledger.Events(ctx, id, after, 1000); err != nil {
				return err
			}
			if lv == nil && len(events) == 0 {
				w, err := q.Get(ctx, id)
				if err != nil {
					return err
				}
				over = w.State.Final()
			} else {
				pause, over = 0, false
			}
		}
		for _, list := range [][]ledger.Event{events, passing} {
			for i := range list {
				if err := tell(&list[i]); err != nil {
					return err
				}
				after, said = max(after, list[i].Seq), time.Now()
			}
		}
		if over && len(events) == 0 {
			return nil
		}
		if over || pause == 0 {
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		case <-timer.C:
		}
		if time.Since(said) >= heartbeat {
			said = time.Now()
			if err := tell(nil); err != nil {
				return err
			}
		}
	}
}
