package post

import (
	"fmt"
	"image"
	"io"
	"slices"
)

const (
	// MaxPixels is the largest picture, in pixels, that is read or made: 100 megapixels
	// are 400 MB as 8-bit RGBA.
	MaxPixels = 100_000_000
	// MaxSide is the longest side, in pixels, that a step may ask for.
	MaxSide = 32768
	// MaxSteps bounds a list of steps. Each costs a copy of the picture for as long as it
	// runs.
	MaxSteps = 64
)

// Picture is what passes from step to step.
type Picture struct {
	// Pix is 8-bit straight-alpha RGBA with its origin at 0,0. A step replaces it and
	// never writes into the one it was given.
	Pix *image.NRGBA
	// Format says how [Picture.Encode] writes it; the zero value is PNG.
	Format Format
	// Text are the texts that the file will carry.
	Text []Text
	// Lookup gives the value of a token in a text, such as axis.prompt or seed; nil knows
	// none.
	Lookup func(token string) (string, bool)
	// Notes say what could not be kept or done, in words for the user.
	Notes []string

	before *image.NRGBA // the picture as it came; never written into
}

// Source is a picture as it came.
type Source struct {
	Img image.Image
	// Meta is what its file said. Img is turned already as Meta.Orientation says.
	Meta Meta
	// Lookup is given to [Picture].
	Lookup func(token string) (string, bool)
}

// Step is one declared operation. A Step is immutable and safe for concurrent use.
type Step interface {
	// Name is the step's key in batch.yaml.
	Name() string
	// Check returns what is wrong with the declared parameters, or nil.
	Check() error
	// Apply changes the picture. It may assume that Check returned nil.
	Apply(*Picture) error
}

// Run converts img to a [Picture] and applies the steps in order. A panic of a
// decoder's lazy image or of a step comes back as an error. img is not changed.
func Run(img image.Image, steps []Step) (*Picture, error) { return Source{Img: img}.Run(steps) }

// Run is the function [Run], for a picture whose texts are carried over and whose steps
// may have tokens.
func (s Source) Run(steps []Step) (p *Picture, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("picture cannot be processed: %v", r)
		}
	}()
	pix, err := Convert(s.Img)
	if err != nil {
		return nil, err
	}
	p = &Picture{Pix: pix, before: pix, Text: slices.Clone(s.Meta.Text), Lookup: s.Lookup, Notes: s.Meta.notes()}
	for i, step := range steps {
		if err := step.Apply(p); err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", i+1, step.Name(), err)
		}
	}
	p.Notes = append(p.Notes, p.Format.notes(p.Text)...)
	return p, nil
}

// Encode writes the picture in its format.
func (p *Picture) Encode(w io.Writer) error { return p.Format.encode(w, p.Pix, p.Text) }

// checkSize refuses a picture that would be empty or over the limits.
func checkSize(w, h int) error {
	switch {
	case w < 1 || h < 1:
		return fmt.Errorf("picture of %d×%d has no pixels", w, h)
	case w > MaxSide || h > MaxSide || w*h > MaxPixels:
		return fmt.Errorf("picture of %d×%d is over the limit of %d pixels", w, h, MaxPixels)
	}
	return nil
}
