// Rows and the values of the scheduler, both ways. Everything is written whole under its own key (INSERT OR REPLACE), so a change that is
// applied twice does no harm. What is read is checked like anything from outside: a state or kind that is not known, or an id of another length,
// is an error and no zero value, since a guess here could pay for a render twice.

package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// errEmptyChange is the refusal of a change that changes nothing, which is a bug of the caller; all stores refuse the whole list.
var errEmptyChange = errors.New("an empty change")

// apply makes one change within a transaction, if it is not an attempt's.
func (s *SQLite) apply(ctx context.Context, ch scheduler.Change) (err error) {
	switch {
	case ch.Attempt != nil: // written already
	case ch.Record != nil:
		err = s.putRecord(ctx, ch.Record)
	case ch.Drop != nil:
		_, err = s.exec(ctx, "DELETE FROM renders WHERE id = ?", ch.Drop[:])
	case ch.Move != nil:
		_, err = s.exec(ctx, "UPDATE renders SET idx = ? WHERE id = ?", ch.Move.Index, ch.Move.ID[:])
	case ch.Meta != nil:
		m := ch.Meta
		_, err = s.exec(ctx, "INSERT OR REPLACE INTO meta VALUES (1, ?, ?, ?, ?, 0)", m.Name, m.Plan, m.Renders, micros(m.Started))
	default:
		err = errEmptyChange
	}
	return err
}

// manyRows is how many attempts one statement writes: a fifth of a row's cost is the statement's. 16 rows of 19 values are 304 parameters,
// well below SQLite's bound of 32,766.
const manyRows = 16

var (
	putOne  = "INSERT OR REPLACE INTO attempts VALUES " + attemptRow
	putMany = putOne + strings.Repeat(","+attemptRow, manyRows-1)
)

// attemptRow has a place for each of the 19 columns in attemptColumns.
const attemptRow = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

// putAttempts writes the rows of all attempts among some changes, in their order.
func (s *SQLite) putAttempts(ctx context.Context, changes []scheduler.Change) error {
	args, rows := s.args[:0], 0
	// What is left in the scratch space would keep texts and lists of renders from being collected as garbage.
	defer func() { clear(s.args[:cap(s.args)]) }()
	for _, ch := range changes {
		if ch.Attempt == nil {
			continue
		}
		args = appendAttempt(args, ch.Attempt)
		if rows++; rows < manyRows {
			continue
		}
		if _, err := s.exec(ctx, putMany, args...); err != nil {
			return err
		}
		s.args, args, rows = args, args[:0], 0
	}
	// The rest, fewer than manyRows, row by row: one more prepared statement for every possible number would not pay.
	for each := len(args) / max(rows, 1); len(args) > 0; args = args[each:] {
		if _, err := s.exec(ctx, putOne, args[:each]...); err != nil {
			return err
		}
	}
	return nil
}

// The order is that of the table's columns, with token, which was added later, at the end.
func appendAttempt(args []any, a *scheduler.Attempt) []any {
	return append(args, a.Number, packRefs(a.Renders), a.Try, a.State.String(), a.Endpoint, a.GPU, a.Preview, a.Remote, a.Worker, a.Kind.String(), a.Reason,
		micros(a.Created), micros(a.Submitted), micros(a.Finished), micros(a.Expires), a.Seconds, a.ReservedUSD, a.CostUSD, a.Token)
}

// putRecord overwrites by id, so a render that was failed and is done now has one row.
func (s *SQLite) putRecord(ctx context.Context, r *scheduler.Record) error {
	files, err := packFiles(r.Files)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT OR REPLACE INTO renders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		r.ID[:], r.Render, r.State.String(), r.Kind.String(), r.Reason, r.Endpoint, r.GPU, r.Remote, r.Worker, r.Attempts,
		micros(r.Submitted), micros(r.Finished), r.Seconds, r.CostUSD, files)
	return err
}

// Meta implements scheduler.Store.
func (s *SQLite) Meta(ctx context.Context) (m scheduler.Meta, err error) {
	const question = `SELECT name, plan, renders, started, updated FROM meta`
	for found, err := range query(ctx, s, scanMeta, question) {
		if err != nil {
			return m, err
		}
		m = found
	}
	type sums struct {
		last int64
		usd  float64
	}
	// Computed and not kept beside: a sum that is written apart from its parts can come to differ from them after a crash.
	scan := func(r row) (v sums, err error) { return v, r.Scan(&v.last, &v.usd) }
	for v, err := range query(ctx, s, scan, "SELECT COALESCE(MAX(number), 0), COALESCE(SUM(cost), 0.0) FROM attempts") {
		if err != nil {
			return m, err
		}
		m.Last, m.SpentUSD = v.last, v.usd
	}
	return m, nil
}

// row is one row of an answer, of either database.
type row interface{ Scan(into ...any) error }

func scanMeta(r row) (m scheduler.Meta, err error) {
	var started, updated int64
	err = r.Scan(&m.Name, &m.Plan, &m.Renders, &started, &updated)
	m.Started, m.Updated = fromMicros(started), fromMicros(updated)
	return m, err
}

// Attempts implements scheduler.Store. Collected ones, nearly all of a batch, are left out: their renders have records, and nothing is to be
// done for them. Failed ones stay in, as their numbers of tries count.
func (s *SQLite) Attempts(ctx context.Context) iter.Seq2[scheduler.Attempt, error] {
	return query(ctx, s, scanAttempt, "SELECT "+attemptColumnsOf(s.older)+" FROM attempts WHERE state <> 'collected' ORDER BY number")
}

// scanAttempt reads a row in the order of attemptColumns. A NULL of reserved or cost becomes a nil pointer.
func scanAttempt(r row) (a scheduler.Attempt, err error) {
	var refs []byte
	var state, kind string
	var created, submitted, finished, expires int64
	err = r.Scan(&a.Number, &refs, &a.Try, &state, &a.Endpoint, &a.GPU, &a.Preview, &a.Remote, &a.Worker, &kind, &a.Reason,
		&created, &submitted, &finished, &expires, &a.Seconds, &a.ReservedUSD, &a.CostUSD, &a.Token)
	if err != nil {
		return a, err
	}
	a.Created, a.Submitted, a.Finished, a.Expires = fromMicros(created), fromMicros(submitted), fromMicros(finished), fromMicros(expires)
	var errs [3]error
	a.Renders, errs[0] = unpackRefs(refs)
	a.State, errs[1] = scheduler.ParseAttemptState(state)
	a.Kind, errs[2] = scheduler.ParseKind(kind)
	return a, errors.Join(errs[:]...)
}

// Records implements scheduler.Store.
func (s *SQLite) Records(ctx context.Context) iter.Seq2[scheduler.Record, error] {
	return func(yield func(scheduler.Record, error) bool) {
		active, err := activeRecords(s.Attempts(ctx))
		if err != nil {
			yield(scheduler.Record{}, err)
			return
		}
		merge(active, query(ctx, s, scanRecord, "SELECT "+recordColumns+" FROM renders ORDER BY idx, id"), yield)
	}
}

// scanRecord reads a row in the order of recordColumns.
func scanRecord(r row) (rec scheduler.Record, err error) {
	var id []byte
	var state, kind, files string
	var submitted, finished int64
	err = r.Scan(&id, &rec.Render, &state, &kind, &rec.Reason, &rec.Endpoint, &rec.GPU, &rec.Remote, &rec.Worker, &rec.Attempts,
		&submitted, &finished, &rec.Seconds, &rec.CostUSD, &files)
	if err != nil {
		return rec, err
	}
	// Too short an id would be filled up with zeros and name no render at all, which then would be paid for again.
	if copy(rec.ID[:], id) != len(rec.ID) {
		return rec, fmt.Errorf("an id of %d bytes", len(id))
	}
	rec.Submitted, rec.Finished = fromMicros(submitted), fromMicros(finished)
	var errs [3]error
	rec.State, errs[0] = scheduler.ParseRenderState(state)
	rec.Kind, errs[1] = scheduler.ParseKind(kind)
	if len(files) > 0 {
		errs[2] = json.Unmarshal([]byte(files), &rec.Files)
	}
	return rec, errors.Join(errs[:]...)
}

// activeRecords makes the records of renders that have an open attempt.
// Such records are composed for whoever looks on; they are nowhere in the tables.
func activeRecords(attempts iter.Seq2[scheduler.Attempt, error]) (list []scheduler.Record, err error) {
	known := map[compiler.RenderID]bool{}
	for a, err := range attempts {
		if err != nil {
			return nil, err
		}
		if a.State.Final() {
			continue
		}
		for _, ref := range a.Renders {
			// A hedge runs beside the attempt that it is to overtake; the render is one, and told as the first of them has it.
			if known[ref.ID] {
				continue
			}
			known[ref.ID] = true
			list = append(list, scheduler.Record{Render: ref.Index, ID: ref.ID, State: scheduler.Active, Endpoint: a.Endpoint, GPU: a.GPU,
				Remote: a.Remote, Worker: a.Worker, Attempts: a.Try, Submitted: a.Submitted})
		}
	}
	slices.SortFunc(list, byIndex)
	return list, nil
}

// byIndex is the order of records: by index, those of one index (-1) by id. It is that of the databases: ORDER BY idx, id.
func byIndex(a, b scheduler.Record) int {
	return cmp.Or(cmp.Compare(a.Render, b.Render), bytes.Compare(a.ID[:], b.ID[:]))
}

// merge gives ended and active records by index. A render that has ended is not active, whatever its attempts say: a hedge may still run for
// a render that another attempt has finished. Memory: the active ones only, which the endpoints' limits bound; the ended ones stream by.
func merge(active []scheduler.Record, ended iter.Seq2[scheduler.Record, error], yield func(scheduler.Record, error) bool) {
	for rec, err := range ended {
		for err == nil && len(active) > 0 && (sameRender(active[0], rec) || byIndex(active[0], rec) < 0) {
			if a := active[0]; !sameRender(a, rec) && !yield(a, nil) {
				return
			}
			active = active[1:]
		}
		if !yield(rec, err) || err != nil {
			return
		}
	}
	for _, a := range active {
		if !yield(a, nil) {
			return
		}
	}
}

// sameRender tells whether two records are of one render: of one place in the plan, or, for those that are no more in it, of one id.
func sameRender(a, b scheduler.Record) bool {
	return a.Render == b.Render && (a.Render >= 0 || a.ID == b.ID)
}

// Times are stored in microseconds, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	// UTC, so that a state prints the same wherever it is read.
	return time.UnixMicro(us).UTC()
}

// packFiles writes the files of a record, "" for none.
func packFiles(files []scheduler.FileRecord) (string, error) {
	if len(files) == 0 {
		return "", nil
	}
	text, err := json.Marshal(files)
	return string(text), err
}

// refBytes is the length of one render in an attempt's row: 8 bytes of index, big endian, and 32 of id. An index of -1 is written as
// two's complement and comes back as -1.
const refBytes = 40

func packRefs(refs []scheduler.RenderRef) []byte {
	b := make([]byte, 0, refBytes*len(refs))
	for _, ref := range refs {
		b = binary.BigEndian.AppendUint64(b, uint64(ref.Index))
		b = append(b, ref.ID[:]...)
	}
	return b
}

func unpackRefs(b []byte) ([]scheduler.RenderRef, error) {
	if len(b)%refBytes != 0 {
		return nil, fmt.Errorf("render ids of %d bytes", len(b))
	}
	refs := make([]scheduler.RenderRef, len(b)/refBytes)
	for i := range refs {
		refs[i].Index = int(int64(binary.BigEndian.Uint64(b[i*refBytes:])))
		copy(refs[i].ID[:], b[i*refBytes+8:])
	}
	return refs, nil
}
