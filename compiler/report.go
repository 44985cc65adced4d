package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/vram"
	"github.com/comfyc/comfyc/nodes"
)

// ReportOptions tell what the plan itself does not know. The zero value leaves it out.
type ReportOptions struct {
	// Supports says why a class cannot run on an endpoint, "" if it can; nil means that nothing is known.
	Supports func(endpoint, class string) string
	// Done tells whether a render is finished already.
	Done func(RenderID) bool
}

// PlanReport is what `comfyc plan` prints.
type PlanReport struct {
	Name, Hash                       string
	Coordinates, Renders, Duplicates int
	Reused                           int // renders that are done already
	Axes                             []AxisReport
	Outputs                          []string // "9 SaveImage", what is owed for each render
	Uploads                          int
	UploadBytes                      int64
	Endpoints                        []EndpointReport
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
	Shards          int // jobs, if none are merged
	Estimate        Estimate
	Memory          *Memory  // of the GPU; nil if no model is loaded there, and on previews
	Problems        []string // what cannot run or is missing there
}

// firstLabels bounds the labels that a report shows of an axis.
const firstLabels = 6

// Report sums the plan up.
func (p *Plan) Report(opt ReportOptions) PlanReport {
	r := PlanReport{Name: p.Name(), Hash: p.Hash(), Coordinates: p.Coordinates(), Renders: p.Len(), Duplicates: p.Coordinates() - p.Len()}
	for i := range p.ids {
		if opt.Done != nil && opt.Done(p.ids[i]) {
			r.Reused++
		}
	}
	for i, a := range p.axes {
		axis := AxisReport{Name: a.Name, Values: p.sweep.Axes[i].Len(), Addresses: a.Addresses}
		for v := range min(axis.Values, firstLabels) {
			axis.First = append(axis.First, p.sweep.Axes[i].Value(v).Label)
		}
		r.Axes = append(r.Axes, axis)
	}
	for _, o := range p.outputs {
		r.Outputs = append(r.Outputs, p.graph.Nodes[o.node].ID+" "+o.class)
	}
	for _, f := range p.Files() {
		r.Uploads++
		r.UploadBytes += f.Size
	}
	estimates := p.Estimates()
	need := vram.Estimate(p.graph, vram.Options{Values: p.inputValues})
	for i := range p.configs {
		e := &p.configs[i]
		r.Endpoints = append(r.Endpoints, EndpointReport{Name: e.Name, Type: e.Type, GPU: e.GPU, Shards: p.Len() - r.Reused,
			Estimate: estimates[i], Memory: memoryOn(e, need), Problems: p.problems(e, opt)})
	}
	return r
}

// Classes lists the distinct classes that renders send, sorted.
func (p *Plan) Classes() []string {
	var out []string
	for _, i := range p.sent() {
		class := p.graph.Nodes[i].Class
		if o := p.outputOf(i); o != nil {
			class = o.class
		}
		out = append(out, class)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// problems lists what an endpoint lacks for this plan, as far as it is known.
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
	if known && profile.Form == nodes.FormNovita && len(p.outputs) > 1 {
		out = append(out, fmt.Sprintf("its worker returns the pictures of one node, and %d are owed", len(p.outputs)))
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
	fmt.Fprintf(&b, "outputs of each render: %s\n", strings.Join(r.Outputs, ", "))
	if r.Uploads > 0 {
		fmt.Fprintf(&b, "uploads: %s, %d bytes\n", plural(r.Uploads, "file"), r.UploadBytes)
	}
	for i := range r.Endpoints {
		r.Endpoints[i].text(&b)
	}
	return b.String()
}

func (e *EndpointReport) text(b *strings.Builder) {
	fmt.Fprintf(b, "endpoint %s (%s", e.Name, e.Type)
	if e.GPU != "" {
		fmt.Fprintf(b, ", %s", e.GPU)
	}
	fmt.Fprintf(b, "): %s", plural(e.Shards, "job"))
	if s := e.Estimate.Seconds; s != (Range{}) {
		fmt.Fprintf(b, ", %.0f to %.0f s", s.Low, s.High)
	}
	if d := e.Estimate.USD; d != (Range{}) {
		fmt.Fprintf(b, ", $%.2f to $%.2f", d.Low, d.High)
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

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
