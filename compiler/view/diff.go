// The comparison of two workflows by meaning. A text diff of two exports is useless: ids are renumbered and
// keys move with every save. Here a node is what its class, its values and its links make it, wherever it
// stands in the file.

package view

// Changes is how one workflow differs from another in what it does.
type Changes struct {
	Changed []Change // matched nodes with a difference, in the order of the first workflow
	Removed []*Node  // of the first workflow
	Added   []*Node  // of the second workflow
	Same    int      // matched nodes without a difference

	a, b *View
}

// Change is a node that both workflows have.
type Change struct {
	A, B   *Node         // never nil
	ID     bool          // the id differs; looked at only if DiffOptions.Strict is set
	Title  bool          // the author's title differs; likewise
	Inputs []InputChange // those that differ, sorted by name
}

// InputChange is an input that differs; where it is not given, that side is zero.
type InputChange struct {
	Name     string
	Old, New Given // sides of the first and the second workflow
}

// Given is what an input is given: a literal, or a link from a node. The zero value is an input that is not given.
type Given struct {
	Literal *Literal // nil for a link
	From    *Node    // nil for a literal
	Slot    int      // of From, from 0
}

// DiffOptions say what counts as a difference. The zero value looks at the meaning alone.
type DiffOptions struct {
	Strict bool // ids and titles count too
}

// Equal tells that there is no difference.
func (c *Changes) Equal() bool { return len(c.Changed)+len(c.Removed)+len(c.Added) == 0 }

// Diff tells what is different in b. Nodes are matched by what they do first: equal class, equal values, and equal nodes behind their links, then
// equal use of their outputs; then by what is most alike around them; at last by id. A link that leads to a node which does the same as before
// is no difference, even if there are several of those. Numbers are compared by value: 20 and 20.0 are equal.
// Matching comes first and decides everything: an unmatched pair would be told as one node removed and
// another added.
func Diff(a, b *View, opt DiffOptions) *Changes {
	m := newMatcher(a, b)
	m.match()
	c := &Changes{a: a, b: b}
	for i := range a.Nodes {
		if m.toB[i] < 0 {
			c.Removed = append(c.Removed, &a.Nodes[i])
			continue
		}
		change := m.compare(i, m.toB[i])
		if opt.Strict {
			change.ID = change.A.ID != change.B.ID
			change.Title = change.A.author() != change.B.author()
		}
		if change.ID || change.Title || len(change.Inputs) > 0 {
			c.Changed = append(c.Changed, change)
		} else {
			c.Same++
		}
	}
	for j := range b.Nodes {
		if m.toA[j] < 0 {
			c.Added = append(c.Added, &b.Nodes[j])
		}
	}
	return c
}

// author is the title that the author gave, "" if it is the class's own: exports repeat the class's title
// on every node.
func (n *Node) author() string {
	if n.Named {
		return n.Title
	}
	return ""
}

// compare lists the inputs in which two matched nodes differ, in the order of their names.
func (m *matcher) compare(i, j int) Change {
	c := Change{A: &m.a.v.Nodes[i], B: &m.b.v.Nodes[j]}
	m.each(i, j, func(x, y *part) {
		if m.alike(x, y) {
			return
		}
		in := InputChange{Old: m.a.given(x), New: m.b.given(y)}
		if x != nil {
			in.Name = x.name
		} else {
			in.Name = y.name
		}
		c.Inputs = append(c.Inputs, in)
	})
	return c
}

// each walks the inputs of two nodes by name, as one merges two sorted lists; what one of them is not given
// is nil.
func (m *matcher) each(i, j int, do func(x, y *part)) {
	xs, ys := m.a.parts[i], m.b.parts[j]
	for len(xs)+len(ys) > 0 {
		switch {
		case len(ys) == 0 || len(xs) > 0 && xs[0].name < ys[0].name:
			do(&xs[0], nil)
			xs = xs[1:]
		case len(xs) == 0 || ys[0].name < xs[0].name:
			do(nil, &ys[0])
			ys = ys[1:]
		default:
			do(&xs[0], &ys[0])
			xs, ys = xs[1:], ys[1:]
		}
	}
}

// alike tells whether two inputs mean the same as far as nodes are matched by now: equal literals, or links
// from the same slot of nodes that are matched or do the same.
func (m *matcher) alike(x, y *part) bool {
	switch {
	case x == nil || y == nil:
		return x == y
	case x.from < 0 || y.from < 0:
		return x.from == y.from && x.literal == y.literal
	case x.slot != y.slot:
		return false
	}
	return m.toB[x.from] == y.from || m.a.down[x.from] == m.b.down[y.from]
}

// given turns an input into what the public types say; nil is one that is not given.
func (s *side) given(p *part) Given {
	switch {
	case p == nil:
		return Given{}
	case p.from < 0:
		return Given{Literal: p.value}
	}
	return Given{From: &s.v.Nodes[p.from], Slot: p.slot}
}
