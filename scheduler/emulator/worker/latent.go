package worker

import "math"

// A latent's stand-in is kept at the size of the decoded picture. So what nodes do
// to latents (scale, crop, paste, mix, mask) is done to pictures, and a graph of
// many samplers shows what its steps do to each other.

// latent is a value of type LATENT. Its stand-in is a picture of the size that
// decoding gives; an empty latent has none yet.
type latent struct {
	n, w, h int // pictures, pixels
	pic     *tensor
	noise   *tensor // mask of what is to be sampled anew; nil for all
	index   []int   // the place of each picture in the batch that noise is drawn for
	frames  int     // pictures of one video; 1 for stills
	passes  []pass  // what samplers did
}

// ordinal gives 0 to n-1.
func ordinal(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// empties is a class that makes an empty latent; sides are whole multiples of step.
func empties(step int) class {
	return drawn(func(a *args) ([]value, error) {
		l := a.emptyLatent(step, 1, 1)
		return []value{l}, a.err
	})
}

// emptyLatent reads width, height and batch_size (or length) of a node.
func (a *args) emptyLatent(step, frames, every int) *latent {
	w, h, n := a.integer("width")/step*step, a.integer("height")/step*step, a.integerOr("batch_size", 1)
	// The first frame stands alone, each latent after it for every frames: 33
	// frames with every 4 are 33, 34 become 33.
	if every > 1 {
		frames = (max(frames, 1)-1)/every*every + 1
	}
	a.fits(n*frames, h, w)
	if a.err != nil {
		return &latent{frames: 1}
	}
	return &latent{n: n * frames, w: w, h: h, index: ordinal(n * frames), frames: frames}
}

// emptyVideo is a class whose last output is an empty video; the outputs before
// are inputs. Every so many pictures, counted from the first, are one latent.
func emptyVideo(every int, carried ...string) class {
	return drawn(func(a *args) ([]value, error) {
		l := a.emptyLatent(8, a.integerOr("length", a.integerOr("video_frames", 1)), every)
		for _, name := range []string{"image", "init_image", "start_image"} {
			if start, ok := a.in[name].(picture); ok && a.err == nil && start.c >= 3 {
				l.hint(start.tensor)
			}
		}
		var out []value
		for _, name := range carried {
			out = append(out, a.in[name])
		}
		return append(out, l), a.err
	})
}

// hint makes a start image the picture that the drawing grows out of.
func (l *latent) hint(t *tensor) {
	// Stretched to the latent's size, whatever its own proportions.
	one := taps(t.slice(0, 1).channels(3, 1), linearTaps(t.w, l.w), linearTaps(t.h, l.h))
	l.pic = one.repeatTo(l.n)
}

// cascadeLatents gives the latents of both stages.
func cascadeLatents(a *args) ([]value, error) {
	l := a.emptyLatent(4, 1, 1)
	return []value{l, l}, a.err
}

// latentOf gives an input of type LATENT.
func (a *args) latentOf(name string) *latent {
	l := get[*latent](a, name)
	if a.err == nil && (l == nil || l.n < 1 || l.w < 1 || l.h < 1) {
		a.fail("input %s is an empty latent", name)
	}
	if a.err != nil {
		return &latent{n: 1, w: 8, h: 8, index: []int{0}, frames: 1}
	}
	return l
}

// mud is the grey that an empty latent decodes to.
const mud = 0.5

// shown gives the picture, or flat grey.
func (l *latent) shown() *tensor {
	if l.pic != nil {
		return l.pic
	}
	return filled(l.n, l.h, l.w, 3, mud)
}

// encode makes a latent of pictures: cut from the middle to multiples of 8.
func encode(a *args, t *tensor) *latent {
	w, h := t.w/8*8, t.h/8*8
	if w == 0 || h == 0 {
		a.fail("pictures of %d × %d pixels are too small to encode", t.w, t.h)
	}
	if t.c < 3 {
		a.fail("pictures of %d channels cannot be encoded", t.c)
	}
	if a.err != nil {
		return nil
	}
	pic := t.channels(3, 1).crop(t.w%8/2, t.h%8/2, w, h)
	return &latent{n: t.n, w: w, h: h, pic: keepMarks(pic, t), index: ordinal(t.n), frames: 1}
}

// vaeEncode keeps the picture itself as the latent's stand-in.
func vaeEncode(a *args) ([]value, error) {
	l := encode(a, a.picture("pixels"))
	return []value{l}, a.err
}

// vaeEncodeForInpaint also notes the mask, and greys the masked part.
func vaeEncodeForInpaint(a *args) ([]value, error) {
	t, m := a.picture("pixels"), a.mask("mask")
	l := encode(a, t)
	if a.err != nil {
		return nil, a.err
	}
	l.noise = fitMask(m, l.w, l.h)
	l.pic = keepMarks(mixMasked(l.pic, filled(1, l.h, l.w, 3, mud), l.noise), l.pic)
	return []value{l}, nil
}

// inpaintConditioning passes the conditionings on and encodes the picture.
func inpaintConditioning(a *args) ([]value, error) {
	t, m := a.picture("pixels"), a.mask("mask")
	l := encode(a, t)
	if a.err != nil {
		return nil, a.err
	}
	if a.truthOr("noise_mask", true) {
		l.noise = fitMask(m, l.w, l.h)
	}
	return []value{a.in["positive"], a.in["negative"], l}, nil
}

// fitMask scales a mask.
func fitMask(m *tensor, w, h int) *tensor { return taps(m, linearTaps(m.w, w), linearTaps(m.h, h)) }

// setNoiseMask is SetLatentNoiseMask.
func setNoiseMask(a *args) ([]value, error) {
	l, m := *a.latentOf("samples"), a.mask("mask")
	if a.err != nil {
		return nil, a.err
	}
	l.noise = fitMask(m, l.w, l.h)
	return []value{&l}, nil
}

// changed gives the latent with its picture, mask and size as f makes them.
func (l *latent) changed(f func(*tensor) *tensor) *latent {
	out := *l
	t := &tensor{n: l.n, h: l.h, w: l.w, c: 3}
	if l.pic == nil { // only the size matters: one channel of nothing
		t = newTensor(1, l.h, l.w, 1)
		t = f(t)
	} else {
		t = f(l.pic)
		out.pic = keepMarks(t, l.pic)
	}
	out.w, out.h = t.w, t.h
	if l.noise != nil {
		out.noise = f(l.noise)
	}
	return &out
}

// scaleTo makes a latent w × h pixels, in multiples of 8.
func (l *latent) scaleTo(a *args, w, h int, method, crop string) *latent {
	w, h = w/8*8, h/8*8
	a.fits(l.n, h, w)
	if a.err != nil {
		return l
	}
	return l.changed(func(t *tensor) *tensor {
		out, err := upscale(a, t, w, h, method, crop)
		if err != nil {
			a.fail("%v", err)
			return t
		}
		return out
	})
}

// latentUpscale scales to pixels; a side is at least 64, and 0 keeps the aspect ratio.
func latentUpscale(a *args) ([]value, error) {
	l, method, crop := a.latentOf("samples"), a.text("upscale_method"), a.textOr("crop", "disabled")
	w, h := a.integer("width"), a.integer("height")
	switch {
	case a.err != nil || w == 0 && h == 0:
		return []value{l}, a.err
	case w == 0:
		h = max(64, h)
		w = max(64, round(float64(l.w*h)/float64(l.h)))
	case h == 0:
		w = max(64, w)
		h = max(64, round(float64(l.h*w)/float64(l.w)))
	}
	return []value{l.scaleTo(a, max(64, w), max(64, h), method, crop)}, a.err
}

// latentUpscaleBy multiplies the latent's sides, an eighth of the picture's.
func latentUpscaleBy(a *args) ([]value, error) {
	l, method, by := a.latentOf("samples"), a.textOr("upscale_method", "bilinear"), a.numberOr("scale_by", 2)
	if a.err != nil {
		return nil, a.err
	}
	w, h := round(float64(l.w/8)*by)*8, round(float64(l.h/8)*by)*8
	return []value{l.scaleTo(a, w, h, method, "disabled")}, a.err
}

// latentCrop cuts in steps of 8 pixels.
func latentCrop(a *args) ([]value, error) {
	l := a.latentOf("samples")
	w, h, x, y := a.integer("width"), a.integer("height"), a.integer("x"), a.integer("y")
	if a.err != nil {
		return nil, a.err
	}
	// One sample of a latent is 8 × 8 pixels; nothing smaller can be cut.
	w, h = max(w, 8)/8*8, max(h, 8)/8*8
	x, y = max(0, min(x/8*8, l.w-8)), max(0, min(y/8*8, l.h-8))
	return []value{l.changed(func(t *tensor) *tensor { return t.crop(x, y, w, h) })}, nil
}

// latentFlip mirrors.
func latentFlip(a *args) ([]value, error) {
	l, how := a.latentOf("samples"), a.text("flip_method")
	return []value{l.changed(func(t *tensor) *tensor { return flip(t, how) })}, a.err
}

// latentRotate turns by quarters.
func latentRotate(a *args) ([]value, error) {
	l, how := a.latentOf("samples"), a.text("rotation")
	return []value{l.changed(func(t *tensor) *tensor { return rotate(t, how) })}, a.err
}

// latentFromBatch takes a part of the batch. Each picture keeps its place, and so
// its noise.
func latentFromBatch(a *args) ([]value, error) {
	l := *a.latentOf("samples")
	from, to := fromBatch(l.n, a.integer("batch_index"), a.integer("length"))
	if a.err == nil && to <= from {
		a.fail("nothing is left of the batch")
	}
	if a.err != nil {
		return nil, a.err
	}
	l.n, l.index = to-from, l.index[from:to]
	if l.pic != nil {
		l.pic = l.pic.slice(from, to)
	}
	return []value{&l}, nil
}

// repeatLatents makes copies that get noise of their own.
func repeatLatents(a *args) ([]value, error) {
	l, amount := *a.latentOf("samples"), a.integer("amount")
	a.fits(l.n*max(amount, 0), l.h, l.w)
	if a.err != nil {
		return nil, a.err
	}
	// Copies get the places behind the highest one that is taken, so that each
	// has noise that no other has.
	most := 0
	for _, i := range l.index {
		most = max(most, i+1)
	}
	var index []int
	for k := range amount {
		for _, i := range l.index {
			index = append(index, i+k*most)
		}
	}
	l.n, l.index = l.n*amount, index
	if l.pic != nil {
		l.pic = l.pic.repeatTo(l.n)
	}
	return []value{&l}, nil
}

// latentBatch appends the second batch in the size of the first.
func latentBatch(a *args) ([]value, error) {
	one, two := a.latentOf("samples1"), a.latentOf("samples2")
	return joinLatents(a, one, two)
}

// batchLatents joins an autogrow input.
func batchLatents(a *args) ([]value, error) {
	var out *latent
	for _, v := range a.grown("latents") {
		l, ok := v.(*latent)
		if !ok {
			a.fail("latents has an entry that is no LATENT")
			break
		}
		if out == nil {
			out = l
		} else if both, err := joinLatents(a, out, l); err == nil {
			out = both[0].(*latent)
		}
	}
	if out == nil {
		a.fail("required input is missing: latents")
	}
	return []value{out}, a.err
}

// joinLatents appends; an empty latent beside a picture becomes flat grey.
func joinLatents(a *args, one, two *latent) ([]value, error) {
	two = two.scaleTo(a, one.w, one.h, "bilinear", "center")
	a.fits(one.n+two.n, one.h, one.w)
	if a.err != nil {
		return nil, a.err
	}
	out := *one
	out.n = one.n + two.n
	out.index = append(append([]int(nil), one.index...), two.index...)
	// A mask of one batch says nothing about the other.
	out.noise = nil
	if one.pic != nil || two.pic != nil {
		out.pic = keepMarks(concat(one.shown(), two.shown()), one.shown())
	}
	return []value{&out}, nil
}

// latentMix is a class that mixes two latents; input names the weight of the
// first, and an empty one stands for half of each.
func latentMix(input string) class {
	return drawn(func(a *args) ([]value, error) {
		one, two := a.latentOf("samples1"), a.latentOf("samples2")
		part := 0.5
		if input != "" {
			part = a.number(input)
		}
		two = two.scaleTo(a, one.w, one.h, "bilinear", "center")
		if a.err != nil {
			return nil, a.err
		}
		out := *one
		x, y := one.shown(), two.shown()
		mixed, err := pairwise(x, y.repeatTo(x.n), lerp(float32(part)))
		out.pic = mixed
		return []value{&out}, err
	})
}

// lerp mixes with the weight of the first.
func lerp(part float32) func(x, y float32) float32 {
	return func(x, y float32) float32 { return x*part + y*(1-part) }
}

// latentComposite lays one latent over another, faded at inner edges.
func latentComposite(a *args) ([]value, error) {
	to, from := a.latentOf("samples_to"), a.latentOf("samples_from")
	x, y, feather := a.integer("x"), a.integer("y"), a.integerOr("feather", 0)
	if a.err != nil {
		return nil, a.err
	}
	// 1 where the upper latent shows, falling to 0 at edges within the lower
	// one.
	m := filled(1, from.h, from.w, 1, 1)
	for i := range m.pix {
		px, py := i%m.w, i/m.w
		d := math.MaxInt
		for _, side := range [...]struct{ inner, far int }{
			{x, px + 1}, {y, py + 1}, {to.w - x - m.w, m.w - px}, {to.h - y - m.h, m.h - py},
		} {
			if side.inner > 0 {
				d = min(d, side.far)
			}
		}
		if d < feather {
			m.pix[i] = float32(d) / float32(feather)
		}
	}
	out := *to
	pic, err := composite(to.shown(), from.shown(), m, x/8*8, y/8*8, false)
	out.pic = pic
	return []value{&out}, err
}

// latentCompositeMasked is the latent form of ImageCompositeMasked.
func latentCompositeMasked(a *args) ([]value, error) {
	to, from := a.latentOf("destination"), a.latentOf("source")
	var m *tensor
	if a.has("mask") {
		m = a.mask("mask")
	}
	x, y, fit := a.integer("x"), a.integer("y"), a.truthOr("resize_source", false)
	if a.err != nil {
		return nil, a.err
	}
	out := *to
	pic, err := composite(to.shown(), from.shown(), m, x/8*8, y/8*8, fit)
	out.pic = pic
	return []value{&out}, err
}

// mixMasked takes y where the mask is 1.
func mixMasked(x, y, m *tensor) *tensor {
	out := x.clone()
	for i := range x.n {
		to, from, part := out.one(i), y.one(i%y.n), m.one(i%m.n)
		for p, v := range part {
			for k := p * x.c; k < (p+1)*x.c; k++ {
				to[k] = to[k]*(1-v) + from[k]*v
			}
		}
	}
	return out
}

// vaeDecode gives the pictures with the strip that says PREVIEW.
func vaeDecode(a *args) ([]value, error) {
	l := a.latentOf("samples")
	if a.err != nil {
		return nil, a.err
	}
	out := l.shown().clone()
	out.drawn = "decoded without a model"
	if n := len(l.passes); n > 0 {
		out.drawn = l.passes[n-1].note()
	}
	// A picture that went through VAEEncode may carry its strip already.
	if l.pic == nil || !l.pic.captioned {
		top, below := "not sampled", ""
		if n := len(l.passes); n > 0 {
			top, below = l.passes[n-1].heading(), l.passes[n-1].pos.text
		}
		caption(out, top, below)
	}
	out.captioned = true
	return given(out, nil)
}
