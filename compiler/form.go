package compiler

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// form is one graph that renders of a plan have, with all that follows from it. A plan has one, unless values of an axis decide which nodes
// a template makes: then each different graph is a form, checked on its own, and a render is its form's graph plus patches. What the batch sets in
// nodes that are no templates, forms share in memory too.
type form struct {
	index     int // in Plan.forms
	first     int // the first coordinate that has it
	prompt    *source.Value
	written   *graph.Graph      // as its author wrote it, templates expanded
	graph     *graph.Graph      // with the batch's values, once they are known
	expansion *script.Expansion // nil if the workflow uses no templates
	values    *resolver

	outputs []output    // that owe files, in the prompt's order
	order   []int       // the nodes that they need, sources first
	idle    []int       // nodes that are sent although no owed output needs them, sources first: previews, and what they need
	dead    []int       // likewise: nodes that no output needs, in the prompt's order
	twins   map[int]int // node → an earlier one in order that is equal to it
	looks   look        // the inputs that galleries show
}

// choice says which form a coordinate has. The zero value is the first form for all.
type choice struct {
	table         // over the axes that feed templates
	forms []int32 // by the table's key: the form, -1 where no coordinate is; nil if no axis feeds a template
	rows  []int32 // by the table's key: which of its form's expansions it is
}

// newChoice has no form for any combination yet.
func newChoice(t table) *choice {
	c := &choice{table: t, forms: make([]int32, t.size), rows: make([]int32, t.size)}
	for i := range c.forms {
		c.forms[i] = -1
	}
	return c
}

// form gives the number of a coordinate's form; at has an index for each axis.
func (c *choice) form(at []int) int {
	if c.forms == nil {
		return 0
	}
	return int(c.forms[c.key(at)])
}

// row gives the number of a coordinate's expansion among those of its form.
func (c *choice) row(at []int) int { return int(c.rows[c.key(at)]) }

// input gives the value of an input at a coordinate: a literal, the list of a link, or nil if it is not given there.
func (f *form) input(node, index int, at []int) *source.Value {
	if s := f.values.find(node, index); s != nil {
		return f.values.value(s, at)
	}
	return f.graph.Nodes[node].Inputs[index].Value
}

// literal tells that an input holds a value, of the workflow or of the batch.
func (f *form) literal(node, index int) bool {
	return f.values.find(node, index) != nil || !isLink(&f.graph.Nodes[node].Inputs[index])
}

// outputOf gives the owed output that a node is, nil if it is none.
func (f *form) outputOf(node int) *output {
	for i := range f.outputs {
		if f.outputs[i].node == node {
			return &f.outputs[i]
		}
	}
	return nil
}

// sent lists the nodes of a job of one render, as indexes, each once.
func (f *form) sent() []int { return slices.Concat(f.order, f.idle, f.dead) }

// classes lists the classes that renders of the form send, unsorted and with repetitions.
func (f *form) classes() (out []string) {
	for _, i := range f.sent() {
		class := f.graph.Nodes[i].Class
		if o := f.outputOf(i); o != nil {
			class = o.class
		}
		out = append(out, class)
	}
	return out
}
