package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// prefixInput is the input by which nodes that save files are told, and through which outputs are told apart.
const prefixInput = "filename_prefix"

// output is a node that owes files.
type output struct {
	node  int
	class string // under which it is sent: SaveImage for a PreviewImage that is all there is
	title string
	tag   string // how file name prefixes name the node
}

// owed finds the outputs that owe files: those that save under a prefix. Previews are temporary pictures,
// which most workers drop, so they owe nothing and are not sent; only if nothing else is saved are they
// sent as SaveImage. Outputs that the server would leave out are none.
func (c *compilation) owed() bool {
	for _, i := range c.graph.Outputs {
		if n := &c.graph.Nodes[i]; has(n, prefixInput) {
			c.addOutput(i, n.Class)
		}
	}
	if len(c.outputs) == 0 {
		c.previewsAsOutputs()
	}
	if len(c.outputs) == 0 {
		c.list.Add(diag.Errorf("nothing_owed", diag.Of(c.prompt), "no node of the workflow saves a file").Hinted("add a SaveImage node"))
		return false
	}
	c.order = needed(c.graph, c.outputs)
	return true
}

// begin starts the plan, once it is known which graphs it has. The request's own output_node_id is kept
// for workers that give back one node.
func (c *compilation) begin() bool {
	p := &Plan{batch: c.batch, sweep: c.sweep, configs: c.configs, spare: c.spare, forms: c.forms, choice: c.choice, before: c.before, uploads: c.values.uploads, expansion: c.expansionReport, drawing: c.drawing}
	p.requested = c.request.Get("input").Get("output_node_id").Str()
	if p.requested == "" {
		p.requested = c.request.Get("output_node_id").Str()
	}
	c.plan = p
	return true
}

// previewsAsOutputs lets nodes that only show pictures save them.
func (c *compilation) previewsAsOutputs() {
	for _, i := range c.graph.Outputs {
		n := &c.graph.Nodes[i]
		if k := n.Input("images"); k < 0 || !n.Inputs[k].Linked() || n.Def == nil || n.Def.Input("images") == nil || n.Def.Input("images").Type != "IMAGE" {
			continue
		}
		c.addOutput(i, "SaveImage")
		c.list.Add(diag.Infof("preview_saved", n.Key, "nothing else is saved, so %s is sent as SaveImage", describe(n)).About(n.ID, ""))
	}
}

// addOutput lets a node owe files. Its tag is its id, or, if that has letters that file names may lose,
// its place in the graph: 9 for the node 9, x4 for 57:27 at index 4. Tags are distinct, and so are the
// prefixes made of them.
func (f *form) addOutput(node int, class string) {
	n := &f.graph.Nodes[node]
	tag := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, n.ID)
	if len(tag) > 32 || strings.Contains(tag, "_") {
		tag = "x" + source.NewInt(int64(node)).Text // another id could have the same letters
	}
	f.outputs = append(f.outputs, output{node, class, titleOf(n), tag})
}

// needed lists the nodes behind some outputs, those themselves included, sources first. What feeds a
// prefix is not needed, as comfyc sends its own. One walk against the execution order is enough: whoever
// needs a node stands behind it.
func needed(g *graph.Graph, outputs []output) []int {
	want := make([]bool, len(g.Nodes))
	for _, o := range outputs {
		want[o.node] = true
	}
	for _, i := range slices.Backward(g.Order) {
		if !want[i] {
			continue
		}
		for k := range g.Nodes[i].Inputs {
			in := &g.Nodes[i].Inputs[k]
			if in.Linked() && !(in.Name == prefixInput && isOutput(outputs, i)) {
				want[in.From] = true
			}
		}
	}
	var out []int
	for _, i := range g.Order {
		if want[i] {
			out = append(out, i)
		}
	}
	return out
}

func isOutput(outputs []output, node int) bool {
	return slices.ContainsFunc(outputs, func(o output) bool { return o.node == node })
}

// isModel tells whether an input names a model file.
func isModel(n *graph.Node, input string) bool { return nodes.ModelKind(n.Class, input) != "" }
