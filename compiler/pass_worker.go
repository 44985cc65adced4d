package compiler

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// workers holds the plan against what is known of each endpoint's worker: the models and classes of its image, its own list or its snapshot, and
// which outputs it gives back. What no endpoint can run is an error; what some cannot is a warning.
func (c *compilation) workers() bool {
	unfit := make([][]diag.Diagnostic, len(c.configs))
	lacking := 0 // endpoints that cannot run the plan
	for i := range c.configs {
		unfit[i] = c.unfit(&c.configs[i])
		if slices.ContainsFunc(unfit[i], func(d diag.Diagnostic) bool { return d.Severity == diag.Error }) {
			lacking++
		}
	}
	c.plan.unfit = map[string][]string{}
	for i, findings := range unfit {
		for _, d := range findings {
			if name := c.configs[i].Name; d.Severity == diag.Error && !slices.Contains(c.plan.unfit[name], d.Message) {
				c.plan.unfit[name] = append(c.plan.unfit[name], d.Message)
			}
			if lacking < len(c.configs) {
				d.Severity = diag.Warning
			}
			c.list.Add(d)
		}
	}
	return true
}

// unfit lists what one endpoint's worker lacks, over all forms; what is not known of a worker is taken to
// be there.
func (c *compilation) unfit(e *EndpointConfig) (out []diag.Diagnostic) {
	w := graph.Worker{Endpoint: e.Name, Models: e.Models, Aliases: e.Aliases}
	w.Profile, _ = nodes.ProfileOf(e.Worker)
	if e.ObjectInfo != "" {
		f, err := c.files.read(e.ObjectInfo)
		if err != nil {
			return []diag.Diagnostic{diag.FromError(err, e.ObjectInfo)}
		}
		var findings []diag.Diagnostic
		if w.Classes, findings = nodes.LoadFile(f); w.Classes == nil {
			return findings
		}
	}
	for _, c.form = range c.forms {
		for _, d := range graph.CheckWorker(c.graph, w) {
			if d.Code == "dropped_output" && c.owes(d.Node) {
				continue // it is sent as SaveImage
			}
			if d.Code != "missing_model" || !c.varies(d.Node, d.Input) {
				out = append(out, d)
			}
		}
		out = append(out, c.unfitValues(w)...)
	}
	c.form = c.forms[0]
	return out
}

// owes tells whether a node, by its id, is among the outputs of the form at hand.
func (c *compilation) owes(id string) bool {
	return slices.ContainsFunc(c.outputs, func(o output) bool { return c.graph.Nodes[o.node].ID == id })
}

// varies tells whether the batch sets an input; its values are looked at one by one.
func (c *compilation) varies(id, input string) bool {
	i := c.graph.Find(id)
	return i >= 0 && c.values.find(i, c.graph.Nodes[i].Input(input)) != nil
}

// unfitValues looks at each value that the batch gives a model's input, by a graph of that node alone.
func (c *compilation) unfitValues(w graph.Worker) (out []diag.Diagnostic) {
	for i := range c.values.slots {
		s := &c.values.slots[i]
		if s.index < 0 || nodes.ModelKind(c.graph.Nodes[s.node].Class, s.input) == "" {
			continue
		}
		s.each(func(v *source.Value) {
			n := c.graph.Nodes[s.node]
			n.Inputs = slices.Clone(n.Inputs)
			n.Inputs[s.index].Value, n.Inputs[s.index].From = v, -1
			for _, d := range graph.CheckWorker(&graph.Graph{Nodes: []graph.Node{n}, Order: []int{0}}, w) {
				if d.Code == "missing_model" && d.Input == s.input {
					out = append(out, c.setBySlot(d))
				}
			}
		})
	}
	return out
}
