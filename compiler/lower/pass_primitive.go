// A primitive node is one value for several inputs. In the file it is a node with links; in a prompt it does not exist: before the prompt is made it
// writes its value into the widgets at the ends of its links, and the links resolve to nothing. Its own widget is not declared anywhere, but takes
// the form of the first input that it feeds, narrowed to what all of them take. Muted and bypassed ones write all the same.

package lower

import (
	"math"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// primitives gives primitive nodes the widget of the first input that they are connected to, and their saved value.
func (l *lowering) primitives() {
	for _, n := range l.allNodes() {
		if n.kind == primitiveNode && len(n.outputs) > 0 {
			n.takeForm(true)
		}
	}
}

// firstTarget is the first input, by link id, that a primitive node is connected to.
func (n *node) firstTarget() (*node, *input) {
	// Sorted by id, which is the order in which they were drawn.
	links := n.graph.from(n.id, 0)
	if len(links) == 0 {
		return nil, nil
	}
	return n.graph.target(links[0].id)
}

// takeForm makes the widget. saved tells that the value of the file is still good.
func (n *node) takeForm(saved bool) {
	target, in := n.firstTarget()
	if target == nil {
		return
	}
	spec, name := target.formOf(in)
	if spec == nil {
		return
	}
	typ := spec.typ
	restored := n.savedValue()
	// Connected to something of another type since it was saved, its value is of no use.
	if n.outputs[0].typ != typ || !saved {
		restored = nil
	}
	n.outputs[0].typ, n.outSpec = typ, spec
	w := n.makeForm(spec)
	// At first the target's value; that of the file goes over it.
	if theirs := target.widgetNamed(name); theirs != nil {
		n.set(w, target.get(theirs))
	}
	if restored != nil {
		n.set(w, restored)
	}
	n.mergeForms()
}

// savedValue is the value of the file: the first of widgets_values, if the node was connected when it was saved.
func (n *node) savedValue() *source.Value {
	if len(n.doc.outputs) == 0 || n.doc.outputs[0].src.Get("type") == nil || n.doc.outputs[0].src.Get("type").Kind != source.String {
		return nil
	}
	// widgets_values of a primitive node: the value, then its control.
	return n.doc.values.Index(0)
}

// formOf gives what an input's widget is declared as, and the widget's name; nil if a primitive node cannot feed it.
func (n *node) formOf(in *input) (*inputSpec, string) {
	if n.kind == hostNode {
		if in.value == nil {
			return n.bareForm(in)
		}
		if in.value.like.spec == nil {
			return nil, ""
		}
		return in.value.like.spec, in.name
	}
	if !in.hasWidget {
		return n.bareForm(in)
	}
	if n.def == nil {
		return nil, ""
	}
	// A widget without a declared input (an upload button) has no form to take.
	for _, s := range n.def.declared {
		if s.name == in.widget {
			return s, in.widget
		}
	}
	return nil, ""
}

// bareForm is the form of an input that has no widget, but a type for which there is one.
func (n *node) bareForm(in *input) (*inputSpec, string) {
	if in.typ == "" || maker(in.typ) == nil {
		return nil, ""
	}
	return &inputSpec{name: in.name, typ: in.typ, widget: in.typ}, in.name
}

// makeForm adds the widget "value" in the form of a spec.
func (n *node) makeForm(spec *inputSpec) *widget {
	// Made anew whenever it is connected to something else.
	n.widgets = nil
	form := spec.named("value", spec.optional)
	make := maker(form.typ)
	if make == nil {
		return n.push(&widget{name: "value", typ: "custom", value: source.NewNull().At(n.src)})
	}
	w := make(n, form)
	// Numbers and combos get the control also where their target has none; a primitive node begins with "fixed".
	if !spec.flag("control_after_generate") && (w.typ == "number" || w.typ == "combo") {
		n.push(controlWidget(n, &inputSpec{opts: withOption(spec.opts, "control_after_generate", source.NewString("fixed"))}))
		if w.typ == "combo" {
			n.push(&widget{name: "control_filter_list", typ: "string", value: source.NewString("").At(n.src), unsent: true})
		}
	}
	return w
}

// mergeForms limits a number to what all its targets take, if their definitions agree else.
func (n *node) mergeForms() {
	if len(n.widgets) == 0 || n.outSpec.typ != "INT" && n.outSpec.typ != "FLOAT" {
		return
	}
	merged, written := n.outSpec, false
	for _, k := range n.graph.from(n.id, 0) {
		target, in := n.graph.target(k.id)
		if target == nil {
			continue
		}
		spec, _ := target.formOf(in)
		if spec == nil || !in.hasWidget {
			continue
		}
		both, ok := mergeSpecs(merged, spec)
		if !ok {
			continue
		}
		merged = both.spec
		// The first fit writes the value at once, later ones only if they changed it.
		if n.clamp(both) || !written {
			n.applyFirst(nil)
			written = true
		}
	}
}

// mergedSpec is what two inputs have in common; min and max are those of numbers.
type mergedSpec struct {
	spec     *inputSpec
	min, max float64
}

// mergeSpecs gives what two inputs have in common. ok is false if they do not overlap, or differ in anything that matters.
func mergeSpecs(a, b *inputSpec) (m mergedSpec, ok bool) {
	if a.typ != b.typ {
		return m, false
	}
	spec := b.named(b.name, b.optional)
	switch a.typ {
	case nodes.TypeInt, nodes.TypeFloat:
		// The overlap of both ranges: 0 to 100 and 1 to 50 give 1 to 50.
		m.min = math.Max(floatOr(a.opts.Get("min"), math.Inf(-1)), floatOr(b.opts.Get("min"), math.Inf(-1)))
		m.max = math.Min(floatOr(a.opts.Get("max"), math.Inf(1)), floatOr(b.opts.Get("max"), math.Inf(1)))
		if m.min > m.max || !sameOptions(a.opts, b.opts, "min", "max", "step") {
			return m, false
		}
		spec.opts = withRange(b.opts, m.min, m.max)
	case nodes.TypeCombo:
		spec.options = common(a.options, b.options)
		if len(spec.options) == 0 || !sameOptions(a.opts, b.opts, "options") {
			return m, false
		}
	default:
		if !sameOptions(a.opts, b.opts) {
			return m, false
		}
	}
	m.spec = spec
	return m, true
}

// common is the intersection of two lists of options, in the order of the first.
func common(a, b []*source.Value) []*source.Value {
	known := make(map[string]bool, len(b))
	for _, v := range b {
		// 1 and "1" are different options.
		known[v.Kind.String()+textOf(v)] = true
	}
	var out []*source.Value
	for _, v := range a {
		if known[v.Kind.String()+textOf(v)] {
			out = append(out, v)
		}
	}
	return out
}

// unmerged are options that may differ between inputs which share a primitive node.
var unmerged = []string{"default", "forceInput", "defaultInput", "control_after_generate", "multiline", "tooltip", "dynamicPrompts"}

// sameOptions compares all options but those in unmerged and the given ones; an option that only one has must be null there.
func sameOptions(a, b *source.Value, merged ...string) bool {
	for _, pair := range [][2]*source.Value{{a, b}, {b, a}} {
		if pair[0] == nil {
			continue
		}
		for _, m := range pair[0].Members {
			if !slices.Contains(unmerged, m.Key) && !slices.Contains(merged, m.Key) && !sameScalar(m.Value, pair[1].Get(m.Key)) {
				return false
			}
		}
	}
	return true
}

// sameScalar is JavaScript's ===: lists and objects are equal only to themselves.
func sameScalar(a, b *source.Value) bool {
	if isNull(a) || isNull(b) {
		return isNull(a) && isNull(b)
	}
	if a == b {
		return true
	}
	// Lists in options of two classes are never the same object, so such inputs do not go together.
	if a.Kind != b.Kind || a.Kind == source.Array || a.Kind == source.Object {
		return false
	}
	return a.Kind == source.Number && toNumber(a) == toNumber(b) || a.Kind != source.Number && a.Text == b.Text && a.Bool == b.Bool
}

// withRange is a copy of options with other bounds; an infinite one is left out.
func withRange(opts *source.Value, low, high float64) *source.Value {
	out := source.NewObject()
	if opts != nil {
		for _, m := range opts.Members {
			if m.Key != "min" && m.Key != "max" {
				out.Members = append(out.Members, m)
			}
		}
	}
	if !math.IsInf(low, 0) {
		out.Members = append(out.Members, source.Member{Key: "min", Value: numberValue(low)})
	}
	if !math.IsInf(high, 0) {
		out.Members = append(out.Members, source.Member{Key: "max", Value: numberValue(high)})
	}
	return out
}

// clamp keeps the value within the range that all targets have. It tells whether that changed it.
func (n *node) clamp(m mergedSpec) bool {
	w := n.widgets[0]
	if w.value == nil || w.value.Kind != source.Number {
		return false
	}
	f := toNumber(w.value)
	limited := w.value
	if f < m.min {
		limited = numberValue(m.min).At(w.value)
	} else if f > m.max {
		limited = numberValue(m.max).At(w.value)
	}
	if limited == w.value {
		return false
	}
	n.graph.l.warn("value_snapped", diag.Of(w.value), n.id, "", "the value %s of primitive node %s is limited to %s, which its targets take",
		numberText(w.value), n.id, textOf(limited))
	w.value = limited
	return true
}

// applyPrimitives makes every primitive node, active or not, write its value into its targets, in execution order.
func (l *lowering) applyPrimitives() {
	var walk func(g *graph, nodes []*node)
	seen := map[*graph]bool{}
	walk = func(g *graph, nodes []*node) {
		for _, n := range nodes {
			switch n.kind {
			case hostNode:
				if !seen[n.sub] {
					seen[n.sub] = true
					walk(n.sub, n.sub.nodes)
				}
			case primitiveNode:
				n.applyToTargets()
			}
		}
	}
	// Definitions are walked through once, in the order of their first instance: their nodes are shared by all instances.
	walk(l.root, l.root.executionOrder())
}

// applyToTargets writes the value, with %Node.widget% replaced if the node asks for it.
func (n *node) applyToTargets() {
	if len(n.widgets) == 0 {
		return
	}
	v := n.get(n.widgets[0])
	// A property of the node, false unless the user sets it.
	if truthy(v) && truthy(n.property("Run widget replace on values")) && v.Kind == source.String {
		v = source.NewString(n.graph.l.replaceTokens(v.Text, n.graph)).At(v)
	}
	n.applyFirst(v)
}

// applyFirst writes the value of the first widget, or the given one, into the widgets that the first output is connected to.
func (n *node) applyFirst(v *source.Value) {
	if v == nil && len(n.widgets) > 0 {
		v = n.get(n.widgets[0])
	}
	if n.applying {
		return // a circle of nodes that write into each other
	}
	n.applying = true
	defer func() { n.applying = false }()
	for _, k := range slices.Clone(n.graph.from(n.id, 0)) {
		target, in := n.graph.target(k.id)
		if target == nil || !n.graph.l.spend(1) {
			continue
		}
		switch w := target.widgetNamed(in.widget); {
		// The instance's own value is replaced, but at the prompt a linked input looks at its link first, which gives nothing: so the inner value is sent.
		case target.kind == hostNode && in.value != nil:
			in.value.value = v
		case in.hasWidget && w != nil:
			target.set(w, v)
			target.edited(w)
			n.snapped(target, w, v)
		}
	}
}

// snapped warns if a number is not what the primitive node has.
func (n *node) snapped(target *node, w *widget, v *source.Value) {
	if w.num != nil && v != nil && v.Kind == source.Number && w.value != v && toNumber(w.value) != toNumber(v) {
		n.graph.l.warn("value_snapped", diag.Of(v), target.id, w.name, "the value %s of primitive node %s becomes %s at input %q of node %s",
			numberText(v), n.id, textOf(w.value), w.name, target.id)
	}
}

// mayFeed tells whether a primitive node may be connected to an input. One that is connected already must fit its other targets, and writes
// its value into the new one.
func (n *node) mayFeed(target *node, in *input) bool {
	if !in.hasWidget && maker(in.typ) == nil {
		return false
	}
	if len(n.graph.from(n.id, 0)) == 0 {
		return true
	}
	spec, _ := target.formOf(in)
	if spec == nil || !in.hasWidget || n.outSpec == nil {
		return false
	}
	m, ok := mergeSpecs(n.outSpec, spec)
	if !ok {
		return false
	}
	if len(n.widgets) > 0 {
		if spec.typ == nodes.TypeInt || spec.typ == nodes.TypeFloat {
			n.clamp(m)
		}
		n.applyFirst(nil)
		if w := target.widgetNamed(in.widget); w != nil {
			target.set(w, n.get(n.widgets[0]))
			target.edited(w)
		}
	}
	return true
}

// connected is what a node does when one of its outputs was connected after the graph was loaded.
func (n *node) connected(*link) {
	if n.kind == primitiveNode && len(n.widgets) == 0 && !n.graph.l.loading {
		n.takeForm(false)
	}
}
