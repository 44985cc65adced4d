package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// State is where a work stands.
type State string

// The states of works. The last five are final, until the work is retried.
const (
	Waiting    State = "waiting"
	Running    State = "running"
	Done       State = "done"
	Incomplete State = "incomplete" // some renders failed, are held, or were stopped by budget or deadline
	Failed     State = "failed"     // nothing came of it
	Cancelled  State = "cancelled"
	TimedOut   State = "timed-out" // a job that took longer than its policy allows
)

// Final tells whether a work has ended.
func (s State) Final() bool { return s != Waiting && s != Running && s != "" }

// The kinds of works: which face took them.
const (
	Batch  = "batch"
	RunPod = "runpod"
	Novita = "novita"
	Native = "native"
)

// Work is a batch, or a job that came through a compatible face.
// It is a copy of a row: changing it changes nothing until it is saved.
type Work struct {
	ID       string // sortable by time
	Kind     string
	Owner    string // id of the key, "" without keys
	Pool     string // "" for a batch that names endpoints
	Name     string
	State    State
	Priority int
	Front    bool // it waits before all others of its owner in its line
	Renders  int
	Created  time.Time
	Started  time.Time
	Finished time.Time
	Expires  time.Time // when it is swept, once it has ended; zero while it has not
	Result   string    // JSON: how it stands, in the form of its face
	Error    string    // why it failed, in words
	Spent    float64   // USD, an estimate
	Bytes    int64     // on disk
	Turns    int       // retries
	Wish     string    // WishCancel or WishResubmit
	Epoch    int64     // of the replica that runs it: a write of an older epoch is refused
}

// Order is what comes with a new work besides its row: what is needed to run it, and the client's idempotency key.
// It is stored in one commit with the work.
type Order struct {
	Work
	Request  []byte // without secrets
	Sealed   []byte // the secrets; nil if there are none
	Idem     string // Idempotency-Key, "" for none
	IdemHash []byte // of the request's body
	Audit    *Audit // a line of the audit log for it, if it is new; nil for none
}

// ErrConflict says that an idempotency key was used with another body.
var ErrConflict = errors.New("this Idempotency-Key was used with another body")

const workColumns = "id, kind, owner, pool, name, state, priority, front, renders, created, started, finished, expires, result, error, spent, bytes, turns, wish, epoch"

// scanWork reads a row of workColumns.
func scanWork(row rowScanner) (w Work, err error) {
	var created, started, finished, expires, front int64
	err = row.Scan(&w.ID, &w.Kind, &w.Owner, &w.Pool, &w.Name, &w.State, &w.Priority, &front, &w.Renders, &created, &started, &finished, &expires,
		&w.Result, &w.Error, &w.Spent, &w.Bytes, &w.Turns, &w.Wish, &w.Epoch)
	w.Created, w.Started, w.Finished, w.Expires, w.Front = when(created), when(started), when(finished), when(expires), front != 0
	return w, err
}

// AddWork makes a work durable. If the owner has used the idempotency key before, nothing is added: the work of then comes back, or
// ErrConflict if its body was another.
// fresh is false for a work that was there already. A final State in the order stores a work that never runs.
func (l *Ledger) AddWork(ctx context.Context, o *Order) (w Work, fresh bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change(`INSERT INTO works (id, kind, owner, pool, name, state, priority, renders, created, started, finished, expires, request, sealed,
			result, error, spent, bytes, turns, idem, idem_hash, wish, holder, epoch, beat, front) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,0,?,?,'','',0,0,?) ON CONFLICT DO NOTHING`,
			o.ID, o.Kind, o.Owner, o.Pool, text(o.Name), string(o.State), o.Priority, o.Renders, stamp(o.Created), stamp(o.Started), stamp(o.Finished), stamp(o.Expires),
			blob(o.Request), blob(o.Sealed), o.Result, text(o.Error), o.Bytes, text(o.Idem), blob(o.IdemHash), number(o.Front))
		if fresh, w = n == 1, o.Work; err == nil && fresh && o.Audit != nil {
			err = tx.audit(*o.Audit)
		}
		if err != nil || fresh {
			return err
		}
		return l.sameWork(tx, o, &w)
	})
	return w, fresh, err
}

// number writes a yes or no as both databases keep it.
func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Known gives the work that AddWork would give instead of adding one; ErrNone if it would add one, or refuse it. Nothing is written.
func (l *Ledger) Known(ctx context.Context, o *Order) (w Work, err error) {
	type found struct {
		id   string
		hash []byte
	}
	f, err := one(ctx, l, func(r rowScanner) (f found, err error) { return f, r.Scan(&f.id, &f.hash) },
		"SELECT id, idem_hash FROM works WHERE id = ? OR (owner = ? AND idem = ? AND idem <> '')", o.ID, o.Owner, text(o.Idem))
	if err != nil {
		return w, err
	}
	if w, err = l.Work(ctx, f.id); err == nil && !o.same(f.hash, w) {
		err = ErrNone
	}
	return w, err
}

// same tells whether a work is what an order asks for.
func (o *Order) same(hash []byte, w Work) bool {
	return bytes.Equal(hash, o.IdemHash) && w.Owner == o.Owner && w.Kind == o.Kind && w.Pool == o.Pool
}

// sameWork finds the work that an idempotency key was used for, or the one that has the id.
// Equal content is told by the hash of the request. It must also be the same owner's, of the same face and pool: the ids of prompts are
// chosen by clients, and nobody is given another one's work, or one that his own address does not know.
func (l *Ledger) sameWork(tx *Tx, o *Order, w *Work) error {
	var id string
	var hash []byte
	err := tx.Row("SELECT id, idem_hash FROM works WHERE id = ? OR (owner = ? AND idem = ? AND idem <> '')", o.ID, o.Owner, text(o.Idem)).Scan(&id, &hash)
	if err != nil {
		return fmt.Errorf("find the work of an idempotency key: %w", err)
	}
	*w, err = scanWork(tx.Row("SELECT "+workColumns+" FROM works WHERE id = ?", id))
	if err == nil && !o.same(hash, *w) {
		err = ErrConflict
	}
	return err
}

// text makes a text fit for Postgres, which takes neither NUL nor what is no UTF-8.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// blob keeps NULL out of the tables.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Work gives one work; ErrNone if there is none.
func (l *Ledger) Work(ctx context.Context, id string) (Work, error) {
	return one(ctx, l, scanWork, "SELECT "+workColumns+" FROM works WHERE id = ?", id)
}

// Request gives what a work was submitted as, and its sealed secrets.
// The request is JSON of package queue; both may be megabytes, which is why Work leaves them out.
func (l *Ledger) Request(ctx context.Context, id string) (request, sealed []byte, err error) {
	type pair struct{ request, sealed []byte }
	p, err := one(ctx, l, func(r rowScanner) (p pair, err error) { return p, r.Scan(&p.request, &p.sealed) }, "SELECT request, sealed FROM works WHERE id = ?", id)
	return p.request, p.sealed, err
}

// Filter chooses works for [Ledger.Works].
// The zero value is all kinds and states of works without an owner.
type Filter struct {
	Kinds  []string // nil for all
	Owner  string
	All    bool // all owners
	Pool   string
	States []State // nil for all
	Before string  // ids below this one
	Limit  int     // 0 means 100
	// History lists the works of the native face, and no others, by the time of their end; Skip leaves out the oldest of them and lists the
	// oldest first then.
	History bool
	Skip    *int
}

// order writes in which order the works come. Ids of this service sort by time, so the usual order needs no other column.
func (f Filter) order(limit int) (text string, args []any) {
	switch {
	case !f.History:
		return "id DESC LIMIT ?", []any{limit}
	case f.Skip == nil:
		return "finished DESC, id DESC LIMIT ?", []any{limit}
	}
	return "finished, id LIMIT ? OFFSET ?", []any{limit, *f.Skip}
}

// Works lists works, the newest first.
func (l *Ledger) Works(ctx context.Context, f Filter) ([]Work, error) {
	where, args := f.where()
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	order, more := f.order(limit)
	return list(ctx, l, scanWork, "SELECT "+workColumns+" FROM works WHERE "+where+" ORDER BY "+order, append(args, more...)...)
}

// where writes the filter as SQL. Values are parameters, never part of the text.
func (f Filter) where() (where string, args []any) {
	where = "1 = 1"
	and := func(text string, values ...any) { where += " AND " + text; args = append(args, values...) }
	if !f.All {
		and("owner = ?", f.Owner)
	}
	if f.History {
		and("kind = 'native'") // as the index has it: a parameter would not do
	}
	if f.Pool != "" {
		and("pool = ?", f.Pool)
	}
	if f.Before != "" {
		and("id < ?", f.Before)
	}
	if len(f.Kinds) > 0 {
		and("kind IN ("+marks(len(f.Kinds))+")", anys(f.Kinds)...)
	}
	if len(f.States) > 0 {
		and("state IN ("+marks(len(f.States))+")", anys(f.States)...)
	}
	return where, args
}

// marks gives n question marks between commas.
func marks(n int) string {
	out := []byte{}
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '?')
	}
	return string(out)
}

// anys makes parameters of words.
func anys[T ~string](in []T) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// What somebody wants of a work.
const (
	WishCancel   = "cancel"   // its holder cancels it
	WishResubmit = "resubmit" // submissions whose answer was lost are sent again
	wishForget   = "forget"   // it is being deleted, see Doom
)

// Wish leaves word for the replica that holds a work. ok is false if it has ended.
// One wish at a time: a later one takes the place of an earlier.
func (l *Ledger) Wish(ctx context.Context, id, wish string) (ok bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change("UPDATE works SET wish = ? WHERE id = ? AND state IN ('waiting', 'running')", wish, id)
		ok = n == 1
		return err
	})
	return ok, err
}

// Reopen lets a work that has ended wait again. ok is false if it has not ended.
// Conditional on a final state: of two calls at the same time one gets ok. What was spent stays.
func (l *Ledger) Reopen(ctx context.Context, id, wish string) (ok bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change(`UPDATE works SET state = 'waiting', finished = 0, expires = 0, error = '', turns = turns + 1, wish = ?, holder = '', beat = 0, reserved = 0
			WHERE id = ? AND state NOT IN ('waiting', 'running') AND wish <> 'forget'`, wish, id)
		ok = n == 1
		return err
	})
	return ok, err
}

// End closes a work that nobody runs: it was cancelled while it waited. ok is false if it does not wait.
// epoch is raised, so that a holder that was about to take it writes nothing.
func (l *Ledger) End(ctx context.Context, id string, state State, now, expires time.Time) (ok bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change("UPDATE works SET state = ?, finished = ?, expires = ?, epoch = epoch + 1 WHERE id = ? AND state = 'waiting'", string(state), stamp(now), stamp(expires), id)
		ok = n == 1
		return err
	})
	return ok, err
}

// Expired lists works that have ended and whose time is over.
// The oldest first; expires is 0 while a work has not ended.
func (l *Ledger) Expired(ctx context.Context, now time.Time, limit int) ([]Work, error) {
	return list(ctx, l, scanWork, "SELECT "+workColumns+" FROM works WHERE expires > 0 AND expires < ? ORDER BY expires LIMIT ?", stamp(now), limit)
}

// Doom says that a work which has ended is about to be deleted: from here on nobody can let it run again, and a sweep finds it if what was
// begun is not finished. ok is false if it has not ended, or is not there.
func (l *Ledger) Doom(ctx context.Context, id string) (ok bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change("UPDATE works SET wish = ?, expires = 1 WHERE id = ? AND state NOT IN ('waiting', 'running')", wishForget, id)
		ok = n == 1
		return err
	})
	return ok, err
}

// Forget drops a work with all that belongs to it, but for what it has spent. Doom comes before it, where somebody could let the work run again.
// One transaction: what the work has spent is added to its owner's month before the row goes. A work that is not there is no
// error; there tells whether it was.
func (l *Ledger) Forget(ctx context.Context, id string) (there bool, err error) {
	err = l.Write(ctx, func(tx *Tx) error {
		if err := tx.remember(id); err != nil {
			return err
		}
		for _, query := range []string{"DELETE FROM events WHERE work = ?", "DELETE FROM parts WHERE work = ?", "DELETE FROM deliveries WHERE work = ?"} {
			if err := tx.Exec(query, id); err != nil {
				return err
			}
		}
		n, err := tx.Change("DELETE FROM works WHERE id = ?", id)
		there = n == 1
		return err
	})
	return there, err
}

// remember adds what a work has spent to what its owner's deleted works of that month have.
// Without it, deleting works would give a key its budget back.
func (t *Tx) remember(id string) error {
	var owner string
	var created int64
	var spent float64
	err := t.Row("SELECT owner, created, spent FROM works WHERE id = ?", id).Scan(&owner, &created, &spent)
	if errors.Is(err, sql.ErrNoRows) || err == nil && spent == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	at := when(created).UTC()
	month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return t.Exec("INSERT INTO bygone (owner, month, spent) VALUES (?,?,?) ON CONFLICT (owner, month) DO UPDATE SET spent = bygone.spent + excluded.spent", owner, stamp(month), spent)
}

// bygoneSum is what an owner's deleted works have spent since a month began, in a query whose next parameters are the owner and the time.
const bygoneSum = "(SELECT COALESCE(SUM(spent), 0) FROM bygone WHERE owner = ? AND month >= ?)"

// Count is how many works of one owner, pool and kind are in a state, with their money and bytes.
type Count struct {
	Owner, Pool, Kind string
	State             State
	Works             int
	Spent             float64
	Bytes             int64
	Turns             int
}

// Counts sums the works up that were made since a time.
// It reads all works of the time, so it is for starts and beats, not for requests.
func (l *Ledger) Counts(ctx context.Context, since time.Time) ([]Count, error) {
	return list(ctx, l, func(r rowScanner) (c Count, err error) {
		return c, r.Scan(&c.Owner, &c.Pool, &c.Kind, &c.State, &c.Works, &c.Spent, &c.Bytes, &c.Turns)
	}, `SELECT owner, pool, kind, state, COUNT(*), SUM(spent), CAST(SUM(bytes) AS BIGINT), CAST(SUM(turns) AS BIGINT) FROM works WHERE created >= ? GROUP BY owner, pool, kind, state ORDER BY owner, pool, kind, state`, stamp(since))
}

// Usage is what an owner has spent since a month began, by works that are deleted too, and holds on disk.
// Costs are estimates. bytes is of all works that are still kept, whenever they were made.
func (l *Ledger) Usage(ctx context.Context, owner string, since time.Time) (spent float64, bytes int64, err error) {
	type pair struct {
		spent float64
		bytes int64
	}
	p, err := one(ctx, l, func(r rowScanner) (p pair, err error) { return p, r.Scan(&p.spent, &p.bytes) },
		"SELECT COALESCE(SUM(CASE WHEN created >= ? THEN spent ELSE 0 END), 0) + "+bygoneSum+", CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM works WHERE owner = ?", stamp(since), owner, stamp(since), owner)
	return p.spent, p.bytes, err
}
