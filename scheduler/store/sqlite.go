// One batch in one file. There is one connection for writing, which is used by hand (BEGIN, COMMIT) and keeps its prepared statements, and
// a pool of others for reading, which see the last commit and never wait for the writer (WAL).

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/durable"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Dir is the folder of a run directory that holds the state.
const Dir = ".comfyc"

// SQLite is the state of one batch in a file. See [Open] and [OpenRead].
type SQLite struct {
	path  string
	lock  *os.File  // nil if read only
	write *sql.DB   // one connection; nil if read only
	conn  *sql.Conn // that one connection, held from Open to Close
	read  *sql.DB   // any number of connections, read only
	older int       // the version of a file that was opened for reading and is older than ours; 0 if it is not

	mu   sync.Mutex           // of Apply and Close
	stmt map[string]*sql.Stmt // by text, on conn
	args []any                // scratch space of putAttempts
}

var _ scheduler.Store = (*SQLite)(nil)

// Open opens the state of a run directory for a run, and makes directory and state if they are missing. It holds the directory's lock until
// Close. Errors: *LockedError if another process holds it, *FileError if the state cannot be used.
func Open(dir string) (*SQLite, error) {
	folder := filepath.Join(dir, Dir)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, err
	}
	// The lock is ours from here on; every way out gives it back.
	s := &SQLite{path: filepath.Join(folder, "state.db"), lock: lock, stmt: map[string]*sql.Stmt{}}
	if err := s.openWrite(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OpenRead opens the state of a run directory for reading, also while a run uses it. The error is os.ErrNotExist if there is none.
func OpenRead(dir string) (*SQLite, error) {
	s := &SQLite{path: filepath.Join(dir, Dir, "state.db")}
	exists, err := checkHeader(s.path)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("%s: %w", s.path, os.ErrNotExist)
	}
	s.read = open(s.path, "mode=ro")
	if err := s.read.Ping(); err != nil && !s.hasLog() {
		// On a disk that cannot be written SQLite cannot make the files by which readers and a writer meet; nobody writes there either.
		_ = s.read.Close()
		s.read = open(s.path, "mode=ro&immutable=1")
	}
	if err := s.findVersion(); err != nil {
		_ = s.read.Close()
		return nil, err
	}
	return s, nil
}

// findVersion asks for the version of a file that is only read, and so is not brought forward. The header was looked at already, but what the log
// holds may be newer.
func (s *SQLite) findVersion() error {
	var version int
	if err := s.read.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if version > len(migrations) {
		return newer(s.path, version, len(migrations))
	}
	if version < len(migrations) {
		s.older = version
	}
	return nil
}

// hasLog tells whether there is a log that has to be read with the state.
func (s *SQLite) hasLog() bool {
	info, err := os.Stat(s.path + "-wal")
	return err == nil && info.Size() > 0
}

// open only prepares: the first use connects. how is what is added to the URI, such as mode=ro.
func open(path, how string) *sql.DB {
	// The path is given as a file: URI, in which ?, # and % are escaped.
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	// 10 s of patience: another process may be in the middle of a checkpoint, or `comfyc status` of its first look.
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs)}
	db, err := sql.Open("sqlite", uri.String()+"?_pragma=busy_timeout(10000)&"+how)
	if err != nil {
		panic(err) // the driver is not there
	}
	return db
}

// openWrite goes from looking to writing: the header, then the whole file (quick_check), then migrations, then the log. Up to the migrations the file
// is as it was, whatever is found.
func (s *SQLite) openWrite() error {
	ctx := context.Background()
	exists, err := checkHeader(s.path)
	if err != nil {
		return err
	}
	// FULL syncs the log at each commit; NORMAL would lose the last commits with the power, and with them the ids of jobs that are paid for.
	s.write = open(s.path, "_txlock=immediate&_pragma=synchronous(FULL)")
	s.write.SetMaxOpenConns(1)
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return damaged(s.path, err)
	}
	if exists {
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	// A new file gets its tables before it gets a log, so that its header names it as ours from the first moment on.
	if err := migrate(ctx, s.conn, s.path); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.read = open(s.path, "mode=ro")
	// The file's content is SQLite's matter; that its name is in the folder after a power cut is ours.
	return durable.SyncDir(filepath.Dir(s.path))
}

// check looks for damage, before anything is written.
func (s *SQLite) check(ctx context.Context) error {
	var verdict string
	// quick_check reads all pages but does not compare indexes with tables; 1: the first fault is enough.
	if err := s.conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return damaged(s.path, err)
	}
	if verdict != "ok" {
		return damaged(s.path, errors.New(verdict))
	}
	return nil
}

// Close implements scheduler.Store and gives the lock back.
func (s *SQLite) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.stmt {
		errs = append(errs, st.Close())
	}
	clear(s.stmt)
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.conn != nil {
		errs = append(errs, ignoreClosed(s.conn.Close()))
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, giveLock(s.lock))
		s.lock = nil
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// Apply implements scheduler.Store: one transaction, durable when it returns.
func (s *SQLite) Apply(ctx context.Context, changes []scheduler.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return errors.New("the state was opened for reading only")
	}
	if _, err := s.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	err := s.applyAll(ctx, changes)
	if err == nil {
		_, err = s.exec(ctx, "COMMIT")
	}
	if err != nil {
		// Also when ctx is done: a transaction left open would be part of the next Apply.
		s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// applyAll writes the attempts first: they have a table of their own, so only their order among themselves matters.
func (s *SQLite) applyAll(ctx context.Context, changes []scheduler.Change) error {
	if err := s.putAttempts(ctx, changes); err != nil {
		return err
	}
	for _, ch := range changes {
		if err := s.apply(ctx, ch); err != nil {
			return err
		}
	}
	_, err := s.exec(ctx, "UPDATE meta SET updated = ?", time.Now().UnixMicro())
	return err
}

// exec runs a statement that is prepared once. There are about ten different ones, so the map needs no bound.
func (s *SQLite) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st := s.stmt[query]
	if st == nil {
		var err error
		if st, err = s.conn.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		s.stmt[query] = st
	}
	return st.ExecContext(ctx, args...)
}

// query gives the rows of a question through a connection of its own.
func query[T any](ctx context.Context, s *SQLite, scan func(row) (T, error), question string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := s.read.QueryContext(ctx, question, args...)
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", s.path, err))
			return
		}
		// Whoever breaks off the loop gets here too; an open reader would keep the log from being cut.
		defer rows.Close()
		for rows.Next() {
			row, err := scan(rows)
			if err != nil {
				yield(none, damaged(s.path, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, fmt.Errorf("%s: %w", s.path, err))
		}
	}
}
