package render

import (
	"image"
	"io"

	"github.com/comfyc/comfyc/render/post"
)

const (
	// ThumbSide is the longest side of a thumbnail, in pixels.
	ThumbSide = 320
	// ThumbQuality is the JPEG quality of a thumbnail: 6 to 20 KB each.
	ThumbQuality = 85
)

// WriteThumb writes a thumbnail of img to the path name as JPEG, whole or not at all.
// Pictures smaller than a thumbnail are not enlarged; clear pixels become white.
func WriteThumb(name string, img image.Image) error {
	p, err := thumbnail(img)
	if err != nil {
		return err
	}
	return writeFile(name, func(w io.Writer) error { return p.Encode(w) })
}

// thumbnail uses the linear filter, which is quick and at this size hardly differs from lanczos.
func thumbnail(img image.Image) (*post.Picture, error) {
	return post.Run(img, []post.Step{
		post.Resize{Width: ThumbSide, Height: ThumbSide, Mode: "fit", Filter: "linear"},
		post.Format{Type: "jpeg", Quality: ThumbQuality},
	})
}
