package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// ungroup turns the group nodes of the workflow into subgraph instances: the inner nodes are made, take the group's values and
// connections, and move into a new definition. Whether the group was muted or bypassed is lost, as in the frontend.
func (l *lowering) ungroup() {
	if len(l.groups) == 0 {
		return
	}
	// Marked nodes stay in the list until the end, so that indexes hold while it grows.
	for at := 0; at < len(l.root.nodes) && !l.found.Failed(); at++ { // what is made comes behind, and may hold groups again
		n := l.root.nodes[at]
		if n.kind != groupedNode || n.gone {
			continue
		}
		// Told first, as the node is gone afterwards.
		if !n.active() {
			l.warn("group_mode_lost", n.place(), n.id, "", "this group node is %s, but the frontend makes a subgraph of it that runs",
				map[int]string{modeMuted: "muted", modeBypassed: "bypassed"}[n.mode])
		}
		// The inner nodes appear beside the group, are connected in its place, and only then does the group go.
		inner, ok := n.unpack()
		l.root.remove(n)
		if ok && len(inner) > 0 {
			l.root.enclose(n, inner)
		}
		// Marked nodes are still counted, so the bound is wider here; flatten holds the real one.
		if len(l.root.nodes) > 4*maxNodes {
			l.refuse(diag.Errorf("expansion_too_large", n.place(), "more than %d nodes when the group nodes are expanded", maxNodes))
		}
	}
	l.root.nodes = slices.DeleteFunc(l.root.nodes, func(n *node) bool { return n.gone })
}

// unpack makes the inner nodes of a group in the workflow, with the group's values and connections. If that fails, as far as it came stays.
func (n *node) unpack() (inner []*node, ok bool) {
	g, l := n.group, n.graph.l
	if !l.take(groupCost * (1 + len(g.nodes))) {
		return nil, false
	}
	for _, d := range g.nodes {
		// Shallow: the documents of a type are shared by all groups of it, and only the id is set anew.
		doc := *d
		made := l.newNode(&doc)
		// Before it is in the graph: the links of a group are not the workflow's, and none may be taken for them.
		made.configure(l)
		n.graph.add(made)
		inner = append(inner, made)
	}
	// Set by a match type that does not fit, at which the frontend throws and leaves the group half expanded.
	l.mismatch = false
	for _, k := range g.links {
		if k.from < 0 || k.from >= len(inner) {
			continue
		}
		// The frontend throws here, and leaves what it has made so far.
		if k.to < 0 || k.to >= len(inner) {
			l.mismatch = true
			break
		}
		inner[k.from].connect(k.fromSlot, inner[k.to], k.toSlot)
		if l.mismatch {
			break
		}
	}
	if !l.mismatch {
		n.handOver(inner)
		n.reconnect(inner)
	}
	if l.mismatch {
		l.found.Add(diag.Warnf("group_dropped", n.place(), "the frontend cannot make a subgraph of this group node: its inner nodes stay in the workflow, without its values").About(n.id, ""))
	}
	return inner, !l.mismatch
}

// handOver gives the group's widget values to the inner widgets. Each of the group's widgets serves once.
func (n *node) handOver(inner []*node) {
	used := map[*widget]bool{}
	places := make(map[string][]int, len(n.widgets))
	for i, w := range n.widgets {
		places[w.name] = append(places[w.name], i)
	}
	for i, made := range inner {
		for _, name := range n.group.order[i] {
			outer := n.group.widgets[i][name]
			// Two inner widgets may stand for one outer name; each takes the next place that is still free.
			for len(places[outer]) > 0 && used[n.widgets[places[outer][0]]] {
				places[outer] = places[outer][1:]
			}
			if len(places[outer]) == 0 {
				continue
			}
			at := places[outer][0]
			// A primitive node has its value and its control side by side in the group's widgets too.
			if made.kind == primitiveNode {
				for j, w := range made.widgets {
					if at+j < len(n.widgets) {
						used[n.widgets[at+j]] = true
						made.set(w, n.get(n.widgets[at+j]))
						if w.kind == areaWidget { // texts of several lines count as edited when they are set
							made.applyFirst(nil)
						}
					}
				}
				continue
			}
			if w := made.widgetNamed(name); w != nil {
				used[n.widgets[at]] = true
				made.set(w, n.get(n.widgets[at]))
			}
		}
	}
}

// reconnect gives the group's connections to the inner nodes.
func (n *node) reconnect(inner []*node) {
	g := n.graph
	for i, made := range inner {
		for _, name := range n.group.inputsOf[i] {
			k := n.linkInto(n.group.inputs[i][name])
			if k == nil {
				continue
			}
			if from := g.node(k.from); from != nil {
				from.connect(k.fromSlot, made, made.inputNamed(name))
			}
			if g.l.mismatch {
				return
			}
		}
	}
	// An inner output takes over each link of the group's output; the old link goes with the group.
	for slot := range n.outputs {
		for _, k := range slices.Clone(g.from(n.id, slot)) {
			if slot < len(n.group.outputs) {
				at := n.group.outputs[slot]
				inner[at.node].connect(at.slot, g.node(k.to), k.toSlot)
			}
		}
	}
}

// remove takes a node and its links out of the graph. It stays in the list of nodes, marked, until all group nodes are expanded.
func (g *graph) remove(n *node) {
	for i := range n.inputs {
		if k := n.linkInto(i); k != nil {
			g.removeLink(k)
		}
	}
	for slot := range n.outputs {
		for _, k := range slices.Clone(g.from(n.id, slot)) {
			g.removeLink(k)
		}
	}
	n.gone = true
	n.ends.node = nil
	delete(g.l.byID, n.id)
}

// border is an output that links across the border of a new definition start at.
type border struct {
	from  *node
	slot  int
	links []*link
}

// enclose moves nodes into a new definition and puts an instance of it in their place. As in the frontend the nodes are not moved, but saved
// and loaded, so that links count their inputs anew.
func (g *graph) enclose(old *node, inner []*node) {
	set := make(map[*node]bool, len(inner))
	for _, n := range inner {
		set[n] = true
	}
	// Three lists in the order of nodes and slots, by which the new definition's ports are counted.
	inside, in, out := g.split(inner, set)
	doc := &graphDoc{src: old.src, id: "group:" + old.id, name: "New Subgraph"}
	for _, n := range inner {
		// Saved and loaded twice: once more when the definition is loaded from these documents. Values that only live nodes had are lost on the way, as in
		// the frontend.
		copied := g.l.newNode(n.document())
		copied.configure(g.l)
		doc.nodes = append(doc.nodes, copied.document())
	}
	for _, k := range inside {
		doc.links = append(doc.links, &linkDoc{src: k.src, id: k.id, from: k.from, fromSlot: k.fromSlot, to: k.to, toSlot: k.toSlot, typ: k.typ})
	}
	g.borderPorts(doc, in, out)
	for _, n := range inner {
		g.remove(n)
	}
	def := g.l.load(doc)
	// A host of no file: its places are those of the group node.
	host := &node{class: doc.id, title: doc.name, kind: hostNode, sub: def, values: map[string]*promoted{}, doc: &nodeDoc{src: old.src}, src: old.src}
	host.mirrorPorts()
	g.add(host)
	// One input for all links from one output, whatever they lead to.
	for i, b := range in {
		b.from.connect(b.slot, host, i)
	}
	for i, b := range out {
		for _, k := range b.links {
			host.connect(i, g.node(k.to), k.toSlot)
		}
	}
}

// load makes a live definition after the workflow has been loaded.
func (l *lowering) load(doc *graphDoc) *graph {
	def := l.newGraph(doc)
	def.ports(doc)
	l.built = append(l.built, def)
	l.loading = true
	for _, k := range doc.links {
		def.load(k)
	}
	def.loadNodes()
	l.loading = false
	for _, n := range def.nodes {
		if n.kind == classNode || n.kind == groupedNode {
			n.dropStaleInputs()
		}
	}
	for _, n := range def.nodes {
		if n.kind == primitiveNode && len(n.widgets) == 0 && len(n.outputs) > 0 {
			n.takeForm(true)
		}
	}
	return def
}

// document is what the editor would save of a node.
func (n *node) document() *nodeDoc {
	d := &nodeDoc{src: n.src, id: n.id, class: n.class, mode: n.mode, title: n.title, props: n.doc.props}
	if n.def != nil && n.title == n.def.title {
		d.title = ""
	}
	for _, in := range n.inputs {
		d.inputs = append(d.inputs, &slotDoc{src: n.src, name: in.name, typ: in.typ, label: in.label, widget: in.widget, converted: in.hasWidget})
	}
	for _, o := range n.outputs {
		d.outputs = append(d.outputs, &slotDoc{src: source.NewObject(member("type", source.NewString(o.typ).At(n.src))).At(n.src), name: o.name, typ: o.typ})
	}
	if n.kind == noteNode || n.kind == rerouteNode || len(n.widgets) == 0 {
		return d
	}
	d.values = source.NewArray().At(n.src)
	for _, w := range n.widgets {
		if w.unsaved {
			continue
		}
		v := n.get(w)
		if v == nil {
			v = source.NewNull().At(n.src)
		}
		d.values.Items = append(d.values.Items, v)
	}
	return d
}

// split sorts the links of nodes into those between them, and those across the border, by the output that they start at.
func (g *graph) split(inner []*node, set map[*node]bool) (inside []*link, in, out []*border) {
	for _, n := range inner {
		for i := range n.inputs {
			k := n.linkInto(i)
			if k == nil {
				continue
			}
			if from := g.node(k.from); from != nil && set[from] {
				inside = append(inside, k)
			} else if from != nil && k.fromSlot >= 0 && k.fromSlot < len(from.outputs) {
				in = gather(in, from, k)
			}
		}
		for slot := range n.outputs {
			for _, k := range g.from(n.id, slot) {
				if to := g.node(k.to); to != nil && !set[to] {
					out = gather(out, n, k)
				}
			}
		}
	}
	return inside, in, out
}

// gather adds a link to the border of its output; several links from one output share one port.
func gather(list []*border, from *node, k *link) []*border {
	// A look at all borders for each link: costly only for files that were made to be so.
	from.graph.l.spend(len(list))
	for _, b := range list {
		if b.from == from && b.slot == k.fromSlot {
			b.links = append(b.links, k)
			return list
		}
	}
	return append(list, &border{from, k.fromSlot, []*link{k}})
}

// borderPorts gives a new definition an input and an output for each border, and the links inside.
func (g *graph) borderPorts(doc *graphDoc, in, out []*border) {
	taken := portNames{l: g.l, names: map[string]bool{}}
	for i, b := range in {
		// Name and type are those of the first inner input.
		first := g.node(b.links[0].to).inputs[b.links[0].toSlot]
		p := &portDoc{name: taken.unique(first.name), typ: first.typ}
		doc.inputs = append(doc.inputs, p)
		for _, k := range b.links {
			doc.links = append(doc.links, &linkDoc{src: k.src, id: k.id, from: inputSide, fromSlot: i, to: k.to, toSlot: k.toSlot, typ: k.typ})
			p.links = append(p.links, k.id)
		}
	}
	taken.names = map[string]bool{}
	for i, b := range out {
		o, k := b.from.outputs[b.slot], b.links[0]
		// One link inside is enough for an output.
		p := &portDoc{name: taken.unique(o.name), typ: o.typ, links: []int{k.id}}
		doc.outputs = append(doc.outputs, p)
		doc.links = append(doc.links, &linkDoc{src: k.src, id: k.id, from: b.from.id, fromSlot: b.slot, to: outputSide, toSlot: i, typ: k.typ})
	}
}

// portNames are the names that the inputs, or the outputs, of a new definition have.
type portNames struct {
	l     *lowering
	names map[string]bool
}

// unique makes names as the frontend does: image, image_1, image_2.
func (p portNames) unique(name string) string {
	name = uniqueName(name, func(s string) bool { return p.l.spend(1) && p.names[s] })
	p.names[name] = true
	return name
}
