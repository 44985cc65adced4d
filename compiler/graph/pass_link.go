package graph

import (
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// link turns every [id, slot] that leads somewhere into an edge, also on nodes that no output needs and on inputs that are not declared: a
// server follows those too when it runs. It finds nothing wrong by itself; the checks do.
func (b *builder) link() bool {
	for i := range b.g.Nodes {
		n := &b.g.Nodes[i]
		for j := range n.Inputs {
			in := &n.Inputs[j]
			if from, slot, why := b.g.target(in.Value); why == leads {
				in.From, in.Slot = from, slot
			}
		}
	}
	return true
}

// trouble says why a link leads nowhere.
type trouble uint8

const (
	leads  trouble = iota // it is a good link
	noLink                // no list of two
	idKind                // the id is no string
	noNode                // no node has that id
	atKind                // the slot is no index
	noSlot                // the node has no such output
)

// target follows a link to a node and an output slot, from 0. Where it leads nowhere, from is -1. Every
// node needs its definition by now.
func (g *Graph) target(v *source.Value) (from, slot int, why trouble) {
	if v.Kind != source.Array || len(v.Items) != 2 {
		return -1, 0, noLink
	}
	if v.Items[0].Kind != source.String {
		return -1, 0, idKind
	}
	if from = g.Find(v.Items[0].Text); from < 0 {
		return -1, 0, noNode
	}
	slot, ok := slotIndex(v.Items[1], len(g.Nodes[from].Def.Outputs))
	switch {
	case !ok:
		return -1, 0, atKind
	case slot < 0:
		return -1, 0, noSlot
	}
	return from, slot, leads
}

// slotIndex reads a slot as Python indexes a tuple: integers, negative ones from the end, and booleans. The slot is -1 if there is none of
// that number; it is not ok if the value is no index at all, which a float is not, not even 1.0.
func slotIndex(v *source.Value, count int) (slot int, ok bool) {
	switch {
	case v.Kind == source.Bool:
		if v.Bool {
			slot = 1
		}
	case v.IsInt():
		n, fits := v.Int()
		if !fits {
			return -1, true
		}
		slot = n
	default:
		return -1, false
	}
	if slot < 0 {
		slot += count
	}
	if slot < 0 || slot >= count {
		return -1, true
	}
	return slot, true
}

// outputType gives the definition of an output slot that a link leads to.
func (g *Graph) outputType(from, slot int) nodes.Output { return g.Nodes[from].Def.Outputs[slot] }
