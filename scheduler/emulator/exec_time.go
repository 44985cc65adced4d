package emulator

import (
	"math"
	"math/rand/v2"
	"time"
)

// z95 is how many standard deviations the 95th percentile of a normal distribution lies above its mean.
const z95 = 1.6448536269514722

// draw gives the time of one job.
func (t ExecutionTime) draw(r *rand.Rand) time.Duration {
	if t.Median <= 0 {
		return max(t.Fixed, 0)
	}
	sigma := 0.0
	if t.P95 > t.Median {
		sigma = math.Log(float64(t.P95)/float64(t.Median)) / z95
	}
	d := time.Duration(min(float64(t.Median)*math.Exp(sigma*r.NormFloat64()), float64(100*time.Hour)))
	if t.Max > 0 {
		d = min(d, t.Max)
	}
	return d
}
