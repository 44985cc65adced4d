package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Options change what Build does. The zero value checks as a server does, and lints.
type Options struct {
	// Targets names the output nodes to run, as partial_execution_targets does; nil means all, an empty
	// list means none. Ids of other nodes name nothing.
	Targets []string
	// Files tells whether a file that a Load* node names exists among the inputs; the name is relative to the input folder. If nil, the files
	// are those in the lists of a literal catalogue, and any name passes with another one.
	Files func(name string) bool
	// NoLints leaves the lints out.
	NoLints bool
	// Absent gives what is known of a node that has no class or an unknown one, such as the name of its pack; it is printed as the hint. Nil, or an
	// answer of "", means that nothing is known.
	Absent func(id string) string
}

// Verdict is what a ComfyUI server would answer, and more.
type Verdict struct {
	Valid       bool     // the server would accept the prompt and run at least one output
	GoodOutputs []string // ids of the output nodes that it would run, in the prompt's order
	// Findings hold the errors by ComfyUI's own names and the lints' warnings, sorted by place. In a prompt that is valid they are all
	// warnings: the outputs that fail are left out by the server, the others run.
	Findings []diag.Diagnostic
}

// Build checks an API prompt: an object of nodes by id. It never returns a nil graph; one that is not valid has neither Order nor Outputs, and
// lacks what could not be read.
func Build(prompt *source.Value, cat *nodes.Catalogue, opt Options) (*Graph, Verdict) {
	b := &builder{prompt: prompt, cat: cat, opt: opt, g: &Graph{}}
	// Each pass relies on what those before it let through: from link on, every node has a definition; from
	// order on, every node on the way from an output was checked.
	for _, pass := range passes {
		if !pass(b) {
			break
		}
	}
	return b.g, b.verdict()
}

// passes in order; the first that says no ends the build. As on a server, an unknown class is all that is said of a prompt that has one.
var passes = []func(*builder) bool{
	(*builder).decode,  // objects → nodes and inputs; what is no node
	(*builder).replace, // old classes → their successors
	(*builder).resolve, // class names → definitions
	(*builder).link,    // [id, slot] → edges
	(*builder).order,   // outputs → the nodes they need, each checked once; cycles; execution order
	(*builder).lint,    // what a server would not say
}

// builder is the state that the passes share.
type builder struct {
	prompt *source.Value
	cat    *nodes.Catalogue // read only, shared with other builds
	opt    Options
	g      *Graph

	whole  []diag.Diagnostic                // findings about the prompt as a whole: it is not valid then
	visits []visit                          // by node
	roots  []int                            // the output nodes that were asked for
	lints  []diag.Diagnostic                // warnings; they never change the verdict
	files  *fileSet                         // known input files, made when first needed
	sought int                              // names that were compared for suggestions
	sets   map[*nodes.Input]map[string]bool // options of long lists, by input; see optionSet
}

// verdict collects the findings. A prompt with a good output is valid, so its errors are turned into warnings.
func (b *builder) verdict() Verdict {
	v := Verdict{Valid: len(b.whole) == 0 && len(b.g.Outputs) > 0, GoodOutputs: make([]string, 0, len(b.g.Outputs))}
	for _, i := range b.g.Outputs {
		v.GoodOutputs = append(v.GoodOutputs, b.g.Nodes[i].ID)
	}
	var list diag.List
	list.Add(b.whole...)
	for i := range b.visits {
		for _, d := range b.visits[i].errs {
			if v.Valid {
				d.Severity = diag.Warning
			}
			list.Add(d)
		}
	}
	list.Add(b.lints...)
	v.Findings = list.Sorted()
	return v
}
