package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
)

// An animated PNG is a PNG with further chunks: fcTL before each frame says
// where it lies, and the frame's rows stand in IDAT (the first) or fdAT, which
// is IDAT behind four bytes of a sequence number. Go's decoder knows none of
// these, so each frame is written as a PNG of its own and decoded.

// frame is one picture of an animated PNG: where it lies, how it is laid over
// what was there, what happens afterwards, and its compressed rows.
type frame struct {
	x, y, w, h int // in pixels of the canvas
	// dispose: 0 leaves the frame, 1 clears its area, 2 restores what was
	// there. blend: 0 replaces what is below, 1 lays the frame over it.
	dispose, blend byte
	data           []byte
}

// apngFrames splits an animated PNG; no frames are found in a plain one. head is
// what all frames share: the chunks before the first picture, IHDR first.
func apngFrames(data []byte) (head [][]byte, frames []frame) {
	// Each chunk: length (4), kind (4), body, checksum (4).
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		if size < 0 || size > len(data)-at-12 {
			return nil, nil
		}
		body := data[at+8 : at+8+size]
		switch kind := string(data[at+4 : at+8]); {
		case kind == "fcTL" && size == 26:
			n := func(i int) int { return int(binary.BigEndian.Uint32(body[i:])) }
			frames = append(frames, frame{w: n(4), h: n(8), x: n(12), y: n(16), dispose: body[24], blend: body[25]})
		case kind == "IDAT" && len(frames) > 0:
			frames[len(frames)-1].data = append(frames[len(frames)-1].data, body...)
		case kind == "fdAT" && len(frames) > 0 && size > 4:
			frames[len(frames)-1].data = append(frames[len(frames)-1].data, body[4:]...)
		case kind == "IHDR" || kind == "PLTE" || kind == "tRNS":
			head = append(head, data[at+4:at+8+size])
		}
		at += 12 + size
	}
	return head, frames
}

// decodeAPNG lays the frames over one another. All have the pixel format of the
// file, and their samples become numbers as those of a still picture do.
func decodeAPNG(file []byte, head [][]byte, frames []frame, c image.Config, limit int) (*loaded, error) {
	if err := fits(len(frames), c.Height, c.Width, limit); err != nil {
		return nil, err
	}
	size := image.Rect(0, 0, c.Width, c.Height)
	l := newLoaded(len(frames), size)
	var canvas draw.Image
	for i, f := range frames {
		// Before it is decoded: a frame may claim any size.
		if !f.area().In(size) {
			return nil, errors.New("a frame lies outside the picture")
		}
		img, err := f.decode(head)
		if err != nil {
			return nil, err
		}
		scale, alpha := pngFormat(file, img)
		if canvas == nil {
			canvas = image.NewNRGBA(size)
			if scale == deep {
				canvas = image.NewNRGBA64(size)
			}
		}
		if f.blend == 1 && scale == deep && alpha {
			return nil, errors.New("frames of 16 bits with alpha are laid over one another, which ComfyUI cannot read")
		}
		before := append([]uint8(nil), *samples(canvas)...)
		f.lay(canvas, img)
		l.fill(i, canvas, scale, alpha)
		switch f.dispose {
		case 1:
			draw.Draw(canvas, f.area(), image.Transparent, image.Point{}, draw.Src)
		case 2:
			*samples(canvas) = before
		}
	}
	return l, nil
}

// samples are those of a canvas, which is one of two types.
func samples(canvas draw.Image) *[]uint8 {
	if c, ok := canvas.(*image.NRGBA64); ok {
		return &c.Pix
	}
	return &canvas.(*image.NRGBA).Pix
}

// area is where a frame lies on the canvas.
func (f frame) area() image.Rectangle { return image.Rect(f.x, f.y, f.x+f.w, f.y+f.h) }

// decode makes a PNG of its own of a frame.
func (f frame) decode(head [][]byte) (image.Image, error) {
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	// All frames share palette and pixel format; only the size is the frame's
	// own.
	for _, h := range head {
		body := append([]byte(nil), h[4:]...)
		if string(h[:4]) == "IHDR" && len(body) == 13 {
			binary.BigEndian.PutUint32(body, uint32(f.w))
			binary.BigEndian.PutUint32(body[4:], uint32(f.h))
		}
		chunk(&out, string(h[:4]), body)
	}
	chunk(&out, "IDAT", f.data)
	chunk(&out, "IEND", nil)
	return png.Decode(&out)
}

// lay puts a frame on the canvas: in place of what was there, or over it.
func (f frame) lay(canvas draw.Image, img image.Image) {
	under, _ := canvas.(*image.NRGBA) // nil with 16 bits: those only replace
	for y := range f.h {
		for x := range f.w {
			// No step multiplies by alpha: the canvas is of the frames' depth.
			c := img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y)
			if f.blend == 1 && under != nil {
				if top := color.NRGBAModel.Convert(c).(color.NRGBA); top.A < 255 {
					c = over(under.NRGBAAt(f.x+x, f.y+y), top)
				}
			}
			canvas.Set(f.x+x, f.y+y, c)
		}
	}
}

// over lays one colour over another.
func over(under, top color.NRGBA) color.NRGBA {
	// Weights of the two colours, times 255² in all.
	a, b := int(top.A)*255, int(under.A)*(255-int(top.A))
	if a+b == 0 {
		return color.NRGBA{}
	}
	mix := func(x, y uint8) uint8 { return uint8((int(x)*a + int(y)*b + (a+b)/2) / (a + b)) }
	return color.NRGBA{mix(top.R, under.R), mix(top.G, under.G), mix(top.B, under.B), uint8((a + b + 127) / 255)}
}
