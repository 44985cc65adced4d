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
// It covers a page that was away for a moment; a client that was away for longer costs one read of the ledger.
const keepEvents = 256

// Hub tells listeners what happens to a running work. Stored events have numbers and can be asked for again; passing ones, such as the
// totals, have none, and only the newest of each kind is kept.
type Hub struct {
	mu      sync.Mutex
	recent  []ledger.Event          // the newest keepEvents, in order of their numbers
	passing map[string]ledger.Event // by kind
	turn    int64                   // of the passing ones, counted up
	last    int64                   // number of the newest stored event
	change  chan struct{}           // closed and replaced at each change
	ended   bool                    // nothing follows: followers may go when they have heard all

	pending []ledger.Event // stored events that are not durable yet
	bell    chan struct{}  // one place: rung when something is pending
}

// newHub makes the hub of a work whose stored events go up to a number.
func newHub(last int64) *Hub {
	return &Hub{last: last, passing: map[string]ledger.Event{}, change: make(chan struct{}), bell: make(chan struct{}, 1)}
}

// add notes an event. It does not block: another goroutine makes it durable and only then tells it.
// Called from the scheduler's loop, which must not wait for the disk. Without a bound: as many events wait as happen during one
// write of the ledger.
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
	default: // rung already: the storing goroutine takes all that is pending
	}
}

// pass tells an event that need not be durable.
// Totals and progress are of interest only as of now. A listener that is slow misses some, and never the newest.
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

// start says up to which number events were stored before the hub was made.
// Events up to that number are read from the ledger by whoever asks for them.
func (h *Hub) start(last int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = last
	h.ring()
}

// put tells an event that is durable already and has its number.
// It is for batches on Postgres, where the database gives the numbers. They must come in order.
func (h *Hub) put(e ledger.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(e)
	h.last = e.Seq
	h.ring()
}

// skip notes that a number is that of an event which is not told.
// Without it, `after` would take the gap for events that are missing in memory and read the database each time.
func (h *Hub) skip(seq int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = seq
}

// keep remembers the newest events. The lock is held.
// The front is deleted by moving the rest: 256 small structs at most.
func (h *Hub) keep(events ...ledger.Event) {
	h.recent = append(h.recent, events...)
	if n := len(h.recent) - keepEvents; n > 0 {
		h.recent = slices.Delete(h.recent, 0, n)
	}
}

// end says that nothing more will happen.
// Listeners that have heard everything leave then; those that have not read the rest from the ledger.
func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.ring()
}

// ring wakes the listeners. The lock is held.
// A closed channel wakes any number of waiters at once; each of them takes the new one with its next look.
func (h *Hub) ring() {
	close(h.change)
	h.change = make(chan struct{})
}

// store makes pending events durable until ctx ends, then once more.
// One goroutine per work does it, so events keep the order in which they were added. After ctx it writes what came until then,
// which includes the event of the end, and closes the hub.
func (h *Hub) store(ctx context.Context, l *ledger.Ledger, w ledger.Work) {
	whole := context.WithoutCancel(ctx) // a write that is cut off may have happened, and would not be told
	for {
		select {
		case <-h.bell:
			h.flush(whole, l, w)
		case <-ctx.Done():
			h.flush(whole, l, w)
			h.end()
			return
		}
	}
}

// flush numbers what is pending, makes it durable in one write, and tells it.
// Numbers are given here and not in add, so that they have no gaps if a write fails.
func (h *Hub) flush(ctx context.Context, l *ledger.Ledger, w ledger.Work) {
	h.mu.Lock()
	batch := h.pending
	h.pending = nil
	for i := range batch {
		batch[i].Seq = h.last + int64(i) + 1 // last is changed by this goroutine only
	}
	h.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	// The epoch in it lets a replica that lost the work write nothing.
	if err := l.AddEvents(ctx, w.ID, w.Epoch, batch); err != nil {
		return // the ledger is gone: the work's own writes fail, and say so
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last += int64(len(batch))
	h.keep(batch...)
	h.ring()
}

// after gives the stored events with higher numbers, if they are all in memory, the passing ones if they are newer than turn, and what is
// closed at the next change.
// complete is false if the caller is so far behind that it has to read the ledger. turn keeps it from hearing the same passing
// events twice. The slices are the caller's own.
func (h *Hub) after(seq, turn int64) (events, passing []ledger.Event, nextTurn int64, complete, ended bool, change <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// In memory are recent's first to last; the one after seq must be among them.
	complete = seq >= h.last || len(h.recent) > 0 && h.recent[0].Seq <= seq+1
	if complete && seq < h.last {
		i, _ := slices.BinarySearchFunc(h.recent, seq+1, func(e ledger.Event, n int64) int { return int(e.Seq - n) })
		events = slices.Clone(h.recent[i:])
	}
	if turn < h.turn {
		for _, e := range h.passing {
			passing = append(passing, e)
		}
		// In the order in which they happened: a map has none.
		slices.SortFunc(passing, func(a, b ledger.Event) int { return a.Time.Compare(b.Time) })
	}
	return events, passing, h.turn, complete, h.ended, h.change
}
