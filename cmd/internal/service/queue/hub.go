package queue

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// keepEvents is how many of a work's newest events are kept in memory; older ones are read from the ledger.
const keepEvents = 256

// Hub tells listeners what happens to a running work. Stored events have numbers and can be asked for again; passing ones, such as the
// totals, have none, and only the newest of each kind is kept.
type Hub struct {
	mu      sync.Mutex
	recent  []ledger.Event
	passing map[string]ledger.Event
	turn    int64 // of the passing ones, counted up
	last    int64 // number of the newest stored event
	change  chan struct{}
	ended   bool

	pending []ledger.Event // stored events that are not durable yet
	bell    chan struct{}
}

// newHub makes the hub of a work whose stored events go up to a number.
func newHub(last int64) *Hub {
	return &Hub{last: last, passing: map[string]ledger.Event{}, change: make(chan struct{}), bell: make(chan struct{}, 1)}
}

// add notes an event. It does not block: another goroutine makes it durable and only then tells it.
func (h *Hub) add(now time.Time, kind string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic("an event cannot be written: " + err.Error()) // plain structs
	}
	h.mu.Lock()
	h.pending = append(h.pending, ledger.Event{Time: now, Kind: kind, Data: string(text)})
	h.mu.Unlock()
	select {
	case h.bell <- struct{}{}:
	default:
	}
}

// pass tells an event that need not be durable.
func (h *Hub) pass(now time.Time, kind string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic("an event cannot be written: " + err.Error())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn++
	h.passing[kind] = ledger.Event{Time: now, Kind: kind, Data: string(text)}
	h.ring()
}

// ring wakes the listeners. The lock is held.
func (h *Hub) ring() {
	close(h.change)
	h.change = make(chan struct{})
}

// store makes pending events durable until ctx ends, then once more.
func (h *Hub) store(ctx context.Context, l *ledger.Ledger, work string) {
	for {
		select {
		case <-h.bell:
			h.flush(ctx, l, work)
		case <-ctx.Done():
			h.flush(context.WithoutCancel(ctx), l, work)
			h.mu.Lock()
			h.ended = true
			h.ring()
			h.mu.Unlock()
			return
		}
	}
}

// flush numbers what is pending, makes it durable in one write, and tells it.
func (h *Hub) flush(ctx context.Context, l *ledger.Ledger, work string) {
	h.mu.Lock()
	batch := h.pending
	h.pending = nil
	for i := range batch {
		batch[i].Seq = h.last + int64(i) + 1
	}
	h.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if err := l.AddEvents(ctx, work, batch); err != nil {
		return // the ledger is gone: the work's own writes fail, and say so
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last += int64(len(batch))
	h.recent = append(h.recent, batch...)
	if n := len(h.recent) - keepEvents; n > 0 {
		h.recent = slices.Delete(h.recent, 0, n)
	}
	h.ring()
}

// after gives the stored events with higher numbers, if they are all in memory, the passing ones if they are newer than turn, and what is
// closed at the next change.
func (h *Hub) after(seq, turn int64) (events, passing []ledger.Event, nextTurn int64, complete, ended bool, change <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	complete = seq >= h.last || len(h.recent) > 0 && h.recent[0].Seq <= seq+1
	if complete && seq < h.last {
		i, _ := slices.BinarySearchFunc(h.recent, seq+1, func(e ledger.Event, n int64) int { return int(e.Seq - n) })
		events = slices.Clone(h.recent[i:])
	}
	if turn < h.turn {
		for _, e := range h.passing {
			passing = append(passing, e)
		}
		slices.SortFunc(passing, func(a, b ledger.Event) int { return a.Time.Compare(b.Time) })
	}
	return events, passing, h.turn, complete, h.ended, h.change
}
