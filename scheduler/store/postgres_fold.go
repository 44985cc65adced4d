// A list of changes becomes at most six statements, however long it is: each column is sent as one array and unnested by the server. A thousand
// attempts in one Apply are one round trip and one plan, not a thousand of each. The names $1, $2, $3 are batch, slice and epoch throughout.

package store

import (
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// folded is a list of changes as statements, one for each table and kind of change, whatever their number.
type folded struct{ queries []statement }

// statement is a text and its arguments, $1 to $3 included.
type statement struct {
	text string
	args []any
}

// recordChange is what becomes of one render's row: the sum of all changes to it.
// put wins over drop and move, which were summed up into it; of drop and move at most one is set.
type recordChange struct {
	put  *scheduler.Record // written whole; nil if it is not
	drop bool              // the row goes
	move *int              // a new index, of the slice
}

// mine is the condition of every write: the epoch is still this lease's. It is asked in each statement, though the first one of a batch of
// statements has locked the row: should the lease be lost, each of them changes nothing, whatever came before.
const mine = `EXISTS (SELECT 1 FROM slices WHERE batch = $1 AND slice = $2 AND epoch = $3 AND state = 'held')`

// fold sums up the changes. Of several to one row the last one counts, as when they are made in turn.
func (s *PostgresSlice) fold(changes []scheduler.Change) (*folded, error) {
	attempts := map[int64]*scheduler.Attempt{}
	records := map[compiler.RenderID]*recordChange{}
	var numbers []int64
	var ids []compiler.RenderID
	of := func(id compiler.RenderID) *recordChange {
		if records[id] == nil {
			records[id] = &recordChange{}
			ids = append(ids, id)
		}
		return records[id]
	}
	f := &folded{}
	for _, ch := range changes {
		switch {
		case ch.Attempt != nil:
			if attempts[ch.Attempt.Number] == nil {
				numbers = append(numbers, ch.Attempt.Number)
			}
			attempts[ch.Attempt.Number] = ch.Attempt
		case ch.Record != nil:
			*of(ch.Record.ID) = recordChange{put: ch.Record}
		case ch.Drop != nil:
			*of(*ch.Drop) = recordChange{drop: true}
		case ch.Move != nil:
			of(ch.Move.ID).moveTo(ch.Move.Index)
		case ch.Meta != nil:
			s.foldMeta(f, ch.Meta)
		default:
			return nil, errEmptyChange
		}
	}
	s.foldAttempts(f, attempts, numbers)
	return f, s.foldRecords(f, records, ids)
}

// A row that is dropped needs no index; one that is written anyway takes it along; else it is an update of its own.
func (c *recordChange) moveTo(i int) {
	switch {
	case c.drop:
	case c.put != nil:
		moved := *c.put
		moved.Render = i
		c.put = &moved
	default:
		c.move = &i
	}
}

func (s *PostgresSlice) add(f *folded, text string, args ...any) {
	f.queries = append(f.queries, statement{text, append([]any{s.Batch, s.Slice, s.Epoch}, args...)})
}

// foldMeta keeps the batch's first start; the rest is the slice's own.
func (s *PostgresSlice) foldMeta(f *folded, m *scheduler.Meta) {
	s.add(f, `UPDATE slices SET name = $4, plan = $5, renders = $6 WHERE batch = $1 AND slice = $2 AND epoch = $3`, m.Name, m.Plan, m.Renders)
	if !m.Started.IsZero() {
		s.add(f, `UPDATE batches SET started = $4 WHERE id = $1 AND started = 0 AND `+mine, micros(m.Started))
	}
}

// foldAttempts writes all attempts with one statement, a column an array.
func (s *PostgresSlice) foldAttempts(f *folded, attempts map[int64]*scheduler.Attempt, numbers []int64) {
	if len(numbers) == 0 {
		return
	}
	n := len(numbers)
	refs, preview := make([][]byte, n), make([]bool, n)
	try, created, submitted, finished, expires := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	seconds, reserved, cost := make([]float64, n), make([]*float64, n), make([]*float64, n)
	// pgx sends a nil pointer among the costs as NULL: the price is not known.
	var text [8][]string // state, endpoint, gpu, remote, worker, kind, reason, token
	for i, number := range numbers {
		a := attempts[number]
		refs[i], preview[i], try[i] = packRefs(s.outside(a.Renders)), a.Preview, int64(a.Try)
		created[i], submitted[i], finished[i], expires[i] = micros(a.Created), micros(a.Submitted), micros(a.Finished), micros(a.Expires)
		seconds[i], reserved[i], cost[i] = a.Seconds, a.ReservedUSD, a.CostUSD
		for k, v := range [...]string{a.State.String(), a.Endpoint, a.GPU, a.Remote, a.Worker, a.Kind.String(), a.Reason, a.Token} {
			text[k] = append(text[k], plain(v))
		}
	}
	s.add(f, putAttempts, numbers, refs, try, text[0], text[1], text[2], preview, text[3], text[4], text[5], text[6],
		created, submitted, finished, expires, seconds, reserved, cost, text[7])
}

// putAttempts inserts or overwrites whole rows by (batch, slice, number). ON CONFLICT may touch a row once in a statement, which is why several
// changes of one attempt were folded into the last.
const putAttempts = `INSERT INTO attempts (batch, slice, ` + attemptColumns + `)
	SELECT $1, $2, * FROM unnest($4::bigint[], $5::bytea[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bool[], $11::text[], $12::text[], $13::text[], $14::text[],
		$15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::float8[], $20::float8[], $21::float8[], $22::text[]) WHERE ` + mine + `
	ON CONFLICT (batch, slice, number) DO UPDATE SET renders = excluded.renders, try = excluded.try, state = excluded.state, endpoint = excluded.endpoint,
		gpu = excluded.gpu, preview = excluded.preview, remote = excluded.remote, worker = excluded.worker, kind = excluded.kind, reason = excluded.reason,
		created = excluded.created, submitted = excluded.submitted, finished = excluded.finished, expires = excluded.expires,
		seconds = excluded.seconds, reserved = excluded.reserved, cost = excluded.cost, token = excluded.token`

// foldRecords writes all records with one statement, and drops and moves with one each.
func (s *PostgresSlice) foldRecords(f *folded, records map[compiler.RenderID]*recordChange, ids []compiler.RenderID) error {
	var put []*scheduler.Record
	var drop, move [][]byte
	var to []int64
	for _, id := range ids {
		switch ch := records[id]; {
		case ch.put != nil:
			put = append(put, ch.put)
		case ch.drop:
			drop = append(drop, id[:])
		case ch.move != nil:
			move, to = append(move, id[:]), append(to, int64(s.out(*ch.move)))
		}
	}
	// Drops before puts: a render that was dropped and recorded again within one list is among the puts alone, so the order does no harm.
	if len(drop) > 0 {
		s.add(f, `DELETE FROM renders WHERE batch = $1 AND id = ANY($4::bytea[]) AND `+mine, drop)
	}
	if len(move) > 0 {
		s.add(f, `UPDATE renders SET idx = m.idx FROM unnest($4::bytea[], $5::bigint[]) AS m(id, idx) WHERE batch = $1 AND renders.id = m.id AND `+mine, move, to)
	}
	return s.foldPuts(f, put)
}

// foldPuts gives each column of the records as one array; all arrays have one length, and the i-th of each are one row.
func (s *PostgresSlice) foldPuts(f *folded, put []*scheduler.Record) error {
	if len(put) == 0 {
		return nil
	}
	n := len(put)
	ids, idx, attempts, submitted, finished := make([][]byte, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	seconds, cost := make([]float64, n), make([]*float64, n)
	var text [8][]string // state, kind, reason, endpoint, gpu, remote, worker, files
	for i, r := range put {
		files, err := packFiles(r.Files)
		if err != nil {
			return err
		}
		ids[i], idx[i], attempts[i], submitted[i], finished[i] = r.ID[:], int64(s.out(r.Render)), int64(r.Attempts), micros(r.Submitted), micros(r.Finished)
		seconds[i], cost[i] = r.Seconds, r.CostUSD
		for k, v := range [...]string{r.State.String(), r.Kind.String(), r.Reason, r.Endpoint, r.GPU, r.Remote, r.Worker, files} {
			text[k] = append(text[k], plain(v))
		}
	}
	s.add(f, putRecords, ids, idx, text[0], text[1], text[2], text[3], text[4], text[5], text[6], attempts, submitted, finished, seconds, cost, text[7])
	return nil
}

// putRecords does the same by (batch, id). The key has no slice: a render belongs to the batch, and two slices never hold the same one.
const putRecords = `INSERT INTO renders (batch, ` + recordColumns + `)
	SELECT $1, * FROM unnest($4::bytea[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
		$13::bigint[], $14::bigint[], $15::bigint[], $16::float8[], $17::float8[], $18::text[]) WHERE ` + mine + `
	ON CONFLICT (batch, id) DO UPDATE SET idx = excluded.idx, state = excluded.state, kind = excluded.kind, reason = excluded.reason, endpoint = excluded.endpoint,
		gpu = excluded.gpu, remote = excluded.remote, worker = excluded.worker, attempts = excluded.attempts, submitted = excluded.submitted,
		finished = excluded.finished, seconds = excluded.seconds, cost = excluded.cost, files = excluded.files`
