package prompt

import (
	"iter"
	"slices"
	"sort"
)

// choice takes options and joins them by the separator. Its own letter (! ~ @) goes before the method
// around it, but ! counts only where the index reaches.
func (e *evaluation) choice(n *node, c cursor) {
	method := n.method
	if method == inherit || method == all && c.bound {
		method = c.method
	}
	var few [4]taken
	var picks []taken
	inner := cursor{method: method, bound: method != all, seed: c.seed, step: c.step}
	switch method {
	case random:
		picks = n.draw(few[:0], c.seed)
	case cycle:
		// A step moves every choice by one; what stands within an option moves once the choice has been
		// round.
		size := n.size0()
		picks = n.place([]class{{1, len(n.kids)}}, few[:0], c.step%size)
		inner.step = c.step / size
	default:
		picks = n.pick(few[:0], c.index)
	}
	for k, p := range picks {
		if k > 0 {
			e.out = append(e.out, n.text...)
		}
		part := inner
		part.index, part.seed = p.index, mix(mix(c.seed, uint64(k)), 1)
		e.node(n.kids[p.option], part)
	}
}

// taken is an option, and which of its variants.
type taken struct {
	option int
	index  uint64
}

// size0 counts the ways to take options, whatever is in them.
func (n *node) size0() uint64 {
	size := uint64(0)
	for k := n.min; k <= n.max; k++ {
		size = add(size, falling(len(n.kids), k))
	}
	return max(size, 1)
}

// pick finds the options at an index of mode all. For the common {a|b|c} it is a division, or a search in
// the table of starts.
func (n *node) pick(out []taken, index uint64) []taken {
	if n.min != 1 || n.max != 1 {
		return n.place(n.classes, out, index)
	}
	if n.starts == nil {
		v := n.classes[0].variants
		return append(out, taken{int(index / v), index % v})
	}
	k := sort.Search(len(n.starts), func(i int) bool { return n.starts[i] > index }) - 1
	return append(out, taken{k, index - n.starts[k]})
}

// place finds the options at an index among all ways to take min to max of them: fewer first, then by the order of the options, then by
// their variants. classes are those of the options; one class with one variant leaves the variants out.
func (n *node) place(classes []class, out []taken, index uint64) []taken {
	count := n.min
	// First how many options: blocks of the index, the smaller numbers first.
	for ; count < n.max; count++ {
		if size := tuples(classes, count); index < size || size == many {
			break
		} else {
			index -= size
		}
	}
	// Then which ones, one after the other, each from the blocks of what can follow it.
	left := slices.Clone(classes)
	multiplier := uint64(1) // variants of the options taken so far
	for ; count > 0; count-- {
		option, rest := n.next(left, out, count, multiplier, index)
		v := n.variants(left, option)
		index, multiplier = rest, mul(multiplier, v)
		left[classOf(left, v)].options--
		out = append(out, taken{option: option})
	}
	// Then which variants: what is left of the index, the last option fastest.
	for k := len(out) - 1; k >= 0; k-- {
		if v := n.variants(left, out[k].option); v == many {
			out[k].index, index = index, 0
		} else {
			out[k].index, index = index%v, index/v
		}
	}
	return out
}

// variants gives those of an option, 1 where they are left out: with one class all options have as many, so
// none needs to be looked up.
func (n *node) variants(classes []class, option int) uint64 {
	if len(classes) == 1 {
		return classes[0].variants
	}
	return n.kids[option].n
}

// classOf gives the index of the class with a number of variants, which every option that is left has.
func classOf(classes []class, variants uint64) int {
	return slices.IndexFunc(classes, func(c class) bool { return c.variants == variants })
}

// next finds the first of count more options, and what is left of the index. Each option starts a block of
// equal size for its class; with one class the block is found by division, else by walking over the
// options.
func (n *node) next(left []class, out []taken, count int, multiplier, index uint64) (int, uint64) {
	blocks := make([]uint64, len(left)) // by class: the ways to go on from one of its options
	for i := range left {
		if left[i].options == 0 {
			continue
		}
		left[i].options--
		blocks[i] = mul(mul(multiplier, left[i].variants), tuples(left, count-1))
		left[i].options++
	}
	if len(left) == 1 && blocks[0] != many {
		skip := int(index / blocks[0])
		return nth(out, skip), index % blocks[0]
	}
	last := -1
	for option := range n.free(out) {
		last = option
		block := blocks[classOf(left, n.variants(left, option))]
		if index < block || block == many {
			break
		}
		index -= block
	}
	return last, index
}

// used lists the options that are taken, rising.
func used(out []taken) []int {
	list := make([]int, len(out))
	for i, t := range out {
		list[i] = t.option
	}
	slices.Sort(list)
	return list
}

// free walks over the options that are not taken.
func (n *node) free(out []taken) iter.Seq[int] {
	return func(yield func(int) bool) {
		skip := used(out)
		for option := range n.kids {
			if len(skip) > 0 && skip[0] == option {
				skip = skip[1:]
			} else if !yield(option) {
				return
			}
		}
	}
}

// nth gives the option that has skip others before it which are not taken.
func nth(out []taken, skip int) int {
	for _, u := range used(out) {
		if u <= skip {
			skip++
		}
	}
	return skip
}

// draw takes options at random: how many (each number equally likely), then each among those that are left,
// by their weights. An option is taken at most once.
func (n *node) draw(out []taken, seed uint64) []taken {
	count := n.min + int(fraction(mix(seed, 1))*float64(n.max-n.min+1))
	for k := range count {
		f := fraction(mix(mix(seed, 2), uint64(k)))
		if n.weights == nil {
			out = append(out, taken{option: nth(out, min(int(f*float64(len(n.kids)-k)), len(n.kids)-k-1))})
			continue
		}
		out = append(out, taken{option: n.weighted(out, f)})
	}
	return out
}

// weighted finds the option at a fraction of the weights of those that are left. Options without weight
// come last: they are drawn only when nothing else is left, as {2$$1::a|0::b} needs both. The first draw is
// a binary search.
func (n *node) weighted(out []taken, f float64) int {
	if len(out) == 0 {
		at := f * n.sums[len(n.sums)-1]
		return min(sort.Search(len(n.sums), func(i int) bool { return n.sums[i] > at }), len(n.sums)-1)
	}
	total := 0.0
	for i := range n.free(out) {
		total += n.weights[i]
	}
	last, sum := -1, 0.0
	for i := range n.free(out) {
		if n.weights[i] == 0 && total > 0 {
			continue
		}
		last = i
		if sum += n.weights[i]; total > 0 && sum > f*total {
			break
		}
	}
	return last
}
