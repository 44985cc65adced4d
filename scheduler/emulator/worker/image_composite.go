package worker

import (
	"errors"
	"fmt"
)

// imageCompositeMasked lays the source over the destination at x, y.
func imageCompositeMasked(a *args) ([]value, error) {
	to, from := a.picture("destination"), a.picture("source")
	x, y, fit := a.integer("x"), a.integer("y"), a.truth("resize_source")
	var m *tensor
	if a.has("mask") {
		m = a.mask("mask")
	}
	if a.err != nil {
		return nil, a.err
	}
	return given(composite(to, alphaFix(to, from), m, x, y, fit))
}

// composite lays from over to. The mask is scaled to the source's size, and the
// source to the destination's when fit is set; both repeat to fill the batch.
func composite(to, from, m *tensor, x, y int, fit bool) (*tensor, error) {
	if x < 0 || y < 0 {
		return nil, errors.New("the place of the source is negative")
	}
	// Scaled by torch's bilinear interpolation, as in ComfyUI's own composite.
	if fit {
		from = taps(from, linearTaps(from.w, to.w), linearTaps(from.h, to.h))
	}
	if from.c != to.c {
		return nil, fmt.Errorf("pictures of %d and %d channels cannot be combined", to.c, from.c)
	}
	from = from.repeatTo(to.n)
	// The mask belongs to the source and covers all of it, so it takes its
	// size.
	if m != nil {
		m = taps(m, linearTaps(m.w, from.w), linearTaps(m.h, from.h)).repeatTo(from.n)
	}
	x, y = min(x, to.w), min(y, to.h)
	// What is left of the source within the destination; 0 beyond its edges.
	w, h := min(from.w, to.w-x), min(from.h, to.h-y)
	out := to.clone()
	for i := range to.n {
		for r := range h {
			overlay(out.row(i, y+r)[x*to.c:], from.row(i, r), maskRow(m, i, r), w, to.c)
		}
	}
	return out, nil
}

// maskRow gives a row of the mask, or nil for none.
func maskRow(m *tensor, i, y int) []float32 {
	if m == nil {
		return nil
	}
	return m.row(i, y)
}

// overlay mixes w pixels of c channels.
func overlay(to, from, m []float32, w, c int) {
	if m == nil {
		copy(to[:w*c], from)
		return
	}
	for x, v := range m[:w] {
		for k := x * c; k < (x+1)*c; k++ {
			to[k] = v*from[k] + (1-v)*to[k]
		}
	}
}

// joinAlpha makes a mask (1 = clear) the alpha channel.
func joinAlpha(a *args) ([]value, error) {
	t, m := a.picture("image"), a.mask("alpha")
	if a.err != nil {
		return nil, a.err
	}
	n := max(t.n, m.n)
	a.fits(n, t.h, t.w)
	if a.err != nil || t.c < 3 {
		return nil, errors.Join(a.err, channelsNeeded(t, 3))
	}
	m = taps(m, linearTaps(m.w, t.w), linearTaps(m.h, t.h)).repeatTo(n)
	out := t.channels(3, 0).repeatTo(n).channels(4, 1)
	for i, v := range m.pix {
		out.pix[i*4+3] = 1 - v
	}
	return given(out, nil)
}

// channelsNeeded is the error about a picture with too few channels.
func channelsNeeded(t *tensor, c int) error {
	if t.c < c {
		return fmt.Errorf("a picture of %d channels is needed, not of %d", c, t.c)
	}
	return nil
}

// splitAlpha gives the colours, and the alpha channel as a mask (1 = clear).
func splitAlpha(a *args) ([]value, error) {
	t := a.picture("image")
	if a.err != nil {
		return nil, a.err
	}
	m := newTensor(t.n, t.h, t.w, 1)
	if t.c > 3 {
		m = t.channel(3).each(func(v float32) float32 { return 1 - v })
	}
	return []value{picture{t.channels(min(t.c, 3), 0)}, mask{m}}, nil
}

// porterDuff is a way to combine premultiplied samples: s and d with their
// alphas sa and da. colour gives the sample and alpha the coverage.
type porterDuff struct {
	alpha  func(sa, da float32) float32
	colour func(s, sa, d, da float32) float32
}

// coverBoth is the coverage of two layers that cover independently.
func coverBoth(sa, da float32) float32 { return sa + da - sa*da }

// porterDuffModes are the ways of PorterDuffImageComposite, after Porter and
// Duff's operators and those of 2D graphics libraries. DST is the destination,
// SRC the source; IN, OUT, ATOP and OVER say which part of it is kept.
var porterDuffModes = map[string]porterDuff{
	"ADD": {func(sa, da float32) float32 { return clamp(sa + da) },
		func(s, _, d, _ float32) float32 { return clamp(s + d) }},
	"CLEAR": {func(_, _ float32) float32 { return 0 }, func(_, _, _, _ float32) float32 { return 0 }},
	"DARKEN": {coverBoth,
		func(s, sa, d, da float32) float32 { return (1-da)*s + (1-sa)*d + min(s, d) }},
	"DST": {func(_, da float32) float32 { return da }, func(_, _, d, _ float32) float32 { return d }},
	"DST_ATOP": {func(sa, _ float32) float32 { return sa },
		func(s, sa, d, da float32) float32 { return sa*d + (1-da)*s }},
	"DST_IN": {func(sa, da float32) float32 { return sa * da },
		func(_, sa, d, _ float32) float32 { return d * sa }},
	"DST_OUT": {func(sa, da float32) float32 { return (1 - sa) * da },
		func(_, sa, d, _ float32) float32 { return (1 - sa) * d }},
	"DST_OVER": {func(sa, da float32) float32 { return da + (1-da)*sa },
		func(s, _, d, da float32) float32 { return d + (1-da)*s }},
	"LIGHTEN": {coverBoth,
		func(s, sa, d, da float32) float32 { return (1-da)*s + (1-sa)*d + max(s, d) }},
	"MULTIPLY": {func(sa, da float32) float32 { return sa * da },
		func(s, _, d, _ float32) float32 { return s * d }},
	"OVERLAY": {coverBoth, func(s, sa, d, da float32) float32 {
		if 2*d < da {
			return 2 * s * d
		}
		return sa*da - 2*(da-s)*(sa-d)
	}},
	"SCREEN": {coverBoth, func(s, _, d, _ float32) float32 { return s + d - s*d }},
	"SRC":    {func(sa, _ float32) float32 { return sa }, func(s, _, _, _ float32) float32 { return s }},
	"SRC_ATOP": {func(_, da float32) float32 { return da },
		func(s, sa, d, da float32) float32 { return da*s + (1-sa)*d }},
	"SRC_IN": {func(sa, da float32) float32 { return sa * da },
		func(s, _, _, da float32) float32 { return s * da }},
	"SRC_OUT": {func(sa, da float32) float32 { return (1 - da) * sa },
		func(s, _, _, da float32) float32 { return (1 - da) * s }},
	"SRC_OVER": {func(sa, da float32) float32 { return sa + (1-sa)*da },
		func(s, sa, d, _ float32) float32 { return s + (1-sa)*d }},
	"XOR": {func(sa, da float32) float32 { return (1-da)*sa + (1-sa)*da },
		func(s, sa, d, da float32) float32 { return (1-da)*s + (1-sa)*d }},
}

// porterDuffComposite combines as many pictures as the shortest batch has; all
// is scaled to the destination's size.
func porterDuffComposite(a *args) ([]value, error) {
	src, dst := a.picture("source"), a.picture("destination")
	// 1 is clear in ComfyUI's masks, the opposite of an alpha channel.
	srcMask, dstMask := a.mask("source_alpha"), a.mask("destination_alpha")
	mode, ok := porterDuffModes[a.text("mode")]
	if a.err == nil && (!ok || src.c != dst.c) {
		a.fail("cannot combine %s and %s by %q", src.shape(), dst.shape(), a.in["mode"])
	}
	if a.err != nil {
		return nil, a.err
	}
	n := min(src.n, dst.n, srcMask.n, dstMask.n)
	dst = dst.slice(0, n)
	layers := [3]*tensor{src.slice(0, n), srcMask.slice(0, n), dstMask.slice(0, n)}
	for i, t := range layers {
		if !t.sameSize(dst) {
			var err error
			if layers[i], err = upscale(a, t, dst.w, dst.h, "bicubic", "center"); err != nil {
				return nil, err
			}
		}
	}
	out, cover := mode.combine(layers[0], layers[1], dst, layers[2])
	return []value{picture{out}, mask{cover}}, nil
}

// combine works on masks in which 1 is clear, and gives one back.
func (p porterDuff) combine(src, srcMask, dst, dstMask *tensor) (out, cover *tensor) {
	out, cover = newTensor(dst.n, dst.h, dst.w, dst.c), newTensor(dst.n, dst.h, dst.w, 1)
	for i := range cover.pix {
		sa, da := 1-srcMask.pix[i], 1-dstMask.pix[i]
		alpha := p.alpha(sa, da)
		cover.pix[i] = 1 - alpha
		// Clear: the colour would be divided by nearly nothing, and stays
		// black.
		if alpha <= 1e-5 {
			continue
		}
		for k := i * dst.c; k < (i+1)*dst.c; k++ {
			out.pix[k] = clamp(p.colour(src.pix[k]*sa, sa, dst.pix[k]*da, da) / alpha)
		}
	}
	return out, cover
}
