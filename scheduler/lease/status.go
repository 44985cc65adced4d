package lease

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// Status is how a batch stands.
type Status struct {
	ID, Name, Owner string
	Plan            string
	Renders         int
	Created         time.Time
	// Times are the database's, but for Started, which the first owner's clock gave.
	Started time.Time // zero before its first run
	Ended   time.Time // zero while a slice has something to do
	Now     time.Time // the database's clock
	Asked   string    // "cancel" or "fail-fast" once that was asked for, else ""
	Budget  *float64
	Totals  scheduler.Totals // of all slices
	Slices  []SliceStatus
}

// SliceStatus is how a slice stands.
type SliceStatus struct {
	First, Past int
	State       string // free, held, ended
	Owner       string // the machine that holds it
	Epoch       int64
	Heartbeat   time.Time // the database's clock
	Stopped     scheduler.Stop
	Reason      string // why it could not be run, or stopped
}

// Status tells how a batch stands, also while it is run elsewhere. Renders that have ended are counted exactly; those under way as of each
// slice's last report, at most a second ago.
func (q *Queue) Status(ctx context.Context, id string) (s Status, err error) {
	s.ID = id
	// Three statements without a common snapshot: a render that ends between them may be counted as under way and as done, which addCounts evens out.
	var started int64
	var ended *time.Time
	err = q.db.Pool.QueryRow(ctx, `SELECT name, owner, plan, renders, created, started, ended, clock_timestamp(), asked, budget FROM batches WHERE id = $1`, id).
		Scan(&s.Name, &s.Owner, &s.Plan, &s.Renders, &s.Created, &started, &ended, &s.Now, &s.Asked, &s.Budget)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, ErrNoBatch
	}
	if err != nil {
		return s, err
	}
	// The store keeps it in microseconds since 1970, 0 for a batch that was not begun.
	if started > 0 {
		s.Started = time.UnixMicro(started).UTC()
	}
	if ended != nil {
		s.Ended = *ended
	}
	if err := q.addSlices(ctx, &s); err != nil {
		return s, err
	}
	return s, q.addCounts(ctx, &s)
}

// addSlices adds the slices and what their owners last told: sums, but for the ETA, which is that of the slowest. Those of a slice whose owner died
// stay until the next one tells anew.
func (q *Queue) addSlices(ctx context.Context, s *Status) error {
	rows, err := q.db.Pool.Query(ctx, `SELECT first, past, state, owner, epoch, heartbeat, stopped, reason, totals FROM slices WHERE batch = $1 ORDER BY slice`, s.ID)
	if err != nil {
		return err
	}
	var v SliceStatus
	var totals []byte
	_, err = pgx.ForEachRow(rows, []any{&v.First, &v.Past, &v.State, &v.Owner, &v.Epoch, &v.Heartbeat, &v.Stopped, &v.Reason, &totals}, func() error {
		s.Slices = append(s.Slices, v)
		var t scheduler.Totals
		if len(totals) > 0 {
			if err := json.Unmarshal(totals, &t); err != nil {
				return err
			}
		}
		s.Totals.Active += t.Active
		s.Totals.InFlight += t.InFlight
		s.Totals.SpentUSD += t.SpentUSD
		s.Totals.ReservedUSD += t.ReservedUSD
		s.Totals.StakeUSD += t.StakeUSD
		s.Totals.ETA = max(s.Totals.ETA, t.ETA)
		return nil
	})
	s.Totals.BudgetUSD = s.Budget
	return err
}

// addCounts counts the renders that have ended; what is neither that nor under way waits.
func (q *Queue) addCounts(ctx context.Context, s *Status) error {
	rows, err := q.db.Pool.Query(ctx, `SELECT state, count(*) FROM renders WHERE batch = $1 AND idx >= 0 GROUP BY state`, s.ID)
	if err != nil {
		return err
	}
	t := &s.Totals
	var state string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		switch state {
		case scheduler.Done.String():
			t.Done = n
		case scheduler.RenderFailed.String():
			t.Failed = n
		case scheduler.RenderCancelled.String():
			t.Cancelled = n
		case scheduler.Held.String():
			t.Held = n
		}
		return nil
	})
	// Renders without a row have not ended. The reports may be older than the rows, hence the bounds.
	left := max(0, s.Renders-t.Done-t.Failed-t.Cancelled-t.Held)
	t.Active = min(t.Active, left)
	t.Waiting = left - t.Active
	return err
}

// Batches lists the ids of batches, newest first: of one owner, or of all if owner is "".
func (q *Queue) Batches(ctx context.Context, owner string, limit int) (ids []string, err error) {
	rows, err := q.db.Pool.Query(ctx, `SELECT id FROM batches WHERE renders > 0 AND ($1 = '' OR owner = $1) ORDER BY created DESC, id LIMIT $2`, owner, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
