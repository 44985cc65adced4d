package worker

import "sort"

// mostKinds is the number of different colours above which Pillow drops low bits.
const mostKinds = 65536

// Which colours an image gets depends on every tie in this file: which box is
// cut first of two that are equally full, on which side the colours at the cut
// fall. They are broken as Pillow breaks them, so that the palette is the same.

// medianCut finds up to n colours for RGB bytes, as Pillow's quantizer does: the
// box with the most pixels is cut along its widest axis (weighted by how bright
// the channel looks) where half of its pixels lie; a colour is a box's average.
func medianCut(pix []uint8, n int) []rgb8 {
	kinds, shift := countColours(pix)
	var boxes boxHeap
	boxes.add(&colourBox{kinds: kinds, pixels: len(pix) / 3})
	var done []*colourBox
	for ; n > 1 && len(boxes) > 0; n-- {
		b := boxes.remove()
		// A box of one colour cannot be cut and is a colour of the palette as
		// it is.
		for b != nil && b.volume() == 1 {
			done = append(done, b)
			b = boxes.remove()
		}
		if b == nil {
			break
		}
		b.split()
		boxes.add(b.left)
		boxes.add(b.right)
	}
	done = append(done, boxes...)
	return averages(pix, shift, leaves(root(done), nil))
}

// colourKind is a colour, its low bits dropped, and how many pixels have it.
type colourKind struct {
	c     rgb8 // shifted down by what was dropped
	count int
}

// colourBox is a node of the tree of cuts.
type colourBox struct {
	kinds               []colourKind
	pixels              int        // of all kinds together
	parent, left, right *colourBox // left and right are nil in a box that was not cut
}

// root climbs to the first box.
func root(boxes []*colourBox) *colourBox {
	b := boxes[0]
	for b.parent != nil {
		b = b.parent
	}
	return b
}

// leaves lists the boxes that were not cut, from left to right.
func leaves(b *colourBox, out []*colourBox) []*colourBox {
	if b.left == nil {
		return append(out, b)
	}
	return leaves(b.right, leaves(b.left, out))
}

// countColours counts the different colours, dropping as many low bits as are
// needed to have few enough.
func countColours(pix []uint8) (kinds []colourKind, shift int) {
	for ; ; shift++ {
		count := map[rgb8]int{}
		for i := 0; i < len(pix) && len(count) <= mostKinds; i += 3 {
			count[rgb8{pix[i] >> shift, pix[i+1] >> shift, pix[i+2] >> shift}]++
		}
		if len(count) > mostKinds {
			continue
		}
		for c, n := range count {
			kinds = append(kinds, colourKind{c, n})
		}
		return kinds, shift
	}
}

// span gives the least and the largest value of a channel.
func (b *colourBox) span(k int) (low, high int) {
	low, high = 255, 0
	for _, kind := range b.kinds {
		low, high = min(low, int(kind.c[k])), max(high, int(kind.c[k]))
	}
	return low, high
}

// volume is the number of colours between the box's edges.
func (b *colourBox) volume() int {
	v := 1
	for k := range 3 {
		low, high := b.span(k)
		v *= high - low + 1
	}
	return v
}

// split cuts the box; the brighter half is the left one. Colours that are equal
// along the axis stay together.
func (b *colourBox) split() {
	axis, best := 0, -1
	// 0.299, 0.587 and 0.114 in 8 bits of fraction.
	for k, weight := range [3]int{77, 150, 29} {
		low, high := b.span(k)
		if d := (high - low) * weight; d > best {
			axis, best = k, d
		}
	}
	sort.Slice(b.kinds, func(i, j int) bool {
		x, y := b.kinds[i].c, b.kinds[j].c
		if x[axis] != y[axis] {
			return x[axis] > y[axis]
		}
		return x[0] > y[0] || x[0] == y[0] && (x[1] > y[1] || x[1] == y[1] && x[2] > y[2])
	})
	// Kinds go left until more than half of the pixels are there.
	at, sum := 0, 0
	for at < len(b.kinds) && sum*2 <= b.pixels {
		sum += b.kinds[at].count
		at++
	}
	for at < len(b.kinds) && b.kinds[at].c[axis] == b.kinds[at-1].c[axis] {
		at++
	}
	if at == len(b.kinds) { // the darkest value has half of the pixels: it alone goes right
		for last := b.kinds[at-1].c[axis]; at > 0 && b.kinds[at-1].c[axis] == last; at-- {
		}
	}
	b.left, b.right = b.part(b.kinds[:at]), b.part(b.kinds[at:])
	b.kinds = nil
}

// part makes a child.
func (b *colourBox) part(kinds []colourKind) *colourBox {
	p := &colourBox{kinds: kinds, parent: b}
	for _, k := range kinds {
		p.pixels += k.count
	}
	return p
}

// averages gives each box's mean colour, rounded, from the full pixels.
func averages(pix []uint8, shift int, boxes []*colourBox) []rgb8 {
	of := map[rgb8]int{}
	for i, b := range boxes {
		for _, k := range b.kinds {
			of[k.c] = i
		}
	}
	sums := make([][4]int, len(boxes))
	for i := 0; i < len(pix); i += 3 {
		s := &sums[of[rgb8{pix[i] >> shift, pix[i+1] >> shift, pix[i+2] >> shift}]]
		for k := range 3 {
			s[k] += int(pix[i+k])
		}
		s[3]++
	}
	out := make([]rgb8, len(boxes))
	for i, s := range sums {
		for k := range 3 {
			out[i][k] = uint8(0.5 + float64(s[k])/float64(max(s[3], 1)))
		}
	}
	return out
}

// boxHeap has the box with the most pixels first. Of equal boxes the one that
// Pillow's heap would give comes first, so it is not container/heap.
type boxHeap []*colourBox

// add puts a box in; it rises only above smaller ones.
func (h *boxHeap) add(b *colourBox) {
	*h = append(*h, b)
	k := len(*h) - 1
	// The parent of element k is (k-1)/2, its children 2k+1 and 2k+2.
	for k > 0 && b.pixels > (*h)[(k-1)/2].pixels {
		(*h)[k] = (*h)[(k-1)/2]
		k = (k - 1) / 2
	}
	(*h)[k] = b
}

// remove takes the first box, or nil. The last box sinks below equal ones.
func (h *boxHeap) remove() *colourBox {
	if len(*h) == 0 {
		return nil
	}
	top, last := (*h)[0], (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	if len(*h) == 0 {
		return top
	}
	k := 0
	for 2*k+1 < len(*h) {
		l := 2*k + 1
		if l+1 < len(*h) && (*h)[l].pixels < (*h)[l+1].pixels {
			l++
		}
		if last.pixels > (*h)[l].pixels {
			break
		}
		(*h)[k] = (*h)[l]
		k = l
	}
	(*h)[k] = last
	return top
}
