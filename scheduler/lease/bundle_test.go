package lease

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A batch is removed while another one with the same files is being submitted: whoever comes second waits, and the files are there.
func TestRemoveDuringASubmit(t *testing.T) {
	q, _ := newQueue(t)
	b := fakeBatch(3, 1)
	first := submit(t, q, b)
	if _, err := q.db.Pool.Exec(ctx, "UPDATE batches SET ended = now()"); err != nil {
		t.Fatal(err)
	}
	removed := make(chan error, 1)
	err := q.db.Tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO batches (id, name, plan, renders, owner, settings) VALUES ('second', '', '', 3, '', '{\"file\": \"batch.yaml\"}')"); err != nil {
			return err
		}
		if err := b.Bundle.save(ctx, tx, "second"); err != nil {
			return err
		}
		go func() { removed <- q.Remove(ctx, first) }()
		return untilWaited(t, q, removed)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
	got, err := q.Bundle(ctx, "second")
	if err != nil || len(got.Files) != len(b.Bundle.Files) {
		t.Errorf("%d files, %v", len(got.Files), err)
	}
	// And the other way round: what is not named by then is deleted, and stored anew by a submit that comes during it.
	if _, err := q.db.Pool.Exec(ctx, "UPDATE batches SET ended = now()"); err != nil {
		t.Fatal(err)
	}
	if err := q.Remove(ctx, "second"); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := q.db.Pool.QueryRow(ctx, "SELECT count(*) FROM blobs").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d contents are left, %v", left, err)
	}
}

// untilWaited returns when a statement waits for an advisory lock, or the channel says that what should wait has ended.
func untilWaited(t *testing.T, q *Queue, done chan error) error {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var waiting int
		if err := q.db.Pool.QueryRow(context.Background(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&waiting); err != nil {
			return err
		}
		if waiting > 0 {
			return nil
		}
		select {
		case err := <-done:
			t.Error("it did not wait")
			done <- err
			return nil
		default:
		}
	}
	t.Error("nothing waits")
	return nil
}
