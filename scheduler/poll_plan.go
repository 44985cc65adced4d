package scheduler

import (
	"math"
	"time"
)

// pollPlan says, for a kind of job that takes seconds and varies, when it is best polled next after any moment at which it had not ended: the
// least of calls + lateCost·P(seen late) + delayCost·E(delay) over all sequences of polls, for the smoothed distribution of the durations
// that were seen. lateCost is as high as it must be to see half of the jobs at once, within reason. So polls gather where an end is likely and
// leave out where it is not: an even pace needs a fifth more calls for the same median.
type pollPlan struct {
	from  time.Duration // no job ends before
	step  time.Duration
	next  []time.Duration // by cell after from: since the submit
	added int             // samples since it was made
}

const (
	planCells  = 160
	planLeast  = 8                      // samples that a plan is made from
	planFrom   = time.Second            // shorter jobs follow the rule of gap
	planBeyond = 1.25                   // of the longest job seen: where the plan ends
	late       = 400 * time.Millisecond // what is seen sooner was seen at once
	mostLate   = 0.49                   // of all jobs
	delayCost  = 0.6                    // calls that a second of delay is worth
)

// lateCosts are the calls that it is worth to see an end at once: the first that does is taken, or the last.
var lateCosts = []float64{8.5, 9, 9.5, 10, 10.5, 11, 11.5, 12, 12.5, 13, 14}

// planned gives the pause before the next poll by the plan; false where it does not reach.
func (e *estimate) planned(elapsed time.Duration) (time.Duration, bool) {
	n := e.whole.len()
	if n < planLeast || e.whole.sorted[n-1] < planFrom {
		return 0, false
	}
	if e.plan.next == nil || e.plan.added*8 >= n {
		e.plan = makePlan(e.whole.sorted)
	}
	cell := max(0, int((elapsed-e.plan.from)/e.plan.step))
	if cell >= len(e.plan.next) {
		return 0, false
	}
	return max(e.plan.next[cell]-elapsed, minPoll), true
}

// seen takes the duration of a job that has ended into account.
func (e *estimate) seen(whole time.Duration) {
	e.whole.add(whole)
	e.plan.added++
}

func makePlan(sorted []time.Duration) pollPlan {
	width := smoothing(sorted)
	from := time.Duration(float64(sorted[0]) * (1 - width))
	end := time.Duration(float64(sorted[len(sorted)-1]) * planBeyond)
	p := pollPlan{from: from, step: (end-from)/planCells + 1, next: make([]time.Duration, planCells)}
	ends := p.smoothed(sorted, width)
	for _, cost := range lateCosts {
		if p.solve(ends, cost) <= mostLate {
			break
		}
	}
	return p
}

// ends is by moment which part of the jobs has ended, and the sum of their durations since p.from, in cells.
type ends struct{ share, sum []float64 }

// solve goes backwards over the moments at which a job may be known to be unfinished, and gives the part of the jobs that is seen late.
func (p *pollPlan) solve(e ends, lateCost float64) float64 {
	step := p.step.Seconds()
	soon, widest := late.Seconds()/step, max(1, int(maxPoll/p.step))
	best, slow := make([]float64, planCells+1), make([]float64, planCells+1)
	for i := planCells - 1; i >= 0; i-- {
		at, least := 0, math.Inf(1)
		for j := i + 1; j <= min(i+widest, planCells); j++ {
			wait := float64(j)*(e.share[j]-e.share[i]) - (e.sum[j] - e.sum[i])
			if cost := best[j] + lateCost*e.late(i, j, soon) + delayCost*step*wait; cost < least {
				least, at = cost, j
			}
		}
		best[i], slow[i] = least+1-e.share[i], slow[at]+e.late(i, at, soon)
		p.next[i] = p.from + time.Duration(at)*p.step
	}
	return slow[0]
}

// late is the part of all jobs that end between two polls and so long before the second that it comes late.
func (e ends) late(i, j int, soon float64) float64 {
	x := float64(j) - soon
	if x <= float64(i) {
		return 0
	}
	k := int(x)
	return e.share[k] + (x-float64(k))*(e.share[k+1]-e.share[k]) - e.share[i]
}

// smoothing is by how much a duration that was seen stands for those around it: the fewer were seen, the more.
func smoothing(sorted []time.Duration) float64 {
	n := len(sorted)
	quarters := sorted[n*3/4].Seconds() / max(sorted[n/4].Seconds(), 1e-3)
	return min(math.Log(max(quarters, 1.001))/1.35*math.Pow(float64(n), -0.2), 0.5)
}

// smoothed spreads the durations over the cells; one more than were seen is between the longest and the end.
func (p *pollPlan) smoothed(sorted []time.Duration, width float64) ends {
	e := ends{make([]float64, planCells+1), make([]float64, planCells+1)}
	cell := func(d float64) float64 { return (d - float64(p.from)) / float64(p.step) }
	weight := 1 / float64(len(sorted)+1)
	for _, d := range sorted {
		spread(e.share, cell(float64(d)*(1-width)), cell(float64(d)*(1+width)), weight)
	}
	spread(e.share, cell(float64(sorted[len(sorted)-1])), planCells, weight)
	for i := 1; i <= planCells; i++ {
		e.sum[i] = e.sum[i-1] + e.share[i]*(float64(i)-0.5)
		e.share[i] += e.share[i-1]
	}
	return e
}

// spread adds a weight evenly between two places; cell i ends at i.
func spread(cells []float64, from, to, weight float64) {
	last := float64(len(cells) - 1)
	from, to = max(0, min(from, last-1e-3)), min(to, last)
	to = max(to, from+1e-3)
	for i := int(from) + 1; i < len(cells) && float64(i-1) < to; i++ {
		cells[i] += weight * (min(to, float64(i)) - max(from, float64(i-1))) / (to - from)
	}
}
