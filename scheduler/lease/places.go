package lease

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Places is what one machine has of the endpoints' places and submits for runs of its own, which are no slices of batches: the single jobs
// of `comfyc serve`. To those who hand out places it is a slice like the others, number -1 of a batch without renders, that its machine
// holds as long as it lives. It implements scheduler.Shares for all those runs together; whoever has it divides.
//
// All methods may be called from many goroutines, Trade from one at a time.
type Places struct {
	q    *Queue
	name string // of the machine
	id   string // of the batch without renders

	mu     sync.Mutex
	held   *hold
	others int // machines that were alive at the last beat, without this one
}

const (
	// Sweeps look at slices from 0 on, so no worker ever takes a machine's row over.
	ownSlice = -1
	// The places of a machine that has died are kept for what it left on remotes until others have surely found that, and count it as theirs.
	settled = Silence + 15*time.Second
	// alive is how long ago a machine's last beat may be while it counts as one that works.
	alive = 3 * Beat
)

// Places makes room for a machine's own runs. The name must be unique among the machines. [Places.Keep] must run for as long as they do.
func (q *Queue) Places(ctx context.Context, name string) (*Places, error) {
	p := &Places{q: q, name: name, id: "own-" + name}
	return p, p.enter(ctx)
}

// enter makes the rows, also after they were taken away from a machine that was stopped for a while.
func (p *Places) enter(ctx context.Context) error {
	// The batch is made as ended, since nothing of it is ever to be run. On conflict the machine has come back: a higher epoch shuts out
	// what its former self may still write.
	h := &hold{q: p.q, Lease: store.Lease{Batch: p.id, Slice: ownSlice}, alive: time.Now()}
	err := p.q.db.Tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO batches (id, name, plan, renders, owner, ended) VALUES ($1, '', '', 0, $2, clock_timestamp()) ON CONFLICT DO NOTHING`, p.id, p.name); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO slices (batch, slice, first, past, state, owner, epoch) VALUES ($1, $2, 0, 0, 'held', $3, 1)
			ON CONFLICT (batch, slice) DO UPDATE SET state = 'held', owner = $3, epoch = slices.epoch + 1, heartbeat = clock_timestamp() RETURNING epoch`,
			p.id, ownSlice, p.name).Scan(&h.Epoch)
	})
	if err != nil {
		return fmt.Errorf("make room for the jobs of %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.held = h
	p.mu.Unlock()
	return nil
}

// hold gives the lease of now; enter may replace it between two calls.
func (p *Places) hold() *hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Trade implements scheduler.Shares. The money of its runs is not its business.
func (p *Places) Trade(ctx context.Context, want scheduler.Want) (scheduler.Grant, error) {
	h := p.hold()
	if h.lost.Load() { // others took this machine for dead; what its runs held is held anew
		if err := p.enter(ctx); err != nil {
			return scheduler.Grant{}, err
		}
		h = p.hold()
	}
	return (&trader{h: h}).Trade(ctx, want)
}

// Keep shows that the machine lives, counts the others, and gives back what dead ones had, until ctx ends.
func (p *Places) Keep(ctx context.Context) {
	t := time.NewTicker(Beat)
	defer t.Stop()
	for {
		p.beat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// beat does one round of Keep. Trouble of the database is over at the next one, or somebody takes the places away.
func (p *Places) beat(ctx context.Context) {
	h := p.hold()
	if !h.lost.Load() {
		_, _, _ = h.beat(ctx) // a lost lease notes that itself
	}
	var others int
	if err := p.q.db.Pool.QueryRow(ctx, `SELECT count(*) FROM slices WHERE slice = $1 AND batch <> $2 AND heartbeat > clock_timestamp() - make_interval(secs => $3)`,
		ownSlice, p.id, alive.Seconds()).Scan(&others); err == nil {
		p.mu.Lock()
		p.others = others
		p.mu.Unlock()
	}
	// Every machine does this, at every beat: of those that find the same dead one, the row's lock lets one drop it.
	_ = p.q.db.Tx(ctx, func(tx pgx.Tx) error {
		return dropOwn(ctx, tx, "heartbeat < clock_timestamp() - make_interval(secs => $2)", settled.Seconds())
	})
}

// Others tells how many other machines work, as of the last beat: those with Places whose heartbeat is younger than 15 s. 0 before the first one.
func (p *Places) Others() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.others
}

// Granted tells how many places of each endpoint all machines have together, by the endpoint's name.
func (q *Queue) Granted(ctx context.Context) (map[string]int, error) {
	rows, err := q.db.Pool.Query(ctx, `SELECT substr(name, 10), granted FROM limits WHERE starts_with(name, 'endpoint ')`)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { out[name] = n; return nil })
	return out, err
}

// Close gives everything back. If jobs were left on remotes their places are kept, as the last Trade said, until others have taken the jobs over:
// 45 s after the last beat any other machine drops them. Keep must have ended.
func (p *Places) Close(ctx context.Context, left bool) error {
	if left {
		return nil
	}
	return p.q.db.Tx(ctx, func(tx pgx.Tx) error { return dropOwn(ctx, tx, "batch = $2", p.id) })
}

// dropOwn removes the rows of machines for which a condition holds; its argument is $2. where is a constant of this file, never input. The places go
// back first; the batch's other rows go with it, by ON DELETE CASCADE.
func dropOwn(ctx context.Context, tx pgx.Tx, where string, arg any) error {
	rows, err := tx.Query(ctx, `SELECT batch FROM slices WHERE slice = $1 AND `+where+` ORDER BY batch FOR UPDATE SKIP LOCKED`, ownSlice, arg)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := freeGrants(ctx, tx, id, ownSlice); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM batches WHERE id = $1", id); err != nil {
			return err
		}
	}
	return nil
}
