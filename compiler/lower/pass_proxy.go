package lower

import (
	"regexp"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Files saved before frontend 1.46 list in properties.proxyWidgets which inner widgets an instance shows, and keep their values in
// widgets_values. The newest frontend turns each entry into an input of the definition, and gives the value to it.

// proxyEntry is one entry with its value; value is nil if the instance has none at its index.
type proxyEntry struct {
	proxyDoc
	value *source.Value
	index int // its place in proxyWidgets
}

// prefixed is the "101: name" notation of nested entries.
var prefixed = regexp.MustCompile(`^\s*(\d+)\s*:\s*(.+)$`)

// migrateProxies applies proxyWidgets to one instance.
func (n *node) migrateProxies() {
	entries := make([]proxyEntry, len(n.doc.proxy))
	perPrimitive := map[string]int{}
	// An entry's value has its index, whatever becomes of the entries before it.
	for i, p := range n.doc.proxy {
		// A value that is not there leaves the inner one; null is a value.
		entries[i] = proxyEntry{proxyDoc: n.stripPrefix(p), value: n.doc.values.Index(i), index: i}
		perPrimitive[entries[i].node]++
	}
	plans := make([]func(), len(entries))
	var order []string
	cohorts := map[string][]proxyEntry{}
	var lost []proxyEntry
	for i, e := range entries {
		// Decided for all before any is applied: the first change would make later entries find inputs that the file did not have.
		plans[i] = n.plan(e, perPrimitive, &order, cohorts, &lost)
	}
	for _, run := range plans {
		if n.sub.l.spend(len(n.inputs)) { // each looks for an input by its name
			run()
		}
	}
	// Primitive nodes last, all entries of one together, as they become one input.
	for _, id := range order {
		n.bypassPrimitive(cohorts[id], &lost)
	}
	n.leftover(lost)
	n.sharedPlaces(entries)
}

// stripPrefix reads entries of nested widgets whose name has the ids of inner nodes before it.
func (n *node) stripPrefix(p proxyDoc) proxyDoc {
	if n.sub.resolves(p.node, p.name, 0) {
		return p
	}
	// "101: 7: seed" is widget seed of node 7 in node 101; the last id tells equal names apart.
	for m := prefixed.FindStringSubmatch(p.name); m != nil; m = prefixed.FindStringSubmatch(p.name) {
		p.tell, p.name = m[1], m[2]
	}
	return p
}

// resolves tells whether an inner node has a widget, directly or, if it is an instance, through an input of that name.
func (g *graph) resolves(id, name string, depth int) bool {
	n := g.node(id)
	// Deeper than 64 levels is refused when instances are expanded; this only ends the walk.
	if n == nil || depth > 100 {
		return false
	}
	if n.kind != hostNode {
		return n.widgetNamed(name) != nil
	}
	inner, innerName := n.behind(name)
	return inner != nil && n.sub.resolves(inner.id, innerName, depth+1)
}

// behind gives the inner node and the widget, or the input of an inner instance, that an instance's input drives first.
func (n *node) behind(name string) (*node, string) {
	at := slices.IndexFunc(n.sub.inputs, func(p *port) bool { return p.name == name })
	if at < 0 {
		return nil, ""
	}
	return n.sub.driven(n.sub.inputs[at])
}

// driven follows the port's links in their order to the first that ends at a widget, or at any input of an inner instance.
func (g *graph) driven(p *port) (*node, string) {
	for _, id := range p.links {
		target, in := g.target(id)
		if target == nil {
			continue
		}
		if target.kind == hostNode {
			return target, in.name
		}
		if w := target.widgetOf(in); w != nil {
			return target, w.name
		}
	}
	return nil, ""
}

// plan decides what is to be done for an entry, before any of them is applied.
func (n *node) plan(e proxyEntry, perPrimitive map[string]int, order *[]string, cohorts map[string][]proxyEntry, lost *[]proxyEntry) func() {
	// The widget is an input already, in files that were saved after a migration.
	if in := n.drives(e.node, e.name); in != nil {
		return func() { n.giveNamed(in.name, e, lost) }
	}
	inner := n.sub.node(e.node)
	drop := func() { *lost = append(*lost, e) }
	if inner == nil {
		return drop
	}
	if inner.kind == primitiveNode {
		if at := n.inputNamed(inner.bypassedTo()); at >= 0 {
			return func() { n.giveNamed(n.inputs[at].name, e, lost) }
		}
		// Feeding nothing, it has nothing that an input could drive.
		if len(n.sub.from(inner.id, 0)) == 0 && perPrimitive[e.node] < 2 {
			return drop
		}
		return func() {
			if cohorts[inner.id] == nil {
				*order = append(*order, inner.id)
			}
			cohorts[inner.id] = append(cohorts[inner.id], e)
		}
	}
	w, slot := inner.source(e)
	// "$$canvas-image-preview" and its like are pictures that the instance shows, not values.
	if w == nil || len(e.name) > 1 && e.name[:2] == "$$" || preview(w) || slot == nil {
		return drop
	}
	return func() {
		if !n.createInput(inner, e) {
			drop()
		}
	}
}

// drives finds the input of the instance that drives an inner widget already.
func (n *node) drives(id, name string) *input {
	if !n.sub.l.spend(len(n.inputs)) {
		return nil
	}
	for _, in := range n.inputs {
		inner, widget := n.sub.driven(in.port)
		if inner != nil && inner.id == id && widget == name {
			return in
		}
	}
	return nil
}

// source finds the widget that an entry names on an inner node, and the slot that belongs to it.
func (n *node) source(e proxyEntry) (*widget, *input) {
	if n.kind == hostNode {
		if !n.sub.l.spend(len(n.inputs) * len(n.sub.inputs)) {
			return nil, nil
		}
		for _, in := range n.inputs {
			inner, name := n.behind(in.name)
			var hit bool
			// With a third id only that very inner node will do.
			if e.tell != "" {
				hit = inner != nil && name == e.name && inner.id == e.tell
			} else {
				hit = in.name == e.name || inner != nil && name == e.name
			}
			if hit {
				if in.value == nil {
					return nil, nil
				}
				return in.value.like, in
			}
		}
		return nil, nil
	}
	w := n.widgetNamed(e.name)
	return w, n.slotOf(e.name)
}

// preview tells whether a widget only shows something.
func preview(w *widget) bool {
	return (w.unsaved || w.unsent) && contains([]string{"preview", "video", "audioUI"}, w.typ)
}

// giveNamed gives an entry's value to the instance's input of a name.
func (n *node) giveNamed(name string, e proxyEntry, lost *[]proxyEntry) {
	var found []*input
	for _, in := range n.inputs {
		if in.name == name {
			found = append(found, in)
		}
	}
	// Two inputs of one name cannot be told apart by an entry.
	if len(found) != 1 || !n.give(found[0], e.value) {
		*lost = append(*lost, e)
	}
}

// give gives a promoted input a value; nil leaves the one it has. false: the input takes none.
func (n *node) give(in *input, v *source.Value) bool {
	if in.value == nil {
		return false
	}
	if v != nil {
		in.value.value, in.value.given = v, true
		n.nullValue(in, v)
	}
	return true
}

// createInput promotes an inner widget: the definition gets an input for it.
func (n *node) createInput(inner *node, e proxyEntry) bool {
	w, slot := inner.source(e)
	if w == nil || slot == nil {
		return false
	}
	typ := slot.typ
	if typ == "" {
		typ = "*"
	}
	// The widget's own name, made unique among the definition's inputs.
	p := n.sub.addPort(e.name, typ)
	if !n.sub.connectPort(p, inner, slot) {
		n.sub.removePort(p)
		return false
	}
	if at := n.inputNamed(p.name); at >= 0 {
		n.give(n.inputs[at], e.value)
	}
	return true
}

// bypassPrimitive replaces an inner primitive node by an input of the definition, which drives all its targets.
func (n *node) bypassPrimitive(cohort []proxyEntry, lost *[]proxyEntry) {
	g := n.sub
	fail := func() { *lost = append(*lost, cohort...) }
	prim := g.node(cohort[0].node)
	// Entries that name different widgets of one node (its value and its control) cannot become one input.
	for _, e := range cohort {
		if e.name != cohort[0].name {
			fail()
			return
		}
	}
	links := slices.Clone(g.from(prim.id, 0))
	if len(links) == 0 || len(prim.outputs) == 0 || !g.primitiveFits(prim, links) {
		fail()
		return
	}
	name := cohort[0].name
	if prim.title != "" && prim.title != "PrimitiveNode" {
		// A title that the user gave says more than "value".
		name = prim.title
	}
	typ := prim.outputs[0].typ
	if typ == "" {
		typ = "*"
	}
	p := g.addPort(name, typ)
	for _, k := range links {
		g.node(k.to).disconnect(k.toSlot)
	}
	// Half connected it would be worth nothing: all links go back.
	for _, k := range links {
		if !g.connectPort(p, g.node(k.to), g.node(k.to).inputs[k.toSlot]) {
			g.removePort(p)
			for _, k := range links {
				prim.connect(k.fromSlot, g.node(k.to), k.toSlot)
			}
			fail()
			return
		}
	}
	prim.bypassed = p.name
	n.givePrimitive(p, cohort)
}

// bypassedTo is the input of the definition that took the place of a primitive node, in this conversion or, by a property, before the file was
// saved; "\x00", which no input is called, if there is none.
func (n *node) bypassedTo() string {
	if n.bypassed != "" {
		return n.bypassed
	}
	if v := n.property("proxyBypassedToSubgraphInput"); v != nil && v.Kind == source.String {
		return v.Text
	}
	return "\x00"
}

// primitiveFits tells whether all targets of a primitive node take its type.
func (g *graph) primitiveFits(prim *node, links []*link) bool {
	own := prim.outputs[0].typ
	for _, k := range links {
		_, in := g.target(k.id)
		if in == nil || in.typ != own && in.typ != "*" && in.typ != "" && own != "*" && own != "" {
			return false
		}
	}
	return true
}

// givePrimitive gives the new input the first value that the entries have.
func (n *node) givePrimitive(p *port, cohort []proxyEntry) {
	at := n.inputNamed(p.name)
	if at < 0 {
		return
	}
	for _, e := range cohort {
		if e.value != nil {
			n.give(n.inputs[at], e.value)
			return
		}
	}
}

// leftover handles entries that name nothing inside: ["-1", name] gives its value to the instance's own input; the rest does nothing.
func (n *node) leftover(lost []proxyEntry) {
	for _, e := range lost {
		at := n.inputNamed(e.name)
		if e.node == "-1" && at >= 0 {
			if e.value != nil && n.inputs[at].value != nil {
				n.give(n.inputs[at], e.value)
			}
			continue
		}
		if e.value != nil && !silentEntry(e.name) {
			n.graph.l.warn("proxy_widget_lost", diag.Of(e.src), n.id, e.name,
				"the instance shows widget %q of inner node %s, which is not there; its value is not used", e.name, e.node)
		}
	}
}

// silentEntry names entries that never carry a value of a prompt.
func silentEntry(name string) bool {
	return len(name) > 1 && name[:2] == "$$" || contains([]string{"control_after_generate", "upload", "audioUI"}, name)
}

// sharedPlaces warns where the value of an entry had also gone, by its place, to an input of another name, and stayed there.
func (n *node) sharedPlaces(entries []proxyEntry) {
	at := -1
	for _, in := range n.inputs {
		if in.value == nil {
			continue
		}
		// The at-th promoted input stands at the at-th place of widgets_values, and so does the at-th entry; that they are of different things is what
		// makes a value go astray.
		at++
		v := n.doc.values.Index(at)
		if v == nil || in.value.value != v || at >= len(entries) || entries[at].value != v {
			continue
		}
		e := entries[at]
		inner, name := n.sub.driven(in.port)
		if e.name == in.name || inner != nil && name == e.name {
			continue
		}
		n.graph.l.warn("leftover_host_value", diag.Of(v), n.id, in.name,
			"this value belongs to %q, but input %q of the instance stands at the same place and takes it too", e.name, in.name)
	}
}
