package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The tables of a shared database, and how they are brought forward. How they hang together:
//
//	batches 1 ─ n slices       the parts that machines run, each with its lease (owner, epoch, heartbeat)
//	        1 ─ n renders      what has ended, of all slices
//	slices  1 ─ n attempts     numbered within the slice, so that slices need not agree on numbers
//	batches 1 ─ n files n ─ 1 blobs   the batch's own files: workflows, inputs
//	limits  1 ─ n grants n ─ 1 slices places of an endpoint, shared out among the slices that want some
//	batches 1 ─ n events       what the runs told, in the order of seq
//
// Deleting a batch takes all of this along (ON DELETE CASCADE), but for blobs, which other batches may use.

// Schema is the Postgres schema that holds all tables, so that a database may be shared with other programs.
const Schema = "comfyc"

var inPostgres = strings.NewReplacer("{batch}", "batch TEXT NOT NULL,", "{slice}", "slice INTEGER NOT NULL,", "{of batch}", "batch,", "{of slice}", "slice,",
	"{blob}", "BYTEA", "{int}", "BIGINT", "{real}", "DOUBLE PRECISION", "{bool}", "BOOLEAN")

// postgresMigrations bring a database forward, as migrations do a file. All times that decide who owns something are the database's own
// (clock_timestamp()); machines' clocks are only recorded.
var postgresMigrations = []string{
	`CREATE TABLE batches (
		id TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL, renders BIGINT NOT NULL,
		started BIGINT NOT NULL DEFAULT 0, -- of the first run, microseconds
		created TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), ended TIMESTAMPTZ,
		owner TEXT NOT NULL DEFAULT '',    -- who submitted it, as the service names its keys
		idempotency TEXT,                  -- the same key is the same batch
		asked TEXT NOT NULL DEFAULT '',    -- '' run, 'cancel', or why all slices are to stop
		budget DOUBLE PRECISION,           -- USD, NULL for none
		granted DOUBLE PRECISION NOT NULL DEFAULT 0, -- USD that slices may spend or have spent: never above budget
		settings TEXT NOT NULL DEFAULT '', -- JSON
		UNIQUE (owner, idempotency)
	);
	CREATE TABLE slices ( -- a range of a batch's renders, run by one owner at a time
		batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, slice INTEGER NOT NULL,
		first BIGINT NOT NULL, past BIGINT NOT NULL, -- renders first ≤ i < past
		state TEXT NOT NULL DEFAULT 'free',          -- free, held, ended
		owner TEXT NOT NULL DEFAULT '', epoch BIGINT NOT NULL DEFAULT 0, heartbeat TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
		tries INTEGER NOT NULL DEFAULT 0,            -- times in a row that it could not be run
		again_failed BOOLEAN NOT NULL DEFAULT FALSE, again_held BOOLEAN NOT NULL DEFAULT FALSE, -- the next run does these once more
		name TEXT NOT NULL DEFAULT '', plan TEXT NOT NULL DEFAULT '', renders BIGINT NOT NULL DEFAULT 0, updated BIGINT NOT NULL DEFAULT 0,
		granted DOUBLE PRECISION NOT NULL DEFAULT 0, spent DOUBLE PRECISION NOT NULL DEFAULT 0,
		totals TEXT NOT NULL DEFAULT '',             -- JSON of scheduler.Totals
		stopped TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
		PRIMARY KEY (batch, slice)
	);
	CREATE INDEX slices_held ON slices (heartbeat) WHERE state = 'held';` +
		inPostgres.Replace(rendersTable+attemptsTable+tokenColumn) + `
	ALTER TABLE renders ADD FOREIGN KEY (batch) REFERENCES batches ON DELETE CASCADE;
	CREATE INDEX renders_by_index ON renders (batch, idx);
	ALTER TABLE attempts ADD FOREIGN KEY (batch) REFERENCES batches ON DELETE CASCADE;
	CREATE TABLE blobs (hash BYTEA PRIMARY KEY, data BYTEA NOT NULL); -- files of batches, each distinct content once
	CREATE TABLE files (
		batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, path TEXT NOT NULL, hash BYTEA NOT NULL REFERENCES blobs,
		PRIMARY KEY (batch, path)
	);
	CREATE TABLE limits ( -- what runs share: an endpoint, or a batch's max-parallel
		name TEXT PRIMARY KEY, places BIGINT NOT NULL, granted BIGINT NOT NULL DEFAULT 0,
		tokens DOUBLE PRECISION NOT NULL DEFAULT 0, filled TIMESTAMPTZ NOT NULL DEFAULT '2000-01-01', -- submits that were allowed, as of when
		taken BIGINT NOT NULL DEFAULT 0, -- submits granted by the last update
		until TIMESTAMPTZ NOT NULL DEFAULT '2000-01-01', open BOOLEAN NOT NULL DEFAULT FALSE, -- no submit before; the breaker is open
		code TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT ''
	);
	CREATE TABLE grants (
		name TEXT NOT NULL REFERENCES limits, batch TEXT NOT NULL, slice INTEGER NOT NULL,
		places BIGINT NOT NULL, wanted BIGINT NOT NULL,
		PRIMARY KEY (name, batch, slice), FOREIGN KEY (batch, slice) REFERENCES slices ON DELETE CASCADE
	);
	CREATE TABLE events (
		batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, seq BIGINT GENERATED ALWAYS AS IDENTITY, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
		body TEXT NOT NULL, -- JSON of scheduler.Event
		PRIMARY KEY (batch, seq)
	);`,
}

// migrateLock is the key of the advisory lock under which one machine migrates and the others wait.
const migrateLock = 0x636d6679

// migratePostgres makes the schema, or brings it forward, all in one transaction: DDL is transactional in Postgres, so a machine that dies
// halfway leaves the old version. Machines of an older comfyc then refuse the newer schema (state_newer) and write nothing.
func migratePostgres(ctx context.Context, conn *pgx.Conn, where string) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit it says so, which is well
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrateLock); err != nil {
		return err
	}
	version, err := postgresVersion(ctx, tx, where)
	if err != nil || version == len(postgresMigrations) {
		return err
	}
	script := "SET LOCAL search_path = " + Schema + ";"
	// IF NOT EXISTS: an administrator may have made the empty schema for a role that may make none.
	if version == 0 {
		script = "CREATE SCHEMA IF NOT EXISTS " + Schema + ";" + script + "CREATE TABLE version (version INTEGER NOT NULL); INSERT INTO version VALUES (0);"
	}
	for _, m := range postgresMigrations[version:] {
		script += m
	}
	script += fmt.Sprintf("UPDATE version SET version = %d;", len(postgresMigrations))
	if _, err := tx.Exec(ctx, script); err != nil {
		return fmt.Errorf("bring the database to version %d: %w", len(postgresMigrations), err)
	}
	return tx.Commit(ctx)
}

// postgresVersion tells which version the schema has, 0 if it is not there. A schema of the name that is not ours is refused.
func postgresVersion(ctx context.Context, tx pgx.Tx, where string) (version int, err error) {
	var ours bool
	var others int
	// Indexes and sequences count among the others too: an empty schema is one with nothing in it.
	err = tx.QueryRow(ctx, `SELECT to_regclass($1 || '.version') IS NOT NULL, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`,
		Schema).Scan(&ours, &others)
	switch {
	case err != nil:
		return 0, err
	case !ours && others > 0:
		return 0, &FileError{Path: where, Code: "state_foreign", Reason: "its schema " + Schema + " is not comfyc's; nothing was changed. Use another database"}
	case !ours:
		return 0, nil
	}
	switch err := tx.QueryRow(ctx, "SELECT version FROM "+Schema+".version").Scan(&version); {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, damaged(where, errors.New("its version is missing"))
	case err != nil:
		return 0, &FileError{Path: where, Code: "state_foreign", Reason: "its schema " + Schema + " is not comfyc's; nothing was changed. Use another database", Err: err}
	case version > len(postgresMigrations):
		return 0, newer(where, version, len(postgresMigrations))
	}
	return version, nil
}
