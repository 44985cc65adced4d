package post

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/disintegration/imaging"
)

// Label adds a strip with a text above or below the picture, which itself stays whole.
type Label struct {
	// Text is written in Go Regular and broken at spaces to the picture's width, in up to
	// 16 lines. Tokens such as %axis.NAME% and %seed% are replaced. A text that comes out
	// empty gives no strip.
	Text string `json:"text"`
	// Position is bottom (the default) or top.
	Position string `json:"position,omitempty"`
	// Size is the height of the letters in pixels, 4 to 1024; 0 is a 36th of the
	// picture's width, at least 12.
	Size int `json:"size,omitempty"`
	// Color is the text's, white when empty, Background the strip's, black when empty.
	Color      string `json:"color,omitempty"`
	Background string `json:"background,omitempty"`
	// Align is left (the default), center or right.
	Align string `json:"align,omitempty"`
}

// maxLabelLines bounds a strip.
const maxLabelLines = 16

// Name implements [Step].
func (Label) Name() string { return "label" }

// Check implements [Step].
func (s Label) Check() error {
	switch {
	case s.Text == "":
		return errors.New("text is needed")
	case len(s.Text) > maxText:
		return fmt.Errorf("text is longer than %d bytes", maxText)
	case s.Position != "" && s.Position != "top" && s.Position != "bottom":
		return fmt.Errorf("there is no position %q, only top, bottom", s.Position)
	case s.Align != "" && s.Align != "left" && s.Align != "center" && s.Align != "right":
		return fmt.Errorf("there is no align %q, only left, center, right", s.Align)
	case s.Size != 0 && (s.Size < 4 || s.Size > maxTextSize):
		return fmt.Errorf("size must be between 4 and %d", maxTextSize)
	}
	if err := checkColour(s.Color); err != nil {
		return err
	}
	return checkColour(s.Background)
}

// tokens implements tokenUser.
func (s Label) tokens() []string { return tokensOf(s.Text) }

// Apply implements [Step].
func (s Label) Apply(p *Picture) error {
	text, err := expand(s.Text, p.Lookup)
	if err != nil || text == "" {
		return err
	}
	old := p.Pix.Rect.Size()
	size := s.Size
	if size == 0 {
		size = max(12, min(maxTextSize, old.X/36))
	}
	pen, err := newPen(size, false)
	if err != nil {
		return err
	}
	p.Notes = append(p.Notes, pen.note("label", text)...)
	// Half a letter of air on each side.
	pad := size / 2
	wide := max(1, old.X-2*pad)
	mask, err := pen.mask(pen.wrap(text, wide, maxLabelLines), wide, s.start(wide))
	if err != nil {
		return err
	}
	strip := mask.Rect.Dy() + 2*pad
	if err := checkSize(old.X, old.Y+strip); err != nil {
		return err
	}
	canvas := imaging.New(old.X, old.Y+strip, colourOr(s.Background, color.NRGBA{A: 255}))
	// at is the picture's corner on the new canvas, under the line at which the strip
	// begins.
	at, under := image.Pt(0, 0), old.Y
	if s.Position == "top" {
		at, under = image.Pt(0, strip), 0
	}
	canvas = imaging.Paste(canvas, p.Pix, at)
	ink := image.NewUniform(colourOr(s.Color, color.NRGBA{255, 255, 255, 255}))
	draw.DrawMask(canvas, mask.Rect.Add(image.Pt(pad, under+pad)), ink, image.Point{}, mask, image.Point{}, draw.Over)
	p.Pix = canvas
	return nil
}

// start says where a line begins.
func (s Label) start(wide int) func(width int) int {
	switch s.Align {
	case "center":
		return func(width int) int { return max(0, (wide-width)/2) }
	case "right":
		return func(width int) int { return max(0, wide-width) }
	}
	return nil
}
