package worker

import (
	"fmt"
	"strconv"
	"strings"
)

// imageQuantize reduces the colours of each picture to a palette of its own.
func imageQuantize(a *args) ([]value, error) {
	t, colours, dither := a.picture("image"), a.integer("colors"), a.text("dither")
	if a.err == nil && (t.c != 3 || colours < 1 || colours > 256) {
		a.fail("the node needs pictures of 3 channels and 1 to 256 colours, not %d and %d", t.c, colours)
	}
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(t.n, t.h, t.w, 3)
	for i := range t.n {
		pix := bytesOf(t.one(i))
		// The palette belongs to the one picture; pix is replaced by its
		// colours below.
		p := newPalette(medianCut(pix, colours))
		if err := p.mapWith(dither, pix, t.w); err != nil {
			return nil, err
		}
		to := out.one(i)
		for j, v := range pix {
			to[j] = float32(v) / 255
		}
	}
	return given(out, nil)
}

// rgb8 is a colour of 8 bits a channel.
type rgb8 [3]uint8

// palette finds the nearest colour as Pillow does: for colours whose two low
// bits are cleared; the first of equally near ones.
type palette struct {
	colours []rgb8  // at most 256
	nearest []int16 // by 6 bits of each channel; -1 is not known yet
}

// newPalette makes an empty cache for colours.
func newPalette(colours []rgb8) *palette {
	p := &palette{colours, make([]int16, 1<<18)}
	for i := range p.nearest {
		p.nearest[i] = -1
	}
	return p
}

// find gives the palette's colour for another.
func (p *palette) find(r, g, b uint8) rgb8 {
	// 2^18 slots, filled as they are asked for: a search costs up to 256
	// comparisons, and most pixels find theirs done.
	slot := &p.nearest[int(r>>2)<<12|int(g>>2)<<6|int(b>>2)]
	if *slot < 0 {
		*slot = int16(nearestOf(p.colours, int(r&^3), int(g&^3), int(b&^3)))
	}
	return p.colours[*slot]
}

// nearestOf searches the whole palette.
func nearestOf(colours []rgb8, r, g, b int) int {
	best, least := 0, 1<<30
	for i, c := range colours {
		dr, dg, db := r-int(c[0]), g-int(c[1]), b-int(c[2])
		if d := dr*dr + dg*dg + db*db; d < least {
			best, least = i, d
		}
	}
	return best
}

// mapWith replaces the pixels of a picture that is w wide.
func (p *palette) mapWith(dither string, pix []uint8, w int) error {
	order, isBayer := strings.CutPrefix(dither, "bayer-")
	switch n, err := strconv.Atoi(order); {
	case dither == "floyd-steinberg":
		p.diffuse(pix, w)
		return nil
	case isBayer && err == nil && (n == 2 || n == 4 || n == 8 || n == 16):
		// The fewer colours there are, the further apart they lie, and the
		// stronger the pattern must be.
		bayer(pix, w, n, 2*256/float64(len(p.colours)))
	case dither != "none":
		return fmt.Errorf("no dither is called %q", dither)
	}
	for i := 0; i < len(pix); i += 3 {
		c := p.find(pix[i], pix[i+1], pix[i+2])
		copy(pix[i:i+3], c[:])
	}
	return nil
}

// diffuse spreads each pixel's error to the right (7/16) and to the row below
// (3, 5 and 1). below holds the sums for the next row, one place to the right.
func (p *palette) diffuse(pix []uint8, w int) {
	below := make([][3]int, w+1)
	for y := 0; y*w*3 < len(pix); y++ {
		// Sums of errors in sixteenths: right for the next pixel of this row;
		// under and beside for the row below, below this pixel and one to the
		// right.
		var right, under, beside [3]int
		for x := range w {
			at := pix[(y*w+x)*3 : (y*w+x)*3+3]
			var want [3]int
			for k := range want {
				want[k] = min(max(int(at[k])+(right[k]+below[x+1][k])/16, 0), 255)
			}
			c := p.find(uint8(want[0]), uint8(want[1]), uint8(want[2]))
			copy(at, c[:])
			for k := range want {
				e := want[k] - int(c[k])
				below[x][k] = 3*e + under[k]
				under[k] = 5*e + beside[k]
				beside[k], right[k] = e, 7*e
			}
		}
		// Pillow carries the blue sums into all three channels at the row's end.
		below[w] = [3]int{under[2], beside[2], beside[2]}
	}
}

// bayer adds an ordered pattern of order × order to the pixels.
func bayer(pix []uint8, w, order int, spread float64) {
	matrix := bayerMatrix(order)
	for i := range pix {
		x, y := i/3%w, i/3/w
		v := float32(pix[i]) + (float32(spread)*matrix[y%order][x%order] + 0.5)
		pix[i] = uint8(min(max(v, 0), 255))
	}
}

// bayerMatrix builds the threshold pattern by doubling; its mean is 0.
func bayerMatrix(order int) [][]float32 {
	if order == 1 {
		return [][]float32{{0}}
	}
	half := bayerMatrix(order / 2)
	// Each quarter of the matrix is the half-size one, moved by a part of a
	// step.
	q := float32(order * order)
	out := make([][]float32, order)
	for y := range out {
		out[y] = make([]float32, order)
		for x := range out[y] {
			shift := [2][2]float32{{-1.5, 0.5}, {1.5, -0.5}}[y/len(half)][x/len(half)]
			out[y][x] = (q*half[y%len(half)][x%len(half)] + shift) / q
		}
	}
	return out
}
