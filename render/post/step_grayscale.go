package post

import "github.com/disintegration/imaging"

// Grayscale takes the colour out and keeps the luma (0.299 R + 0.587 G + 0.114 B)
// and the alpha. It has no parameters.
type Grayscale struct{}

// Name implements [Step].
func (Grayscale) Name() string { return "grayscale" }

// Check implements [Step].
func (Grayscale) Check() error { return nil }

// Apply implements [Step].
func (Grayscale) Apply(p *Picture) error {
	p.Pix = imaging.Grayscale(p.Pix)
	return nil
}
