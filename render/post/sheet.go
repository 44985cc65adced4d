package post

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"

	"github.com/disintegration/imaging"
)

// Sheet is a contact sheet: small pictures in rows and columns under legends that name the axes, in one or several sections.
type Sheet struct {
	Title    string
	Sections []SheetSection
	// Cell is the side of one picture's square in pixels, 24 to 1024.
	Cell int
	// Footer is written below, if it is given.
	Footer string
}

// SheetSection is one grid. RowAxis and ColAxis name the axes; empty ones have no legend.
type SheetSection struct {
	Heading          string
	RowAxis, ColAxis string
	Rows, Cols       []string
	// Sub is how many pictures a cell of the grid has side by side, at least 1.
	Sub int
	// Picture gives a picture, or the word that stands in its place; both empty leave the square empty. It is called once for each place,
	// row by row, from the goroutine that draws.
	Picture func(row, col, sub int) (image.Image, string)
}

// Sizes of a sheet in pixels.
const (
	sheetMargin  = 16  // around everything
	sheetGap     = 6   // between squares, and around texts
	sheetText    = 15  // size of labels, in pixels per em
	sheetHead    = 24  // size of the title
	maxRowLegend = 220 // width of the rows' labels; longer ones are broken into lines
)

// Colours of a sheet.
var (
	sheetPaper = color.NRGBA{250, 250, 248, 255}
	sheetInk   = color.NRGBA{24, 25, 29, 255}    // labels
	sheetMute  = color.NRGBA{98, 101, 111, 255}  // names of axes, words in squares, the footer
	sheetHole  = color.NRGBA{232, 232, 228, 255} // a square without a picture
)

// sheetPen draws a sheet.
type sheetPen struct {
	out          *image.NRGBA
	text, bold   *pen
	heading      *pen // of a section's heading
	legend, cell int  // width of the rows' legend, side of a picture
}

// Size is the sheet's size in pixels. It does not ask for pictures.
func (s Sheet) Size() (image.Point, error) {
	p, err := s.pens()
	if err != nil {
		return image.Point{}, err
	}
	return p.size(s), nil
}

// Draw draws the sheet. An error says that it would be too large.
func (s Sheet) Draw() (*image.NRGBA, error) {
	p, err := s.pens()
	if err != nil {
		return nil, err
	}
	size := p.size(s)
	if err := checkSize(size.X, size.Y); err != nil {
		return nil, err
	}
	p.out = imaging.New(size.X, size.Y, sheetPaper)
	y := sheetMargin
	if s.Title != "" {
		p.write(p.bold, s.Title, sheetMargin, y, size.X-2*sheetMargin, sheetInk)
		y += p.bold.height + sheetGap
	}
	for _, section := range s.Sections {
		y = p.section(section, y)
	}
	if s.Footer != "" {
		p.write(p.text, s.Footer, sheetMargin, y+sheetGap, size.X-2*sheetMargin, sheetMute)
	}
	return p.out, nil
}

// Encode draws the sheet and writes it as PNG, fast rather than small.
func (s Sheet) Encode(w io.Writer) error {
	pix, err := s.Draw()
	if err != nil {
		return err
	}
	return (&Picture{Pix: pix, Format: Format{Compression: "fast"}}).Encode(w)
}

// pens opens the fonts and measures the rows' labels: all sections share one legend's width, so that their
// columns stand under each other.
func (s Sheet) pens() (p *sheetPen, err error) {
	if s.Cell < 24 || s.Cell > 1024 {
		return nil, fmt.Errorf("a picture of %d pixels on a contact sheet", s.Cell)
	}
	p = &sheetPen{cell: s.Cell}
	if p.text, err = newPen(sheetText, false); err != nil {
		return nil, err
	}
	if p.bold, err = newPen(sheetHead, true); err != nil {
		return nil, err
	}
	if p.heading, err = newPen(sheetText, true); err != nil {
		return nil, err
	}
	for _, section := range s.Sections {
		if section.RowAxis == "" {
			continue
		}
		p.legend = max(p.legend, min(maxRowLegend, p.text.width(section.RowAxis+" ↓")+2*sheetGap))
		for _, row := range section.Rows {
			p.legend = max(p.legend, min(maxRowLegend, p.text.width(row)+2*sheetGap))
		}
	}
	return p, nil
}

// column is the width of one column of a section.
func (p *sheetPen) column(s SheetSection) int {
	return max(1, s.Sub)*(p.cell+sheetGap) + sheetGap
}

// head is the height of what stands above a section's pictures.
func (p *sheetPen) head(s SheetSection) (h int) {
	if s.Heading != "" {
		h += p.heading.height + 2*sheetGap
	}
	switch {
	case s.ColAxis != "":
		h += 3*p.text.height + sheetGap // the axis's name, and labels of up to two lines
	case s.RowAxis != "":
		h += p.text.height + sheetGap // the axis's name alone
	}
	return h
}

// size adds up what section and Draw put below each other; the two must agree. At least 320 pixels wide, for
// the title.
func (p *sheetPen) size(s Sheet) image.Point {
	size := image.Pt(0, 2*sheetMargin)
	if s.Title != "" {
		size.Y += p.bold.height + sheetGap
	}
	for _, section := range s.Sections {
		size.X = max(size.X, p.legend+len(section.Cols)*p.column(section))
		size.Y += p.head(section) + len(section.Rows)*(p.cell+sheetGap) + 2*sheetGap
	}
	if s.Footer != "" {
		size.Y += p.text.height + sheetGap
	}
	size.X = max(size.X, 320) + 2*sheetMargin
	return size
}

// section draws a grid and returns where the next one begins.
func (p *sheetPen) section(s SheetSection, y int) int {
	left, wide := sheetMargin+p.legend, p.column(s)
	if s.Heading != "" {
		p.write(p.heading, s.Heading, sheetMargin, y+sheetGap, p.out.Rect.Dx()-2*sheetMargin, sheetInk)
		y += p.heading.height + 2*sheetGap
	}
	if s.ColAxis == "" && s.RowAxis != "" {
		p.write(p.text, s.RowAxis+" ↓", sheetMargin, y, p.legend, sheetMute)
		y += p.text.height + sheetGap
	}
	if s.ColAxis != "" {
		p.write(p.text, s.ColAxis+" →", left, y, p.out.Rect.Dx()-left, sheetMute)
		if s.RowAxis != "" {
			p.write(p.text, s.RowAxis+" ↓", sheetMargin, y+2*p.text.height, p.legend, sheetMute)
		}
		for c, label := range s.Cols {
			// Set at the bottom of their three lines, so that a short label stands next to its pictures.
			lines := p.text.wrap(label, wide-sheetGap, 2)
			for i, line := range lines {
				p.write(p.text, line, left+c*wide+max(0, (wide-p.text.width(line))/2), y+(3-len(lines)+i)*p.text.height, wide, sheetInk)
			}
		}
		y += 3*p.text.height + sheetGap
	}
	for r, label := range s.Rows {
		if s.RowAxis != "" {
			lines := p.text.wrap(label, p.legend-sheetGap, max(1, p.cell/p.text.height))
			for i, line := range lines {
				p.write(p.text, line, sheetMargin, y+(p.cell-len(lines)*p.text.height)/2+i*p.text.height, p.legend, sheetInk)
			}
		}
		for c := range s.Cols {
			for k := range max(1, s.Sub) {
				img, word := s.Picture(r, c, k)
				p.place(img, word, image.Pt(left+c*wide+k*(p.cell+sheetGap), y))
			}
		}
		y += p.cell + sheetGap
	}
	return y + 2*sheetGap
}

// place puts a picture, made to fit and not enlarged, into the middle of its square.
func (p *sheetPen) place(img image.Image, word string, at image.Point) {
	if img == nil && word == "" {
		return
	}
	square := image.Rectangle{at, at.Add(image.Pt(p.cell, p.cell))}
	if img == nil {
		draw.Draw(p.out, square, image.NewUniform(sheetHole), image.Point{}, draw.Src)
		for i, line := range p.text.wrap(word, p.cell-sheetGap, max(1, p.cell/p.text.height)) {
			p.write(p.text, line, at.X+sheetGap, at.Y+sheetGap+i*p.text.height, p.cell-sheetGap, sheetMute)
		}
		return
	}
	pix, err := Convert(img)
	if err != nil {
		return
	}
	pix = imaging.Fit(pix, p.cell, p.cell, imaging.Linear)
	to := pix.Rect.Add(at).Add(image.Pt((p.cell-pix.Rect.Dx())/2, (p.cell-pix.Rect.Dy())/2))
	draw.Draw(p.out, to, pix, image.Point{}, draw.Over)
}

// write draws one line, shortened to a width.
func (p *sheetPen) write(with *pen, line string, x, y, wide int, ink color.NRGBA) {
	if with.width(line) > wide {
		line = with.shorten(line+" …", wide)
	}
	mask, err := with.mask([]string{line}, max(1, with.width(line)), nil)
	if err != nil {
		return // a line wider than any picture: there is nothing to show it on
	}
	draw.DrawMask(p.out, mask.Rect.Add(image.Pt(x, y)), image.NewUniform(ink), image.Point{}, mask, image.Point{}, draw.Over)
}
