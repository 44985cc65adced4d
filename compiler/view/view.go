package view

import (
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
)

// View is a workflow made ready to be shown. Order and Outputs are the graph's own slices, and the indexes in
// them count in Nodes as in the graph, since a View leaves no node out.
type View struct {
	File    string // its name, "" if it is not to be shown
	Valid   bool   // a server would accept it
	Nodes   []Node // in the prompt's order
	Links   []Link // by the node that they lead to, in the order of its inputs
	Order   []int  // indexes of the nodes that would run, sources first
	Outputs []int  // indexes of the output nodes that would run
}

// Node is one node of a View.
type Node struct {
	ID       string
	Class    string
	Title    string // as its author wrote it, else the class's own, else the class name
	Named    bool   // the title is its author's
	Known    bool   // the catalogue has the class
	Output   bool   // it is an output node
	Needed   bool   // an output that would run needs it; if none would, any output node
	Mark     Mark
	Findings []diag.Diagnostic // about the node
	Literals []Literal         // the inputs that are no links, in the prompt's order
	Slots    []Slot            // the outputs: those declared, and those that links name

	ins, outs []int // indexes of links
}

// Literal is an input that is no link. A link that leads nowhere is one too.
type Literal struct {
	Name   string
	Value  *source.Value
	Secret bool // a key or a token: it is never shown
}

// Slot is one output of a node.
// Slot is one output of a node. A node of an unknown class has as many as links name, called 0, 1, … with
// the type *.
type Slot struct{ Name, Type string }

// Link leads from an output slot of a node to an input of another.
type Link struct {
	From, Slot, To int // indexes of nodes and of the slot, from 0
	Input          string
	Type           string // of what flows, "*" if that is not known

	wants string // the type that the input is declared with, "" if that is not known
}

// Mark says how a node is to be looked at.
type Mark uint8

// The marks.
const (
	Fine   Mark = iota
	Warned      // a lint has something to say
	Bad         // it has an error
)

// maxSlot bounds the output slots of a node of an unknown class; links that name later ones are shown as literals.
const maxSlot = 256

// New makes a View of a graph that [graph.Build] made together with the verdict; file is its name for
// titles and messages. Secrets are found here, so that no format can forget it.
func New(g *graph.Graph, verdict graph.Verdict, file string) *View {
	v := &View{File: file, Valid: verdict.Valid, Nodes: make([]Node, len(g.Nodes)), Order: g.Order, Outputs: g.Outputs}
	for i := range g.Nodes {
		v.Nodes[i] = newNode(&g.Nodes[i])
	}
	for i := range g.Nodes {
		for j := range g.Nodes[i].Inputs {
			v.addInput(g, i, &g.Nodes[i].Inputs[j])
		}
	}
	v.nameTypes()
	v.needed()
	for _, d := range verdict.Findings {
		v.mark(g, d)
	}
	return v
}

// newNode takes over what the graph and its class say of a node.
func newNode(n *graph.Node) Node {
	out := Node{ID: n.ID, Class: n.Class, Title: n.Title, Named: n.Title != "" && n.Title != n.Class, Known: n.Def != nil}
	if n.Bad { // of its own, or an unknown class; findings may mark it as well
		out.Mark = Bad
	}
	if n.Def != nil {
		out.Output = n.Def.OutputNode
		for _, o := range n.Def.Outputs {
			out.Slots = append(out.Slots, Slot{o.Name, o.Type})
		}
		if out.Title == "" {
			out.Title = n.Def.Title()
		}
		out.Named = out.Named && n.Title != n.Def.Title()
	}
	if out.Title == "" {
		out.Title = n.Class
	}
	if out.Title == "" {
		out.Title = "(no class)"
	}
	return out
}

// addInput adds an input as a link or as a literal. Links are followed here once more, since a graph with an unknown class has none.
func (v *View) addInput(g *graph.Graph, to int, in *graph.Input) {
	from, slot := in.From, in.Slot
	if !in.Linked() {
		from, slot = follow(g, in.Value)
	}
	if from < 0 {
		v.Nodes[to].Literals = append(v.Nodes[to].Literals, Literal{in.Name, in.Value, secret(in.Name, in.Value)})
		return
	}
	n := &v.Nodes[from]
	for k := len(n.Slots); k <= slot; k++ {
		n.Slots = append(n.Slots, Slot{strconv.Itoa(k), "*"})
	}
	link := Link{From: from, Slot: slot, To: to, Input: in.Name, Type: n.Slots[slot].Type}
	if in.Def != nil {
		link.wants = in.Def.Type
	}
	n.outs = append(n.outs, len(v.Links))
	v.Nodes[to].ins = append(v.Nodes[to].ins, len(v.Links))
	v.Links = append(v.Links, link)
}

// follow reads a link as it is written: [id, slot]. Slots that a known class does not have are taken as they are; from is -1 if it is no link.
func follow(g *graph.Graph, v *source.Value) (from, slot int) {
	if v.Kind != source.Array || len(v.Items) != 2 || v.Items[0].Kind != source.String {
		return -1, 0
	}
	slot, ok := v.Items[1].Int()
	if !ok || slot < 0 || slot >= maxSlot {
		return -1, 0
	}
	return g.Find(v.Items[0].Text), slot
}

// mark puts a finding on the node that it is about. Findings about the whole prompt, and remarks, mark
// none.
func (v *View) mark(g *graph.Graph, d diag.Diagnostic) {
	i := g.Find(d.Node)
	if i < 0 || d.Severity == diag.Info {
		return
	}
	n := &v.Nodes[i]
	n.Findings = append(n.Findings, n.hide(d))
	switch {
	case d.Severity == diag.Error:
		n.Mark = Bad
	case n.Mark == Fine:
		n.Mark = Warned
	}
}

// Text gives a literal on one line as a drawing shows it: texts without quotes, at most limit characters.
func (l *Literal) Text(limit int) string {
	switch {
	case l.Secret:
		return "•••"
	case l.Value.Kind == source.String:
		return shorten(l.Value.Text, limit)
	case l.Value.Kind == source.Array && len(l.Value.Items) > limit, l.Value.Kind == source.Object && len(l.Value.Members) > limit:
		return l.Value.Kind.String() + " of many" // not written out: only its begin would be seen
	}
	if f, ok := l.Value.Float(); ok && len(l.Value.Text) > 9 && strings.ContainsAny(l.Value.Text, ".eE") {
		return strconv.FormatFloat(f, 'g', 6, 64)
	}
	return shorten(string(l.Value.AppendJSON(nil)), limit)
}
