package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"
)

// frame is one picture of an animated PNG: where it lies, how it is laid over
// what was there, what happens afterwards, and its compressed rows.
type frame struct {
	x, y, w, h     int
	dispose, blend byte
	data           []byte
}

// apngFrames splits an animated PNG; no frames are found in a plain one. head is
// what all frames share: the chunks before the first picture, IHDR first.
func apngFrames(data []byte) (head [][]byte, frames []frame) {
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
// first; those with fewer than 8 bits or with 16 are read as 8.
func decodeAPNG(head [][]byte, frames []frame, c image.Config, limit int) (*loaded, error) {
	if err := fits(len(frames), c.Height, c.Width, limit); err != nil {
		return nil, err
	}
	l := newLoaded(len(frames), image.Rect(0, 0, c.Width, c.Height))
	canvas := image.NewNRGBA(image.Rect(0, 0, c.Width, c.Height))
	for i, f := range frames {
		img, err := f.decode(head)
		if err != nil {
			return nil, err
		}
		area := image.Rect(f.x, f.y, f.x+f.w, f.y+f.h)
		if !area.In(canvas.Rect) {
			return nil, errors.New("a frame lies outside the picture")
		}
		before := append([]uint8(nil), canvas.Pix...)
		f.lay(canvas, img)
		_, opaque := img.(*image.RGBA)
		l.fill(i, canvas, plain, !opaque)
		switch f.dispose {
		case 1:
			for y := f.y; y < f.y+f.h; y++ {
				clear(canvas.Pix[canvas.PixOffset(f.x, y):canvas.PixOffset(f.x+f.w, y)])
			}
		case 2:
			canvas.Pix = before
		}
	}
	return l, nil
}

// decode makes a PNG of its own of a frame.
func (f frame) decode(head [][]byte) (image.Image, error) {
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
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
func (f frame) lay(canvas *image.NRGBA, img image.Image) {
	for y := range f.h {
		for x := range f.w {
			c := color.NRGBAModel.Convert(img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y)).(color.NRGBA)
			if f.blend == 1 && c.A < 255 {
				c = over(canvas.NRGBAAt(f.x+x, f.y+y), c)
			}
			canvas.SetNRGBA(f.x+x, f.y+y, c)
		}
	}
}

// over lays one colour over another.
func over(under, top color.NRGBA) color.NRGBA {
	a, b := int(top.A)*255, int(under.A)*(255-int(top.A))
	if a+b == 0 {
		return color.NRGBA{}
	}
	mix := func(x, y uint8) uint8 { return uint8((int(x)*a + int(y)*b + (a+b)/2) / (a + b)) }
	return color.NRGBA{mix(top.R, under.R), mix(top.G, under.G), mix(top.B, under.B), uint8((a + b + 127) / 255)}
}
