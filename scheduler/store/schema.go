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

// applicationID marks the file as comfyc's: "cmfy".
const applicationID = 0x636d6679

// The two tables that both stores have, told once. In the names of types and in what only Postgres needs (which batch a row
// belongs to) they differ; see inSQLite and inPostgres. Times are microseconds since 1970, 0 for none.
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

	// The token that names a submission, since version 2.
	tokenColumn = `ALTER TABLE attempts ADD COLUMN token TEXT NOT NULL DEFAULT '';`
)

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

// FileError says that a state cannot be used: a file, or a database of many batches. Nothing in it was changed.
type FileError struct {
	Path, Reason string
	Code         string // for `comfyc explain`: state_foreign, state_newer, state_damaged
	Err          error
}

// Error gives path and reason.
func (e *FileError) Error() string { return e.Path + ": " + e.Reason }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// checkHeader looks at a file before SQLite does. It tells whether there is a state; an empty file counts as none.
func checkHeader(path string) (exists bool, err error) {
	foreign := &FileError{Path: path, Code: "state_foreign", Reason: "this is not a state of comfyc; nothing was changed. Move it away, or use another run directory"}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, checkOrphanWAL(path)
	} else if err != nil {
		return false, err
	}
	defer f.Close()
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

func damaged(path string, err error) error {
	return &FileError{Path: path, Code: "state_damaged", Err: err, Reason: "the state is damaged: " + err.Error()}
}
