package post

import (
	"fmt"
	"image/color"
	"math"

	"github.com/disintegration/imaging"
)

// Rotate turns the picture. Quarter turns move pixels only; any other angle samples
// linearly on a canvas that holds the whole turned picture.
type Rotate struct {
	// Degrees is the angle, clockwise, -360 to 360.
	Degrees float64 `json:"degrees"`
	// Background fills the corners, clear when empty; see [ParseColour].
	Background string `json:"background,omitempty"`
}

// Name implements [Step].
func (Rotate) Name() string { return "rotate" }

// Check implements [Step].
func (r Rotate) Check() error {
	if !(r.Degrees >= -360 && r.Degrees <= 360) || r.Degrees == 0 {
		return fmt.Errorf("degrees must be between -360 and 360, and not 0")
	}
	return checkColour(r.Background)
}

// Apply implements [Step].
func (r Rotate) Apply(p *Picture) error {
	switch math.Mod(r.Degrees+360, 360) {
	case 0:
	case 90:
		p.Pix = imaging.Rotate270(p.Pix) // imaging turns the other way
	case 180:
		p.Pix = imaging.Rotate180(p.Pix)
	case 270:
		p.Pix = imaging.Rotate90(p.Pix)
	default:
		return r.free(p)
	}
	return nil
}

// free turns by an angle that is no quarter.
func (r Rotate) free(p *Picture) error {
	sin, cos := math.Sincos(r.Degrees * math.Pi / 180)
	w, h := float64(p.Pix.Rect.Dx()), float64(p.Pix.Rect.Dy())
	sin, cos = math.Abs(sin), math.Abs(cos)
	// The box around the turned picture, with two pixels to spare for imaging's rounding.
	if err := checkSize(int(w*cos+h*sin)+2, int(w*sin+h*cos)+2); err != nil {
		return err
	}
	p.Pix = imaging.Rotate(p.Pix, -r.Degrees, colourOr(r.Background, color.NRGBA{}))
	return nil
}
