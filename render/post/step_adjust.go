package post

import (
	"errors"
	"fmt"

	"github.com/disintegration/imaging"
)

// Adjust changes tones and sharpness. What is 0 is left alone; the rest happens in the
// order of the fields.
type Adjust struct {
	// Brightness, Contrast and Saturation are in percent, -100 to 100. Brightness adds
	// that part of white to each colour; Contrast stretches around middle grey.
	Brightness float64 `json:"brightness,omitempty"`
	Contrast   float64 `json:"contrast,omitempty"`
	Saturation float64 `json:"saturation,omitempty"`
	// Gamma is the exponent's inverse, 0.1 to 10: above 1 is brighter.
	Gamma float64 `json:"gamma,omitempty"`
	// Blur and Sharpen are the deviation of a Gaussian in pixels, 0 to 50. Sharpening
	// adds once what blurring takes away.
	Blur    float64 `json:"blur,omitempty"`
	Sharpen float64 `json:"sharpen,omitempty"`
}

// Name implements [Step].
func (Adjust) Name() string { return "adjust" }

// Check implements [Step].
func (a Adjust) Check() error {
	if a == (Adjust{}) {
		return errors.New("nothing is adjusted: brightness, contrast, saturation, gamma, blur or sharpen is needed")
	}
	for _, v := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"brightness", a.Brightness, -100, 100}, {"contrast", a.Contrast, -100, 100}, {"saturation", a.Saturation, -100, 100},
		{"blur", a.Blur, 0, 50}, {"sharpen", a.Sharpen, 0, 50},
	} {
		// Written so that a NaN is refused too.
		if !(v.value >= v.low && v.value <= v.high) {
			return fmt.Errorf("%s must be between %v and %v", v.name, v.low, v.high)
		}
	}
	if a.Gamma != 0 && !(a.Gamma >= 0.1 && a.Gamma <= 10) {
		return errors.New("gamma must be between 0.1 and 10")
	}
	return nil
}

// Apply implements [Step].
func (a Adjust) Apply(p *Picture) error {
	if a.Brightness != 0 {
		p.Pix = imaging.AdjustBrightness(p.Pix, a.Brightness)
	}
	if a.Contrast != 0 {
		p.Pix = imaging.AdjustContrast(p.Pix, a.Contrast)
	}
	if a.Saturation != 0 {
		p.Pix = imaging.AdjustSaturation(p.Pix, a.Saturation)
	}
	if a.Gamma != 0 {
		p.Pix = imaging.AdjustGamma(p.Pix, a.Gamma)
	}
	if a.Blur != 0 {
		p.Pix = imaging.Blur(p.Pix, a.Blur)
	}
	if a.Sharpen != 0 {
		p.Pix = imaging.Sharpen(p.Pix, a.Sharpen)
	}
	return nil
}
