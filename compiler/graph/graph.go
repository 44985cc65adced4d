// The Graph that everything behind the check works on. Nodes and inputs are addressed by their indexes in
// these slices, not by pointers or ids: a patch of a render is (node, input, value), and copying the slices
// copies the graph.

package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Graph is the checked DAG of one workflow in API form. It is read-only once built: a render is the shared graph plus patches.
type Graph struct {
	Nodes   []Node
	Order   []int // indexes of the nodes that good outputs need, in execution order: sources first
	Outputs []int // indexes of the output nodes that ComfyUI would run ("good outputs"), in the prompt's order

	byID map[string]int
}

// Node is one node of a graph.
type Node struct {
	ID     string        // as in the API form: "9", or "57:27" inside a subgraph
	Class  string        // as written, or the successor's after a replacement
	Title  string        // _meta.title, "" if there is none
	Def    *nodes.Class  // nil for a class that the catalogue does not know
	Inputs []Input       // in the prompt's order
	Value  *source.Value // the node as written, for places
	Bad    bool          // it has an error of its own; later passes skip it
	Key    diag.Place    // where the node's id stands
}

// Input is one given input of a node: a literal or a link.
type Input struct {
	Name  string
	Def   *nodes.Input  // nil if the class does not declare it, or not for the node's values
	Value *source.Value // the literal, coerced as ComfyUI does if it is checked; of a link: the list as written
	From  int           // index of the node a link comes from; -1 for a literal, and for a link that leads nowhere
	Slot  int           // the output slot of that node, from 0
	Key   diag.Place    // where the input's name stands
}

// Linked tells whether the input is a link.
func (in *Input) Linked() bool { return in.From >= 0 }

// Find gives the index of the node with an id, -1 if there is none.
func (g *Graph) Find(id string) int {
	if i, ok := g.byID[id]; ok {
		return i
	}
	return -1
}

// Input gives the index of a node's input, -1 if it is not given. The search is linear: nodes have a dozen
// inputs; see index for more.
func (n *Node) Input(name string) int {
	for i := range n.Inputs {
		if n.Inputs[i].Name == name {
			return i
		}
	}
	return -1
}

// value gives what a node's input holds, nil if it is not given.
func (n *Node) value(name string) *source.Value {
	if i := n.Input(name); i >= 0 {
		return n.Inputs[i].Value
	}
	return nil
}

// Prompt writes the graph as an API prompt again, with the coerced values; everything else of the nodes
// stays as written. It is what a server would have after its own check; the graph is not changed, and the
// tree shares the values with it.
func (g *Graph) Prompt() *source.Value {
	out := &source.Value{Kind: source.Object, Members: make([]source.Member, 0, len(g.Nodes))}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		out.Members = append(out.Members, source.Member{Key: n.ID, Value: n.prompt()})
	}
	return out
}

// prompt writes one node. Keys such as _meta and is_changed go along.
func (n *Node) prompt() *source.Value {
	inputs := &source.Value{Kind: source.Object, Members: make([]source.Member, 0, len(n.Inputs))}
	for i := range n.Inputs {
		inputs.Members = append(inputs.Members, source.Member{Key: n.Inputs[i].Name, Value: n.Inputs[i].Value})
	}
	out := &source.Value{Kind: source.Object}
	for _, m := range n.Value.Members {
		switch m.Key {
		case "inputs":
			m.Value = inputs.At(m.Value)
		case "class_type":
			m.Value = source.NewString(n.Class).At(m.Value)
		}
		out.Members = append(out.Members, m)
	}
	return out
}
