// The file as it stands, in structs: nothing is resolved, defaulted or mended here, so that later passes can tell what the file says from what the
// frontend makes of it. Unknown members are passed over. The documents point into the tree, for places in findings.

package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Ids of the two sides of a definition, as links name them.
const (
	inputSide  = "-10"
	outputSide = "-20"
	noNode     = "-1"
)

// graphDoc is a workflow or a subgraph definition as it stands in the file.
type graphDoc struct {
	src             *source.Value
	id, name        string     // a definition's id is what its instances have as their type
	nodes           []*nodeDoc // in the file's order, which is that of the editor's loading
	links           []*linkDoc
	inputs, outputs []*portDoc // of a definition; nil for the workflow itself
	lastNode        int        // the highest ids that the editor gave out, 0 if it does not say
	lastLink        int
}

// nodeDoc is one node of the file. An empty proxyWidgets is not the same as none: it still makes the frontend migrate.
type nodeDoc struct {
	src     *source.Value
	id      string // "undefined" if there is none
	class   string // the file's "type"; of an instance, the id of its definition
	title   string // "" means that of the class
	mode    int    // 0, 1 and 3 run, 2 is muted, 4 bypassed
	inputs  []*slotDoc
	outputs []*slotDoc
	values  *source.Value // widgets_values
	props   *source.Value
	proxy   []proxyDoc // properties.proxyWidgets
	proxied bool       // the property is there
}

// slotDoc is an input or an output of a node.
type slotDoc struct {
	src       *source.Value
	name, typ string // several types are one text with commas; "" or "*" is any
	label     string // the user's own name for it, only shown
	widget    string // the name of its widget, mostly that of the slot
	converted bool   // it names a widget
	link      int    // id; of inputs only, and not trusted: the list of links decides
	linked    bool
}

// portDoc is an input or an output of a definition.
type portDoc struct {
	src       *source.Value
	name, typ string
	label     string
	links     []int // ids of the links inside that start or end at it, in the file's order
}

// linkDoc is a link, from either notation.
type linkDoc struct {
	src      *source.Value
	id       int
	from     string
	fromSlot int // counted from 0, by the slots as they were when the file was saved
	to       string
	toSlot   int
	typ      string // as saved; the slots' own types decide
}

// proxyDoc is an entry of proxyWidgets: inner node, widget, and a third id that tells equal names apart.
type proxyDoc struct {
	src              *source.Value
	node, name, tell string
}

// decode reads the file into documents. What the frontend cannot load is refused; a link without numbers is left out with a warning.
func (l *lowering) decode() {
	if l.file == nil || l.file.Kind != source.Object || l.file.Get("nodes") == nil || l.file.Get("nodes").Kind != source.Array {
		l.refuse(diag.Errorf("not_a_workflow", diag.Of(l.file), "a workflow in UI form is an object with a list \"nodes\""))
		return
	}
	l.doc = l.decodeGraph(l.file)
	l.decodeCounters()
	l.decodeDefinitions(l.file.Get("definitions").Get("subgraphs"), 0)
	l.decodeGroupNodes()
}

// decodeCounters reads the last ids that the editor gave out, after which new ones are counted.
func (l *lowering) decodeCounters() {
	if v := l.file.Get("last_node_id"); v != nil {
		// The counter may lie: files that were put together by hand often say 0. It only ever goes up (observe).
		l.doc.lastNode, _ = v.Int()
	}
	if v := l.file.Get("last_link_id"); v != nil {
		l.doc.lastLink, _ = v.Int()
	}
	l.lastNode, l.lastLink = max(l.doc.lastNode, 0), max(l.doc.lastLink, 0)
}

// decodeState reads the counters that a graph of the newer schema keeps.
func (l *lowering) decodeState(d *graphDoc) {
	if state := d.src.Get("state"); state != nil && !l.oldVersion(d.src) {
		d.lastNode, _ = state.Get("lastNodeId").Int()
		d.lastLink, _ = state.Get("lastLinkId").Int()
	}
}

// oldVersion tells whether a graph has schema version 0.4, in which links are lists.
func (l *lowering) oldVersion(v *source.Value) bool {
	f, ok := v.Get("version").Float()
	return ok && f == 0.4
}

// decodeDefinitions reads the definitions, those nested in definitions right behind their parent.
func (l *lowering) decodeDefinitions(list *source.Value, depth int) {
	if list == nil || list.Kind != source.Array || depth > maxDepth {
		return
	}
	for _, v := range list.Items {
		if v.Kind != source.Object {
			l.refuse(diag.Errorf("malformed_workflow", diag.Of(v), "a subgraph definition is an object, this is %s", v.Kind))
			continue
		}
		d := l.decodeGraph(v)
		d.inputs, d.outputs = decodePorts(v.Get("inputs")), decodePorts(v.Get("outputs"))
		l.defs = append(l.defs, d)
		l.decodeDefinitions(v.Get("definitions").Get("subgraphs"), depth+1)
	}
}

// decodeGraph reads nodes, links and counters of the workflow or a definition. A node without a text "type" is refused;
// everything else may be missing.
func (l *lowering) decodeGraph(v *source.Value) *graphDoc {
	d := &graphDoc{src: v, id: textOf(v.Get("id")), name: textOf(v.Get("name"))}
	list := items(v.Get("nodes"))
	d.nodes = make([]*nodeDoc, 0, len(list))
	for _, n := range list {
		if n.Kind != source.Object || n.Get("type") == nil || n.Get("type").Kind != source.String {
			l.refuse(diag.Errorf("malformed_workflow", diag.Of(n), "a node is an object with a text \"type\""))
			continue
		}
		d.nodes = append(d.nodes, l.decodeNode(n))
	}
	l.decodeLinks(d, v)
	l.decodeState(d)
	return d
}

// decodeLinks reads a graph's links: lists in version 0.4, objects in any other. The frontend loses links of the other notation.
func (l *lowering) decodeLinks(d *graphDoc, v *source.Value) {
	lists := l.oldVersion(v)
	lost, list := 0, items(v.Get("links"))
	d.links = make([]*linkDoc, 0, len(list))
	for _, k := range list {
		if k.Kind != source.Array && k.Kind != source.Object {
			l.refuse(diag.Errorf("malformed_workflow", diag.Of(k), "a link is a list or an object, this is %s", k.Kind))
			continue
		}
		// The frontend reads fields by name from a list, or by index from an object, and finds nothing.
		if (k.Kind == source.Array) != lists {
			lost++
			continue
		}
		if link := l.decodeLink(k); link != nil {
			d.links = append(d.links, link)
		}
	}
	if lost > 0 {
		l.found.Add(diag.Warnf("link_notation", diag.Of(v.Get("links")), "%d links are lost: with this \"version\" the frontend expects %s",
			lost, map[bool]string{true: "lists", false: "objects"}[lists]))
	}
}

// linkKeys are the members of a link, in the order in which the older notation lists them.
var linkKeys = [...]string{"id", "origin_id", "origin_slot", "target_id", "target_slot", "type"}

// decodeLink reads one link, for example [7, 4, 0, 6, 1, "CLIP"]: link 7 from output 0 of node 4 to input 1 of node 6. Ids of nodes may be numbers or
// texts; both are kept as text. nil, with a warning, if it is none.
func (l *lowering) decodeLink(v *source.Value) *linkDoc {
	var part [len(linkKeys)]*source.Value
	if v.Kind == source.Array {
		copy(part[:], v.Items)
	}
	for i := range v.Members {
		if at := slices.Index(linkKeys[:], v.Members[i].Key); at >= 0 {
			part[at] = v.Members[i].Value
		}
	}
	id, ok := intOf(part[0])
	fromSlot, okFrom := intOf(part[2])
	toSlot, okTo := intOf(part[4])
	// Not refused: the frontend loads the rest, and an input without its link takes its widget's value.
	if !ok || part[1] == nil || part[3] == nil || !okFrom || !okTo {
		l.found.Add(diag.Warnf("malformed_workflow", diag.Of(v), "this is no link: an id, an origin and a target with a slot each were expected"))
		return nil
	}
	k := l.room.linkDocs.make()
	*k = linkDoc{src: v, id: id, from: idText(part[1]), fromSlot: fromSlot, to: idText(part[3]), toSlot: toSlot, typ: typeText(part[5])}
	return k
}

// decodeNode reads a node. It goes through the members once, as there are many nodes with many members each.
func (l *lowering) decodeNode(v *source.Value) *nodeDoc {
	d := l.room.nodeDocs.make()
	// A node without an id has the key "undefined" in JavaScript, and all such nodes share it.
	d.src, d.id = v, "undefined"
	for i := range v.Members {
		m := &v.Members[i]
		switch m.Key {
		case "id":
			d.id = idText(m.Value)
		case "type":
			d.class = textOf(m.Value)
		case "title":
			d.title = textOf(m.Value)
		case "mode":
			d.mode, _ = m.Value.Int()
		case "widgets_values":
			d.values = m.Value
		case "properties":
			d.props = m.Value
		case "inputs":
			d.inputs = l.decodeSlots(m.Value)
		case "outputs":
			d.outputs = l.decodeSlots(m.Value)
		}
	}
	if p := d.props.Get("proxyWidgets"); p != nil {
		d.proxied, d.proxy = true, decodeProxies(p)
	}
	return d
}

// decodeSlots reads the inputs or outputs of a node. An item that is no object still takes its place, as links count by it.
func (l *lowering) decodeSlots(v *source.Value) []*slotDoc {
	list := items(v)
	docs, out := l.room.slotDocs.list(len(list)), l.room.slotRefs.list(len(list))
	for i, s := range list {
		docs[i].decode(s)
		out[i] = &docs[i]
	}
	return out
}

func (s *slotDoc) decode(v *source.Value) {
	s.src = v
	if v.Kind != source.Object {
		return
	}
	for i := range v.Members {
		m := &v.Members[i]
		switch m.Key {
		case "name":
			s.name = textOf(m.Value)
		case "type":
			s.typ = typeText(m.Value)
		case "label":
			s.label = textOf(m.Value)
		case "widget":
			// "widget": {"name": "seed"} marks the socket of a widget. Any object counts, also one without a name.
			s.widget, s.converted = "", truthy(m.Value)
			if s.converted {
				s.widget = textOf(m.Value.Get("name"))
			}
		case "link":
			s.link, s.linked = m.Value.Int()
		}
	}
}

// decodePorts reads the inputs or outputs of a definition. linkIds that are no integers are passed over.
func decodePorts(list *source.Value) []*portDoc {
	var out []*portDoc
	for _, v := range items(list) {
		p := &portDoc{src: v, name: textOf(v.Get("name")), typ: typeText(v.Get("type")), label: textOf(v.Get("label"))}
		for _, id := range items(v.Get("linkIds")) {
			if n, ok := id.Int(); ok {
				p.links = append(p.links, n)
			}
		}
		out = append(out, p)
	}
	return out
}

// decodeProxies reads proxyWidgets, which may be JSON in a string. One entry of a wrong form makes all of them void, as in the frontend.
func decodeProxies(v *source.Value) []proxyDoc {
	v = unquote(v)
	if v == nil || v.Kind != source.Array {
		return nil
	}
	out := make([]proxyDoc, 0, len(v.Items))
	for _, e := range v.Items {
		if e.Kind != source.Array || len(e.Items) < 2 || len(e.Items) > 3 {
			return nil
		}
		for _, part := range e.Items {
			if part.Kind != source.String {
				return nil
			}
		}
		out = append(out, proxyDoc{src: e, node: e.Items[0].Text, name: e.Items[1].Text, tell: e.Index(2).Str()})
	}
	return out
}

// unquote reads a property that was stored as JSON in a string; nil if it is none.
func unquote(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.String {
		return v
	}
	// Some versions saved properties as JSON.stringify gives them.
	inner, err := source.ParseJSON(source.NewFile("", []byte(v.Text)), source.Limits{})
	if err != nil {
		return nil
	}
	place(inner, v)
	return inner
}

// place gives a tree that was made here the place of a value of the file.
func place(v, at *source.Value) {
	v.File, v.Start, v.End = at.File, at.Start, at.End
	for _, item := range v.Items {
		place(item, at)
	}
	for i := range v.Members {
		place(v.Members[i].Value, at)
	}
}

// items are those of a list; none of anything else.
func items(v *source.Value) []*source.Value {
	if v == nil || v.Kind != source.Array {
		return nil
	}
	return v.Items
}
