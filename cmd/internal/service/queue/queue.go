package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// NewID makes an id that sorts by time: 48 bits of milliseconds and 80 random ones, in hex.
// 32 letters. Two made in the same millisecond sort in any order. Random bits are enough that ids cannot be guessed.
func NewID(now time.Time) string {
	b := make([]byte, 16)
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(b[6:]) // never fails
	return hex.EncodeToString(b)
}

// Pool gives a pool by its name; nil if there is none.
// The pool is shared: it must not be changed.
func (q *Queue) Pool(name string) *Pool { return q.pools[name] }

// EndpointsOf gives the endpoints of a pool as they are configured, in the configuration's order.
func (q *Queue) EndpointsOf(pool string) (out []compiler.EndpointConfig) {
	p := q.pools[pool]
	for _, e := range q.Config.Endpoints {
		if p != nil && slices.Contains(p.Endpoints, e.Name) {
			out = append(out, e)
		}
	}
	return out
}

// PoolNames lists the pools by name.
func (q *Queue) PoolNames() []string { return slices.Sorted(maps.Keys(q.pools)) }

// workDir is the folder of one work. Ids are made here, or were checked.
func (q *Queue) workDir(id string) string { return filepath.Join(q.Dir, worksFolder, id) }

// outFolder is the run directory of a work, below its folder.
const outFolder = "out"

// OutDir is the run directory of a work. A file of it may have to be brought first, see Bring.
func (q *Queue) OutDir(id string) string { return filepath.Join(q.workDir(id), outFolder) }

// QuotaError says which of a key's limits a request would break.
// Code is stable, for programs; the message is for people. The faces answer with 403.
type QuotaError struct{ Code, Message string }

// Error gives the message.
func (e *QuotaError) Error() string { return e.Message }

// ErrClosing refuses works while the service stops.
// Clients may send the same again at once: another replica, or the next process, takes it.
var ErrClosing = errors.New("the service is stopping; try again")

// checkQuota holds a key's budget and disk before a work is taken.
// Both are soft by one work: what runs at the same time is not counted here. The hard bound of money is Reserve, when the turn
// has come.
func (q *Queue) checkQuota(ctx context.Context, k *keys.Key, size int64) error {
	if k.BudgetUSD == 0 && k.DiskBytes == 0 {
		return nil
	}
	spent, bytes, err := q.Ledger.Usage(ctx, k.ID, month(q.Now()))
	switch {
	case err != nil:
		return err
	case k.BudgetUSD > 0 && spent >= k.BudgetUSD:
		return &QuotaError{"budget_exhausted", fmt.Sprintf("this key's budget of %.2f USD for the month is used up (about %.2f USD)", k.BudgetUSD, spent)}
	case k.DiskBytes > 0 && bytes+size > k.DiskBytes:
		return &QuotaError{"disk_full", fmt.Sprintf("this key's works hold %d of the %d bytes that they may; delete some, or wait until they expire", bytes, k.DiskBytes)}
	}
	return nil
}

// month is when the month of a time began, UTC.
// Budgets are for calendar months in UTC, wherever key and server are.
func month(now time.Time) time.Time {
	now = now.UTC()
	return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Submit makes a work durable and puts it into its line. The order's id, state and time are filled in if they are not given. A final state
// says that there is nothing to run: the row is a record of what was refused. fresh is false if it is known by its idempotency key or id.
//
// Errors: *QuotaError, ledger.ErrConflict, ErrClosing; else trouble of the disk.
func (q *Queue) Submit(ctx context.Context, k *keys.Key, o *ledger.Order, r *Request) (w ledger.Work, fresh bool, err error) {
	if q.stopped() {
		return w, false, ErrClosing
	}
	if o.Created.IsZero() {
		o.Created = q.Now()
	}
	if o.ID == "" {
		o.ID = NewID(o.Created)
	}
	if o.State == "" {
		o.State = ledger.Waiting
	}
	o.Owner, o.Priority = k.ID, o.Priority+k.Priority
	// All that can be refused is refused before anything is written.
	if err := r.checkFiles(); err != nil {
		return w, false, err
	}
	var size int64
	for _, f := range r.Files {
		size += int64(len(f.Data))
	}
	if err := q.checkQuota(ctx, k, size); err != nil {
		// What was taken before is answered as then, whatever has become of the quota.
		if known, kerr := q.Ledger.Known(ctx, o); kerr == nil {
			return known, false, nil
		}
		return w, false, err
	}
	// Files first, durable, then the row: a row whose files are missing cannot be run. The other way round costs a folder that
	// is removed here.
	defer func() {
		if err != nil || !fresh {
			q.unspill(ctx, o.ID, r)
		}
	}()
	if o.Bytes, err = r.spill(q.workDir(o.ID)); err != nil {
		return w, false, err
	}
	if err := q.depositRequest(ctx, o.ID, r); err != nil {
		return w, false, err
	}
	r.Trace = trace.Of(ctx).String()
	if o.Request, err = r.encode(); err != nil {
		return w, false, err
	}
	// One commit for the row, its idempotency key and its line in the audit log. It is waited for even if ctx ends: a write that was given up
	// may happen all the same, and would then lack its files.
	w, fresh, err = q.Ledger.AddWork(context.WithoutCancel(ctx), o)
	if err == nil && fresh {
		q.count(w, "", 0)
		if !w.State.Final() {
			q.enter(w)
		}
	}
	return w, fresh, err
}

// stopped tells that nothing is taken any more.
func (q *Queue) stopped() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing
}

// lane is the line a work waits in.
// Batches wait in one line, since each may use several pools.
func lane(w ledger.Work) string {
	if w.Kind == ledger.Batch {
		return ""
	}
	return w.Pool
}

// enter puts a work into its line.
// Called for new works, retries, and by adopt for what others left; one that is known here stays where it is.
func (q *Queue) enter(w ledger.Work) {
	q.mu.Lock()
	if q.waiting[w.ID] == nil && q.live[w.ID] == nil {
		t := &ticket{id: w.ID, owner: w.Owner, lane: lane(w), priority: w.Priority, front: w.Front, begun: make(chan struct{})}
		q.waiting[w.ID] = t
		q.fair.add(t)
	}
	q.mu.Unlock()
	q.poke()
}

// poke lets the dispatcher look.
// A poke that is not taken yet stands for this one too.
func (q *Queue) poke() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// Get gives a work as it stands; ledger.ErrNone if there is none.
// A work that runs here is answered from memory, with what it has spent up to now.
func (q *Queue) Get(ctx context.Context, id string) (ledger.Work, error) {
	if lv := q.liveWork(id); lv != nil {
		return lv.row(), nil
	}
	return q.Ledger.Work(ctx, id)
}

// liveWork gives a work that runs here and whose row is ours; nil for all others.
func (q *Queue) liveWork(id string) *live {
	q.mu.Lock()
	defer q.mu.Unlock()
	lv := q.live[id]
	if lv == nil || !lv.taken.Load() {
		return nil
	}
	return lv
}

// stopLive cancels a work that runs here.
// false if it does not run here. The run notices through its context.
func (q *Queue) stopLive(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	lv := q.live[id]
	if lv != nil {
		lv.stop(errCancelled)
	}
	return lv != nil
}

// Cancel ends a work. What runs is stopped soon, here or on another replica; what has ended stays as it is.
// Three cases: it runs here (stop it), it waits anywhere (close its row), it runs elsewhere (leave a wish in its row, which its
// holder hears at its next beat). Calling it again is harmless.
func (q *Queue) Cancel(ctx context.Context, id string) (ledger.Work, error) {
	if q.Leases == nil && q.stopLive(id) {
		return q.Get(ctx, id)
	}
	w, err := q.Ledger.Work(ctx, id)
	if err != nil || w.State.Final() {
		return w, err
	}
	// One conditional update: either it still waits, and nobody can take it any more, or somebody has taken it.
	ended, err := q.Ledger.End(ctx, id, ledger.Cancelled, q.Now(), q.expiry(w))
	if err == nil && ended {
		q.leave(id)
		before := w.State
		if w, err = q.Ledger.Work(ctx, id); err == nil {
			q.count(w, before, 0)
			q.told(w)
		}
		return w, err
	}
	if err == nil && (!q.stopLive(id) || q.leased(w)) {
		_, err = q.Ledger.Wish(ctx, id, ledger.WishCancel)
	}
	if err == nil && q.leased(w) {
		if err = q.Leases.Cancel(ctx, id); errors.Is(err, lease.ErrNoBatch) {
			err = nil // its steward has not handed it out yet, and will not
		}
	}
	if err != nil {
		return w, err
	}
	return q.Get(ctx, id)
}

// leave takes a work out of its line.
func (q *Queue) leave(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.waiting[id]; t != nil {
		q.fair.leave(t)
		delete(q.waiting, id)
		close(t.begun)
	}
}

// next gives what is closed when a work that waits here has its turn, or is cancelled; nil if it does not wait here.
// It is how clients that wait for a job are woken without asking the ledger again and again.
func (q *Queue) next(id string) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.waiting[id]; t != nil {
		return t.begun
	}
	return nil
}

// Retry lets a work that has ended run again: what is done is kept, what failed is tried anew, and with resubmit what was held too. ok is
// false if it has not ended.
// The row counts one turn more; remote jobs of the last turn that still run are collected by the new one.
func (q *Queue) Retry(ctx context.Context, id string, resubmit bool) (w ledger.Work, ok bool, err error) {
	if q.stopped() {
		return w, false, ErrClosing
	}
	before, err := q.Ledger.Work(ctx, id)
	if err != nil {
		return w, false, err
	}
	wish := ""
	if resubmit {
		wish = ledger.WishResubmit
	}
	// Conditional too: of two retries at the same time one gets ok.
	if ok, err = q.Ledger.Reopen(ctx, id, wish); err != nil || !ok {
		return before, ok, err
	}
	if w, err = q.Ledger.Work(ctx, id); err != nil {
		return w, ok, err
	}
	q.count(w, before.State, 1)
	q.enter(w)
	return w, ok, nil
}

// Purge cancels the jobs of some kinds that wait in a pool, of one owner or of all, and tells how many they were.
// It goes on until a look finds nothing, or nothing more that could be cancelled.
func (q *Queue) Purge(ctx context.Context, pool, owner string, all bool, kinds ...string) (removed int, err error) {
	for {
		works, err := q.Ledger.Works(ctx, ledger.Filter{Owner: owner, All: all, Pool: pool, Kinds: kinds, States: []ledger.State{ledger.Waiting}, Limit: 1000})
		if err != nil {
			return removed, err
		}
		n := removed
		for _, w := range works {
			if w, err = q.Cancel(ctx, w.ID); err != nil {
				return removed, err
			}
			if w.State == ledger.Cancelled {
				removed++
			}
		}
		if len(works) == 0 || removed == n {
			return removed, nil
		}
	}
}

// Await waits until a work has ended, ctx has, or the time is over, and gives it as it stands then.
// Many callers may wait for one work. If ctx ends that is no error: the client gets the state of now, as long polls do.
func (q *Queue) Await(ctx context.Context, id string, most time.Duration) (ledger.Work, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w, err := q.Get(context.WithoutCancel(ctx), id)
		if err != nil || w.State.Final() {
			return w, err
		}
		// Woken by the end of the run or of the wait in line; other replicas' works are looked at four times a second.
		ended, pause := q.next(id), otherReplica
		if lv := q.liveWork(id); lv != nil {
			ended, pause = lv.done, time.Second
		} else if ended != nil && !q.Ledger.Shared() {
			pause = time.Second
		} else if ended == nil && !q.Ledger.Shared() {
			pause = 10 * time.Millisecond // it is between its line and its run
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return q.Get(context.WithoutCancel(ctx), id)
		case <-ended:
		case <-timer.C:
		}
	}
}
