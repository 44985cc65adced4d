package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// scaleCases hold one figure against the number of endpoints; Check* do so for nodes, Plan* for renders, ThreeMachines for replicas.
// The pure core is measured, so these figures depend on nothing but the processor.
var scaleCases = []Case{scaleCase(1), scaleCase(4), scaleCase(16), scaleCase(64)}

// scaleRenders are simulated for each number of endpoints.
// The time for a render must not grow with the number of endpoints among which it is chosen.
const scaleRenders = 20_000

// scaleCase is the scheduler's own work for a render: the pure core, on platforms that answer at once and take as long as a render takes.
// Renders take 5 to 15 s of simulated time, cold starts 45 s; both are drawn from the simulation's seed.
func scaleCase(endpoints int) Case {
	return Case{Name: fmt.Sprintf("Endpoints%d", endpoints), What: fmt.Sprintf("the scheduler's own work for %d simulated renders; endpoints of 20 places each: %d", scaleRenders, endpoints),
		Run: func(_ *Env, b *testing.B) error { return scale(b, endpoints) }}
}

// scale keeps the makespan too: a scheduler that is fast because it chooses badly would show there.
func scale(b *testing.B, endpoints int) error {
	sim := scheduler.Simulation{Renders: scaleRenders, Kinds: []compiler.Job{{Prompt: []byte("{}"), Width: 1024, Height: 1024}}, Seed: 1}
	for i := range endpoints {
		usd := 0.0003 + 0.00001*float64(i) // prices differ a little, so that the choice is a real one
		sim.Models = append(sim.Models, scheduler.Model{
			Properties: scheduler.Properties{Name: fmt.Sprint("endpoint-", i), Type: "runpod", Price: &usd, Workers: compiler.Workers{Max: 20, IdleTimeout: 5 * time.Second},
				Limits: compiler.Limits{InFlight: 20, SubmitPer10s: 1000, StatusPer10s: 2000, JobBytes: 4 << 20, OutputBytes: 4 << 20, Retention: time.Hour}},
			Draw: func(rng *rand.Rand, _ int) time.Duration { return time.Duration(5+10*rng.Float64()) * time.Second },
			Cold: func(*rand.Rand) time.Duration { return 45 * time.Second },
		})
	}
	var makespan time.Duration
	polls := 0
	before := processorTime()
	// Each turn simulates the same 20,000 renders from the same seed, so all turns do the same work.
	for b.Loop() {
		r := scheduler.Simulate(sim, scheduler.Options{Objective: scheduler.Fastest})
		if r.Counts[scheduler.Done] != scaleRenders {
			return fmt.Errorf("%d renders are done", r.Counts[scheduler.Done])
		}
		makespan, polls = r.Makespan, 0
		for _, e := range r.Endpoints {
			polls += e.Polls
		}
	}
	b.ReportMetric((processorTime()-before).Seconds()*1e6/float64(b.N*scaleRenders), "cpu-µs/render")
	b.ReportMetric(float64(polls)/scaleRenders, "polls/render")
	b.ReportMetric(makespan.Seconds(), "simulated-s")
	return nil
}
