package ledger

import (
	"context"
	"time"
)

// Event is something that happened to a work, as clients are told. Seq counts from 1 within the work.
// Seq and work are the primary key: the same event twice is one row.
type Event struct {
	Seq  int64
	Time time.Time
	Kind string // state, render, endpoint or notice
	Data string // JSON
}

// AddEvents makes events of a work durable. The epoch must be the newest.
// All of them or none. On Postgres the row of the work is locked until the commit, so no other replica can take the work in
// between.
func (l *Ledger) AddEvents(ctx context.Context, work string, epoch int64, events []Event) error {
	return l.Write(ctx, func(tx *Tx) error {
		if err := tx.holds(work, epoch); err != nil {
			return err
		}
		for _, e := range events {
			if err := tx.Exec("INSERT INTO events (work, seq, at, kind, data) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", work, e.Seq, stamp(e.Time), e.Kind, e.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// Events gives the events of a work after a number, at most limit of them.
// In order of their numbers, which may have gaps.
func (l *Ledger) Events(ctx context.Context, work string, after int64, limit int) ([]Event, error) {
	return list(ctx, l, func(r rowScanner) (e Event, err error) {
		var at int64
		err = r.Scan(&e.Seq, &at, &e.Kind, &e.Data)
		e.Time = when(at)
		return e, err
	}, "SELECT seq, at, kind, data FROM events WHERE work = ? AND seq > ? ORDER BY seq LIMIT ?", work, after, limit)
}

// LastEvent gives the number of a work's newest event, 0 if it has none.
func (l *Ledger) LastEvent(ctx context.Context, work string) (int64, error) {
	return one(ctx, l, func(r rowScanner) (n int64, err error) { return n, r.Scan(&n) }, "SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM events WHERE work = ?", work)
}

// Audit is one line of the audit log: who did what to what.
// Lines are only ever added. Nothing of a request's content stands in them.
type Audit struct {
	Time                          time.Time
	Actor, Action, Object, Detail string
}

// AddAudit makes a line of the audit log durable.
// It returns when the line is on the disk.
func (l *Ledger) AddAudit(ctx context.Context, a Audit) error {
	return l.Write(ctx, func(tx *Tx) error { return tx.audit(a) })
}

// audit writes the line in the transaction of what it tells of.
func (t *Tx) audit(a Audit) error {
	return t.Exec("INSERT INTO audit (at, actor, action, object, detail) VALUES (?,?,?,?,?)", stamp(a.Time), a.Actor, a.Action, a.Object, a.Detail)
}

// AuditLog gives the newest lines.
func (l *Ledger) AuditLog(ctx context.Context, limit int) ([]Audit, error) {
	return list(ctx, l, func(r rowScanner) (a Audit, err error) {
		var at int64
		err = r.Scan(&at, &a.Actor, &a.Action, &a.Object, &a.Detail)
		a.Time = when(at)
		return a, err
	}, "SELECT at, actor, action, object, detail FROM audit ORDER BY at DESC LIMIT ?", limit)
}
