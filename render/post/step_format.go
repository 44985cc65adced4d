package post

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"

	"github.com/HugoSmits86/nativewebp"
)

// Format says how the picture is written. It changes no pixel of the picture that
// later steps see.
type Format struct {
	// Type is png (the default), jpeg, or webp, which is lossless: no lossy encoder is to be had in Go. A WebP's sides are at most
	// 16383 pixels.
	Type string `json:"type,omitempty"`
	// Quality of a JPEG, 1 to 100; 0 is 90.
	Quality int `json:"quality,omitempty"`
	// Compression of a PNG: default, fast, best or none; default when empty. It changes
	// the file's size and nothing else.
	Compression string `json:"compression,omitempty"`
}

// levels are the words for a PNG's compression.
var levels = []struct {
	name  string
	level png.CompressionLevel
}{
	{"default", png.DefaultCompression}, {"fast", png.BestSpeed}, {"best", png.BestCompression}, {"none", png.NoCompression},
}

// defaultQuality is that of most image programs' "high".
const defaultQuality = 90

// Name implements [Step].
func (Format) Name() string { return "format" }

// Check implements [Step].
func (f Format) Check() error {
	switch {
	case f.Type != "" && f.Type != "png" && f.Type != "jpeg" && f.Type != "webp":
		return fmt.Errorf("there is no type %q, only png, jpeg, webp", f.Type)
	case f.Quality < 0 || f.Quality > 100:
		return fmt.Errorf("quality must be between 1 and 100")
	case f.Quality != 0 && f.Type != "jpeg":
		return fmt.Errorf("quality is for type jpeg")
	case f.Compression != "" && f.Type != "" && f.Type != "png":
		return fmt.Errorf("compression is for type png")
	}
	for _, l := range levels {
		if f.Compression == "" || l.name == f.Compression {
			return nil
		}
	}
	return fmt.Errorf("there is no compression %q, only default, fast, best, none", f.Compression)
}

// Apply implements [Step].
func (f Format) Apply(p *Picture) error {
	p.Format = f
	return nil
}

// Ext is the file name extension with its dot.
func (f Format) Ext() string {
	switch f.Type {
	case "jpeg":
		return ".jpg"
	case "webp":
		return ".webp"
	}
	return ".png"
}

// MIME is the media type of what is written.
func (f Format) MIME() string {
	if f.Type == "" {
		return "image/png"
	}
	return "image/" + f.Type
}

// encode writes the picture with its texts. It may be called several times, from many
// goroutines.
func (f Format) encode(w io.Writer, pix *image.NRGBA, texts []Text) error {
	switch f.Type {
	case "jpeg":
		q := f.Quality
		if q == 0 {
			q = defaultQuality
		}
		// What does not fit is told by notes. The orientation is 0, as the pixels are
		// turned already.
		extra, _ := jpegTexts(texts, 0)
		return jpeg.Encode(&inserter{w: w, at: len("\xff\xd8"), extra: extra}, flatten(pix), &jpeg.Options{Quality: q})
	case "webp":
		return encodeWebP(w, pix, texts)
	}
	e := png.Encoder{CompressionLevel: png.DefaultCompression}
	for _, l := range levels {
		if l.name == f.Compression {
			e.CompressionLevel = l.level
		}
	}
	return e.Encode(&inserter{w: w, at: pngHead, extra: appendPNGTexts(nil, texts)}, pix)
}

// maxWebPSide is what the format has bits for, in pixels.
const maxWebPSide = 1<<14 - 1

// encodeWebP writes a lossless WebP. The encoder keeps the whole file in memory and has no room for texts, so they are put in behind it.
func encodeWebP(w io.Writer, pix *image.NRGBA, texts []Text) error {
	if pix.Rect.Dx() > maxWebPSide || pix.Rect.Dy() > maxWebPSide {
		return fmt.Errorf("a WebP's sides are at most %d pixels, not %d×%d", maxWebPSide, pix.Rect.Dx(), pix.Rect.Dy())
	}
	var file bytes.Buffer
	if err := nativewebp.Encode(&file, pix, nil); err != nil {
		return err
	}
	if len(texts) == 0 {
		_, err := w.Write(file.Bytes())
		return err
	}
	return Meta{Text: texts}.rewriteWebP(w, bytes.NewReader(file.Bytes()))
}

// notes says which texts the format has no room for.
func (f Format) notes(texts []Text) []string {
	if f.Type != "jpeg" {
		return nil
	}
	_, left := jpegTexts(texts, 0)
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	return []string{"too long for the metadata of a JPEG (64 KB): " + strings.Join(left, ", ")}
}

// flatten lays the picture on white, since JPEG has no alpha: the encoder alone would
// show whatever colour lies under clear pixels.
func flatten(pix *image.NRGBA) image.Image {
	out := image.NewRGBA(pix.Rect)
	if pix.Opaque() {
		copy(out.Pix, pix.Pix)
		return out
	}
	draw.Draw(out, out.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, pix, pix.Rect.Min, draw.Over)
	return out
}
