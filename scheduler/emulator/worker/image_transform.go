package worker

import "strings"

// Nodes that move pixels without changing them, and the same for latents, whose
// stand-ins are pictures.

// imageFlip mirrors top to bottom ("x-axis…") or left to right ("y-axis…").
func imageFlip(a *args) ([]value, error) {
	t, how := a.picture("image"), a.text("flip_method")
	if a.err != nil {
		return nil, a.err
	}
	return given(flip(t, how), nil)
}

// flip mirrors a batch.
func flip(t *tensor, how string) *tensor {
	upDown, sideways := strings.HasPrefix(how, "x"), strings.HasPrefix(how, "y")
	return moved(t, t.w, t.h, func(x, y int) (int, int) {
		if upDown {
			y = t.h - 1 - y
		} else if sideways {
			x = t.w - 1 - x
		}
		return x, y
	})
}

// imageRotate turns clockwise by quarters.
func imageRotate(a *args) ([]value, error) {
	t, how := a.picture("image"), a.text("rotation")
	if a.err != nil {
		return nil, a.err
	}
	return given(rotate(t, how), nil)
}

// rotate turns a batch; unknown words leave it as it is.
func rotate(t *tensor, how string) *tensor {
	switch {
	case strings.HasPrefix(how, "90"):
		// Each case says from which old place the new pixel x, y comes.
		return moved(t, t.h, t.w, func(x, y int) (int, int) { return y, t.h - 1 - x })
	case strings.HasPrefix(how, "180"):
		return moved(t, t.w, t.h, func(x, y int) (int, int) { return t.w - 1 - x, t.h - 1 - y })
	case strings.HasPrefix(how, "270"):
		return moved(t, t.h, t.w, func(x, y int) (int, int) { return t.w - 1 - y, x })
	}
	return t
}

// moved makes a w × h picture whose pixel x, y comes from the place that from gives.
func moved(t *tensor, w, h int, from func(x, y int) (int, int)) *tensor {
	out := newTensor(t.n, h, w, t.c)
	for i := range t.n {
		src := t.one(i)
		for y := range h {
			to := out.row(i, y)
			for x := range w {
				sx, sy := from(x, y)
				at := (sy*t.w + sx) * t.c
				copy(to[x*t.c:(x+1)*t.c], src[at:at+t.c])
			}
		}
	}
	return out
}
