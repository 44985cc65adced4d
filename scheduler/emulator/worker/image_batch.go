package worker

import "errors"

// Nodes that join, cut and count batches. A batch is one tensor, so all its
// pictures have one size, which the first one decides, and one channel count.

// imageBatch appends the second batch, scaled and cut to the first one's size.
func imageBatch(a *args) ([]value, error) {
	one, two := a.picture("image1"), a.picture("image2")
	if a.err != nil {
		return nil, a.err
	}
	return given(joinBatches(a, []*tensor{one, two}))
}

// joinBatches gives all the most channels (one more at a time, opaque) and the
// first one's size.
func joinBatches(a *args, parts []*tensor) (*tensor, error) {
	most, n := 0, 0
	for _, t := range parts {
		most, n = max(most, t.c), n+t.n
	}
	for i, t := range parts {
		// ComfyUI adds one opaque channel where the other has more, whatever
		// the difference is.
		if t.c < most {
			t = t.channels(t.c+1, 1)
		}
		if !t.sameSize(parts[0]) || t.c != parts[0].c {
			var err error
			if t, err = upscale(a, t, parts[0].w, parts[0].h, "bilinear", "center"); err != nil {
				return nil, err
			}
		}
		if parts[i] = t; t.c != parts[0].c {
			return nil, errors.New("the pictures differ by more than one channel")
		}
	}
	a.fits(n, parts[0].h, parts[0].w)
	if a.err != nil {
		return nil, a.err
	}
	return concat(parts...), nil
}

// batchImages joins an autogrow input.
func batchImages(a *args) ([]value, error) {
	var parts []*tensor
	for _, v := range a.grown("images") {
		p, ok := v.(picture)
		if !ok {
			a.fail("images has an entry that is no IMAGE")
			break
		}
		parts = append(parts, p.tensor)
	}
	if len(parts) == 0 {
		a.fail("required input is missing: images")
	}
	if a.err != nil {
		return nil, a.err
	}
	return given(joinBatches(a, parts))
}

// batchMasks joins masks in the size of the first.
func batchMasks(a *args) ([]value, error) {
	var parts []*tensor
	for _, v := range a.grown("masks") {
		m, ok := v.(mask)
		if !ok {
			a.fail("masks has an entry that is no MASK")
			break
		}
		parts = append(parts, m.tensor)
	}
	if len(parts) == 0 {
		a.fail("required input is missing: masks")
	}
	if a.err != nil {
		return nil, a.err
	}
	out, err := joinBatches(a, parts)
	if err != nil {
		return nil, err
	}
	return []value{mask{out}}, nil
}

// repeatImageBatch repeats the whole batch: a b a b, not a a b b.
func repeatImageBatch(a *args) ([]value, error) {
	t, amount := a.picture("image"), a.integer("amount")
	a.fits(t.n*max(amount, 0), t.h, t.w)
	if a.err != nil {
		return nil, a.err
	}
	return given(t.repeatTo(t.n*amount), nil)
}

// imageFromBatch takes a part of the batch; what is out of range is pulled in.
func imageFromBatch(a *args) ([]value, error) {
	t, index, length := a.picture("image"), a.integer("batch_index"), a.integer("length")
	if a.err != nil {
		return nil, a.err
	}
	from, to := fromBatch(t.n, index, length)
	return given(t.slice(from, to), nil)
}

// fromBatch gives the range of a batch of n; a negative index counts from the end.
func fromBatch(n, index, length int) (from, to int) {
	if index < 0 {
		index += n
	}
	from = max(0, min(n-1, index))
	return from, from + max(0, min(n-from, length))
}

// getImageSize gives width, height and batch size.
func getImageSize(a *args) ([]value, error) {
	t := a.picture("image")
	return []value{int64(t.w), int64(t.h), int64(t.n)}, a.err
}

// emptyImage fills with one colour, 0xRRGGBB.
func emptyImage(a *args) ([]value, error) {
	w, h := a.integer("width"), a.integer("height")
	n, colour := a.integerOr("batch_size", 1), a.integerOr("color", 0)
	a.fits(n, h, w)
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(n, h, w, 3)
	rgb := [3]float32{}
	for k := range rgb {
		// Red stands in bits 16 to 23.
		rgb[k] = float32(float64(colour>>(16-8*k)&0xff) / 0xff)
	}
	for i := range out.pix {
		out.pix[i] = rgb[i%3]
	}
	return given(out, nil)
}
