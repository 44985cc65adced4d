package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// hold is a lease that this machine has.
type hold struct {
	store.Lease
	q      *Queue
	events eventBuffer

	// lost never goes back to false: a slice that was taken away and won again is a hold of its own, with a higher epoch.
	lost  atomic.Bool
	mu    sync.Mutex
	alive time.Time // when the last answered heartbeat was sent: both clocks

	told   orders    // with the claim
	hungry time.Time // since when it can do nothing; only the trader's
	// yielded tells a run that made room from one that was interrupted; both give their slice back unharmed.
	yielded atomic.Bool
	yield   func() // ends the run, so that this machine can take another slice
}

func (h *hold) db() *store.Postgres { return h.q.db }

// mine is the condition of every write: this lease is still the slice's. Arguments $1 to $3.
const mine = `EXISTS (SELECT 1 FROM slices m WHERE m.batch = $1 AND m.slice = $2 AND m.epoch = $3 AND m.state = 'held')`

// queue puts a statement into a batch whose first three arguments are the lease.
func (h *hold) queue(b *pgx.Batch, text string, more ...any) {
	b.Queue(text, append([]any{h.Batch, h.Slice, h.Epoch}, more...)...)
}

// guard begins a batch: it locks the slice's row until its end, renews the heartbeat, and touches no row if the lease is lost.
func (h *hold) guard(b *pgx.Batch) {
	h.queue(b, `UPDATE slices SET heartbeat = clock_timestamp() WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held'`)
}

// claim takes the slice of a job, nil if somebody was there before, or the job is stale. The UPDATE is the whole election: of any number of
// claimants of one epoch one finds the row free, and raises the epoch, so that the job can never be used again.
func (q *Queue) claim(ctx context.Context, a args, owner string) (*hold, error) {
	h := &hold{q: q, Lease: store.Lease{Batch: a.Batch, Slice: a.Slice}, alive: time.Now()}
	rows, err := q.db.Pool.Query(ctx, `UPDATE slices s SET state = 'held', owner = $4, epoch = s.epoch + 1, heartbeat = clock_timestamp() FROM batches b
		WHERE s.batch = $1 AND s.slice = $2 AND s.epoch = $3 AND s.state = 'free' AND b.id = s.batch RETURNING s.epoch, s.first, s.past, b.asked, s.again_failed, s.again_held`,
		a.Batch, a.Slice, a.Epoch, owner)
	if err != nil {
		return nil, err
	}
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&h.Epoch, &h.First, &h.Past, &h.told.asked, &h.told.againFailed, &h.told.againHeld}, func() error { n++; return nil })
	if err != nil || n == 0 {
		return nil, err
	}
	return h, nil
}

// lose notes that somebody else has the slice.
func (h *hold) lose() { h.lost.Store(true) }

// fence is Options.Fence: it tells why this machine may not act for the slice now. A wall clock that was set, or a machine that slept, counts as
// time that has passed.
func (h *hold) fence() error {
	if h.lost.Load() {
		return &scheduler.FencedError{What: h.String()}
	}
	h.mu.Lock()
	alive := h.alive
	h.mu.Unlock()
	// The monotonic clock stops while some machines sleep, and the wall clock can be set back: of the two spans the longer one counts. Round(0)
	// drops the monotonic reading, so that the second subtraction is of wall clocks.
	now := time.Now()
	if silent := max(now.Sub(alive), now.Round(0).Sub(alive.Round(0))); silent > selfStop {
		return fmt.Errorf("the database has not answered for %v, so another machine may have taken over", silent.Round(time.Second))
	}
	return nil
}

// patience is how long a slice can do nothing before it makes room for another one on its machine.
// Shorter, and a slice would leave for a bottleneck that the next trade ends; longer, and the slice that is needed waits for nothing.
const patience = 2 * time.Second

// starve notes whether the slice can do nothing as long as others are not run.
func (h *hold) starve(now bool) {
	switch {
	case !now:
		h.hungry = time.Time{}
	case h.hungry.IsZero():
		h.hungry = time.Now()
	case time.Since(h.hungry) > patience && h.yield != nil:
		h.yielded.Store(true)
		h.yield()
	}
}

// orders is what the database tells an owner with each heartbeat.
type orders struct {
	asked                  string // of the batch
	againFailed, againHeld bool
}

// beat renews the heartbeat. lost tells that the slice is somebody else's now.
func (h *hold) beat(ctx context.Context) (o orders, lost bool, err error) {
	// The time before the question counts, not that of the answer: the database renewed the heartbeat somewhere between the two.
	sent := time.Now()
	// A beat that takes longer than a Beat is given up for the next one; the fence, not the beat, stops a machine that gets no answers.
	ctx, cancel := context.WithTimeout(ctx, Beat)
	defer cancel()
	rows, err := h.db().Pool.Query(ctx, `UPDATE slices s SET heartbeat = clock_timestamp() FROM batches b
		WHERE s.batch = $1 AND s.slice = $2 AND s.epoch = $3 AND s.state = 'held' AND b.id = s.batch RETURNING b.asked, s.again_failed, s.again_held`, h.Batch, h.Slice, h.Epoch)
	if err != nil {
		return o, false, err
	}
	n := 0
	if _, err = pgx.ForEachRow(rows, []any{&o.asked, &o.againFailed, &o.againHeld}, func() error { n++; return nil }); err != nil {
		return o, false, err
	}
	if n == 0 {
		h.lose()
		return o, true, nil
	}
	h.mu.Lock()
	h.alive = sent
	h.mu.Unlock()
	return o, false, nil
}

// begin gives the orders that a run begins with: those that came with the claim, or, since opening the batch may have taken minutes, those of a beat,
// which also tells whether the slice is still ours.
func (h *hold) begin(ctx context.Context) (o orders, lost bool, err error) {
	h.mu.Lock()
	fresh := time.Since(h.alive) < time.Second
	h.mu.Unlock()
	if fresh && !h.lost.Load() {
		return h.told, false, nil
	}
	return h.beat(ctx)
}

// keep beats until ctx ends, and calls ordered with what the database says, and lost when the lease is.
func (h *hold) keep(ctx context.Context, ordered func(orders), lost func()) {
	t := time.NewTicker(Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		switch o, gone, err := h.beat(ctx); {
		case gone:
			lost()
			return
		// An error says nothing about the lease: it may be renewed or lost, and the next beat tells.
		case err == nil:
			ordered(o)
		}
	}
}

// release gives the slice back so that another machine goes on with it, after a while if it could not be run here. Row, places, money and the job
// for the next epoch change in one transaction: a machine that dies within it has released nothing, and is found silent 30 s later. That no row
// is touched means that the slice was taken over; that is no error.
func (h *hold) release(ctx context.Context, failed bool, wait time.Duration, reason string) error {
	return h.insist(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE slices SET state = 'free', owner = '', epoch = epoch + 1, heartbeat = clock_timestamp(), tries = CASE WHEN $4 THEN tries + 1 ELSE 0 END, reason = $5
			WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held'`, h.Batch, h.Slice, h.Epoch, failed, reason)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := shrinkGrants(ctx, tx, h.Batch, h.Slice); err != nil {
			return err
		}
		return h.q.handOut(ctx, tx, args{Batch: h.Batch, Slice: h.Slice, Epoch: h.Epoch + 1}, wait)
	})
}

// insist does something in a transaction, again and again while the database is away, until ctx ends: else the slice would be found silent only 30 s
// after it was done with. f must bear it that an earlier try was done and only its answer was lost.
func (h *hold) insist(ctx context.Context, f func(pgx.Tx) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := h.db().Tx(ctx, f)
		if err == nil || !store.Unreachable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// end notes that the slice has nothing left to do, and the batch if it was its last one. last tells that it was.
func (h *hold) end(ctx context.Context, stop, reason, totals string) (last bool, err error) {
	err = h.insist(ctx, func(tx pgx.Tx) error {
		// The batch's row is locked first, so that of two last slices one sees the other.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM batches WHERE id = $1 FOR UPDATE`, h.Batch); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE slices SET state = 'ended', owner = '', epoch = epoch + 1, tries = 0, again_failed = FALSE, again_held = FALSE, stopped = $4, reason = $5, totals = $6
			WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held'`, h.Batch, h.Slice, h.Epoch, stop, reason, totals)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			last, err = h.endedBefore(ctx, tx)
			return err
		}
		if err := freeGrants(ctx, tx, h.Batch, h.Slice); err != nil {
			return err
		}
		// The other slices learn of a failure with their next heartbeat. An order to cancel that is there already stays.
		if stop == string(scheduler.StopFailFast) {
			if _, err := tx.Exec(ctx, `UPDATE batches SET asked = $2 WHERE id = $1 AND asked = ''`, h.Batch, stop); err != nil {
				return err
			}
		}
		tag, err = tx.Exec(ctx, `UPDATE batches SET ended = clock_timestamp() WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM slices WHERE batch = $1 AND state <> 'ended')`, h.Batch)
		last = tag.RowsAffected() > 0
		return err
	})
	return last, err
}

// endedBefore tells whether this very lease ended the slice, by a try whose answer was lost, and the batch has ended since. Nobody else makes an
// ended slice of the next epoch: who takes one over raises it by one, and by one more with each claim. Then the machine that ends another slice
// at that moment may believe that it was the last, too: what is done then is done twice, and not never.
func (h *hold) endedBefore(ctx context.Context, tx pgx.Tx) (last bool, err error) {
	err = tx.QueryRow(ctx, `SELECT b.ended IS NOT NULL FROM slices s JOIN batches b ON b.id = s.batch WHERE s.batch = $1 AND s.slice = $2 AND s.epoch = $3 + 1 AND s.state = 'ended'`,
		h.Batch, h.Slice, h.Epoch).Scan(&last)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return last, err
}

// freeGrants gives back what a slice that has ended held, but for the money that was spent. The places that are deleted are taken off the limit in
// the same statement, so that the sum of all grants is the limit's granted at every moment.
func freeGrants(ctx context.Context, tx pgx.Tx, batch string, slice int) error {
	if err := shrinkGrants(ctx, tx, batch, slice); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `WITH g AS (DELETE FROM grants WHERE batch = $1 AND slice = $2 RETURNING name, places)
		UPDATE limits SET granted = granted - g.places FROM g WHERE limits.name = g.name`, batch, slice)
	return err
}

// shrinkGrants gives back what a slice has and does not use: its jobs on remotes keep their places and their money. What is in use is counted from
// the slice's attempts, which its owner wrote before each submit, and not from what the owner said: it may be dead. The caller's transaction
// holds the slice's row, so no attempt is added meanwhile.
//
// First the places, of endpoints and of max-parallel: used is what is live by limit, back what is taken off both the grant and the limit. Then the
// money: what was paid, the stake of uncertain submits included, and what live jobs have reserved stay; the rest goes back to the batch.
func shrinkGrants(ctx context.Context, tx pgx.Tx, batch string, slice int) error {
	_, err := tx.Exec(ctx, `WITH live AS (SELECT endpoint FROM attempts WHERE batch = $1 AND slice = $2 AND state IN ('submitting', 'submitted', 'running')),
		used AS (SELECT 'endpoint ' || endpoint AS name, count(*) AS n FROM live GROUP BY 1 UNION ALL SELECT 'batch ' || $1, count(*) FROM live),
		now AS (SELECT g.name, g.places AS had, LEAST(g.places, COALESCE(u.n, 0)) AS n FROM grants g LEFT JOIN used u USING (name) WHERE g.batch = $1 AND g.slice = $2),
		changed AS (UPDATE grants g SET places = now.n, wanted = 0 FROM now WHERE g.name = now.name AND g.batch = $1 AND g.slice = $2 RETURNING g.name, now.had - now.n AS back)
		UPDATE limits SET granted = granted - c.back FROM changed c WHERE limits.name = c.name AND c.back <> 0`, batch, slice)
	if err == nil {
		_, err = tx.Exec(ctx, `WITH paid AS (SELECT COALESCE(SUM(COALESCE(cost, CASE WHEN state = 'uncertain' THEN reserved END)), 0) AS usd,
				COALESCE(SUM(CASE WHEN cost IS NULL AND state IN ('submitting', 'submitted', 'running', 'finished') THEN reserved END), 0) AS live
				FROM attempts WHERE batch = $1 AND slice = $2),
			now AS (SELECT s.granted - GREATEST(0, s.granted - paid.usd - paid.live) AS keep, GREATEST(0, s.granted - paid.usd - paid.live) AS back, paid.usd FROM slices s, paid WHERE s.batch = $1 AND s.slice = $2),
			changed AS (UPDATE slices s SET granted = now.keep, spent = LEAST(now.usd, now.keep) FROM now WHERE s.batch = $1 AND s.slice = $2)
			UPDATE batches SET granted = granted - now.back FROM now WHERE id = $1 AND now.back <> 0`, batch, slice)
	}
	return err
}

// sweep takes the leases of silent owners away and hands their slices out anew; likewise free slices whose job is lost, since a machine died
// between the two.
func (q *Queue) sweep(ctx context.Context) (taken int, err error) {
	err = q.db.Tx(ctx, func(tx pgx.Tx) error {
		taken, err = q.takeOver(ctx, tx)
		return err
	})
	return taken, err
}

// takeOver does sweep's work in a transaction.
func (q *Queue) takeOver(ctx context.Context, tx pgx.Tx) (taken int, err error) {
	// SKIP LOCKED lets several machines sweep at once, each with rows of its own, and leaves out a slice whose owner is writing right now: that one is
	// alive. At most 1000 slices are taken in a round. slice >= 0 leaves out the rows of Places, which have a longer grace. The epoch rises for free
	// slices too, so that a lost job that does turn up is stale.
	rows, err := tx.Query(ctx, `UPDATE slices SET state = 'free', owner = '', epoch = epoch + 1, heartbeat = clock_timestamp() FROM
		(SELECT batch, slice FROM slices WHERE slice >= 0 AND (state = 'held' AND heartbeat < clock_timestamp() - make_interval(secs => $1)
			OR state = 'free' AND heartbeat < clock_timestamp() - make_interval(secs => $2) AND NOT EXISTS (SELECT 1 FROM river_job j
				WHERE j.args @> jsonb_build_object('batch', slices.batch, 'slice', slices.slice, 'epoch', slices.epoch) AND j.kind = 'comfyc_slice'
					AND (j.state IN ('available', 'scheduled', 'retryable', 'pending') OR j.state = 'running' AND j.attempted_at > clock_timestamp() - make_interval(secs => $2)))) ORDER BY batch, slice LIMIT 1000 FOR UPDATE SKIP LOCKED) AS silent
		WHERE slices.batch = silent.batch AND slices.slice = silent.slice RETURNING slices.batch, slices.slice, slices.epoch`, Silence.Seconds(), forgotten.Seconds())
	if err != nil {
		return 0, err
	}
	var found []args
	var a args
	if _, err := pgx.ForEachRow(rows, []any{&a.Batch, &a.Slice, &a.Epoch}, func() error { found = append(found, a); return nil }); err != nil {
		return 0, err
	}
	for _, a := range found {
		if err := errors.Join(shrinkGrants(ctx, tx, a.Batch, a.Slice), q.handOut(ctx, tx, a, 0)); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// forgotten is how long a machine may have a job without taking its slice: then it died in between.
const forgotten = 10 * time.Second
