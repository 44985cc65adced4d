package graph

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// maxNotes bounds the further places that one finding about the whole prompt names.
const maxNotes = 50

// decode reads the nodes. A server fails with status 500 on what it did not expect (malformed_prompt);
// where it looks at node after node, the first trouble counts, so troubles are collected in its order, and
// those of the first one's kind become notes. [] and {} are no such failures but prompts without outputs.
func (b *builder) decode() bool {
	switch p := b.prompt; {
	case p == nil:
		b.whole = append(b.whole, diag.Errorf("no_prompt", diag.Place{}, "there is no prompt"))
		return false
	case p.Kind == source.Array && len(p.Items) == 0:
		return b.noOutputs()
	case p.Kind != source.Object:
		b.whole = append(b.whole, diag.Errorf("malformed_prompt", diag.Of(p), "a prompt is an object of nodes by id, this is %s", p.Kind))
		return false
	}
	b.readNodes()
	var t troubles
	for i := range b.g.Nodes {
		t.add(b.g.Nodes[i].shape())
	}
	return b.stopped(t)
}

// readNodes takes the nodes over in the prompt's order. Nothing is checked yet: what is no object becomes a
// node without class and inputs. The readers of JSON have refused a repeated id before.
func (b *builder) readNodes() {
	members := b.prompt.Members
	b.g.Nodes = make([]Node, len(members))
	b.g.byID = make(map[string]int, len(members))
	for i := range members {
		b.g.Nodes[i] = readNode(&members[i])
		b.g.byID[members[i].Key] = i
	}
}

// readNode reads one node; an input is a literal (From -1) until the link pass has looked at it.
func readNode(m *source.Member) Node {
	n := Node{ID: m.Key, Value: m.Value, Key: keyPlace(m)}
	n.Class = m.Value.Get("class_type").Str()
	n.Title = m.Value.Get("_meta").Get("title").Str()
	inputs := m.Value.Get("inputs")
	if inputs == nil || inputs.Kind != source.Object {
		return n
	}
	n.Inputs = make([]Input, len(inputs.Members))
	for i := range inputs.Members {
		in := &inputs.Members[i]
		n.Inputs[i] = Input{Name: in.Key, Value: in.Value, From: -1, Key: keyPlace(in)}
	}
	return n
}

// keyPlace is where a key stands; a key that a program made (KeyEnd 0) stands where its value does.
func keyPlace(m *source.Member) diag.Place {
	if m.KeyEnd == 0 {
		return diag.Of(m.Value)
	}
	return diag.OfKey(m)
}

// shape finds what a server trips over before it looks for the classes.
func (n *Node) shape() (diag.Diagnostic, bool) {
	v := n.Value
	if v.Kind != source.Object {
		if v.Kind == source.String || v.Kind == source.Array {
			return diag.Diagnostic{}, false // found by the next loop over the nodes
		}
		return n.malformed(diag.Of(v), "node %s is no object but %s", n.ID, v.Kind), true
	}
	class, inputs := v.Get("class_type"), v.Get("inputs")
	if class == nil || inputs == nil {
		return diag.Diagnostic{}, false
	}
	if class.Kind == source.Array || class.Kind == source.Object {
		return n.malformed(diag.Of(class), "class_type of node %s is no name but %s", n.ID, class.Kind), true
	}
	if inputs.Kind != source.Object {
		return n.malformed(diag.Of(inputs), "inputs of node %s is no object but %s", n.ID, inputs.Kind), true
	}
	return diag.Diagnostic{}, false
}

// malformed is the finding for what a server answers with status 500.
func (n *Node) malformed(at diag.Place, format string, args ...any) diag.Diagnostic {
	return diag.Errorf("malformed_prompt", at, format, args...).About(n.ID, "")
}

// troubles are findings in the order in which a server meets them.
type troubles []diag.Diagnostic

// add appends a trouble, if one was found; it takes what the functions that look for one return.
func (t *troubles) add(d diag.Diagnostic, found bool) {
	if found {
		*t = append(*t, d)
	}
}

// stopped reports the first trouble, which is all that a server says, with a note for each other one like it.
func (b *builder) stopped(t troubles) bool {
	if len(t) == 0 {
		return true
	}
	first := t[0]
	more := 0
	for _, d := range t[1:] {
		if d.Code != first.Code {
			continue
		}
		if more++; more > maxNotes {
			continue
		}
		message := d.Message
		if d.Hint != "" {
			message += "; " + d.Hint
		}
		first = first.Noted(d.Place, "%s", message)
	}
	if more > maxNotes {
		first = first.Noted(diag.Place{}, "%s", fmt.Sprintf("and %d more", more-maxNotes))
	}
	b.whole = append(b.whole, first)
	return false
}
