package worker

import "fmt"

// The order of the additions is that of torch's loops, sideways before downwards,
// because saving truncates: a sum that is one bit short of a whole step comes
// out one step darker.

// resize makes every picture w × h with one of ComfyUI's methods. All but
// lanczos are torch's interpolate with align_corners off, in float32; "bislerp"
// is for latents, whose stand-ins are pictures, and taken as bilinear.
func resize(t *tensor, w, h int, method string) (*tensor, error) {
	if w < 1 || h < 1 {
		return nil, fmt.Errorf("cannot scale to %d × %d pixels", w, h)
	}
	var out *tensor
	switch method {
	case "nearest-exact":
		out = nearest(t, w, h)
	case "bilinear", "bislerp":
		out = taps(t, linearTaps(t.w, w), linearTaps(t.h, h))
	case "bicubic":
		out = taps(t, cubicTaps(t.w, w), cubicTaps(t.h, h))
	case "area":
		out = area(t, w, h)
	case "lanczos":
		out = lanczos(t, w, h)
	default:
		return nil, fmt.Errorf("no scaling method is called %q", method)
	}
	out.drawn, out.captioned = t.drawn, t.captioned
	return out, nil
}

// nearest takes the pixel whose area holds the new pixel's centre.
func nearest(t *tensor, w, h int) *tensor {
	out := newTensor(t.n, h, w, t.c)
	xs, ys := nearestIndex(t.w, w), nearestIndex(t.h, h)
	for i := range t.n {
		for y := range h {
			from, to := t.row(i, ys[y]), out.row(i, y)
			for x, sx := range xs {
				copy(to[x*t.c:(x+1)*t.c], from[sx*t.c:(sx+1)*t.c])
			}
		}
	}
	return out
}

// nearestIndex gives the old index for each new one.
func nearestIndex(old, size int) []int {
	scale := float32(old) / float32(size)
	out := make([]int, size)
	for i := range out {
		out[i] = min(int((float32(i)+0.5)*scale), old-1)
	}
	return out
}

// tap is the weighted samples that make one new sample.
type tap struct {
	at     []int     // indexes of old samples; the outermost may stand there twice
	weight []float32 // one for each of at; they add up to 1
}

// linearTaps are the two neighbours; before the first centre there is only one.
func linearTaps(old, size int) []tap {
	scale := float32(old) / float32(size)
	out := make([]tap, size)
	for i := range out {
		// With align_corners off the centres of samples are at halves in both
		// pictures.
		at := max(scale*(float32(i)+0.5)-0.5, 0)
		lo := min(int(at), old-1)
		part := at - float32(lo)
		out[i] = tap{[]int{lo, min(lo+1, old-1)}, []float32{1 - part, part}}
	}
	return out
}

// cubicTaps are four neighbours with the cubic convolution of a = -0.75; edges
// repeat the outermost sample.
func cubicTaps(old, size int) []tap {
	const a = -0.75
	near := func(x float32) float32 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float32) float32 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	scale := float32(old) / float32(size)
	out := make([]tap, size)
	for i := range out {
		at := scale*(float32(i)+0.5) - 0.5
		lo := int(at+1) - 1 // floor: at is above -1
		p := at - float32(lo)
		t := tap{make([]int, 4), []float32{far(p + 1), near(p), near(1 - p), far(2 - p)}}
		for k := range t.at {
			t.at[k] = min(max(lo-1+k, 0), old-1)
		}
		out[i] = t
	}
	return out
}

// taps scales with separate weights for columns and rows. Each old row is
// scaled sideways when it is first needed; the last few are kept.
func taps(t *tensor, xs, ys []tap) *tensor {
	out := newTensor(t.n, len(ys), len(xs), t.c)
	for i := range t.n {
		// As many rows as one new row needs: memory does not grow with the
		// height.
		rows := newRowCache(len(ys[0].at), len(xs)*t.c)
		for y, ty := range ys {
			to := out.row(i, y)
			for k, sy := range ty.at {
				row := rows.get(sy, func(dst []float32) { tapRow(dst, t.row(i, sy), xs, t.c) })
				// The first row is written, the others are added, as torch's
				// sum begins.
				if wy := ty.weight[k]; k == 0 {
					for j, v := range row {
						to[j] = v * wy
					}
				} else {
					for j, v := range row {
						to[j] += v * wy
					}
				}
			}
		}
	}
	return out
}

// tapRow scales one row sideways.
func tapRow(dst, src []float32, xs []tap, c int) {
	for x, tx := range xs {
		for k := range c {
			sum := src[tx.at[0]*c+k] * tx.weight[0]
			for j := 1; j < len(tx.at); j++ {
				sum += src[tx.at[j]*c+k] * tx.weight[j]
			}
			dst[x*c+k] = sum
		}
	}
}

// rowCache keeps the last scaled rows, found by their number.
type rowCache struct {
	number []int // the row in each slot, -1 for none
	rows   [][]float32
}

// newRowCache makes room for keep rows of size samples.
func newRowCache(keep, size int) *rowCache {
	c := &rowCache{make([]int, keep), make([][]float32, keep)}
	for i := range keep {
		c.number[i], c.rows[i] = -1, make([]float32, size)
	}
	return c
}

// get gives row y, made with fill when it is not kept.
func (c *rowCache) get(y int, fill func([]float32)) []float32 {
	// Rows that one new row needs are neighbours, so they never share a slot.
	slot := y % len(c.rows)
	if c.number[slot] != y {
		c.number[slot] = y
		fill(c.rows[slot])
	}
	return c.rows[slot]
}

// area averages the pixels that a new pixel touches, whole ones.
func area(t *tensor, w, h int) *tensor {
	out := newTensor(t.n, h, w, t.c)
	for i := range t.n {
		for y := range h {
			// From the old row in which the new one begins to the one in which
			// it ends, rounded up: torch's adaptive average.
			y0, y1 := y*t.h/h, ((y+1)*t.h+h-1)/h
			to := out.row(i, y)
			for x := range w {
				x0, x1 := x*t.w/w, ((x+1)*t.w+w-1)/w
				for k := range t.c {
					to[x*t.c+k] = meanOf(t, i, k, x0, y0, x1, y1)
				}
			}
		}
	}
	return out
}

// meanOf is the mean of channel k in a rectangle.
func meanOf(t *tensor, i, k, x0, y0, x1, y1 int) float32 {
	var sum float32
	for y := y0; y < y1; y++ {
		row := t.row(i, y)
		for x := x0; x < x1; x++ {
			sum += row[x*t.c+k]
		}
	}
	// Divided twice, as torch does: once by both gives another last bit.
	return sum / float32(y1-y0) / float32(x1-x0)
}
