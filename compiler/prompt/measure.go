package prompt

import "slices"

// measure finds what follows from the kids: how many variants there are, and how large a result can be. A
// node is measured once, when it is made; its kids have been by then, and are never changed.
func (n *node) measure() {
	n.n, n.walked = 1, 1
	n.size, n.steps = len(n.text), 1 // a literal: one result of its own length
	switch n.kind {
	case use:
		n.size, n.alternate = n.of.size, true
	case sequence, assign:
		n.join()
	case choice:
		n.alternate = true
		n.choose()
		n.sum()
	}
}

// sum adds the weights up, so that a place among them is found fast.
func (n *node) sum() {
	total := 0.0
	for i := range n.weights {
		total += n.weights[i]
		n.sums = append(n.sums, total)
	}
}

// join is for parts that all are there.
func (n *node) join() {
	for _, kid := range n.kids {
		n.n, n.walked = mul(n.n, kid.n), mul(n.walked, kid.walked)
		n.size, n.steps = capped(n.size+kid.size), capped(n.steps+kid.steps)
		n.alternate = n.alternate || kid.alternate
	}
}

// capped keeps sizes far from an overflow.
func capped(n int) int { return min(n, 1<<40) }

// choose is for options of which some are there. A choice with ~ or @ does not multiply.
func (n *node) choose() {
	largest, longest := 0, 0
	for _, kid := range n.kids {
		largest, longest = max(largest, kid.size), max(longest, kid.steps)
	}
	n.size = capped(n.max*largest + max(n.max-1, 0)*len(n.text))
	n.steps = capped(1 + n.max*longest)
	if n.method == random || n.method == cycle {
		return
	}
	if n.classify(); !n.single() {
		// Placing a pick of several options counts as steps in proportion to its cost, so that maxSteps
		// bounds the time of a result too.
		n.steps = capped(n.steps + n.cost()/maxCost*maxSteps + n.cost()%maxCost/(maxCost/maxSteps))
	}
	n.n = 0
	if n.single() {
		for _, kid := range n.kids {
			n.n = add(n.n, kid.n)
		}
	} else if n.cost() <= maxCost {
		for k := n.min; k <= n.max; k++ {
			n.n = add(n.n, tuples(n.classes, k))
		}
	}
	if n.method == all {
		n.walked = n.n
	}
}

// single tells that just one option is taken.
func (n *node) single() bool { return n.min == 1 && n.max == 1 }

// maxCost bounds cost: some 30 million steps, a fraction of a second for one result.
const maxCost = 1 << 25

// cost is about how many steps it takes to find one place among the ways to take several options.
func (n *node) cost() int {
	d, k := len(n.classes), n.max
	return max(d*d*k*k*k, d*len(n.kids)*k)
}

// classify counts the options by their numbers of variants, smallest first. One class needs no table; a
// choice of a single option among several classes gets the table of starts instead of counting tuples.
func (n *node) classify() {
	counts := make([]uint64, len(n.kids))
	same := true
	for i, kid := range n.kids {
		counts[i] = kid.n
		same = same && kid.n == counts[0]
	}
	if same {
		n.classes = []class{{counts[0], len(counts)}}
		return
	}
	if n.single() {
		n.starts = make([]uint64, len(counts))
		for i := 1; i < len(counts); i++ {
			n.starts[i] = add(n.starts[i-1], counts[i-1])
		}
	}
	slices.Sort(counts)
	for i, c := range counts {
		if i == 0 || c != counts[i-1] {
			n.classes = append(n.classes, class{variants: c})
		}
		n.classes[len(n.classes)-1].options++
	}
}
