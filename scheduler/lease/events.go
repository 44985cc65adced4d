package lease

import (
	"context"
	"encoding/json"
	"iter"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// eventBuffer gathers the events of a slice until they are written. Attempts are left out: they are the run's own business, and many.
type eventBuffer struct {
	mu     sync.Mutex
	list   []string
	totals string // JSON of the last ones
	fresh  bool   // they were not written yet
}

// add takes an event, with the batch's indexes.
func (b *eventBuffer) add(e scheduler.Event) {
	if e.Attempt != nil {
		return
	}
	var v any = e
	if e.Totals != nil {
		v = e.Totals
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Totals != nil {
		b.totals, b.fresh = string(text), true
		return
	}
	b.list = append(b.list, string(text))
}

func (b *eventBuffer) take() (list []string, totals string, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, totals, fresh = b.list, b.totals, b.fresh
	b.list, b.fresh = nil, false
	return list, totals, fresh
}

// last gives the totals that were told last, "" if none were.
func (b *eventBuffer) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.totals
}

const flushEvery = 500 * time.Millisecond

// flush writes what was gathered. Events whose write fails are lost: they are news, the state is elsewhere.
func (h *hold) flush(ctx context.Context) error {
	list, totals, fresh := h.events.take()
	if len(list) == 0 && !fresh {
		return nil
	}
	b := &pgx.Batch{}
	h.guard(b)
	if fresh {
		h.queue(b, `UPDATE slices SET totals = $4 WHERE batch = $1 AND slice = $2 AND epoch = $3`, totals)
	}
	if len(list) > 0 {
		// Under this lock the numbers of events become visible in their order, so that no watcher skips one.
		b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('comfyc events ' || $1, 0))`, h.Batch)
		h.queue(b, `INSERT INTO events (batch, body) SELECT $1, e FROM unnest($4::text[]) WITH ORDINALITY AS u(e, n) WHERE `+mine+` ORDER BY n`, list)
	}
	return h.db().Pool.SendBatch(ctx, b).Close()
}

// report flushes until ctx ends, and once more then.
func (h *hold) report(ctx context.Context) {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		_ = h.flush(last) // news only
		cancel()
	}
}

// Event is an event of a batch with its number. Numbers rise, with gaps.
type Event struct {
	Seq int64
	scheduler.Event
}

// Watch gives a batch's events after number after (0 for all), from all machines: renders, endpoints, notices, and the totals of all slices
// whenever they have changed, under the number before. It ends when the batch has, or with ctx. Attempts are not among them.
func (q *Queue) Watch(ctx context.Context, id string, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var told scheduler.Totals
		wait := watchSoon
		for {
			status, err := q.Status(ctx, id)
			if err != nil {
				yield(Event{}, err)
				return
			}
			news, err := q.events(ctx, id, after)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, e := range news {
				if after = e.Seq; !yield(e, nil) {
					return
				}
			}
			if t := status.Totals; !sameTotals(t, told) {
				told = t
				if !yield(Event{after, scheduler.Event{Time: status.Now, Totals: &t}}, nil) {
					return
				}
			}
			switch {
			case len(news) == eventPage:
				continue
			case len(news) > 0:
				wait = watchSoon
			case !status.Ended.IsZero():
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, watchLate)
		}
	}
}

const (
	watchSoon = 100 * time.Millisecond
	watchLate = time.Second
	eventPage = 1000
)

func sameTotals(a, b scheduler.Totals) bool {
	a.BudgetUSD, b.BudgetUSD, a.ETA, b.ETA = nil, nil, 0, 0
	return a == b
}

// events reads a page of events.
func (q *Queue) events(ctx context.Context, id string, after int64) (list []Event, err error) {
	rows, err := q.db.Pool.Query(ctx, "SELECT seq, body FROM events WHERE batch = $1 AND seq > $2 ORDER BY seq LIMIT $3", id, after, eventPage)
	if err != nil {
		return nil, err
	}
	var seq int64
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &body}, func() error {
		e := Event{Seq: seq}
		if err := decodeEvent(body, &e.Event); err != nil {
			return err
		}
		list = append(list, e)
		return nil
	})
	return list, err
}
