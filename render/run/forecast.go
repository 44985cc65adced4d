package run

import (
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// Forecast says what a run of what is left of a plan, in renders, would take and cost: by published figures and by what speeds knows of earlier
// runs, which may be nil. Nothing is asked of anyone, no key is needed and no endpoint is opened.
//
// left is from 0 to plan.Len(). Times are durations, costs are in USD; what the figures rest on is told in the Forecast itself. The batch's
// budget is left out on purpose: it is asked what a run would cost, not how far the money goes.
func Forecast(plan *compiler.Plan, left int, speeds *scheduler.Speeds) (scheduler.Forecast, error) {
	s := plan.Batch().Schedule
	opts := scheduler.Options{Objective: scheduler.Objective(s.Objective), Deadline: s.Deadline, MaxParallel: s.MaxParallel, Fuse: s.Fuse,
		Fits: fits(plan), Speeds: speeds}
	var ends []scheduler.Properties
	for _, cfg := range plan.Endpoints() {
		ends = append(ends, expectedProperties(cfg))
	}
	return scheduler.ForecastRun(plan, left, ends, opts)
}

// forecastPlaces is how many jobs an endpoint is thought to run at once of which nothing is said.
// A guess in the middle of what platforms allow; a limit in the configuration, or the dialect's own, goes before it.
const forecastPlaces = 20

// expectedProperties are what an endpoint's Properties would be, as far as its configuration alone tells.
func expectedProperties(cfg compiler.EndpointConfig) scheduler.Properties {
	p := scheduler.Properties{Name: cfg.Name, Type: cfg.Type, GPU: cfg.GPU, Worker: cfg.Worker, Preview: cfg.Type == "preview", Price: cfg.Price,
		Limits: cfg.Limits, Workers: cfg.Workers, TakesPriority: cfg.Type == "runpod"}
	if p.Limits.InFlight <= 0 {
		p.Limits.InFlight = dialect.Limits(cfg.Type).InFlight
	}
	if p.Limits.InFlight <= 0 {
		p.Limits.InFlight = forecastPlaces
	}
	if cfg.Type == "comfyui" && p.Workers.Max == 0 {
		p.Workers.Max = 1 // a server runs one prompt at a time
	}
	return p
}
