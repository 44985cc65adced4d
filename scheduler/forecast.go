package scheduler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// What a run would take and cost, found by running it on models of its endpoints. The figures are ranges between a good and a bad case, no averages;
// of platforms only the statistics are known.

// Forecast is what a run is expected to do: printed by `comfyc plan`.
type Forecast struct {
	Endpoints []EndpointForecast
	Seconds   compiler.Range // from the start to the last render
	USD       compiler.Range // all endpoints; workers' starts and idling included
	Unpriced  bool           // an endpoint that is used has no known price: the sum is higher
	Deadline  bool           // it will be met, as far as can be seen; true without one
}

// EndpointForecast is what one endpoint is expected to do.
type EndpointForecast struct {
	Name    string
	Renders compiler.Range
	Jobs    compiler.Range // fewer than renders where they are merged
	PerJob  compiler.Range // renders in a job, on the average; 0 where there is none
	Workers compiler.Range // that are started
	Seconds compiler.Range // workers' time that is paid for
	USD     compiler.Range // not known without a price
	Why     []string       // in words, for the user
}

// forecastJobs is how many jobs are simulated at most. Of more renders, some are taken as one that is as much longer, which changes nothing as
// long as every worker does many.
const forecastJobs = 3000

// forecastSample is how many renders show how many of them go together.
const forecastSample = 600

// ForecastRun says what Run would do with the renders of a plan of which done says false (nil: with all of them), by running the same step on a clock
// of its own, once with the speeds at the good end of what is known and once with those at the bad end. A few renders stand for all. No call is made.
func ForecastRun(work Work, done func(render int) bool, endpoints []Properties, options Options) (Forecast, error) {
	left := make([]int, 0, work.Len())
	for i := range work.Len() {
		if done == nil || !done(i) {
			left = append(left, i)
		}
	}
	kinds, kindOf, err := sampleKinds(work, left)
	if err != nil || len(left) == 0 {
		return Forecast{Deadline: true}, err
	}
	// For example 100,000 renders become 3000, each 33.3 times as long: the workers are as busy, and the simulation takes a fraction of a second.
	jobs := min(len(left), forecastJobs)
	scale := float64(len(left)) / float64(jobs)
	f := forecast{Simulation{Renders: jobs, Kinds: kinds, KindOf: func(r int) int { return kindOf(int(float64(r) * scale)) }}, endpoints, options}
	// Without a budget, as the question is what all of it costs.
	f.options.OnEvent, f.options.Control, f.options.Budget, f.options.Collect = nil, nil, nil, nil
	var runs [2]SimulationReport
	for i, spread := range []float64{-1, 1} {
		runs[i] = f.run(spread, scale)
	}
	return merged(runs, endpoints, options, scale), nil
}

// forecast is what both of a forecast's runs share.
type forecast struct {
	sim       Simulation
	endpoints []Properties
	options   Options
}

// run simulates at one end of what is known. How many renders go together depends on how long each takes: where a simulated one stands for several,
// that is found with some renders of their true length, and the long ones are not merged, which is all the same to time and cost.
func (f *forecast) run(spread, scale float64) SimulationReport {
	o := f.options
	if scale == 1 || o.Fuse == 1 {
		return f.simulate(spread, scale, o)
	}
	short := *f
	short.sim.Renders = min(f.sim.Renders, forecastSample)
	sample := short.simulate(spread, 1, o)
	o.Fuse = 1
	r := f.simulate(spread, scale, o)
	for i := range r.Endpoints {
		e := &r.Endpoints[i]
		e.Jobs = int(math.Round(float64(e.Renders) / max(1, sample.Endpoints[i].perJob())))
	}
	return r
}

func (f *forecast) simulate(spread, scale float64, o Options) SimulationReport {
	sim := f.sim
	sim.Models = make([]Model, len(f.endpoints))
	for k, p := range f.endpoints {
		sim.Models[k] = modelOf(p, sim.Kinds, o, spread, scale)
	}
	return Simulate(sim, o)
}

// sampleKinds builds some jobs of what is left of a plan and tells which of them stands for a render, by its place in left: the nearest before it.
func sampleKinds(work Work, left []int) (kinds []compiler.Job, kindOf func(int) int, err error) {
	// Each job is compiled in full; 32 spread over the plan show which kinds there are.
	const most = 32
	step := max(1, (len(left)+most-1)/most)
	for i := 0; i < len(left); i += step {
		job, err := work.Job(left[i])
		if err != nil {
			return nil, nil, err
		}
		kinds = append(kinds, *job)
	}
	return kinds, func(i int) int { return min(i/step, len(kinds)-1) }, nil
}

// modelOf makes a model of an endpoint from what is known of it. spread is -1 for the good end, 1 for the bad one.
func modelOf(p Properties, kinds []compiler.Job, options Options, spread, scale float64) Model {
	options = options.filled()
	w := &p.Workers
	if w.Max == 0 {
		// No number of workers is known, so each place is one.
		w.Max = min(max(p.Limits.InFlight, 1), 1000)
	}
	cold := 0.0
	if p.Type != "comfyui" && !p.Preview {
		cold = 60 + 30*spread // as published
		if w.ColdStart > 0 {
			cold = w.ColdStart.Seconds()
		}
		if w.IdleTimeout == 0 {
			w.IdleTimeout = usualIdle
		}
	} else {
		w.Min, w.Max = max(w.Min, 1), max(w.Min, w.Max)
	}
	times := make([][]time.Duration, len(kinds))
	for i := range kinds {
		times[i] = expectedTimes(p, &kinds[i], options, spread)
	}
	return Model{Properties: p, Latency: 100 * time.Millisecond,
		Cold: func(*rand.Rand) time.Duration { return time.Duration(cold * float64(time.Second)) },
		Draw: func(rng *rand.Rand, kind int) time.Duration {
			list := times[kind]
			return time.Duration(float64(list[rng.IntN(len(list))]) * scale)
		}}
}

// expectedTimes are durations that a job may take: those that earlier runs saw, else what is expected, more or less.
func expectedTimes(p Properties, job *compiler.Job, options Options, spread float64) (list []time.Duration) {
	c := blankCore(numberedRenders(0), options)
	c.endpoints = []*endpoint{newEndpoint(0, p)}
	c.now = time.Now()
	c.recallSpeeds(options.Speeds)
	est := &c.classOf(job).estimate[0]
	// Four are the fewest that say how far durations differ. The ends lie 5 % off what was measured, and a factor of 1.5 off a guess.
	if est.paid.len() >= 4 {
		for _, d := range est.paid.ring {
			list = append(list, time.Duration(float64(d)*(1+0.05*spread)))
		}
		return list
	}
	return []time.Duration{time.Duration(est.mean().Seconds() * math.Pow(1.5, spread) * float64(time.Second))}
}

// merged makes ranges of two runs.
func merged(runs [2]SimulationReport, endpoints []Properties, options Options, scale float64) (f Forecast) {
	low, high := &runs[0], &runs[1]
	f.Deadline = high.AllDone() && (options.Deadline <= 0 || high.Makespan <= options.Deadline)
	f.Seconds = between(low.Makespan.Seconds(), high.Makespan.Seconds())
	for i, p := range endpoints {
		a, b := &low.Endpoints[i], &high.Endpoints[i]
		e := EndpointForecast{Name: p.Name, Renders: between(math.Round(float64(a.Renders)*scale), math.Round(float64(b.Renders)*scale)),
			Jobs: between(math.Round(float64(a.Jobs)*scale), math.Round(float64(b.Jobs)*scale)), Workers: between(float64(len(a.Colds)), float64(len(b.Colds))),
			Seconds: between(a.Billed.Seconds(), b.Billed.Seconds()), PerJob: between(a.perJob(), b.perJob())}
		used := e.Renders.High > 0
		switch {
		case p.Price != nil:
			e.USD = between(*p.Price*e.Seconds.Low, *p.Price*e.Seconds.High)
			f.USD.Low += e.USD.Low
			f.USD.High += e.USD.High
		case used && !p.Preview:
			f.Unpriced = true
		}
		e.Why = whyForecast(p, e, options)
		f.Endpoints = append(f.Endpoints, e)
	}
	return f
}

// perJob is how many renders a job held, on the average; 0 if there was none.
func (e *SimulatedEndpoint) perJob() float64 { return float64(e.Renders) / float64(max(e.Jobs, 1)) }

func between(a, b float64) compiler.Range { return compiler.Range{Low: min(a, b), High: max(a, b)} }

// whyForecast puts into words why an endpoint gets so much.
func whyForecast(p Properties, e EndpointForecast, options Options) (why []string) {
	objective := options.filled().Objective
	switch {
	case e.Renders.High == 0 && objective == Cheapest && options.Deadline > 0:
		why = append(why, "not used: cheaper endpoints make the deadline")
	case e.Renders.High == 0 && objective == Cheapest:
		why = append(why, "not used: a render costs less elsewhere")
	case e.Renders.High == 0:
		why = append(why, "not used: others are done before it would be, or it cannot run this plan")
	case p.Preview:
		why = append(why, "pictures are drawn on this machine and cost nothing")
	case objective == Cheapest:
		why = append(why, "cheapest: so few workers that starting them costs little")
	case objective == Fastest:
		why = append(why, "fastest: every worker that there is")
	default:
		why = append(why, "balanced: cost times duration is least")
	}
	if e.Workers.High > 0 && !p.Preview && e.Renders.High > 0 {
		starts := fmt.Sprintf("%.0f to %.0f", e.Workers.Low, e.Workers.High)
		if e.Workers.Low == e.Workers.High {
			starts = fmt.Sprintf("%.0f", e.Workers.High)
		}
		why = append(why, "workers that are started, which is paid for too: "+starts)
	}
	return why
}
