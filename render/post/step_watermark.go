package post

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/disintegration/imaging"
)

// Watermark lays a text or an image over the picture.
type Watermark struct {
	// Text is written in Go Bold, on one line unless it has line breaks; tokens such as
	// %seed% are replaced. Either Text or Image is needed.
	Text string `json:"text,omitempty"`
	// Image is the path of a PNG or JPEG, relative to the batch file.
	Image string `json:"image,omitempty"`
	// Size is the height of the letters in pixels, 4 to 1024; 0 is a 24th of the
	// picture's shorter side, at least 12.
	Size int `json:"size,omitempty"`
	// Scale is the image's width as a part of the picture's, above 0 to 1; 0 leaves the
	// image in its size, or as large as the picture if it is larger.
	Scale float64 `json:"scale,omitempty"`
	// Color is the text's, white when empty.
	Color string `json:"color,omitempty"`
	// Opacity is above 0 to 1; 0 is 0.5.
	Opacity float64 `json:"opacity,omitempty"`
	// Anchor is bottom-right when empty; see [Anchors].
	Anchor string `json:"anchor,omitempty"`
	// Margin is the distance from the sides that the anchor names, and that between
	// tiles, in pixels; nil is half of the letters' or a tenth of the image's height.
	Margin *int `json:"margin,omitempty"`
	// Tile repeats it over the whole picture.
	Tile bool `json:"tile,omitempty"`

	mark *image.NRGBA // of Image, loaded by ParseRecipe
}

// defaultOpacity lets the picture be seen through the mark, and the mark be seen at all.
const defaultOpacity = 0.5

// Name implements [Step].
func (*Watermark) Name() string { return "watermark" }

// Check implements [Step].
func (s *Watermark) Check() error {
	switch {
	case (s.Text == "") == (s.Image == ""):
		return errors.New("either text or image is needed")
	case len(s.Text) > maxText:
		return fmt.Errorf("text is longer than %d bytes", maxText)
	case s.Size != 0 && (s.Size < 4 || s.Size > maxTextSize):
		return fmt.Errorf("size must be between 4 and %d", maxTextSize)
	case s.Image != "" && (s.Size != 0 || s.Color != ""), s.Text != "" && s.Scale != 0:
		return errors.New("size and color are for text, scale is for an image")
	case !(s.Scale >= 0 && s.Scale <= 1), !(s.Opacity >= 0 && s.Opacity <= 1):
		return errors.New("scale and opacity must be between 0 and 1")
	case s.Margin != nil && (*s.Margin < 0 || *s.Margin > MaxSide):
		return fmt.Errorf("margin must be between 0 and %d", MaxSide)
	}
	if err := checkColour(s.Color); err != nil {
		return err
	}
	return checkAnchor(s.Anchor)
}

// tokens implements tokenUser.
func (s *Watermark) tokens() []string { return tokensOf(s.Text) }

// load implements loader.
func (s *Watermark) load(open Opener) (err error) {
	if s.Image != "" {
		s.mark, err = openPicture(open, s.Image)
	}
	return err
}

// Apply implements [Step].
func (s *Watermark) Apply(p *Picture) error {
	size := p.Pix.Rect.Size()
	mark, margin, err := s.draw(p, size)
	if err != nil || mark == nil {
		return err
	}
	if s.Margin != nil {
		margin = *s.Margin
	}
	opacity := s.Opacity
	if opacity == 0 {
		opacity = defaultOpacity
	}
	// The opacity as a mask of one value; the mark's own alpha counts besides.
	cover := image.NewUniform(color.Alpha{uint8(round(255 * opacity))})
	out := imaging.Clone(p.Pix)
	for _, at := range s.places(size, mark.Rect.Size(), margin) {
		draw.DrawMask(out, mark.Rect.Add(at), mark, image.Point{}, cover, image.Point{}, draw.Over)
	}
	p.Pix = out
	return nil
}

// draw makes what is laid over a picture of the given size, and its usual margin. nil is
// an empty text.
func (s *Watermark) draw(p *Picture, size image.Point) (*image.NRGBA, int, error) {
	if s.Text != "" {
		return s.drawText(p, size)
	}
	if s.mark == nil {
		return nil, 0, fmt.Errorf("the image %q was not loaded", s.Image)
	}
	wide := min(s.mark.Rect.Dx(), size.X)
	if s.Scale > 0 {
		wide = max(1, round(s.Scale*float64(size.X)))
	}
	mark := s.mark
	if wide != mark.Rect.Dx() {
		high := max(1, (mark.Rect.Dy()*wide+mark.Rect.Dx()/2)/mark.Rect.Dx())
		if err := checkSize(wide, high); err != nil {
			return nil, 0, err
		}
		mark = imaging.Resize(mark, wide, high, imaging.Lanczos)
	}
	return mark, mark.Rect.Dy() / 10, nil
}

// drawText writes the text with a thin shadow, so that it shows on any ground.
func (s *Watermark) drawText(p *Picture, size image.Point) (*image.NRGBA, int, error) {
	text, err := expand(s.Text, p.Lookup)
	if err != nil {
		return nil, 0, err
	}
	high := s.Size
	if high == 0 {
		high = max(12, min(maxTextSize, min(size.X, size.Y)/24))
	}
	pen, err := newPen(high, true)
	if err != nil {
		return nil, 0, err
	}
	p.Notes = append(p.Notes, pen.note("watermark", text)...)
	lines, wide := pen.wrap(text, size.X, 16), 0
	for _, line := range lines {
		wide = max(wide, pen.width(line))
	}
	// Nothing but blanks: there is nothing to draw.
	if wide == 0 {
		return nil, 0, nil
	}
	mask, err := pen.mask(lines, wide, nil)
	if err != nil {
		return nil, 0, err
	}
	ink := colourOr(s.Color, color.NRGBA{255, 255, 255, 255})
	off := max(1, high/20)
	out := image.NewNRGBA(image.Rect(0, 0, wide+off, mask.Rect.Dy()+off))
	draw.DrawMask(out, mask.Rect.Add(image.Pt(off, off)), image.NewUniform(shade(ink)), image.Point{}, mask, image.Point{}, draw.Over)
	draw.DrawMask(out, mask.Rect, image.NewUniform(ink), image.Point{}, mask, image.Point{}, draw.Over)
	return out, high / 2, nil
}

// shade is half-clear black under light ink and half-clear white under dark ink.
func shade(c color.NRGBA) color.NRGBA {
	if 299*int(c.R)+587*int(c.G)+114*int(c.B) < 128_000 {
		return color.NRGBA{255, 255, 255, c.A / 2}
	}
	return color.NRGBA{0, 0, 0, c.A / 2}
}

// maxTiles bounds the work of a tile of few pixels.
const maxTiles = 10_000

// places are the corners at which the mark is drawn.
func (s *Watermark) places(size, mark image.Point, margin int) (at []image.Point) {
	if !s.Tile {
		anchor := s.Anchor
		if anchor == "" {
			anchor = "bottom-right"
		}
		return []image.Point{anchored(anchor, size, mark, margin)}
	}
	for y := margin; y < size.Y; y += mark.Y + margin {
		for x := margin; x < size.X && len(at) < maxTiles; x += mark.X + margin {
			at = append(at, image.Pt(x, y))
		}
	}
	return at
}
