package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// Run hands out turns until ctx ends; then it stops what runs here, leaves remote jobs to finish, and gives everything up to the next start
// or to other replicas. It returns when all of that is durable.
// An error is one of the database at the start; later trouble is logged and tried again. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	if q.Leases != nil {
		end, err := q.together(ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := q.recover(ctx); err != nil {
		return err
	}
	// Beats and looks are made in this goroutine, so a database that hangs delays turns too; statements end after 30 s.
	beat, look := time.NewTicker(beatEvery), time.NewTicker(lookEvery)
	defer beat.Stop()
	defer look.Stop()
	var sweeping sync.WaitGroup // beside the turns, as a bucket may take its time
	sweeping.Go(func() { q.sweeps(ctx) })
	defer sweeping.Wait()
	for {
		q.dispatch(ctx) // first, and after every reason to look again
		select {
		case <-ctx.Done():
			return q.drain()
		case <-q.kick:
		case <-beat.C:
			q.beat(ctx)
			q.mend(ctx)
		case <-look.C:
			if q.Ledger.Shared() {
				q.look(ctx)
				q.adopt(ctx)
			}
		}
	}
}

// recover takes up what an earlier process left, and counts what there is.
// What is found running is continued, not begun: its remote jobs are asked for by their ids.
func (q *Queue) recover(ctx context.Context) error {
	if !q.Ledger.Shared() { // this process is the only one: nobody else holds anything
		if err := q.Ledger.Write(ctx, func(tx *ledger.Tx) error { return tx.Exec("UPDATE works SET holder = '', beat = 0 WHERE holder <> ''") }); err != nil {
			return err
		}
	}
	if err := q.tally(ctx); err != nil {
		return err
	}
	q.adopt(ctx)
	return nil
}

// sweeps deletes what expires, until ctx ends.
func (q *Queue) sweeps(ctx context.Context) {
	sweep, drop := time.NewTicker(time.Minute), time.NewTicker(time.Hour)
	defer sweep.Stop()
	defer drop.Stop()
	q.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			q.sweep(ctx)
		case <-drop.C:
			q.DropCopies(ctx)
		}
	}
}

// adopt puts works into line that nobody runs.
// The database says which works nobody beats for. Ones that are known here are left as they are by enter.
func (q *Queue) adopt(ctx context.Context) {
	works, err := q.Ledger.Open(ctx, q.Now(), Silence, 100_000)
	if err != nil {
		q.Log.Error("the works that wait cannot be read", "error", err)
		return
	}
	for _, w := range works {
		q.enter(w)
	}
}

// beat shows that this replica lives, and hears what others want of its works.
// Trouble is logged only: fence and Silence see to it that nothing is done twice.
func (q *Queue) beat(ctx context.Context) {
	sent := time.Now()
	err := q.Ledger.Beat(ctx, q.Replica, q.Now())
	if err == nil && q.Ledger.Shared() {
		err = q.hear(ctx)
	}
	if err == nil && q.Ledger.Shared() { // what others have taken over meanwhile is not run here any more
		q.mu.Lock()
		q.answered = sent
		q.mu.Unlock()
		err = q.tally(ctx)
	}
	if err != nil {
		q.Log.Error("the sign of life cannot be written", "error", err)
	}
}

// mend takes up works that have fallen between their line and their run, as the disk was full when their row should have been written, or the
// database was away. Where replicas share the ledger, that happens at each look anyhow.
func (q *Queue) mend(ctx context.Context) {
	if q.Ledger.Shared() || !q.amiss.Swap(false) {
		return
	}
	if err := q.hear(ctx); err != nil {
		q.Log.Error("works that nobody runs cannot be looked for", "error", err)
		q.amiss.Store(true)
		return
	}
	q.adopt(ctx)
}

// hear does what others wish of the works that this replica holds, and lets go of those that another replica has taken over.
// This is how a cancel reaches works of other replicas, and how a replica that was away learns what it has lost.
func (q *Queue) hear(ctx context.Context) error {
	var running []*live
	q.mu.Lock()
	for _, lv := range q.live {
		if lv.taken.Load() {
			running = append(running, lv)
		}
	}
	q.mu.Unlock()
	held, err := q.Ledger.Held(ctx, q.Replica) // rows that name this replica, running or waiting
	if err != nil {
		return err
	}
	mine := map[string]bool{}
	for _, w := range held {
		mine[w.ID] = true
		if w.Wish == ledger.WishCancel {
			q.stopLive(w.ID)
		}
		q.mu.Lock()
		runs := q.live[w.ID] != nil || q.closing // its turn runs here, or everything is ending
		q.mu.Unlock()
		if !runs { // the database was away when its end should have been written: it is taken up again
			if err := q.Ledger.ReleaseOne(ctx, w.ID, q.Replica); err != nil {
				return err
			}
		}
	}
	// A work whose end is saved has no holder any more, and is none of these.
	for _, lv := range running {
		if !lv.saved.Load() && !mine[lv.id] {
			lv.stop(errTaken)
		}
	}
	return nil
}

// drain ends Run.
// Every work stops without cancelling its remote job. Ten seconds bound the last write; without it others wait for Silence.
func (q *Queue) drain() error {
	q.mu.Lock()
	q.closing = true
	for _, lv := range q.live {
		lv.stop(errShutdown)
	}
	q.mu.Unlock()
	q.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return q.Ledger.Release(ctx, q.Replica)
}

// Close ends the preview endpoints. It is called after Run, or without it, and may be called again.
func (q *Queue) Close() {
	q.mu.Lock()
	previews := q.previews
	q.previews = map[string]*preview{}
	q.mu.Unlock()
	for _, p := range previews {
		p.stop()
	}
	q.transport.CloseIdleConnections()
}

// errShutdown is the cause when the service stops, errTaken when another replica goes on with the work, errCancelled when somebody cancelled it.
var (
	errShutdown  = errors.New("the service stops")
	errTaken     = errors.New("another replica has taken it over")
	errCancelled = errors.New("it was cancelled")
)

// dispatch starts works while there is room.
// Each work begins in a goroutine of its own; the next one is chosen with the places that this one has taken.
func (q *Queue) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		q.mu.Lock()
		t := q.fair.next(func(owner string) int { return q.Ring.Owner(owner).Share() }, q.room)
		if t == nil {
			q.mu.Unlock()
			return
		}
		lv := q.begin(t)
		q.mu.Unlock()
		q.tasks.Go(func() { q.turn(lv) })
	}
}

// room tells whether a work can start. The lock is held.
// Called with each line's first, for every turn: it must stay cheap. A job needs one place of its pool; whole places are
// compared with a small tolerance, as fractions add up.
func (q *Queue) room(t *ticket) bool {
	if most := q.Ring.Owner(t.owner).Concurrent; most > 0 && q.running(t.owner)+q.elsewhere(t.owner) >= most {
		return false
	}
	if t.lane == "" {
		n := 0
		for _, lv := range q.live {
			if lv.lane == "" {
				n++
			}
		}
		return n < q.MaxBatches
	}
	p := q.pools[t.lane]
	if p == nil {
		return true // the pool is gone: the work fails, and says so
	}
	var all, used, jobs float64
	for _, e := range p.Endpoints {
		all, used, jobs = all+float64(q.places[e]), used+q.load[e], jobs+q.jobLoad[e]
	}
	return used+1 <= all+1e-6 || jobs+1 <= max(1, all/4)+1e-6 // batches leave a quarter to jobs, but only as their own end: until then there may be more than there are places
}

// running counts an owner's works. The lock is held.
func (q *Queue) running(owner string) (n int) {
	for _, lv := range q.live {
		if lv.owner == owner {
			n++
		}
	}
	return n
}

// occupy books places of a job on endpoints, or gives them back if n is negative. The lock is held.
// A job on several endpoints takes of each in proportion to its places, since it is not known where it will run.
func (q *Queue) occupy(ends []string, n float64) {
	all := 0
	for _, e := range ends {
		all += q.places[e]
	}
	for _, e := range ends {
		part := n * float64(q.places[e]) / float64(max(1, all))
		q.load[e] += part
		q.jobLoad[e] += part
	}
}
