package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// Simulations run on a clock of their own with fixed seeds, through the step of the real loop: their figures do not depend on the machine.

var simCases = []Case{
	{Name: "SimFastest", What: "makespan of `fastest` over the lower bound, after one p95 job is taken off; and of plain ways to choose endpoints; 1,000 to 10,000 renders, 1 to 50 endpoints",
		Run: simFastest, Goals: []Goal{{Unit: "worst-over-bound", Most: 1.03, Meaning: "at most 1.03 of the bound and one p95 job"},
			{Unit: "worst-over-bound-500", Most: 1.02, Meaning: "at most 1.02 of it from 500 renders a worker"}}},
	{Name: "SimCheapest", What: "cost of `cheapest` over work, and a cold start and an idle time-out for each worker used; and of plain ways to choose endpoints",
		Run: simCheapest, Goals: []Goal{{Unit: "worst-over-bound", Most: 1.03, Meaning: "at most 1.03 of the bound"}}},
	{Name: "SimDeadline", What: "part of the runs that make a deadline of 1.2 times the clairvoyant makespan, cheapest that does",
		Run: simDeadlines, Goals: []Goal{{Unit: "%-met", Least: 99, Meaning: "99 % of the runs"}}},
	{Name: "SimFused", What: "cost of 200 short renders on an endpoint that starts a worker for whatever waits, merged by four, by `auto`, and not",
		Run: simFused, Goals: []Goal{{Unit: "fused/alone", Most: 0.95, Meaning: "merging saves money where workers start cold"},
			{Unit: "auto/alone", Most: 0.97, Meaning: "so does `auto`, which has to learn first"}}},
	{Name: "SimMillion", What: "1,000,000 renders on 10 endpoints, `fastest`",
		Run: simMillion, Goals: []Goal{{Unit: "over-bound", Most: 1.02, Meaning: "at most 1.02 of the bound"}}},
}

// simSizes are how many renders go to how many endpoints.
// From one endpoint, where there is nothing to choose, to fifty, where the end of the batch is what counts.
var simSizes = []struct{ renders, ends int }{{1000, 1}, {1000, 3}, {1000, 10}, {10000, 3}, {10000, 10}, {10000, 50}}

// Each size runs with three fleets, drawn from the seed.
const simSeeds = 3

// simulate runs renders on a fleet. Stragglers are hedged, as `hedge: auto` does.
// router "" is ours. Five retries let a hundredth of failing jobs finish in the end.
func simulate(renders int, models []scheduler.Model, objective scheduler.Objective, router string, deadline time.Duration, seed uint64) scheduler.SimulationReport {
	return scheduler.Simulate(scheduler.Simulation{Renders: renders, Kinds: []compiler.Job{fluxJob}, Models: models, Seed: seed, Router: router},
		scheduler.Options{Objective: objective, Deadline: deadline, Retries: 5, Seed: seed, Hedge: scheduler.HedgeAuto})
}

// p95Job is the slowest GPU's.
// One such job at the end of a run is luck that no scheduler can avoid, so the goal lets it off.
func p95Job(models []scheduler.Model) (longest float64) {
	for _, m := range models {
		p95 := quantileOf(flux4090, 0.95)
		if m.GPU == "h100" {
			p95 /= h100Times
		}
		longest = max(longest, p95)
	}
	return longest
}

// routers are the ways to choose endpoints that ours is compared with.
// They are what people write by hand; the simulation has them for this comparison alone.
var routers = []string{"round-robin", "least-pending", "random"}

// simAgainstRouters runs all sizes with an objective, tells judge of each run, and reports how many times of what measure gives for our
// run the plain ways to choose endpoints have, on average.
func simAgainstRouters(b *testing.B, objective scheduler.Objective, measure func(scheduler.SimulationReport) float64,
	judge func(renders int, models []scheduler.Model, r scheduler.SimulationReport)) error {
	others := map[string]float64{}
	runs := 0.0
	for b.Loop() {
		runs = 0 // the same again at each turn: b.N only repeats
		clear(others)
		for _, size := range simSizes {
			for seed := range uint64(simSeeds) {
				models := simFleet(size.ends, seed)
				r := simulate(size.renders, models, objective, "", 0, seed)
				if !r.AllDone() {
					return fmt.Errorf("%d renders on %d endpoints are not done: %+v", size.renders, size.ends, r.Counts)
				}
				judge(size.renders, models, r)
				runs++
				for _, router := range routers {
					// Above 1: the plain way is worse.
					others[router] += measure(simulate(size.renders, models, objective, router, 0, seed)) / measure(r)
				}
			}
		}
	}
	for _, router := range routers {
		b.ReportMetric(others[router]/runs, router+"/ours")
	}
	b.ReportMetric(0, "ns/op") // simulated time is the figure, not the machine's
	return nil
}

// simFastest holds the worst of all runs against the goal, not the mean.
func simFastest(_ *Env, b *testing.B) error {
	worst, worst500 := 0.0, 0.0
	makespan := func(r scheduler.SimulationReport) float64 { return r.Makespan.Seconds() }
	err := simAgainstRouters(b, scheduler.Fastest, makespan, func(renders int, models []scheduler.Model, r scheduler.SimulationReport) {
		bound := simBound(models, r, renders)
		worst = max(worst, (r.Makespan.Seconds()-p95Job(models))/bound)
		if renders >= 500*simWorkers(models) { // short runs are mostly start and end
			worst500 = max(worst500, r.Makespan.Seconds()/bound)
		}
	})
	b.ReportMetric(worst, "worst-over-bound")
	b.ReportMetric(worst500, "worst-over-bound-500")
	return err
}

// simCheapest counts money; the bound knows each worker's one cold start.
func simCheapest(_ *Env, b *testing.B) error {
	worst := 0.0
	err := simAgainstRouters(b, scheduler.Cheapest, simCost, func(renders int, models []scheduler.Model, r scheduler.SimulationReport) {
		worst = max(worst, simCost(r)/simCostBound(models, r, renders))
	})
	b.ReportMetric(worst, "worst-over-bound")
	return err
}

// simDeadlines gives runs 1.2 times what a run takes that knows all beforehand.
// The clairvoyant run is that of `fastest`; 240 runs, so two misses are below one percent.
func simDeadlines(_ *Env, b *testing.B) error {
	met, runs, usd, fast := 0.0, 0.0, 0.0, 0.0
	for b.Loop() {
		met, runs, usd, fast = 0, 0, 0, 0
		for _, size := range []struct{ renders, ends int }{{300, 1}, {1000, 3}, {2000, 10}} {
			for seed := range uint64(80) {
				models := simFleet(size.ends, seed)
				// Without hedges: the long jobs that are cancelled for them would be missing in the mean that the bound is made of.
				f := scheduler.Simulate(scheduler.Simulation{Renders: size.renders, Kinds: []compiler.Job{fluxJob}, Models: models, Seed: seed},
					scheduler.Options{Objective: scheduler.Fastest, Retries: 5, Seed: seed})
				deadline := time.Duration(1.2 * math.Max(simBound(models, f, size.renders), 1) * float64(time.Second)) // never below 1.2 s
				r := simulate(size.renders, models, scheduler.Cheapest, "", deadline, seed)
				runs++
				if r.AllDone() && r.Makespan <= deadline {
					met++
				}
				usd += simCost(r)
				fast += simCost(f)
			}
		}
	}
	b.ReportMetric(100*met/runs, "%-met")
	b.ReportMetric(usd/fast, "usd/fastest") // what cheapness saved
	b.ReportMetric(0, "ns/op")
	return nil
}

// simFused renders pictures of 2 s, which a cold start of a minute is long against, on workers that start for whatever waits: with `cheapest`, so
// on few workers of which none may have a job waiting, and with `balanced`, on many.
func simFused(_ *Env, b *testing.B) error {
	usd := map[scheduler.Objective]map[int]float64{}
	for b.Loop() {
		usd = map[scheduler.Objective]map[int]float64{scheduler.Cheapest: {}, scheduler.Balanced: {}}
		for seed := range uint64(10) { // fuse 1 is "off", 4 is fixed, 0 is "auto"
			for objective, by := range usd {
				for _, fuse := range []int{1, 4, 0} {
					r := simShort(objective, fuse, seed)
					if !r.AllDone() {
						return fmt.Errorf("not done: %+v", r.Counts)
					}
					by[fuse] += simCost(r)
				}
			}
		}
	}
	cheap, balanced := usd[scheduler.Cheapest], usd[scheduler.Balanced]
	b.ReportMetric(cheap[1]/10, "alone-usd")
	b.ReportMetric(cheap[4]/10, "fused-usd")
	b.ReportMetric(cheap[4]/cheap[1], "fused/alone")
	b.ReportMetric(cheap[0]/cheap[1], "auto/alone")
	b.ReportMetric(balanced[4]/balanced[1], "balanced-fused/alone")
	b.ReportMetric(balanced[0]/balanced[1], "balanced-auto/alone")
	b.ReportMetric(0, "ns/op")
	return nil
}

// simShort is one run of it.
// Renders take an eighth of their usual time, and each job 0.3 s besides, which is what merging saves.
func simShort(objective scheduler.Objective, fuse int, seed uint64) scheduler.SimulationReport {
	m := simEndpoint("novita", "rtx4090", 20)
	m.TakesPriority = false
	short := m.Draw
	m.Draw = func(r *rand.Rand, kind int) time.Duration { return short(r, kind) / 8 } // about 2 s
	m.Job = 300 * time.Millisecond
	return scheduler.Simulate(scheduler.Simulation{Renders: 200, Kinds: []compiler.Job{fluxJob}, Models: []scheduler.Model{m}, Seed: seed},
		scheduler.Options{Objective: objective, Retries: 5, Seed: seed, Fuse: fuse})
}

// simMillion also shows, by its own time, that the core needs no memory or time beyond what is linear.
func simMillion(_ *Env, b *testing.B) error {
	over := 0.0
	const n = 1_000_000
	for b.Loop() {
		models := simFleet(10, 1)
		r := simulate(n, models, scheduler.Fastest, "", 0, 1)
		if !r.AllDone() {
			return fmt.Errorf("not done: %+v", r.Counts)
		}
		over = r.Makespan.Seconds() / simBound(models, r, n)
	}
	b.ReportMetric(over, "over-bound")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s") // of this machine, for a million renders
	return nil
}
