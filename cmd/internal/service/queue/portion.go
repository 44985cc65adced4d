package queue

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// portion is a batch's part of its endpoints' places where one process has all of them. It implements [scheduler.Shares] for the batch's run,
// which asks every second, and when it lacks something.
//
// Who is alone gets all that is free. As soon as somebody else wants a place of the same endpoint and has it not, everybody is held to a part by
// weight: what a batch has beyond it is not taken away, but given to the others as its remote jobs end. Where the places do not go round,
// they go to whoever has waited longest.
type portion struct {
	q  *Queue
	lv *live
}

// appetite is what a batch has and wants at one endpoint. The queue's lock guards it.
type appetite struct {
	has, wants int
	since      time.Time // when it began to want a place and have none; zero if it does not
}

// Trade implements scheduler.Shares. Submits and money are each run's own here: all that is wanted is granted.
func (p portion) Trade(_ context.Context, want scheduler.Want) (scheduler.Grant, error) {
	q := p.q
	q.mu.Lock()
	defer q.mu.Unlock()
	g := scheduler.Grant{Parallel: max(want.Parallel, want.InFlight), USD: noBound, Broke: true}
	less := false
	for i := range want.Endpoints {
		w := &want.Endpoints[i]
		before := p.lv.appetites[w.Name].has
		n := q.feed(p.lv, w, time.Now())
		less = less || n < before
		g.Endpoints = append(g.Endpoints, scheduler.EndpointGrant{Places: n, Submits: w.Submits, Runs: max(1, q.runsAt(w.Name))})
	}
	if less { // a job may start on what was given back
		q.poke()
	}
	return g, nil
}

// feed decides how many places of an endpoint a batch has from now on, and books them. The lock is held.
// It is never less than what is in flight there.
func (q *Queue) feed(lv *live, w *scheduler.EndpointWant, now time.Time) int {
	if lv.appetites == nil {
		lv.appetites = map[string]appetite{}
	}
	a := lv.appetites[w.Name]
	a.wants = w.Places
	if a.wants > 0 && a.has == 0 && a.since.IsZero() {
		a.since = now
	}
	lv.appetites[w.Name] = a
	free := float64(max(q.places[w.Name], 1)) - (q.load[w.Name] - float64(a.has)) // for this batch, what it has included
	n := min(w.Places, int(math.Floor(free+1e-6)))
	if q.contested(lv, w.Name) {
		n = min(n, q.partHere(lv, w.Name))
	}
	n = max(n, w.InFlight, 0)
	q.load[w.Name] += float64(n - a.has)
	if a.has = n; n > 0 || w.Places == 0 {
		a.since = time.Time{}
	}
	lv.appetites[w.Name] = a
	return n
}

// contested tells whether somebody else wants more of an endpoint than he has: another batch that runs, or a job that waits. The lock is held.
func (q *Queue) contested(lv *live, end string) bool {
	for _, other := range q.live {
		if a := other.appetites[end]; other != lv && a.wants > a.has {
			return true
		}
	}
	return q.jobsWait(end)
}

// jobsWait tells whether a job waits that could run on an endpoint. The lock is held.
func (q *Queue) jobsWait(end string) bool {
	return slices.ContainsFunc(q.fair.lines, func(l *line) bool {
		p := q.pools[l.lane]
		return p != nil && len(l.waiting) > l.gone && slices.Contains(p.Endpoints, end)
	})
}

// partHere is what a batch may have of an endpoint that others want too: by weight among the batches that run there, and the owners whose batches
// wait for their turn, once each. A quarter is left to jobs while some wait. The lock is held.
func (q *Queue) partHere(lv *live, end string) int {
	all := max(q.places[end], 1)
	if q.jobsWait(end) {
		all -= all / 4
	}
	mine := q.Ring.Owner(lv.owner).Share()
	weights := mine
	for _, other := range q.live {
		if other != lv && other.appetites[end].wants > 0 {
			weights += q.Ring.Owner(other.owner).Share()
		}
	}
	for _, l := range q.fair.lines {
		if l.lane == "" && l.owner != lv.owner {
			weights += q.Ring.Owner(l.owner).Share()
		}
	}
	if n := all * mine / weights; n > 0 || !q.longerHungry(lv, end) {
		return max(n, 1)
	}
	return 0
}

// longerHungry tells whether another batch has waited longer for its first place at an endpoint than this one. The lock is held.
func (q *Queue) longerHungry(lv *live, end string) bool {
	mine := lv.appetites[end].since
	for _, other := range q.live {
		since := other.appetites[end].since
		if other == lv || since.IsZero() {
			continue
		}
		if mine.IsZero() || since.Before(mine) || since.Equal(mine) && other.id < lv.id {
			return true
		}
	}
	return false
}

// runsAt counts the works that use an endpoint. The lock is held.
func (q *Queue) runsAt(end string) (n int) {
	for _, lv := range q.live {
		if slices.Contains(lv.ends, end) {
			n++
		}
	}
	return n
}

// vacate gives back what a work had. The lock is held.
func (q *Queue) vacate(lv *live) {
	if lv.lane != "" {
		q.occupy(lv.ends, -lv.load)
		return
	}
	for end, a := range lv.appetites {
		q.load[end] -= float64(a.has)
	}
	lv.appetites = nil
}
