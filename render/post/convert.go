package post

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
)

// Alpha comes in two forms. Premultiplied (image.RGBA) has each colour multiplied by the
// alpha already; straight (image.NRGBA) has not. Files and these steps use the straight
// one.

// Convert copies any picture to 8-bit straight-alpha RGBA with its origin at 0,0,
// in the calling goroutine. A panic of the picture's own At method, as a paletted
// one with an index out of range has, comes back as an error.
func Convert(img image.Image) (pix *image.NRGBA, err error) {
	defer func() {
		if r := recover(); r != nil {
			pix, err = nil, fmt.Errorf("damaged picture: %v", r)
		}
	}()
	if img == nil {
		return nil, errors.New("no picture")
	}
	b := img.Bounds()
	if err := checkSize(b.Dx(), b.Dy()); err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.NRGBA:
		return fromNRGBA(m), nil
	case *image.NRGBA64:
		return fromNRGBA64(m), nil
	}
	rgba, ok := img.(*image.RGBA)
	if !ok || b.Min != (image.Point{}) || rgba.Stride != 4*b.Dx() {
		// The standard library has fast paths into RGBA, and none into NRGBA.
		rgba = image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(rgba, rgba.Rect, img, b.Min, draw.Src)
	} else {
		// A copy all the same: what is divided by its alpha below must not be the caller's.
		rgba = &image.RGBA{Pix: append([]byte(nil), rgba.Pix[:4*b.Dx()*b.Dy()]...), Stride: rgba.Stride, Rect: rgba.Rect}
	}
	unpremultiply(rgba.Pix)
	return &image.NRGBA{Pix: rgba.Pix, Stride: rgba.Stride, Rect: rgba.Rect}, nil
}

// fromNRGBA copies rows: the only change is the origin and the stride.
func fromNRGBA(m *image.NRGBA) *image.NRGBA {
	b := m.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		from := m.PixOffset(b.Min.X, b.Min.Y+y)
		copy(out.Pix[y*out.Stride:(y+1)*out.Stride], m.Pix[from:from+4*b.Dx()])
	}
	return out
}

// fromNRGBA64 keeps the high byte of each sample, without a detour over
// premultiplied alpha, which would lose the colour of nearly clear pixels.
func fromNRGBA64(m *image.NRGBA64) *image.NRGBA {
	b := m.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		row := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):]
		dst := out.Pix[y*out.Stride : (y+1)*out.Stride]
		for i := range dst {
			dst[i] = row[2*i]
		}
	}
	return out
}

// unpremultiply divides the colours of partly clear pixels by their alpha, in place.
func unpremultiply(pix []byte) {
	for i := 3; i < len(pix); i += 4 {
		// Opaque pixels, nearly all, are the same in both forms; of clear ones the colour
		// is lost.
		a := uint32(pix[i])
		if a == 0xff || a == 0 {
			continue
		}
		for j := i - 3; j < i; j++ {
			pix[j] = uint8(min(0xff, (uint32(pix[j])*0xff+a/2)/a))
		}
	}
}
