package post

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
)

// Format says how the picture is written. It changes no pixel of the picture that
// later steps see.
type Format struct {
	// Type is png (the default) or jpeg.
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
	case f.Type != "" && f.Type != "png" && f.Type != "jpeg":
		return fmt.Errorf("there is no type %q, only png, jpeg", f.Type)
	case f.Quality < 0 || f.Quality > 100:
		return fmt.Errorf("quality must be between 1 and 100")
	case f.Quality != 0 && f.Type != "jpeg":
		return fmt.Errorf("quality is for type jpeg")
	case f.Compression != "" && f.Type == "jpeg":
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
	if f.Type == "jpeg" {
		return ".jpg"
	}
	return ".png"
}

// MIME is the media type of what is written.
func (f Format) MIME() string {
	if f.Type == "jpeg" {
		return "image/jpeg"
	}
	return "image/png"
}

func (f Format) encode(w io.Writer, pix *image.NRGBA, texts []Text) error {
	if f.Type != "jpeg" {
		e := png.Encoder{CompressionLevel: png.DefaultCompression}
		for _, l := range levels {
			if l.name == f.Compression {
				e.CompressionLevel = l.level
			}
		}
		return e.Encode(&inserter{w: w, at: pngHead, extra: appendPNGTexts(nil, texts)}, pix)
	}
	q := f.Quality
	if q == 0 {
		q = defaultQuality
	}
	exif, _ := exifOf(texts)
	return jpeg.Encode(&inserter{w: w, at: len("\xff\xd8"), extra: exif}, flatten(pix), &jpeg.Options{Quality: q})
}

// notes says which texts the format has no room for.
func (f Format) notes(texts []Text) []string {
	if f.Type != "jpeg" {
		return nil
	}
	_, left := exifOf(texts)
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
