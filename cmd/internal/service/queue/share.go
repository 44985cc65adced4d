package queue

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// broker divides what this replica has of the endpoints' places among the jobs that run here. It trades with the other replicas, and with the
// slices of batches, for all its jobs in one call, so that many jobs that come at once cost one round trip; a place that a job leaves goes to the
// next one here without any.
//
// A job that wants a place waits in its own Trade until one is free, at most hungryTime, then asks again. One goroutine trades; the jobs' calls
// come from many.
// Only single jobs on Postgres need it. Its lock is held for moments, never during a trade.
type broker struct {
	trade func(context.Context, scheduler.Want) (scheduler.Grant, error) // with the database: all endpoints in one call

	mu           sync.Mutex
	jobs         int                  // that run here
	ends         map[string]*brokered // by name of the endpoint
	begun, ended int                  // trades
	err          error                // of the last one
	change       chan struct{}        // closed when a trade has ended, or a place is free
	kick         chan struct{}        // one place: somebody wants a trade soon
}

// brokered is one endpoint's part of it.
type brokered struct {
	limits  compiler.Limits
	have    int                    // places that this replica has
	used    int                    // of them, those that jobs have
	wanted  int                    // by jobs, what they have included
	held    int                    // by jobs on the remote
	submits int                    // that are left
	asked   int                    // submits that jobs wait for
	until   time.Time              // when submits may go on, after a 429 or a trip of the breaker
	runs    int                    // how many runs share the endpoint, as the last trade told
	news    scheduler.EndpointWant // what jobs found since the last trade
	told    bool                   // there are some
	left    int                    // jobs that were left on the remote when their run here stopped
}

// A job that got no place asks again after hungryTime, which is also when it hears of a cancel.
const (
	hungryTime   = time.Second            // longest wait of one Trade
	roundEvery   = 250 * time.Millisecond // while places are missing, or too many
	spareSubmits = 32                     // fetched ahead at most, one for each job that runs
	noBound      = 1 << 30                // a bound that never binds: other limits apply
)

// newBroker takes how to trade, which may block; it is never called by two goroutines at once.
func newBroker(trade func(context.Context, scheduler.Want) (scheduler.Grant, error)) *broker {
	return &broker{trade: trade, ends: map[string]*brokered{}, change: make(chan struct{}), kick: make(chan struct{}, 1)}
}

// run trades until ctx ends.
// A kick trades at once, for a job that waits; the tick gives back what is not used any more.
func (b *broker) run(ctx context.Context) {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kick:
			b.round(ctx)
		case <-tick.C:
			if b.uneven() {
				b.round(ctx)
			}
		}
	}
}

// uneven tells whether the replica has other places than its jobs want.
// News that were not told yet count as uneven, too.
func (b *broker) uneven() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.ends {
		if e.target() != e.have || e.told {
			return true
		}
	}
	return false
}

// target is how many places the replica wants.
// Places of jobs that were left on the remote are kept, though nobody here uses them.
func (e *brokered) target() int { return max(e.wanted, e.held) + e.left }

// round trades once.
// The lock is released during the call. What jobs want meanwhile is in the next round. An error reaches every job that waits.
func (b *broker) round(ctx context.Context) {
	b.mu.Lock()
	b.begun++
	names := slices.Sorted(maps.Keys(b.ends))
	var want scheduler.Want
	for _, name := range names {
		w := b.ends[name].want(name, b.jobs)
		want.InFlight += w.InFlight
		want.Parallel += w.Places
		want.Endpoints = append(want.Endpoints, w)
	}
	b.mu.Unlock()
	var grant scheduler.Grant
	var err error
	if len(names) > 0 {
		grant, err = b.trade(ctx, want)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, name := range names {
		b.ends[name].take(&want, &grant, i, err)
	}
	b.ended, b.err = b.begun, err
	b.ring()
}

// want is what is asked for at one endpoint. The news are told once.
// Submits are asked for only while jobs wait for some, and then a few more, so that the next jobs need no round trip.
func (e *brokered) want(name string, jobs int) scheduler.EndpointWant {
	w := e.news
	w.Name, w.Limits, w.InFlight, w.Places = name, e.limits, e.held+e.left, e.target()
	if e.asked > 0 {
		w.Submits = max(0, e.asked+min(jobs, spareSubmits)-e.submits)
	}
	e.news, e.told = scheduler.EndpointWant{}, false
	return w
}

// take notes the answer to a trade; after an error the news are told again.
// The answer has the endpoints in the order of the question.
func (e *brokered) take(want *scheduler.Want, grant *scheduler.Grant, i int, err error) {
	if err != nil {
		e.hear(&want.Endpoints[i])
		return
	}
	g := grant.Endpoints[i]
	e.have, e.runs = g.Places, g.Runs
	e.submits += g.Submits
	if g.Pause > 0 {
		e.until = time.Now().Add(g.Pause)
	}
}

// hear gathers what a job found.
// Of several pauses the longest counts; a success is told besides, and resets the count of failures.
func (e *brokered) hear(w *scheduler.EndpointWant) {
	if w.Pause > 0 {
		e.news.Pause, e.news.Open, e.news.Code, e.news.Reason = max(e.news.Pause, w.Pause), e.news.Open || w.Open, w.Code, w.Reason
	}
	e.news.Worked = e.news.Worked || w.Worked
	e.told = e.told || w.Pause > 0 || w.Worked
}

// ring wakes the jobs that wait. The lock is held.
// Every job looks anew: there is no list of who waits for what.
func (b *broker) ring() {
	close(b.change)
	b.change = make(chan struct{})
}

// jobShare is one job's side of a broker. It implements scheduler.Shares for the job's run.
// Created by join, used by one run, ended by leave.
type jobShare struct {
	b    *broker
	ends map[string]*jobPart // guarded by the broker's lock
}

// jobPart is what a job has and wants at one endpoint.
type jobPart struct { // at this endpoint: has places, of them held by a remote job; wants in all; submits it waits for
	has, held, wants, submits int
}

// join makes the side of a job that is about to run. leave must be called.
func (b *broker) join() *jobShare {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs++
	return &jobShare{b, map[string]*jobPart{}}
}

// leave gives back what a job had; but if its remote job was left to finish, its place is kept, as the remote job is still there.
// left is true when the service stops with the remote job still running: then its place must stay taken.
func (s *jobShare) leave(left bool) {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs--
	for name, p := range s.ends {
		e := b.ends[name]
		if left {
			e.left += p.has
		}
		p.set(e, jobPart{})
	}
	b.ring()
}

// set changes what a job has and wants, and the sums.
// All sums change here and nowhere else, so they cannot drift from the parts.
func (p *jobPart) set(e *brokered, to jobPart) {
	e.used += to.has - p.has
	e.held += to.held - p.held
	e.wanted += max(to.wants, to.has) - max(p.wants, p.has)
	e.asked += to.submits - p.submits
	*p = to
}

// Trade implements scheduler.Shares.
// It blocks until the job can submit somewhere, a trade that knew of its wish has brought nothing more, or hungryTime is over.
// It gives what there is then, which may be nothing.
func (s *jobShare) Trade(ctx context.Context, want scheduler.Want) (scheduler.Grant, error) {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	s.note(&want)
	submits := make([]int, len(want.Endpoints))
	first := b.begun + 1 // the trade that knows of what is wanted here
	over := time.NewTimer(hungryTime)
	defer over.Stop()
	for {
		enough, some := s.divide(&want, submits)
		if enough || b.ended >= first && (some || b.err != nil) {
			break // a full round went by with this wish in it
		}
		if !b.wait(ctx, b.begun < first, over.C) {
			break
		}
	}
	// Submits that were not granted are not kept as a debt: the run asks again with its next Trade.
	for i := range want.Endpoints { // what is not there now is asked for again
		p := *s.ends[want.Endpoints[i].Name]
		p.submits = 0
		s.ends[want.Endpoints[i].Name].set(b.ends[want.Endpoints[i].Name], p)
	}
	if b.ended >= first && b.err != nil {
		return scheduler.Grant{}, b.err
	}
	return s.grant(&want, submits), ctx.Err()
}

// wait waits for a change, without the lock, and asks for a trade before if ask is set. It tells whether there was one.
// It is called with the lock and returns with it.
func (b *broker) wait(ctx context.Context, ask bool, over <-chan time.Time) bool {
	change := b.change
	if ask {
		select {
		case b.kick <- struct{}{}:
		default:
		}
	}
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-change:
		return true
	case <-over:
	case <-ctx.Done():
	}
	return false
}

// note takes down what a job holds and wants: one place at each endpoint that it could use, and the submit for it. What it does not want any more
// it gives back.
// A new endpoint is added on first sight.
func (s *jobShare) note(want *scheduler.Want) {
	for i := range want.Endpoints {
		w := &want.Endpoints[i]
		e := s.b.ends[w.Name]
		if e == nil {
			e = &brokered{}
			s.b.ends[w.Name] = e
		}
		p := s.ends[w.Name]
		if p == nil {
			p = &jobPart{}
			s.ends[w.Name] = p
		}
		e.limits = w.Limits
		e.hear(w)
		// One job needs one place and one submit.
		to := jobPart{held: w.InFlight, wants: min(w.Places, max(w.InFlight, 1)), submits: min(w.Submits, 1)}
		to.has = max(min(p.has, to.wants), to.held) // a remote job that runs keeps its place, whatever is wanted
		p.set(e, to)
	}
}

// divide gives the job what is free. enough tells that it wants no more, some that it can submit somewhere.
// First come, first served: waiting jobs look in the order in which they get the lock.
func (s *jobShare) divide(want *scheduler.Want, submits []int) (enough, some bool) {
	enough = true
	for i := range want.Endpoints {
		name := want.Endpoints[i].Name
		e, p := s.b.ends[name], s.ends[name]
		to := *p
		to.has += max(0, min(p.wants-p.has, e.have-e.left-e.used))
		if n := min(p.submits, e.submits); n > 0 {
			e.submits -= n
			to.submits -= n
			submits[i] += n
		}
		p.set(e, to)
		enough = enough && p.has >= p.wants && p.submits == 0
		some = some || p.has > p.held && (submits[i] > 0 || want.Endpoints[i].Submits == 0)
	}
	return enough, some
}

// grant says what the job has. Its money is its own, so there is none to wait for.
// Runs is how many runs divide what the endpoint takes, here and elsewhere, by which the run paces itself.
func (s *jobShare) grant(want *scheduler.Want, submits []int) scheduler.Grant {
	g := scheduler.Grant{Parallel: noBound, USD: noBound, Broke: true}
	for i, w := range want.Endpoints {
		e, p := s.b.ends[w.Name], s.ends[w.Name]
		g.Endpoints = append(g.Endpoints, scheduler.EndpointGrant{Places: p.has, Submits: submits[i], Pause: max(0, time.Until(e.until)), Runs: max(1, e.runs) * max(1, s.b.jobs)})
	}
	return g
}

// settle trades a last time, when all jobs have left. left tells whether remote jobs were left to finish.
// After it, this replica has only the places of jobs that it left; they are given back when the next start collects those.
func (b *broker) settle(ctx context.Context) (left bool) {
	b.round(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.ends {
		left = left || e.left > 0
	}
	return left
}
