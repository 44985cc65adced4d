package worker

// Nodes that change each sample by itself. Results are not limited to 0..1
// unless the node itself does so: a later node sees what is beyond, and only
// saving and the 8-bit nodes cut it off.

// imageInvert turns 0 into 1; an alpha channel is turned too, as in ComfyUI.
func imageInvert(a *args) ([]value, error) {
	t := a.picture("image")
	if a.err != nil {
		return nil, a.err
	}
	return given(t.each(func(v float32) float32 { return 1 - v }), nil)
}

// adjustBrightness multiplies and limits to 0..1.
func adjustBrightness(a *args) ([]value, error) {
	t, factor := a.picture("images"), float32(a.number("factor"))
	if a.err != nil {
		return nil, a.err
	}
	return given(t.each(func(v float32) float32 { return clamp(v * factor) }), nil)
}

// adjustContrast stretches around 0.5 and limits to 0..1.
func adjustContrast(a *args) ([]value, error) {
	t, factor := a.picture("images"), float32(a.number("factor"))
	if a.err != nil {
		return nil, a.err
	}
	return given(t.each(func(v float32) float32 { return clamp((v-0.5)*factor + 0.5) }), nil)
}

// normalizeImages moves mean to 0 and std to 1. Nothing limits the result:
// saving does. A std of 0 gives infinities, which save as black or white.
func normalizeImages(a *args) ([]value, error) {
	t, mean, std := a.picture("images"), float32(a.number("mean")), float32(a.number("std"))
	if a.err != nil {
		return nil, a.err
	}
	return given(t.each(func(v float32) float32 { return (v - mean) / std }), nil)
}

// imageAddNoise adds torch's normal noise.
func imageAddNoise(a *args) ([]value, error) {
	t, seed, strength := a.picture("image"), a.seed("seed"), float32(a.number("strength"))
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(t.n, t.h, t.w, t.c)
	// torch seeds its generator with the lower 32 bits. The noise is drawn for
	// the whole batch at once, so that each picture has its own.
	normals(out.pix, newTwister(uint32(seed)))
	for i, v := range t.pix {
		out.pix[i] = clamp(v + strength*out.pix[i])
	}
	return given(out, nil)
}

// rgbToYUV gives the three channels as grey pictures.
func rgbToYUV(a *args) ([]value, error) {
	t := a.picture("image")
	if a.err == nil && t.c != 3 {
		a.fail("the node needs pictures of 3 channels, not %d", t.c)
	}
	if a.err != nil {
		return nil, a.err
	}
	var out [3]*tensor
	for k := range out {
		out[k] = newTensor(t.n, t.h, t.w, 3)
	}
	for i := 0; i < len(t.pix); i += 3 {
		r, g, b := t.pix[i], t.pix[i+1], t.pix[i+2]
		// BT.601: luma, and the differences of blue and red to it around 0.5.
		y := 0.299*r + 0.587*g + 0.114*b
		for k, v := range [3]float32{y, (b-y)*0.564 + 0.5, (r-y)*0.713 + 0.5} {
			out[k].pix[i], out[k].pix[i+1], out[k].pix[i+2] = v, v, v
		}
	}
	return []value{picture{out[0]}, picture{out[1]}, picture{out[2]}}, nil
}

// yuvToRGB reads the mean of each picture's channels.
func yuvToRGB(a *args) ([]value, error) {
	y, u, v := a.picture("Y"), a.picture("U"), a.picture("V")
	if a.err != nil {
		return nil, a.err
	}
	if !y.sameSize(u) || !y.sameSize(v) || y.n != u.n || y.n != v.n {
		a.fail("Y, U and V differ in size: %s, %s, %s", y.shape(), u.shape(), v.shape())
		return nil, a.err
	}
	out := newTensor(y.n, y.h, y.w, 3)
	for i := range out.pixels() {
		luma, cb, cr := y.mean(i), u.mean(i)-0.5, v.mean(i)-0.5
		out.pix[3*i] = luma + 1.403*cr
		out.pix[3*i+1] = luma - 0.714*cr - 0.344*cb
		out.pix[3*i+2] = luma + 1.773*cb
	}
	return given(out, nil)
}

// mean is the mean of pixel i's channels.
func (t *tensor) mean(i int) float32 {
	var sum float32
	for _, v := range t.pix[i*t.c : (i+1)*t.c] {
		sum += v
	}
	return sum / float32(t.c)
}
