package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/comfyc/comfyc/scheduler"
)

// Lease is the right to run one slice of a batch: whoever has the slice's latest epoch may write. A lease that was taken over, or given
// back, writes nothing any more.
type Lease struct {
	Batch string
	Slice int
	Epoch int64
	First int // the batch's index of the slice's first render
	Past  int // and of the one behind its last
}

// PostgresSlice is the durable memory of one slice, for the run that holds its lease. It counts renders from 0, as the run does; the
// rows have the batch's indexes. It implements scheduler.Store; Apply fails with a *scheduler.FencedError when the lease is lost.
type PostgresSlice struct {
	Postgres *Postgres
	Lease
}

var _ scheduler.Store = (*PostgresSlice)(nil)

// Slice gives the memory of a slice.
func (p *Postgres) Slice(l Lease) *PostgresSlice { return &PostgresSlice{Postgres: p, Lease: l} }

// Close implements scheduler.Store. It does not give the lease back.
func (s *PostgresSlice) Close() error { return nil }

// applyTime is how long Apply tries again when the server cannot be reached: less than a lease lasts without a heartbeat (30 s). Beyond that
// the slice may be another's, and its answer would be a FencedError anyway.
const applyTime = 15 * time.Second

// Apply implements scheduler.Store: one round trip, one transaction, one synced commit. All rows are written whole, so a commit whose
// answer was lost may be repeated.
func (s *PostgresSlice) Apply(ctx context.Context, changes []scheduler.Change) error {
	f, err := s.fold(changes)
	if err != nil {
		return err
	}
	// 50 ms, 100 ms, … up to one second between tries: a restart of the server takes some seconds.
	end := time.Now().Add(applyTime)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := s.applyOnce(ctx, f)
		if err == nil || !Unreachable(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// Unreachable tells whether trouble is the connection's or the server's, and not the statement's: then the same may work a moment later. Whether
// it was done is not known.
func Unreachable(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		// The class of an SQLSTATE is its first two characters. A proxy in between may send an error without any.
		switch server.Code[:min(len(server.Code), 2)] {
		case "08", "57", "53", "40": // connection, operator's intervention (a restart), resources, a deadlock
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed) || pgconn.Timeout(err)
}

// applyOnce sends all statements in one go; without an explicit BEGIN they are one transaction. The first one locks the slice's row until
// the commit, so that nobody takes it over in between; each of them is empty if the epoch has changed.
func (s *PostgresSlice) applyOnce(ctx context.Context, f *folded) error {
	b := &pgx.Batch{}
	b.Queue(`UPDATE slices SET heartbeat = clock_timestamp(), updated = $4 WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held'`,
		s.Batch, s.Slice, s.Epoch, time.Now().UnixMicro())
	for _, q := range f.queries {
		b.Queue(q.text, q.args...)
	}
	results := s.Postgres.Pool.SendBatch(ctx, b)
	tag, err := results.Exec()
	// Not one row: the epoch is another's. What the rest answered is read all the same, as the connection goes back into the pool.
	fenced := err == nil && tag.RowsAffected() == 0
	for range f.queries {
		if err == nil {
			_, err = results.Exec()
		}
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.Postgres.where, err)
	case fenced:
		return &scheduler.FencedError{What: s.String()}
	}
	return nil
}

// String names the slice, for messages.
func (l Lease) String() string {
	return fmt.Sprintf("slice %d of batch %s (epoch %d)", l.Slice, l.Batch, l.Epoch)
}
