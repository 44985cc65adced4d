package view

import (
	"cmp"
	"maps"
	"slices"
)

// frontier holds the matched nodes of a whose neighbours are still to be looked at: for nodes of equal
// values, and then for nodes of equal class. Each matched node is in each list once, so the search ends.
type frontier struct{ strict, loose []int }

// The keys by which neighbours in the same position are compared.
func byValues(s *side, i int) string { return string(s.local[i][:]) }
func byClass(s *side, i int) string  { return s.v.Nodes[i].Class }

// follow matches outwards from what is matched, as far as nodes of equal values go: nodes that feed the same input of matched nodes, and nodes
// that are alone in being fed by the same output through the same input. It tells whether it matched any.
func (m *matcher) follow() (matched bool) {
	f := &m.fresh
	for len(f.strict) > 0 {
		i := f.strict[0]
		f.strict, f.loose = f.strict[1:], append(f.loose, i)
		matched = m.near(i, byValues) || matched
	}
	return matched
}

// spread is follow that goes on over nodes of equal class, where nodes of equal values lead no further.
func (m *matcher) spread() (matched bool) {
	matched = m.follow()
	for f := &m.fresh; len(f.loose) > 0; {
		i := f.loose[0]
		f.loose = f.loose[1:]
		if m.near(i, byClass) {
			m.follow()
			matched = true
		}
	}
	return matched
}

// near matches the neighbours of a matched node that are in the same position and of which key says the
// same: upwards what feeds the same input, and downwards what is fed through the same slot and input, if it
// is the only one.
func (m *matcher) near(i int, key func(*side, int) string) (matched bool) {
	j := m.toB[i]
	m.each(i, j, func(x, y *part) {
		if x == nil || y == nil || x.from < 0 || y.from < 0 || x.slot != y.slot || m.toB[x.from] >= 0 || m.toA[y.from] >= 0 {
			return
		}
		if key(m.a, x.from) == key(m.b, y.from) {
			m.pair(x.from, y.from)
			matched = true
		}
	})
	ours, theirs := m.a.users(i, m.toB, key), m.b.users(j, m.toA, key)
	// In one order, as a pair that is made may take a node away from another use of it.
	for _, u := range slices.SortedFunc(maps.Keys(ours), use.compare) {
		to := ours[u]
		if at, ok := theirs[u]; ok && to >= 0 && at >= 0 && m.toB[to] < 0 && m.toA[at] < 0 {
			m.pair(to, at)
			matched = true
		}
	}
	return matched
}

// use is how an output is used: by which input of what kind of node.
type use struct {
	slot       int
	input, key string
}

func (u use) compare(v use) int {
	return cmp.Or(cmp.Compare(u.slot, v.slot), cmp.Compare(u.input, v.input), cmp.Compare(u.key, v.key))
}

// users finds the nodes without a partner that a node feeds; -1 where several do so in the same way.
func (s *side) users(i int, partner []int, key func(*side, int) string) map[use]int {
	out := map[use]int{}
	for _, k := range s.v.Nodes[i].outs {
		l := s.v.Links[k]
		if partner[l.To] >= 0 {
			continue
		}
		u := use{l.Slot, l.Input, key(s, l.To)}
		if _, twice := out[u]; twice {
			out[u] = -1
		} else {
			out[u] = l.To
		}
	}
	return out
}
