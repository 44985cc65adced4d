package queue

import (
	"context"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/scheduler"
)

// tallyKey is whose works of which pool are counted.
type tallyKey struct{ pool, owner string }

// Tally counts jobs of a pool, as the health calls of the compatible faces tell it.
// Numbers as the platforms' health calls have them; cancelled jobs are in none.
type Tally struct {
	Waiting, Running, Done, Failed, Retried int
}

// add counts n works in or, if n is negative, out of a state.
// Batches count as none of these; Incomplete is failed, as a job of one render has nothing between.
func (t *Tally) add(s ledger.State, n int) {
	switch s {
	case ledger.Waiting:
		t.Waiting += n
	case ledger.Running:
		t.Running += n
	case ledger.Done:
		t.Done += n
	case ledger.Failed, ledger.Incomplete, ledger.TimedOut:
		t.Failed += n
	}
}

// count notes that a work is in a new state, and the state that it was in before ("" for none).
// Changes are counted here instead of asking the database at each health call, which load balancers make every second.
func (q *Queue) count(w ledger.Work, before ledger.State, retried int) {
	if w.Kind == ledger.Batch {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, owner := range []string{w.Owner, everybody} { // twice: for the owner and for the sum
		key := tallyKey{w.Pool, owner}
		if q.tallies[key] == nil {
			q.tallies[key] = &Tally{}
		}
		q.tallies[key].add(before, -1)
		q.tallies[key].add(w.State, 1)
		q.tallies[key].Retried += retried
	}
}

// uncount takes a work that was deleted out of the counts.
func (q *Queue) uncount(w ledger.Work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, owner := range []string{w.Owner, everybody} {
		if t := q.tallies[tallyKey{w.Pool, owner}]; t != nil && w.Kind != ledger.Batch {
			t.add(w.State, -1)
			t.Retried -= w.Turns
		}
	}
}

// everybody stands for the sum over all owners; no key has this id.
const everybody = "*"

// tally counts what the ledger holds, when the queue starts; and again and again where other replicas change it.
// On Postgres it is called at each beat, so numbers are five seconds old at most there.
func (q *Queue) tally(ctx context.Context) error {
	counts, err := q.Ledger.Counts(ctx, time.Time{})
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.tallies)
	for _, c := range counts {
		if c.Kind == ledger.Batch {
			continue
		}
		for _, owner := range []string{c.Owner, everybody} {
			key := tallyKey{c.Pool, owner}
			if q.tallies[key] == nil {
				q.tallies[key] = &Tally{}
			}
			q.tallies[key].add(c.State, c.Works)
			q.tallies[key].Retried += c.Turns
		}
	}
	return nil
}

// PoolHealth is how a pool stands, as one owner (or all) sees its jobs.
type PoolHealth struct {
	Tally
	Places int  // jobs that run at one time at most
	Busy   int  // taken by works of all pools, at most Places
	Usable bool // at least one endpoint is not known to be out of order
}

// Health tells how a pool stands.
// An unknown pool has no places and is not usable. The owner "" is everybody without keys.
func (q *Queue) Health(pool, owner string, all bool) PoolHealth {
	if all {
		owner = everybody
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var h PoolHealth
	if t := q.tallies[tallyKey{pool, owner}]; t != nil {
		h.Tally = *t
	}
	if p := q.pools[pool]; p != nil {
		var load float64
		for _, e := range p.Endpoints {
			h.Places += q.places[e]
			load += q.busy(e)
			said, known := q.health[e]
			h.Usable = h.Usable || !known || said.Usable
		}
		h.Busy = min(int(load+0.5), h.Places)
	}
	return h
}

// EndpointHealth is how one endpoint stands.
// Its JSON is part of GET /status.
type EndpointHealth struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	GPU    string  `json:"gpu,omitempty"`  // as configured; "" if it is not said
	Places int     `json:"places"`         // the limit of jobs in flight
	Busy   float64 `json:"busy"`           // a job of a pool of several endpoints counts as a fraction at each
	Usable bool    `json:"usable"`         // as far as runs have told; true before the first
	Code   string  `json:"code,omitempty"` // why not, for `comfyc explain`
	Reason string  `json:"reason,omitempty"`
}

// EndpointsHealth tells how all endpoints stand, in the configuration's order.
func (q *Queue) EndpointsHealth() []EndpointHealth {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]EndpointHealth, 0, len(q.Config.Endpoints))
	for _, cfg := range q.Config.Endpoints {
		h := EndpointHealth{Name: cfg.Name, Type: cfg.Type, GPU: cfg.GPU, Places: q.places[cfg.Name], Busy: q.busy(cfg.Name), Usable: true}
		if said, ok := q.health[cfg.Name]; ok {
			h.Usable, h.Code, h.Reason = said.Usable, said.Code, said.Reason
		}
		out = append(out, h)
	}
	return out
}

// busy is how many places of an endpoint are taken, by all replicas. The lock is held.
func (q *Queue) busy(endpoint string) float64 {
	if q.Leases != nil {
		return max(float64(q.granted[endpoint]), q.load[endpoint]) // a preview is not shared
	}
	return max(0, q.load[endpoint])
}

// heard notes what a run says of an endpoint.
// Runs tell of trouble and of its end; the newest word counts, whichever work it came from.
func (q *Queue) heard(e scheduler.EndpointEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.health[e.Name] = e
}

// Standing is how busy the queue is.
// Waiting is of all works that this replica knows, on Postgres those of all replicas.
type Standing struct{ Batches, Jobs, Waiting int }

// Stand tells how many works run here and wait.
func (q *Queue) Stand() (s Standing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, lv := range q.live {
		if lv.lane == "" {
			s.Batches++
		} else {
			s.Jobs++
		}
	}
	s.Waiting = len(q.waiting)
	return s
}
