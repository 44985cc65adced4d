package worker

import "fmt"

// stitchColours are the colours of the strip between two stitched pictures.
var stitchColours = map[string][3]float32{
	"white": {1, 1, 1}, "black": {0, 0, 0}, "red": {1, 0, 0}, "green": {0, 1, 0}, "blue": {0, 0, 1},
}

// imageStitch puts the second picture beside the first.
func imageStitch(a *args) ([]value, error) {
	one, where := a.picture("image1"), a.text("direction")
	match, space := a.truth("match_image_size"), a.integer("spacing_width")
	name := a.text("spacing_color")
	if a.err != nil || !a.has("image2") {
		return []value{picture{one}}, a.err
	}
	two := a.picture("image2")
	colour, ok := stitchColours[name]
	if !ok {
		a.fail("no spacing colour is called %q", name)
	}
	// The shorter batch repeats its last picture.
	n := max(one.n, two.n)
	a.fits(n, one.h, one.w)
	a.fits(n, two.h, two.w)
	if a.err != nil {
		return nil, a.err
	}
	one, two = one.holdTo(n), two.holdTo(n)
	across := where == "left" || where == "right"
	one, two, err := align(a, one, two, across, match, grey(name))
	if err != nil {
		return nil, err
	}
	// A picture without alpha gets an opaque one.
	c := max(one.c, two.c)
	parts := []*tensor{one.channels(c, 1), two.channels(c, 1)}
	if where == "left" || where == "up" {
		parts[0], parts[1] = parts[1], parts[0]
	}
	// The strip's width is even: an odd one is made a pixel wider.
	return given(join(a, parts, across, space+space%2, colour))
}

// grey is what fills beside a smaller picture: only black and white do, other
// colours leave it black.
func grey(colour string) float32 {
	if colour == "white" {
		return 1
	}
	return 0
}

// holdTo makes the batch longer by repeating its last picture.
func (t *tensor) holdTo(n int) *tensor {
	for t.n < n {
		t = concat(t, t.slice(t.n-1, t.n).repeatTo(n-t.n))
	}
	return t
}

// align scales the second picture to the first one's height (or width), or
// pads the smaller one.
func align(a *args, one, two *tensor, across, match bool, fill float32) (*tensor, *tensor, error) {
	// Only the side along the seam must be equal; the other follows in
	// proportion.
	if match {
		aspect := float64(two.w) / float64(two.h)
		w, h := int(float64(one.h)*aspect), one.h
		if !across {
			w, h = one.w, int(float64(one.w)/aspect)
		}
		two, err := upscale(a, two, w, h, "lanczos", "")
		return one, two, err
	}
	w, h := max(one.w, two.w), max(one.h, two.h)
	return pad(a, one, w, h, across, fill), pad(a, two, w, h, across, fill), a.err
}

// pad centres a picture in the larger height (or width).
func pad(a *args, t *tensor, w, h int, across bool, fill float32) *tensor {
	if across {
		w = t.w
	} else {
		h = t.h
	}
	a.fits(t.n, h, w)
	if a.err != nil || w == t.w && h == t.h {
		return t
	}
	out := filled(t.n, h, w, t.c, fill)
	out.paste(t, (w-t.w)/2, (h-t.h)/2)
	return out
}

// join lays two pictures side by side (or below each other) with a strip between.
func join(a *args, parts []*tensor, across bool, space int, colour [3]float32) (*tensor, error) {
	one, two := parts[0], parts[1]
	w, h := one.w+space+two.w, one.h
	x, y := one.w+space, 0
	if across && one.h != two.h || !across && one.w != two.w {
		return nil, fmt.Errorf("pictures of %d × %d and %d × %d pixels cannot be stitched", one.w, one.h, two.w, two.h)
	}
	if !across {
		w, h, x, y = one.w, one.h+space+two.h, 0, one.h+space
	}
	a.fits(one.n, h, w)
	if space < 0 {
		a.fail("a spacing of %d pixels is not possible", space)
	}
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(one.n, h, w, one.c)
	// The whole canvas gets the strip's colour, and the pictures lie on it.
	for i := range out.pix {
		if k := i % out.c; k < 3 {
			out.pix[i] = colour[k]
		} else {
			out.pix[i] = 1
		}
	}
	out.paste(one, 0, 0)
	out.paste(two, x, y)
	return out, nil
}
