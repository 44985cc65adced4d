// What a plan will take, before it is run. Only published measurements are used, each with its source,
// scaled to steps and pixels; for anything else the report says that it is not known. Once a batch runs,
// the scheduler learns the real speeds.

package compiler

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Range is what a figure is expected to be between, both ends included. The zero value is "not known".
type Range struct{ Low, High float64 }

// Estimate is what a plan is expected to take on one endpoint if all of it ran there.
type Estimate struct {
	Endpoint string
	Renders  int      // of the plan or of the part that is looked at
	Seconds  Range    // of paid time, all renders together, one cold start included; not known if both are 0
	USD      Range    // not known if Seconds or the price is not known
	Priced   bool     // the price is known
	Reasons  []string // a line each, for people
}

// speed is how long a model family takes for one picture on a GPU, as published. The part that grows with
// steps and pixels is the sampler's; the rest (text encoders, decoding, saving) is paid once for a
// picture.
type speed struct {
	family, gpu string
	seconds     Range   // of one picture
	steps       int     // at which it was measured
	pixels      int     // likewise
	sampler     float64 // seconds of it that are the sampler's; 0 means all
	source      string  // where the figures come from, as the report prints it
}

// speeds holds published measurements (2026).
var speeds = []speed{
	{"flux1-dev", "rtx4090", Range{13.65, 26.0}, 20, 1024 * 1024, 7.8, "10 to 90 % of 3,685 pictures of flux1-dev fp8"},
	{"flux1-dev", "h100", Range{4.1, 10.8}, 20, 1024 * 1024, 3.3, "the RTX 4090's times, divided by 2.4 to 3.3"},
	{"sdxl", "rtx4090", Range{2.0, 6.88}, 30, 1024 * 1024, 0, "SDXL without and with refiner"},
	{"sdxl", "h100", Range{1.5, 2.5}, 30, 1024 * 1024, 0, "SDXL with and without TensorRT"},
}

// coldStart is how long a worker takes to come up, in seconds, whatever the GPU: loading the image and
// the models. It is counted once.
var coldStart = Range{30, 90}

// families tell a model family by a part of a file's name, in lower case; the first that is found counts.
var families = []struct{ part, family string }{
	{"flux1-dev", "flux1-dev"}, {"sd_xl", "sdxl"}, {"sdxl", "sdxl"},
}

// familyOf finds the family of some model files.
func familyOf(models []string) string {
	for _, f := range families {
		for _, m := range models {
			if strings.Contains(strings.ToLower(m), f.part) {
				return f.family
			}
		}
	}
	return ""
}

// workload is what renders need, summed up in units of one measured picture.
type workload struct {
	family   string
	pictures float64
	sampling float64 // pictures × steps × pixels
}

// maxMeasured is the number of renders that are looked at; of more, an even part stands for all.
const maxMeasured = 2000

// Estimates says for each endpoint what the whole plan would take there, with the reasons. Nothing is asked of anyone.
func (p *Plan) Estimates() []Estimate {
	return p.estimates(p.Len(), func(int) bool { return true })
}

// estimates says so for a part of the plan: n renders, of which of tells.
func (p *Plan) estimates(n int, of func(render int) bool) []Estimate {
	load := p.workload(n, of)
	out := make([]Estimate, len(p.configs))
	for i := range p.configs {
		out[i] = p.estimate(&p.configs[i], load)
		out[i].Renders = n
	}
	return out
}

// workload sums up what a part of the renders needs. Steps and sizes may vary from render to render, so
// many are looked at: every stride-th of those that of tells, and the sum is scaled up. The family is
// taken from the first render.
func (p *Plan) workload(n int, of func(render int) bool) workload {
	job, err := p.Job(0)
	if err != nil {
		return workload{}
	}
	w := workload{family: familyOf(job.Models)}
	stride := max(1, n/maxMeasured)
	measured := 0
	seen := 0
	for r := range p.Len() {
		if !of(r) {
			continue
		}
		if seen++; (seen-1)%stride != 0 {
			continue
		}
		at := p.at(r)
		f := p.formAt(at)
		s := f.shape(f.outputs[0].node, at)
		steps := f.setting("steps", at)
		w.pictures += float64(s.images)
		w.sampling += float64(s.images) * steps * float64(s.width*s.height)
		measured++
	}
	scale := float64(n) / float64(max(measured, 1))
	w.pictures *= scale
	w.sampling *= scale
	return w
}

// setting reads a number at a coordinate by its name in look; 0 if the workflow has none.
func (f *form) setting(name string, at []int) float64 {
	for i, n := range f.looks.names {
		if n == name {
			ref := f.looks.settings[i]
			number, _ := f.input(ref.node, ref.index, at).Float()
			return number
		}
	}
	return 0
}

// estimate says what a workload takes on one endpoint; what is not known is said, not guessed. A preview
// costs nothing and takes no time to speak of.
func (p *Plan) estimate(e *EndpointConfig, w workload) Estimate {
	out := Estimate{Endpoint: e.Name, Renders: p.Len(), Priced: e.Price != nil}
	if e.Type == previewName {
		out.Priced = true
		out.Reasons = []string{"pictures are drawn on this machine and cost nothing"}
		return out
	}
	for _, s := range speeds {
		if s.family == w.family && s.gpu == e.GPU && w.sampling > 0 {
			out.Seconds = s.scaled(w)
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s to %s s a picture on %s at %d steps and %d pixels (%s), scaled to this plan's",
				decimals(s.seconds.Low), decimals(s.seconds.High), e.GPU, s.steps, s.pixels, s.source),
				fmt.Sprintf("a cold start of %g to %g s", coldStart.Low, coldStart.High))
		}
	}
	if out.Seconds == (Range{}) {
		out.Reasons = append(out.Reasons, "how long a render takes is not known for "+orElse(w.family, "these models")+" on "+orElse(e.GPU, "this GPU"))
	}
	switch {
	case e.Price == nil:
		out.Reasons = append(out.Reasons, "the price is not known; say price: {usd_per_second: …} in the endpoint")
	case out.Seconds != (Range{}):
		out.USD = Range{out.Seconds.Low * *e.Price, out.Seconds.High * *e.Price}
		out.Reasons = append(out.Reasons, fmt.Sprintf("$%g per second%s", *e.Price, dated(e.PriceAsOf)))
	}
	return out
}

// scaled gives the seconds of a workload: the sampler's share grows with steps and pixels, the rest with
// the pictures. It is as if all ran on one worker, one after the other: twice the workers take half the
// time and cost the same.
func (s *speed) scaled(w workload) Range {
	unit := float64(s.steps) * float64(s.pixels)
	share := s.sampler
	if share == 0 {
		share = s.seconds.Low
	}
	of := func(seconds float64) float64 {
		part := share * seconds / s.seconds.Low // the sampler's share of a slow picture is as much slower
		return part*w.sampling/unit + (seconds-part)*w.pictures
	}
	return Range{of(s.seconds.Low) + coldStart.Low, of(s.seconds.High) + coldStart.High}
}

// orElse gives a name, or something to say in its place.
func orElse(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

func dated(asOf string) string {
	if asOf == "" {
		return ""
	}
	return ", as of " + asOf
}

// decimals prints a figure without .0.
func decimals(f float64) string { return strings.TrimSuffix(source.FormatFloat(f), ".0") }

// affordable holds that a budget can be kept: every endpoint has a price. Previews are free.
func (c *compilation) affordable() {
	if c.batch.Schedule.BudgetUSD == 0 {
		return
	}
	for _, e := range c.configs {
		if e.Price == nil && e.Type != previewName {
			c.list.Add(diag.Errorf("unknown_price", c.batch.Schedule.budget, "a budget cannot be kept on endpoint %s, whose price is not known", e.Name).
				Hinted("say price: {usd_per_second: …} in the endpoint"))
		}
	}
}
