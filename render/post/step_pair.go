package post

import (
	"fmt"
	"image"
	"image/color"

	"github.com/disintegration/imaging"
)

// Pair puts the picture as it came beside what the steps so far have made of it: before and after. The earlier one is scaled to the
// other's height, or in a column to its width.
type Pair struct {
	// Layout is row (the default: before on the left) or column (before above).
	Layout string `json:"layout,omitempty"`
	// Gap is the distance between the two in pixels, 0 to 1024; nil is 8.
	Gap *int `json:"gap,omitempty"`
	// Before and After are written below each picture, if they are given; tokens are replaced.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Background is the gap's colour and that of the labels, black when empty.
	Background string `json:"background,omitempty"`
	// Color is the labels', white when empty.
	Color string `json:"color,omitempty"`
}

// defaultGap and maxGap are in pixels.
const (
	defaultGap = 8
	maxGap     = 1024
)

// Name implements [Step].
func (Pair) Name() string { return "pair" }

// Check implements [Step].
func (s Pair) Check() error {
	switch {
	case s.Layout != "" && s.Layout != "row" && s.Layout != "column":
		return fmt.Errorf("there is no layout %q, only row, column", s.Layout)
	case s.Gap != nil && (*s.Gap < 0 || *s.Gap > maxGap):
		return fmt.Errorf("gap must be between 0 and %d", maxGap)
	case len(s.Before) > maxText || len(s.After) > maxText:
		return fmt.Errorf("a text is longer than %d bytes", maxText)
	}
	if err := checkColour(s.Color); err != nil {
		return err
	}
	return checkColour(s.Background)
}

// tokens implements tokenUser.
func (s Pair) tokens() []string { return append(tokensOf(s.Before), tokensOf(s.After)...) }

// Apply implements [Step].
func (s Pair) Apply(p *Picture) error {
	gap := defaultGap
	if s.Gap != nil {
		gap = *s.Gap
	}
	after := p.Pix
	size, old := after.Rect.Size(), p.before.Rect.Size()
	// The earlier picture's size once its height (in a column, its width) is that of the later one.
	fit := image.Pt(max(1, round(float64(old.X)*float64(size.Y)/float64(old.Y))), size.Y)
	if s.Layout == "column" {
		fit = image.Pt(size.X, max(1, round(float64(old.Y)*float64(size.X)/float64(old.X))))
	}
	if err := checkSize(fit.X, fit.Y); err != nil {
		return err
	}
	before := p.before
	if fit != old {
		before = imaging.Resize(before, fit.X, fit.Y, imaging.Lanczos)
	}
	before, err := s.labelled(p, before, s.Before)
	if err != nil {
		return err
	}
	if after, err = s.labelled(p, after, s.After); err != nil {
		return err
	}
	return s.join(p, before, after, gap)
}

// labelled adds a strip with a text.
func (s Pair) labelled(p *Picture, pix *image.NRGBA, text string) (*image.NRGBA, error) {
	if text == "" {
		return pix, nil
	}
	// A Label needs a Picture; this one lives for the strip only.
	q := &Picture{Pix: pix, Lookup: p.Lookup}
	err := Label{Text: text, Color: s.Color, Background: s.Background, Align: "center"}.Apply(q)
	p.Notes = append(p.Notes, q.Notes...)
	return q.Pix, err
}

// join lays the two on one canvas.
func (s Pair) join(p *Picture, before, after *image.NRGBA, gap int) error {
	a, b := before.Rect.Size(), after.Rect.Size()
	size, at := image.Pt(a.X+gap+b.X, max(a.Y, b.Y)), image.Pt(a.X+gap, 0)
	if s.Layout == "column" {
		size, at = image.Pt(max(a.X, b.X), a.Y+gap+b.Y), image.Pt(0, a.Y+gap)
	}
	if err := checkSize(size.X, size.Y); err != nil {
		return err
	}
	canvas := imaging.New(size.X, size.Y, colourOr(s.Background, color.NRGBA{A: 255}))
	canvas = imaging.Paste(canvas, before, image.Point{})
	p.Pix = imaging.Paste(canvas, after, at)
	return nil
}
