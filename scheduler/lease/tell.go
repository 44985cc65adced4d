package lease

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// Told is an event that comes from no run: somebody who watches over a batch tells it to all who watch it.
type Told struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

// Tell adds events to a batch's, after all that were told before. They are durable when it returns.
func (q *Queue) Tell(ctx context.Context, id string, events ...Told) error {
	return q.db.Tx(ctx, func(tx pgx.Tx) error { return tell(ctx, tx, id, events) })
}

// tell adds events within a transaction: they become visible together with what else it does, or not at all.
func tell(ctx context.Context, tx pgx.Tx, id string, events []Told) error {
	if len(events) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, lockEvents, id); err != nil {
		return err
	}
	for _, e := range events {
		text, err := json.Marshal(struct {
			Time time.Time
			Told Told
		}{time.Now().UTC(), e})
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO events (batch, body) VALUES ($1, $2)", id, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// lockEvents is held while a batch's events are written: under it their numbers become visible in their order, so that no watcher skips one.
const lockEvents = `SELECT pg_advisory_xact_lock(hashtextextended('comfyc events ' || $1, 0))`

// Again is how a batch that has ended is done once more.
type Again struct {
	Turn              int      // from 1; a turn that was begun before, or is older than that, changes nothing
	Failed, Uncertain bool     // as in [Queue.Retry]
	Budget            *float64 // from now on
	Told              []Told   // the first events of the turn
}

// Again is [Queue.Retry] for somebody who may ask for the same thing twice, since the answer to the first time was lost.
func (q *Queue) Again(ctx context.Context, id string, a Again) error {
	return q.db.Tx(ctx, func(tx pgx.Tx) error {
		var text string
		if err := tx.QueryRow(ctx, "SELECT settings FROM batches WHERE id = $1 FOR UPDATE", id).Scan(&text); err != nil {
			return noBatch(err)
		}
		var s settings
		// FOR UPDATE makes two askers of the same turn come one after the other; the second one finds it begun.
		if err := json.Unmarshal([]byte(text), &s); err != nil || a.Turn <= s.Turn {
			return err
		}
		s.Turn = a.Turn
		changed, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE batches SET settings = $2, budget = $3 WHERE id = $1", id, string(changed), a.Budget); err != nil {
			return err
		}
		if err := tell(ctx, tx, id, a.Told); err != nil {
			return err
		}
		return q.retry(ctx, tx, id, a.Failed, a.Uncertain)
	})
}

// Turn tells which turn of a batch was begun last; ErrNoBatch if there is no such batch.
func (q *Queue) Turn(ctx context.Context, id string) (int, error) {
	s, err := q.settings(ctx, id)
	return s.Turn, err
}

// maxPassed is how often a slice is left to others, passWait how long each time, on average: by the database's clock, and by chance, since machines
// that look for jobs at the same pace would come in the same order each time.
const (
	maxPassed = 8
	passWait  = 250 * time.Millisecond
)

// pass leaves a slice to other machines for a moment.
func (q *Queue) pass(ctx context.Context, a args) error {
	a.Passed++
	return q.db.Tx(ctx, func(tx pgx.Tx) error {
		// A new job for the same epoch, in place of the one that is being worked on: if the slice is taken meanwhile it will find it so and do nothing.
		return q.handOut(ctx, tx, a, rand.N(2*passWait))
	})
}

// begin notes that this machine tries for a slice of a batch, until done is called. free tells that it has no other one of it.
func (w *Worker) begin(batch string) (free bool, done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[batch]++
	return w.jobs[batch] == 1, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.jobs[batch]--; w.jobs[batch] == 0 {
			delete(w.jobs, batch)
		}
	}
}
