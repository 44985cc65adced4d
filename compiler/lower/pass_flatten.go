// Execution order, and instances made flat. An inner node's id is the ids of its instances and its own, with colons: 57:8:3.

package lower

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// flatNode is a node as it is executed: inside of an instance, its id has the instance's before it.
type flatNode struct {
	*node
	flatID string      // "57:8:3" is node 3 of instance 8 in instance 57
	host   *flatNode   // the instance that it is in, nil in the workflow itself
	depth  int         // 0 in the workflow itself
	inner  []*flatNode // of an instance that is expanded: by their places in its definition
}

// executionOrder sorts the nodes so that each comes after what it is connected to; nodes in a circle come last.
func (g *graph) executionOrder() []*node {
	g.number()
	waiting := make([]int, len(g.nodes))
	order := make([]*node, 0, len(g.nodes))
	for i, n := range g.nodes {
		// Muted nodes and virtual ones count too: order is that of the whole graph.
		for slot := range n.inputs {
			if n.linkInto(slot) != nil {
				waiting[i]++
			}
		}
		if waiting[i] == 0 {
			order = append(order, n)
		}
	}
	for i := 0; i < len(order); i++ {
		n := order[i]
		for slot := range n.outputs {
			for _, k := range g.from(n.id, slot) {
				// Breadth first, as the editor counts: what becomes free goes behind all that is waiting already.
				if target := k.end.node; target != nil {
					if waiting[target.at]--; waiting[target.at] == 0 {
						order = append(order, target)
					}
				}
			}
		}
	}
	return append(order, g.circular(order)...)
}

// number tells the nodes their places in the graph.
func (g *graph) number() {
	for i, n := range g.nodes {
		n.at = i
	}
}

// circular lists the nodes that no order reaches: integer-like ids first, ascending. A circle is no error here: the server finds it, and so does
// the compiler's own check of the prompt.
func (g *graph) circular(order []*node) []*node {
	if len(order) == len(g.nodes) {
		return nil
	}
	done := make(map[*node]bool, len(order))
	for _, n := range order {
		done[n] = true
	}
	var rest []*node
	for _, n := range g.nodes {
		if !done[n] {
			rest = append(rest, n)
		}
	}
	slices.SortStableFunc(rest, func(a, b *node) int { return compareKeys(a.id, b.id) })
	return rest
}

// compareKeys orders the keys of an object as JavaScript does: integer-like ones first, ascending, the others as they were added.
func compareKeys(a, b string) int {
	x, isX := integerKey(a)
	y, isY := integerKey(b)
	switch {
	case isX && isY:
		return x - y
	case isX:
		return -1
	case isY:
		return 1
	}
	return 0
}

// integerKey tells whether JavaScript keeps a key among the numbers, and which one it is: "12" is, "012", "1.0" and "12:3" are not.
func integerKey(s string) (int, bool) {
	// JavaScript's array indexes: 0 to 2^32-2, written without leading zeros or signs.
	if len(s) == 0 || len(s) > 10 || s[0] == '0' && s != "0" || s[0] == '-' || s[0] == '+' {
		return 0, false
	}
	if strings.TrimLeft(s, "0123456789") != "" {
		return 0, false // most ids inside of subgraphs
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n < 1<<32-1
}

// flatten expands subgraph instances into their inner nodes. Muted and bypassed instances of the workflow are not expanded; those inside of
// definitions are.
func (l *lowering) flatten() {
	for _, g := range l.built {
		g.number()
	}
	// By execution order in the workflow itself; by place inside of instances.
	l.flat = make([]*flatNode, 0, len(l.root.nodes))
	order := l.root.executionOrder()
	l.flatRoot = make([]*flatNode, len(order))
	if l.ambiguous {
		l.flatByID = map[string]*flatNode{}
	}
	for _, n := range order {
		f := l.put(n, n.id, nil)
		l.flatRoot[n.at] = f
		if n.kind == hostNode && n.active() {
			l.expand(f)
		}
		if l.found.Failed() {
			return
		}
	}
}

// put adds a node. Two may have one id if the id of one holds a colon: the later one counts, in the place of the first.
func (l *lowering) put(n *node, id string, host *flatNode) *flatNode {
	f := l.room.flat.make()
	f.node, f.flatID, f.host = n, id, host
	if host != nil {
		f.depth = host.depth + 1
	}
	// flatByID is nil, and reads as empty, unless ids are ambiguous.
	if l.flatByID[id] == nil {
		l.flat = append(l.flat, f)
	}
	if l.ambiguous {
		l.flatByID[id] = f
	}
	// Before the node is looked at any further: ten levels of ten instances each would be 10^10 nodes.
	l.take(nodeCost + fieldCost*(len(n.inputs)+len(n.widgets)))
	if len(l.flat) == maxNodes+1 {
		l.refuse(diag.Errorf("expansion_too_large", f.place(), "more than %d nodes when the subgraphs are expanded", maxNodes))
	}
	return f
}

// counted is the node that counts among those with the same id.
func (l *lowering) counted(f *flatNode) *flatNode {
	if l.ambiguous {
		return l.flatByID[f.flatID]
	}
	return f
}

// inside finds a node of the workflow (host is nil) or of an expanded instance; nil if the instance is not expanded.
func (l *lowering) inside(host *flatNode, n *node) *flatNode {
	switch {
	case l.ambiguous && host == nil:
		return l.flatByID[n.id]
	case l.ambiguous:
		return l.flatByID[host.flatID+":"+n.id]
	case host == nil:
		return l.flatRoot[n.at]
	// A bypassed or muted instance: nothing of it is in the prompt.
	case host.inner == nil:
		return nil
	}
	return host.inner[n.at]
}

// expand makes the inner nodes of an instance, each with the instance's id before its own, and goes on into instances among them. They come in the
// definition's order, not in that of execution, as in the frontend.
func (l *lowering) expand(host *flatNode) {
	if host.depth >= maxDepth {
		l.refuse(diag.Errorf("expansion_too_large", host.place(), "subgraphs are nested deeper than %d levels", maxDepth))
		return
	}
	host.inner = l.room.flatRefs.list(len(host.sub.nodes))
	for i, n := range host.sub.nodes {
		f := l.put(n, host.flatID+":"+n.id, host)
		host.inner[i] = f
		if l.found.Failed() {
			return
		}
		if n.kind != hostNode {
			continue
		}
		// The frontend's mistake, and reproduced: only the instances of the workflow itself are asked whether they are muted.
		if !n.active() {
			l.warn("inner_instance_runs", n.place(), f.flatID, "", "this instance inside of a subgraph is muted or bypassed, but its inner nodes are sent all the same")
		}
		l.expand(f)
	}
}
