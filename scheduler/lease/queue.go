package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Queue is the database that machines share.
type Queue struct {
	db     *store.Postgres
	insert *river.Client[pgx.Tx] // inserts jobs and runs none
}

// Batch is a batch as it is submitted.
type Batch struct {
	ID          string // "" for a new one; letters, digits, - and _
	Owner       string // who submits, as the service names its keys; Idempotency holds per owner
	Idempotency string // the same key again gives the same batch; "" for none
	Name        string
	Plan        string // hash of the plan that was compiled from Bundle
	Renders     int    // of that plan
	Budget      *float64
	MaxParallel int // shards in flight, of all slices together; 0 means no bound
	Slices      int // into how many ranges it is cut; 0 chooses
	Preview     bool
	Bundle      Bundle
	Endpoints   []string        // that take the place of the batch's own, by name; nil for its own
	MaxUSD      float64         // the budget that takes the place of the batch's own when it is compiled; 0 for its own
	Dir         string          // where its files go, below the batch's own folder; "" for that folder
	Settings    json.RawMessage // whatever Host.Open needs to know besides, such as flags; no secrets
	Turn        int             // of the one who submits, see [Again]
	Told        []Told          // the first events of the batch, before any of its runs'
}

// settings is what the column of that name holds.
type settings struct {
	File        string          `json:"file"`
	MaxParallel int             `json:"max_parallel,omitempty"`
	Preview     bool            `json:"preview,omitempty"`
	Endpoints   []string        `json:"endpoints,omitempty"`
	MaxUSD      float64         `json:"max_usd,omitempty"`
	Dir         string          `json:"dir,omitempty"`
	Turn        int             `json:"turn,omitempty"` // of the last Again
	More        json.RawMessage `json:"more,omitempty"`
}

// ErrNoBatch says that the database has no such batch.
var ErrNoBatch = store.ErrNoBatch

// Open connects to a database and brings its tables to the newest version. Errors: *store.FileError for a database that is not comfyc's.
func Open(ctx context.Context, url string) (*Queue, error) {
	db, err := store.ConnectPostgres(ctx, url)
	if err != nil {
		return nil, err
	}
	q := &Queue{db: db}
	if err := q.prepare(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", db.Where(), err)
	}
	return q, nil
}

func (q *Queue) prepare(ctx context.Context) error {
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riverpgxv5.New(q.db.Pool), &rivermigrate.Config{Schema: store.Schema, Logger: quiet})
	if err != nil {
		return err
	}
	// River's migrations do not wait for each other.
	// The lock belongs to a session, so lock and unlock need the same connection; machines that start together go one after the other.
	err = q.db.Pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if _, err := c.Exec(ctx, "SELECT pg_advisory_lock($1)", migrateLock); err != nil {
			return err
		}
		defer c.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrateLock) //nolint:errcheck // a closed session unlocks too
		_, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("bring the queue's tables forward: %w", err)
	}
	q.insert, err = river.NewClient(riverpgxv5.New(q.db.Pool), &river.Config{Schema: store.Schema, Logger: quiet})
	return err
}

// migrateLock is "cmfy" in ASCII, plus one: the store's own migrations lock the number before it.
const migrateLock = 0x636d6679 + 1

// blobsLock is held by submits together while they store files, and by one that deletes them alone.
const blobsLock = migrateLock + 1

// Close ends all connections. Workers must have ended.
func (q *Queue) Close() { q.db.Close() }

// Ready tells whether the database answers.
func (q *Queue) Ready(ctx context.Context) error { return q.db.Pool.Ping(ctx) }

// Store gives the memory of a whole batch, for reading.
func (q *Queue) Store(id string) scheduler.Store { return q.db.Batch(id) }

// Submit stores a batch and hands out its slices. It gives the batch's id; of the earlier one if the idempotency key, or the id, was used before.
func (q *Queue) Submit(ctx context.Context, b Batch) (id string, err error) {
	if err := b.Bundle.check(); err != nil {
		return "", err
	}
	if b.Renders <= 0 || b.Renders > 1<<31 {
		return "", fmt.Errorf("a batch of %d renders", b.Renders)
	}
	if b.ID == "" {
		b.ID = strings.ToLower(rand.Text()[:16])
	}
	// What no statement has to look at is one column of JSON, so that a new setting needs no migration.
	text, err := json.Marshal(settings{File: b.Bundle.File, MaxParallel: b.MaxParallel, Preview: b.Preview, Endpoints: b.Endpoints, MaxUSD: b.MaxUSD, Dir: b.Dir, Turn: b.Turn, More: b.Settings})
	if err != nil {
		return "", err
	}
	err = q.db.Tx(ctx, func(tx pgx.Tx) error {
		// A conflict waits for the transaction that it is with, so what it stored is seen then.
		tag, err := tx.Exec(ctx, `INSERT INTO batches (id, name, plan, renders, owner, idempotency, budget, settings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT DO NOTHING`, b.ID, b.Name, b.Plan, b.Renders, b.Owner, orNull(b.Idempotency), b.Budget, string(text))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return tx.QueryRow(ctx, "SELECT id FROM batches WHERE owner = $1 AND idempotency = $2 OR id = $3 ORDER BY id <> $3 LIMIT 1", b.Owner, b.Idempotency, b.ID).Scan(&id)
		}
		// Batch, files, first events, slices and jobs are one transaction: after a crash the batch is there to be run, or the caller submits it anew.
		id = b.ID
		if err := b.Bundle.save(ctx, tx, id); err != nil {
			return err
		}
		if err := tell(ctx, tx, id, b.Told); err != nil {
			return err
		}
		return q.cut(ctx, tx, &b)
	})
	return id, err
}

// orNull makes NULL of "": the unique index takes any number of NULLs, so batches without a key never conflict.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Slices are small enough that several machines have work, and large enough that starting one is little beside its renders.
const (
	leastSlice = 64
	mostSlices = 64
)

// For example 1000 renders make 16 slices, 100,000 make 64, and 10 make one. No slice is empty.
func (b *Batch) slices() int {
	n := b.Slices
	if n <= 0 {
		n = min((b.Renders+leastSlice-1)/leastSlice, mostSlices)
	}
	return min(max(n, 1), b.Renders)
}

// cut makes the slices and their jobs.
func (q *Queue) cut(ctx context.Context, tx pgx.Tx, b *Batch) error {
	n := b.slices()
	var jobs []river.InsertManyParams
	out := &pgx.Batch{}
	for i := range n {
		// Ranges [first, past) that differ in length by one at most: 10 renders in 3 slices are 0-3, 3-6 and 6-10.
		out.Queue("INSERT INTO slices (batch, slice, first, past) VALUES ($1, $2, $3, $4)", b.ID, i, i*b.Renders/n, (i+1)*b.Renders/n)
		jobs = append(jobs, river.InsertManyParams{Args: args{Batch: b.ID, Slice: i}})
	}
	if err := tx.SendBatch(ctx, out).Close(); err != nil {
		return err
	}
	_, err := q.insert.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// settings reads how a batch was submitted.
func (q *Queue) settings(ctx context.Context, id string) (s settings, err error) {
	var text string
	err = q.db.Pool.QueryRow(ctx, "SELECT settings FROM batches WHERE id = $1", id).Scan(&text)
	if err != nil {
		return s, noBatch(err)
	}
	return s, json.Unmarshal([]byte(text), &s)
}

// noBatch names what a missing row means.
func noBatch(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoBatch
	}
	return err
}

// Cancel asks all owners of a batch's slices to cancel what is not done. They notice within 5 s; Status tells when it has happened. Slices that
// nobody runs now are cancelled by whoever takes them next. It may be called again; ErrNoBatch if there is no such batch.
func (q *Queue) Cancel(ctx context.Context, id string) error {
	tag, err := q.db.Pool.Exec(ctx, "UPDATE batches SET asked = 'cancel' WHERE id = $1", id)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNoBatch
	}
	return err
}

// Retry hands out the ended slices of a batch again: renders that were cancelled are done then, with failed those that failed, and with
// uncertain those that are held because a submission's answer was lost.
func (q *Queue) Retry(ctx context.Context, id string, failed, uncertain bool) error {
	return q.db.Tx(ctx, func(tx pgx.Tx) error { return q.retry(ctx, tx, id, failed, uncertain) })
}

func (q *Queue) retry(ctx context.Context, tx pgx.Tx, id string, failed, uncertain bool) error {
	// The order to cancel is taken back, and the batch's row stays locked until the slices are free, as in hold.end.
	tag, err := tx.Exec(ctx, "UPDATE batches SET asked = '', ended = NULL WHERE id = $1", id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return ErrNoBatch
	}
	rows, err := tx.Query(ctx, `UPDATE slices SET state = 'free', epoch = epoch + 1, owner = '', tries = 0, stopped = '', reason = '', heartbeat = clock_timestamp(),
		again_failed = $2, again_held = $3 WHERE batch = $1 AND state = 'ended' RETURNING slice, epoch`, id, failed, uncertain)
	if err != nil {
		return err
	}
	return q.enqueue(ctx, tx, rows, id)
}

// enqueue inserts a job for each row of (slice, epoch).
func (q *Queue) enqueue(ctx context.Context, tx pgx.Tx, rows pgx.Rows, batch string) error {
	var jobs []river.InsertManyParams
	a := args{Batch: batch}
	if _, err := pgx.ForEachRow(rows, []any{&a.Slice, &a.Epoch}, func() error {
		jobs = append(jobs, river.InsertManyParams{Args: a})
		return nil
	}); err != nil || len(jobs) == 0 {
		return err
	}
	_, err := q.insert.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// Remove deletes all that is stored of a batch that has ended; its files in run directories stay. ErrNoBatch also for one that is still run.
func (q *Queue) Remove(ctx context.Context, id string) error {
	tag, err := q.db.Pool.Exec(ctx, "DELETE FROM batches WHERE id = $1 AND ended IS NOT NULL", id)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNoBatch
	}
	if err != nil {
		return err
	}
	return q.dropUnnamed(ctx)
}

// dropUnnamed deletes contents that no batch names any more. It waits for submits that are storing theirs, since such a content may be there already
// and be named in a moment; submits that begin later wait for it. If it fails, the next one does it.
func (q *Queue) dropUnnamed(ctx context.Context) error {
	return q.db.Tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", blobsLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash)")
		return err
	})
}

// args is a River job: the right to try for one epoch of a slice.
type args struct {
	Batch string `json:"batch"`
	Slice int    `json:"slice"`
	Epoch int64  `json:"epoch"` // the slice's before it is taken
	// Passed is how often a machine that has a slice of the batch left this one to the others.
	Passed int `json:"passed,omitempty"`
}

// Kind implements river.JobArgs.
func (args) Kind() string { return "comfyc_slice" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (args) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: queueName, MaxAttempts: 3} }

const queueName = "comfyc"

// The clockwork of leases.
const (
	// Silence leaves room for five beats that fail. selfStop comes 10 s before it, so an owner has stopped acting before another one may
	// begin. A submit that is still on its way then was written as an intent, and the next owner finds it.
	Beat     = 5 * time.Second  // between heartbeats
	Silence  = 30 * time.Second // after which a lease is taken away
	selfStop = 20 * time.Second // after which an owner that got no answer stops by itself
)
