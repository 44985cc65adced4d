// What the stores have in common: the tables, how they grow from version to version, and the first look at a file that may be somebody else's.
//
// A table of renders grows with what has ended, a table of attempts with what was submitted; what waits has no row, so a batch of a million
// renders begins with an empty state.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// applicationID marks the file as comfyc's: "cmfy". SQLite keeps it in the header's bytes 68 to 71, the version (user_version) in 60 to 63.
const applicationID = 0x636d6679

// The two tables that both stores have, told once. In the names of types and in what only Postgres needs (which batch a row
// belongs to) they differ; see inSQLite and inPostgres. Times are microseconds since 1970, 0 for none.
//
// renders: id is the render's hash of 32 bytes and stays the same when the batch is changed; idx is its place in the plan that was run last, -1
// when it is no more in it. state is done, failed, cancelled or held; kind and reason say why, "" for done. seconds are those that were paid;
// cost is USD, NULL when the endpoint's price is not known, which is not the same as 0. files lists what was collected, with hashes and sizes.
//
// attempts: number counts from 1 in the store (in Postgres: in the slice) and is never used twice. try says how often these renders had been
// submitted. reserved is USD set aside before the submit, cost what it came to. remote is "" until the answer to the submit is there:
// a row without it, in state submitting, is a submission of which nobody knows whether it arrived.
const (
	rendersTable = `CREATE TABLE renders ( -- one row for each render that has ended
		{batch} id {blob} NOT NULL, idx {int} NOT NULL, state TEXT NOT NULL,
		kind TEXT NOT NULL, reason TEXT NOT NULL, endpoint TEXT NOT NULL, gpu TEXT NOT NULL, remote TEXT NOT NULL, worker TEXT NOT NULL,
		attempts {int} NOT NULL, submitted {int} NOT NULL, finished {int} NOT NULL, seconds {real} NOT NULL, cost {real},
		files TEXT NOT NULL, -- JSON, "" for none
		PRIMARY KEY ({of batch} id)
	);`
	attemptsTable = `CREATE TABLE attempts ( -- one row for each submission
		{batch} {slice} number {int} NOT NULL, renders {blob} NOT NULL, -- 40 bytes each: index, big endian, and id
		try {int} NOT NULL, state TEXT NOT NULL, endpoint TEXT NOT NULL, gpu TEXT NOT NULL, preview {bool} NOT NULL,
		remote TEXT NOT NULL, worker TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
		created {int} NOT NULL, submitted {int} NOT NULL, finished {int} NOT NULL, expires {int} NOT NULL,
		seconds {real} NOT NULL, reserved {real}, cost {real},
		PRIMARY KEY ({of batch} {of slice} number)
	);`

	recordColumns  = "id, idx, state, kind, reason, endpoint, gpu, remote, worker, attempts, submitted, finished, seconds, cost, files"
	attemptColumns = "number, renders, try, state, endpoint, gpu, preview, remote, worker, kind, reason, created, submitted, finished, expires, seconds, reserved, cost, token"

	// The token that names a submission, since version 2; "" in rows of version 1. It is as good as a key for the attempt's webhook, so the state
	// of a batch is not for everybody's eyes.
	tokenColumn = `ALTER TABLE attempts ADD COLUMN token TEXT NOT NULL DEFAULT '';`
)

// inSQLite fills in the tables for a file, which holds one batch: the columns batch and slice are not there. SQLite has no booleans; 0 and 1 serve.
var inSQLite = strings.NewReplacer("{batch}", "", "{slice}", "", "{of batch}", "", "{of slice}", "",
	"{blob}", "BLOB", "{int}", "INTEGER", "{real}", "REAL", "{bool}", "INTEGER")

// migrations bring a file forward, one version each. A published one keeps its meaning for ever; a new one is added at the end.
var migrations = []string{
	`CREATE TABLE meta (
		one INTEGER PRIMARY KEY CHECK (one = 1),
		name TEXT NOT NULL, plan TEXT NOT NULL, renders INTEGER NOT NULL,
		started INTEGER NOT NULL, updated INTEGER NOT NULL
	);` + inSQLite.Replace(rendersTable+attemptsTable),
	tokenColumn,
}

// tokenVersion is the version since which attempts have a token.
const tokenVersion = 2

// attemptColumnsOf gives the columns to ask for in a file of an older version, 0 for the newest: what it lacks has the value that bringing it
// forward would give.
func attemptColumnsOf(older int) string {
	if older == 0 || older >= tokenVersion {
		return attemptColumns
	}
	return strings.TrimSuffix(attemptColumns, "token") + "''"
}

// FileError says that a state cannot be used: a file, or a database of many batches. Nothing in it was changed.
type FileError struct {
	Path, Reason string
	Code         string // for `comfyc explain`: state_foreign, state_newer, state_damaged
	Err          error
}

// Error gives path, reason and code.
func (e *FileError) Error() string { return e.Path + ": " + e.Reason + " [" + e.Code + "]" }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// checkHeader looks at a file before SQLite does. It tells whether there is a state; an empty file counts as none. SQLite itself must not be the
// first: opening a foreign database replays its log, and so changes it.
func checkHeader(path string) (exists bool, err error) {
	foreign := &FileError{Path: path, Code: "state_foreign", Reason: "this is not a state of comfyc; nothing was changed. Move it away, or use another run directory"}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, checkOrphanWAL(path)
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	// The header of an SQLite file, of a fixed length.
	head := make([]byte, 100)
	n, err := io.ReadFull(f, head)
	switch {
	case n == 0:
		return false, checkOrphanWAL(path)
	case err != nil || string(head[:16]) != "SQLite format 3\x00":
		return true, foreign
	}
	version, id := be32(head[60:]), be32(head[68:])
	switch {
	case id != applicationID:
		return true, foreign
	case version > uint32(len(migrations)):
		return true, newer(path, int(version), len(migrations))
	}
	return true, nil
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// newer is the refusal of a state that a later version wrote: what its new columns mean cannot be known, so it is not even read.
func newer(path string, version, known int) error {
	return &FileError{Path: path, Code: "state_newer", Reason: fmt.Sprintf("a newer comfyc wrote it (version %d, this one reads up to %d)", version, known)}
}

// checkOrphanWAL refuses a directory whose state is gone while its log is there: SQLite would throw the log away.
func checkOrphanWAL(path string) error {
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return &FileError{Path: path, Code: "state_damaged", Reason: "it is missing or empty, but its log state.db-wal is there"}
	}
	return nil
}

// migrate brings a file to the newest version, all in one transaction.
func migrate(ctx context.Context, conn *sql.Conn, path string) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return damaged(path, err)
	}
	if version > len(migrations) {
		return newer(path, version, len(migrations))
	}
	if version == len(migrations) {
		return nil
	}
	// Both pragmas are part of the transaction: after a crash the file has the old version with the old tables, or the new one with the new.
	script := fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d;", applicationID)
	for _, m := range migrations[version:] {
		script += m
	}
	script += fmt.Sprintf("PRAGMA user_version = %d; COMMIT", len(migrations))
	if _, err := conn.ExecContext(ctx, script); err != nil {
		conn.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("%s: bring the state to version %d: %w", path, len(migrations), err)
	}
	return nil
}

// damaged is for what was read and makes no sense; trouble of the disk or the network has errors of its own.
func damaged(path string, err error) error {
	return &FileError{Path: path, Code: "state_damaged", Err: err, Reason: "the state is damaged: " + err.Error()}
}
