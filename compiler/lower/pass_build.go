package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
)

// build makes the live graph. Definitions come before what uses them; a definition that holds itself is refused.
func (l *lowering) build() {
	nodes, links := len(l.doc.nodes), len(l.doc.links)
	for _, d := range l.defs {
		nodes, links = nodes+len(d.nodes), links+len(d.links)
	}
	// Ids are unique over all definitions by now (pass_renumber). Doubles within the workflow itself are found here, by these maps.
	l.byID, l.linkIDs = make(map[string]*node, nodes), make(map[int]bool, links)
	l.root = l.newGraph(l.doc)
	for _, d := range l.doc.links {
		l.root.load(d)
	}
	if cycle := l.findCycle(); cycle != nil {
		l.refuse(diag.Errorf("subgraph_cycle", diag.Of(cycle.src), "subgraph %q contains itself", cycle.name))
		return
	}
	l.graphs = make(map[string]*graph, len(l.defs))
	for _, d := range l.defs {
		g := l.newGraph(d)
		g.ports(d)
		l.graphs[d.id] = g
		l.built = append(l.built, g)
	}
	l.loading = true
	// Leaves first: an instance copies the inputs of its definition when it is made, and their widgets must be there by then.
	for _, d := range sortDefinitions(l.defs) {
		g := l.graphs[d.id]
		l.lastNode, l.lastLink = max(l.lastNode, d.lastNode), max(l.lastLink, d.lastLink)
		for _, k := range d.links {
			g.load(k)
		}
		g.loadNodes()
		g.promoteLate()
	}
	l.root.loadNodes()
	// What was put off until all connections are known, such as inputs that stand for no widget any more.
	l.loading = false
	for _, f := range l.later {
		f()
	}
}

// ports makes the inputs and outputs of a definition.
func (g *graph) ports(d *graphDoc) {
	g.inputs, g.outputs = newPorts(d.inputs), newPorts(d.outputs)
	for _, p := range g.inputs {
		g.taken[p.name] = true
	}
}

// newPorts copies the lists of links, since live ports change theirs.
func newPorts(docs []*portDoc) []*port {
	out := make([]*port, len(docs))
	for i, d := range docs {
		out[i] = &port{name: d.name, typ: d.typ, label: d.label, links: slices.Clone(d.links)}
	}
	return out
}

// load makes a link of the file, before there are nodes: its ends are known by their ids and get their nodes later.
func (g *graph) load(d *linkDoc) {
	k := g.l.room.links.make()
	*k = link{id: d.id, from: d.from, fromSlot: d.fromSlot, to: d.to, toSlot: d.toSlot, typ: d.typ, src: d.src}
	if !g.addLink(k) {
		g.l.warn("dropped_link", diag.Of(d.src), d.to, "", "link %d is dropped: its id or the input it leads to is taken by another link", d.id)
	}
}

// sortDefinitions orders definitions leaves first, else as in the file. If a definition holds two instances of another, it stays in the file's
// order: the frontend counts the instances, but takes off one for each definition.
func sortDefinitions(defs []*graphDoc) []*graphDoc {
	// Kahn's algorithm: missing counts the instances inside that are not ordered yet.
	byID := make(map[string]bool, len(defs))
	for _, d := range defs {
		byID[d.id] = true
	}
	users, missing := map[string][]*graphDoc{}, map[*graphDoc]int{}
	for _, d := range defs {
		used := map[string]bool{}
		for _, n := range d.nodes {
			if !byID[n.class] {
				continue
			}
			missing[d]++
			if !used[n.class] {
				used[n.class] = true
				users[n.class] = append(users[n.class], d)
			}
		}
	}
	var order []*graphDoc
	for _, d := range defs {
		if missing[d] == 0 {
			order = append(order, d)
		}
	}
	for i := 0; i < len(order); i++ {
		for _, user := range users[order[i].id] {
			if missing[user]--; missing[user] == 0 {
				order = append(order, user)
			}
		}
	}
	// Also when a definition holds one of another twice, see above.
	if len(order) != len(defs) {
		return defs
	}
	return order
}

// findCycle finds a definition that contains itself, among those that the workflow uses.
func (l *lowering) findCycle() *graphDoc {
	byID := make(map[string]*graphDoc, len(l.defs))
	for _, d := range l.defs {
		byID[d.id] = d
	}
	// Depth first; open are those on the way from the workflow down to here.
	const open, done = 1, 2
	state := map[*graphDoc]int{}
	var visit func(d *graphDoc) *graphDoc
	visit = func(d *graphDoc) *graphDoc {
		state[d] = open
		for _, n := range d.nodes {
			inner := byID[n.class]
			if inner == nil || state[inner] == done {
				continue
			}
			if state[inner] == open {
				return inner
			}
			if c := visit(inner); c != nil {
				return c
			}
		}
		state[d] = done
		return nil
	}
	return visit(l.doc)
}

// loadNodes makes the graph's nodes and gives them what the file says of them.
func (g *graph) loadNodes() {
	made := g.makeNodes()
	// In two rounds over all nodes, as the frontend does it: configuring one may connect another, which must be there.
	for _, n := range made {
		n.configure(g.l)
	}
	for _, n := range made {
		g.realign(n, n.doc.inputs)
	}
	// Last of all, as it adds inputs to definitions, and connects them.
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == hostNode && n.doc.proxied && !g.l.found.Failed() {
			n.migrateProxies()
		}
	}
}

// makeNodes makes the nodes. One whose id is taken gets a new one; links follow it if no other node has the id it had.
func (g *graph) makeNodes() []*node {
	asked := make(map[string]int, len(g.doc.nodes))
	for _, d := range g.doc.nodes {
		asked[d.id]++
	}
	made := make([]*node, len(g.doc.nodes))
	moved := map[string]string{}
	for i, d := range g.doc.nodes {
		n := g.l.newNode(d)
		made[i] = n
		g.add(n)
		if n.id != d.id {
			g.l.warn("duplicate_node_id", diag.Of(d.src), n.id, "", "node id %s is taken by another node; this one becomes %s", d.id, n.id)
			// Where two nodes of one graph had the id, nobody knows which of them a link meant; it stays with the first.
			if asked[d.id] == 1 {
				moved[d.id] = n.id
			}
		}
	}
	if len(moved) > 0 {
		g.followMoved(moved)
	}
	return made
}

// followMoved gives links the new ids of the nodes that they name.
func (g *graph) followMoved(moved map[string]string) {
	var touched []*link
	for _, d := range g.doc.links {
		if k := g.links[d.id]; k != nil && (moved[k.from] != "" || moved[k.to] != "") {
			g.displace(k)
			touched = append(touched, k)
		}
	}
	for _, k := range touched {
		if id := moved[k.from]; id != "" {
			k.from = id
		}
		if id := moved[k.to]; id != "" {
			k.to = id
		}
		g.place(k)
	}
}

// newNode makes a node of the right kind with the slots and widgets of its class.
func (l *lowering) newNode(d *nodeDoc) *node {
	n := l.room.nodes.make()
	n.id, n.class, n.title, n.mode, n.doc, n.src = d.id, d.class, d.title, d.mode, d, d.src
	if g := l.graphs[d.class]; g != nil {
		n.kind, n.sub, n.values = hostNode, g, map[string]*promoted{}
		n.mirrorPorts()
		return n.titled(g.name)
	}
	// These four exist in the editor only; the server has never heard of them.
	switch d.class {
	case "PrimitiveNode":
		n.kind, n.outputs = primitiveNode, []*output{{name: "connect to widget input", typ: "*"}}
		return n.titled("Primitive")
	case "Reroute":
		n.kind, n.inputs, n.outputs = rerouteNode, []*input{{typ: "*"}}, []*output{{typ: "*"}}
		return n.titled("Reroute")
	case "Note", "MarkdownNote":
		n.kind = noteNode
		makeArea(n, &inputSpec{name: "text", typ: "STRING"}, "customtext")
		return n.titled(map[string]string{"Note": "Note", "MarkdownNote": "Markdown Note"}[d.class])
	}
	if n.group = l.groups[d.class]; n.group != nil {
		n.kind, n.def = groupedNode, n.group.class
	} else {
		n.def = l.class(d.class)
	}
	// Past the limit it does not matter what the node is: the conversion is refused.
	if n.def == nil || !l.spend(len(n.def.declared)) {
		n.kind = unknownNode
		return n
	}
	if p := n.def.proto; p != nil {
		n.takeProto(p, l)
	} else {
		n.make()
	}
	// The frontend fails to make such a node, and keeps it as one of an unknown class.
	if n.failed {
		return &node{id: d.id, class: d.class, title: d.title, mode: d.mode, doc: d, src: d.src, kind: unknownNode}
	}
	return n.titled(n.def.title)
}

// titled gives the node a title if the file has none: the class's display name, which is then sent as _meta.title.
func (n *node) titled(fallback string) *node {
	if n.title == "" {
		n.title = fallback
	}
	return n
}

// make gives a node the slots and widgets of its class.
func (n *node) make() {
	n.addInputs(n.def.declared)
	for _, o := range n.def.outputs {
		made := o
		n.outputs = append(n.outputs, &made)
	}
	n.extendWidgets()
}

// configure gives the node what the file says of it: slots, connections, values.
func (n *node) configure(l *lowering) {
	switch n.kind {
	case classNode, groupedNode:
		n.mergeInputs()
		n.mergeOutputs()
	case hostNode:
		n.mergeHost()
	default:
		n.takeSlots()
	}
	// An instance has no widgets of its own: its values are those of promoted inputs.
	if n.kind == hostNode {
		n.promote()
		n.takePromoted()
		return
	}
	chosen := n.hasChosen()
	if n.grows != nil {
		n.growFromFile()
	}
	if chosen {
		n.realignChosen()
	}
	n.restoreValues()
	if n.kind == unknownNode {
		n.unknownWidgets()
	}
	n.placeValues(l)
}

// growFromFile tells the node of each of its connections, so that groups of inputs grow.
func (n *node) growFromFile() {
	docs := make([]*slotDoc, len(n.inputs))
	for i, in := range n.inputs {
		docs[i] = in.doc
	}
	// The bound is asked anew in each round, since inputs come while it runs.
	for i := 0; i < len(n.inputs) && n.grows != nil && n.graph != nil; i++ {
		if i < len(docs) && docs[i] != nil && docs[i].linked {
			n.connectionChanged(i, true, n.graph.links[docs[i].link])
		}
	}
}

// mergeInputs gives the inputs of the class what the file says of them, by name; inputs that the class has not are appended.
func (n *node) mergeInputs() {
	docs := n.doc.slotsByName()
	own := len(n.inputs)
	for _, in := range n.inputs {
		// Label and link are the user's; type and widget stay those of the class.
		if d := docs(in.name); d != nil {
			in.label, in.doc = d.label, d
		}
	}
	var known map[string]bool
	for _, d := range n.doc.inputs {
		if known == nil && own > fewSlots {
			known = make(map[string]bool, own)
			for _, in := range n.inputs[:own] {
				known[in.name] = true
			}
		}
		if known != nil && !known[d.name] || known == nil && !hasInput(n.inputs[:own], d.name) {
			n.inputs = append(n.inputs, d.input())
		}
	}
}

// fewSlots is the number of slots up to which looking through them is faster than a map.
const fewSlots = 24

func hasInput(list []*input, name string) bool {
	return slices.ContainsFunc(list, func(in *input) bool { return in.name == name })
}

// slotsByName gives a function that finds an input of the file by its name, the last one if there are several.
func (d *nodeDoc) slotsByName() func(string) *slotDoc {
	if len(d.inputs) <= fewSlots {
		return func(name string) *slotDoc {
			for i := len(d.inputs) - 1; i >= 0; i-- {
				if d.inputs[i].name == name {
					return d.inputs[i]
				}
			}
			return nil
		}
	}
	byName := make(map[string]*slotDoc, len(d.inputs))
	for _, s := range d.inputs {
		byName[s.name] = s
	}
	return func(name string) *slotDoc { return byName[name] }
}

// input makes a slot of what the file alone says; without a spec it cannot grow or match types.
func (d *slotDoc) input() *input {
	return &input{name: d.name, typ: d.typ, label: d.label, widget: d.widget, hasWidget: d.converted, doc: d}
}

// mergeOutputs is by place and not by name, unlike inputs: the class's names and types stay, further ones of the file are appended.
func (n *node) mergeOutputs() {
	for i, d := range n.doc.outputs {
		if i < len(n.outputs) {
			n.outputs[i].src = d.src
		} else {
			n.outputs = append(n.outputs, &output{name: d.name, typ: d.typ, src: d.src})
		}
	}
}

// takeSlots gives a node without a class of the server the file's slots.
func (n *node) takeSlots() {
	for i, d := range n.doc.inputs {
		if i < len(n.inputs) {
			n.inputs[i] = d.input()
		} else {
			n.inputs = append(n.inputs, d.input())
		}
	}
	for i, d := range n.doc.outputs {
		o := &output{name: d.name, typ: d.typ, src: d.src}
		if i < len(n.outputs) {
			n.outputs[i] = o
		} else {
			n.outputs = append(n.outputs, o)
		}
	}
}
