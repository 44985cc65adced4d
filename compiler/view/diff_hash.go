// Digests by which nodes are matched at once, without comparing pairs. They go down (what feeds a node, to
// the sources) and up (what uses it, to the outputs); two nodes with both equal are in the same place of
// two equal workflows.

package view

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// digest is half of a SHA-256: enough to take equal digests for equal nodes.
type digest [16]byte

// side is one of the two workflows that are compared.
type side struct {
	v     *View
	parts [][]part       // the inputs by node, sorted by name
	byID  map[string]int // node by id
	local []digest       // of a node alone: its class and its literals
	down  []digest       // of a node and all that is behind its links: equal digests do the same
	up    []digest       // of a node and all that uses its outputs
}

// part is an input as it is compared.
type part struct {
	name       string
	literal    string   // canonical text
	value      *Literal // nil for a link
	from, slot int      // from is -1 for a literal
}

// edge leads to another node, for hashing; the label says over which slot and input.
type edge struct {
	label string
	node  int
}

// newSide hashes a workflow; it takes time linear in nodes and links, cycles aside.
func newSide(v *View) *side {
	s := &side{v: v, parts: make([][]part, len(v.Nodes)), local: make([]digest, len(v.Nodes)), byID: make(map[string]int, len(v.Nodes))}
	for i := range v.Nodes {
		s.byID[v.Nodes[i].ID] = i
		s.parts[i] = v.parts(i)
		s.local[i] = localDigest(v.Nodes[i].Class, s.parts[i])
	}
	s.down = s.digests(func(i int) []edge {
		return edges(v, v.Nodes[i].ins, func(l Link) int { return l.From })
	})
	s.up = s.digests(func(i int) []edge {
		return edges(v, v.Nodes[i].outs, func(l Link) int { return l.To })
	})
	return s
}

// edges lists what a node's links lead to, at the end that is wanted.
func edges(v *View, links []int, end func(Link) int) []edge {
	out := make([]edge, 0, len(links))
	for _, k := range links {
		l := v.Links[k]
		out = append(out, edge{strconv.Itoa(l.Slot) + " " + l.Input, end(l)})
	}
	return out
}

// parts lists the inputs of a node, literals and links alike.
func (v *View) parts(i int) []part {
	n := &v.Nodes[i]
	out := make([]part, 0, len(n.Literals)+len(n.ins))
	for k := range n.Literals {
		l := &n.Literals[k]
		out = append(out, part{name: l.Name, literal: string(canonical(nil, l.Value)), value: l, from: -1})
	}
	for _, k := range n.ins {
		l := v.Links[k]
		out = append(out, part{name: l.Input, from: l.From, slot: l.Slot})
	}
	sortBy(out, func(p part) string { return p.name })
	return out
}

// canonical writes a value so that equal ones read alike: numbers by value, keys sorted, texts in quotes.
func canonical(dst []byte, v *source.Value) []byte {
	switch v.Kind {
	case source.Number:
		return append(append(dst, 'n'), canonicalNumber(v)...)
	case source.Array:
		dst = append(dst, '[')
		for _, item := range v.Items {
			dst = append(canonical(dst, item), ',')
		}
		return append(dst, ']')
	case source.Object:
		members := slices.Clone(v.Members)
		slices.SortStableFunc(members, func(a, b source.Member) int { return cmp.Compare(a.Key, b.Key) })
		dst = append(dst, '{')
		for _, m := range members {
			dst = append(canonical(source.AppendQuoted(dst, m.Key), m.Value), ',')
		}
		return append(dst, '}')
	}
	return v.AppendJSON(dst)
}

// canonicalNumber prints 20 for 20.0 and 2e1; integers of any length keep their digits.
func canonicalNumber(v *source.Value) string {
	if n, ok := v.BigInt(); ok {
		return n.String()
	}
	f, _ := v.Float()
	if f == float64(int64(f)) && f > -1<<53 && f < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// localDigest hashes what a node has by itself: links count in down and up.
func localDigest(class string, parts []part) digest {
	buf := appendSized(nil, class)
	for _, p := range parts {
		if p.from < 0 {
			buf = appendSized(appendSized(buf, p.name), p.literal)
		}
	}
	return sum(buf)
}

// appendSized writes a text behind its length, so that no two lists of texts read alike.
func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func sum(b []byte) (d digest) {
	full := sha256.Sum256(b)
	copy(d[:], full[:])
	return d
}

// maxRounds bounds how far digests look around a cycle. Workflows that run have none, so this is about
// broken ones.
const maxRounds = 48

// digests hashes each node with those that next leads to, in the order in which all of those are known
// (Kahn's algorithm). Where next leads in a circle, and for what leads there, the digests of a few rounds
// are taken, each of which looks one node further.
func (s *side) digests(next func(i int) []edge) []digest {
	n := len(s.v.Nodes)
	out := slices.Clone(s.local)
	edges := make([][]edge, n)
	back := make([][]int, n)
	waits := make([]int, n)
	var order, rest []int
	for i := range n {
		edges[i] = next(i)
		waits[i] = len(edges[i])
		for _, e := range edges[i] {
			back[e.node] = append(back[e.node], i)
		}
		if waits[i] == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		i := order[at]
		out[i] = s.combine(i, edges[i], out)
		for _, k := range back[i] {
			if waits[k]--; waits[k] == 0 {
				order = append(order, k)
			}
		}
	}
	for i := range n {
		if waits[i] > 0 {
			rest = append(rest, i)
		}
	}
	for range min(len(rest), maxRounds) {
		old := slices.Clone(out)
		for _, i := range rest {
			out[i] = s.combine(i, edges[i], old)
		}
	}
	return out
}

// combine hashes a node with the digests of its neighbours, whatever their order.
func (s *side) combine(i int, edges []edge, known []digest) digest {
	items := make([]digest, 0, len(edges))
	for _, e := range edges {
		items = append(items, sum(append(appendSized(nil, e.label), known[e.node][:]...)))
	}
	slices.SortFunc(items, func(a, b digest) int { return slices.Compare(a[:], b[:]) })
	buf := append([]byte{}, s.local[i][:]...)
	for k := range items {
		buf = append(buf, items[k][:]...)
	}
	return sum(buf)
}
