package post

import (
	"encoding/json"
	"image"
	"io"
	"strings"

	"github.com/disintegration/imaging"
)

// Meta is what a picture's file says beside its pixels, as far as it matters here.
type Meta struct {
	// Text are the texts of a PNG in their order, or those that comfyc and ComfyUI put into
	// the EXIF or XMP of another type.
	Text []Text
	// Orientation is EXIF's, 1 to 8: how the stored pixels are to be turned; 0 is unknown.
	Orientation int
	// Profile is set if there is a colour profile (ICC).
	Profile bool
	// Deep is set if there are more than 8 bits in a sample.
	Deep bool

	// What [Rewrite] must know: whether there is EXIF, and whether texts came from it or from XMP.
	exif, exifTexts, xmpTexts bool
}

// Text is one named text. Both are UTF-8.
type Text struct{ Key, Value string }

const (
	// maxMetaTexts and maxMetaBytes bound the texts of one file.
	maxMetaTexts = 64
	maxMetaBytes = 16 << 20
	// maxParts bounds the chunks of a PNG or WebP and the segments of a JPEG that are looked at.
	maxParts = 4096
)

// ReadMeta reads what a PNG, JPEG or WebP says of itself. It stops quietly where a file
// is damaged, and moves r.
func ReadMeta(r io.ReadSeeker, mime string) (m Meta) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return m
	}
	switch mime {
	case "image/png":
		m.readPNG(r)
	case "image/jpeg":
		m.readJPEG(r)
	case "image/webp":
		m.readWebP(r)
	}
	return m
}

// add keeps a text within the bounds.
func (m *Meta) add(key, value string) {
	total := len(key) + len(value)
	for _, t := range m.Text {
		total += len(t.Key) + len(t.Value)
	}
	if len(m.Text) < maxMetaTexts && total <= maxMetaBytes && checkKey(key) == nil {
		m.Text = append(m.Text, Text{key, strings.ToValidUTF8(value, "\uFFFD")})
	}
}

// Orient turns stored pixels as EXIF's orientation says; the result is what is to be seen.
func Orient(pix *image.NRGBA, orientation int) *image.NRGBA {
	switch orientation {
	case 2:
		return imaging.FlipH(pix)
	case 3:
		return imaging.Rotate180(pix)
	case 4:
		return imaging.FlipV(pix)
	// 5 and 7 are mirrored along a diagonal. imaging counts its angles against the clock,
	// so its 270 is EXIF's quarter turn clockwise.
	case 5:
		return imaging.Transpose(pix)
	case 6:
		return imaging.Rotate270(pix)
	case 7:
		return imaging.Transverse(pix)
	case 8:
		return imaging.Rotate90(pix)
	}
	return pix
}

// notes says what of the file is not in the picture any more.
func (m Meta) notes() (out []string) {
	if m.Deep {
		out = append(out, "16-bit samples were cut to 8 bits")
	}
	if m.Profile {
		out = append(out, "the colour profile (ICC) was not carried over")
	}
	return out
}

// asciiJSON is a JSON object of the texts in which every letter beyond ASCII is escaped.
func asciiJSON(texts []Text) []byte {
	m := make(map[string]string, len(texts))
	for _, t := range texts {
		m[t.Key] = t.Value
	}
	data, _ := json.Marshal(m) // of strings: cannot fail
	return asciiLetters(string(data))
}
