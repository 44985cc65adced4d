package lower

import (
	"maps"
	"slices"
)

// takeProto gives a new node copies of the slots and widgets that nodes of its class have when they are made. Making them anew for each node
// takes several times as long, most of all for dynamic combos. Values get the place of the node in placeValues.
func (n *node) takeProto(p *node, l *lowering) {
	r := l.room
	n.failed, n.unique = p.failed, p.unique
	// All slots of a node lie side by side, and the list points to them: they can be moved within it, and copied one by one when one is replaced.
	inputs := r.inputs.list(len(p.inputs))
	n.inputs = r.inputRefs.list(len(p.inputs))
	for i, in := range p.inputs {
		inputs[i] = *in
		n.inputs[i] = &inputs[i]
	}
	outputs := r.outputs.list(len(p.outputs))
	n.outputs = r.outputRefs.list(len(p.outputs))
	for i, o := range p.outputs {
		outputs[i] = *o
		n.outputs[i] = &outputs[i]
	}
	n.takeWidgets(p, l)
	if p.grows != nil {
		n.grows = maps.Clone(p.grows)
	}
	// Inputs of a template may come while a node grows, so its map is the node's own.
	for _, m := range p.matchers {
		n.matchers = append(n.matchers, &matcher{m.id, maps.Clone(m.inputs)})
	}
	n.checks = slices.Clone(p.checks)
}

// takeWidgets copies widgets with the class's value as initial, by which placeValues finds those that the file left alone.
func (n *node) takeWidgets(p *node, l *lowering) {
	r := l.room
	widgets := r.widgets.list(len(p.widgets))
	n.widgets = r.widgetRefs.list(len(p.widgets))
	for i, w := range p.widgets {
		made := &widgets[i]
		*made = *w
		n.widgets[i] = made
		made.initial = w.value
		// State that belongs to one node; spec, options and num are the class's, and nobody changes them.
		if w.choice != nil {
			choice := *w.choice
			made.choice = &choice
		}
	}
	for i, w := range p.widgets {
		if w.rows != nil { // the button that adds rows is a widget of the node
			rows := *w.rows
			rows.add = n.widgets[slices.Index(p.widgets, rows.add)]
			n.widgets[i].rows = &rows
		}
	}
}

// placeValues gives the node's place to values that come from the class, once the file's own are there.
func (n *node) placeValues(l *lowering) {
	for _, w := range n.widgets {
		if w.initial != nil && w.value == w.initial {
			w.value = l.made.at(w.value, n.src)
		}
	}
}
