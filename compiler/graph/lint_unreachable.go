package graph

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
)

// lintUnreachable finds nodes that no output needs. Of a chain only the last node is named. Nothing is said
// if only some outputs were asked for, nor if something else is wrong by which a link may have been lost (a
// literal where a link belongs, a node with an error): one mistake, one finding.
func lintUnreachable(l *linter) {
	lost := func(d diag.Diagnostic) bool { return d.Code == "literal_on_link" }
	if l.opt.Targets != nil || slices.ContainsFunc(l.lints, lost) || slices.ContainsFunc(l.g.Nodes, func(n Node) bool { return n.Bad }) {
		return
	}
	needed := make([]bool, len(l.g.Nodes))
	for _, i := range l.g.sorted(l.roots) {
		needed[i] = true
	}
	groups := l.g.clusters(needed)
	used := make([]bool, len(l.g.Nodes))
	for i := range l.g.Nodes {
		for j := range l.g.Nodes[i].Inputs {
			if from := l.g.Nodes[i].Inputs[j].From; from >= 0 {
				used[from] = true
			}
		}
	}
	ended := make(map[int]bool) // clusters of which the last nodes are named
	for i := range l.g.Nodes {
		if !needed[i] && !used[i] {
			ended[groups.find(i)] = true
			l.unreachable(i)
		}
	}
	for i := range l.g.Nodes { // what is left are cycles: of each, the first node
		if !needed[i] && !ended[groups.find(i)] {
			ended[groups.find(i)] = true
			l.unreachable(i)
		}
	}
}

func (l *linter) unreachable(i int) {
	n := &l.g.Nodes[i]
	l.warn("unreachable_node", n.Key, n, "", "", "no output needs %s, so it never runs", n.called())
}

// clusters are sets of linked nodes (union-find): each node names another of its set, and the one that
// names itself stands for the set.
type clusters []int

// clusters joins the nodes that are left out of needed along their links.
func (g *Graph) clusters(needed []bool) clusters {
	c := make(clusters, len(g.Nodes))
	for i := range c {
		c[i] = i
	}
	for i := range g.Nodes {
		for j := range g.Nodes[i].Inputs {
			if from := g.Nodes[i].Inputs[j].From; from >= 0 && !needed[i] && !needed[from] {
				c[c.find(i)] = c.find(from)
			}
		}
	}
	return c
}

// find follows the names, and shortens the way for the next time.
func (c clusters) find(i int) int {
	for c[i] != i {
		c[i] = c[c[i]]
		i = c[i]
	}
	return i
}
