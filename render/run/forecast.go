package run

import (
	"cmp"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// Forecast says what a run of what is left of a plan, in renders, would take and cost: by published figures and by what speeds knows of earlier
// runs, which may be nil. Nothing is asked of anyone, no key is needed and no endpoint is opened.
//
// done tells which renders need not be done, by their index; nil means none. Times are durations, costs are in USD; what the figures rest on is told in the Forecast itself. The batch's
// budget is left out on purpose: it is asked what a run would cost, not how far the money goes.
func Forecast(plan *compiler.Plan, done func(render int) bool, speeds *scheduler.Speeds) (scheduler.Forecast, error) {
	s := plan.Batch().Schedule
	opts := scheduler.Options{Objective: scheduler.Objective(s.Objective), Deadline: s.Deadline, MaxParallel: s.MaxParallel, Fuse: s.Fuse,
		Fits: fits(plan), Speeds: speeds}
	var ends []scheduler.Properties
	for _, cfg := range plan.Endpoints() {
		ends = append(ends, expectedProperties(cfg))
	}
	return scheduler.ForecastRun(plan, done, ends, opts)
}

// forecastPlaces is how many jobs an endpoint is thought to run at once of which nothing is said.
// A guess in the middle of what platforms allow; a limit in the configuration, or the dialect's own, goes before it.
const forecastPlaces = 20

// expectedProperties are what an endpoint's Properties would be, as far as its configuration alone tells.
func expectedProperties(cfg compiler.EndpointConfig) scheduler.Properties {
	p := scheduler.Properties{Name: cfg.Name, Type: cfg.Type, GPU: cfg.GPU, Worker: cfg.Worker, Preview: cfg.Type == "preview", Price: cfg.Price,
		Limits: cfg.Limits, Workers: cfg.Workers, TakesPriority: cfg.Type == "runpod", OneOutput: dialect.OneOutput(cfg),
		ByURL: cfg.Type == "runpod" && cfg.Bucket != nil}
	usual := dialect.Limits(cfg.Type)
	p.Limits.InFlight = cmp.Or(p.Limits.InFlight, usual.InFlight)
	p.Limits.JobBytes = cmp.Or(p.Limits.JobBytes, usual.JobBytes) // these two bound how many renders go together
	p.Limits.OutputBytes = cmp.Or(p.Limits.OutputBytes, usual.OutputBytes)
	if p.Limits.InFlight <= 0 {
		p.Limits.InFlight = forecastPlaces
	}
	if cfg.Type == "comfyui" && p.Workers.Max == 0 {
		p.Workers.Max = 1 // a server runs one prompt at a time
	}
	return p
}
