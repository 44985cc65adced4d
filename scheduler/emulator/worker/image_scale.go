package worker

import (
	"errors"
	"math"
)

// Nodes that choose a size and scale to it. Sizes are computed as in ComfyUI's
// Python, step by step: where it rounds, cuts or divides first decides about a
// pixel, and a picture of another size fails every later comparison.

// round is Python's round(): halves go to the even number.
func round(v float64) int { return int(math.RoundToEven(v)) }

// upscale is ComfyUI's common_upscale: an optional cut to the new aspect
// ratio, then the scaling.
func upscale(a *args, t *tensor, w, h int, method, crop string) (*tensor, error) {
	a.fits(t.n, h, w)
	a.fits(1, t.h, w) // what lanczos needs in between
	if a.err != nil {
		return nil, a.err
	}
	if crop == "center" {
		x, y := cutMargins(t.w, t.h, w, h)
		t = keepMarks(t.crop(x, y, t.w-2*x, t.h-2*y), t)
		if t.pixels() == 0 {
			return nil, errors.New("nothing is left after the cut to the new aspect ratio")
		}
	}
	return resize(t, w, h, method)
}

// keepMarks copies the notes about drawn pixels.
func keepMarks(t, from *tensor) *tensor {
	t.drawn, t.captioned = from.drawn, from.captioned
	return t
}

// cutMargins gives what to cut from each side so that w × h has the aspect
// ratio of the new size.
func cutMargins(w, h, newW, newH int) (x, y int) {
	was, is := float64(w)/float64(h), float64(newW)/float64(newH)
	switch {
	case was > is:
		x = round((float64(w) - float64(w)*(is/was)) / 2)
	case was < is:
		y = round((float64(h) - float64(h)*(was/is)) / 2)
	}
	return x, y
}

// given turns the result of a kernel into a node's only output of type IMAGE.
func given(t *tensor, err error) ([]value, error) {
	if err != nil {
		return nil, err
	}
	return []value{picture{t}}, nil
}

// sideOr gives the missing (zero) side so that the aspect ratio stays.
func sideOr(w, h int, t *tensor) (int, int) {
	switch {
	case w == 0:
		w = max(1, round(float64(t.w*h)/float64(t.h)))
	case h == 0:
		h = max(1, round(float64(t.h*w)/float64(t.w)))
	}
	return w, h
}

// imageScale scales to a width and a height; 0 keeps the aspect ratio, and twice
// 0 keeps the picture.
func imageScale(a *args) ([]value, error) {
	t, method, crop := a.picture("image"), a.text("upscale_method"), a.text("crop")
	w, h := a.integer("width"), a.integer("height")
	if a.err != nil {
		return nil, a.err
	}
	if w == 0 && h == 0 {
		return []value{picture{t}}, nil
	}
	w, h = sideOr(w, h, t)
	return given(upscale(a, t, w, h, method, crop))
}

// imageScaleBy multiplies both sides and rounds halves to even.
func imageScaleBy(a *args) ([]value, error) {
	t, method, by := a.picture("image"), a.text("upscale_method"), a.number("scale_by")
	if a.err != nil {
		return nil, a.err
	}
	return given(upscale(a, t, round(float64(t.w)*by), round(float64(t.h)*by), method, ""))
}

// imageScaleToTotalPixels keeps the aspect ratio; a megapixel is 1024 × 1024.
func imageScaleToTotalPixels(a *args) ([]value, error) {
	t, method, mega := a.picture("image"), a.text("upscale_method"), a.number("megapixels")
	steps := a.integerOr("resolution_steps", 1)
	if a.err != nil || steps < 1 {
		return nil, errors.Join(a.err, atLeastOne("resolution_steps", steps))
	}
	w, h := totalSize(t, mega*1024*1024, float64(steps))
	return given(upscale(a, t, w, h, method, ""))
}

// atLeastOne is the error about a number that must be positive.
func atLeastOne(name string, v int) error {
	if v < 1 {
		return errors.New("input " + name + " must be at least 1")
	}
	return nil
}

// totalSize keeps the aspect ratio and gives about total pixels, in whole steps.
func totalSize(t *tensor, total, step float64) (w, h int) {
	// The factor for both sides, from the areas.
	by := math.Sqrt(total / float64(t.w*t.h))
	return round(float64(t.w)*by/step) * int(step), round(float64(t.h)*by/step) * int(step)
}

// imageScaleToMaxDimension makes the longer side as given.
func imageScaleToMaxDimension(a *args) ([]value, error) {
	t, method, size := a.picture("image"), a.text("upscale_method"), a.integer("largest_size")
	if a.err != nil {
		return nil, a.err
	}
	w, h := longerSide(t, size)
	return given(upscale(a, t, w, h, method, ""))
}

// longerSide makes the longer side size pixels.
func longerSide(t *tensor, size int) (w, h int) {
	switch {
	case t.h > t.w:
		return round(float64(t.w) / float64(t.h) * float64(size)), size
	case t.w > t.h:
		return size, round(float64(t.h) / float64(t.w) * float64(size))
	}
	return size, size
}

// shorterSide makes the shorter side size pixels.
func shorterSide(t *tensor, size int) (w, h int) {
	switch {
	case t.h < t.w:
		return round(float64(t.w) / float64(t.h) * float64(size)), size
	case t.w < t.h:
		return size, round(float64(t.h) / float64(t.w) * float64(size))
	}
	return size, size
}

// resizeAndPad fits the picture into the target and fills the rest.
func resizeAndPad(a *args) ([]value, error) {
	t, w, h := a.picture("image"), a.integer("target_width"), a.integer("target_height")
	colour, method := a.text("padding_color"), a.text("interpolation")
	a.fits(t.n, h, w)
	if a.err != nil {
		return nil, a.err
	}
	scale := min(float64(w)/float64(t.w), float64(h)/float64(t.h))
	small, err := upscale(a, t, int(float64(t.w)*scale), int(float64(t.h)*scale), method, "")
	if err != nil {
		return nil, err
	}
	// White, unless black is asked for.
	fill := float32(1)
	if colour == "black" {
		fill = 0
	}
	out := filled(t.n, h, w, t.c, fill)
	out.paste(small, (w-small.w)/2, (h-small.h)/2)
	return given(out, nil)
}

// resizeImageMask is the node of many ways: an image or a mask, sized by the
// chosen resize_type and the inputs under it.
func resizeImageMask(a *args) ([]value, error) {
	t, wrap := a.either("input")
	method, how := a.text("scale_method"), a.text("resize_type")
	if a.err != nil {
		return nil, a.err
	}
	if how == "scale to multiple" {
		return toMultiple(a, t, wrap, method)
	}
	w, h, crop := wantedSize(a, t, how)
	if a.err != nil {
		return nil, a.err
	}
	if w == 0 && h == 0 {
		return []value{wrap(t)}, nil
	}
	out, err := upscale(a, t, w, h, method, crop)
	if err != nil {
		return nil, err
	}
	return []value{wrap(out)}, nil
}

// wantedSize gives the new size of a resize_type; 0 × 0 leaves the picture as it is.
func wantedSize(a *args, t *tensor, how string) (w, h int, crop string) {
	// Inputs of the chosen option have its name before theirs.
	const at = "resize_type."
	switch how {
	case "scale by multiplier":
		by := a.number(at + "multiplier")
		return round(float64(t.w) * by), round(float64(t.h) * by), ""
	case "scale dimensions":
		w, h, crop = a.integer(at+"width"), a.integer(at+"height"), a.text(at+"crop")
	case "scale longer dimension":
		w, h = longerSide(t, a.integer(at+"longer_size"))
		return w, h, ""
	case "scale shorter dimension":
		w, h = shorterSide(t, a.integer(at+"shorter_size"))
		return w, h, ""
	case "scale width":
		w = a.integer(at + "width")
	case "scale height":
		h = a.integer(at + "height")
	case "scale total pixels":
		w, h = totalSize(t, math.Floor(a.number(at+"megapixels")*1024*1024), 1)
	case "match size":
		m, _ := a.either(at + "match")
		return m.w, m.h, a.text(at + "crop")
	default:
		a.fail("no resize_type is called %q", how)
	}
	if w == 0 && h == 0 {
		return 0, 0, ""
	}
	w, h = sideOr(w, h, t)
	return w, h, crop
}

// toMultiple makes both sides multiples of a number: scaled to cover, then cut
// from the middle.
func toMultiple(a *args, t *tensor, wrap func(*tensor) value, method string) ([]value, error) {
	multiple := a.integer("resize_type.multiple")
	if a.err != nil {
		return nil, a.err
	}
	w, h := t.w, t.h
	if multiple > 1 {
		w, h = t.w/multiple*multiple, t.h/multiple*multiple
	}
	if w == 0 || h == 0 || w == t.w && h == t.h {
		return []value{wrap(t)}, nil
	}
	sw, sh := w, h
	// The side that must be scaled less decides; the other one stands over a
	// little.
	if bx, by := float64(w)/float64(t.w), float64(h)/float64(t.h); bx >= by {
		sh = max(int(math.Ceil(float64(t.h)*bx)), h)
	} else {
		sw = max(int(math.Ceil(float64(t.w)*by)), w)
	}
	out, err := upscale(a, t, sw, sh, method, "")
	if err != nil {
		return nil, err
	}
	return []value{wrap(out.crop((sw-w)/2, (sh-h)/2, w, h))}, nil
}

// resizeByShorterEdge and resizeByLongerEdge go through 8-bit pictures.
func resizeByShorterEdge(a *args) ([]value, error) {
	t, edge := a.picture("images"), a.integer("shorter_edge")
	if a.err == nil && t.n != 1 {
		a.fail("the node takes one picture at a time, not a batch of %d", t.n)
	}
	return resizeByEdge(a, t, edge, t.w < t.h)
}

// resizeByLongerEdge takes batches, unlike its sister.
func resizeByLongerEdge(a *args) ([]value, error) {
	t, edge := a.picture("images"), a.integer("longer_edge")
	return resizeByEdge(a, t, edge, t.w > t.h)
}

// resizeByEdge scales one side to edge and cuts the fraction of the other.
func resizeByEdge(a *args, t *tensor, edge int, byWidth bool) ([]value, error) {
	if a.err != nil {
		return nil, a.err
	}
	// Cut and not rounded: int() in Python.
	w, h := int(float64(t.w)*(float64(edge)/float64(t.h))), edge
	if byWidth {
		w, h = edge, int(float64(t.h)*(float64(edge)/float64(t.w)))
	}
	return given(upscale(a, t, w, h, "lanczos", ""))
}

// kontextScale picks the size with the nearest aspect ratio among those that
// FLUX.1 Kontext was trained on.
func kontextScale(a *args) ([]value, error) {
	t := a.picture("image")
	if a.err != nil {
		return nil, a.err
	}
	aspect, least, best := float64(t.w)/float64(t.h), math.Inf(1), [2]int{}
	for _, s := range kontextSizes {
		// The first of equally near ones, as in a search for a minimum.
		if d := math.Abs(aspect - float64(s[0])/float64(s[1])); d < least {
			least, best = d, s
		}
	}
	return given(upscale(a, t, best[0], best[1], "lanczos", "center"))
}

// kontextSizes are widths and heights in pixels, all of about one megapixel and
// multiples of 16.
var kontextSizes = [][2]int{
	{672, 1568}, {688, 1504}, {720, 1456}, {752, 1392}, {800, 1328}, {832, 1248}, {880, 1184}, {944, 1104},
	{1024, 1024}, {1104, 944}, {1184, 880}, {1248, 832}, {1328, 800}, {1392, 752}, {1456, 720}, {1504, 688}, {1568, 672},
}
