// The matching. Each step takes pairs that are surer than those of the next, as a wrong pair misleads all
// that follow: equal in every way; alone in doing or in being used as they do; in the same place beside a
// pair; most alike; and what is left by id or class.

package view

// matcher finds which node of b is which node of a. toB and toA are -1 for nodes without a partner.
type matcher struct {
	a, b     *side
	toB, toA []int
	work     int      // comparisons of pairs that may still be made
	fresh    frontier // see follow and spread
}

// The bounds of the search among alike nodes.
const (
	maxWork     = 1_000_000 // comparisons of pairs in all
	maxAllPairs = 2_000     // pairs of one class up to which each is looked at
	maxAround   = 12        // candidates taken from one neighbour
	maxUses     = 48        // links from a node that a comparison looks at
)

// newMatcher starts with no pairs.
func newMatcher(a, b *View) *matcher {
	m := &matcher{a: newSide(a), b: newSide(b), toB: make([]int, len(a.Nodes)), toA: make([]int, len(b.Nodes)), work: maxWork}
	for i := range m.toB {
		m.toB[i] = -1
	}
	for j := range m.toA {
		m.toA[j] = -1
	}
	return m
}

// match runs the steps in order, the surest first. Pairs are never taken back.
func (m *matcher) match() {
	down := func(s *side, i int) digest { return s.down[i] }
	byDigest(m, func(s *side, i int) [2]digest { return [2]digest{s.down[i], s.up[i]} })
	onlyOnes(m, down)
	onlyOnes(m, func(s *side, i int) digest { return s.up[i] })
	m.follow()
	byDigest(m, down)
	for m.spread() || m.round(false) || m.round(true) {
	}
	m.byID()
	m.lastOfClass()
}

// pair matches node i of a with node j of b, which both are free, and lets the search go on from there.
func (m *matcher) pair(i, j int) {
	m.toB[i], m.toA[j] = j, i
	m.fresh.strict = append(m.fresh.strict, i)
}

// byDigest matches the nodes with equal keys; among several, those with the same id first, then those with the same title, then in order.
func byDigest[K comparable](m *matcher, key func(*side, int) K) {
	groups := map[K][]int{}
	for j := range m.toA {
		if m.toA[j] < 0 {
			k := key(m.b, j)
			groups[k] = append(groups[k], j)
		}
	}
	for i := range m.toB { // the same id
		if j, ok := m.b.byID[m.a.v.Nodes[i].ID]; ok && m.toB[i] < 0 && m.toA[j] < 0 && key(m.a, i) == key(m.b, j) {
			m.pair(i, j)
		}
	}
	type titled struct {
		key   K
		title string
	}
	named := map[titled][]int{}
	for k, group := range groups {
		for _, j := range group {
			t := titled{k, m.b.v.Nodes[j].Title}
			named[t] = append(named[t], j)
		}
	}
	for i := range m.toB {
		if m.toB[i] < 0 {
			k := key(m.a, i)
			t := titled{k, m.a.v.Nodes[i].Title}
			named[t] = m.take(i, named[t])
		}
	}
	for i := range m.toB {
		if m.toB[i] < 0 {
			k := key(m.a, i)
			groups[k] = m.take(i, groups[k])
		}
	}
}

// onlyOnes matches nodes that are alone with their key in both workflows, as far as those have no partner.
func onlyOnes[K comparable](m *matcher, key func(*side, int) K) {
	only := func(s *side, partner []int) map[K]int {
		out := map[K]int{}
		for i, p := range partner {
			if p >= 0 {
				continue
			}
			k := key(s, i)
			if _, twice := out[k]; twice {
				out[k] = -1
			} else {
				out[k] = i
			}
		}
		return out
	}
	theirs := only(m.b, m.toA)
	mine := only(m.a, m.toB)
	for i := range m.toB {
		k := key(m.a, i)
		if j, ok := theirs[k]; ok && j >= 0 && mine[k] == i && m.toB[i] < 0 {
			m.pair(i, j)
		}
	}
}

// take matches i with the first free node of a list and gives what is left of it. Lists are used up from
// the front, so the time of all calls on one is its length.
func (m *matcher) take(i int, list []int) []int {
	for n, j := range list {
		if m.toA[j] < 0 {
			m.pair(i, j)
			return list[n+1:]
		}
	}
	return nil
}

// choice is the best partner found for a node so far.
type choice struct {
	node, score int
	tied        bool // another one is as good
}

// offer puts a candidate forward.
func (c *choice) offer(node, score int) {
	switch {
	case score > c.score:
		*c = choice{node, score, false}
	case score == c.score:
		c.tied = true
	}
}

// round matches pairs of which each is the other's best; with ties, also where another one is as good. It
// tells whether it matched any. A tie is broken by taking one pair only: the next round sees more clearly.
func (m *matcher) round(ties bool) bool {
	bestA, bestB := map[int]*choice{}, map[int]*choice{}
	var order []int
	classes := m.free(m.b, m.toA)
	mine := m.free(m.a, m.toB)
	for i := range m.toB {
		if m.toB[i] >= 0 {
			continue
		}
		order = append(order, i)
		bestA[i] = &choice{node: -1, score: 1} // a score of 1 must be beaten: an equal id alone is no likeness
		class := m.a.v.Nodes[i].Class
		for _, j := range m.candidates(i, classes[class], len(mine[class])) {
			if m.work--; m.work < 0 {
				return false
			}
			if bestB[j] == nil {
				bestB[j] = &choice{node: -1, score: 1}
			}
			score := m.score(i, j)
			bestA[i].offer(j, score)
			bestB[j].offer(i, score)
		}
	}
	matched := false
	for _, i := range order {
		c := bestA[i]
		if c.node < 0 || m.toA[c.node] >= 0 {
			continue
		}
		back := bestB[c.node]
		if back.score == c.score && (ties || back.node == i && !c.tied && !back.tied) {
			m.pair(i, c.node)
			matched = true
			if ties {
				break // what is near it may be clear now
			}
		}
	}
	return matched
}

// free lists the nodes without a partner by class, each list in the order of the workflow.
func (m *matcher) free(s *side, partner []int) map[string][]int {
	out := map[string][]int{}
	for i, p := range partner {
		if p < 0 {
			class := s.v.Nodes[i].Class
			out[class] = append(out[class], i)
		}
	}
	return out
}

// candidates lists the nodes of b that i may be: all of its class if they are few, else those with its id
// and those near the partners of its neighbours. rivals is how many nodes of a want one of that class.
func (m *matcher) candidates(i int, class []int, rivals int) []int {
	if len(class)*rivals <= maxAllPairs {
		return class
	}
	var out []int
	add := func(j int) bool {
		if m.toA[j] < 0 && m.b.v.Nodes[j].Class == m.a.v.Nodes[i].Class {
			out = append(out, j)
		}
		return len(out)%maxAround != maxAround-1
	}
	if j, ok := m.b.byID[m.a.v.Nodes[i].ID]; ok {
		add(j)
	}
	for _, k := range m.a.v.Nodes[i].ins {
		if p := m.toB[m.a.v.Links[k].From]; p >= 0 {
			m.eachOf(m.b.v.Nodes[p].outs, func(l Link) bool { return add(l.To) })
		}
	}
	for n, k := range m.a.v.Nodes[i].outs {
		if p := m.toB[m.a.v.Links[k].To]; p >= 0 && n < maxUses {
			m.eachOf(m.b.v.Nodes[p].ins, func(l Link) bool { return add(l.From) })
		}
	}
	return unique(out)
}

// eachOf walks links of b until do says no, at most maxUses of them.
func (m *matcher) eachOf(links []int, do func(Link) bool) {
	for n, k := range links {
		if n == maxUses || !do(m.b.v.Links[k]) {
			return
		}
	}
}

// unique drops repeats in place and keeps the order.
func unique(list []int) []int {
	seen := make(map[int]bool, len(list))
	out := list[:0]
	for _, j := range list {
		if !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	return out
}

// The weights of what two nodes of one class have in common. Links weigh most: what a node is joined to
// says more than its values, which people change, and its id says next to nothing.
const (
	weightLink    = 4
	weightLiteral = 2
	weightTitle   = 3
	weightID      = 1
)

// score sums up what two nodes of one class have in common; 0 for nothing.
func (m *matcher) score(i, j int) int {
	a, b := &m.a.v.Nodes[i], &m.b.v.Nodes[j]
	score := 0
	m.each(i, j, func(x, y *part) {
		switch {
		case x == nil || y == nil || !m.alike(x, y):
		case x.from < 0:
			score += weightLiteral
		default:
			score += weightLink
		}
	})
	if a.Named && b.Named && a.Title == b.Title {
		score += weightTitle
	}
	if a.ID == b.ID {
		score += weightID
	}
	return score + m.uses(a, b)
}

// uses counts the links by which both nodes feed the same inputs of matched nodes.
func (m *matcher) uses(a, b *Node) (score int) {
	fed := map[port]string{}
	for n, k := range b.outs {
		if l := m.b.v.Links[k]; n < maxUses {
			fed[port{l.To, l.Slot}] = l.Input
		}
	}
	for n, k := range a.outs {
		l := m.a.v.Links[k]
		if p := m.toB[l.To]; p >= 0 && n < maxUses && fed[port{p, l.Slot}] == l.Input {
			score += weightLink
		}
	}
	return score
}

// byID matches what is left with equal class and id: changed beyond likeness, but still the node that the
// author calls by that number.
func (m *matcher) byID() {
	for i := range m.toB {
		n := &m.a.v.Nodes[i]
		if j, ok := m.b.byID[n.ID]; ok && m.toB[i] < 0 && m.toA[j] < 0 && m.b.v.Nodes[j].Class == n.Class {
			m.pair(i, j)
		}
	}
}

// lastOfClass matches the nodes of a class of which each workflow has one left.
func (m *matcher) lastOfClass() {
	theirs := m.free(m.b, m.toA)
	for class, mine := range m.free(m.a, m.toB) {
		if len(mine) == 1 && len(theirs[class]) == 1 {
			m.pair(mine[0], theirs[class][0])
		}
	}
}
