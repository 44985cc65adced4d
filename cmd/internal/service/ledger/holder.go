package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Who runs a work. A replica takes a work by one conditional update that raises its epoch, and beats; a work whose holder is silent may be
// taken by another, and then the old holder writes nothing any more, as each of its writes names its epoch. On Postgres only the database's
// clock counts, so that the replicas' clocks may differ; elsewhere it is the caller's.

// Open lists the works that have not ended, the oldest first, without those whose holder has shown itself within silence.
// It sees waiting works (beat 0) and those of silent holders, in any state that is not final.
func (l *Ledger) Open(ctx context.Context, now time.Time, silence time.Duration, limit int) ([]Work, error) {
	return list(ctx, l, scanWork, "SELECT "+workColumns+" FROM works WHERE state IN ('waiting', 'running') AND beat < now(?) - ? ORDER BY created, id LIMIT ?",
		stamp(now), silence.Microseconds(), limit)
}

// Take makes a replica the holder of a work that nobody holds, or whose holder was silent for so long, and its state Running. A work that waits
// is not taken if `most` of its owner's run on all replicas together; 0 means no bound. ok tells whether it was taken.
// started keeps the time of the first turn. The sum over the owner's works and the change are one statement under a lock, so
// that two replicas cannot both take the last place of a key.
func (l *Ledger) Take(ctx context.Context, id, holder string, now time.Time, silence time.Duration, most int) (w Work, ok bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		if most > 0 {
			if err := tx.exclude(); err != nil {
				return err
			}
		}
		n, err := tx.Change(`UPDATE works SET holder = ?, epoch = epoch + 1, beat = now(?), state = 'running', started = CASE WHEN started = 0 THEN ? ELSE started END
			WHERE id = ? AND state IN ('waiting', 'running') AND beat < now(?) - ? AND (? = 0 OR state = 'running'
				OR (SELECT COUNT(*) FROM works o WHERE o.owner = works.owner AND o.state = 'running') < ?)`,
			holder, stamp(now), stamp(now), id, stamp(now), silence.Microseconds(), most, most)
		if ok = n == 1; err != nil || !ok {
			return err
		}
		w, err = scanWork(tx.Row("SELECT "+workColumns+" FROM works WHERE id = ?", id))
		return err
	})
	return w, ok, err
}

// exclude lets one replica at a time look at sums and act on them.
// The lock is the database's and ends with the transaction. SQLite has one writer anyhow.
func (t *Tx) exclude() error {
	if !t.l.postgres {
		return nil
	}
	return t.Exec("SELECT pg_advisory_xact_lock(7710643)")
}

// Beat shows that a replica is alive, for all that it holds.
// One statement for all works of the replica, every five seconds.
func (l *Ledger) Beat(ctx context.Context, holder string, now time.Time) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("UPDATE works SET beat = now(?) WHERE holder = ? AND state IN ('waiting', 'running')", stamp(now), holder)
	})
}

// Release gives up what a replica holds, so that another one goes on at once.
// beat 0 makes the works look silent, so the next look of any replica takes them.
func (l *Ledger) Release(ctx context.Context, holder string) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("UPDATE works SET holder = '', beat = 0 WHERE holder = ? AND state IN ('waiting', 'running')", holder)
	})
}

// ReleaseOne is Release for one work.
func (l *Ledger) ReleaseOne(ctx context.Context, id, holder string) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("UPDATE works SET holder = '', beat = 0 WHERE id = ? AND holder = ? AND state IN ('waiting', 'running')", id, holder)
	})
}

// Held lists what a replica holds, with what others wish of it.
// The order is the database's own.
func (l *Ledger) Held(ctx context.Context, holder string) ([]Work, error) {
	return list(ctx, l, scanWork, "SELECT "+workColumns+" FROM works WHERE holder = ? AND state IN ('waiting', 'running')", holder)
}

// Load is how many works of an owner wait, or run here or elsewhere.
type Load struct {
	Owner       string
	Batch       bool
	State       State
	Here, Works int // Here: of the works, those that the replica holds
}

// Loads sums up the works that have not ended.
// Sorted by owner, kind and state; the numbers are of the moment of the read.
func (l *Ledger) Loads(ctx context.Context, holder string) ([]Load, error) {
	return list(ctx, l, func(r rowScanner) (o Load, err error) {
		return o, r.Scan(&o.Owner, &o.Batch, &o.State, &o.Here, &o.Works)
	}, `SELECT owner, kind = 'batch', state, CAST(SUM(CASE WHEN holder = ? THEN 1 ELSE 0 END) AS BIGINT), COUNT(*) FROM works WHERE state IN ('waiting', 'running')
		GROUP BY owner, kind = 'batch', state ORDER BY 1, 2, 3`, holder)
}

// Reserve sets a part of its owner's budget aside for a work that its holder is about to run: what is left of the budget beside what the owner's
// works have spent since a time, and what those that run may spend, but at most `most`. It is 0 if nothing is left.
// The new sum counts from what the work has spent in earlier turns. ErrFenced if another replica has the work by now.
func (l *Ledger) Reserve(ctx context.Context, w Work, budget, most float64, since time.Time) (usd float64, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		if err := tx.exclude(); err != nil {
			return err
		}
		var used float64
		err := tx.Row(`SELECT COALESCE(SUM(CASE WHEN state = 'running' AND reserved > spent AND id <> ? THEN reserved WHEN created >= ? THEN spent ELSE 0 END), 0) + `+bygoneSum+` FROM works WHERE owner = ?`,
			w.ID, stamp(since), w.Owner, stamp(since), w.Owner).Scan(&used)
		if err != nil {
			return err
		}
		usd = max(0, min(budget-used, most))
		n, err := tx.Change("UPDATE works SET reserved = spent + ? WHERE id = ? AND epoch = ?", usd, w.ID, w.Epoch)
		if err == nil && n == 0 {
			return ErrFenced
		}
		return err
	})
	return usd, err
}

// ErrFenced says that another replica has taken a work over.
var ErrFenced = errors.New("another replica has taken this work over")

// SaveWork writes a work's state, times, result, error, money and size. The epoch must be the newest.
// It also ends the reservation. ErrFenced if another replica has taken the work: then nothing was written, and must not be
// told.
func (l *Ledger) SaveWork(ctx context.Context, w Work) error {
	return l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change(`UPDATE works SET state = ?, started = ?, finished = ?, expires = ?, result = ?, error = ?, spent = ?, bytes = ?, renders = ?, turns = ?, reserved = 0
			WHERE id = ? AND epoch = ?`, string(w.State), stamp(w.Started), stamp(w.Finished), stamp(w.Expires), w.Result, text(w.Error), w.Spent, w.Bytes, w.Renders, w.Turns, w.ID, w.Epoch)
		if err == nil && n == 0 {
			return ErrFenced
		}
		return err
	})
}

// holds fails with ErrFenced if an epoch of a work is not its newest, and lets nobody raise it before the transaction has ended. The file of SQLite
// has one writer, who holds everything.
func (t *Tx) holds(work string, epoch int64) error {
	if !t.l.postgres {
		return nil
	}
	var newest int64
	err := t.Row("SELECT epoch FROM works WHERE id = ? FOR UPDATE", work).Scan(&newest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err != nil || newest != epoch { // or it was deleted
		return ErrFenced
	}
	return nil
}
