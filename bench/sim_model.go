package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// quantile is a point of a published distribution: which part of the jobs takes at most so many seconds.
// Parts are from 0 to 1 and rise; seconds rise with them.
type quantile struct{ part, seconds float64 }

// flux4090 is FLUX.1-dev fp8, 20 steps, 1024² on an RTX 4090 as published (3,685 pictures); between the points it is taken as even.
// The tail is long: one job in twenty takes more than two and a half times the median, which is what hedging is for.
var flux4090 = []quantile{{0, 13.2}, {0.1, 13.65}, {0.5, 14.56}, {0.9, 26.0}, {0.95, 38.95}, {0.99, 64.97}, {1, 78.1}}

// An H100 is 2.4 to 3.3 times as fast as an RTX 4090.
// The figure is the middle of that range, and the same for every job.
const h100Times = 2.85

// drawFrom gives one duration.
// It inverts the distribution: a part is drawn, and the line between the two points around it gives the seconds. faster
// divides.
func drawFrom(points []quantile, rng *rand.Rand, faster float64) time.Duration {
	x := rng.Float64()
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if x <= b.part {
			s := a.seconds + (x-a.part)/(b.part-a.part)*(b.seconds-a.seconds)
			return time.Duration(s / faster * float64(time.Second))
		}
	}
	// Only for a draw beyond the last part, which rounding could give.
	return time.Duration(points[len(points)-1].seconds / faster * float64(time.Second))
}

// meanOf is the mean of a distribution in seconds.
// It is exact for lines between the points.
func meanOf(points []quantile) (mean float64) {
	for i := 1; i < len(points); i++ {
		mean += (points[i].part - points[i-1].part) * (points[i].seconds + points[i-1].seconds) / 2
	}
	return mean
}

// quantileOf gives the seconds that a part of the jobs stays below; the last point's for parts above 1.
func quantileOf(points []quantile, part float64) float64 {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if part <= b.part {
			return a.seconds + (part-a.part)/(b.part-a.part)*(b.seconds-a.seconds)
		}
	}
	return points[len(points)-1].seconds
}

// Published prices in USD per second (RunPod flex, 2026-08), and cold starts.
const (
	price4090, priceH100 = 0.00031, 0.00116      // USD per second
	coldLeast, coldMost  = 30.0, 90.0            // seconds, drawn evenly between them
	idleTimeout          = 5 * time.Second       // how long a worker waits for another job, paid for
	callLatency          = 80 * time.Millisecond // of each call to the platform
	failing              = 0.01                  // part of the jobs that fail and are tried again
)

// simEndpoint makes the model of an endpoint with some workers.
// Limits are those of the platform: four jobs for each worker may be in its queue.
func simEndpoint(name, gpu string, workers int) scheduler.Model {
	price, faster := price4090, 1.0
	if gpu == "h100" {
		// An H100 is 2.85 times as fast at 3.7 times the price: the faster endpoint is the dearer one, so the objectives
		// differ.
		price, faster = priceH100, h100Times
	}
	// Draw gets the kind of job, of which there is one here, and leaves it out.
	return scheduler.Model{
		Properties: scheduler.Properties{Name: name, Type: "runpod", GPU: gpu, Price: &price, TakesTimeouts: true, TakesPriority: true,
			Workers: compiler.Workers{Max: workers, Concurrency: 1, IdleTimeout: idleTimeout},
			Limits: compiler.Limits{InFlight: 4 * workers, SubmitPer10s: 1000, StatusPer10s: 2000, JobBytes: 10 << 20, OutputBytes: 10 << 20,
				Retention: 30 * time.Minute}},
		Latency: callLatency,
		Draw:    func(rng *rand.Rand, _ int) time.Duration { return drawFrom(flux4090, rng, faster) },
		Cold: func(rng *rand.Rand) time.Duration {
			return time.Duration((coldLeast + (coldMost-coldLeast)*rng.Float64()) * float64(time.Second))
		},
		Fails: failing,
	}
}

// simFleet gives some endpoints, two of three with RTX 4090s and one with H100s, by a seed: of 2 to 10 and of 1 to 4 workers each.
// The same seed gives the same fleet, and another fleet than the same seed gives the scheduler: the second number keeps the two
// streams apart.
func simFleet(endpoints int, seed uint64) (list []scheduler.Model) {
	rng := rand.New(rand.NewPCG(seed, 0x666c656574))
	for i := range endpoints {
		if i%3 == 2 {
			list = append(list, simEndpoint(fmt.Sprint("h100-", i), "h100", 1+rng.IntN(4))) // 1 to 4 workers
		} else {
			list = append(list, simEndpoint(fmt.Sprint("4090-", i), "rtx4090", 2+rng.IntN(9))) // 2 to 10 workers
		}
	}
	return list
}

// fluxJob stands for all renders of the simulations.
// Its prompt is empty because simulated endpoints look at classes, models and size only.
var fluxJob = compiler.Job{Classes: []string{"KSampler", "SaveImage"}, Models: []string{"flux1-dev-fp8.safetensors"}, Width: 1024, Height: 1024, Prompt: []byte("{}"),
	Owed: []compiler.Owed{{Images: 1}}}
