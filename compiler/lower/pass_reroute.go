// Reroute nodes have no type of their own. On load the frontend goes through each chain of them from its beginning and gives it the type of
// what flows in; what does not take that type is disconnected, which a user may not notice, so it is warned about.

package lower

import "slices"

// settleReroutes settles chains of reroutes, each from its first one on, and then the circles, which have none.
func (l *lowering) settleReroutes() {
	settled := map[*node]bool{}
	for _, circles := range []bool{false, true} {
		for _, n := range l.allNodes() {
			if n.kind == rerouteNode && !settled[n] && (circles || !n.behindReroute()) {
				n.settleReroute(settled)
			}
		}
	}
}

// behindReroute tells whether a reroute gets its value from another one.
func (n *node) behindReroute() bool {
	k := n.linkInto(0)
	if k == nil {
		return false
	}
	from := n.graph.node(k.from)
	return from != nil && from.kind == rerouteNode
}

// settleReroute gives a chain of reroutes the type of what flows into it, and disconnects what does not take that type. The
// reroutes of the chain are noted in settled, unless it is nil.
func (n *node) settleReroute(settled map[*node]bool) {
	chain, typ, ok := n.rerouteRoot()
	if !ok {
		return
	}
	g := n.graph
	seen := map[*node]bool{n: true}
	// A list and not recursion: a chain may be as long as the file.
	for todo := []*node{n}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if settled != nil {
			settled[at] = true
		}
		for _, k := range slices.Clone(g.from(at.id, 0)) {
			if !g.l.spend(1) {
				return
			}
			target := g.node(k.to)
			switch {
			case target == nil || k.toSlot < 0 || k.toSlot >= len(target.inputs):
			case target.kind == rerouteNode:
				if !seen[target] {
					seen[target] = true
					todo, chain = append(todo, target), append(chain, target)
				}
			case typ != "" && target.inputs[k.toSlot].typ != "" && !fits(typ, target.inputs[k.toSlot].typ):
				g.lost(k, at, "what flows through it is "+typ)
				target.disconnect(k.toSlot)
			case target.kind == classNode:
				target.connectionChanged(k.toSlot, true, k)
			}
		}
	}
	if typ == "" {
		typ = "*"
	}
	for _, r := range chain {
		if len(r.outputs) > 0 {
			r.outputs[0].typ = typ
		}
	}
}

// rerouteRoot walks up a chain of reroutes. It gives the reroutes on the way and the type of what flows in, "" if nothing does; a circle is
// opened. ok is false if a link leads nowhere.
func (n *node) rerouteRoot() (chain []*node, typ string, ok bool) {
	chain = []*node{n}
	seen := map[*node]bool{}
	for at := n; ; {
		if !n.graph.l.spend(1) {
			return nil, "", false
		}
		k := at.linkInto(0)
		if k == nil {
			return chain, "", true
		}
		from := n.graph.node(k.from)
		if from == nil {
			return nil, "", false
		}
		if from.kind != rerouteNode {
			return chain, n.graph.originType(k), true
		}
		// A circle of reroutes carries nothing; the frontend cuts it where it has come round.
		if from == n || seen[from] {
			at.disconnect(k.toSlot)
			return chain, "", true
		}
		seen[from] = true
		chain, at = append(chain, from), from
	}
}
