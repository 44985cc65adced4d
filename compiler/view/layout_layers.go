package view

import (
	"cmp"
	"slices"
)

// layers gives each node its column: the longest path that leads to it, with the links that close a cycle
// left out, so that every link leads to the right. Then nodes that feed more slots than they take are moved
// right until they stand next to the first node that uses them: loaders do not all crowd in the first
// column.
func (l *layout) layers() {
	order := l.topological()
	l.layer = make([]int, len(l.v.Nodes))
	for _, i := range order {
		for _, k := range l.v.Nodes[i].outs {
			if to := l.v.Links[k].To; !l.cut[k] {
				l.layer[to] = max(l.layer[to], l.layer[i]+1)
			}
		}
	}
	for j := len(order) - 1; j >= 0; j-- {
		i := order[j]
		if n := &l.v.Nodes[i]; len(n.ins) < l.usedSlots(n) {
			l.layer[i] = max(l.layer[i], l.nextLayer(n)-1)
		}
	}
	l.closeUp()
}

// topological lists the nodes, sources first; without the links that were cut, none is left over.
func (l *layout) topological() []int {
	waits := make([]int, len(l.v.Nodes))
	for k, link := range l.v.Links {
		if !l.cut[k] {
			waits[link.To]++
		}
	}
	order := make([]int, 0, len(waits))
	for i, w := range waits {
		if w == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		for _, k := range l.v.Nodes[order[at]].outs {
			if l.cut[k] {
				continue
			}
			to := l.v.Links[k].To
			if waits[to]--; waits[to] == 0 {
				order = append(order, to)
			}
		}
	}
	return order
}

// usedSlots counts the outputs of a node that links leave from.
func (l *layout) usedSlots(n *Node) int {
	count, last := 0, map[int]bool{}
	for _, k := range n.outs {
		if s := l.v.Links[k].Slot; !last[s] {
			last[s] = true
			count++
		}
	}
	return count
}

// nextLayer is the column of the first node that uses n, 0 if none does.
func (l *layout) nextLayer(n *Node) int {
	first := 0
	for _, k := range n.outs {
		if to := l.layer[l.v.Links[k].To]; !l.cut[k] && (first == 0 || to < first) {
			first = to
		}
	}
	return first
}

// closeUp numbers the columns of each component from 0 without gaps.
func (l *layout) closeUp() {
	used := map[[2]int]bool{}
	for i, layer := range l.layer {
		used[[2]int{l.comp[i], layer}] = true
	}
	keys := make([][2]int, 0, len(used))
	for k := range used {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	renamed := make(map[[2]int]int, len(keys))
	at := 0
	for i, k := range keys {
		if i > 0 && k[0] != keys[i-1][0] {
			at = 0
		}
		renamed[k] = at
		at++
	}
	for i := range l.layer {
		l.layer[i] = renamed[[2]int{l.comp[i], l.layer[i]}]
	}
}

// bend makes the cells and the joints between them. The shortest links get their bends first; when there
// are 8 bends for each node (and 1000 more), the others are drawn straight: a link over a thousand columns
// would cost a thousand cells.
func (l *layout) bend() {
	budget := 8*len(l.v.Nodes) + 1000
	l.cells = make([]cell, len(l.v.Nodes))
	for i := range l.cells {
		l.cells[i] = cell{layer: l.layer[i], comp: l.comp[i], h: l.boxes[i].h}
	}
	links := make([]int, 0, len(l.v.Links))
	for k := range l.v.Links {
		if !l.cut[k] {
			links = append(links, k)
		}
	}
	sortBy(links, l.span)
	for _, k := range links {
		link := l.v.Links[k]
		from := port{link.From, link.Slot}
		missing := l.span(k) - 1 - len(l.routes[from])
		if missing > budget {
			l.plain = append(l.plain, k)
			continue
		}
		budget -= max(missing, 0)
		l.route(k, from)
	}
}

// span is how many columns a link leads to the right; at least 1 for those that are not cut.
func (l *layout) span(link int) int {
	return l.layer[l.v.Links[link].To] - l.layer[l.v.Links[link].From]
}

// route leads a link over the bends of its slot, which are made as far as they are missing.
func (l *layout) route(k int, from port) {
	for len(l.routes[from]) < l.span(k)-1 {
		bends := l.routes[from]
		at := len(l.cells)
		l.cells = append(l.cells, cell{layer: l.layer[from.node] + 1 + len(bends), comp: l.comp[from.node]})
		if len(bends) == 0 {
			l.leave(k, at, 0, 0.5, 2)
		} else {
			l.join(joint{a: bends[len(bends)-1], b: at, shareA: 0.5, shareB: 0.5, weight: 8, link: k})
		}
		l.routes[from] = append(bends, at)
	}
	y, share := l.entry(k)
	if span := l.span(k); span > 1 {
		l.join(joint{a: l.routes[from][span-2], b: l.v.Links[k].To, shareA: 0.5, yb: y, shareB: share, weight: 2, link: k})
		return
	}
	l.leave(k, l.v.Links[k].To, y, share, 1)
}

// leave joins the box that a link comes from with a cell in the next column. The weights: 1 for a direct
// link, 2 where one enters or leaves a row of bends, 8 between bends, which should be straight before
// anything else.
func (l *layout) leave(k, to int, y, share, weight float64) {
	link := l.v.Links[k]
	b := &l.boxes[link.From]
	ya := b.out[link.Slot]
	l.join(joint{a: link.From, b: to, ya: ya, yb: y, shareA: ya / b.h, shareB: share, weight: weight, link: k})
}

// entry is where a link enters its box.
func (l *layout) entry(k int) (y, share float64) {
	to := l.v.Links[k].To
	b := &l.boxes[to]
	y = b.in[l.inlet[k]]
	return y, y / b.h
}

// join enters a joint at both of its cells.
func (l *layout) join(j joint) {
	l.cells[j.a].right = append(l.cells[j.a].right, len(l.joints))
	l.cells[j.b].left = append(l.cells[j.b].left, len(l.joints))
	l.joints = append(l.joints, j)
}

// columns lists the cells by component and column, in their first order: as a walk in depth from the right meets them, so that what feeds one
// node stands together.
func (l *layout) columns() [][][]int {
	comps := 0
	for _, c := range l.comp {
		comps = max(comps, c+1)
	}
	out := make([][][]int, comps)
	for _, i := range l.walk() {
		c := &l.cells[i]
		for len(out[c.comp]) <= c.layer {
			out[c.comp] = append(out[c.comp], nil)
		}
		c.pos = len(out[c.comp][c.layer])
		out[c.comp][c.layer] = append(out[c.comp][c.layer], i)
	}
	return out
}

// walk lists all cells from the sinks backwards, in depth.
func (l *layout) walk() []int {
	seen := make([]bool, len(l.cells))
	order := make([]int, 0, len(l.cells))
	for root := range l.cells {
		if len(l.cells[root].right) > 0 {
			continue
		}
		for stack := []int{root}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[at] {
				continue
			}
			seen[at] = true
			order = append(order, at)
			for _, j := range slices.Backward(l.cells[at].left) {
				stack = append(stack, l.joints[j].a)
			}
		}
	}
	return order
}

// sortBy sorts a list by a key and keeps the order of equals.
func sortBy[T any, K cmp.Ordered](list []T, key func(T) K) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
