package script

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/diag"
)

// What a child says is looked at here before anything else uses it. A script that took the child over writes whatever it
// likes: numbers of files and nodes that do not exist, links to nodes that come later, lists without end. Such an answer is
// one finding, and the end of that child. What is left to the code that reads an answer: texts of any content, classes,
// inputs and outputs that do not exist, and definitions that make no sense, all of which a script in its right mind can write too.

// wrong says what of an answer to load cannot be; "" if all of it can. files is how many were sent.
func (r *loadReply) wrong(files int) string {
	// Each file stops at its first trouble. A child that gives up has one, whatever there is to load.
	if len(r.Trouble) > max(files, 1) {
		return fmt.Sprintf("trouble with %d files of %d", len(r.Trouble), files)
	}
	count := make([]int, files)
	for i := range r.Declared {
		file := r.Declared[i].At.File
		if file < 0 || file >= files {
			return fmt.Sprintf("a template in file %d of %d", file, files)
		}
		if count[file]++; count[file] > maxTemplates {
			return fmt.Sprintf("more than %d templates in one file", maxTemplates)
		}
	}
	return ""
}

// wrong says what of an answer to expand cannot be. files is how many were sent to load, links how many links the request gave.
func (r *expandReply) wrong(files, links int) string {
	if r.Trouble != nil {
		return "" // nothing else counts then, and finding takes any trouble
	}
	values := len(r.Outputs)
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.At.File < 0 || n.At.File >= files {
			return fmt.Sprintf("node %d in file %d of %d", i+1, n.At.File, files)
		}
		if len(n.Class) > maxName || len(n.Title) > maxTitle || len(n.Inputs) > maxInputs {
			return fmt.Sprintf("node %d has a class of %d bytes, a title of %d, and %d inputs", i+1, len(n.Class), len(n.Title), len(n.Inputs))
		}
		values += len(n.Inputs)
		// A node takes what was made before it. Links to itself and to later ones could lead round in a circle.
		if why := wrongValues(n.Inputs, i, links); why != "" {
			return fmt.Sprintf("node %d has %s", i+1, why)
		}
	}
	switch {
	case values > maxValues:
		return fmt.Sprintf("%d values", values)
	case len(r.Outputs) > maxPorts || r.Single && len(r.Outputs) != 1:
		return fmt.Sprintf("%d outputs (single is %v)", len(r.Outputs), r.Single)
	}
	if why := wrongValues(r.Outputs, len(r.Nodes), links); why != "" {
		return "an output with " + why
	}
	return ""
}

// wrongValues says what is wrong with the values of a node, or with what expand returned; nodes is how many there were by then.
func wrongValues(list []named, nodes, links int) string {
	for i := range list {
		w := &list[i].wire
		kinds := 0
		for _, is := range [...]bool{w.Lit != nil, w.Node != 0, w.Link != 0} {
			if is {
				kinds++
			}
		}
		switch {
		case kinds != 1:
			return fmt.Sprintf("a value that is %d things", kinds)
		case w.Node < 0 || w.Node > nodes:
			return fmt.Sprintf("a link to node %d, when there are %d", w.Node, nodes)
		case w.Link < 0 || w.Link > links:
			return fmt.Sprintf("link %d of %d", w.Link, links)
		case w.Slot < whole || w.Slot > maxPorts || w.Slot != 0 && w.Node == 0:
			return fmt.Sprintf("output %d", w.Slot)
		}
	}
	return ""
}

// size is about how many bytes an expansion keeps of an answer: its texts and literals, and 64 for each node and value.
func (r *expandReply) size() int {
	n := 0
	add := func(list []named) {
		for i := range list {
			n += 64 + len(list[i].Name) + len(list[i].Lit)
		}
	}
	for i := range r.Nodes {
		n += 64 + len(r.Nodes[i].Class) + len(r.Nodes[i].Title)
		add(r.Nodes[i].Inputs)
	}
	add(r.Outputs)
	return n
}

// unbelievable is the trouble with an answer that cannot be.
func unbelievable(why string) *trouble {
	return &trouble{Code: "script_failed", Message: "the process that runs scripts gave an answer that cannot be: " + why}
}

// known turns a code that a child gave into one that `comfyc explain` knows.
func (t *trouble) known() string {
	if _, ok := diag.Explain(t.Code); !ok {
		return "script_failed"
	}
	return t.Code
}
