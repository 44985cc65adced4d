// The live graph, as the browser's memory holds it after loading. It differs from the file's documents (decode.go): slots are those of the class with
// what the file adds, ids have been given anew where they collided, and values lie in widgets. Nodes of a definition exist once, whatever the
// number of its instances; what an instance has of its own is in promoted values. Copies per instance are made in pass_flatten.

package lower

import (
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// graph is the live workflow or a live subgraph definition, which all its instances share.
type graph struct {
	l               *lowering
	doc             *graphDoc        // what the file says; made up for a definition that was a group node
	id, name        string           // as in doc
	nodes           []*node          // in the order of their making
	links           map[int]*link    // by id; ids are unique over all graphs
	ends            map[string]*ends // the links at each node, by its id, and at the sides of the definition
	inputs, outputs []*port          // of a definition
	hosts           []*node          // instances, in the order of their creation
	taken           map[string]bool  // names of inputs
}

// slotRef names a slot of a node, or of a side of the definition.
// The sides of a definition have the node ids -10 (inputs) and -20 (outputs), as in files.
type slotRef struct {
	node string
	slot int
}

// link connects an output to an input of the same graph.
type link struct {
	id       int
	from     string // node id, or inputSide
	fromSlot int
	to       string // node id, or outputSide
	toSlot   int
	typ      string
	src      *source.Value
	out      bool // it is among the links of the output that it starts at

	// These spare a look into a map for each link that is followed.
	start, end *ends // what is at its ends
}

// port is an input or an output of a definition.
type port struct {
	name, typ string // unique within the definition's inputs
	label     string
	links     []int   // ids; the first one that drives a widget gives the port its form
	first     *widget // the widget that the first connection to a new input had; others have to match it
}

// kind tells the nodes apart that the frontend treats in ways of their own.
type kind uint8

const (
	classNode     kind = iota
	hostNode           // a subgraph instance
	primitiveNode      // writes its value into the widgets that it is connected to
	rerouteNode
	noteNode
	groupedNode // a group node of an older file
	unknownNode
)

// node is a live node. Nodes inside of a definition are shared by all its instances.
type node struct {
	id, class, title string
	at               int // its place in the graph, once all are there
	kind             kind
	mode             int // as in nodeDoc
	graph            *graph
	ends             *ends         // its links in that graph
	doc              *nodeDoc      // what the file says; made up for nodes from group nodes
	src              *source.Value // where findings about it point
	def              *class        // of a classNode or groupedNode
	inputs           []*input      // in the order by which links count them
	outputs          []*output
	widgets          []*widget       // in the order by which widgets_values counts them
	restore          []*source.Value // saved values, while widgets are made from them
	restoring        bool            // new widgets take their value from restore at once

	grows    map[string]*growth // autogrow inputs by name
	matchers []*matcher         // match type templates, in the order of their first input
	checks   []int              // inputs whose match type is to be settled once the graph is loaded

	sub    *graph               // what a hostNode stands for
	values map[string]*promoted // promoted values by input name
	group  *group               // what a groupedNode stands for
	failed bool                 // its widgets cannot be made
	unique bool                 // no two of its widgets have one name
	gone   bool                 // it was removed

	passedIn, passedOut []int // the last way of a resolver that came by each slot

	bypassed string     // the definition's input that took the place of a primitiveNode
	outSpec  *inputSpec // what a primitiveNode has taken its form from
	applying bool       // it is writing its value
}

// input is an input slot.
type input struct {
	name, typ string
	label     string
	widget    string // the widget that the slot belongs to
	hasWidget bool
	spec      *inputSpec // what the class declares; nil for an input that only the file has
	doc       *slotDoc   // what the file says; nil if nothing

	port  *port     // of a hostNode: the definition's input
	value *promoted // of a hostNode: the value that the instance gives, nil if it takes none
	drop  bool      // the value goes once the graph is loaded
}

// output is an output slot.
type output struct {
	name, typ string
	src       *source.Value
}

// promoted is a value that a subgraph instance keeps for an inner widget.
type promoted struct {
	value *source.Value // nil is undefined: it is not sent
	like  *widget       // the widget whose type and options it has
	given bool          // the file gives a value
}

// virtual nodes are the editor's own: they are not sent.
func (n *node) virtual() bool {
	return n.kind == hostNode || n.kind == primitiveNode || n.kind == rerouteNode || n.kind == noteNode
}

// Modes of nodes.
const (
	modeMuted    = 2
	modeBypassed = 4
)

// A muted node gives nothing; a bypassed one lets what it gets pass, by type.
func (n *node) active() bool { return n.mode != modeMuted && n.mode != modeBypassed }

func (n *node) place() diag.Place { return diag.Of(n.src) }

// property reads a property; the S&R name defaults to the class for nodes that have none.
func (n *node) property(name string) *source.Value { return n.doc.props.Get(name) }

// replaceName is the name by which %Node.widget% finds the node; ok is false if it has none.
func (n *node) replaceName() (name string, ok bool) {
	if v := n.doc.props.Get("Node name for S&R"); v != nil {
		return v.Str(), v.Kind == source.String
	}
	return n.class, n.kind == classNode && !savesFiles(n.class)
}

// inputNamed is the index of the first input of a name, -1 if there is none. Linear: nodes have few slots.
func (n *node) inputNamed(name string) int {
	for i, in := range n.inputs {
		if in.name == name {
			return i
		}
	}
	return -1
}

// widgetNamed finds the first widget of a name, nil if there is none. Names are made unique when a node is added to a graph.
func (n *node) widgetNamed(name string) *widget {
	for _, w := range n.widgets {
		if w.name == name {
			return w
		}
	}
	return nil
}

// widgetOf finds the widget that an input slot belongs to.
func (n *node) widgetOf(in *input) *widget {
	if !in.hasWidget {
		return nil
	}
	return n.widgetNamed(in.widget)
}

// slotOf finds the input slot that belongs to a widget.
func (n *node) slotOf(name string) *input {
	for _, in := range n.inputs {
		if in.hasWidget && in.widget == name {
			return in
		}
	}
	return nil
}

// linkInto gives the link that ends at an input.
func (n *node) linkInto(slot int) *link { return n.ends.into(slot) }

// node finds a node by its id, nil if there is none.
func (g *graph) node(id string) *node {
	if e := g.ends[id]; e != nil {
		return e.node
	}
	return nil
}

// newGraph makes an empty graph.
func (l *lowering) newGraph(doc *graphDoc) *graph {
	// Two nodes more than the file has: a definition's input and output.
	nodes, links := len(doc.nodes)+2, len(doc.links)
	return &graph{l: l, doc: doc, id: doc.id, name: doc.name, links: make(map[int]*link, links), ends: make(map[string]*ends, nodes), taken: map[string]bool{}}
}

// add puts a node into the graph under its id, or a new one if that is taken anywhere in the workflow.
func (g *graph) add(n *node) {
	if n.id == "" || g.l.byID[n.id] != nil {
		n.id = g.l.mintNode()
	} else {
		g.l.observe(n.id)
	}
	n.graph, n.ends = g, g.endsOf(n.id)
	n.ends.node = n
	g.l.ambiguous = g.l.ambiguous || strings.Contains(n.id, ":")
	g.l.byID[n.id] = n
	if !n.unique {
		n.uniqueWidgets()
	}
	g.nodes = append(g.nodes, n)
	if n.kind == hostNode {
		n.sub.hosts = append(n.sub.hosts, n)
	}
	n.added()
}

// mintNode gives the next free node id.
func (l *lowering) mintNode() string {
	for {
		l.lastNode++
		if id := strconv.Itoa(l.lastNode); l.byID[id] == nil {
			return id
		}
	}
}

// observe keeps the counter above the ids in use.
func (l *lowering) observe(id string) {
	if n, err := strconv.Atoi(id); err == nil && n > l.lastNode && strconv.Itoa(n) == id {
		l.lastNode = n
	}
}

// mintLink gives the next free link id.
func (l *lowering) mintLink() int {
	for {
		l.lastLink++
		if !l.linkIDs[l.lastLink] {
			return l.lastLink
		}
	}
}
