package render

import (
	"errors"
	"image"
	"io"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// maxText is how many bytes of a text output the manifest shows. The file itself is kept whole.
const maxText = 2048

// pictureClasses are the nodes that can give nothing but pictures.
var pictureClasses = []string{"SaveImage", "PreviewImage", "SaveAnimatedPNG", "SaveAnimatedWEBP"}

// inspect looks into a received file. Truncated and damaged pictures are an error;
// what cannot be looked into (too large, no decoder) is kept as it is.
func inspect(got *received, p place) error {
	switch got.typ.Kind {
	case KindImage:
		return inspectPicture(got)
	case KindText:
		got.text = clipText(got.head, got.size)
	}
	if slices.Contains(pictureClasses, p.owed.Class) {
		return &badOutput{scheduler.Lost, "it is no picture but " + got.typ.MIME}
	}
	return nil
}

// inspectPicture decodes the picture to its end.
func inspectPicture(got *received) error {
	if _, err := got.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// A worker may have uploaded half a file. Its length agrees with the headers then, and only the decoder
	// runs out of data.
	img, size, err := DecodePicture(got.file, got.typ.MIME)
	got.pixels = size
	got.meta = post.ReadMeta(got.file, got.typ.MIME)
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errNoDecoder):
		got.note = "not checked to its end: " + err.Error()
		return nil
	case err != nil:
		return &badOutput{scheduler.Lost, err.Error()}
	}
	// Straight to 8 bits: a lazy or malformed picture fails here and not later.
	if got.img, err = flat(img); err != nil {
		return &badOutput{scheduler.Lost, err.Error()}
	}
	if pix, ok := got.img.(*image.NRGBA); ok && got.meta.Orientation > 1 {
		turned := post.Orient(pix, got.meta.Orientation)
		got.img, got.pixels = turned, turned.Rect.Size()
	}
	return nil
}

// flat converts img for the steps; pictures that are out of their bounds are kept as
// they are, without anything derived.
func flat(img image.Image) (image.Image, error) {
	b := img.Bounds()
	if b.Dx() > post.MaxSide || b.Dy() > post.MaxSide {
		return nil, nil
	}
	pix, err := post.Convert(img)
	if err != nil {
		return nil, err
	}
	return pix, nil
}

// clipText is the beginning of a text file, cut at a character.
func clipText(head []byte, size int64) string {
	text := strings.ToValidUTF8(cutRunes(string(head), maxText), "")
	if size > int64(len(text)) {
		text += "…"
	}
	return text
}
