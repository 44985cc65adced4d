package bench

import (
	"math"

	"github.com/comfyc/comfyc/scheduler"
)

// simBound is what nobody can do better, given what a simulated run drew: all workers of all endpoints start at once, take as long to start as
// they did (those that never did as long as the others on the average), and share the renders like a fluid at their mean speeds; a run lasts
// at least as long as its longest job on the fastest GPU.
// The result is in seconds. Ends of jobs are not whole in it, so no schedule reaches it exactly; that is what the goals' per
// cents are for.
func simBound(models []scheduler.Model, r scheduler.SimulationReport, renders int) float64 {
	var starts, speeds []float64
	for i, m := range models {
		e := r.Endpoints[i]
		mean := simMean(models, r, m.GPU)
		for k := range m.Workers.Max {
			// The starts that were drawn belong to the workers that the run used; others get the mean of the distribution.
			start := (coldLeast + coldMost) / 2
			if k < len(e.Colds) {
				start = e.Colds[k].Seconds()
			}
			starts, speeds = append(starts, start), append(speeds, 1/mean) // renders a second of one worker
		}
	}
	// The time is found by halving: work done until a time grows with it, and 100 halvings of 10^9 s end far below a
	// nanosecond.
	low, high := 0.0, 1e9
	for range 100 {
		mid := (low + high) / 2
		done := 0.0
		for k := range starts {
			done += math.Max(0, mid-starts[k]) * speeds[k]
		}
		if done < float64(renders) {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// simMean is how long a render took on a GPU, over all endpoints that have it; what was published where few were done.
// Taking the run's own mean keeps luck in drawing out of the ratio. Below 200 renders a mean is luck itself.
func simMean(models []scheduler.Model, r scheduler.SimulationReport, gpu string) float64 {
	seconds, n := 0.0, 0
	for i, m := range models {
		if m.GPU == gpu {
			seconds += r.Endpoints[i].Work.Seconds()
			n += r.Endpoints[i].Renders
		}
	}
	switch {
	case n >= 200:
		return seconds / float64(n)
	case gpu == "h100":
		return meanOf(flux4090) / h100Times
	}
	return meanOf(flux4090)
}

// simWorkers counts the workers that a fleet can have.
// Starting more than Max at one time is what an endpoint never does.
func simWorkers(models []scheduler.Model) (n int) {
	for _, m := range models {
		n += m.Workers.Max
	}
	return n
}

// simCostBound is the least that a run must cost: its work at the price of the cheapest endpoint that it fits, and for each worker that was used
// one cold start and one idle time-out.
// It is lower than what any schedule costs, since work is taken at the best price although not all of it may fit there.
func simCostBound(models []scheduler.Model, r scheduler.SimulationReport, renders int) float64 {
	perRender := math.Inf(1) // of the cheapest, over all endpoints
	starts := 0.0
	for i, m := range models {
		e := r.Endpoints[i]
		mean := simMean(models, r, m.GPU)
		perRender = math.Min(perRender, mean**m.Price)
		for k, cold := range e.Colds { // Colds are in the order of the starts
			if k < m.Workers.Max { // a worker that was started again was not needed
				starts += (cold + m.Workers.IdleTimeout).Seconds() * *m.Price
			}
		}
	}
	return perRender*float64(renders) + starts
}

// simCost sums what the endpoints charged: work, cold starts and idle time, failed attempts included.
func simCost(r scheduler.SimulationReport) (usd float64) {
	for _, e := range r.Endpoints {
		usd += e.USD
	}
	return usd
}
