package worker

import (
	"fmt"
	"math"
)

// Filters that look at a neighbourhood. Blur and morphology are separable: rows
// first, then columns, so the cost grows with the radius and not with its
// square.

// gaussian gives one side of ComfyUI's separable kernel: 2r+1 samples of a bell
// over -1..1, with the sum 1.
func gaussian(radius int, sigma float64) []float32 {
	size := 2*radius + 1
	weight, sum := make([]float64, size), 0.0
	for i := range weight {
		x := -1 + 2*float64(i)/float64(size-1)
		weight[i] = math.Exp(-x * x / (2 * sigma * sigma))
		sum += weight[i]
	}
	out := make([]float32, size)
	for i, v := range weight {
		out[i] = float32(v / sum)
	}
	return out
}

// blur smooths every channel; beyond the edges the picture is mirrored without
// repeating the edge.
func blur(t *tensor, radius int, sigma float64) (*tensor, error) {
	// torch's mirrored padding must be smaller than the picture.
	if radius >= t.w || radius >= t.h {
		return nil, fmt.Errorf("a radius of %d needs a picture that is larger than %d × %d pixels", radius, t.w, t.h)
	}
	kernel := gaussian(radius, sigma)
	side := newTensor(t.n, t.h, t.w, t.c)
	out := newTensor(t.n, t.h, t.w, t.c)
	for i := range t.n {
		for y := range t.h {
			blurRow(side.row(i, y), t.row(i, y), kernel, t.c)
		}
		for y := range t.h {
			to := out.row(i, y)
			for k, weight := range kernel {
				for x, v := range side.row(i, mirror(y+k-radius, t.h)) {
					to[x] += v * weight
				}
			}
		}
	}
	return out, nil
}

// blurRow smooths one row of c channels.
func blurRow(to, from []float32, kernel []float32, c int) {
	w, radius := len(from)/c, len(kernel)/2
	for x := range w {
		for k, weight := range kernel {
			at := mirror(x+k-radius, w) * c
			for ch := range c {
				to[x*c+ch] += from[at+ch] * weight
			}
		}
	}
}

// mirror reflects an index at the edges of 0..n-1.
func mirror(i, n int) int {
	if i < 0 {
		i = -i
	}
	if i >= n {
		i = 2*(n-1) - i
	}
	return i
}

// imageBlur smooths; sigma is in units of the kernel, which spans -1..1.
func imageBlur(a *args) ([]value, error) {
	t, radius, sigma := a.picture("image"), a.integer("blur_radius"), a.number("sigma")
	a.bears(2*len(t.pix), 2*radius+1)
	if a.err != nil || radius <= 0 {
		return []value{picture{t}}, a.err
	}
	return given(blur(t, radius, sigma))
}

// imageSharpen adds ten times alpha of what a blur takes away.
func imageSharpen(a *args) ([]value, error) {
	t, radius, sigma := a.picture("image"), a.integer("sharpen_radius"), a.number("sigma")
	strength := float32(a.number("alpha") * 10)
	a.bears(2*len(t.pix), 2*radius+1)
	if a.err != nil || radius <= 0 {
		return []value{picture{t}}, a.err
	}
	soft, err := blur(t, radius, sigma)
	if err != nil {
		return nil, err
	}
	return given(pairwise(t, soft, func(x, y float32) float32 { return clamp(x + strength*(x-y)) }))
}

// morphology grows and shrinks bright parts with a square.
func morphology(a *args) ([]value, error) {
	t, how, size := a.picture("image"), a.text("operation"), a.integer("kernel_size")
	if a.err == nil && size < 1 {
		a.err = atLeastOne("kernel_size", size)
	}
	if a.err != nil {
		return nil, a.err
	}
	minus := func(x, y *tensor) ([]value, error) {
		return given(pairwise(x, y, func(p, q float32) float32 { return p - q }))
	}
	switch how {
	case "erode":
		return given(erode(t, size), nil)
	case "dilate":
		return given(dilate(t, size), nil)
	case "open":
		return given(dilate(erode(t, size), size), nil)
	case "close":
		return given(erode(dilate(t, size), size), nil)
	case "gradient":
		return minus(dilate(t, size), erode(t, size))
	case "top_hat":
		return minus(t, dilate(erode(t, size), size))
	case "bottom_hat":
		return minus(erode(dilate(t, size), size), t)
	}
	return nil, fmt.Errorf("no operation is called %q", how)
}

// dilate takes the largest sample of a size × size window; outside the picture
// there is nothing.
func dilate(t *tensor, size int) *tensor {
	return windows(t, size, func(x, y float32) bool { return x >= y })
}

// erode takes the smallest one.
func erode(t *tensor, size int) *tensor {
	return windows(t, size, func(x, y float32) bool { return x <= y })
}

// windows finds the best sample of each window, rows first.
func windows(t *tensor, size int, better func(x, y float32) bool) *tensor {
	out := t.clone()
	for i := range t.n {
		pix := out.one(i)
		for y := range t.h {
			for k := range t.c {
				slide(pix, y*t.w*t.c+k, t.c, t.w, size, better)
			}
		}
		for x := range t.w * t.c {
			slide(pix, x, t.w*t.c, t.h, size, better)
		}
	}
	return out
}

// slide replaces n samples, step apart, by the best of the window around each:
// size/2 samples back and the rest forward. It keeps the candidates in a queue
// in which each is worse than the one before.
func slide(pix []float32, at, step, n, size int, better func(x, y float32) bool) {
	// An even window reaches one sample further back than ahead.
	back, ahead := size/2, size-1-size/2
	line := make([]float32, n)
	for i := range line {
		line[i] = pix[at+i*step]
	}
	// Indexes into line, best first. What is worse than a later sample can
	// never win and is dropped, so the whole line costs 2n comparisons whatever
	// the size is.
	queue, next := make([]int, 0, n), 0
	for i := range line {
		for ; next < n && next <= i+ahead; next++ {
			for len(queue) > 0 && better(line[next], line[queue[len(queue)-1]]) {
				queue = queue[:len(queue)-1]
			}
			queue = append(queue, next)
		}
		for queue[0] < i-back {
			queue = queue[1:]
		}
		pix[at+i*step] = line[queue[0]]
	}
}
