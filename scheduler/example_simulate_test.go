package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// What would a thousand renders take on two endpoints? A simulation runs the real scheduler against platforms of which only figures are known.
func ExampleSimulate() {
	endpoint := func(name string, usd float64, work time.Duration) scheduler.Model {
		return scheduler.Model{
			Properties: scheduler.Properties{Name: name, Type: "runpod", Price: &usd, Workers: compiler.Workers{Max: 4, IdleTimeout: 5 * time.Second},
				Limits: compiler.Limits{InFlight: 20, SubmitPer10s: 1000, StatusPer10s: 2000, JobBytes: 4 << 20, OutputBytes: 4 << 20, Retention: time.Hour}},
			Draw: func(*rand.Rand, int) time.Duration { return work },
			Cold: func(*rand.Rand) time.Duration { return 45 * time.Second },
		}
	}
	report := scheduler.Simulate(scheduler.Simulation{
		Renders: 1000, Kinds: []compiler.Job{{Prompt: []byte("{}")}}, Seed: 1,
		Models: []scheduler.Model{endpoint("rtx4090", 0.00031, 15*time.Second), endpoint("h100", 0.00116, 6*time.Second)},
	}, scheduler.Options{Objective: scheduler.Cheapest})
	fmt.Println(report.Counts[scheduler.Done], "done; four workers of the cheaper one need", 1000*15*time.Second/4, "at least:", report.Makespan >= 3750*time.Second)
	for _, e := range report.Endpoints {
		fmt.Println(e.Name, e.Renders)
	}
	// Output:
	// 1000 done; four workers of the cheaper one need 1h2m30s at least: true
	// rtx4090 1000
	// h100 0
}
