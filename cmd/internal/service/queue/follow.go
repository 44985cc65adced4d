package queue

import (
	"context"
	"errors"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// listener is somebody who follows a work.
// It belongs to one goroutine, that of the client's connection.
type listener struct {
	tell      func(*ledger.Event) error // writes to the client; nil is a heartbeat
	after     int64                     // number of the last stored event that was told
	said      time.Time                 // when something was told last
	heartbeat time.Duration             // the longest silence that a client gets to hear
	timer     *time.Timer               // reused for every wait
}

// hear tells events in their order.
// The first error of tell, which is a client that has gone, ends the telling.
func (l *listener) hear(lists ...[]ledger.Event) error {
	for _, list := range lists {
		for i := range list {
			if err := l.tell(&list[i]); err != nil {
				return err
			}
			l.after, l.said = max(l.after, list[i].Seq), time.Now()
		}
	}
	return nil
}

// wait waits for a change or until a time is over, and shows that it is still there if that was not shown for long.
// change may be nil, then only time and ctx end the wait. The heartbeat comes at the end of a wait, so silence lasts at most
// heartbeat and pause together.
func (l *listener) wait(ctx context.Context, change <-chan struct{}, pause time.Duration) error {
	l.timer.Reset(pause)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-change:
	case <-l.timer.C:
	}
	if time.Since(l.said) < l.heartbeat {
		return nil
	}
	l.said = time.Now()
	return l.tell(nil)
}

// Follow tells the events of a work after a number, stored ones and passing ones (whose number is 0), until it has ended and all is told,
// ctx ends, or tell returns an error. It calls tell with no event at least every heartbeat.
// Numbers rise by work and are the same on all replicas, so a client may come again anywhere with the last one it saw. Stored
// events come in order and once; of passing ones only the newest of each kind. It holds the caller for as long.
func (q *Queue) Follow(ctx context.Context, id string, after int64, heartbeat time.Duration, tell func(*ledger.Event) error) error {
	// A number that no event of this work has is another work's, or made up: waiting for events beyond it would be silence for ever.
	if last, err := q.lastEvent(ctx, id, after); err != nil {
		return err
	} else if after > last {
		after = 0
	}
	l := &listener{tell: tell, after: after, said: time.Now(), heartbeat: heartbeat, timer: time.NewTimer(heartbeat)}
	defer l.timer.Stop()
	// Batches on Postgres have their events in the lease's tables, all other works in the ledger's.
	if q.Leases != nil {
		w, err := q.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case q.leased(w):
			return q.followLeased(ctx, id, l)
		}
	}
	return q.followHere(ctx, id, l)
}

// lastEvent gives the number of the newest event that was told of a work. It is not asked for a client that has heard nothing.
func (q *Queue) lastEvent(ctx context.Context, id string, after int64) (int64, error) {
	if after <= 0 {
		return 0, nil
	}
	if q.Leases != nil {
		w, err := q.Get(ctx, id)
		if err != nil {
			return 0, err
		}
		if q.leased(w) {
			e, err := q.Leases.Last(ctx, id)
			if errors.Is(err, lease.ErrNoBatch) {
				return 0, nil // it has not been handed out yet
			}
			return e.Seq, err
		}
	}
	return q.Ledger.LastEvent(ctx, id)
}

// followHere is Follow for a work that one replica runs: this one, whose hub tells of it, or another one, whose events are read from the ledger.
func (q *Queue) followHere(ctx context.Context, id string, l *listener) error {
	turn := int64(0) // of the passing events that were told last
	// Each round tells what is known and then waits for a reason to look again: the hub's change here, the clock for works of
	// other replicas.
	for {
		lv := q.liveWork(id)
		change, pause, over := q.next(id), 2*otherReplica, false
		if change != nil && !q.Ledger.Shared() {
			pause = l.heartbeat
		} else if !q.Ledger.Shared() {
			pause = 20 * time.Millisecond // it is between its line and its run
		}
		// Three sources, from fast to slow: the hub's memory, the ledger for what is too old for it, the row for whether there
		// will be more.
		var events, passing []ledger.Event
		complete := false
		if lv != nil {
			events, passing, turn, complete, over, change = lv.hub.after(l.after, turn)
			pause = l.heartbeat
		}
		// Not all is in memory, or nothing runs here: at most 1000 events are read at a time, and the loop comes again until
		// there are none left.
		if !complete {
			var err error
			if events, err = q.Ledger.Events(ctx, id, l.after, 1000); err != nil {
				return err
			}
			if lv == nil && len(events) == 0 {
				w, err := q.Get(ctx, id)
				if err != nil {
					return err
				}
				over = w.State.Final()
			} else {
				pause, over = 0, false
			}
		}
		if err := l.hear(events, passing); err != nil {
			return err
		}
		// Over means that the row is final; events that were stored before that have been told by now.
		if over && len(events) == 0 {
			return nil
		}
		if over || pause == 0 {
			continue
		}
		if err := l.wait(ctx, change, pause); err != nil {
			return err
		}
	}
}
