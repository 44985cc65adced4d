package worker

import "image"

// jpegColours turns a JPEG's planes into rows of R, G, B, A as FFmpeg does: each
// chroma sample serves all pixels that it covers; with fewer chroma samples
// than pixels the products are cut off one by one, else the sum is rounded.
func jpegColours(img *image.YCbCr) []uint8 {
	r := img.Rect
	w := r.Dx()
	out := make([]uint8, 4*w*r.Dy())
	// 4:2:0 and 4:2:2 go through FFmpeg's fast path: products are shifted down
	// one by one, each losing its fraction. The factors are those of BT.601
	// times 2^13, on samples times 2^3.
	rough := img.SubsampleRatio == image.YCbCrSubsampleRatio420 || img.SubsampleRatio == image.YCbCrSubsampleRatio422
	for i := 0; i < len(out); i += 4 {
		x, y := r.Min.X+i/4%w, r.Min.Y+i/4/w
		luma := int32(img.Y[img.YOffset(x, y)])
		at := img.COffset(x, y)
		cb, cr := int32(img.Cb[at])-128, int32(img.Cr[at])-128
		if rough {
			out[i] = clip255(luma + cr*8*11485>>16)
			out[i+1] = clip255(luma + cb*8*-2819>>16 + cr*8*-5850>>16)
			out[i+2] = clip255(luma + cb*8*14516>>16)
		} else {
			// The exact path, in 16 bits of fraction.
			out[i] = clip255((luma<<16 + 91881*cr + 1<<15) >> 16)
			out[i+1] = clip255((luma<<16 - 22554*cb - 46802*cr + 1<<15) >> 16)
			out[i+2] = clip255((luma<<16 + 116130*cb + 1<<15) >> 16)
		}
		out[i+3] = 255
	}
	return out
}

// clip255 limits to 8 bits.
func clip255(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// studio turns a lossy WebP's planes into a picture: luma from 16 to 235, and
// chroma at half size, enlarged smoothly.
func studio(img *image.YCbCr) *tensor {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	// Lossy WebP is always 4:2:0. Odd sides have a chroma sample for the last
	// pixel too.
	cw, ch := (w+1)/2, (h+1)/2
	cb := taps(plane(img.Cb, img.CStride, cw, ch), linearTaps(cw, 2*cw), linearTaps(ch, 2*ch))
	cr := taps(plane(img.Cr, img.CStride, cw, ch), linearTaps(cw, 2*cw), linearTaps(ch, 2*ch))
	out := newTensor(1, h, w, 3)
	for y := range h {
		u, v, to := cb.row(0, y), cr.row(0, y), out.row(0, y)
		for x := range w {
			// 255/219: video range, black at 16 and white at 235.
			luma := 1.164383 * (float32(img.Y[y*img.YStride+x]) - 16)
			p := to[x*3 : x*3+3]
			p[0] = luma + 1.596027*(v[x]-128)
			p[1] = luma - 0.391762*(u[x]-128) - 0.812968*(v[x]-128)
			p[2] = luma + 2.017232*(u[x]-128)
			for k := range p {
				p[k] = min(max(p[k], 0), 255) * shrunk
			}
		}
	}
	return out
}

// plane copies samples of 8 bits.
func plane(pix []uint8, stride, w, h int) *tensor {
	out := newTensor(1, h, w, 1)
	for i := range out.pix {
		out.pix[i] = float32(pix[i/w*stride+i%w])
	}
	return out
}
