// Promoted values. An input of a definition that is connected to an inner widget shows as a widget of each instance, and there the instance's
// own value wins over the inner one. The k-th such input has the k-th of the instance's widgets_values; when instances are nested, the
// outermost one counts. For example, inputs [seed, model, steps], of which model drives no widget, with the values [7, 20]: seed is 7, steps 20.

package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// hostSlot is what a slot of an instance costs of the steps: files can ask for many with few bytes.
const hostSlot = 20

// mirrorPorts gives an instance the slots of its definition.
func (n *node) mirrorPorts() {
	// A definition with thousands of ports and thousands of instances is a small file that asks for millions of slots.
	slots := len(n.sub.inputs) + len(n.sub.outputs)
	if l := n.sub.l; !l.spend(hostSlot*slots) || !l.take(slotCost*slots) {
		return
	}
	for _, p := range n.sub.inputs {
		n.inputs = append(n.inputs, &input{name: p.name, typ: p.typ, port: p})
	}
	for _, p := range n.sub.outputs {
		n.outputs = append(n.outputs, &output{name: p.name, typ: p.typ})
	}
}

// mergeHost gives the slots of an instance what the file says of them, by name. Slots that the definition does not have are dropped.
func (n *node) mergeHost() {
	docs := n.doc.slotsByName()
	for i, in := range n.inputs {
		// Names and types are the definition's as it is now, whatever the file had.
		made := &input{name: in.name, typ: in.typ, port: in.port}
		if d := docs(in.name); d != nil {
			made.label, made.doc = d.label, d
		}
		n.inputs[i] = made
	}
	n.mergeOutputs()
}

// promote finds the inputs of an instance that stand for an inner widget, and gives each a value of its own, at first the inner one.
func (n *node) promote() {
	for _, in := range n.inputs {
		n.promoteInput(in)
	}
}

// promoteInput leaves an input as it is that drives no widget: it is a socket, and sends nothing by itself.
func (n *node) promoteInput(in *input) {
	// The inner value is the start: it stays where the file has none at that place.
	w, v := n.sub.widgetBehind(in.port)
	if w != nil {
		n.promoteAs(in, w, v)
	}
}

// promoteLate is for instances that were made before the definition's nodes: their inputs take the widget that they are connected to first,
// with the inner value, as the values of the file have been given out already.
func (g *graph) promoteLate() {
	for _, p := range g.inputs {
		if len(p.links) == 0 || len(g.hosts) == 0 {
			continue
		}
		target, in := g.target(p.links[0])
		if target == nil {
			continue
		}
		w := target.widgetLike(in)
		if w == nil {
			continue
		}
		for _, h := range g.hosts {
			h.portConnected(p, target, in, w)
			if h.doc.values != nil {
				g.l.warn("host_values_ignored", diag.Of(h.doc.values), h.id, p.name, "the value of %q is not used: the frontend makes this instance before the "+
					"inside of its subgraph, as a definition holds two instances of one subgraph", p.name)
			}
		}
	}
}

// promoteAs makes an input stand for a widget. The value belongs to the input's name, so that equal names share one.
func (n *node) promoteAs(in *input, w *widget, v *source.Value) {
	// Kept by name: an input that is taken away and comes back finds its value.
	p := n.values[in.name]
	switch {
	case p == nil:
		p = &promoted{value: v}
		n.values[in.name] = p
	// Reconnected to a widget of another type, the old value is meaningless.
	case p.like.typ != w.typ:
		*p = promoted{value: v}
	}
	p.like = w
	in.value, in.widget, in.hasWidget = p, in.name, true
}

// widgetBehind finds the first widget that an input of the definition is connected to, also through instances inside, and its value.
func (g *graph) widgetBehind(p *port) (*widget, *source.Value) {
	for _, id := range p.links {
		target, in := g.target(id)
		switch {
		case target == nil:
		case target.kind == hostNode:
			if in.value != nil {
				return in.value.like, in.value.value
			}
		default:
			if w := target.widgetOf(in); w != nil {
				return w, target.get(w)
			}
		}
	}
	return nil, nil
}

// target gives the node and the input that a link ends at; nil if there are none.
func (g *graph) target(id int) (*node, *input) {
	k := g.links[id]
	if k == nil {
		return nil, nil
	}
	n := g.node(k.to)
	if n == nil || k.toSlot < 0 || k.toSlot >= len(n.inputs) {
		return nil, nil
	}
	return n, n.inputs[k.toSlot]
}

// takePromoted gives the promoted inputs the instance's widgets_values, in their order. A value that is not there leaves the inner one.
func (n *node) takePromoted() {
	quarantined := n.quarantined()
	// Counts promoted inputs only.
	at := 0
	for _, in := range n.inputs {
		// Inputs that drive no widget have no place in widgets_values.
		if in.value == nil {
			continue
		}
		// By name before by place: these were lost by an earlier load, and kept with a reason.
		v := quarantined[in.name]
		if v == nil {
			v = n.doc.values.Index(at)
		}
		at++
		if v == nil {
			continue
		}
		in.value.value, in.value.given = v, true
		n.nullValue(in, v)
	}
}

// nullValue warns of an empty value that files of older editors hold: the frontend sends it.
func (n *node) nullValue(in *input, v *source.Value) {
	if v.Kind == source.Null && in.value.like.typ != "combo" {
		n.graph.l.warn("null_host_value", diag.Of(v), n.id, in.name,
			"the subgraph instance has no value for %q and sends null instead of the value inside of the subgraph", in.name)
	}
}

// quarantined reads values that an earlier load could not place, by input name; the first one counts.
func (n *node) quarantined() map[string]*source.Value {
	list := unquote(n.doc.props.Get("proxyWidgetErrorQuarantine"))
	out := map[string]*source.Value{}
	// Backwards, so that the first entry of a name is the one that stays.
	for _, e := range slices.Backward(items(list)) {
		entry, v := e.Get("originalEntry"), e.Get("hostValue")
		// One entry that cannot be read voids the list, as in the frontend.
		if !validQuarantine(e) {
			return nil
		}
		if isString(entry.Index(0), "-1") && v != nil {
			out[entry.Items[1].Text] = v
		}
	}
	return out
}

// validQuarantine accepts the one version that there is, with the reasons that the frontend writes.
func validQuarantine(e *source.Value) bool {
	entry := e.Get("originalEntry")
	version, ok := e.Get("attemptedAtVersion").Int()
	if entry == nil || entry.Kind != source.Array || len(entry.Items) < 2 || len(entry.Items) > 3 || !ok || version != 1 {
		return false
	}
	for _, part := range entry.Items {
		if part.Kind != source.String {
			return false
		}
	}
	return contains([]string{"missingSourceNode", "missingSourceWidget", "missingSubgraphInput", "ambiguousSubgraphInput",
		"unlinkedSourceWidget", "primitiveBypassFailed"}, e.Get("reason").Str())
}

// added is what a node does once it is in a graph.
func (n *node) added() {
	switch {
	case n.kind == hostNode:
		n.promote()
	case n.class == "CustomCombo" && n.kind == classNode:
		n.offerOptions()
	}
}

// addPort adds an input to the definition; all instances get it.
func (g *graph) addPort(name, typ string) *port {
	// All instances get the slot, also those whose values were given out before; for them it has the inner value.
	p := &port{name: uniqueName(name, g.hasPort), typ: typ}
	g.taken[p.name] = true
	g.inputs = append(g.inputs, p)
	// What adding costs grows with the number of instances.
	g.l.spend(hostSlot * len(g.hosts))
	g.l.take(slotCost * len(g.hosts))
	for _, h := range g.hosts {
		h.inputs = append(h.inputs, &input{name: p.name, typ: p.typ, port: p})
	}
	return p
}

// hasPort costs a step, as names are tried one after the other.
func (g *graph) hasPort(name string) bool { return g.l.spend(1) && g.taken[name] }

// removePort takes back an input that was just added.
func (g *graph) removePort(p *port) {
	for _, id := range slices.Clone(p.links) {
		if k := g.links[id]; k != nil {
			g.removeLink(k)
		}
	}
	g.inputs = slices.DeleteFunc(g.inputs, func(x *port) bool { return x == p })
	g.taken[p.name] = slices.ContainsFunc(g.inputs, func(x *port) bool { return x.name == p.name })
	for _, h := range g.hosts {
		h.inputs = slices.DeleteFunc(h.inputs, func(in *input) bool { return in.port == p })
	}
}

// connectPort links an input of the definition to an inner input, in place of the link that was there. Inputs of a definition accept further
// widgets only if they are like the first one. Every instance takes the widget over.
func (g *graph) connectPort(p *port, n *node, in *input) bool {
	slot := slices.Index(n.inputs, in)
	w := n.widgetLike(in)
	// One value for two widgets makes sense only if both take the same.
	if slot < 0 || w != nil && p.first != nil && !alike(p.first, w) {
		return false
	}
	k := &link{id: g.l.mintLink(), from: inputSide, fromSlot: slices.Index(g.inputs, p), to: n.id, toSlot: slot, typ: in.typ}
	// The inner input had another source until now, such as the primitive node that is replaced.
	if old := n.linkInto(slot); old != nil {
		g.removeLink(old)
		g.leavePort(old)
	}
	g.addLink(k)
	p.links = append(p.links, k.id)
	if w != nil {
		p.first = w
		for _, h := range g.hosts {
			h.portConnected(p, n, in, w)
		}
	}
	n.connectionChanged(slot, true, k)
	return true
}

// widgetLike is the widget of an input; for a promoted input, the inner one.
func (n *node) widgetLike(in *input) *widget {
	if n.kind == hostNode {
		if in.value == nil {
			return nil
		}
		return in.value.like
	}
	return n.widgetOf(in)
}

// portConnected gives an instance's input the widget that its port was just connected to, with the inner value if it has none of its own.
func (n *node) portConnected(p *port, target *node, in *input, w *widget) {
	v := in.valueOf(target, w)
	n.sub.l.spend(len(n.inputs))
	for _, own := range n.inputs {
		if own.port == p {
			own.drop = false
			n.promoteAs(own, w, v)
		}
	}
}

func (in *input) valueOf(n *node, w *widget) *source.Value {
	if in.value != nil {
		return in.value.value
	}
	return n.get(w)
}

// alike compares type and range of two widgets; options of combos are not looked at.
func alike(a, b *widget) bool {
	if a.typ != b.typ || (a.num == nil) != (b.num == nil) {
		return false
	}
	return a.num == nil || a.num.min == b.num.min && a.num.max == b.num.max && a.num.step == b.num.step && a.num.precision == b.num.precision
}

// leavePort tells the definition's input of a link that is gone. Inputs that stand for no widget any more lose their value once the graph
// is loaded.
func (g *graph) leavePort(k *link) {
	if k.fromSlot < 0 || k.fromSlot >= len(g.inputs) {
		return
	}
	p := g.inputs[k.fromSlot]
	if !g.l.spend(len(p.links)) {
		return
	}
	p.links = slices.DeleteFunc(p.links, func(id int) bool { return id == k.id })
	if len(p.links) == 0 {
		p.first = nil
	}
	connected := slices.ContainsFunc(p.links, func(id int) bool {
		n, in := g.target(id)
		return n != nil && in.hasWidget && (n.kind == hostNode && in.value != nil || n.widgetOf(in) != nil)
	})
	for _, h := range g.hosts {
		for _, in := range h.inputs {
			if in.port != p {
				continue
			}
			if connected {
				h.promoteInput(in)
			} else if in.value != nil {
				// Not at once: while a graph is loading a link is often taken away and put back by the next step.
				in.drop = true
				g.l.soon(func() { in.demote() })
			}
		}
	}
}

// demote makes a promoted input a socket again, unless it has been connected anew since it was marked.
func (in *input) demote() {
	if in.drop {
		in.drop, in.value, in.hasWidget = false, nil, false
	}
}

// soon runs something once the graph is loaded, at once if it is already.
func (l *lowering) soon(f func()) {
	if l.loading {
		l.later = append(l.later, f)
		return
	}
	f()
}
