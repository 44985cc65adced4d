package worker

import "fmt"

// ComfyUI passes pictures as float32 tensors [batch, height, width, channel];
// so does the preview, since nodes are defined on them: a value above 1
// survives until something cuts it, and sums round as float32 does. A megapixel
// of RGB is 12 MB.

// maxSide is the largest width or height ComfyUI's nodes accept, in pixels.
// What is made on the way (a padded picture, a stitched pair) may have twice
// that.
const maxSide = 16384

// maxBatch is the largest number of pictures in one batch.
const maxBatch = 4096

// tensor is a batch of pictures: n pictures of h rows, w columns and c
// channels, row-major, nominally from 0 to 1. A mask has one channel.
// A tensor is never changed once a node has returned it.
type tensor struct {
	n, h, w, c int
	pix        []float32
	// drawn says what model work the pixels stand in for; empty when they are
	// what ComfyUI would have computed. It travels with all that is made of them.
	drawn string
	// captioned is set when the pixels carry the PREVIEW strip.
	captioned bool
}

// picture is a value of type IMAGE.
type picture struct{ *tensor }

// mask is a value of type MASK: one channel, 0 to 1.
type mask struct{ *tensor }

// newTensor gives a black batch of n*h*w*c samples, four bytes each. The caller
// has checked its size with fits.
func newTensor(n, h, w, c int) *tensor {
	return &tensor{n: n, h: h, w: w, c: c, pix: make([]float32, n*h*w*c)}
}

// filled gives a batch with one value everywhere.
func filled(n, h, w, c int, v float32) *tensor {
	t := newTensor(n, h, w, c)
	for i := range t.pix {
		t.pix[i] = v
	}
	return t
}

// one gives the samples of picture i.
func (t *tensor) one(i int) []float32 {
	size := t.h * t.w * t.c
	return t.pix[i*size : (i+1)*size]
}

// row gives the samples of row y of picture i.
func (t *tensor) row(i, y int) []float32 {
	at := (i*t.h + y) * t.w * t.c
	return t.pix[at : at+t.w*t.c]
}

// pixels is the number of pixels in the whole batch.
func (t *tensor) pixels() int { return t.n * t.h * t.w }

// sameSize tells whether width and height agree.
func (t *tensor) sameSize(o *tensor) bool { return t.h == o.h && t.w == o.w }

// sameShape tells whether all four dimensions agree.
func (t *tensor) sameShape(o *tensor) bool { return t.sameSize(o) && t.n == o.n && t.c == o.c }

// clone copies the batch, marks included.
func (t *tensor) clone() *tensor {
	c := *t
	c.pix = append([]float32(nil), t.pix...)
	return &c
}

// slice gives pictures from..to; the samples are shared.
func (t *tensor) slice(from, to int) *tensor {
	size := t.h * t.w * t.c
	// The head is new, so that marks can be set on it; the samples are not.
	s := *t
	s.n, s.pix = to-from, t.pix[from*size:to*size]
	return &s
}

// each makes a new batch by applying f to every sample.
func (t *tensor) each(f func(float32) float32) *tensor {
	out := newTensor(t.n, t.h, t.w, t.c)
	for i, v := range t.pix {
		out.pix[i] = f(v)
	}
	return out
}

// crop cuts the rectangle that starts at x, y. Parts outside are left out.
func (t *tensor) crop(x, y, w, h int) *tensor {
	x, y = min(x, t.w), min(y, t.h)
	w, h = max(min(w, t.w-x), 0), max(min(h, t.h-y), 0)
	out := newTensor(t.n, h, w, t.c)
	for i := range t.n {
		for r := range h {
			copy(out.row(i, r), t.row(i, y+r)[x*t.c:(x+w)*t.c])
		}
	}
	return out
}

// paste writes the batch s into t with its corner at x, y; s must lie inside.
func (t *tensor) paste(s *tensor, x, y int) {
	for i := range t.n {
		for r := range s.h {
			copy(t.row(i, y+r)[x*t.c:], s.row(i, r))
		}
	}
}

// channel takes channel k as a batch with one channel.
func (t *tensor) channel(k int) *tensor {
	out := newTensor(t.n, t.h, t.w, 1)
	for i := range out.pix {
		out.pix[i] = t.pix[i*t.c+k]
	}
	return out
}

// channels takes the first k channels, or appends channels of the value fill.
func (t *tensor) channels(k int, fill float32) *tensor {
	if k == t.c {
		return t
	}
	out := filled(t.n, t.h, t.w, k, fill)
	keep := min(k, t.c)
	for i := range t.pixels() {
		copy(out.pix[i*k:i*k+keep], t.pix[i*t.c:i*t.c+keep])
	}
	return out
}

// repeatTo makes the batch n pictures long: by leaving out the last ones or by
// starting again from the first.
func (t *tensor) repeatTo(n int) *tensor {
	if n <= t.n {
		return t.slice(0, n)
	}
	out := newTensor(n, t.h, t.w, t.c)
	for i := range n {
		copy(out.one(i), t.one(i%t.n))
	}
	return out
}

// concat joins batches of one size and channel count.
func concat(parts ...*tensor) *tensor {
	n := 0
	for _, p := range parts {
		n += p.n
	}
	out := newTensor(n, parts[0].h, parts[0].w, parts[0].c)
	at := 0
	for _, p := range parts {
		at += copy(out.pix[at:], p.pix)
	}
	return out
}

// fits tells whether a batch of this size may be made, given the most pixels
// that one batch may have.
func fits(n, h, w, limit int) error {
	switch {
	case n < 1 || h < 1 || w < 1:
		return fmt.Errorf("the picture would be empty: %d × %d × %d", n, w, h)
	case n > maxBatch:
		return fmt.Errorf("a batch of %d pictures; at most %d are possible", n, maxBatch)
	case h > 2*maxSide || w > 2*maxSide:
		return fmt.Errorf("a picture of %d × %d pixels; at most %d a side are possible", w, h, 2*maxSide)
	// No overflow: by now the product is below 2^12 × 2^15 × 2^15.
	case n*h*w > limit:
		return fmt.Errorf("%d pictures of %d × %d pixels are more than the %d pixels of this preview", n, w, h, limit)
	}
	return nil
}
