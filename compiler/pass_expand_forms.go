package compiler

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// maxForms bounds the different graphs that the templates of one batch make. Each is checked on its own, and costs as much memory as a workflow.
const maxForms = 256

// expanding is the state of the pass expand. Of an expansion only what is new in it is kept: a form's first one as its graph, of the
// others the values that differ.
type expanding struct {
	*compilation
	feeding, rest []slot              // the inputs of templates that the batch gives a value, and all others
	shapes        map[string]*growing // by what shapeOf writes
}

// growing is a form while expansions are added to it.
type growing struct {
	*form
	rows    int // expansions that were added, and the length of each slot's derived values
	derived []derivation
}

// derivation is an input that differs between the expansions of a form.
type derivation struct {
	slot        int                      // index in form.values.slots
	node, input int                      // indexes in the prompt and in the node's inputs
	known       map[string]*source.Value // by what appendValue writes
}

// feedingAxes lists the axes that feed templates, in order.
func (x *expanding) feedingAxes() (axes []int) {
	for i := range x.feeding {
		axes = append(axes, x.feeding[i].axes...)
	}
	slices.Sort(axes)
	return slices.Compact(axes)
}

// each expands once for each combination of the feeding axes that a coordinate has. False ends the pass:
// too many, cancelled, or a script that hangs.
func (x *expanding) each(axes []int) bool {
	x.choice.table = newTable(axes, x.values.axes, maxTable)
	if x.choice.size == 0 {
		return x.tooMany(axes)
	}
	*x.choice = *newChoice(x.choice.table)
	at := make([]int, len(x.sweep.Axes))
	runs := 0
	for i := range x.sweep.Len() {
		if i%1024 == 0 && x.ctx.Err() != nil || x.list.Errors() > maxFindings {
			return false
		}
		x.sweep.At(i, at)
		key := x.choice.key(at)
		if x.choice.forms[key] >= 0 {
			continue
		}
		if runs++; runs > maxTemplateRuns {
			return x.tooMany(axes)
		}
		x.choice.forms[key] = 0 // also after a mistake: it is said once
		e := x.expandAt(x.feeding, at)
		if x.hung {
			return false // the next combination would take as long
		}
		if e == nil {
			continue
		}
		g := x.take(e, i)
		if g == nil {
			return x.tooManyForms(axes)
		}
		x.choice.forms[key], x.choice.rows[key] = int32(g.index), int32(g.rows-1)
	}
	return true
}

// take adds an expansion to the form that has its nodes and links, the first one to a new form. It is nil if there are too many forms.
func (x *expanding) take(e *script.Expansion, coordinate int) *growing {
	shape := shapeOf(e.Prompt)
	g := x.shapes[shape]
	if g == nil {
		if len(x.forms) == maxForms {
			return nil
		}
		g = &growing{form: x.newForm(e, coordinate)}
		x.shapes[shape] = g
		x.forms = append(x.forms, g.form)
	}
	g.grow(e.Prompt, x.choice.table)
	return g
}

// shapeOf writes down what an expanded prompt is apart from its values: ids, classes, the names of
// inputs, links and other lists. Prompts of one shape can share a graph, since the checks of a graph
// depend on nothing else but values.
func shapeOf(prompt *source.Value) string {
	var text []byte
	for i := range prompt.Members {
		m := &prompt.Members[i]
		text = appendText(appendText(append(text, 'n'), m.Key), m.Value.Get("class_type").Str())
		inputs := m.Value.Get("inputs")
		if inputs == nil {
			continue
		}
		for k := range inputs.Members {
			in := &inputs.Members[k]
			if text = appendText(append(text, 'i'), in.Key); in.Value.Kind == source.Array {
				text = append(in.Value.AppendJSON(append(text, 'l')), ' ')
			}
		}
	}
	return string(text)
}

// newForm builds the graph of an expansion. The slots of nodes that are no templates keep their tables, which all forms share.
func (x *expanding) newForm(e *script.Expansion, coordinate int) *form {
	g, _ := graph.Build(e.Prompt, x.cat, graph.Options{NoLints: true, Files: anyFile})
	old := x.before
	values := *old.values
	values.slots = slices.Clone(x.rest)
	for i := range values.slots {
		s := &values.slots[i]
		s.node = g.Find(old.graph.Nodes[s.node].ID)
		s.index = g.Nodes[s.node].Input(s.input)
	}
	return &form{index: len(x.forms), first: coordinate, prompt: e.Prompt, written: g, graph: g, expansion: e, values: &values}
}

// grow adds an expansion of the form's shape: inputs that differ from the first one become slots, and
// each slot gets its value. Prompts of one shape have the same nodes and inputs in the same order, so
// they are compared by index.
func (g *growing) grow(prompt *source.Value, t table) {
	for i := range prompt.Members {
		first, now := g.prompt.Members[i].Value.Get("inputs"), prompt.Members[i].Value.Get("inputs")
		if first == nil || first == now {
			continue
		}
		for k := range first.Members {
			if v := now.Members[k].Value; !same(first.Members[k].Value, v) && !g.derives(i, k) {
				g.derive(i, k, first.Members[k], t)
			}
		}
	}
	for i := range g.derived {
		d := &g.derived[i]
		s := &g.values.slots[d.slot]
		s.derived = append(s.derived, d.intern(prompt.Members[d.node].Value.Get("inputs").Members[d.input].Value))
	}
	g.rows++
}

// same tells whether two literals are one.
func same(a, b *source.Value) bool {
	if a == b || a.Kind != source.Object && b.Kind != source.Object {
		return a == b || a.Kind == b.Kind && a.Text == b.Text && a.Bool == b.Bool
	}
	return string(a.AppendJSON(nil)) == string(b.AppendJSON(nil))
}

// derives tells whether an input is known to differ.
func (g *growing) derives(node, input int) bool {
	return slices.ContainsFunc(g.derived, func(d derivation) bool { return d.node == node && d.input == input })
}

// derive makes a slot of an input that had the same value in all expansions so far: the rows before this
// one get that value.
func (g *growing) derive(node, input int, base source.Member, t table) {
	n := g.graph.Find(g.prompt.Members[node].Key)
	d := derivation{slot: len(g.values.slots), node: node, input: input, known: map[string]*source.Value{}}
	s := slot{target: target{n, base.Key}, index: g.graph.Nodes[n].Input(base.Key), base: base.Value, axis: -1, name: "a template", table: t}
	s.derived = slices.Repeat([]*source.Value{d.intern(base.Value)}, g.rows)
	g.values.slots, g.derived = append(g.values.slots, s), append(g.derived, d)
}

// intern keeps one of all equal values: a thousand expansions with two different values hold two.
func (d *derivation) intern(v *source.Value) *source.Value {
	key := string(appendValue(nil, v))
	known, ok := d.known[key]
	if !ok {
		known = v
		d.known[key] = v
	}
	return known
}

// tooMany says that the combinations are too many, at the first axis that feeds a template.
func (x *expanding) tooMany(axes []int) bool {
	x.list.Add(diag.Errorf("too_many_expansions", x.values.axes[axes[0]].Key, "the axes that feed templates have more than %d combinations", maxTemplateRuns).
		Hinted("set an input of an ordinary node, or sample the sweep"))
	return false
}

func (x *expanding) tooManyForms(axes []int) bool {
	x.list.Add(diag.Errorf("template_shape", x.values.axes[axes[0]].Key, "with the values of axis %q the templates make more than %d different graphs", x.values.axes[axes[0]].Name, maxForms).
		Hinted("let the template set a value to 0 instead of leaving nodes out, or sample the sweep"))
	return false
}
