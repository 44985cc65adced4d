// Addresses: the short names by which a batch speaks of the inputs of a workflow. What is tried first is
// what is told apart best (ids), then paths inside of subgraphs, then classes and titles. An address
// never guesses: where it could mean two inputs, it is an error that lists both.

package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
)

// target is what an address names: an input of a node.
type target struct {
	node  int // as the node gives it, without "inputs."
	input string
}

// address writes a target as "id.input".
func (t target) address(g *graph.Graph) string { return g.Nodes[t.node].ID + "." + t.input }

// addressError says why an address names nothing: the message, a hint, and the candidates there are, with
// their places. It has no place of its own, as addresses also stand in file name patterns and on the
// command line.
type addressError struct {
	message    string
	hint       string
	candidates []diag.Note
}

// finding places an error at the text of the address.
func (e *addressError) finding(at diag.Place) diag.Diagnostic {
	d := diag.Errorf("unknown_address", at, "%s", e.message).Hinted(e.hint)
	d.Notes = e.candidates
	return d
}

// maxCandidates bounds the candidates that one finding lists.
const maxCandidates = 8

// split is one way to read an address: the node part and the input part. An empty node part is a bare
// input name, an empty input part a whole node.
type split struct {
	node, input string
	title       bool // the node part is a title
}

// splits lists the ways to read an address, the longest node part first; the last one has no node part.
// Quotes keep dots together, @ begins a title. Classes and inputs may hold dots: "a.b.c" is read as c of
// a.b, then as b.c of a, then as the input a.b.c. False means that a quote is not closed or that there is
// nothing to read.
func splits(text string) ([]split, bool) {
	title := strings.HasPrefix(text, "@")
	rest := strings.TrimPrefix(text, "@")
	if strings.HasPrefix(rest, `"`) {
		end := strings.Index(rest[1:], `"`)
		if end < 0 {
			return nil, false
		}
		node, after := rest[1:end+1], rest[end+2:]
		if after == "" {
			return []split{{node: node, title: title}}, true
		}
		return []split{{node, unquote(strings.TrimPrefix(after, ".")), title}}, after[0] == '.' && len(after) > 1
	}
	var out []split
	for i := len(rest) - 1; i > 0; i-- {
		if rest[i] == '.' && i+1 < len(rest) {
			out = append(out, split{rest[:i], unquote(rest[i+1:]), title})
		}
	}
	if !title {
		out = append(out, split{input: text})
	}
	return out, text != "" && len(out) > 0
}

// unquote takes the quotes off an input's name that was written in quotes to keep its dots together.
func unquote(text string) string {
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

// resolveAddress finds the input that an address names: "6.text", "6.inputs.text", "KSampler.seed",
// "@Title.text", `"Title".text`, "57/27.text", or the bare name of an input that only one node has. The
// first way of reading that names a node decides, also if the input is not there: 6.txt is a slip in node
// 6, not a search for something else.
func resolveAddress(g *graph.Graph, text string) (target, *addressError) {
	ways, ok := splits(text)
	if !ok {
		return target{}, &addressError{message: fmt.Sprintf("%q is not an address: a quote or an input's name is missing", text), hint: "addresses look like 6.text, KSampler.seed, @Title.text or cfg"}
	}
	for _, way := range ways {
		if way.node == "" {
			return bareInput(g, text)
		}
		found := matching(g, way)
		if len(found) == 0 {
			continue
		}
		if way.input == "" {
			return target{}, &addressError{message: fmt.Sprintf("%q names a node, but no input of it", text), candidates: inputNotes(g, found[0])}
		}
		return inputOf(g, text, way.input, found)
	}
	return target{}, &addressError{message: fmt.Sprintf("no node is called %q", ways[len(ways)-1].node),
		hint: diag.Suggest(ways[len(ways)-1].node, nodeNames(g)), candidates: nodeNotes(g, everyNode(g))}
}

// resolveNode finds the one node that a text names as a whole: an id, a path, a class or a title; false
// for none or several.
func resolveNode(g *graph.Graph, text string) (int, bool) {
	name := split{node: unquote(strings.TrimPrefix(text, "@")), title: strings.HasPrefix(text, "@")}
	found := matching(g, name)
	if len(found) != 1 {
		return 0, false
	}
	return found[0], true
}

// matching lists the nodes that a node part names: the one with that id or path, else all with that class
// or title. A path is written with slashes or colons; the ids of a flattened prompt have colons.
func matching(g *graph.Graph, way split) []int {
	if !way.title {
		if i := g.Find(way.node); i >= 0 {
			return []int{i}
		}
		if i := g.Find(strings.ReplaceAll(way.node, "/", ":")); i >= 0 {
			return []int{i}
		}
	}
	var out []int
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if titleOf(n) == way.node || !way.title && n.Class == way.node {
			out = append(out, i)
		}
	}
	return out
}

// titleOf is the node's own title, else its class's display name.
func titleOf(n *graph.Node) string {
	if n.Title == "" && n.Def != nil {
		return n.Def.Title()
	}
	return n.Title
}

// has tells whether a node has an input: it is given, or its class declares it. Optional inputs that the
// workflow leaves out can be set, too.
func has(n *graph.Node, input string) bool {
	return n.Input(input) >= 0 || n.Def != nil && n.Def.Input(input) != nil
}

// inputOf picks the node among those found that has the input; with "inputs." before the name, as people
// copy it from the API form, too.
func inputOf(g *graph.Graph, text, input string, found []int) (target, *addressError) {
	var fit []int
	for _, name := range []string{input, strings.TrimPrefix(input, "inputs.")} {
		for _, i := range found {
			if has(&g.Nodes[i], name) {
				fit = append(fit, i)
			}
		}
		if len(fit) == 1 {
			return target{fit[0], name}, nil
		}
		if len(fit) > 1 {
			return target{}, &addressError{message: fmt.Sprintf("%q fits %d nodes", text, len(fit)), hint: "use the id of the one that is meant",
				candidates: targetNotes(g, fit, name)}
		}
	}
	n := &g.Nodes[found[0]]
	return target{}, &addressError{message: fmt.Sprintf("%s has no input %q", describe(n), input), hint: diag.Suggest(input, inputNames(n)),
		candidates: inputNotes(g, found[0])}
}

// bareInput finds the only node that holds a value for an input of this name; if none does, the only one
// whose class declares it. Values come first: cfg of a sampler that has it set is meant, not the one of a
// node where it is linked.
func bareInput(g *graph.Graph, name string) (target, *addressError) {
	var values, declared []int
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if k := n.Input(name); k >= 0 && !isLink(&n.Inputs[k]) {
			values = append(values, i)
		}
		if has(n, name) {
			declared = append(declared, i)
		}
	}
	fit := values
	if len(fit) == 0 {
		fit = declared
	}
	switch len(fit) {
	case 1:
		return target{fit[0], name}, nil
	case 0:
		return target{}, nothingFits(g, name)
	}
	return target{}, &addressError{message: fmt.Sprintf("%d nodes have an input %q", len(fit), name), hint: "say which: ID." + name,
		candidates: targetNotes(g, fit, name)}
}

// nothingFits says that a text is neither a node's address nor an input's name.
func nothingFits(g *graph.Graph, text string) *addressError {
	e := &addressError{candidates: nodeNotes(g, everyNode(g))}
	if node, _, ok := strings.Cut(text, "."); ok {
		e.message, e.hint = fmt.Sprintf("no node is called %q", node), diag.Suggest(node, nodeNames(g))
		return e
	}
	e.message, e.hint = fmt.Sprintf("no node has an input %q", text), diag.Suggest(text, allNames(g))
	return e
}

// isLink tells that an input is written as a link, also if it leads nowhere.
func isLink(in *graph.Input) bool {
	return in.Linked() || in.Value != nil && in.Value.Kind == source.Array
}

// describe prints a node for messages: KSampler (node 3, "Base"), or KSampler (node 3) if it has no title
// of its own.
func describe(n *graph.Node) string {
	if n.Title != "" && n.Title != n.Class {
		return fmt.Sprintf("%s (node %s, %q)", n.Class, n.ID, n.Title)
	}
	return fmt.Sprintf("%s (node %s)", n.Class, n.ID)
}

// everyNode lists all nodes, as candidates where nothing fits.
func everyNode(g *graph.Graph) []int {
	out := make([]int, len(g.Nodes))
	for i := range out {
		out[i] = i
	}
	return out
}

// notes makes a note of each candidate, up to maxCandidates, and says how many are left out.
func notes[T any](items []T, note func(T) diag.Note) []diag.Note {
	var out []diag.Note
	for i, item := range items {
		if i == maxCandidates {
			return append(out, diag.Note{Message: fmt.Sprintf("and %d more", len(items)-i)})
		}
		out = append(out, note(item))
	}
	return out
}

// nodeNotes lists nodes with the inputs of each that could be set.
func nodeNotes(g *graph.Graph, found []int) []diag.Note {
	return notes(found, func(i int) diag.Note {
		n := &g.Nodes[i]
		return diag.Note{Place: n.Key, Message: fmt.Sprintf("%s: %s", describe(n), joined(literalNames(n)))}
	})
}

// targetNotes lists the nodes that an address could mean.
func targetNotes(g *graph.Graph, found []int, input string) []diag.Note {
	return notes(found, func(i int) diag.Note {
		n := &g.Nodes[i]
		return diag.Note{Place: n.Key, Message: fmt.Sprintf("%s.%s is of %s", n.ID, input, describe(n))}
	})
}

// inputNotes lists the inputs of the one node that an address means.
func inputNotes(g *graph.Graph, node int) []diag.Note {
	n := &g.Nodes[node]
	return []diag.Note{{Place: n.Key, Message: fmt.Sprintf("its inputs are %s", joined(inputNames(n)))}}
}

// joined prints names with commas.
func joined(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// literalNames lists the inputs that hold values.
func literalNames(n *graph.Node) []string {
	var out []string
	for i := range n.Inputs {
		if !isLink(&n.Inputs[i]) {
			out = append(out, n.Inputs[i].Name)
		}
	}
	return out
}

// inputNames lists the inputs that are given, then those that are only declared.
func inputNames(n *graph.Node) []string {
	var out []string
	for i := range n.Inputs {
		out = append(out, n.Inputs[i].Name)
	}
	if n.Def != nil {
		for i := range n.Def.Inputs {
			if name := n.Def.Inputs[i].Name; !slices.Contains(out, name) && n.Def.Inputs[i].Group.String() != "hidden" {
				out = append(out, name)
			}
		}
	}
	return out
}

// nodeNames lists what nodes can be called by.
func nodeNames(g *graph.Graph) []string {
	var out []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, name := range []string{n.ID, n.Class, n.Title} {
			if name != "" && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// allNames adds the names of the inputs that hold values.
func allNames(g *graph.Graph) []string {
	var out []string
	for i := range g.Nodes {
		out = append(out, literalNames(&g.Nodes[i])...)
	}
	return append(out, nodeNames(g)...)
}
