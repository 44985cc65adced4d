package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/comfyc/comfyc/scheduler/store" // registers the SQLite driver
	_ "github.com/jackc/pgx/v5/stdlib"           // the driver "pgx"
)

// File is the name of the SQLite file in the data folder.
const File = "service.db"

// maxGroup is how many writes share a commit at most.
const maxGroup = 512

// Ledger is the durable memory. See the package's documentation.
type Ledger struct {
	postgres bool
	write    *sql.DB
	conn     *sql.Conn // of the writing goroutine alone
	read     *sql.DB

	queue chan *op
	done  chan struct{} // closed when the writer has ended
	mu    sync.RWMutex  // of closed
	ended bool
	stmt  map[string]*sql.Stmt
}

// op is one write that waits.
type op struct {
	run  func(*Tx) error
	done chan error
}

// Open opens the ledger of a data folder, and makes both if they are missing.
func Open(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs)}
	base := uri.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
	l := &Ledger{}
	if l.write, err = sql.Open("sqlite", base+"&_txlock=immediate&_pragma=synchronous(FULL)"); err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	if l.read, err = sql.Open("sqlite", base+"&_pragma=query_only(true)"); err != nil {
		return nil, err
	}
	l.read.SetMaxOpenConns(8)
	l.read.SetMaxIdleConns(8)
	return l, l.start(abs)
}

// OpenPostgres opens the ledger that replicas share.
func OpenPostgres(address string) (*Ledger, error) {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return nil, errors.New("the address of Postgres cannot be read") // the text could hold its password
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(8)
	l := &Ledger{postgres: true, write: db, read: db}
	return l, l.start("postgres")
}

// start makes the tables and begins to write.
func (l *Ledger) start(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := l.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	l.conn, l.stmt = conn, map[string]*sql.Stmt{}
	l.queue, l.done = make(chan *op, maxGroup), make(chan struct{})
	if err := l.migrate(ctx); err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	go l.writes()
	return nil
}

// Close waits for the writes under way. Writes that come later fail. It may be called again.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.ended = true
	close(l.queue)
	l.mu.Unlock()
	<-l.done
	for _, st := range l.stmt {
		st.Close()
	}
	err := l.conn.Close()
	return errors.Join(err, l.write.Close(), l.read.Close())
}

// Shared tells whether other replicas may write too.
func (l *Ledger) Shared() bool { return l.postgres }

// Ping tells whether the database answers.
func (l *Ledger) Ping(ctx context.Context) error { return l.read.PingContext(ctx) }

// errClosed answers writes after Close.
var errClosed = errors.New("the ledger is closed")

// Write runs a function in the next group's transaction and returns when it is durable, or with the function's error. When ctx ends
// first the write may still happen.
func (l *Ledger) Write(ctx context.Context, run func(*Tx) error) error {
	o := &op{run, make(chan error, 1)}
	l.mu.RLock()
	if l.ended {
		l.mu.RUnlock()
		return errClosed
	}
	select {
	case l.queue <- o:
		l.mu.RUnlock()
	case <-ctx.Done():
		l.mu.RUnlock()
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writes is the writing goroutine.
func (l *Ledger) writes() {
	defer close(l.done)
	group := make([]*op, 0, maxGroup)
	for o := range l.queue {
		group = append(group[:0], o)
	more:
		for len(group) < maxGroup {
			select {
			case o, ok := <-l.queue:
				if !ok {
					break more
				}
				group = append(group, o)
			default:
				break more
			}
		}
		l.commit(group)
	}
}

// commit writes a group; if that fails, each of its functions alone.
func (l *Ledger) commit(group []*op) {
	err := l.transact(group)
	if err != nil && len(group) > 1 {
		for _, o := range group {
			o.done <- l.transact([]*op{o})
		}
		return
	}
	for _, o := range group {
		o.done <- err
	}
}

// transact runs a group in one transaction. It is durable when this returns nil; else nothing of it has happened.
func (l *Ledger) transact(group []*op) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tx := &Tx{ctx: ctx, l: l}
	if err := tx.Exec("BEGIN"); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	for _, o := range group {
		if err = o.run(tx); err != nil {
			break
		}
	}
	if err == nil {
		if err = tx.Exec("COMMIT"); err == nil {
			return nil
		}
	}
	l.conn.ExecContext(context.Background(), "ROLLBACK")
	return err
}

// Tx is the transaction of a group. It is used by the writing goroutine only.
type Tx struct {
	ctx context.Context // ends with the transaction
	l   *Ledger
}

// prepared gives a statement that is prepared once.
func (t *Tx) prepared(query string) (*sql.Stmt, error) {
	st := t.l.stmt[query]
	if st == nil {
		var err error
		if st, err = t.l.conn.PrepareContext(t.ctx, t.l.bind(query)); err != nil {
			return nil, err
		}
		t.l.stmt[query] = st
	}
	return st, nil
}

// Exec runs a statement; its parameters are written as question marks.
func (t *Tx) Exec(query string, args ...any) error {
	_, err := t.Change(query, args...)
	return err
}

// Change is Exec that tells how many rows were changed.
func (t *Tx) Change(query string, args ...any) (int64, error) {
	st, err := t.prepared(query)
	if err != nil {
		return 0, err
	}
	result, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return n, err
}

// Row asks for one row within the transaction.
func (t *Tx) Row(query string, args ...any) *sql.Row {
	return t.l.conn.QueryRowContext(t.ctx, t.l.bind(query), args...)
}

// bind writes the parameters as the database wants them.
func (l *Ledger) bind(query string) string {
	if !l.postgres || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	n := 0
	for _, part := range strings.SplitAfter(query, "?") {
		if cut, ok := strings.CutSuffix(part, "?"); ok {
			n++
			b.WriteString(cut + "$" + strconv.Itoa(n))
		} else {
			b.WriteString(part)
		}
	}
	return b.String()
}

// list gives the rows of a question.
func list[T any](ctx context.Context, l *Ledger, scan func(rowScanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := l.read.QueryContext(ctx, l.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// rowScanner is a row of either kind of question.
type rowScanner interface{ Scan(...any) error }

// one gives the row of a question; ErrNone if there is none.
func one[T any](ctx context.Context, l *Ledger, scan func(rowScanner) (T, error), query string, args ...any) (T, error) {
	row, err := scan(l.read.QueryRowContext(ctx, l.bind(query), args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return row, err
}

// ErrNone says that there is no such row.
var ErrNone = errors.New("there is none")

// stamp writes a time, 0 for none.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// when reads a time.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
