package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/nodes"
)

// ReportOptions tell what the plan itself does not know. The zero value leaves it out.
type ReportOptions struct {
	// Supports says why a class cannot run on an endpoint, "" if it can; nil means that nothing is known.
	Supports func(endpoint, class string) string
	// Done tells whether a render is finished already.
	Done func(RenderID) bool
	// Cached tells whether a render, by its index, was finished for another batch and can be taken from there.
	Cached func(render int) bool
}

// PlanReport is what `comfyc plan` prints. It is made for people first: [PlanReport.Text]; the same as
// JSON is [PlanReport.ToValue].
type PlanReport struct {
	Name, Hash                       string
	Coordinates, Renders, Duplicates int
	Reused                           int // renders that are done already
	Cached                           int // others that can be taken from a cache
	Graphs                           int // distinct graphs; more than 1 if values of an axis decide which nodes templates make
	Axes                             []AxisReport
	Outputs                          []string // "9 SaveImage", what is owed for each render
	Uploads                          int
	UploadBytes                      int64
	Endpoints                        []EndpointReport
	Expansion                        *ExpansionReport // of prompts by a language model; nil if there is none
}

// AxisReport is one axis.
type AxisReport struct {
	Name      string
	Values    int
	Addresses []string
	First     []string // labels of the first few values
}

// EndpointReport is what the plan would be on one endpoint.
type EndpointReport struct {
	Name, Type, GPU string
	Shards          int      // jobs, if none are merged
	Estimate        Estimate // of the whole plan, as if nothing were done
	Left            Estimate // of what is neither done nor in the cache
	Memory          *Memory  // of the GPU; nil if no model is loaded there, and on previews
	Problems        []string // what cannot run or is missing there
}

// firstLabels bounds the labels that a report shows of an axis.
const firstLabels = 6

// Report sums the plan up. Done and Cached are asked once or twice for each render.
func (p *Plan) Report(opt ReportOptions) PlanReport {
	r := PlanReport{Name: p.Name(), Hash: p.Hash(), Coordinates: p.Coordinates(), Renders: p.Len(), Duplicates: p.Coordinates() - p.Len()}
	for i := range p.ids {
		switch {
		case opt.Done != nil && opt.Done(p.ids[i]):
			r.Reused++
		case opt.Cached != nil && opt.Cached(i):
			r.Cached++
		}
	}
	for i, a := range p.axes {
		axis := AxisReport{Name: a.Name, Values: p.sweep.Axes[i].Len(), Addresses: a.Addresses}
		for v := range min(axis.Values, firstLabels) {
			axis.First = append(axis.First, p.sweep.Axes[i].Value(v).Label)
		}
		r.Axes = append(r.Axes, axis)
	}
	r.Graphs, r.Expansion = len(p.forms), p.expansion
	for _, f := range p.forms {
		for _, o := range f.outputs {
			if name := f.graph.Nodes[o.node].ID + " " + o.class; !slices.Contains(r.Outputs, name) {
				r.Outputs = append(r.Outputs, name)
			}
		}
	}
	for _, f := range p.Files() {
		r.Uploads++
		r.UploadBytes += f.Size
	}
	estimates, left := p.Estimates(), p.leftEstimates(r, opt)
	plain := p.memoryNeed(nil)
	for i := range p.configs {
		e := &p.configs[i]
		need := plain
		if len(e.Aliases) > 0 {
			need = p.memoryNeed(e.Aliases)
		}
		r.Endpoints = append(r.Endpoints, EndpointReport{Name: e.Name, Type: e.Type, GPU: e.GPU, Shards: p.Len() - r.Reused - r.Cached,
			Estimate: estimates[i], Left: left[i], Memory: memoryOn(e, need), Problems: p.problems(e, opt)})
	}
	return r
}

// Classes lists the distinct classes that renders send, sorted.
func (p *Plan) Classes() []string {
	var out []string
	for _, f := range p.forms {
		out = append(out, f.classes()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// problems lists what an endpoint lacks for this plan, as far as it is known, a line each.
func (p *Plan) problems(e *EndpointConfig, opt ReportOptions) (out []string) {
	for _, class := range p.Classes() {
		if opt.Supports != nil {
			if why := opt.Supports(e.Name, class); why != "" {
				out = append(out, class+": "+why)
			}
		}
	}
	out = append(out, p.unfit[e.Name]...)
	profile, known := nodes.ProfileOf(e.Worker)
	owed := 0
	for _, f := range p.forms {
		owed = max(owed, len(f.outputs))
	}
	if known && profile.Form == nodes.FormNovita && owed > 1 {
		out = append(out, fmt.Sprintf("its worker returns the pictures of one node, and %d are owed", owed))
	}
	return out
}

// Text prints a report for people.
func (r *PlanReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.Name, plural(r.Renders, "render"))
	if r.Duplicates > 0 {
		fmt.Fprintf(&b, " for %s", plural(r.Coordinates, "coordinate"))
	}
	if r.Reused > 0 {
		fmt.Fprintf(&b, ", %d of them done already", r.Reused)
	}
	if r.Cached > 0 {
		fmt.Fprintf(&b, ", %d in the cache", r.Cached)
	}
	fmt.Fprintf(&b, "\nplan %s\n", r.Hash[:min(16, len(r.Hash))])
	for _, a := range r.Axes {
		more := ""
		if a.Values > len(a.First) {
			more = ", …"
		}
		sets := "used as ${" + a.Name + "}"
		if len(a.Addresses) > 0 {
			sets = "sets " + strings.Join(a.Addresses, ", ")
		}
		fmt.Fprintf(&b, "axis %s: %s (%s%s), %s\n", a.Name, plural(a.Values, "value"), strings.Join(a.First, ", "), more, sets)
	}
	r.Expansion.text(&b)
	if r.Graphs > 1 {
		fmt.Fprintf(&b, "graphs: %d, as templates make other nodes for other values\n", r.Graphs)
	}
	fmt.Fprintf(&b, "outputs of each render: %s\n", strings.Join(r.Outputs, ", "))
	if r.Uploads > 0 {
		fmt.Fprintf(&b, "uploads: %s, %d bytes\n", plural(r.Uploads, "file"), r.UploadBytes)
	}
	for i := range r.Endpoints {
		r.Endpoints[i].text(&b)
	}
	return b.String()
}

// text prints an endpoint: its jobs, time and money, then the reasons, the memory, and what cannot run.
func (e *EndpointReport) text(b *strings.Builder) {
	fmt.Fprintf(b, "endpoint %s (%s", e.Name, e.Type)
	if e.GPU != "" {
		fmt.Fprintf(b, ", %s", e.GPU)
	}
	fmt.Fprintf(b, "): %s", plural(e.Shards, "job"))
	b.WriteString(e.Left.figures())
	if e.Left.Renders < e.Estimate.Renders && e.Estimate.figures() != "" {
		fmt.Fprintf(b, " (without reuse: %s%s)", plural(e.Estimate.Renders, "job"), e.Estimate.figures())
	}
	b.WriteString("\n")
	for _, reason := range e.Estimate.Reasons {
		fmt.Fprintf(b, "  %s\n", reason)
	}
	e.Memory.text(b)
	for _, problem := range e.Problems {
		fmt.Fprintf(b, "  cannot: %s\n", problem)
	}
}

// plural counts with an s, which all words here take.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
