// Group nodes were the editor's way to fold nodes before there were subgraphs. A file keeps each type in extra.groupNodes: inner nodes without
// ids, links by their indexes, and which inputs the user renamed or hid. Here a class is made of each type, since the group's own
// widgets_values and slots are counted by that class; pass_ungroup then takes the nodes apart.

package lower

import (
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// groupPrefix is how the class of a group node begins. Older files write "workflow/".
const groupPrefix = "workflow>"

// group is a group node type of an older file: nodes and links between them, which the workflow used as one node.
type group struct {
	name  string
	src   *source.Value
	nodes []*nodeDoc // without ids: links name them by index
	links []groupLink
	class *class // what the group looks like from outside

	from     map[slotIndex][]groupLink
	to       map[slotIndex]groupLink
	external map[slotIndex]string
	config   *source.Value // what the user renamed or hid, by index of node

	// The rest is worked out by declare.
	widgets    []map[string]string // per node: its widget → the group's widget
	order      [][]string          // per node: its widgets in the order of the map
	inputs     []map[string]int    // per node: its input → the group's slot
	inputsOf   [][]string
	outputs    []slotIndex        // the group's outputs
	prims      map[int]*inputSpec // the group's inputs for its primitive nodes
	slots      int                // sockets that are shown so far
	seenIn     map[string]int     // names of inputs, and how often each was asked for
	seenOut    map[string]bool    // names of outputs
	postponed  []func()           // converted widgets, which come last
	declaredAt map[string]int     // the class's inputs by name
}

// groupLink is a link between nodes of a group; from is -1 if it starts outside.
type groupLink struct {
	from, fromSlot, to, toSlot int
	typ                        string
}

// slotIndex is a slot of the i-th node of a group.
type slotIndex struct{ node, slot int }

// decodeGroupNodes reads extra.groupNodes and renames the older notation of their classes.
func (l *lowering) decodeGroupNodes() {
	list := l.file.Get("extra").Get("groupNodes")
	if list == nil || list.Kind != source.Object {
		return
	}
	for _, n := range l.doc.nodes {
		// Only where the file has groups at all: else the name may be a pack's.
		if rest, ok := strings.CutPrefix(n.class, "workflow/"); ok {
			n.class = groupPrefix + rest
		}
	}
	l.groups = map[string]*group{}
	for _, m := range list.Members {
		if m.Value.Kind != source.Object {
			continue
		}
		g := &group{name: m.Key, src: m.Value, config: m.Value.Get("config"), from: map[slotIndex][]groupLink{}, to: map[slotIndex]groupLink{},
			external: map[slotIndex]string{}, prims: map[int]*inputSpec{}, seenIn: map[string]int{}, seenOut: map[string]bool{}}
		for _, v := range items(m.Value.Get("nodes")) {
			d := l.decodeNode(v)
			d.id = ""
			g.nodes = append(g.nodes, d)
		}
		g.decodeLinks()
		l.groups[groupPrefix+m.Key] = g
	}
}

// decodeLinks reads links between inner nodes, [from, fromSlot, to, toSlot, id, type] with indexes of nodes; a null origin is outside. `external` is
// [node, slot, type] for outputs that are used outside although they are used inside too.
func (g *group) decodeLinks() {
	for _, v := range items(g.src.Get("links")) {
		k := groupLink{from: intOr(v.Index(0), -1), fromSlot: intOr(v.Index(1), -1), to: intOr(v.Index(2), -1), toSlot: intOr(v.Index(3), -1), typ: typeText(v.Index(5))}
		g.links = append(g.links, k)
		if k.from < 0 {
			continue
		}
		at := slotIndex{k.from, k.fromSlot}
		g.from[at] = append(g.from[at], k)
		g.to[slotIndex{k.to, k.toSlot}] = k
	}
	for _, v := range items(g.src.Get("external")) {
		if t := typeText(v.Index(2)); t != "" {
			g.external[slotIndex{intOr(v.Index(0), -1), intOr(v.Index(1), -1)}] = t
		}
	}
}

// declareGroups makes a class of each group type, unless a class inside of it is not known.
func (l *lowering) declareGroups() {
	if len(l.groups) == 0 {
		return
	}
	l.defIDs = make(map[string]bool, len(l.defs))
	for _, d := range l.defs {
		l.defIDs[d.id] = true
	}
	for _, m := range l.groupNames() {
		g := l.groups[m]
		for _, d := range g.nodes {
			// Groups are gone through in the file's order, so a group inside of a group counts only if it was declared before.
			if !l.registered(d.class) {
				l.found.Add(diag.Warnf("unknown_group", diag.Of(d.src), "group %q holds a node of class %q, which is not known; the group stays as it is", g.name, d.class))
				delete(l.groups, m)
				break
			}
		}
		if l.groups[m] != nil {
			g.declare(l)
		}
	}
}

// groupNames lists the group classes in the file's order.
func (l *lowering) groupNames() []string {
	var out []string
	for _, m := range members(l.file.Get("extra").Get("groupNodes")) {
		if l.groups[groupPrefix+m.Key] != nil {
			out = append(out, groupPrefix+m.Key)
		}
	}
	return out
}

func members(v *source.Value) []source.Member {
	if v == nil {
		return nil
	}
	return v.Members
}

// registered tells whether the frontend can make nodes of a class at this point of its loading.
func (l *lowering) registered(class string) bool {
	switch class {
	case "PrimitiveNode", "Reroute", "Note", "MarkdownNote":
		return true
	}
	return l.defIDs[class] || l.class(class) != nil || l.groups[class] != nil && l.groups[class].class != nil
}

// declare collects the inputs and outputs that the nodes of the group leave open.
func (g *group) declare(l *lowering) {
	g.class, g.declaredAt = &class{name: groupPrefix + g.name, title: g.name}, map[string]int{}
	g.widgets, g.order = make([]map[string]string, len(g.nodes)), make([][]string, len(g.nodes))
	g.inputs, g.inputsOf = make([]map[string]int, len(g.nodes)), make([][]string, len(g.nodes))
	for i, d := range g.nodes {
		if def := g.definition(l, i, d); def != nil {
			g.declareInputs(i, d, def)
			g.declareOutputs(i, d, def)
		}
	}
	for _, run := range g.postponed {
		run()
	}
	extend(g.class)
}

// definition is the class of an inner node; for primitive nodes and reroutes, which have none, what is connected to them gives one. Nil:
// the node shows nothing outside.
func (g *group) definition(l *lowering, i int, d *nodeDoc) *class {
	switch d.class {
	case "PrimitiveNode":
		// A primitive node has the type of the first thing that it feeds within the group.
		links := g.from[slotIndex{i, 0}]
		if len(links) == 0 {
			return nil
		}
		typ := links[0].typ
		return &class{declared: []*inputSpec{{name: "value", typ: typ, widget: typ, make: maker(typ)}}, outputs: []output{{typ: typ}}, matches: []string{""}}
	case "Reroute":
		return g.reroute(i)
	}
	return l.class(d.class)
}

// reroute works out the type of an inner reroute: that of what it feeds, else of what feeds it, else of what the links or `external` say.
func (g *group) reroute(i int) *class {
	to, linked := g.to[slotIndex{i, 0}]
	from := g.from[slotIndex{i, 0}]
	if linked && len(from) > 0 && g.external[slotIndex{i, 0}] == "" {
		return nil // used inside of the group only
	}
	typ := "*"
	for _, k := range from {
		if in := g.slot(k.to, k.toSlot); in != nil && in.typ != "" && typ == "*" {
			typ = in.typ
		}
	}
	if len(from) == 0 && linked && to.from < len(g.nodes) && to.fromSlot >= 0 && to.fromSlot < len(g.nodes[to.from].outputs) {
		typ = g.nodes[to.from].outputs[to.fromSlot].typ
	}
	if typ == "*" && len(from) == 0 && !linked {
		typ = g.pipeType(i)
	}
	spec := &inputSpec{name: typ, typ: typ, widget: typ, forced: true}
	return &class{declared: []*inputSpec{spec}, outputs: []output{{typ: typ}}, matches: []string{""}}
}

// pipeType is the type of a reroute that is connected outside only.
func (g *group) pipeType(i int) string {
	for _, k := range g.links {
		if k.to == i && k.typ != "" {
			return k.typ
		}
	}
	if t := g.external[slotIndex{i, 0}]; t != "" {
		return t
	}
	return "*"
}

func (g *group) slot(node, slot int) *slotDoc {
	if node < 0 || node >= len(g.nodes) || slot < 0 || slot >= len(g.nodes[node].inputs) {
		return nil
	}
	return g.nodes[node].inputs[slot]
}

// declareInputs adds an inner node's open inputs: widgets at once, sockets behind them, and widgets that are sockets in the file last of all.
func (g *group) declareInputs(i int, d *nodeDoc, def *class) {
	g.widgets[i], g.inputs[i] = map[string]string{}, map[string]int{}
	type place struct {
		slot int
		spec *inputSpec
	}
	var converted []place
	var sockets []*inputSpec
	for _, s := range def.declared {
		if maker(s.typ) == nil || s.forced {
			sockets = append(sockets, s)
			continue
		}
		if at := d.convertedSlot(s.name); at >= 0 {
			converted = append(converted, place{at, s})
			continue
		}
		outer := g.outer(i, d, s)
		g.add(outer)
		g.mapWidget(i, s.name, outer.name)
		if d.class == "PrimitiveNode" {
			g.prims[i] = outer
		}
	}
	// A socket that is fed inside of the group is not shown outside.
	for k, s := range sockets {
		at := d.inputSlot(s.name)
		if at < 0 {
			at = k
		}
		if link, inside := g.to[slotIndex{i, at}]; inside {
			g.formPrimitive(link, s)
		} else {
			g.addSlot(i, s.name, g.outer(i, d, s), g.shown(i, s.name))
		}
	}
	// Converted widgets come behind all nodes' other inputs, per node by the slots that they have in the file.
	g.postponed = append(g.postponed, func() {
		for len(converted) > 0 {
			first := 0
			for k := range converted {
				if converted[k].slot < converted[first].slot {
					first = k
				}
			}
			c := converted[first]
			converted = append(converted[:first], converted[first+1:]...)
			if link, inside := g.to[slotIndex{i, c.slot}]; inside {
				g.formPrimitive(link, c.spec)
				continue
			}
			outer := g.outer(i, d, c.spec)
			g.addSlot(i, c.spec.name, outer, true)
			g.mapWidget(i, c.spec.name, outer.name)
		}
	})
}

// formPrimitive gives the group's input for a primitive node the options of what the node is connected to, and a control beside it.
func (g *group) formPrimitive(k groupLink, target *inputSpec) {
	spec := g.prims[k.from]
	if spec == nil {
		return
	}
	opts := withOption(target.opts, "control_after_generate", source.NewBool(true))
	spec.opts = withOption(opts, "control_prefix", source.NewString(strings.TrimSuffix(spec.name, " value")))
	spec.options = target.options
}

// mapWidget notes which of the group's widgets an inner one is. The order is kept, as values are handed over in it.
func (g *group) mapWidget(i int, inner, outer string) {
	if _, ok := g.widgets[i][inner]; !ok {
		g.order[i] = append(g.order[i], inner)
	}
	g.widgets[i][inner] = outer
}

// addSlot declares a socket, and counts it: slots of a group are numbered by what is shown, hidden ones have no number.
func (g *group) addSlot(i int, inner string, outer *inputSpec, shown bool) {
	if !shown {
		return
	}
	g.add(outer)
	g.inputs[i][inner] = g.slots
	g.inputsOf[i] = append(g.inputsOf[i], inner)
	g.slots++
}

// add declares an input of the group; the same name again replaces it.
func (g *group) add(s *inputSpec) {
	g.class.forced = g.class.forced || s.forced
	if i, ok := g.declaredAt[s.name]; ok {
		g.class.declared[i] = s
		return
	}
	g.declaredAt[s.name] = len(g.class.declared)
	g.class.declared = append(g.class.declared, s)
}

// outer is an inner input under the name that it has outside: that of the configuration, the label, or its own; with the node's title before
// it if that is taken.
func (g *group) outer(i int, d *nodeDoc, s *inputSpec) *inputSpec {
	name := s.name
	if at := d.inputSlot(s.name); at >= 0 && d.inputs[at].label != "" {
		name = d.inputs[at].label
	}
	if custom := g.configured(i, "input", s.name).Get("name"); custom != nil {
		name = textOf(custom)
	}
	key, prefix := name, ""
	if _, taken := g.seenIn[name]; taken || d.class == "PrimitiveNode" && d.title != "" {
		prefix = d.title + " "
		if d.src.Get("title") == nil {
			prefix = d.class + " "
		}
		// The seeds of three nodes of one title become "seed", "Title seed" and "Title 2 seed".
		key = prefix + s.name
		name = key
		if count, taken := g.seenIn[name]; taken {
			name = prefix + strconv.Itoa(count) + " " + s.name
		}
	}
	if g.seenIn[key] == 0 {
		g.seenIn[key] = 1
	}
	g.seenIn[key]++
	made := s.named(name, false)
	// Seeds have a control beside them, which takes a place in the group's widgets_values.
	if s.name == "seed" || s.name == "noise_seed" {
		made.opts = withOption(s.opts, "control_after_generate", source.NewString(prefix+"control_after_generate"))
	}
	return made
}

// withOption is a copy of options with one of them set, at the end. The original belongs to the catalogue.
func withOption(opts *source.Value, key string, v *source.Value) *source.Value {
	out := source.NewObject()
	for _, m := range members(opts) {
		if m.Key != key {
			out.Members = append(out.Members, m)
		}
	}
	out.Members = append(out.Members, source.Member{Key: key, Value: v})
	return out
}

// configured reads extra.groupNodes.*.config: what the user named or hid.
func (g *group) configured(i int, side, name string) *source.Value {
	return g.config.Get(strconv.Itoa(i)).Get(side).Get(name)
}

// shown is true unless the user hid the input in the group's settings.
func (g *group) shown(i int, name string) bool {
	v := g.configured(i, "input", name).Get("visible")
	return v == nil || v.Kind != source.Bool || v.Bool
}

// declareOutputs adds an inner node's outputs, but those that are used inside of the group only.
func (g *group) declareOutputs(i int, d *nodeDoc, def *class) {
	for slot, o := range def.outputs {
		at := slotIndex{i, slot}
		custom := g.configured(i, "output", strconv.Itoa(slot))
		// `external` lists outputs that are used both inside and outside.
		visible := len(g.from[at]) == 0 || g.external[at] != ""
		if v := custom.Get("visible"); !isNull(v) {
			visible = truthy(v)
		}
		if !visible {
			continue
		}
		g.outputs = append(g.outputs, at)
		name := o.name
		if v := custom.Get("name"); truthy(v) {
			name = textOf(v)
		}
		if g.seenOut[name] {
			name = d.title + " " + name
		}
		g.seenOut[name] = true
		typ := o.typ
		if typ == nodes.TypeMatch {
			typ = "*"
		}
		g.class.outputs = append(g.class.outputs, output{name: name, typ: typ})
		g.class.matches = append(g.class.matches, "")
	}
}

// inputSlot is the index of an input of the file, -1 if it has none of that name.
func (d *nodeDoc) inputSlot(name string) int {
	for i, in := range d.inputs {
		if in.name == name {
			return i
		}
	}
	return -1
}

// convertedSlot is the index of an input of the file that stands for a widget of its own name.
func (d *nodeDoc) convertedSlot(name string) int {
	for i, in := range d.inputs {
		if in.name == name && in.converted && in.widget == name {
			return i
		}
	}
	return -1
}
