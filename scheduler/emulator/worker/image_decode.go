package worker

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/webp"
)

// ComfyUI loads through FFmpeg. Formats that FFmpeg has as 8-bit RGB, RGBA or
// palette become v/255; others go through 16 bits and become v·256/65535, a
// hair darker. That is why a grey PNG comes back one step darker when saved.
const (
	plain  = float32(1) / 255     // RGB, RGBA and palettes of 8 bits
	shrunk = float32(256) / 65535 // 8 bits that FFmpeg widens to 16 by shifting
	deep   = float32(1) / 65535   // 16 bits
)

// decodeFile reads PNG, JPEG, GIF and WebP; all pictures of an animated PNG or GIF.
// The file's declared size is checked first.
func decodeFile(data []byte, limit int) (*loaded, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return decodePNG(data, limit)
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
		return decodeJPEG(data, limit)
	case bytes.HasPrefix(data, []byte("GIF8")):
		return decodeGIF(data, limit)
	case len(data) > 12 && string(data[8:12]) == "WEBP":
		return decodeWebP(data, limit)
	}
	return nil, errors.New("neither PNG, JPEG, GIF nor WebP")
}

// checkSize refuses what is too large before it is decoded.
func checkSize(c image.Config, err error, limit int) error {
	if err != nil {
		return err
	}
	return fits(1, c.Height, c.Width, limit)
}

// pngFormat tells how the samples of a PNG, or of a frame of an animated one,
// become numbers, and whether there is an alpha channel. The colour type in the
// file's header counts too: Go decodes grey with alpha to the same type as RGB
// with alpha.
func pngFormat(file []byte, img image.Image) (scale float32, alpha bool) {
	const typeAt = 25 // of the colour type in the file
	grey := file[typeAt] == 0 || file[typeAt] == 4
	switch img.(type) {
	case *image.Gray:
		return shrunk, false
	case *image.Paletted: // always with alpha, even if no colour is clear
		return plain, true
	case *image.NRGBA: // with alpha; grey ones too
		if grey {
			return shrunk, true
		}
		return plain, true
	case *image.Gray16, *image.RGBA64:
		return deep, false
	case *image.NRGBA64:
		return deep, true
	}
	return plain, false
}

// decodePNG reads a still picture, or all frames of an animated one.
func decodePNG(data []byte, limit int) (*loaded, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err := checkSize(c, err, limit); err != nil {
		return nil, err
	}
	if head, frames := apngFrames(data); len(frames) > 1 {
		return decodeAPNG(data, head, frames, c, limit)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	l := newLoaded(1, img.Bounds())
	scale, alpha := pngFormat(data, img)
	l.fill(0, img, scale, alpha)
	return l.turned(orientation(pngExif(data))), nil
}

// decodeJPEG gives 8-bit RGB; grey and CMYK files go through 16 bits.
func decodeJPEG(data []byte, limit int) (*loaded, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err := checkSize(c, err, limit); err != nil {
		return nil, err
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	l := newLoaded(1, img.Bounds())
	switch img.(type) {
	case *image.Gray:
		l.fill(0, img, shrunk, false)
	case *image.CMYK:
		l.fill(0, img, shrunk, true)
	default:
		l.fill(0, img, plain, false)
	}
	return l.turned(orientation(jpegExif(data))), nil
}

// decodeWebP reads still pictures only.
func decodeWebP(data []byte, limit int) (*loaded, error) {
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err := checkSize(c, err, limit); err != nil {
		return nil, err
	}
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	l := newLoaded(1, img.Bounds())
	switch img := img.(type) {
	case *image.YCbCr:
		l.colour = studio(img)
	case *image.NYCbCrA:
		l.colour = studio(&img.YCbCr)
		l.alpha = newTensor(1, l.colour.h, l.colour.w, 1)
		for i := range l.alpha.pix {
			// The alpha plane has the full size and the full range of 0 to 255.
			l.alpha.pix[i] = float32(img.A[i/l.colour.w*img.AStride+i%l.colour.w]) * shrunk
		}
	default:
		l.fill(0, img, shrunk, true)
	}
	return l, nil
}

// decodeGIF gives all pictures as they are shown, one over the other.
func decodeGIF(data []byte, limit int) (*loaded, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err := checkSize(c, err, limit); err != nil {
		return nil, err
	}
	// All frames are decoded at once, so they are counted first.
	if err := fits(gifFrames(data), c.Height, c.Width, limit); err != nil {
		return nil, err
	}
	g, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	l := newLoaded(len(g.Image), image.Rect(0, 0, c.Width, c.Height))
	canvas := image.NewNRGBA(image.Rect(0, 0, c.Width, c.Height))
	wipe(canvas, canvas.Rect)
	for i, frame := range g.Image {
		before := append([]uint8(nil), canvas.Pix...)
		lay(canvas, frame)
		l.fill(i, canvas, shrunk, true)
		switch g.Disposal[i] {
		case gif.DisposalBackground:
			wipe(canvas, frame.Rect.Intersect(canvas.Rect))
		case gif.DisposalPrevious:
			canvas.Pix = before
		}
	}
	return l, nil
}

// wipe makes a part clear white, as FFmpeg does.
func wipe(canvas *image.NRGBA, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			canvas.SetNRGBA(x, y, color.NRGBA{255, 255, 255, 0})
		}
	}
}

// lay draws the pixels of a frame that are not clear.
func lay(canvas *image.NRGBA, frame *image.Paletted) {
	r := frame.Rect.Intersect(canvas.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := color.NRGBAModel.Convert(frame.At(x, y)).(color.NRGBA)
			if c.A != 0 {
				canvas.SetNRGBA(x, y, c)
			}
		}
	}
}

// newLoaded makes room for n pictures.
func newLoaded(n int, r image.Rectangle) *loaded {
	return &loaded{colour: newTensor(n, r.Dy(), r.Dx(), 3)}
}

// fill copies an image's samples times scale; deep reads them as 16 bits.
func (l *loaded) fill(i int, img image.Image, scale float32, alpha bool) {
	if alpha && l.alpha == nil {
		l.alpha = newTensor(l.colour.n, l.colour.h, l.colour.w, 1)
	}
	to := l.colour.one(i)
	put := func(at int, c [4]float32) {
		copy(to[at*3:at*3+3], c[:3])
		if alpha {
			l.alpha.one(i)[at] = c[3]
		}
	}
	r := img.Bounds()
	if scale != deep {
		for at, pix := 0, flat(img); at < len(pix)/4; at++ {
			put(at, scaled([4]uint8(pix[at*4:at*4+4]), scale))
		}
		return
	}
	for at := range r.Dx() * r.Dy() {
		n := color.NRGBA64Model.Convert(img.At(r.Min.X+at%r.Dx(), r.Min.Y+at/r.Dx())).(color.NRGBA64)
		put(at, [4]float32{float32(n.R) * deep, float32(n.G) * deep, float32(n.B) * deep, float32(n.A) * deep})
	}
}

// scaled turns 8-bit samples into numbers.
func scaled(v [4]uint8, scale float32) (out [4]float32) {
	for k := range out {
		if out[k] = float32(v[k]) * scale; scale == plain {
			out[k] = float32(v[k]) / 255 // the product is not always the nearest number
		}
	}
	return out
}

// flat gives an image as rows of R, G, B, A, not multiplied by alpha.
func flat(img image.Image) []uint8 {
	r := img.Bounds()
	switch img := img.(type) {
	case *image.NRGBA:
		return img.Pix
	case *image.RGBA: // PNG without alpha: opaque
		return img.Pix
	case *image.Paletted:
		// A palette may have clear colours; index % length keeps a damaged file
		// from ending the run.
		out := make([]uint8, 4*r.Dx()*r.Dy())
		for i, index := range img.Pix {
			c := color.NRGBAModel.Convert(img.Palette[int(index)%len(img.Palette)]).(color.NRGBA)
			copy(out[4*i:], []uint8{c.R, c.G, c.B, c.A})
		}
		return out
	case *image.YCbCr:
		return jpegColours(img)
	// Neither has an alpha channel, so RGBA is not multiplied by anything.
	case *image.Gray, *image.CMYK:
		out := image.NewRGBA(r)
		draw.Draw(out, r, img, r.Min, draw.Src)
		return out.Pix
	}
	out := image.NewNRGBA(r)
	draw.Draw(out, r, img, r.Min, draw.Src)
	return out.Pix
}

// turned turns the pictures as the Exif orientation asks. ComfyUI turns by
// quarters only; mirrored orientations lose their mirroring.
func (l *loaded) turned(orientation int) *loaded {
	// Degrees clockwise. 1 and 4 are left as they are.
	how := map[int]string{2: "180", 3: "180", 5: "90", 6: "90", 7: "270", 8: "270"}[orientation]
	l.colour = rotate(l.colour, how)
	if l.alpha != nil {
		l.alpha = rotate(l.alpha, how)
	}
	return l
}
