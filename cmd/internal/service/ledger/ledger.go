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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	_ "github.com/comfyc/comfyc/scheduler/store" // registers the SQLite driver
)

// File is the name of the SQLite file in the data folder.
const File = "service.db"

// maxGroup is how many writes share a commit at most.
// It bounds the time that a write waits for others of its group, and what is done again if one of them fails.
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
// done has room for the answer, so that the writer never waits for a caller that has gone.
type op struct {
	run  func(*Tx) error
	done chan error
}

// Open opens the ledger of a data folder, and makes both if they are missing.
// WAL lets reads go on while a commit is under way; synchronous=FULL makes a commit survive a power cut; immediate transactions
// cannot fail half-way for a lock.
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
	l.write.SetMaxOpenConns(1) // SQLite has one writer
	if l.read, err = sql.Open("sqlite", base+"&_pragma=query_only(true)"); err != nil {
		return nil, err
	}
	l.read.SetMaxOpenConns(8)
	l.read.SetMaxIdleConns(8)
	return l.begun(abs)
}

// postgresSchema is the ledger's own schema, whatever the user's name and the other schemas of the database are.
const postgresSchema = "comfyc_service"

// OpenPostgres opens the ledger that replicas share.
// One connection writes, the others read. An address that cannot be parsed is not repeated in the error.
func OpenPostgres(address string) (*Ledger, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of Postgres cannot be read") // the text could hold its password
	}
	cfg.RuntimeParams["search_path"] = postgresSchema
	// A replica that was stopped amid a transaction keeps its locks for so long only.
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "10s"
	cfg.RuntimeParams["statement_timeout"] = "30s"
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(8)
	l := &Ledger{postgres: true, write: db, read: db}
	return l.begun("postgres")
}

// begun starts a ledger, or lets its connections go and gives none.
func (l *Ledger) begun(name string) (*Ledger, error) {
	err := l.start(name)
	if err == nil {
		return l, nil
	}
	if l.conn != nil {
		l.conn.Close()
	}
	return nil, errors.Join(err, l.write.Close(), l.read.Close())
}

// start makes the tables and begins to write.
// It has a minute, in which other replicas may be migrating.
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
// Reads must have ended before it is called.
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
// A function may run twice, see the package's documentation: it must set its results anew each time.
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
	// The caller may give up, the write may not: it is in the group.
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writes is the writing goroutine.
// It takes what is there and never waits for more: a lone write is committed at once, and groups form by themselves while a
// commit is under way.
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
// Alone, a function that fails gets its own error, and the others their commit.
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
// Thirty seconds bound it, so a database that hangs does not hold all writes for ever.
func (l *Ledger) transact(group []*op) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tx := &Tx{ctx: ctx, l: l}
	if err := l.begin(tx); err != nil {
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
	l.conn.ExecContext(context.Background(), "ROLLBACK") // its error does not matter: the transaction is over either way
	return err
}

// begin begins a transaction, on a new connection if the server has ended the old one.
func (l *Ledger) begin(tx *Tx) error {
	err := tx.Exec("BEGIN")
	if err == nil || !l.postgres || tx.ctx.Err() != nil {
		return err
	}
	fresh, ferr := l.write.Conn(tx.ctx)
	if ferr != nil {
		return errors.Join(err, ferr)
	}
	l.conn.Close() // the server knows it no more
	l.conn, l.stmt = fresh, map[string]*sql.Stmt{}
	return tx.Exec("BEGIN")
}

// Tx is the transaction of a group. It is used by the writing goroutine only.
// Statements are prepared once for each text, so texts must be constants, and values parameters.
type Tx struct {
	ctx context.Context // ends with the transaction
	l   *Ledger
}

// prepared gives a statement that is prepared once.
// The map is used by the writing goroutine alone.
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
// No text of a client ever becomes part of a statement.
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
// An error shows at Scan.
func (t *Tx) Row(query string, args ...any) *sql.Row {
	return t.l.conn.QueryRowContext(t.ctx, t.l.bind(query), args...)
}

// databaseNow is Postgres' own clock where a statement has now(?): the replicas' clocks may differ. The file of SQLite has one writer,
// and takes the parameter.
// "0 * ?" keeps the parameter in use, so that both databases count the same parameters.
const databaseNow = "(0 * ?::bigint + (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint)"

// bind writes the parameters as the database wants them.
// It replaces every question mark, so there may be none in a text inside of a statement.
func (l *Ledger) bind(query string) string {
	clock := "?"
	if l.postgres {
		clock = databaseNow
	}
	query = strings.ReplaceAll(query, "now(?)", clock)
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
// All rows are held in memory: queries have a LIMIT where that could be many.
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
// Microseconds are what Postgres keeps, so times come back as they went.
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
