package lower

import (
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
)

// flatNode is a node as it is executed: inside of an instance, its id has the instance's before it.
type flatNode struct {
	*node
	flatID string
	host   *flatNode // the instance that it is in, nil in the workflow itself
	depth  int
}

// executionOrder sorts the nodes so that each comes after what it is connected to; nodes in a circle come last.
func (g *graph) executionOrder() []*node {
	waiting := make(map[string]int, len(g.nodes))
	order := make([]*node, 0, len(g.nodes))
	for _, n := range g.nodes {
		count := 0
		for i := range n.inputs {
			if n.linkInto(i) != nil {
				count++
			}
		}
		if waiting[n.id] = count; count == 0 {
			order = append(order, n)
		}
	}
	for i := 0; i < len(order); i++ {
		n := order[i]
		for slot := range n.outputs {
			for _, k := range g.from(n.id, slot) {
				if target := g.byID[k.to]; target != nil {
					if waiting[k.to]--; waiting[k.to] == 0 {
						order = append(order, target)
					}
				}
			}
		}
	}
	return append(order, g.circular(order)...)
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
	n, err := strconv.Atoi(s)
	return n, err == nil && n < 1<<32-1
}

// flatten expands subgraph instances into their inner nodes. Muted and bypassed instances of the workflow are not expanded; those inside of
// definitions are.
func (l *lowering) flatten() {
	l.flatByID = map[string]*flatNode{}
	for _, n := range l.root.executionOrder() {
		f := &flatNode{node: n, flatID: n.id}
		l.put(f)
		if n.kind == hostNode && n.active() {
			l.expand(f)
		}
		if l.found.Failed() {
			return
		}
	}
}

func (l *lowering) put(f *flatNode) {
	if l.flatByID[f.flatID] == nil {
		l.flat = append(l.flat, f)
	}
	l.flatByID[f.flatID] = f
	if len(l.flat) == maxNodes+1 {
		l.refuse(diag.Errorf("expansion_too_large", f.place(), "more than %d nodes when the subgraphs are expanded", maxNodes))
	}
}

func (l *lowering) expand(host *flatNode) {
	if host.depth >= maxDepth {
		l.refuse(diag.Errorf("expansion_too_large", host.place(), "subgraphs are nested deeper than %d levels", maxDepth))
		return
	}
	for _, n := range host.sub.nodes {
		f := &flatNode{node: n, flatID: host.flatID + ":" + n.id, host: host, depth: host.depth + 1}
		l.put(f)
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
