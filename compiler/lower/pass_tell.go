package lower

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Promoted is an input of a subgraph instance that stands for widgets inside of it, as the editor shows it.
type Promoted struct {
	Instance string     // id of the instance; one within another is "57:58"
	Title    string     // of the instance
	Name     string     // of its definition
	Input    string     // name of the input
	Place    diag.Place // of the instance
	Targets  []Target   // where its value is in the prompt
}

// Target is an input of a node of the prompt.
type Target struct{ Node, Input string }

// tell lists the promoted inputs of all instances that were expanded, for those who want to set them.
func (l *lowering) tell() {
	if l.opt.Renamed != nil {
		l.tellRenamed()
	}
	if l.opt.Promoted == nil {
		return
	}
	for _, f := range l.flat {
		if f.kind != hostNode || f.inner == nil {
			continue
		}
		for _, in := range f.inputs {
			if in.value == nil || !l.spend(1) {
				continue
			}
			// An input whose value goes nowhere in the prompt cannot be set to any effect.
			if targets := l.behind(f, in, nil, 0); len(targets) > 0 {
				// Cloned: the id may point into memory that the next conversion uses.
				l.opt.Promoted(Promoted{Instance: strings.Clone(f.flatID), Title: f.title, Name: f.sub.name, Input: in.name, Place: f.place(), Targets: targets})
			}
		}
	}
}

// tellRenamed finds the nodes whose path of ids in the file is not their id in the prompt. Hosts come before what is inside of them.
func (l *lowering) tellRenamed() {
	paths := map[*flatNode]string{}
	for _, f := range l.flat {
		path := f.flatID
		if id := f.src.Get("id"); id != nil && (id.Kind == source.Number || id.Kind == source.String) {
			path = id.Text
		}
		if f.host != nil {
			path = paths[f.host] + ":" + path
		}
		// Only instances are needed again, by what is inside of them.
		if f.inner != nil {
			paths[f] = path
		}
		if path != f.flatID && l.spend(1) {
			l.opt.Renamed(path, strings.Clone(f.flatID))
		}
	}
}

// behind lists the inputs of the prompt that an input of an instance gives its value to.
func (l *lowering) behind(f *flatNode, in *input, out []Target, depth int) []Target {
	if in.port == nil || depth > maxDepth {
		return out
	}
	for _, id := range in.port.links {
		n, inner := f.sub.target(id)
		if n == nil || !l.spend(1) {
			continue
		}
		flat := l.inside(f, n)
		switch {
		case flat == nil:
		case n.kind == hostNode && flat.inner != nil:
			out = l.behind(flat, inner, out, depth+1)
		// Muted inner nodes are not in the prompt.
		case n.kind == classNode && inner.hasWidget && n.active():
			out = append(out, Target{strings.Clone(flat.flatID), inner.widget})
		}
	}
	return out
}
