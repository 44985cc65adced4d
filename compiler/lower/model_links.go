// Links by slot. A prompt of ten thousand nodes asks for "the link into this input" some hundred thousand times, so the first slots of a node lie in
// slices; only files with absurd slot numbers need the maps. An input has one link at most, an output any number, in the order of link ids.

package lower

import "slices"

// nearIn and nearOut are the numbers of slots up to which a node's links are kept in slices; a file may name slots of any number, and few
// bytes of a file must not ask for much memory.
const (
	nearIn  = 24
	nearOut = 8
)

// ends are the links at one node of a graph, by slot.
// in[slot] and farIn[slot] never both hold a link; slots from nearIn on are always in the map.
type ends struct {
	node   *node   // nil if there is none
	in     []*link // into the near slots
	out    []outs  // from the near slots
	farIn  map[int]*link
	farOut map[int]*outs
}

// outs are the links that start at one output. They are sorted, and removed ones taken out, when they are read: an output with many links that
// are moved one by one would else cost the square of their number.
type outs struct {
	list           []*link
	stale, unready bool // some were removed; they are not in the order of their ids
}

// endsOf gives the links at a node, or at one that does not exist, by its id.
func (g *graph) endsOf(id string) *ends {
	e := g.ends[id]
	if e == nil {
		e = g.l.room.ends.make()
		g.ends[id] = e
	}
	return e
}

// into is the one link that ends at an input.
func (e *ends) into(slot int) *link {
	if e != nil && uint(slot) < uint(len(e.in)) {
		return e.in[slot]
	}
	if e != nil && e.farIn != nil {
		return e.farIn[slot]
	}
	return nil
}

// setInto puts a link into an input, or takes it out if k is nil. The near slots grow by doubling, up to nearIn.
func (e *ends) setInto(r *room, slot int, k *link) {
	switch {
	case uint(slot) < uint(len(e.in)):
		e.in[slot] = k
	case k == nil:
		delete(e.farIn, slot)
	case uint(slot) < nearIn:
		if slot >= cap(e.in) {
			more := r.linkRefs.list(min(max(4, 2*slot), nearIn))
			e.in = more[:copy(more, e.in)]
		}
		e.in = e.in[:max(len(e.in), slot+1)]
		e.in[slot] = k
	default:
		if e.farIn == nil {
			e.farIn = map[int]*link{}
		}
		e.farIn[slot] = k
	}
}

// outOf gives the links that start at an output, nil if there never were any.
func (e *ends) outOf(slot int) *outs {
	if uint(slot) < uint(len(e.out)) {
		return &e.out[slot]
	}
	return e.farOut[slot]
}

// makeOut is outOf for a link that is to be added.
func (e *ends) makeOut(r *room, slot int) *outs {
	if o := e.outOf(slot); o != nil {
		return o
	}
	if uint(slot) < nearOut {
		if slot >= cap(e.out) {
			more := r.outs.list(min(max(2, 2*slot), nearOut))
			e.out = more[:copy(more, e.out)]
		}
		e.out = e.out[:max(len(e.out), slot+1)]
		return &e.out[slot]
	}
	if e.farOut == nil {
		e.farOut = map[int]*outs{}
	}
	e.farOut[slot] = &outs{}
	return e.farOut[slot]
}

// addLink registers a link. It is refused, as by the frontend, if its id or its input is taken.
func (g *graph) addLink(k *link) bool {
	// The first link into an input stays. The file's own inputs[].link does not decide between two.
	if g.l.linkIDs[k.id] || g.endsOf(k.to).into(k.toSlot) != nil {
		return false
	}
	g.l.linkIDs[k.id] = true
	g.l.lastLink = max(g.l.lastLink, k.id)
	g.links[k.id] = k
	g.place(k)
	return true
}

// from lists the links that start at an output, by id. Whoever changes links while going through them clones the list.
func (g *graph) from(id string, slot int) []*link {
	e := g.ends[id]
	if e == nil {
		return nil
	}
	o := e.outOf(slot)
	if o == nil {
		return nil
	}
	// A link may have been moved to another output and so stand in two lists; only the one that it names keeps it.
	if o.stale {
		o.list = slices.DeleteFunc(o.list, func(k *link) bool { return !k.out || k.from != id || k.fromSlot != slot })
	}
	if o.unready {
		slices.SortFunc(o.list, func(a, b *link) int { return a.id - b.id })
	}
	o.stale, o.unready = false, false
	return o.list
}

// place enters a link at both of its ends. One that is among the links of its output already keeps its place there.
func (g *graph) place(k *link) {
	k.end = g.endsOf(k.to)
	k.end.setInto(g.l.room, k.toSlot, k)
	if k.out {
		return
	}
	k.start = g.endsOf(k.from)
	o := k.start.makeOut(g.l.room, k.fromSlot)
	if o.stale {
		g.from(k.from, k.fromSlot) // the link itself may be among the removed ones
	}
	o.unready = o.unready || len(o.list) > 0 && o.list[len(o.list)-1].id > k.id
	if o.list == nil {
		o.list = g.l.room.linkRefs.list(1)[:0]
	}
	o.list = append(o.list, k)
	k.out = true
}

// displace takes a link from both ends; at the output it is only marked, and dropped when the list is read. The graph still knows it by its id.
func (g *graph) displace(k *link) {
	g.leaveInput(k)
	if o := g.endsOf(k.from).outOf(k.fromSlot); o != nil && k.out {
		o.stale, k.out = true, false
	}
}

// leaveInput frees the input, unless another link has taken it meanwhile.
func (g *graph) leaveInput(k *link) {
	if e := g.endsOf(k.to); e.into(k.toSlot) == k {
		e.setInto(g.l.room, k.toSlot, nil)
	}
}

// removeLink takes a link out of the graph.
func (g *graph) removeLink(k *link) {
	if g.links[k.id] != k {
		return
	}
	g.displace(k)
	delete(g.links, k.id)
	delete(g.l.linkIDs, k.id)
}

// move is a new end of a link.
type move struct {
	link *link
	slot int
}

// moveLinks gives links new input slots of the node that they end at, and removes others, at once. Nothing is changed, and false
// returned, if two links would end at one slot, or one is not there any more.
func (g *graph) moveLinks(moves []move, removals []*link) bool {
	// All or nothing: slots are checked against those that will be free once all of them have moved, so two links may change places.
	leaving := make(map[*link]bool, len(moves)+len(removals))
	for _, m := range moves {
		if g.links[m.link.id] != m.link {
			return false // it was removed
		}
		leaving[m.link] = true
	}
	for _, k := range removals {
		leaving[k] = true
	}
	taken := make(map[slotRef]bool, len(moves))
	for _, m := range moves {
		ref := slotRef{m.link.to, m.slot}
		if other := g.endsOf(m.link.to).into(m.slot); taken[ref] || other != nil && !leaving[other] {
			return false
		}
		taken[ref] = true
	}
	for _, m := range moves {
		g.leaveInput(m.link)
	}
	for _, k := range removals {
		g.displace(k)
	}
	for _, m := range moves {
		m.link.toSlot = m.slot
		g.place(m.link)
	}
	return true
}

// layout is a node's inputs with their links, taken before they are rearranged.
type layout struct {
	inputs []*input
	links  map[*input]*link
}

// layout takes the picture; without links for a node that is in no graph yet.
func (n *node) layout() layout {
	lay := layout{slices.Clone(n.inputs), map[*input]*link{}}
	if n.graph == nil {
		return lay
	}
	for i, in := range n.inputs {
		if k := n.linkInto(i); k != nil {
			lay.links[in] = k
		}
	}
	return lay
}

// relayout gives the node new inputs with the links assigned to them; links of the old layout that are not assigned are removed. It gives
// the inputs that are new and have a link. ok is false, and the old inputs stay, if the links cannot be moved.
func (n *node) relayout(old layout, inputs []*input, assigned map[*input]*link) (fresh []*input, ok bool) {
	if n.graph == nil {
		n.inputs = inputs
		return nil, true
	}
	var moves []move
	kept, known := map[*link]bool{}, make(map[*input]bool, len(old.inputs))
	for _, in := range old.inputs {
		known[in] = true
	}
	for i, in := range inputs {
		if k := assigned[in]; k != nil {
			moves = append(moves, move{k, i})
			kept[k] = true
			if !known[in] {
				fresh = append(fresh, in)
			}
		}
	}
	removals := n.unassigned(old, kept)
	if !n.graph.moveLinks(moves, removals) {
		n.inputs = old.inputs
		return nil, false
	}
	n.inputs = inputs
	for i := len(removals) - 1; i >= 0; i-- {
		n.unlinked(removals[i])
	}
	return fresh, true
}

// unassigned are the old links that found no new input, in the order of their old inputs.
func (n *node) unassigned(old layout, kept map[*link]bool) []*link {
	var out []*link
	for _, in := range old.inputs {
		if k := old.links[in]; k != nil && !kept[k] {
			out = append(out, k)
		}
	}
	return out
}

// unlinked finishes the removal of a link that was displaced from the node's input.
func (n *node) unlinked(k *link) {
	g := n.graph
	delete(g.links, k.id)
	delete(g.l.linkIDs, k.id)
	if k.from == inputSide {
		g.leavePort(k)
	}
}

// disconnect removes the link into an input.
func (n *node) disconnect(slot int) {
	k := n.linkInto(slot)
	if k == nil {
		return
	}
	// A link from the definition's own side: its port has to know, as its promoted value may end with it.
	if k.from == inputSide {
		n.graph.removeLink(k)
		n.graph.leavePort(k)
		return
	}
	if from := n.graph.node(k.from); from == nil || k.fromSlot < 0 || k.fromSlot >= len(from.outputs) {
		return
	}
	n.graph.removeLink(k)
	n.connectionChanged(slot, false, k)
}

// connect links an output of n to an input of target, in place of the link that was there.
func (n *node) connect(slot int, target *node, targetSlot int) *link {
	if target == nil || target == n || slot < 0 || slot >= len(n.outputs) || targetSlot < 0 || targetSlot >= len(target.inputs) {
		return nil
	}
	out, in := n.outputs[slot], target.inputs[targetSlot]
	// Not an error: the editor simply would not draw the link.
	if !fits(out.typ, in.typ) || n.kind == primitiveNode && !n.mayFeed(target, in) {
		return nil
	}
	k := &link{id: n.graph.l.mintLink(), from: n.id, fromSlot: slot, to: target.id, toSlot: targetSlot, typ: in.typ}
	if old := target.linkInto(targetSlot); old != nil {
		n.graph.removeLink(old)
		if old.from == inputSide {
			n.graph.leavePort(old)
		}
	}
	n.graph.addLink(k)
	n.connected(k)
	target.connectionChanged(targetSlot, true, k)
	return k
}
