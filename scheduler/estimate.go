package scheduler

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// estimate is what is known of the speed of one kind of graph on one endpoint.
type estimate struct {
	start    time.Duration // paid time before anything was learned
	before   float64       // jobs of it that earlier runs saw
	scale    float64       // by which start was wrong on other endpoints; 0: not known
	paid     samples       // paid time
	long     average       // the same over a longer time
	worst    time.Duration // of it
	whole    samples       // from the submit's answer to the end, remote queue included
	reserved time.Duration // what the reservations in flight were last raised to
	probing  int           // attempts that were polled early because nothing was known

	plan pollPlan // of the next poll

	one    *estimate // of one render, if this is of jobs that hold several
	shares int       // how many

	// Of jobs of one render:
	peak   float64 // bytes of the answer, 0 until seen
	byURL  bool    // the answer says where the pictures are, and does not hold them
	debt   float64 // against merging them, see blame
	doubts int     // results of doubtful size that were lost
	scout  int64   // the attempt that is to show whether an answer of doubtful size arrives; see answer.go
}

// times gives the estimate of a job of several renders of which none has been seen.
func (e *estimate) times(renders int) *estimate { return &estimate{one: e, shares: renders} }

// samples are the last durations seen, oldest first, and the same sorted.
type samples struct {
	ring, sorted []time.Duration
	sum          time.Duration
}

const maxSamples = 64

func (s *samples) add(d time.Duration) {
	if len(s.ring) == maxSamples {
		i, _ := slices.BinarySearch(s.sorted, s.ring[0])
		s.sorted = slices.Delete(s.sorted, i, i+1)
		s.sum -= s.ring[0]
		s.ring = s.ring[:copy(s.ring, s.ring[1:])]
	}
	s.ring = append(s.ring, d)
	s.sum += d
	i, _ := slices.BinarySearch(s.sorted, d)
	s.sorted = slices.Insert(s.sorted, i, d)
}

func (s *samples) len() int { return len(s.sorted) }

func (s *samples) median() time.Duration { return s.sorted[len(s.sorted)/2] }

// mean is the paid time that jobs take on the average: what counts for how many can be done, where expected is for one of them. What was
// thought at first counts as much as one that was seen.
func (e *estimate) mean() time.Duration {
	switch {
	case e.long.n > 0 && e.one == nil:
		return time.Duration((e.guess() + e.long.n*e.long.mean) / (1 + e.long.n) * float64(time.Second))
	case e.long.n > 0:
		return time.Duration(e.long.mean * float64(time.Second))
	case e.one != nil:
		return e.one.mean() * time.Duration(e.shares)
	}
	return time.Duration(e.guess() * float64(time.Second))
}

// guess is what is thought before anything was seen on the endpoint, in seconds: how long it was said to take, times by how much that was
// wrong elsewhere.
func (e *estimate) guess() float64 {
	if e.scale > 0 {
		return e.start.Seconds() * e.scale
	}
	return e.start.Seconds()
}

// rescale lets what was seen of a kind of graph on some endpoints correct what is thought of the others.
func (g *graphClass) rescale() {
	seen, thought := 0.0, 0.0
	for i := range g.estimate {
		e := &g.estimate[i]
		n := min(e.long.n, 50)
		seen += n * e.long.mean
		thought += n * e.start.Seconds()
	}
	if thought == 0 {
		return
	}
	for i := range g.estimate {
		g.estimate[i].scale = seen / thought
	}
}

// average is the mean of some seconds and how far off it may be: jobs now and then take many times as long as usual, so that it takes hundreds of
// them to tell two endpoints apart. It forgets slowly.
type average struct{ n, mean, square float64 }

const longMemory = 1000 // jobs

func (m *average) add(x float64) {
	m.n = min(m.n+1, longMemory)
	off := x - m.mean
	m.mean += off / m.n
	m.square += (off*(x-m.mean) - m.square) / m.n
}

// doubt is about two standard errors of the mean, as a part of it; 1 if nothing is known.
func (m *average) doubt() float64 {
	if m.n < 2 || m.mean <= 0 {
		return 1
	}
	return 2 * math.Sqrt(m.square/m.n) / m.mean
}

// longest is the paid time that hardly any job exceeds: the last one may be such a job.
func (e *estimate) longest() time.Duration {
	if e.paid.len() < planLeast {
		return max(e.worst, e.mean()*3)
	}
	return e.worst
}

// expected is the paid time that a job will take.
func (e *estimate) expected() time.Duration {
	switch {
	case e.paid.len() > 0:
		return e.paid.median()
	case e.one != nil:
		return e.one.expected() * time.Duration(e.shares)
	}
	return e.start
}

// atMost is the paid time for which money is reserved: above all that was seen lately, and twice the expected at first.
func (e *estimate) atMost() time.Duration {
	if n := e.paid.len(); n >= 8 {
		return e.paid.sorted[n-1] * 3 / 2
	} else if n > 0 {
		return max(2*e.start, e.paid.sorted[n-1]*2)
	} else if e.one != nil {
		return e.one.atMost() * time.Duration(e.shares)
	}
	return 2 * e.start
}

// ExpectSeconds is the paid time of a job about which nothing is known but its classes, its size and the GPU: about 15 s for a
// 1024² picture sampled on an RTX 4090 (the published median for FLUX.1-dev fp8 at 20 steps is 14.6 s), a third of it on an H100,
// and a second for graphs that only work on images.
func ExpectSeconds(p Properties, job *compiler.Job) time.Duration {
	if p.Preview {
		return 50 * time.Millisecond
	}
	seconds := 1.0
	if slices.ContainsFunc(job.Classes, func(class string) bool { return strings.Contains(class, "Sampler") }) {
		pixels := float64(job.Width) * float64(job.Height)
		if pixels <= 0 {
			pixels = 1 << 20
		}
		seconds = 15 * max(pixels/(1<<20), 0.1)
	}
	return time.Duration(seconds * float64(max(1, len(job.Renders))) / gpuSpeed(p.GPU) * float64(time.Second))
}

// gpuSpeed is how many times as fast as an RTX 4090 a GPU is.
func gpuSpeed(gpu string) float64 {
	gpu = strings.ToLower(gpu)
	switch {
	case strings.Contains(gpu, "h100"), strings.Contains(gpu, "h200"), strings.Contains(gpu, "b200"):
		return 2.8
	case strings.Contains(gpu, "5090"):
		return 1.4
	}
	return 1
}
