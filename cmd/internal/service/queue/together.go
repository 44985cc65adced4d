package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// What a replica does besides its turns: it works on slices of everybody's batches, and keeps account with the others.

const (
	// slots is how many slices a replica runs at one time: enough for two slices of each of many batches, as a slice that waits for places costs little.
	slots = 64
	// selfStop is how long after the last answered beat a replica sends nothing more for its jobs: others may have them soon.
	selfStop = 20 * time.Second
)

// together starts the replica's worker and its account of places. end stops both, after the works that run here have stopped.
// Nothing is submitted before the first look, so that the shares are those of all from the start.
func (q *Queue) together(ctx context.Context) (end func(), err error) {
	own, err := q.Leases.Places(ctx, q.Replica)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	q.own, q.shares = own, newBroker(own.Trade)
	q.mu.Unlock()
	working, stopWork := context.WithCancel(context.Background())
	trading, stopTrade := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { q.own.Keep(trading) }) // renews what this replica holds, until the very end
	tasks.Go(func() { q.shares.run(trading) })
	w := &lease.Worker{Queue: q.Leases, Host: host{q}, Slots: slots, Name: q.Replica, Log: q.Log.With(slog.String("part", "worker")), Others: func() bool { return q.own.Others() > 0 }}
	var worked error
	var worker sync.WaitGroup
	worker.Go(func() { worked = w.Run(working) })
	// Slices go back first, so that other replicas continue while the jobs here still stop.
	unhook := context.AfterFunc(ctx, stopWork) // slices are given back while the works here stop
	q.look(ctx)
	return func() {
		unhook()
		stopWork()
		worker.Wait()
		if worked != nil {
			q.Log.Error("the worker", "error", worked)
		}
		stopTrade() // only after all works: they may give places back
		tasks.Wait()
		late, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := q.own.Close(late, q.shares.settle(late)); err != nil {
			q.Log.Warn("places on endpoints cannot be given back; they are free after a while", "error", err)
		}
	}, nil
}

// look reads how much the replicas have to do together.
// Both are snapshots: shares may be wrong for two seconds after a change, and are right again then.
func (q *Queue) look(ctx context.Context) {
	loads, err := q.Ledger.Loads(ctx, q.Replica)
	var granted map[string]int
	if err == nil && q.Leases != nil {
		granted, err = q.Leases.Granted(ctx)
	}
	if err != nil {
		q.Log.Error("how much there is to do cannot be read", "error", err) // the last snapshot stays
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loads, q.granted = loads, granted
}

// elsewhere counts an owner's works that other replicas run. The lock is held.
// Works that this replica runs are counted from memory instead, see running.
func (q *Queue) elsewhere(owner string) (n int) {
	for _, l := range q.loads {
		if l.Owner == owner && l.State == ledger.Running {
			n += l.Works - l.Here
		}
	}
	return n
}

// fence tells why this replica may send nothing for its works now: it was not heard of for a while, and another may have taken them over. A clock
// that was set, or a machine that slept, counts as time that has passed.
// The limit is 20 s, below the 30 s after which others may take over: so there is no moment in which both may send.
func (q *Queue) fence() error {
	if !q.Ledger.Shared() {
		return nil
	}
	q.mu.Lock()
	answered := q.answered
	q.mu.Unlock()
	now := time.Now() // the monotonic clock stops while some machines sleep, the wall clock does not
	if silent := max(now.Sub(answered), now.Round(0).Sub(answered.Round(0))); silent > selfStop {
		return fmt.Errorf("the database has not answered for %v, so another replica may have taken over", silent.Round(time.Second))
	}
	return nil
}

// Others tells how many other replicas work, as far as is known here.
func (q *Queue) Others() int {
	q.mu.Lock()
	own := q.own
	q.mu.Unlock()
	if own == nil {
		return 0
	}
	return own.Others()
}
