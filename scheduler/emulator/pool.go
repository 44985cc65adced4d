package emulator

import (
	"fmt"
	"time"
)

// box is one emulated worker of an endpoint.
type box struct {
	id    string
	ready bool        // false during the cold start
	busy  int         // jobs on it
	since time.Time   // billed from here on
	alarm *time.Timer // of the cold start, or of idling
}

// pool is the workers of an endpoint: between MinWorkers and MaxWorkers, started when more jobs wait than the starting ones will take, stopped
// after IdleTimeout. Its endpoint's lock guards it.
type pool struct {
	ep      *endpoint
	boxes   []*box
	started int     // in all, for their ids
	seconds float64 // of workers that have stopped
}

// open starts the workers that are always on; they need no cold start.
func (p *pool) open(now time.Time) {
	for range p.ep.MinWorkers {
		p.add(now).ready = true
	}
}

// add begins to bill a worker.
func (p *pool) add(now time.Time) *box {
	p.started++
	b := &box{id: fmt.Sprintf("%s-w%d", shortID(p.ep.em, p.ep.Name, p.started), p.started), since: now}
	p.boxes = append(p.boxes, b)
	return b
}

// free gives the ready worker with room that has most to do already, so that others may become idle; nil if there is none.
func (p *pool) free() *box {
	// Packing jobs onto few workers is what the platforms do, and what lets the others reach their idle timeout.
	var best *box
	for _, b := range p.boxes {
		if b.ready && b.busy < p.ep.Concurrency && (best == nil || b.busy > best.busy) {
			best = b
		}
	}
	return best
}

// grow starts workers for jobs that wait.
func (p *pool) grow(waiting int) {
	for _, b := range p.boxes {
		// A worker that is still starting is promised to as many jobs as it will take.
		if !b.ready {
			waiting -= p.ep.Concurrency
		}
	}
	for ; waiting > 0 && len(p.boxes) < p.ep.MaxWorkers; waiting -= p.ep.Concurrency {
		b := p.add(time.Now())
		if p.ep.ColdStart <= 0 {
			b.ready = true
			continue
		}
		b.alarm = time.AfterFunc(p.ep.ColdStart, func() { p.ep.locked(func() { b.ready = true; p.rest(b); p.ep.dispatch() }) })
	}
}

// rest lets a worker with nothing to do wait for its end.
func (p *pool) rest(b *box) {
	// The last MinWorkers stay for good; which ones those are is left to chance.
	if b.busy > 0 || !b.ready || len(p.boxes) <= p.ep.MinWorkers {
		return
	}
	if b.alarm != nil {
		b.alarm.Stop()
	}
	b.alarm = time.AfterFunc(max(p.ep.IdleTimeout, 0), func() {
		p.ep.locked(func() {
			if b.busy == 0 && len(p.boxes) > p.ep.MinWorkers {
				p.remove(b)
			}
		})
	})
}

// remove ends a worker and settles its seconds.
func (p *pool) remove(b *box) {
	for i := range p.boxes {
		if p.boxes[i] == b {
			// Billed from the decision to start it to its end, the cold start and the idling included.
			p.seconds += time.Since(b.since).Seconds()
			p.boxes = append(p.boxes[:i], p.boxes[i+1:]...)
			return
		}
	}
}

func (p *pool) close() {
	for _, b := range p.boxes {
		if b.alarm != nil {
			b.alarm.Stop()
		}
	}
}

// count tells how many workers idle, work and start.
func (p *pool) count() (idle, busy, starting int) {
	for _, b := range p.boxes {
		switch {
		case !b.ready:
			starting++
		case b.busy > 0:
			busy++
		default:
			idle++
		}
	}
	return
}

// billed is the worker-seconds so far: cold starts, work and idling, as the platforms charge them.
func (p *pool) billed(now time.Time) float64 {
	total := p.seconds
	for _, b := range p.boxes {
		total += now.Sub(b.since).Seconds()
	}
	return total
}
