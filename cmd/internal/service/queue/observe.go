package queue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// Batches that all replicas run have their events in the database, under numbers that are the same for everybody. A replica looks at the events
// of a batch as long as somebody listens to it here: one goroutine for all its listeners, who hear of them through a Hub.

// observed is a batch that somebody listens to here.
type observed struct { // guarded by the queue's lock
	hub   *Hub
	users int // followers; the last one that goes ends it
	stop  context.CancelFunc
}

// observe gives the hub of a batch. done must be called when nobody listens any more.
// The first listener starts the goroutine that reads the database; all others share it.
func (q *Queue) observe(id string) (h *Hub, done func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.observeds[id]
	if o == nil {
		var ctx context.Context
		o = &observed{hub: newHub(0)}
		ctx, o.stop = context.WithCancel(context.Background())
		q.observeds[id] = o
		go q.watch(ctx, id, o.hub)
	}
	o.users++
	// done may be called from any goroutine, once.
	return o.hub, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if o.users--; o.users == 0 {
			o.stop()
			delete(q.observeds, id)
		}
	}
}

// watch tells a hub what happens to a batch, until it has ended and all is told, or ctx ends. The row is read before the events: the steward
// tells how the batch ended before the row says so.
// It never gives up on a database that is away: followers wait, and get what they missed when it is back.
func (q *Queue) watch(ctx context.Context, id string, h *Hub) {
	defer h.end()
	last, err := q.Leases.Last(ctx, id)
	for err != nil && ctx.Err() == nil { // the database is away
		q.pause(ctx, otherReplica)
		last, err = q.Leases.Last(ctx, id)
	}
	var told ledger.State
	if s, ok := stateOf(&last); ok {
		told = s
	}
	// Old events are not read: those who want them ask the database themselves. Only what happens from here on goes through the
	// hub.
	h.start(last.Seq)
	for ctx.Err() == nil {
		var w ledger.Work
		if w, err = q.Ledger.Work(ctx, id); errors.Is(err, ledger.ErrNone) {
			return
		}
		if err == nil && w.State != ledger.Waiting {
			err = q.watchOnce(ctx, id, h, &last, &told)
		}
		if err == nil && w.State.Final() {
			if told != w.State { // it never came to slices, or a steward died in between
				h.pass(w.Finished, "state", stateEvent{State: w.State, Error: w.Error, Result: []byte(orNull(w.Result))})
			}
			return
		}
		q.pause(ctx, otherReplica)
	}
}

// watchOnce tells events until all slices have ended.
// It returns when the slices of this turn have ended, so that the caller looks at the row again: a retry may have begun a new
// turn.
func (q *Queue) watchOnce(ctx context.Context, id string, h *Hub, last *lease.Event, told *ledger.State) error {
	for e, err := range q.Leases.Watch(ctx, id, last.Seq) {
		if errors.Is(err, lease.ErrNoBatch) {
			return nil
		} else if err != nil {
			return err
		}
		if s, ok := stateOf(&e); ok {
			*told = s
		}
		if e.Totals != nil {
			h.pass(e.Time, "totals", e.Totals)
			continue
		}
		last.Seq = e.Seq
		if own, ok := toldEvent(&e); ok {
			h.put(own)
		} else {
			h.skip(e.Seq)
		}
		if e.Endpoint != nil {
			q.heard(*e.Endpoint)
		}
	}
	return ctx.Err()
}

// stateOf gives the state that an event tells of.
// The states of renders and slices are none.
func stateOf(e *lease.Event) (s ledger.State, ok bool) {
	if e.Told == nil || e.Told.Kind != "state" {
		return "", false
	}
	var v stateEvent
	err := json.Unmarshal(e.Told.Data, &v)
	return v.State, err == nil
}

// toldEvent makes the event that clients see; ok is false for those that are not told: renders that are under way.
// Numbers of events that are left out are skipped, so clients see gaps; the order is what counts.
func toldEvent(e *lease.Event) (out ledger.Event, ok bool) {
	out = ledger.Event{Seq: e.Seq, Time: e.Time}
	var data any
	switch {
	case e.Told != nil:
		out.Kind, data = e.Told.Kind, e.Told.Data
	case e.Render != nil && e.Render.State.Final():
		out.Kind, data = "render", e.Render
	case e.Endpoint != nil:
		out.Kind, data = "endpoint", e.Endpoint
	case e.Notice != nil:
		out.Kind, data = "notice", e.Notice
	default:
		return out, false
	}
	out.Data = string(tellText(data))
	return out, true
}

// storedLeased reads a batch's stored events after a number; reached is the number up to which there are no others.
// It reads on while whole pages hold nothing that is told.
func (q *Queue) storedLeased(ctx context.Context, id string, after int64) (out []ledger.Event, reached int64, err error) {
	for len(out) == 0 {
		list, err := q.Leases.Events(ctx, id, after)
		if err != nil || len(list) == 0 {
			return nil, after, err
		}
		for i := range list {
			after = list[i].Seq
			if e, ok := toldEvent(&list[i]); ok {
				out = append(out, e)
			}
		}
	}
	return out, after, nil
}

// followLeased is Follow for a batch that all replicas run.
// Each round: what the hub has, else what the database has; then wait for a change, at most one heartbeat.
func (q *Queue) followLeased(ctx context.Context, id string, l *listener) error {
	hub, done := q.observe(id)
	defer done()
	turn := int64(0)
	for {
		events, passing, next, complete, over, change := hub.after(l.after, turn)
		turn = next
		before, reached := l.after, l.after
		if !complete {
			var err error
			if events, reached, err = q.storedLeased(ctx, id, l.after); err != nil {
				return err
			}
			over = over && reached == before
		}
		if err := l.hear(events, passing); err != nil {
			return err
		}
		l.after = max(l.after, reached)
		switch {
		case over:
			return nil
		case l.after > before && !complete: // there may be more in the database: no wait
			continue
		}
		if err := l.wait(ctx, change, l.heartbeat); err != nil {
			return err
		}
	}
}

// totalsAge is how old the totals of a batch may be that a client asks for.
// The page asks for each running batch every few seconds, and each such question would be a sum over all rows of the batch.
const totalsAge = 500 * time.Millisecond

// totals are those of a batch that all replicas run, as of a time.
type totals struct {
	at time.Time
	scheduler.Totals
}

// leasedTotals gives where a batch stands; ok is false if no slice of it was handed out.
// Answers are remembered for half a second each and dropped after a minute. A database that does not answer within 5 s gives
// "not known".
func (q *Queue) leasedTotals(id string) (t scheduler.Totals, ok bool) {
	now := time.Now()
	q.mu.Lock()
	known, ok := q.stands[id]
	q.mu.Unlock()
	if ok && now.Sub(known.at) < totalsAge {
		return known.Totals, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, err := q.Leases.Status(ctx, id)
	if err != nil {
		return t, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for old, s := range q.stands { // so that the map holds no batches of yesterday
		if now.Sub(s.at) > time.Minute {
			delete(q.stands, old)
		}
	}
	q.stands[id] = totals{now, status.Totals}
	return status.Totals, true
}
