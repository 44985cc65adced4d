package store

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// Memory is a state that lasts as long as its process. The zero value is ready. It may be closed and used again, as a state that is opened
// again.
type Memory struct {
	mu       sync.Mutex
	meta     scheduler.Meta              // without Last and SpentUSD, which are computed
	attempts map[int64]scheduler.Attempt // by number; nil before the first Apply
	records  map[compiler.RenderID]scheduler.Record
}

var _ scheduler.Store = (*Memory)(nil)

// Close implements scheduler.Store.
func (m *Memory) Close() error { return nil }

// Apply implements scheduler.Store.
func (m *Memory) Apply(_ context.Context, changes []scheduler.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attempts == nil {
		m.attempts = map[int64]scheduler.Attempt{}
		m.records = map[compiler.RenderID]scheduler.Record{}
	}
	// First, so that a list is applied wholly or not at all.
	if slices.Contains(changes, scheduler.Change{}) {
		return errEmptyChange
	}
	for _, ch := range changes {
		m.apply(ch)
	}
	m.meta.Updated = time.Now()
	return nil
}

// apply makes one change, which is not empty.
func (m *Memory) apply(ch scheduler.Change) {
	switch {
	case ch.Attempt != nil:
		// Copies, as the caller goes on using its own; a store on a disk would not see later changes either.
		a := *ch.Attempt
		a.Renders = slices.Clone(a.Renders)
		m.attempts[a.Number] = a
	case ch.Record != nil:
		m.records[ch.Record.ID] = *ch.Record
	case ch.Drop != nil:
		delete(m.records, *ch.Drop)
	case ch.Move != nil:
		if rec, ok := m.records[ch.Move.ID]; ok {
			rec.Render = ch.Move.Index
			m.records[ch.Move.ID] = rec
		}
	case ch.Meta != nil:
		m.meta = *ch.Meta
	}
}

// Meta implements scheduler.Store.
func (m *Memory) Meta(context.Context) (scheduler.Meta, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	meta := m.meta
	// Added up in the order of numbers, so that sums of floats come out the same each time.
	meta.Last, meta.SpentUSD = 0, 0
	for _, n := range slices.Sorted(maps.Keys(m.attempts)) {
		meta.Last = n
		if usd := m.attempts[n].CostUSD; usd != nil {
			meta.SpentUSD += *usd
		}
	}
	return meta, nil
}

// Attempts implements scheduler.Store.
func (m *Memory) Attempts(context.Context) iter.Seq2[scheduler.Attempt, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []scheduler.Attempt
	for _, n := range slices.Sorted(maps.Keys(m.attempts)) {
		if a := m.attempts[n]; a.State != scheduler.AttemptCollected {
			list = append(list, a)
		}
	}
	return all(list)
}

// Records implements scheduler.Store.
func (m *Memory) Records(ctx context.Context) iter.Seq2[scheduler.Record, error] {
	active, _ := activeRecords(m.Attempts(ctx))
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := slices.SortedFunc(maps.Values(m.records), byIndex)
	return func(yield func(scheduler.Record, error) bool) { merge(active, all(ended), yield) }
}

func all[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
