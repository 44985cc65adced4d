package worker

import (
	"fmt"
	"math"
)

// alphaFix makes the second picture's channels fit the first's: channels too
// many are dropped, a missing alpha is opaque.
func alphaFix(first, second *tensor) *tensor {
	if first.c > second.c+1 {
		return second.channels(second.c+1, 1)
	}
	return second.channels(first.c, 1)
}

// imageBlend mixes two pictures; the second is scaled to the first.
func imageBlend(a *args) ([]value, error) {
	one, two := a.picture("image1"), a.picture("image2")
	factor, mode := a.number("blend_factor"), a.text("blend_mode")
	if a.err != nil {
		return nil, a.err
	}
	two = alphaFix(one, two)
	if !one.sameShape(two) {
		var err error
		if two, err = upscale(a, two, one.w, one.h, "bicubic", "center"); err != nil {
			return nil, err
		}
	}
	mix, ok := blendModes[mode]
	if !ok {
		return nil, fmt.Errorf("no blend mode is called %q", mode)
	}
	// The blended result is mixed with the first picture by the factor.
	keep, add := float32(1-factor), float32(factor)
	return given(pairwise(one, two, func(x, y float32) float32 {
		return clamp(x*keep + mix(x, y)*add)
	}))
}

// clamp limits a sample to 0..1.
func clamp(v float32) float32 { return min(max(v, 0), 1) }

// pairwise applies f to the samples of two batches; a batch of one picture goes
// with every picture of the other.
func pairwise(one, two *tensor, f func(x, y float32) float32) (*tensor, error) {
	if !one.sameSize(two) || one.c != two.c || one.n != two.n && one.n != 1 && two.n != 1 {
		return nil, fmt.Errorf("pictures of different shape cannot be combined: %s and %s", one.shape(), two.shape())
	}
	out := newTensor(max(one.n, two.n), one.h, one.w, one.c)
	for i := range out.n {
		x, y, to := one.one(i%one.n), two.one(i%two.n), out.one(i)
		for j := range to {
			to[j] = f(x[j], y[j])
		}
	}
	return out, nil
}

// shape names the dimensions in messages.
func (t *tensor) shape() string { return fmt.Sprintf("%d × %d × %d × %d", t.n, t.w, t.h, t.c) }

// blendModes are the ways of ImageBlend; x is the first picture. They are
// ComfyUI's own: difference has a sign there, and what is below 0 becomes 0.
var blendModes = map[string]func(x, y float32) float32{
	"normal":     func(_, y float32) float32 { return y },
	"multiply":   func(x, y float32) float32 { return x * y },
	"screen":     func(x, y float32) float32 { return 1 - (1-x)*(1-y) },
	"difference": func(x, y float32) float32 { return x - y },
	"overlay": func(x, y float32) float32 {
		if x <= 0.5 {
			return 2 * x * y
		}
		return 1 - 2*(1-x)*(1-y)
	},
	"soft_light": func(x, y float32) float32 {
		if y <= 0.5 {
			return x - (1-2*y)*x*(1-x)
		}
		return x + (2*y-1)*(softLight(x)-x)
	},
}

// softLight is the lightening curve of soft light.
func softLight(x float32) float32 {
	if x <= 0.25 {
		return ((16*x-12)*x + 4) * x
	}
	return float32(math.Sqrt(float64(x)))
}
