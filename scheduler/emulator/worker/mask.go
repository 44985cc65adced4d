package worker

import (
	"fmt"
	"math"
)

// A MASK is a tensor of one channel, 0 to 1. What 1 means is the node's
// business: clear for what comes out of alpha channels, "paint here" for
// samplers.

// givenMask turns a kernel's result into a node's only output of type MASK.
func givenMask(t *tensor) ([]value, error) { return []value{mask{t}}, nil }

// maskToImage gives a grey picture of 3 channels.
func maskToImage(a *args) ([]value, error) {
	m := a.mask("mask")
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(m.n, m.h, m.w, 3)
	for i, v := range m.pix {
		out.pix[3*i], out.pix[3*i+1], out.pix[3*i+2] = v, v, v
	}
	return given(out, nil)
}

// imageToMask takes one channel as it is.
func imageToMask(a *args) ([]value, error) {
	t, name := a.picture("image"), a.text("channel")
	if a.err != nil {
		return nil, a.err
	}
	for k, channel := range []string{"red", "green", "blue", "alpha"} {
		if channel != name {
			continue
		}
		if err := channelsNeeded(t, k+1); err != nil {
			return nil, err
		}
		return givenMask(t.channel(k))
	}
	return nil, fmt.Errorf("no channel is called %q", name)
}

// imageColorToMask is 1 where the colour, rounded to 8 bits, is the given one.
func imageColorToMask(a *args) ([]value, error) {
	t, colour := a.picture("image"), a.integer("color")
	if a.err != nil || t.c < 3 {
		a.fail("a picture of 3 channels is needed, not of %d", t.c)
		return nil, a.err
	}
	out := newTensor(t.n, t.h, t.w, 1)
	for i := range out.pix {
		sum := 0
		for k := range 3 {
			sum = sum<<8 + int(math.RoundToEven(float64(clamp(t.pix[i*t.c+k])*255)))
		}
		if sum == colour {
			out.pix[i] = 1
		}
	}
	return givenMask(out)
}

// solidMask makes one mask of one value.
func solidMask(a *args) ([]value, error) {
	v, w, h := a.number("value"), a.integer("width"), a.integer("height")
	a.fits(1, h, w)
	if a.err != nil {
		return nil, a.err
	}
	return givenMask(filled(1, h, w, 1, float32(v)))
}

// invertMask turns 0 into 1.
func invertMask(a *args) ([]value, error) {
	m := a.mask("mask")
	if a.err != nil {
		return nil, a.err
	}
	return givenMask(m.each(func(v float32) float32 { return 1 - v }))
}

// cropMask cuts; a part that reaches over the edge is left out.
func cropMask(a *args) ([]value, error) {
	m := a.mask("mask")
	x, y, w, h := a.integer("x"), a.integer("y"), a.integer("width"), a.integer("height")
	if a.err != nil || x < 0 || y < 0 || w < 1 || h < 1 {
		a.fail("cannot cut %d × %d pixels at %d, %d", w, h, x, y)
		return nil, a.err
	}
	return givenMask(m.crop(x, y, w, h))
}

// thresholdMask is 1 where the mask is above the value, not where it equals it.
func thresholdMask(a *args) ([]value, error) {
	m, least := a.mask("mask"), float32(a.number("value"))
	if a.err != nil {
		return nil, a.err
	}
	return givenMask(m.each(func(v float32) float32 { return bit(v > least) }))
}

// bit is 1 for true, as torch makes floats of booleans.
func bit(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// maskModes are the operations of MaskComposite; the last three work on masks
// rounded to 0 and 1.
var maskModes = map[string]func(d, s float32) float32{
	"multiply": func(d, s float32) float32 { return d * s },
	"add":      func(d, s float32) float32 { return d + s },
	"subtract": func(d, s float32) float32 { return d - s },
	"and":      func(d, s float32) float32 { return bit(on(d) && on(s)) },
	"or":       func(d, s float32) float32 { return bit(on(d) || on(s)) },
	"xor":      func(d, s float32) float32 { return bit(on(d) != on(s)) },
}

// on is a mask's sample rounded to a whole number and taken as a truth value.
func on(v float32) bool { return math.RoundToEven(float64(v)) != 0 }

// maskComposite combines the source with the part of the destination that it covers.
func maskComposite(a *args) ([]value, error) {
	to, from := a.mask("destination"), a.mask("source")
	x, y, name := a.integer("x"), a.integer("y"), a.text("operation")
	mode, ok := maskModes[name]
	switch {
	case a.err != nil:
	case !ok:
		a.fail("no operation is called %q", name)
	case from.n != to.n && from.n != 1:
		a.fail("%d masks cannot go over %d", from.n, to.n)
	// Beyond the edge torch gets a negative width, which to Python means "all
	// but so many": what is left of the source does not fit into nothing,
	// unless it is a single line or none.
	case x < 0 || y < 0 || x > to.w && from.w-(x-to.w) > 1 || y > to.h && from.h-(y-to.h) > 1:
		a.fail("the source at %d, %d lies outside the destination of %d × %d", x, y, to.w, to.h)
	}
	if a.err != nil {
		return nil, a.err
	}
	out := to.clone()
	w, h := min(from.w, to.w-x), min(from.h, to.h-y)
	for i := range to.n {
		for r := range h {
			for c := range w {
				at := &out.row(i, y+r)[x+c]
				*at = mode(*at, from.row(i%from.n, r)[c])
			}
		}
	}
	return givenMask(out.each(clamp))
}

// featherMask fades the edges of a mask, one after the other.
func featherMask(a *args) ([]value, error) {
	m := a.mask("mask")
	left, top := a.integer("left"), a.integer("top")
	right, bottom := a.integer("right"), a.integer("bottom")
	if a.err != nil {
		return nil, a.err
	}
	left, right = min(left, m.w), min(right, m.w)
	top, bottom = min(top, m.h), min(bottom, m.h)
	out := m.clone()
	for i := range m.n {
		pix := out.one(i)
		for k := range left {
			scaleLine(pix[k:], m.w, m.h, k, left)
		}
		for k := range right {
			scaleLine(pix[m.w-1-k:], m.w, m.h, k, right)
		}
		for k := range top {
			scaleLine(out.row(i, k), 1, m.w, k, top)
		}
		for k := range bottom {
			scaleLine(out.row(i, m.h-1-k), 1, m.w, k, bottom)
		}
	}
	return givenMask(out)
}

// scaleLine multiplies n samples, step apart, by (k+1)/of.
func scaleLine(pix []float32, step, n, k, of int) {
	rate := float32(float64(k+1) / float64(of))
	for i := range n {
		pix[i*step] *= rate
	}
}

// growMask widens (or, when expand is negative, narrows) a mask pixel by pixel:
// to the four neighbours, or to all eight when corners are not tapered.
func growMask(a *args) ([]value, error) {
	m, expand, tapered := a.mask("mask"), a.integer("expand"), a.truth("tapered_corners")
	if a.err != nil {
		return nil, a.err
	}
	better, steps := func(x, y float32) bool { return x >= y }, expand
	if expand < 0 {
		better, steps = func(x, y float32) bool { return x <= y }, -expand
	}
	if !tapered {
		// n steps to all eight neighbours are one step with a square of 2n+1.
		return givenMask(windows(m, 2*min(steps, m.w+m.h)+1, better))
	}
	a.bears(m.pixels(), min(steps, m.w+m.h))
	if a.err != nil {
		return nil, a.err
	}
	for range steps {
		// Once nothing changes, nothing will.
		next, changed := growCross(m, better)
		if m = next; !changed {
			break
		}
	}
	return givenMask(m)
}

// growCross gives every sample the best of itself and its four neighbours.
func growCross(m *tensor, better func(x, y float32) bool) (*tensor, bool) {
	out, changed := m.clone(), false
	for i := range m.n {
		for y := range m.h {
			to, from := out.row(i, y), m.row(i, y)
			// At the edges a sample is its own neighbour, which changes
			// nothing.
			above, below := m.row(i, max(y-1, 0)), m.row(i, min(y+1, m.h-1))
			for x, was := range from {
				best := was
				for _, v := range [4]float32{from[max(x-1, 0)], from[min(x+1, m.w-1)], above[x], below[x]} {
					if better(v, best) {
						best = v
					}
				}
				to[x] = best
				changed = changed || best != was
			}
		}
	}
	return out, changed
}
