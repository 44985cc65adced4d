package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// forecast says what a run of what is left of a plan would do, by what was published and what earlier runs learned. Nothing is asked of anyone.
func (e *Env) forecast(plan *compiler.Plan, left int) (scheduler.Forecast, error) {
	var opts scheduler.Options
	s := plan.Batch().Schedule
	opts.Objective, opts.Deadline, opts.MaxParallel, opts.Fuse = scheduler.Objective(s.Objective), s.Deadline, s.MaxParallel, s.Fuse
	memory := map[string]string{}
	for _, r := range plan.Report(compiler.ReportOptions{Supports: supportsByName(plan)}).Endpoints {
		if r.Memory.TooSmall() {
			memory[r.Name] = r.Memory.Verdict()
		}
	}
	opts.Fits = func(p scheduler.Properties, _ *compiler.Job) string { return memory[p.Name] }
	e.speeds(&opts)
	var ends []scheduler.Properties
	for _, cfg := range plan.Endpoints() {
		ends = append(ends, forecastProperties(cfg))
	}
	return scheduler.ForecastRun(plan, left, ends, opts)
}

// forecastPlaces is how many jobs an endpoint is thought to run at once of which nothing is said.
const forecastPlaces = 20

func forecastProperties(cfg compiler.EndpointConfig) scheduler.Properties {
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

// printForecast prints it for people.
func printForecast(w io.Writer, f scheduler.Forecast) {
	if len(f.Endpoints) == 0 {
		return
	}
	fmt.Fprintf(w, "a run would take %s", span(f.Seconds))
	if f.USD.High > 0 {
		fmt.Fprintf(w, " and cost %s", money2(f.USD))
	}
	if f.Unpriced {
		fmt.Fprint(w, ", and more on endpoints whose price is not known")
	}
	if !f.Deadline {
		fmt.Fprint(w, "; it may miss the deadline")
	}
	fmt.Fprintln(w)
	for _, e := range f.Endpoints {
		fmt.Fprintf(w, "  %s: %s", e.Name, counted(e.Renders, "render"))
		if e.Renders.High > 0 {
			fmt.Fprintf(w, ", %s of workers' time", span(e.Seconds))
		}
		if e.USD.High > 0 {
			fmt.Fprintf(w, ", %s", money2(e.USD))
		}
		fmt.Fprintln(w)
		for _, why := range e.Why {
			fmt.Fprintf(w, "    %s\n", why)
		}
	}
}

// between prints a range, or one number where both ends print alike.
func between(r compiler.Range, format string, unit float64) string {
	low, high := fmt.Sprintf(format, r.Low/unit), fmt.Sprintf(format, r.High/unit)
	if low == high {
		return low
	}
	return low + " to " + high
}

// counted is between with a word after it.
func counted(r compiler.Range, word string) string {
	text := between(r, "%.0f", 1)
	if text == "1" {
		return "1 " + word
	}
	return text + " " + word + "s"
}

func span(r compiler.Range) string {
	switch {
	case r.High < 2:
		return between(r, "%.1f", 1) + " s"
	case r.High < 600:
		return between(r, "%.0f", 1) + " s"
	case r.High < 4*3600:
		return between(r, "%.0f", 60) + " min"
	}
	return between(r, "%.1f", 3600) + " h"
}

func money2(r compiler.Range) string { return between(r, "$%.2f", 1) }

// forecastJSON is the same as a JSON value.
func forecastJSON(f scheduler.Forecast) json.RawMessage {
	pair := func(r compiler.Range) []float64 { return []float64{r.Low, r.High} }
	type line struct {
		Name    string    `json:"name"`
		Renders []float64 `json:"renders"`
		Workers []float64 `json:"workers"`
		Seconds []float64 `json:"seconds"`
		USD     []float64 `json:"usd"`
		Why     []string  `json:"why"`
	}
	out := struct {
		Seconds   []float64 `json:"seconds"`
		USD       []float64 `json:"usd"`
		Unpriced  bool      `json:"unpriced"`
		Deadline  bool      `json:"deadline_met"`
		Endpoints []line    `json:"endpoints"`
	}{pair(f.Seconds), pair(f.USD), f.Unpriced, f.Deadline, []line{}}
	for _, e := range f.Endpoints {
		out.Endpoints = append(out.Endpoints, line{e.Name, pair(e.Renders), pair(e.Workers), pair(e.Seconds), pair(e.USD), e.Why})
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // figures and words only
	}
	return text
}
