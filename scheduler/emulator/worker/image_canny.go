package worker

import (
	"errors"
	"math"
)

// imageCanny draws the edges of a picture white on black: smoothed brightness,
// its slope, only the crests of the slope, and of these the steep ones with all
// that hang together with them.
func imageCanny(a *args) ([]value, error) {
	t, low, high := a.picture("image"), float32(a.number("low_threshold")), float32(a.number("high_threshold"))
	if a.err == nil && (t.c != 3 && t.c != 1 || t.w < 3 || t.h < 3) {
		a.err = errors.New("edges are found in pictures of 1 or 3 channels and 3 pixels and more a side, not of " + t.shape())
	}
	if a.err == nil && (low > high || low <= 0 || high >= 1) {
		a.fail("thresholds %g and %g are not possible", low, high)
	}
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(t.n, t.h, t.w, 3)
	for i := range t.n {
		// One picture at a time: each has its own intermediate grids.
		slope := slopesOf(smooth5(greyOf(t.slice(i, i+1))))
		for p, on := range connect(slope.crests(), t.w, low, high) {
			if on {
				copy(out.one(i)[3*p:], []float32{1, 1, 1})
			}
		}
	}
	return given(out, nil)
}

// greyOf gives the brightness.
func greyOf(t *tensor) *tensor {
	if t.c == 1 {
		return t
	}
	out := newTensor(1, t.h, t.w, 1)
	for i := range out.pix {
		p := t.pix[3*i : 3*i+3]
		out.pix[i] = 0.299*p[0] + 0.587*p[1] + 0.114*p[2]
	}
	return out
}

// smooth5 blurs with five samples of a bell of sigma 1, mirrored at the edges.
func smooth5(t *tensor) *tensor {
	// The samples add up to 1. Sums run sideways first.
	bell := []float32{0.05448869, 0.24420135, 0.40261996, 0.24420135, 0.05448869}
	side, out := newTensor(1, t.h, t.w, 1), newTensor(1, t.h, t.w, 1)
	for y := range t.h {
		blurRow(side.row(0, y), t.row(0, y), bell, 1)
	}
	for y := range t.h {
		to := out.row(0, y)
		for k, weight := range bell {
			for x, v := range side.row(0, mirror(y+k-2, t.h)) {
				to[x] += v * weight
			}
		}
	}
	return out
}

// slopes is how steep a picture is at each pixel, and in which of eight
// directions it rises.
type slopes struct {
	w, h  int
	steep []float32 // length of the gradient, by pixel
	way   []int8    // index into steps8
}

// slopesOf measures with Sobel's operator; edges are repeated.
func slopesOf(t *tensor) *slopes {
	s := &slopes{t.w, t.h, make([]float32, len(t.pix)), make([]int8, len(t.pix))}
	for y := range t.h {
		up, mid, down := t.row(0, max(y-1, 0)), t.row(0, y), t.row(0, min(y+1, t.h-1))
		for x := range t.w {
			l, r := max(x-1, 0), min(x+1, t.w-1)
			gx := -up[l] + up[r] - 2*mid[l] + 2*mid[r] - down[l] + down[r]
			gy := -up[l] - 2*up[x] - up[r] + down[l] + 2*down[x] + down[r]
			at := y*t.w + x
			// The small number under the root is that of kornia, whose filter
			// ComfyUI calls; it counts, as the thresholds compare with the
			// result.
			s.steep[at] = float32(math.Sqrt(float64(gx*gx + gy*gy + 1e-6)))
			angle := float32(math.Atan2(float64(gy), float64(gx))) * float32(4/math.Pi)
			// Eighths of a turn, rounded to the nearest; -4 to 4 become 0 to 7.
			s.way[at] = int8((int(math.RoundToEven(float64(angle))) + 8) % 8)
		}
	}
	return s
}

// steps8 are the directions, from right over down to the upper right.
var steps8 = [8][2]int{{1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}, {0, -1}, {1, -1}}

// crests keeps what is steeper than both neighbours along the slope; beyond the
// picture all is flat.
func (s *slopes) crests() []float32 {
	at := func(x, y int) float32 {
		if x < 0 || y < 0 || x >= s.w || y >= s.h {
			return 0
		}
		return s.steep[y*s.w+x]
	}
	out := make([]float32, len(s.steep))
	for i, v := range s.steep {
		x, y, d := i%s.w, i/s.w, steps8[s.way[i]]
		// Both must be smaller: of two equal neighbours neither is a crest.
		if v-at(x+d[0], y+d[1]) > 0 && v-at(x-d[0], y-d[1]) > 0 {
			out[i] = v
		}
	}
	return out
}

// connect finds what is above high, and what is above low and touches it,
// directly or through others.
func connect(crest []float32, w int, low, high float32) []bool {
	// Depth first from each strong pixel over the eight neighbours; each pixel
	// is put on the list once.
	on := make([]bool, len(crest))
	var todo []int
	for i, v := range crest {
		if v > high {
			on[i] = true
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, d := range steps8 {
			x, y := i%w+d[0], i/w+d[1]
			if x < 0 || x >= w || y < 0 || y >= len(crest)/w {
				continue
			}
			if j := y*w + x; !on[j] && crest[j] > low {
				on[j] = true
				todo = append(todo, j)
			}
		}
	}
	return on
}
