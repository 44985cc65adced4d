package worker

import "errors"

// Nodes that cut and pad. Rectangles are in pixels from the upper left; what is
// asked for beyond the picture is pulled in or left out, never invented.

// imageCrop cuts; a part that reaches over the edge is left out.
func imageCrop(a *args) ([]value, error) {
	t := a.picture("image")
	x, y, w, h := a.integer("x"), a.integer("y"), a.integer("width"), a.integer("height")
	return cropAt(a, t, x, y, w, h)
}

// cropAt cuts with the corner pulled into the picture.
func cropAt(a *args, t *tensor, x, y, w, h int) ([]value, error) {
	if a.err == nil && (x < 0 || y < 0 || w < 1 || h < 1) {
		a.fail("cannot cut %d × %d pixels at %d, %d", w, h, x, y)
	}
	if a.err != nil {
		return nil, a.err
	}
	return given(t.crop(min(x, t.w-1), min(y, t.h-1), w, h), nil)
}

// imageCropV2 takes the rectangle as one value.
func imageCropV2(a *args) ([]value, error) {
	t, b := a.picture("image"), a.box("crop_region")
	return cropAt(a, t, b.x, b.y, b.w, b.h)
}

// box is a value of type BOUNDING_BOX, in pixels.
type box struct{ x, y, w, h int }

// box gives an input of type BOUNDING_BOX: from a node, or written out.
func (a *args) box(name string) box {
	switch v := a.want(name).(type) {
	case box:
		return v
	// The widget's own form: {"x": 0, "y": 0, "width": 512, "height": 512}.
	case map[string]any:
		side := func(key string, missing int) int {
			n, err := asInt(v[key])
			if v[key] == nil {
				return missing
			}
			if err != nil || n > maxSide || n < -maxSide {
				a.fail("input %s has no usable %s", name, key)
			}
			return int(n)
		}
		return box{side("x", 0), side("y", 0), side("width", 512), side("height", 512)}
	}
	a.fail("input %s is not a rectangle", name)
	return box{}
}

// boundingBox makes a rectangle of four numbers.
func boundingBox(a *args) ([]value, error) {
	b := box{a.integer("x"), a.integer("y"), a.integer("width"), a.integer("height")}
	return []value{b}, a.err
}

// centerCrop goes through 8-bit pictures, one at a time.
func centerCrop(a *args) ([]value, error) {
	t, w, h := a.picture("images"), a.integer("width"), a.integer("height")
	if a.err == nil && t.n != 1 {
		a.fail("the node takes one picture at a time, not a batch of %d", t.n)
	}
	if a.err != nil {
		return nil, a.err
	}
	return given(in8(t.crop(max(0, (t.w-w)/2), max(0, (t.h-h)/2), w, h)), nil)
}

// in8 gives what is left of a picture that was kept in 8 bits for a while.
func in8(t *tensor) *tensor {
	return t.each(func(v float32) float32 { return float32(to8(v)) / 255 })
}

// randomCrop draws the corner with numpy's generator.
func randomCrop(a *args) ([]value, error) {
	t, w, h, seed := a.picture("images"), a.integer("width"), a.integer("height"), a.seed("seed")
	if a.err == nil && (t.n != 1 || w < 1 || h < 1) {
		a.fail("the node takes one picture at a time and a size above 0")
	}
	if a.err != nil {
		return nil, a.err
	}
	// numpy refuses seeds of 2^32 and more, so ComfyUI takes the rest of a
	// division by 2^32-1. x is drawn before y.
	r := newTwister(uint32(seed % (1<<32 - 1)))
	x := int(r.upTo(uint32(max(0, t.w-w))))
	y := int(r.upTo(uint32(max(0, t.h-h))))
	return given(in8(t.crop(x, y, w, h)), nil)
}

// cropByBBoxes cuts one rectangle from every picture and scales it.
func cropByBBoxes(a *args) ([]value, error) {
	t, b := a.picture("image"), a.box("bboxes")
	w, h, padding := a.integer("output_width"), a.integer("output_height"), a.integerOr("padding", 0)
	pad := a.textOr("keep_aspect", "stretch") == "pad"
	a.fits(t.n, h, w)
	if a.err != nil {
		return nil, a.err
	}
	part := t.cropInside(b, padding)
	if part == nil {
		return given(newTensor(t.n, h, w, t.c), nil)
	}
	if !pad {
		return given(resize(part, w, h, "area"))
	}
	scale := min(float64(w)/float64(part.w), float64(h)/float64(part.h))
	small, err := resize(part, round(float64(part.w)*scale), round(float64(part.h)*scale), "area")
	if err != nil {
		return nil, err
	}
	out := newTensor(t.n, h, w, t.c)
	out.paste(small, (w-small.w)/2, (h-small.h)/2)
	return given(out, nil)
}

// cropInside cuts the part of a rectangle that lies inside, or a square near
// the top when nothing does.
func (t *tensor) cropInside(b box, padding int) *tensor {
	x0, x1 := max(0, b.x-padding), min(t.w, b.x+b.w+padding)
	y0, y1 := max(0, b.y-padding), min(t.h, b.y+b.h+padding)
	if x1 <= x0 || y1 <= y0 {
		size := int(float64(min(t.w, t.h)) * 0.3)
		x0, y0 = max(0, (t.w-size)/2), max(0, int(float64(t.h)*0.1))
		x1, y1 = min(t.w, x0+size), min(t.h, y0+size)
	}
	if x1 <= x0 || y1 <= y0 {
		return nil
	}
	return t.crop(x0, y0, x1-x0, y1-y0)
}

// padForOutpaint adds grey borders and makes the mask of what is new, with a
// soft edge of feathering pixels inside the old picture.
func padForOutpaint(a *args) ([]value, error) {
	t := a.picture("image")
	left, top := a.integer("left"), a.integer("top")
	right, bottom := a.integer("right"), a.integer("bottom")
	feather := a.integer("feathering")
	if a.err == nil && min(left, top, right, bottom) < 0 {
		a.err = errors.New("a border cannot be negative")
	}
	w, h := t.w+left+right, t.h+top+bottom
	a.fits(t.n, h, w)
	if a.err != nil {
		return nil, a.err
	}
	out := filled(t.n, h, w, t.c, 0.5)
	out.paste(t, left, top)
	m := filled(1, h, w, 1, 1)
	inner := newTensor(1, t.h, t.w, 1)
	// ComfyUI leaves the edge hard if the soft ones would meet in the middle.
	if feather > 0 && feather*2 < t.h && feather*2 < t.w {
		featherEdges(inner, feather, left != 0, top != 0, right != 0, bottom != 0)
	}
	m.paste(inner, left, top)
	return []value{picture{out}, mask{m}}, nil
}

// featherEdges fades from 1 at the borders that were widened to 0 inside.
func featherEdges(t *tensor, feather int, left, top, right, bottom bool) {
	for y := range t.h {
		row := t.row(0, y)
		for x := range row {
			// The distance in pixels to the nearest border that was widened.
			d := min(t.h, t.w)
			for _, side := range [...]struct {
				wide bool
				far  int
			}{{left, x}, {top, y}, {right, t.w - x}, {bottom, t.h - y}} {
				if side.wide {
					d = min(d, side.far)
				}
			}
			if d < feather {
				// Squared: steep at the border, flat inside.
				v := float64(feather-d) / float64(feather)
				row[x] = float32(v * v)
			}
		}
	}
}
