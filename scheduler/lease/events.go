package lease

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// Events go from a run into the table at most twice a second, in bulk, and from there to whoever watches. They are news: a crash loses those of the
// last half second, while the states that they tell of are in tables of their own.

// eventBuffer gathers the events of a slice until they are written. Attempts are left out: they are the run's own business, and many.
type eventBuffer struct {
	mu     sync.Mutex
	list   []string
	totals string // JSON of the last ones
	fresh  bool   // they were not written yet
	unsure bool   // some of the list may have been written: the answer was lost
}

// add takes an event, with the batch's indexes. Totals replace each other, since only the last ones are of use; all others are kept in order.
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

// take empties the buffer for a write; back undoes that if the write fails.
func (b *eventBuffer) take() (list []string, totals string, fresh, unsure bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, totals, fresh, unsure = b.list, b.totals, b.fresh, b.unsure
	b.list, b.fresh, b.unsure = nil, false, false
	return list, totals, fresh, unsure
}

// maxUnwritten bounds the events that wait for a database that is away; the oldest are dropped.
const maxUnwritten = 100_000

// back puts events back whose write failed.
func (b *eventBuffer) back(list []string, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(slices.Clip(list), b.list...)
	b.list = b.list[max(0, len(b.list)-maxUnwritten):]
	// The list goes in front of what came meanwhile. Totals that came meanwhile are newer and stay. unsure makes the next write look for doubles.
	b.fresh, b.unsure = b.fresh || fresh, true
}

// last gives the totals that were told last, "" if none were.
func (b *eventBuffer) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.totals
}

// flushEvery is how late a watcher elsewhere hears at most, beside its own pause; shorter would be a transaction for every few events.
const flushEvery = 500 * time.Millisecond

// flush writes what was gathered. Events whose write fails are written the next time, but not twice.
func (h *hold) flush(ctx context.Context) error {
	list, totals, fresh, unsure := h.events.take()
	if len(list) == 0 && !fresh {
		return nil
	}
	// A pgx.Batch is one round trip and one implicit transaction: the guard's lock on the slice's row holds until the inserts are done.
	b := &pgx.Batch{}
	h.guard(b)
	if fresh {
		h.queue(b, `UPDATE slices SET totals = $4 WHERE batch = $1 AND slice = $2 AND epoch = $3`, totals)
	}
	if len(list) > 0 {
		b.Queue(lockEvents, h.Batch)
		text := `INSERT INTO events (batch, body) SELECT $1, e FROM unnest($4::text[]) WITH ORDINALITY AS u(e, n) WHERE ` + mine
		// The body holds the time in nanoseconds, so two events of one batch that say the same are the same event.
		if unsure {
			text += ` AND NOT EXISTS (SELECT 1 FROM events o WHERE o.batch = $1 AND o.body = e)`
		}
		h.queue(b, text+` ORDER BY n`, list)
	}
	err := h.db().Pool.SendBatch(ctx, b).Close()
	if err != nil {
		h.events.back(list, fresh)
	}
	return err
}

// lastFlushes is how often the events of a run that has ended are tried to be written: then they are lost, which is not much: they are news, and
// the state is elsewhere.
const lastFlushes = 3

// report flushes until ctx ends, and once more then.
// It runs beside the slice's run, from the claim until the slice is given back or ended; ctx is done by then, and the last writes need none.
func (h *hold) report(ctx context.Context) {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for last := 0; last < lastFlushes; {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		if ctx.Err() != nil {
			// From now on the wait is over at once: up to lastFlushes tries, one after the other.
			last++
		}
		// The write outlives ctx: what a run told last is told after its end. A write that fails is repeated at the next turn.
		writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err := h.flush(writing); err == nil && last > 0 {
			last = lastFlushes
		}
		cancel()
	}
}

// Event is an event of a batch with its number. Numbers rise, with gaps. It is a run's, or one that somebody [Queue.Tell]s.
type Event struct {
	Seq int64
	scheduler.Event
	Told *Told // nil for those of runs
}

// Watch gives a batch's events after number after (0 for all), from all machines: renders, endpoints, notices, and the totals of all slices
// whenever they have changed, under the number before. It ends when the batch has, or with ctx. Attempts are not among them.
func (q *Queue) Watch(ctx context.Context, id string, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var told scheduler.Totals
		wait := watchSoon
		// Each round reads the state first and the events after it: what was stored before the batch was seen to end is read before the loop ends.
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
				if !yield(Event{Seq: after, Event: scheduler.Event{Time: status.Now, Totals: &t}}, nil) {
					return
				}
			}
			switch {
			// A full page: there is more, without a pause. Else the pause doubles from watchSoon to watchLate while nothing happens.
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

// sameTotals compares what is worth telling: the ETA changes all the time, and pointers to equal budgets differ.
func sameTotals(a, b scheduler.Totals) bool {
	a.BudgetUSD, b.BudgetUSD, a.ETA, b.ETA = nil, nil, 0, 0
	return a == b
}

// Events reads the stored events of a batch after a number, at most a thousand of them, from any machine.
func (q *Queue) Events(ctx context.Context, id string, after int64) ([]Event, error) {
	return q.events(ctx, id, after)
}

// events reads a page of events, in the order of their numbers. Writers hold lockEvents, so no number below one that was seen appears later.
func (q *Queue) events(ctx context.Context, id string, after int64) (list []Event, err error) {
	rows, err := q.db.Pool.Query(ctx, "SELECT seq, body FROM events WHERE batch = $1 AND seq > $2 ORDER BY seq LIMIT $3", id, after, eventPage)
	if err != nil {
		return nil, err
	}
	return readEvents(rows)
}

// Last gives the newest stored event of a batch; its number is 0 if there is none.
func (q *Queue) Last(ctx context.Context, id string) (e Event, err error) {
	rows, err := q.db.Pool.Query(ctx, "SELECT seq, body FROM events WHERE batch = $1 ORDER BY seq DESC LIMIT 1", id)
	if err != nil {
		return e, err
	}
	list, err := readEvents(rows)
	if len(list) > 0 {
		e = list[0]
	}
	return e, err
}

// readEvents reads rows of number and body. One that cannot be read ends the reading: it is of a newer version.
func readEvents(rows pgx.Rows) (list []Event, err error) {
	var seq int64
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &body}, func() error {
		e := Event{Seq: seq}
		if err := decodeEvent(body, &e); err != nil {
			return err
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// decodeEvent reads an event as it was written. States are words in JSON, which their types write and do not read.
func decodeEvent(body []byte, e *Event) error {
	// The fields are those of scheduler.Event, in which a state has no way back from its word.
	var raw struct {
		Time     time.Time
		Endpoint *scheduler.EndpointEvent
		Notice   *scheduler.Notice
		Told     *Told
		Render   *struct {
			scheduler.RenderEvent
			State string `json:"state"`
		}
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return err
	}
	e.Time, e.Endpoint, e.Notice, e.Told = raw.Time, raw.Endpoint, raw.Notice, raw.Told
	if raw.Render != nil {
		state, err := scheduler.ParseRenderState(raw.Render.State)
		if err != nil {
			return err
		}
		raw.Render.RenderEvent.State = state
		e.Render = &raw.Render.RenderEvent
	}
	return nil
}
