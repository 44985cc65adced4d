package scheduler

import (
	"slices"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Fusing: renders of one kind that wait for the same endpoint are merged into one remote job. Nodes that are equal run once, and what a job costs
// beside its work is paid once. How many is bounded by the size of the job and of its answer, by the time-out, by the budget, and by how
// much would be lost. A job of several that fails is taken apart: its renders are tried again one by one, since any may be to blame.

const (
	platformTime = 10 * time.Minute // a platform ends jobs that run longer, if it was told nothing else
	mostLost     = time.Minute      // paid time that a job of several may lose, where it was not asked for
	enoughGaps   = 8                // pauses between jobs to be seen before they are believed
	worthwhile   = 10               // a job's work is to be at least so many times its overhead
	answerShare  = 0.9              // of the answer's limit that pictures of a guessed size may fill
)

// fuse gives what goes to an endpoint in place of a shard: the shard with those behind it that are like it, or the shard itself. wait says
// that more are about to be there.
func (c *core) fuse(s *shard, ep *endpoint, behind []*shard, oldest int) (whole *shard, wait bool) {
	most := c.mostFused(s, ep)
	if most == 1 {
		return s, false
	}
	l := newCargo(s, ep)
	mates := []*shard{s}
	for _, m := range behind {
		if len(mates) == most || l.full || m.id > oldest {
			break
		}
		if m.like(s) && c.unfit(m, ep) == "" && l.add(m) {
			mates = append(mates, m)
		}
	}
	// Others of its kind may be among those that are being built: a moment's wait makes one job of them instead of two.
	if len(mates) < most && !l.full && c.preparing > 0 {
		s.class.waits = c.pass
		return nil, true
	}
	if len(mates) == 1 {
		return s, false
	}
	return c.merge(mates, l.bytes), false
}

// like tells whether a shard can be merged with another one.
func (s *shard) like(other *shard) bool {
	return !s.taken && s.class == other.class && s.history == other.history && s.avoid == other.avoid && slices.Equal(s.unfit, other.unfit)
}

// merge makes one shard of several. Its job is made when it is submitted.
func (c *core) merge(mates []*shard, bytes int64) *shard {
	first := mates[0]
	whole := c.newShard()
	whole.class, whole.bytes, whole.avoid, whole.unfit, whole.last, whole.history = first.class, bytes, first.avoid, first.unfit, first.last, first.history
	for _, m := range mates {
		m.taken = true
		whole.renders = append(whole.renders, m.renders...)
		whole.mates = append(whole.mates, m.id)
	}
	return whole
}

// mostFused is how many renders of a kind may go to an endpoint as one job.
func (c *core) mostFused(s *shard, ep *endpoint) int {
	if c.opts.Fuse == 1 || s.alone || ep.OneOutput || len(s.renders) != 1 {
		return 1
	}
	est, most := &s.class.estimate[ep.index], c.opts.Fuse
	if most == 0 {
		most = c.worthFusing(est, ep)
	}
	// Half of the time-out, since estimates are off; and each 2 of debt, which is one failure, halve the number.
	longest := min(platformTime, c.opts.Timeout/2)
	most = min(most, int(longest/max(est.atMost(), 1))) >> int(est.debt/2)
	for most > 1 && !c.affordable(ep, est.times(most)) {
		most /= 2
	}
	most = max(most, 1)
	c.fusing = max(c.fusing, most)
	return most
}

// worthFusing is how many renders a job must hold for its overhead to be small, as far as little is lost when it fails and all places of the
// endpoints stay busy. It is 1 until it is known what the overhead is.
func (c *core) worthFusing(est *estimate, ep *endpoint) int {
	overhead, work := c.overhead(ep), max(est.expected(), time.Millisecond)
	if ep.Preview || est.paid.len() == 0 || overhead*worthwhile <= work {
		return 1
	}
	places := 0
	for _, other := range c.endpoints {
		if !other.drain && other.usable() {
			places += min(other.quota, other.Limits.InFlight)
		}
	}
	places = max(1, min(places, c.opts.MaxParallel))
	enough := int((overhead*worthwhile + work - 1) / work)
	return min(enough, int(mostLost/work), c.counts[Waiting]/places, compiler.MaxFused)
}

// overhead is the worker's time that a job costs beside its work, as far as is known. First the pause between two jobs, which is longer where no
// job may wait on the endpoint, since one that waits would start another worker: then the next job is only sent when the last one was seen to
// end. Then a cold start, by the part of the jobs that wait for one: many where little work comes at a time, or workers stop within such a pause.
// For the shortest time all workers start anyway, and nothing of that is saved by merging; the last jobs would only be longer.
func (c *core) overhead(ep *endpoint) (d time.Duration) {
	if ep.gaps.len() >= enoughGaps {
		d = ep.gaps.median()
	}
	if ep.quota > 0 && ep.depth == 0 {
		d = max(d, time.Duration(bridge/2*float64(time.Second)))
	}
	if c.opts.Objective == Fastest {
		return d
	}
	return d + time.Duration(ep.startShare(d)*float64(ep.cold()))
}

// startShare is the part of the jobs that wait for a worker to start: as was seen lately, or all if workers stop within the pause between two jobs.
func (ep *endpoint) startShare(pause time.Duration) float64 {
	if idle := ep.Workers.IdleTimeout; idle > 0 && pause >= idle && ep.Workers.Min == 0 {
		return 1
	}
	if ep.told < enoughGaps {
		return 0
	}
	return ep.started / ep.told
}

// cargo is what a job of several would weigh.
type cargo struct {
	ep          *endpoint
	files       map[string]bool
	bytes       int64 // of the body
	out         int64 // of the answer
	maxJob, max int64 // 0: no limit
	full        bool
}

func newCargo(s *shard, ep *endpoint) *cargo {
	l := &cargo{ep: ep, files: map[string]bool{}}
	if !ep.Uploads {
		l.maxJob = ep.Limits.JobBytes
	}
	l.max = int64(float64(ep.answerLimit()) * answerShare)
	l.add(s)
	return l
}

// add takes a shard in if it fits; the first one always does. Files that are there already weigh nothing.
func (l *cargo) add(s *shard) bool {
	// A graph grows a little when it is merged: ids and prefixes get longer. Nodes that will be shared are counted each time, to be safe.
	bytes, out := l.bytes+s.graph+s.graph/32, l.out+s.answer(l.ep)
	for _, f := range s.files {
		if !l.files[f.Name] {
			bytes += fileBytes(f)
		}
	}
	if len(l.files)+int(l.bytes) > 0 && (l.maxJob > 0 && bytes > l.maxJob || l.max > 0 && out > l.max) {
		l.full = true
		return false
	}
	for _, f := range s.files {
		l.files[f.Name] = true
	}
	l.bytes, l.out = bytes, out
	return true
}

// dissolve lets the renders of a job of several be tried one by one. That costs none of them a retry, as nobody knows which was to blame;
// they are not merged again, unless the job itself had nothing to do with it.
func (c *core) dissolve(a *attempt, kind Kind, counts bool) {
	whole := a.shard
	if counts && kind != Uncertain {
		a.blame(2)
	}
	if kind == MissingModel {
		whole.class.exclude(a)
	}
	for _, i := range whole.renders {
		s := c.newShard(i)
		s.history, s.unfit, s.last = whole.history, slices.Clone(whole.unfit), whole.last
		s.alone = s.alone || counts
		if kind == Rejected || kind == OutOfMemory || !counts {
			c.again(s, 0)
			continue
		}
		s.avoid = a.endpoint
		c.again(s, c.backoff(s, kind))
	}
}

// blame counts for, or against, jobs of several of a kind on an endpoint: every 2 of debt, which is one failure, halve how many renders they
// hold, and two jobs that gave all make that good.
func (a *attempt) blame(by float64) {
	if g := a.shard.class; g != nil {
		est := &g.estimate[a.endpoint.index]
		est.debt = min(max(est.debt+by, 0), maxDebt)
	}
}

const maxDebt = 12

// praise is for a job that gave all it owed.
func (a *attempt) praise() {
	if len(a.Renders) > 1 {
		a.blame(-1)
		return
	}
	a.blame(-1. / 8)
}

// learnGap notes the pause between two jobs on one worker of which the second was waiting already: what a job costs beside its work.
func (ep *endpoint) learnGap(a *attempt, st Status) {
	if a.Worker == "" || st.Execution <= 0 {
		return
	}
	start := a.Submitted.Add(st.Delay)
	end := start.Add(st.Execution)
	last, known := ep.lastEnd[a.Worker]
	if known && a.Submitted.Before(last) && !start.Before(last) {
		ep.gaps.add(start.Sub(last))
	}
	if !end.After(last) {
		return
	}
	if ep.lastEnd == nil || len(ep.lastEnd) >= maxWorkers {
		ep.lastEnd = map[string]time.Time{}
	}
	ep.lastEnd[a.Worker] = end
}

const maxWorkers = 256 // whose ends are remembered
