package lower

import (
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Limits of one conversion.
const (
	maxNodes  = 200_000    // nodes after subgraphs are expanded
	maxDepth  = 64         // nested subgraphs
	maxSteps  = 20_000_000 // looks at links, inputs and widgets, in passes whose cost is not bounded by the file's size alone
	maxText   = 256 << 20  // bytes of texts that are looked through or made for prompts and file names
	maxNested = 50_000     // nodes in a row whose types follow from each other
	maxNames  = 1_000      // inputs that one autogrow input may have
)

// Options are choices that the file leaves open. The zero value takes the first of each {a|b} and the present time.
type Options struct {
	// Choose picks one of n alternatives of a dynamic prompt, n ≥ 1; the result is taken modulo n. Nil picks the first.
	Choose func(n int) int
	// Now is the time for %date:…% in file name prefixes, in its own location; zero means the present.
	Now time.Time
}

func (o Options) choose(n int) int {
	if o.Choose == nil {
		return 0
	}
	return ((o.Choose(n) % n) + n) % n
}

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
}

// Lower turns a UI workflow into an API prompt: an object of id → {inputs, class_type, _meta}. Integer-like ids come first, ascending,
// then ids inside of subgraphs in the order in which the frontend meets them. Values that stand in the file keep their places there,
// others have the place of their node. Nodes of classes that the catalogue lacks have no class_type, as the frontend emits
// them. ok is false when the frontend refuses the workflow, or a limit is passed; an error among the findings then says why.
func Lower(ui *source.Value, cat *nodes.Catalogue, opt Options) (prompt *source.Value, findings []diag.Diagnostic, ok bool) {
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	l := &lowering{file: ui, cat: cat, opt: opt, classes: map[string]*class{}, byID: map[string]*node{}, linkIDs: map[int]bool{}}
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
	flatByID map[string]*flatNode
	nested   int // nodes whose types are being settled
	steps    int // spent
	text     int
	prompt   *source.Value
}

// refuse adds an error, after which no further pass runs.
func (l *lowering) refuse(d diag.Diagnostic) {
	d.Severity = diag.Error
	l.found.Add(d)
}

// spend counts steps, and refuses the workflow when there were too many; loops that may take many end then.
func (l *lowering) spend(steps int) bool {
	within := l.steps <= maxSteps
	if l.steps += steps; within && l.steps > maxSteps {
		l.refuse(diag.Errorf("expansion_too_large", diag.Of(l.file), "the conversion takes more than %d steps", maxSteps))
	}
	return l.steps <= maxSteps
}

// spendText counts bytes of texts in the same way.
func (l *lowering) spendText(bytes int) bool {
	within := l.text <= maxText
	if l.text += bytes; within && l.text > maxText {
		l.refuse(diag.Errorf("expansion_too_large", diag.Of(l.file), "the texts of the prompt take more than %d MiB", maxText>>20))
	}
	return l.text <= maxText
}

func (l *lowering) warn(code string, at diag.Place, node, input, format string, args ...any) {
	l.found.Add(diag.Warnf(code, at, format, args...).About(node, input))
}
