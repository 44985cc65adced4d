package post

import (
	"fmt"
	"image"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The fonts are Go Regular and Go Bold, which are part of the program: Latin, Greek and
// Cyrillic letters. Parsed fonts are safe for concurrent use, faces are not.
var (
	regular = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })
	bold    = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(gobold.TTF) })
)

// maxTextSize is the largest letter height, in pixels.
const maxTextSize = 1024

// pen writes lines of one font and size.
type pen struct {
	face   font.Face
	ascent int // from the top of a line to its base, in pixels
	height int // from line to line, in pixels
}

// newPen opens a face of size pixels per em.
func newPen(size int, heavy bool) (*pen, error) {
	open := regular
	if heavy {
		open = bold
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, err
	}
	m := face.Metrics()
	return &pen{face, m.Ascent.Ceil(), m.Ascent.Ceil() + m.Descent.Ceil()}, nil
}

// width is the advance of a line in pixels, rounded up.
func (p *pen) width(line string) int { return font.MeasureString(p.face, line).Ceil() }

// wrap breaks a text at its line breaks and, where a line is wider than the given
// pixels, at spaces, and inside of words that do not fit alone. What exceeds most lines
// is left out, with an ellipsis.
func (p *pen) wrap(text string, wide, most int) []string {
	var lines []string
	for _, para := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(para) {
			for _, piece := range p.pieces(word, wide) {
				switch {
				case line == "":
					line = piece
				case p.width(line+" "+piece) <= wide:
					line += " " + piece
				default:
					lines, line = append(lines, line), piece
				}
			}
		}
		lines = append(lines, line)
	}
	if len(lines) > most {
		lines = lines[:most]
		lines[most-1] = p.shorten(lines[most-1]+" …", wide)
	}
	return lines
}

// pieces cuts a word that is wider than a line.
func (p *pen) pieces(word string, wide int) (out []string) {
	var piece []rune
	for _, r := range word {
		if len(piece) > 0 && p.width(string(piece)+string(r)) > wide {
			out, piece = append(out, string(piece)), nil
		}
		// One letter is kept even if it alone is too wide, or there would be no end.
		piece = append(piece, r)
	}
	return append(out, string(piece))
}

// shorten cuts a line's end, before its ellipsis, until it fits.
func (p *pen) shorten(line string, wide int) string {
	letters := []rune(strings.TrimSuffix(line, " …"))
	for len(letters) > 0 && p.width(string(letters)+" …") > wide {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + " …"
}

// mask draws lines as coverage. wide is the mask's width in pixels; at says where a line
// of some width begins, nil for the left side.
func (p *pen) mask(lines []string, wide int, at func(width int) int) (*image.Alpha, error) {
	if err := checkSize(wide, len(lines)*p.height); err != nil {
		return nil, err
	}
	out := image.NewAlpha(image.Rect(0, 0, wide, len(lines)*p.height))
	d := font.Drawer{Dst: out, Src: image.Opaque, Face: p.face}
	for i, line := range lines {
		x := 0
		if at != nil {
			x = at(p.width(line))
		}
		d.Dot = fixed.P(x, i*p.height+p.ascent)
		d.DrawString(line)
	}
	return out, nil
}

// unknown counts the letters that the font lacks, which are drawn as boxes.
func (p *pen) unknown(text string) (n int) {
	for _, r := range text {
		if _, ok := p.face.GlyphAdvance(r); !ok && !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// note tells about letters that could not be drawn.
func (p *pen) note(what, text string) []string {
	if n := p.unknown(text); n > 0 {
		return []string{fmt.Sprintf("%s: the font has no form for %d of the letters", what, n)}
	}
	return nil
}
