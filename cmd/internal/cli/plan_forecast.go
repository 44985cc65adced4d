package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
)

// forecast says what a run of what is left of a plan would do, by what was published and what earlier runs learned.
// done and cached tell which renders are there already; cached may be nil.
func (e *Env) forecast(plan *compiler.Plan, done func(compiler.RenderID) bool, cached func(render int) bool) (scheduler.Forecast, error) {
	var opts scheduler.Options
	e.speeds(&opts)
	there := func(i int) bool { return done(plan.RenderID(i)) || cached != nil && cached(i) }
	return run.Forecast(plan, there, opts.Speeds)
}

// printForecast prints it for people.
// Nothing is printed if no endpoint was forecast. Ranges are low to high: "40 to 60 s".
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
		if e.PerJob.High > 1 {
			fmt.Fprintf(w, " in %s (%s a job)", counted(e.Jobs, "job"), between(e.PerJob, "%.1f", 1))
		}
		if e.Renders.High > 0 {
			fmt.Fprintf(w, ", %s of workers' time", span(e.Seconds))
		}
		if e.USD.High > 0 {
			fmt.Fprintf(w, ", %s", money2(e.USD))
		}
		fmt.Fprintln(w)
		for _, why := range e.Why { // what limits it, or why it gets nothing
			fmt.Fprintf(w, "    %s\n", why)
		}
	}
}

// between prints a range, or one number where both ends print alike.
// unit divides the value: 60 prints seconds as minutes. format has one verb, for a float.
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

// span chooses the unit by the high end: below 2 s tenths, below 10 min seconds, below 4 h minutes, else hours.
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

// money2 prints cents, which a forecast is not better than.
func money2(r compiler.Range) string { return between(r, "$%.2f", 1) }

// forecastJSON is the same as a JSON value.
// Every range is a pair [low, high]; seconds and USD. "deadline_met" is true if there is no deadline.
func forecastJSON(f scheduler.Forecast) json.RawMessage {
	pair := func(r compiler.Range) []float64 { return []float64{r.Low, r.High} }
	type line struct {
		Name    string    `json:"name"`
		Renders []float64 `json:"renders"`
		Jobs    []float64 `json:"jobs"`    // fewer than renders where they are merged
		Workers []float64 `json:"workers"` // that are started
		Seconds []float64 `json:"seconds"` // of workers' time, not of the clock
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
		out.Endpoints = append(out.Endpoints, line{e.Name, pair(e.Renders), pair(e.Jobs), pair(e.Workers), pair(e.Seconds), pair(e.USD), e.Why})
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // figures and words only
	}
	return text
}
