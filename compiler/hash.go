package compiler

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// hasher gives render ids. The hash of a node is made of its class and its inputs by name, links as the
// hash of the node behind them, and so it does not know ids and titles; the id of a render is made of the
// hashes of the outputs that are owed, without their prefixes. A node whose hash depends on few axes
// keeps a table of its hashes by their values, so that per render only the nodes that really change are
// hashed. A change of what is hashed changes all ids, and with them every cache: the "1" in the text that
// begins a render's hash is its version.
type hasher struct {
	values *resolver
	nodes  []hashNode // sources first
	owed   []int      // indexes in nodes
	now    []digest   // the hashes at the coordinate that was asked for last
	buf    []byte
	sorted []digest
}

// digest is a whole SHA-256: ids are the keys under which finished work is found again, also across
// machines.
type digest = [sha256.Size]byte

// hashNode is a node with the bytes that its hash is made of.
// segments: constant text between two values is one piece, so hashing copies little.
type hashNode struct {
	segments []segment
	table
	memo []digest // by the table's key
	have []bool
}

// segment is a piece of what is hashed: constant bytes, then the value of a slot or the hash of an earlier node.
type segment struct {
	text  []byte
	slot  *slot // nil for none
	child int   // index in hasher.nodes, -1 for none
}

// The memory in bytes that tables of hashes may take, of one node and of all together.
const (
	maxNodeMemo = 4 << 20
	maxAllMemo  = 48 << 20
)

// newHasher lays out the hashes of all needed nodes of a form and shares budget bytes for tables among them, sources first: they change least.
// Without any, no tables are made: where few renders are hashed they cost more than they save.
func newHasher(f *form, budget int) *hasher {
	h := &hasher{values: f.values, now: make([]digest, len(f.order)), nodes: make([]hashNode, len(f.order))}
	place := map[int]int{}
	// place is complete for all sources of a node when it is laid out, as they stand before it.
	for k, node := range f.order {
		place[node] = k
		h.nodes[k] = f.hashNode(node, place)
		t := newTable(h.depends(k), f.values.axes, maxNodeMemo/sha256.Size)
		if t.size*sha256.Size > budget {
			t.size = 0
		}
		budget -= t.size * sha256.Size
		h.nodes[k].table = t
		h.nodes[k].memo, h.nodes[k].have = make([]digest, t.size), make([]bool, t.size)
	}
	for _, o := range f.outputs {
		h.owed = append(h.owed, place[o.node])
	}
	return h
}

// depends lists the axes that the hash of node k depends on: those of its slots and of the nodes behind it.
func (h *hasher) depends(k int) []int {
	var out []int
	for _, s := range h.nodes[k].segments {
		if s.slot != nil {
			out = append(out, s.slot.axes...)
		}
		if s.child >= 0 {
			out = append(out, h.nodes[s.child].axes...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hashNode lays out what the hash of a node is made of.
func (f *form) hashNode(node int, place map[int]int) (out hashNode) {
	n := &f.graph.Nodes[node]
	class := n.Class
	isOutput := false
	for _, o := range f.outputs {
		if o.node == node {
			class, isOutput = o.class, true
		}
	}
	order := make([]int, 0, len(n.Inputs))
	for k := range n.Inputs {
		if !isOutput || n.Inputs[k].Name != prefixInput { // the prefix is comfyc's own, and no part of what is paid for
			order = append(order, k)
		}
	}
	// The order of inputs in the file does not matter.
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(n.Inputs[a].Name, n.Inputs[b].Name) })
	text := appendText([]byte{'c'}, class)
	for _, k := range order {
		in := &n.Inputs[k]
		text = appendText(append(text, 'i'), in.Name)
		seg := segment{child: -1}
		switch s := f.values.find(node, k); {
		case s != nil:
			seg.slot = s
		case in.Linked():
			text = binary.AppendVarint(append(text, 'l'), int64(in.Slot))
			seg.child = place[in.From]
		default:
			text = appendValue(text, in.Value)
			continue
		}
		seg.text, text = text, nil
		out.segments = append(out.segments, seg)
	}
	out.segments = append(out.segments, segment{text: text, child: -1})
	return out
}

// find gives the slot of an input, nil if it has none.
func (r *resolver) find(node, index int) *slot {
	for i := range r.slots {
		if s := &r.slots[i]; s.node == node && s.index == index {
			return s
		}
	}
	return nil
}

// id gives the render id at a coordinate.
func (h *hasher) id(at []int) RenderID {
	for k := range h.nodes {
		h.node(k, at)
	}
	h.sorted = h.sorted[:0]
	for _, k := range h.owed {
		h.sorted = append(h.sorted, h.now[k])
	}
	slices.SortFunc(h.sorted, func(a, b digest) int { return bytes.Compare(a[:], b[:]) }) // the order of the outputs does not matter
	h.buf = append(h.buf[:0], "comfyc render 1"...)
	for i := range h.sorted {
		h.buf = append(h.buf, h.sorted[i][:]...)
	}
	return sha256.Sum256(h.buf)
}

// node brings the hash of one node to a coordinate.
func (h *hasher) node(k int, at []int) {
	n := &h.nodes[k]
	if n.size == 0 {
		h.now[k] = h.sum(n, at)
		return
	}
	key := n.key(at)
	if !n.have[key] {
		n.memo[key], n.have[key] = h.sum(n, at), true
	}
	h.now[k] = n.memo[key]
}

// sum hashes one node; the hashes of the nodes behind it must be those of the same coordinate.
func (h *hasher) sum(n *hashNode, at []int) digest {
	h.buf = h.buf[:0]
	for i := range n.segments {
		s := &n.segments[i]
		h.buf = append(h.buf, s.text...)
		switch {
		case s.slot != nil:
			h.buf = appendValue(h.buf, h.values.value(s.slot, at))
		case s.child >= 0:
			h.buf = append(h.buf, h.now[s.child][:]...)
		}
	}
	return sha256.Sum256(h.buf)
}

// appendText writes a string behind its length, so that no other string continues it: "a" then "bc" is
// not "ab" then "c".
func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendValue writes a value in one form for all its spellings: 8 and 8.0 are equal, the order of keys
// does not matter. A letter tells the kinds apart; nil, an input that is not given, is none of them.
func appendValue(dst []byte, v *source.Value) []byte {
	if v == nil {
		return append(dst, '-')
	}
	switch v.Kind {
	case source.Bool:
		if v.Bool {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case source.Number:
		return appendText(append(dst, 'n'), sweep.Canonical(v))
	case source.String:
		return appendText(append(dst, 's'), v.Text)
	case source.Array:
		dst = binary.AppendUvarint(append(dst, 'a'), uint64(len(v.Items)))
		for _, item := range v.Items {
			dst = appendValue(dst, item)
		}
		return dst
	case source.Object:
		members := slices.Clone(v.Members)
		slices.SortStableFunc(members, func(a, b source.Member) int { return strings.Compare(a.Key, b.Key) })
		dst = binary.AppendUvarint(append(dst, 'o'), uint64(len(members)))
		for _, m := range members {
			dst = appendValue(appendText(dst, m.Key), m.Value)
		}
		return dst
	}
	return append(dst, '0')
}
