// Where an input's value comes from. The way leads upwards, from the input: muted nodes end it, bypassed ones let it pass by an input of a
// fitting type, reroutes by their only one, instances lead inside and definitions' inputs outside, until a node is reached that runs, or a
// value. Each input is resolved on its own; a way is linear in the nodes that it passes.

package lower

import (
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// resolved is where an input gets its value from: an output of a node that runs, or a value that a subgraph instance gives.
type resolved struct {
	from  *flatNode // nil if nothing gives a value
	slot  int       // of from's outputs; -1 with a value
	value *promoted // nil if it is a link
}

// resolver follows the links of one input, through bypassed nodes, reroutes and the borders of subgraphs.
type resolver struct {
	l      *lowering
	of     *flatNode // the node whose input is resolved
	in     *input
	way    int  // its number
	failed bool // the workflow is refused
}

// resolve finds the source of an input; from is nil if there is none, or if what is there produces nothing. ok is false if the frontend refuses.
func (l *lowering) resolve(f *flatNode, slot int) (res resolved, ok bool) {
	if f.linkInto(slot) == nil {
		return resolved{}, true
	}
	// A new number for each input, by which pass knows its own notes.
	l.ways++
	r := resolver{l: l, of: f, in: f.inputs[slot], way: l.ways}
	res = r.input(f, slot, "")
	return res, !r.failed
}

// pass notes a slot. It is false if the way came by here before; instances of one definition count as one, as in the frontend.
func (r *resolver) pass(f *flatNode, slot int, out bool) bool {
	if !r.l.spend(1) {
		r.failed = true
		return false
	}
	passed, count := &f.passedIn, len(f.inputs)
	if out {
		passed, count = &f.passedOut, len(f.outputs)
	}
	if slot < 0 || slot >= count {
		return true // the way ends here
	}
	if len(*passed) < count {
		*passed = r.l.room.ints.list(count)
	}
	// The numbers of ways make clearing needless: what another way has noted there is not this one's.
	if (*passed)[slot] == r.way {
		r.fail("link_circle", f.place(), "the links lead in a circle, through node %s, and never to a node that runs", f.flatID)
		return false
	}
	(*passed)[slot] = r.way
	return true
}

// fail refuses the workflow at a place, with a note at the input from which the way began. Only the first failure of a way is told.
func (r *resolver) fail(code string, at diag.Place, format string, args ...any) {
	if !r.failed {
		r.failed = true
		d := diag.Errorf(code, at, format, args...).About(r.of.flatID, r.in.name)
		r.l.refuse(d.Noted(r.place(), "found on the way to input %q of node %s", r.in.name, r.of.flatID))
	}
}

// place is where the input that is being resolved stands.
func (r *resolver) place() diag.Place { return inputPlace(r.of.node, r.in) }

// inputPlace is the slot in the file, or the node if the file does not list the slot.
func inputPlace(n *node, in *input) diag.Place {
	if in.doc != nil && in.doc.src != nil {
		return diag.Of(in.doc.src)
	}
	return n.place()
}

// input follows the link into an input. typ is the type that the far end wants, "" for the input's own.
func (r *resolver) input(f *flatNode, slot int, typ string) resolved {
	if !r.pass(f, slot, false) {
		return resolved{}
	}
	if slot < 0 || slot >= len(f.inputs) {
		r.fail("no_such_slot", f.place(), "node %s has no input %d to pass a value through", f.flatID, slot)
		return resolved{}
	}
	k := f.linkInto(slot)
	if k == nil {
		return resolved{}
	}
	if f.host != nil && k.from == inputSide {
		return r.outside(f, k)
	}
	origin := k.start.node
	if origin == nil {
		r.fail("dangling_link", linkPlace(f.node, k), "link %d starts at node %s, which does not exist", k.id, k.from)
		return resolved{}
	}
	if typ == "" {
		typ = f.inputs[slot].typ
	}
	at := r.l.inside(f.host, origin)
	if at == nil {
		r.fail("dangling_link", linkPlace(f.node, k), "link %d starts at node %s, which is not expanded", k.id, k.from)
		return resolved{}
	}
	return r.output(at, k.fromSlot, typ)
}

// linkPlace is the link in the file; links that were made here have none, and stand at the node.
func linkPlace(n *node, k *link) diag.Place {
	if k.src != nil {
		return diag.Of(k.src)
	}
	return n.place()
}

// outside goes from an inner input to the instance: its link, or its own value.
func (r *resolver) outside(f *flatNode, k *link) resolved {
	host := f.host
	if k.fromSlot < 0 || k.fromSlot >= len(host.inputs) {
		r.fail("no_such_slot", linkPlace(f.node, k), "link %d starts at input %d of the subgraph, which has %d", k.id, k.fromSlot, len(host.inputs))
		return resolved{}
	}
	// Unlinked from outside: the instance's own value. Linked, but to nothing that gives a value: the inner node keeps its widget's.
	if host.linkInto(k.fromSlot) == nil {
		if p := host.inputs[k.fromSlot].value; p != nil {
			return resolved{from: f, slot: -1, value: p}
		}
		return resolved{}
	}
	return r.input(host, k.fromSlot, "")
}

// output follows an output upwards: nothing from muted nodes, through bypassed ones, through reroutes, into instances.
func (r *resolver) output(f *flatNode, slot int, typ string) resolved {
	// Mute ends everything, whatever kind the node is of.
	if !r.pass(f, slot, true) || f.mode == modeMuted {
		return resolved{}
	}
	switch {
	case f.mode == modeBypassed:
		return r.bypass(f, slot, typ)
	case f.kind == hostNode:
		return r.inside(f, slot, typ)
	// A reroute has one input; a primitive or note has none, and so gives nothing.
	case f.virtual():
		if slot < 0 || slot >= len(f.inputs) || f.linkInto(slot) == nil {
			return resolved{}
		}
		return r.input(f, slot, typ)
	}
	return resolved{from: f, slot: slot}
}

// bypass leaves a bypassed node by the input that fits; once one is chosen it counts, connected or not.
func (r *resolver) bypass(f *flatNode, slot int, typ string) resolved {
	if slot < 0 || slot >= len(f.outputs) {
		r.fail("no_such_slot", f.place(), "bypassed node %s has no output %d", f.flatID, slot)
		return resolved{}
	}
	at := f.bypassInput(slot, typ)
	if at < 0 {
		return resolved{}
	}
	return r.input(f, at, "")
}

// bypassInput chooses the input of a bypassed node for one of its outputs: the same index if it fits both sides, else the first of exactly
// the wanted type, else the first that fits both sides. -1: none.
func (n *node) bypassInput(slot int, typ string) int {
	// A target that takes anything says nothing about the type: the input of the same index, else the first.
	if typ == "*" || typ == "" {
		if len(n.inputs) > slot {
			return slot
		}
		return 0
	}
	own := n.outputs[slot].typ
	if slot < len(n.inputs) && fits(n.inputs[slot].typ, own) && fits(n.inputs[slot].typ, typ) {
		return slot
	}
	// The exact type is asked of the target alone: the bypassed node's own output type does not matter here.
	if i := slices.IndexFunc(n.inputs, func(in *input) bool { return in.typ == typ }); i >= 0 {
		return i
	}
	return slices.IndexFunc(n.inputs, func(in *input) bool { return fits(in.typ, own) && fits(in.typ, typ) })
}

// inside goes from an instance's output to the inner node that gives it.
func (r *resolver) inside(f *flatNode, slot int, typ string) resolved {
	if slot < 0 || slot >= len(f.outputs) || slot >= len(f.sub.outputs) {
		r.fail("no_such_slot", f.place(), "subgraph instance %s has no output %d", f.flatID, slot)
		return resolved{}
	}
	k := f.sub.feeding(slot)
	if k == nil {
		return resolved{}
	}
	inner := k.start.node
	// The frontend refuses this, though it could be resolved.
	if inner == nil || k.from == inputSide {
		r.fail("subgraph_passthrough", linkPlace(f.node, k), "output %q of the subgraph is wired straight to one of its inputs, or to nothing", f.sub.outputs[slot].name)
		return resolved{}
	}
	at := r.l.inside(f, inner)
	if at == nil {
		r.fail("dangling_link", linkPlace(f.node, k), "inner node %s is not expanded", inner.id)
		return resolved{}
	}
	return r.output(at, k.fromSlot, typ)
}

// feeding is the link that an output of the definition gets its value from: the first that it names and that is there.
func (g *graph) feeding(slot int) *link {
	for _, id := range g.outputs[slot].links {
		if k := g.links[id]; k != nil {
			return k
		}
	}
	return nil
}

// linkList is a link as the API form has it.
func (l *lowering) linkList(res resolved, at *source.Value) *source.Value {
	values := l.made.values.list(3)
	list, id, slot := &values[0], &values[1], &values[2]
	for i := range values {
		values[i].File, values[i].Start, values[i].End = at.File, at.Start, at.End
	}
	// ["12:3", 0]: the id is a text, the slot a number.
	id.Kind, id.Text = source.String, res.from.flatID
	slot.Kind, slot.Text = source.Number, strconv.Itoa(res.slot)
	list.Kind, list.Items = source.Array, l.made.items.list(2)
	list.Items[0], list.Items[1] = id, slot
	return list
}
