package ledger

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// JobState is the scheduler's state of one job: a few rows, kept in memory and written through to the ledger, where the commits of all
// jobs that run at once are shared. A batch has a state of its own: a file in its run directory, or rows of package lease where replicas share
// the ledger.
// It is used by one run at a time; its methods are the scheduler's contract.
type JobState struct {
	store.Memory
	ledger *Ledger
	work   string
	epoch  int64
}

var _ scheduler.Store = (*JobState)(nil)

// JobState opens the state of a job, as an earlier run left it. Writes are refused with ErrFenced once another replica has the job.
// Rows are read in the order of kind and id, which is that of attempts by number. A row that cannot be decoded is an error: its
// money would be forgotten.
func (l *Ledger) JobState(ctx context.Context, w Work) (*JobState, error) {
	s := &JobState{ledger: l, work: w.ID, epoch: w.Epoch}
	rows, err := list(ctx, l, func(r rowScanner) (data []byte, err error) { return data, r.Scan(&data) },
		"SELECT data FROM parts WHERE work = ? ORDER BY kind, id", w.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		var ch scheduler.Change
		if err := gob.NewDecoder(bytes.NewReader(row)).Decode(&ch); err != nil {
			return nil, fmt.Errorf("read the state of job %s: %w", w.ID, err)
		}
		if err := s.Memory.Apply(ctx, []scheduler.Change{ch}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// part is a row of a job's state; no data means that the row goes.
// Rows are small: some hundred bytes each.
type part struct {
	kind, id string
	data     []byte
}

// newPart makes the row of a change. Gob keeps what JSON would lose: kinds and states that only write themselves as words, nil prices.
// Ids of attempts are padded with zeros, so that they sort by number as text.
func newPart(ch scheduler.Change) (p part, err error) {
	switch {
	case ch.Attempt != nil:
		p.kind, p.id = "attempt", fmt.Sprintf("%020d", ch.Attempt.Number)
	case ch.Record != nil:
		p.kind, p.id = "record", ch.Record.ID.String()
	case ch.Drop != nil:
		return part{kind: "record", id: ch.Drop.String()}, nil
	case ch.Meta != nil:
		p.kind = "meta"
	default:
		return p, nil // a render's new index: a job's plan never changes
	}
	var b bytes.Buffer
	err = gob.NewEncoder(&b).Encode(ch)
	p.data = b.Bytes()
	return p, err
}

// Apply implements scheduler.Store.
// The ledger first, then memory: what the scheduler reads is never ahead of the disk.
func (s *JobState) Apply(ctx context.Context, changes []scheduler.Change) error {
	parts := make([]part, len(changes))
	for i, ch := range changes {
		var err error
		if parts[i], err = newPart(ch); err != nil {
			return err
		}
	}
	err := s.ledger.Write(ctx, func(tx *Tx) error {
		if err := tx.holds(s.work, s.epoch); err != nil {
			return err
		}
		for _, p := range parts {
			if err := s.put(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.Memory.Apply(ctx, changes)
}

// put writes or deletes one row.
// The same row may be written any number of times; the newest wins.
func (s *JobState) put(tx *Tx, p part) error {
	switch {
	case p.kind == "":
		return nil
	case p.data == nil:
		return tx.Exec("DELETE FROM parts WHERE work = ? AND kind = ? AND id = ?", s.work, p.kind, p.id)
	}
	return tx.Exec("INSERT INTO parts (work, kind, id, data) VALUES (?,?,?,?) ON CONFLICT (work, kind, id) DO UPDATE SET data = excluded.data", s.work, p.kind, p.id, p.data)
}
