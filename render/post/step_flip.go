package post

import (
	"fmt"

	"github.com/disintegration/imaging"
)

// Flip mirrors the picture.
type Flip struct {
	// Direction is horizontal (left and right change places), vertical or both.
	Direction string `json:"direction"`
}

// Name implements [Step].
func (Flip) Name() string { return "flip" }

// Check implements [Step].
func (f Flip) Check() error {
	if f.Direction != "horizontal" && f.Direction != "vertical" && f.Direction != "both" {
		return fmt.Errorf("there is no direction %q, only horizontal, vertical, both", f.Direction)
	}
	return nil
}

// Apply implements [Step].
func (f Flip) Apply(p *Picture) error {
	switch f.Direction {
	case "horizontal":
		p.Pix = imaging.FlipH(p.Pix)
	case "vertical":
		p.Pix = imaging.FlipV(p.Pix)
	// Mirrored both ways is turned by half.
	case "both":
		p.Pix = imaging.Rotate180(p.Pix)
	}
	return nil
}
