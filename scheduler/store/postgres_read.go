package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// plain makes a text fit for Postgres, which takes neither NUL nor what is no UTF-8. Texts of remotes may hold both. One bad byte would make the
// whole Apply fail, and with it the record of everything else that happened.
func plain(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// out gives the batch's index of a slice's render; in does the opposite. With First = 1000, render 3 of the slice is 1003 of the batch. -1, for a
// render that is no more in the plan, stays -1.
func (l Lease) out(i int) int {
	if i < 0 {
		return i
	}
	return i + l.First
}

func (l Lease) in(i int) int {
	if i < 0 {
		return i
	}
	return i - l.First
}

func (l Lease) outside(refs []scheduler.RenderRef) []scheduler.RenderRef {
	moved := make([]scheduler.RenderRef, len(refs))
	for k, ref := range refs {
		moved[k] = scheduler.RenderRef{Index: l.out(ref.Index), ID: ref.ID}
	}
	return moved
}

// Meta implements scheduler.Store. Started is the whole batch's first start.
func (s *PostgresSlice) Meta(ctx context.Context) (m scheduler.Meta, err error) {
	var started, updated int64
	err = s.Postgres.Pool.QueryRow(ctx, `SELECT s.name, s.plan, s.renders, b.started, s.updated,
			(SELECT COALESCE(MAX(number), 0) FROM attempts a WHERE a.batch = s.batch AND a.slice = s.slice),
			(SELECT COALESCE(SUM(cost), 0) FROM attempts a WHERE a.batch = s.batch AND a.slice = s.slice)
		FROM slices s JOIN batches b ON b.id = s.batch WHERE s.batch = $1 AND s.slice = $2`, s.Batch, s.Slice).
		Scan(&m.Name, &m.Plan, &m.Renders, &started, &updated, &m.Last, &m.SpentUSD)
	m.Started, m.Updated = fromMicros(started), fromMicros(updated)
	if updated == 0 { // the slice's own first run, though the batch may have begun
		m.Updated = m.Started
	}
	return m, s.wrap(err)
}

// wrap names database and slice; no URL, which may hold a password.
func (s *PostgresSlice) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", s.Postgres.where, s, err)
}

// Attempts implements scheduler.Store.
func (s *PostgresSlice) Attempts(ctx context.Context) iter.Seq2[scheduler.Attempt, error] {
	// The primary key (batch, slice, number) gives them in order without sorting.
	seq := ask(ctx, s.Postgres, scanAttempt, `SELECT `+attemptColumns+` FROM attempts WHERE batch = $1 AND slice = $2 AND state <> 'collected' ORDER BY number`, s.Batch, s.Slice)
	return func(yield func(scheduler.Attempt, error) bool) {
		for a, err := range seq {
			for k := range a.Renders {
				a.Renders[k].Index = s.in(a.Renders[k].Index)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// Records implements scheduler.Store.
func (s *PostgresSlice) Records(ctx context.Context) iter.Seq2[scheduler.Record, error] {
	// Renders that are no more in the plan are the first slice's: only it is run again with another plan.
	first := s.First
	if first == 0 {
		first = -1
	}
	return func(yield func(scheduler.Record, error) bool) {
		active, err := activeRecords(s.Attempts(ctx))
		if err != nil {
			yield(scheduler.Record{}, err)
			return
		}
		merge(active, s.ended(ctx, first), yield)
	}
}

// ended streams the records of the slice's range of indexes, turned into the slice's own.
func (s *PostgresSlice) ended(ctx context.Context, first int) iter.Seq2[scheduler.Record, error] {
	// renders_by_index serves it; a page of records is read at a time, so a batch of a million does not lie in memory.
	seq := ask(ctx, s.Postgres, scanRecord, `SELECT `+recordColumns+` FROM renders WHERE batch = $1 AND idx >= $2 AND idx < $3 ORDER BY idx, id`, s.Batch, first, s.Past)
	return func(yield func(scheduler.Record, error) bool) {
		for rec, err := range seq {
			rec.Render = s.in(rec.Render)
			if !yield(rec, err) {
				return
			}
		}
	}
}

// ask gives the rows of a question, one by one. A connection is taken for as long as the loop over them lasts.
func ask[T any](ctx context.Context, p *Postgres, scan func(row) (T, error), question string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := p.Pool.Query(ctx, question, args...)
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", p.where, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			v, err := scan(rows)
			if err != nil {
				yield(none, damaged(p.where, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, fmt.Errorf("%s: %w", p.where, err))
		}
	}
}

// PostgresBatch is the memory of a whole batch, for reading, also while its slices are run elsewhere. Its numbers of attempts are those
// of the slices, so they may repeat.
type PostgresBatch struct {
	Postgres *Postgres
	ID       string
}

var _ scheduler.Store = (*PostgresBatch)(nil)

// Batch gives the memory of a whole batch.
func (p *Postgres) Batch(id string) *PostgresBatch { return &PostgresBatch{p, id} }

// Meta implements scheduler.Store. The error is ErrNoBatch if there is none.
func (b *PostgresBatch) Meta(ctx context.Context) (m scheduler.Meta, err error) {
	var started, updated int64
	err = b.Postgres.Pool.QueryRow(ctx, `SELECT name, plan, renders, started,
			(SELECT COALESCE(MAX(updated), 0) FROM slices WHERE batch = id),
			(SELECT COALESCE(MAX(number), 0) FROM attempts WHERE batch = id), (SELECT COALESCE(SUM(cost), 0) FROM attempts WHERE batch = id)
		FROM batches WHERE id = $1`, b.ID).Scan(&m.Name, &m.Plan, &m.Renders, &started, &updated, &m.Last, &m.SpentUSD)
	m.Started, m.Updated = fromMicros(started), fromMicros(updated)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, ErrNoBatch
	}
	return m, err
}

// ErrNoBatch says that the database has no such batch.
var ErrNoBatch = errors.New("there is no such batch")

// Attempts implements scheduler.Store.
func (b *PostgresBatch) Attempts(ctx context.Context) iter.Seq2[scheduler.Attempt, error] {
	return ask(ctx, b.Postgres, scanAttempt, `SELECT `+attemptColumns+` FROM attempts WHERE batch = $1 AND state <> 'collected' ORDER BY slice, number`, b.ID)
}

// Records implements scheduler.Store.
func (b *PostgresBatch) Records(ctx context.Context) iter.Seq2[scheduler.Record, error] {
	// A slice from the beginning to beyond any end; only its reading is used.
	whole := &PostgresSlice{Postgres: b.Postgres, Lease: Lease{Batch: b.ID, Past: math.MaxInt64}}
	return func(yield func(scheduler.Record, error) bool) {
		active, err := activeRecords(b.Attempts(ctx))
		if err != nil {
			yield(scheduler.Record{}, err)
			return
		}
		merge(active, whole.ended(ctx, -1), yield)
	}
}

// Apply implements scheduler.Store: it refuses, since only who holds a slice's lease may write.
func (b *PostgresBatch) Apply(context.Context, []scheduler.Change) error {
	return errors.New("the whole batch is open for reading only")
}

// Close implements scheduler.Store.
func (b *PostgresBatch) Close() error { return nil }
