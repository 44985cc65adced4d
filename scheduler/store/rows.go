package store

import (
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

	"github.com/comfyc/comfyc/scheduler"
)

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
		err = errors.New("an empty change")
	}
	return err
}

// manyRows is how many attempts one statement writes: a fifth of a row's cost is the statement's.
const manyRows = 16

var (
	putOne  = "INSERT OR REPLACE INTO attempts VALUES " + attemptRow
	putMany = putOne + strings.Repeat(","+attemptRow, manyRows-1)
)

const attemptRow = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

// putAttempts writes the rows of all attempts among some changes, in their order.
func (s *SQLite) putAttempts(ctx context.Context, changes []scheduler.Change) error {
	args, rows := s.args[:0], 0
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
	for each := len(args) / max(rows, 1); len(args) > 0; args = args[each:] {
		if _, err := s.exec(ctx, putOne, args[:each]...); err != nil {
			return err
		}
	}
	return nil
}

func appendAttempt(args []any, a *scheduler.Attempt) []any {
	return append(args, a.Number, packRefs(a.Renders), a.Try, a.State.String(), a.Endpoint, a.GPU, a.Preview, a.Remote, a.Worker, a.Kind.String(), a.Reason,
		micros(a.Created), micros(a.Submitted), micros(a.Finished), micros(a.Expires), a.Seconds, a.ReservedUSD, a.CostUSD, a.Token)
}

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

// Attempts implements scheduler.Store.
func (s *SQLite) Attempts(ctx context.Context) iter.Seq2[scheduler.Attempt, error] {
	return query(ctx, s, scanAttempt, "SELECT "+attemptColumns+" FROM attempts WHERE state <> 'collected' ORDER BY number")
}

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

func scanRecord(r row) (rec scheduler.Record, err error) {
	var id []byte
	var state, kind, files string
	var submitted, finished int64
	err = r.Scan(&id, &rec.Render, &state, &kind, &rec.Reason, &rec.Endpoint, &rec.GPU, &rec.Remote, &rec.Worker, &rec.Attempts,
		&submitted, &finished, &rec.Seconds, &rec.CostUSD, &files)
	if err != nil {
		return rec, err
	}
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
func activeRecords(attempts iter.Seq2[scheduler.Attempt, error]) (list []scheduler.Record, err error) {
	for a, err := range attempts {
		if err != nil {
			return nil, err
		}
		if a.State.Final() {
			continue
		}
		for _, ref := range a.Renders {
			list = append(list, scheduler.Record{Render: ref.Index, ID: ref.ID, State: scheduler.Active, Endpoint: a.Endpoint, GPU: a.GPU,
				Remote: a.Remote, Worker: a.Worker, Attempts: a.Try, Submitted: a.Submitted})
		}
	}
	slices.SortStableFunc(list, func(a, b scheduler.Record) int { return cmp.Compare(a.Render, b.Render) })
	return list, nil
}

// merge gives ended and active records by index. A render that has ended is not active, whatever its attempts say.
func merge(active []scheduler.Record, ended iter.Seq2[scheduler.Record, error], yield func(scheduler.Record, error) bool) {
	for rec, err := range ended {
		for err == nil && len(active) > 0 && active[0].Render <= rec.Render {
			if a := active[0]; a.Render < rec.Render && !yield(a, nil) {
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
