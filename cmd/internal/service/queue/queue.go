package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// NewID makes an id that sorts by time: 48 bits of milliseconds and 80 random ones, in hex.
func NewID(now time.Time) string {
	b := make([]byte, 16)
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(b[6:])
	return hex.EncodeToString(b)
}

// Pool gives a pool by its name; nil if there is none.
func (q *Queue) Pool(name string) *Pool { return q.pools[name] }

// PoolNames lists the pools by name.
func (q *Queue) PoolNames() []string { return slices.Sorted(maps.Keys(q.pools)) }

// workDir is the folder of one work. Ids are made here, or were checked.
func (q *Queue) workDir(id string) string { return filepath.Join(q.Dir, "works", id) }

// OutDir is the run directory of a work.
func (q *Queue) OutDir(id string) string { return filepath.Join(q.workDir(id), "out") }

// QuotaError says which of a key's limits a request would break.
type QuotaError struct{ Code, Message string }

// Error gives the message.
func (e *QuotaError) Error() string { return e.Message }

// ErrClosing refuses works while the service stops.
var ErrClosing = errors.New("the service is stopping; try again")

// checkQuota holds a key's budget and disk before a work is taken.
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
	if err := r.checkFiles(); err != nil {
		return w, false, err
	}
	var size int64
	for _, f := range r.Files {
		size += int64(len(f.Data))
	}
	if err := q.checkQuota(ctx, k, size); err != nil {
		return w, false, err
	}
	if o.Bytes, err = r.spill(filepath.Join(q.workDir(o.ID), "in")); err != nil {
		return w, false, err
	}
	if o.Request, err = r.encode(); err != nil {
		return w, false, err
	}
	w, fresh, err = q.Ledger.AddWork(ctx, o)
	if (err != nil || !fresh) && o.Bytes > 0 {
		os.RemoveAll(q.workDir(o.ID))
	}
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
func lane(w ledger.Work) string {
	if w.Kind == ledger.Batch {
		return ""
	}
	return w.Pool
}

// enter puts a work into its line.
func (q *Queue) enter(w ledger.Work) {
	q.mu.Lock()
	if q.waiting[w.ID] == nil && q.live[w.ID] == nil {
		t := &ticket{id: w.ID, owner: w.Owner, lane: lane(w), priority: w.Priority, begun: make(chan struct{})}
		q.waiting[w.ID] = t
		q.fair.add(t)
	}
	q.mu.Unlock()
	q.poke()
}

// poke lets the dispatcher look.
func (q *Queue) poke() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// Run hands out turns until ctx ends; then it stops what runs here, leaves remote jobs to finish, and gives everything up to the next start
// or to other replicas. It returns when all of that is durable.
func (q *Queue) Run(ctx context.Context) error {
	if err := q.recover(ctx); err != nil {
		return err
	}
	beat, look, sweep := time.NewTicker(beatEvery), time.NewTicker(lookEvery), time.NewTicker(time.Minute)
	defer beat.Stop()
	defer look.Stop()
	defer sweep.Stop()
	for {
		q.dispatch(ctx)
		select {
		case <-ctx.Done():
			return q.drain()
		case <-q.kick:
		case <-beat.C:
			q.beat(ctx)
		case <-look.C:
			if q.Ledger.Shared() {
				q.adopt(ctx)
			}
		case <-sweep.C:
			q.sweep(ctx)
		}
	}
}

// recover takes up what an earlier process left, and counts what there is.
func (q *Queue) recover(ctx context.Context) error {
	if !q.Ledger.Shared() { // this process is the only one: nobody else holds anything
		if err := q.Ledger.Write(ctx, func(tx *ledger.Tx) error { return tx.Exec("UPDATE works SET holder = '', beat = 0 WHERE holder <> ''") }); err != nil {
			return err
		}
	}
	if err := q.tally(ctx); err != nil {
		return err
	}
	q.adopt(ctx)
	q.sweep(ctx)
	return nil
}

// adopt puts works into line that nobody runs.
func (q *Queue) adopt(ctx context.Context) {
	works, err := q.Ledger.Open(ctx, q.Now().Add(-Silence), 100_000)
	if err != nil {
		q.Log.Error("the works that wait cannot be read", "error", err)
		return
	}
	for _, w := range works {
		q.enter(w)
	}
}

// beat shows that this replica lives, and hears what others want of its works.
func (q *Queue) beat(ctx context.Context) {
	err := q.Ledger.Beat(ctx, q.Replica, q.Now())
	if err == nil && q.Ledger.Shared() {
		var wishes []ledger.Work
		wishes, err = q.Ledger.Wishes(ctx, q.Replica)
		for _, w := range wishes {
			q.stopLive(w.ID)
		}
	}
	if err != nil {
		q.Log.Error("the sign of life cannot be written", "error", err)
	}
}

// drain ends Run.
func (q *Queue) drain() error {
	q.mu.Lock()
	q.closing = true
	for _, lv := range q.live {
		lv.stop(errShutdown)
	}
	q.mu.Unlock()
	q.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return q.Ledger.Release(ctx, q.Replica)
}

// Close ends the preview endpoints. It is called after Run, or without it, and may be called again.
func (q *Queue) Close() {
	q.mu.Lock()
	previews := q.previews
	q.previews = map[string]*preview{}
	q.mu.Unlock()
	for _, p := range previews {
		p.stop()
	}
	q.transport.CloseIdleConnections()
}

// errShutdown is the cause when the service stops, errCancelled when somebody cancelled the work.
var (
	errShutdown  = errors.New("the service stops")
	errCancelled = errors.New("it was cancelled")
)

// dispatch starts works while there is room.
func (q *Queue) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		q.mu.Lock()
		t := q.fair.next(func(owner string) int { return q.Ring.Owner(owner).Share() }, q.room)
		if t == nil {
			q.mu.Unlock()
			return
		}
		lv := q.begin(t)
		q.mu.Unlock()
		q.tasks.Go(func() { q.turn(lv) })
	}
}

// room tells whether a work can start. The lock is held.
func (q *Queue) room(t *ticket) bool {
	if most := q.Ring.Owner(t.owner).Concurrent; most > 0 && q.running(t.owner) >= most {
		return false
	}
	if t.lane == "" {
		n := 0
		for _, lv := range q.live {
			if lv.lane == "" {
				n++
			}
		}
		return n < q.MaxBatches
	}
	p := q.pools[t.lane]
	if p == nil {
		return true // the pool is gone: the work fails, and says so
	}
	var all, used, jobs float64
	for _, e := range p.Endpoints {
		all, used, jobs = all+float64(q.places[e]), used+q.load[e], jobs+q.jobLoad[e]
	}
	return used+1 <= all+1e-6 || jobs+1 <= max(1, all/4)+1e-6 // batches leave a quarter to jobs
}

// running counts an owner's works. The lock is held.
func (q *Queue) running(owner string) (n int) {
	for _, lv := range q.live {
		if lv.owner == owner {
			n++
		}
	}
	return n
}

// occupy books places on endpoints, or gives them back if n is negative. The lock is held.
func (q *Queue) occupy(ends []string, n float64, job bool) {
	all := 0
	for _, e := range ends {
		all += q.places[e]
	}
	for _, e := range ends {
		part := n * float64(q.places[e]) / float64(max(1, all))
		q.load[e] += part
		if job {
			q.jobLoad[e] += part
		}
	}
}

// Get gives a work as it stands; ledger.ErrNone if there is none.
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
func (q *Queue) Cancel(ctx context.Context, id string) (ledger.Work, error) {
	if q.stopLive(id) {
		return q.Get(ctx, id)
	}
	w, err := q.Ledger.Work(ctx, id)
	if err != nil || w.State.Final() {
		return w, err
	}
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
	if err == nil && !q.stopLive(id) {
		_, err = q.Ledger.Wish(ctx, id, ledger.WishCancel)
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
		t.gone = true
		delete(q.waiting, id)
		close(t.begun)
	}
}

// next gives what is closed when a work that waits here has its turn, or is cancelled; nil if it does not wait here.
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

// Purge cancels what waits in a pool, of one owner or of all, and tells how many works that were.
func (q *Queue) Purge(ctx context.Context, pool, owner string, all bool) (removed int, err error) {
	for {
		works, err := q.Ledger.Works(ctx, ledger.Filter{Owner: owner, All: all, Pool: pool, Kinds: []string{ledger.RunPod, ledger.Novita, ledger.Native}, States: []ledger.State{ledger.Waiting}, Limit: 1000})
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
