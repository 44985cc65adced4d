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
	flatID string
	host   *flatNode // the instance that it is in, nil in the workflow itself
	depth  int
	inner  []*flatNode // of an instance that is expanded: by their places in its definition
}

// executionOrder sorts the nodes so that each comes after what it is connected to; nodes in a circle come last.
func (g *graph) executionOrder() []*node {
	g.number()
	waiting := make([]int, len(g.nodes))
	order := make([]*node, 0, len(g.nodes))
	for i, n := range g.nodes {
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

// circular lists the nodes that no order reaches: integer-like ids first, ascending.
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

func integerKey(s string) (int, bool) {
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
	if l.flatByID[id] == nil {
		l.flat = append(l.flat, f)
	}
	if l.ambiguous {
		l.flatByID[id] = f
	}
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
	case host.inner == nil:
		return nil
	}
	return host.inner[n.at]
}

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
		if !n.active() {
			l.warn("inner_instance_runs", n.place(), f.flatID, "", "this instance inside of a subgraph is muted or bypassed, but its inner nodes are sent all the same")
		}
		l.expand(f)
	}
}
