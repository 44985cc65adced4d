package worker

import (
	"image"
	"image/draw"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Nobody may take a preview for a render, not even in a thumbnail. So the strip
// is part of the pixels, and what later nodes make of a picture (crop, scale)
// keeps the mark in its metadata even if the strip is cut off.

// The two fonts of the strip, parsed once.
var (
	boldFont    = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(gobold.TTF) })
	regularFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })
)

// caption writes a strip along the lower edge of every picture: PREVIEW, large
// enough to be read when the picture is 256 pixels wide, and two small lines
// beside it where there is room.
func caption(t *tensor, top, below string) {
	// In pixels: 8 % of the longer side, at least 10, at most a third of the
	// height.
	high := min(max(max(t.w, t.h)*8/100, 10), max(t.h/3, 1))
	strip := image.NewAlpha(image.Rect(0, 0, t.w, high))
	at := writeBold(strip, "PREVIEW", high)
	// Letters below 7 pixels cannot be read and are left out.
	if small := float64(high) * 0.3; small >= 7 {
		room := t.w - at - high/4
		writeSmall(strip, top, at, high*42/100, small, room)
		writeSmall(strip, below, at, high*82/100, small, room)
	}
	for i := range t.n {
		for y := range high {
			row := t.row(i, t.h-high+y)
			for x := range t.w {
				ink := float32(strip.Pix[y*strip.Stride+x]) / 255
				for k := range min(t.c, 3) {
					p := &row[x*t.c+k]
					// The strip darkens what is under it to 22 %; ink is white.
					// Alpha stays.
					*p = *p*0.22*(1-ink) + ink
				}
			}
		}
	}
}

// writeBold writes a word as high as the strip allows, and gives where it ends.
func writeBold(strip *image.Alpha, word string, high int) int {
	f, err := boldFont()
	if err != nil {
		return 0
	}
	size := float64(high) * 0.78
	face, width := faceFor(f, size, word)
	// A narrow picture gets smaller letters rather than half a word.
	if room := float64(strip.Rect.Dx()) * 0.94; face != nil && float64(width) > room {
		face, width = faceFor(f, size*room/float64(width), word)
	}
	if face == nil {
		return 0
	}
	left := max(high/5, 1)
	if left+width > strip.Rect.Dx() {
		left = max((strip.Rect.Dx()-width)/2, 0)
	}
	write(strip, face, word, left, (high+face.Metrics().CapHeight.Round())/2)
	return left + width + high/3
}

// faceFor gives a face of a size in pixels and the width of a text in it.
func faceFor(f *opentype.Font, size float64, s string) (font.Face, int) {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72})
	if err != nil {
		return nil, 0
	}
	return face, font.MeasureString(face, s).Ceil()
}

// writeSmall writes one line, shortened to the room there is.
func writeSmall(strip *image.Alpha, s string, x, y int, size float64, room int) {
	f, err := regularFont()
	if err != nil || room < 3*int(size) || s == "" {
		return
	}
	face, width := faceFor(f, size, s)
	if face == nil {
		return
	}
	runes := []rune(s)
	// Measuring costs time for each letter, and no strip holds 400.
	runes = runes[:min(len(runes), 400)]
	for width > room && len(runes) > 1 {
		// As many letters as fit on average, and one less each time after that.
		keep := min(len(runes)-1, len(runes)*room/width+1)
		runes = runes[:keep]
		s = string(runes) + "…"
		width = font.MeasureString(face, s).Ceil()
	}
	write(strip, face, s, x, y)
}

// write draws text on its base line.
func write(strip draw.Image, face font.Face, s string, x, y int) {
	d := font.Drawer{Dst: strip, Src: image.Opaque, Face: face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}
