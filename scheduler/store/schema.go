package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
)

// applicationID marks the file as comfyc's: "cmfy".
const applicationID = 0x636d6679

// migrations bring a state forward, one version each. A published one is never changed; a new one is added at the end.
var migrations = []string{
	`CREATE TABLE meta (
		one INTEGER PRIMARY KEY CHECK (one = 1),
		name TEXT NOT NULL, plan TEXT NOT NULL, renders INTEGER NOT NULL,
		started INTEGER NOT NULL, updated INTEGER NOT NULL -- microseconds since 1970
	);
	CREATE TABLE renders ( -- one row for each render that has ended
		id BLOB PRIMARY KEY, idx INTEGER NOT NULL, state TEXT NOT NULL,
		kind TEXT NOT NULL, reason TEXT NOT NULL, endpoint TEXT NOT NULL, gpu TEXT NOT NULL, remote TEXT NOT NULL, worker TEXT NOT NULL,
		attempts INTEGER NOT NULL, submitted INTEGER NOT NULL, finished INTEGER NOT NULL, seconds REAL NOT NULL, cost REAL,
		files TEXT NOT NULL -- JSON, "" for none
	);
	CREATE TABLE attempts ( -- one row for each submission
		number INTEGER PRIMARY KEY, renders BLOB NOT NULL, -- 40 bytes each: index, big endian, and id
		try INTEGER NOT NULL, state TEXT NOT NULL, endpoint TEXT NOT NULL, gpu TEXT NOT NULL, preview INTEGER NOT NULL,
		remote TEXT NOT NULL, worker TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
		created INTEGER NOT NULL, submitted INTEGER NOT NULL, finished INTEGER NOT NULL, expires INTEGER NOT NULL,
		seconds REAL NOT NULL, reserved REAL, cost REAL
	);`,
}

// FileError says that a state file cannot be used. Nothing in it was changed.
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
		return true, newer(path, int(version))
	}
	return true, nil
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func newer(path string, version int) error {
	return &FileError{Path: path, Code: "state_newer", Reason: fmt.Sprintf("a newer comfyc wrote it (version %d, this one reads up to %d)", version, len(migrations))}
}

// checkOrphanWAL refuses a directory whose state is gone while its log is there: SQLite would throw the log away.
func checkOrphanWAL(path string) error {
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return &FileError{Path: path, Code: "state_damaged", Reason: "it is missing or empty, but its log state.db-wal is there"}
	}
	return nil
}

// migrate brings a state to the newest version, all in one transaction. exists is false for a new file.
func migrate(ctx context.Context, conn *sql.Conn, path string) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return damaged(path, err)
	}
	if version > len(migrations) {
		return newer(path, version)
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
