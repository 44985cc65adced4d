package post

import (
	"fmt"
	"image"
	"image/color"

	"github.com/disintegration/imaging"
)

// Pad puts the picture on a larger canvas: of a size in pixels, or the smallest one of
// an aspect. It never cuts: a side that is already longer stays as it is.
type Pad struct {
	// Width and Height are the canvas' least size in pixels; 0 keeps the picture's.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Aspect is width to height, as "16:9", instead of a size.
	Aspect string `json:"aspect,omitempty"`
	// Color fills the new area, black when empty; see [ParseColour].
	Color string `json:"color,omitempty"`
	// Anchor is where the picture lies on the canvas, center when empty; see [Anchors].
	Anchor string `json:"anchor,omitempty"`
}

// Name implements [Step].
func (Pad) Name() string { return "pad" }

// Check implements [Step].
func (s Pad) Check() error {
	switch {
	case s.Width < 0 || s.Height < 0 || s.Width > MaxSide || s.Height > MaxSide:
		return fmt.Errorf("width and height must be between 1 and %d", MaxSide)
	case s.Aspect != "" && (s.Width != 0 || s.Height != 0):
		return fmt.Errorf("aspect and a size cannot both be given")
	case s.Aspect == "" && s.Width == 0 && s.Height == 0:
		return fmt.Errorf("width, height or aspect is needed")
	}
	if s.Aspect != "" {
		if _, _, err := parseAspect(s.Aspect); err != nil {
			return err
		}
	}
	if err := checkColour(s.Color); err != nil {
		return err
	}
	return checkAnchor(s.Anchor)
}

// Apply implements [Step].
func (s Pad) Apply(p *Picture) error {
	old := p.Pix.Rect.Size()
	size := image.Pt(max(old.X, s.Width), max(old.Y, s.Height))
	if s.Aspect != "" {
		w, h, _ := parseAspect(s.Aspect) // Check has seen it
		size = aroundAspect(old, w, h)
	}
	if err := checkSize(size.X, size.Y); err != nil {
		return err
	}
	canvas := imaging.New(size.X, size.Y, colourOr(s.Color, color.NRGBA{A: 255}))
	// Pasted, not blended: clear pixels of the picture stay clear.
	p.Pix = imaging.Paste(canvas, p.Pix, anchored(s.Anchor, size, old, 0))
	return nil
}
