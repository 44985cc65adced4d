// From an index to a text. A result is found by walking down the nodes with a cursor that is split at every
// fork: the index as digits of a mixed radix, the seed by hashing. Nothing is listed, and no result is
// looked at on the way to another.

package prompt

// evaluation puts one result together.
type evaluation struct {
	out   []byte           // what is written so far
	bound map[*node]string // what immediate variables were chosen to be
}

// cursor says which of a node's results is wanted.
type cursor struct {
	method method // of choices that have none of their own
	bound  bool   // within a random or cycled choice, where ! is ignored
	index  uint64 // among the variants that are walked through
	seed   uint64 // of random choices
	step   uint64 // of cycled choices
}

// variants counts the results of a node that the index of a cursor tells apart; 1 for what is drawn or
// cycled and so takes no part of it.
func (c cursor) variants(n *node) uint64 {
	switch {
	case c.bound:
		return 1
	case c.method == all:
		return n.n
	}
	return n.walked
}

// node appends the result of a node that a cursor picks.
func (e *evaluation) node(n *node, c cursor) {
	switch n.kind {
	case literal:
		e.out = append(e.out, n.text...)
	case sequence:
		e.sequence(n, c)
	case choice:
		e.choice(n, c)
	case assign:
		// An immediate variable writes nothing: its text is cut off again and kept for the uses.
		at := len(e.out)
		e.node(n.kids[0], c)
		if e.bound == nil {
			e.bound = map[*node]string{}
		}
		e.bound[n] = string(e.out[at:])
		e.out = e.out[:at]
	case use:
		e.out = append(e.out, e.bound[n.of]...)
	}
}

// sequence splits the index among the parts, the last one fastest.
func (e *evaluation) sequence(n *node, c cursor) {
	var few [16]uint64 // most texts have few parts and need no allocation
	digits := few[:0]
	if len(n.kids) > len(few) {
		digits = make([]uint64, 0, len(n.kids))
	}
	digits = digits[:len(n.kids)]
	index := c.index
	for k := len(n.kids) - 1; k >= 0; k-- {
		digits[k] = 0
		// The last part that is many takes all that is left; the parts before it stay at their first
		// result.
		if v := c.variants(n.kids[k]); v == many {
			digits[k], index = index, 0
		} else if v > 1 {
			digits[k], index = index%v, index/v
		}
	}
	for k, kid := range n.kids {
		part := c
		part.index, part.seed = digits[k], mix(c.seed, uint64(k))
		e.node(kid, part)
	}
}

// mix derives the seed of a part (the finalizer of splitmix64); k + 1, so that the part 0 has another seed
// than the whole.
func mix(seed, k uint64) uint64 {
	x := seed + (k+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fraction gives a number from 0 up to, but not including, 1: the upper 53 bits, which a float64 holds
// exactly.
func fraction(seed uint64) float64 { return float64(seed>>11) / (1 << 53) }
