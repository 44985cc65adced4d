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
	Workers compiler.Range // that are started
	Seconds compiler.Range // workers' time that is paid for
	USD     compiler.Range // not known without a price
	Why     []string       // in words, for the user
}

// forecastJobs is how many jobs are simulated at most. Of more renders, some are taken as one that is as much longer, which changes nothing as
// long as every worker does many.
const forecastJobs = 3000

// ForecastRun says what Run would do with renders of a plan, by running the same step on a clock of its own, once with the speeds at the good
// end of what is known and once with those at the bad end. renders is how many are left to do; a few of them stand for all. No call is made.
func ForecastRun(work Work, renders int, endpoints []Properties, options Options) (Forecast, error) {
	kinds, kindOf, err := sampleKinds(work)
	if err != nil || renders == 0 {
		return Forecast{Deadline: true}, err
	}
	// For example 100,000 renders become 3000, each 33.3 times as long: the workers are as busy, and the simulation takes a fraction of a second.
	jobs := min(renders, forecastJobs)
	scale := float64(renders) / float64(jobs)
	var runs [2]SimulationReport
	for i, spread := range []float64{-1, 1} {
		models := make([]Model, len(endpoints))
		for k, p := range endpoints {
			models[k] = modelOf(p, kinds, options, spread, scale)
		}
		o := options
		// Without a budget, as the question is what all of it costs. 0, which merges as many as pay, is not simulated: the overhead of jobs is not
		// known yet.
		o.OnEvent, o.Control, o.Budget, o.Collect, o.Fuse = nil, nil, nil, nil, max(options.Fuse, 1)
		runs[i] = Simulate(Simulation{Renders: jobs, Kinds: kinds, KindOf: func(r int) int { return kindOf(int(float64(r) * scale)) }, Models: models}, o)
	}
	return merged(runs, endpoints, options, scale), nil
}

// sampleKinds builds some jobs of the plan and tells which of them stands for a render: the nearest before it.
func sampleKinds(work Work) (kinds []compiler.Job, kindOf func(int) int, err error) {
	// Each job is compiled in full; 32 spread over the plan show which kinds there are.
	const most = 32
	n := work.Len()
	step := max(1, (n+most-1)/most)
	for i := 0; i < n; i += step {
		job, err := work.Job(i)
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
			Seconds: between(a.Billed.Seconds(), b.Billed.Seconds())}
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
