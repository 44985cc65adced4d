package post

import (
	"fmt"
	"image"

	"github.com/disintegration/imaging"
)

// Crop cuts a rectangle out of the picture: of a size in pixels, or the largest one of
// an aspect.
type Crop struct {
	// X and Y are the rectangle's corner in pixels from the top left. They are used
	// without an anchor and an aspect.
	X int `json:"x,omitempty"`
	Y int `json:"y,omitempty"`
	// Width and Height are the rectangle's size in pixels, both needed without an aspect.
	// What lies outside the picture is left out; nothing left is an error.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Aspect is width to height, as "16:9", instead of a size.
	Aspect string `json:"aspect,omitempty"`
	// Anchor places the rectangle instead of X and Y; see [Anchors]. With an aspect it
	// is center by default.
	Anchor string `json:"anchor,omitempty"`
}

// Name implements [Step].
func (Crop) Name() string { return "crop" }

// Check implements [Step].
func (c Crop) Check() error {
	if c.Aspect != "" {
		if c.Width != 0 || c.Height != 0 || c.X != 0 || c.Y != 0 {
			return fmt.Errorf("aspect goes with an anchor only, not with a size or a corner")
		}
		if _, _, err := parseAspect(c.Aspect); err != nil {
			return err
		}
		return checkAnchor(c.Anchor)
	}
	switch {
	case c.Width < 1 || c.Height < 1 || c.Width > MaxSide || c.Height > MaxSide:
		return fmt.Errorf("width and height must be between 1 and %d, or an aspect be given", MaxSide)
	case c.X < 0 || c.Y < 0 || c.X > MaxSide || c.Y > MaxSide:
		return fmt.Errorf("x and y must be between 0 and %d", MaxSide)
	case c.Anchor != "" && (c.X != 0 || c.Y != 0):
		return fmt.Errorf("x and y cannot be given with an anchor")
	}
	return checkAnchor(c.Anchor)
}

// Apply implements [Step].
func (c Crop) Apply(p *Picture) error {
	r := c.rect(p.Pix.Rect.Size()).Intersect(p.Pix.Rect)
	if r.Empty() {
		return fmt.Errorf("the rectangle lies outside the picture of %d×%d", p.Pix.Rect.Dx(), p.Pix.Rect.Dy())
	}
	p.Pix = imaging.Crop(p.Pix, r)
	return nil
}

// rect is the rectangle wanted from a picture of the size s.
func (c Crop) rect(s image.Point) image.Rectangle {
	size, at := image.Pt(c.Width, c.Height), image.Pt(c.X, c.Y)
	if c.Aspect != "" {
		w, h, _ := parseAspect(c.Aspect) // Check has seen it
		size = inAspect(s, w, h)
	}
	if c.Anchor != "" || c.Aspect != "" {
		at = anchored(c.Anchor, s, size, 0)
	}
	return image.Rectangle{Min: at, Max: at.Add(size)}
}
