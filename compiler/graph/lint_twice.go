package graph

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// lintTwice finds nodes that do the same as an earlier one: equal class, equal values, links to the same or equal nodes. Output nodes are left
// out: each owes its own file. Of a chain that is there twice only the last node is named.
func lintTwice(l *linter) {
	same := l.g.equals()
	copied := make([]bool, len(same)) // it feeds a node that is a copy itself
	for i := range same {
		for j := range l.g.Nodes[i].Inputs {
			if from := l.g.Nodes[i].Inputs[j].From; from >= 0 && same[i] != i {
				copied[from] = true
			}
		}
	}
	for _, i := range l.g.Order {
		if same[i] == i || copied[i] {
			continue
		}
		n, first := &l.g.Nodes[i], &l.g.Nodes[same[i]]
		l.lints = append(l.lints, diag.Warnf("equal_nodes", n.Key, "%s does the same as node %s: class and inputs are equal", n.called(), first.ID).
			About(n.ID, "").Noted(first.Key, "node %s is here", first.ID))
	}
}

// equals gives, by node, the first node in execution order that does the same; itself if there is none, and
// for output nodes. Since sources come first, the copies among a node's sources are known when it is met,
// so one walk finds equal chains of any length.
func (g *Graph) equals() []int {
	same := make([]int, len(g.Nodes))
	for i := range same {
		same[i] = i
	}
	first := make(map[string]int, len(g.Order))
	for _, i := range g.Order {
		n := &g.Nodes[i]
		if n.Def.OutputNode {
			continue
		}
		key := n.meaning(same)
		if earlier, found := first[key]; found {
			same[i] = earlier
		} else {
			first[key] = i
		}
	}
	return same
}

// meaning writes what a node does: its class and its inputs by name, with links to the first of equal
// nodes. Names go with their lengths, so that no two nodes read alike by chance: the line of seed = 5 is "4
// seed=5", of a link to slot 0 of the node with index 2 "5 model@2.0".
func (n *Node) meaning(same []int) string {
	parts := make([]string, 0, len(n.Inputs))
	var buf []byte
	for i := range n.Inputs {
		in := &n.Inputs[i]
		buf = append(strconv.AppendInt(buf[:0], int64(len(in.Name)), 10), ' ')
		buf = append(buf, in.Name...)
		if in.Linked() {
			buf = strconv.AppendInt(append(buf, '@'), int64(same[in.From]), 10)
			buf = strconv.AppendInt(append(buf, '.'), int64(in.Slot), 10)
		} else {
			buf = in.Value.AppendJSON(append(buf, '='))
		}
		parts = append(parts, string(buf))
	}
	slices.Sort(parts)
	return n.Class + "\n" + strings.Join(parts, "\n")
}
