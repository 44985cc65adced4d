package lower

import (
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// The bounds are far above what people draw (the largest official templates have some hundreds of nodes) and far below what would hurt a service:
// a file of some kilobytes may ask for millions of nodes, as each level of subgraphs multiplies those inside.
// Limits of one conversion.
const (
	maxNodes  = 200_000    // nodes after subgraphs are expanded
	maxDepth  = 64         // nested subgraphs
	maxSteps  = 20_000_000 // looks at links, inputs and widgets, in passes whose cost is not bounded by the file's size alone
	maxMemory = 48 << 20   // bytes that a conversion may take, and so many more for each byte of the file
	perByte   = 64
	maxNested = 50_000 // nodes in a row whose types follow from each other
	maxNames  = 1_000  // inputs that one autogrow input may have
)

// Options are choices that the file leaves open. The zero value takes the first of each {a|b} and the present time.
type Options struct {
	// Choose picks one of n alternatives of a dynamic prompt, n ≥ 1; the result is taken modulo n. Nil picks the first.
	// The file leaves {a|b} open on purpose: the editor picks anew each time it queues. Whoever wants the same prompt twice seeds Choose.
	Choose func(n int) int
	// Now is the time for %date:…% in file name prefixes, in its own location; zero means the present.
	Now time.Time
	// Promoted, if it is set, is told every promoted input of the instances that were expanded; Renamed every node inside of them whose id
	// in the prompt is not its path in the file, since ids were given anew.
	Promoted func(Promoted)
	Renamed  func(path, id string)
}

// choose keeps whatever the caller gives within 0 to n-1, negative numbers too.
func (o Options) choose(n int) int {
	if o.Choose == nil {
		return 0
	}
	return ((o.Choose(n) % n) + n) % n
}

// The order is the frontend's: what its loading does comes first (decode to types), then what it does when a prompt is asked for (apply to emit).
// Several passes depend on leftovers of earlier ones, which is why they cannot be swapped.
// passes run in this order; a pass after which the conversion is refused is the last one.
var passes = []struct {
	name string
	run  func(*lowering)
}{
	{"decode", (*lowering).decode},         // the file's nodes, links and definitions, as far as they have the right form
	{"groups", (*lowering).declareGroups},  // group node types of older files become classes
	{"renumber", (*lowering).renumber},     // double links fall away; ids that a definition shares with others become new ones
	{"build", (*lowering).build},           // the live graph, leaf definitions first: nodes, widgets, values; promoted values (pass_promote, pass_proxy)
	{"stale", (*lowering).dropStale},       // inputs that were made for a widget which no longer exists go
	{"primitives", (*lowering).primitives}, // primitive nodes get the widget of what they are connected to
	{"mend", (*lowering).mend},             // values that the frontend mends on load
	{"ungroup", (*lowering).ungroup},       // group nodes become subgraphs
	{"types", (*lowering).settleTypes},     // match types and reroutes take the type of what is connected, or lose the connection
	{"apply", (*lowering).applyPrimitives}, // primitive nodes write their value into their targets
	{"flatten", (*lowering).flatten},       // subgraph instances become their inner nodes
	{"emit", (*lowering).emit},             // values and resolved links of each node that runs (pass_bypass)
	{"tell", (*lowering).tell},             // which inputs of the prompt the promoted inputs of instances are, and which nodes have new ids
}

// Lower turns a UI workflow into an API prompt: an object of id → {inputs, class_type, _meta}. Integer-like ids come first, ascending,
// then ids inside of subgraphs in the order in which the frontend meets them. Values that stand in the file keep their places there,
// others have the place of their node. Nodes of classes that the catalogue lacks have no class_type, as the frontend emits
// them. ok is false when the frontend refuses the workflow, or a limit is passed; an error among the findings then says why.
func Lower(ui *source.Value, cat *nodes.Catalogue, opt Options) (prompt *source.Value, findings []diag.Diagnostic, ok bool) {
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	l := &lowering{file: ui, cat: cat, opt: opt, classes: map[string]*class{},
		room: rooms.Get().(*room)}
	defer l.room.release()
	// A large file may take more, as it cost its sender as much.
	l.allowed = maxMemory
	if ui != nil && ui.File != nil {
		l.allowed += perByte * (ui.End - ui.Start)
	}
	for _, p := range passes {
		p.run(l)
		if l.found.Failed() {
			return nil, l.found.Sorted(), false
		}
	}
	return l.prompt, l.found.Sorted(), true
}

// lowering is the state of one conversion.
type lowering struct {
	file  *source.Value
	cat   *nodes.Catalogue
	opt   Options
	found diag.List

	doc      *graphDoc
	defs     []*graphDoc       // subgraph definitions, in the file's order
	defIDs   map[string]bool   // ids of defs, if there are groups
	groups   map[string]*group // group node types, by class name
	classes  map[string]*class // by name; nil for a class that the catalogue lacks
	root     *graph            // the live graph
	graphs   map[string]*graph // definitions by id
	built    []*graph          // definitions in the file's order, then those made from group nodes
	byID     map[string]*node  // all nodes of all graphs
	linkIDs  map[int]bool      // links of all graphs
	lastNode int               // the highest node id so far
	lastLink int
	names    map[*graph]*names
	mismatch bool     // a connection broke a match type, which ends what the frontend is doing
	loading  bool     // graphs are being built: connections change nothing but autogrow inputs
	later    []func() // what happens once a graph is loaded
	flat     []*flatNode
	flatRoot []*flatNode          // of the workflow itself, by their places in it
	flatByID map[string]*flatNode // if ids are ambiguous

	ambiguous bool // a node's id holds a colon, so that two may have one id when subgraphs are expanded
	nested    int  // nodes whose types are being settled
	ways      int  // resolvers so far
	room      *room
	made      made
	steps     int // spent
	memory    int // taken
	allowed   int // of memory
	prompt    *source.Value
}

// refuse adds an error, after which no further pass runs.
func (l *lowering) refuse(d diag.Diagnostic) {
	d.Severity = diag.Error
	l.found.Add(d)
}

// spend counts steps, and refuses the workflow when there were too many; loops that may take many end then.
// within is asked before adding, so that there is one finding however many loops run into the bound.
func (l *lowering) spend(steps int) bool {
	within := l.steps <= maxSteps
	if l.steps += steps; within && l.steps > maxSteps {
		l.refuse(diag.Errorf("expansion_too_large", diag.Of(l.file), "the conversion takes more than %d steps", maxSteps))
	}
	return l.steps <= maxSteps
}

// take counts memory, by estimates that are on the high side, and refuses the workflow when a small file would take much of it: subgraphs in
// subgraphs, and texts in them, double with each level.
func (l *lowering) take(bytes int) bool {
	within := l.memory <= l.allowed
	if l.memory += bytes; within && l.memory > l.allowed {
		l.refuse(diag.Errorf("expansion_too_large", diag.Of(l.file), "the expanded workflow takes more than %d MiB of memory", l.allowed>>20))
	}
	return l.memory <= l.allowed
}

// Estimates for take, in bytes.
const (
	textCost  = 8        // per byte of a text that is changed: each step of it makes another text
	slotCost  = 250      // per slot of a subgraph instance
	nodeCost  = 700      // per node of the prompt
	fieldCost = 120      // per input or widget of it
	groupCost = 16 << 10 // per node inside of a group node, which becomes a definition
)

// spendText counts bytes of texts that are changed.
func (l *lowering) spendText(bytes int) bool { return l.take(textCost * bytes) }

// warn adds a warning about a node and, if input is not "", one of its inputs.
func (l *lowering) warn(code string, at diag.Place, node, input, format string, args ...any) {
	l.found.Add(diag.Warnf(code, at, format, args...).About(node, input))
}
