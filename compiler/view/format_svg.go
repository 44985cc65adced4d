// SVG, laid out here and drawn as plain paths and texts: no script, no font and no picture from elsewhere,
// so that a page may show the file of a stranger. Texts are measured with the widths of Helvetica; where
// another font is used, a line may end a little early or late.

package view

import (
	"fmt"
	"strings"
)

// The fonts and measures of the drawing, in pixels. Helvetica, Arial and Liberation Sans have the same widths.
const (
	fontFamily = "Helvetica,Arial,'Liberation Sans',sans-serif" // with the same widths, see text.go
	sizeTitle  = 12.5                                           // a node's title, bold
	sizeText   = 11.0                                           // names of inputs and values
	sizeSmall  = 9.5                                            // ids and classes
	rowHeight  = 17.0                                           // of a port or a value
	lineHeight = 14.0                                           // within a text of several lines
	padding    = 11.0                                           // inside of a box, left and right
	minBox     = 168.0                                          // pixels that a box is wide at least
	maxBox     = 268.0                                          // and at most
	maxLines   = 4                                              // of a long text
	headline   = 40.0                                           // above the drawing: the file's name, and the counts
)

// SVG writes the View as a picture on white. First every box is measured by what it will show, then the
// boxes are placed, then all is drawn: links below the boxes, so that no text is crossed.
func (v *View) SVG() []byte {
	faces := make([]face, len(v.Nodes))
	boxes := make([]box, len(v.Nodes))
	for i := range v.Nodes {
		faces[i] = v.newFace(i)
		boxes[i] = faces[i].box()
	}
	l := newLayout(v, boxes)
	d := &drawing{layout: l, faces: faces}
	d.open()
	d.links()
	for i := range v.Nodes {
		d.node(i)
	}
	d.legend()
	d.b.WriteString("</svg>\n")
	return []byte(d.b.String())
}

// drawing is an SVG in the making.
type drawing struct {
	*layout
	faces []face
	b     strings.Builder
}

// printf adds to the SVG. Numbers have one decimal: a tenth of a pixel cannot be seen, and files stay small
// and equal.
func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

// open writes what stands before the links. The drawing's own coordinates begin at the first box, below the headline.
func (d *drawing) open() {
	w, h := max(d.width, 520)+2*margin, d.height+2*margin+headline+d.legendHeight()
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="%.0f %.0f %.0f %.0f" font-family="%s" font-size="%g">`+"\n",
		w, h, -margin, -margin-headline, w, h, fontFamily, sizeText)
	title := d.v.File
	if title == "" {
		title = "workflow"
	}
	d.printf("<title>%s</title>\n", escape(shorten(title, 200)))
	d.b.WriteString(style)
	d.printf(`<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", -margin, -margin-headline, w, h)
	d.printf(`<text y="%g" font-size="16" font-weight="bold" fill="#0f172a">%s</text>`+"\n", -headline+6, escape(fit(shorten(title, 200), 17.5, w-2*margin)))
	d.printf(`<text y="%g" class="k">%s</text>`+"\n", -headline+24, escape(d.v.summary()))
}

// style has the classes of the texts and links: k for names, v for values, s small, t titles, l links, h
// the white line below a link that parts it from those that it crosses, e for texts that end at their
// place.
const style = `<style>.k{fill:#64748b}.v{fill:#1e293b}.s{font-size:9.5px;fill:#64748b}.t{font-size:12.5px;font-weight:bold;fill:#0f172a}` +
	`.l{fill:none;stroke-width:2;stroke-linecap:round}.h{fill:none;stroke:#fff;stroke-width:5}.l:hover{stroke-width:4}.e{text-anchor:end}</style>` + "\n"

// summary counts what is there.
func (v *View) summary() string {
	s := fmt.Sprintf("%d nodes, %d links", len(v.Nodes), len(v.Links))
	bad, warned := 0, 0
	for i := range v.Nodes {
		switch v.Nodes[i].Mark {
		case Bad:
			bad++
		case Warned:
			warned++
		}
	}
	if n := len(v.Outputs); n > 0 {
		s += fmt.Sprintf(", outputs that run: %d", n)
	}
	if bad > 0 {
		s += fmt.Sprintf(", nodes with errors: %d", bad)
	}
	if warned > 0 {
		s += fmt.Sprintf(", nodes with warnings: %d", warned)
	}
	return s
}

// links draws one path for each output slot, so that what its links share is drawn once, and then the links without bends.
func (d *drawing) links() {
	byPort := map[port][]int{}
	var ports []port
	for j := range d.joints {
		link := d.v.Links[d.joints[j].link]
		p := port{link.From, link.Slot}
		if byPort[p] == nil {
			ports = append(ports, p)
		}
		byPort[p] = append(byPort[p], j)
	}
	halo := len(d.joints) <= 4000 // above that, the white lines would double a file of megabytes
	for _, p := range ports {
		path := d.path(byPort[p])
		if halo {
			d.printf(`<path class="h" d="%s"/>`+"\n", path)
		}
		d.printf(`<path class="l" stroke="%s" d="%s"><title>%s</title></path>`+"\n", d.colour(p), path, escape(d.slotTitle(p)))
	}
	for _, k := range d.plain {
		d.straight(k)
	}
}

func (d *drawing) colour(p port) string { return colourOf(d.v.Nodes[p.node].Slots[p.slot].Type) }

func (d *drawing) slotTitle(p port) string {
	n := &d.v.Nodes[p.node]
	return shorten(n.Slots[p.slot].Name, shownText) + " of " + shorten(n.Title, shownText) + " #" + shorten(n.ID, 24)
}

// path draws joints as curves that leave and arrive level, and the bends between them as lines through
// their columns. A curve's two middle points stand half-way, at the heights of its ends.
func (d *drawing) path(joints []int) string {
	var b strings.Builder
	for _, j := range joints {
		k := &d.joints[j]
		a, z := &d.cells[k.a], &d.cells[k.b]
		x1, x2, y1, y2 := a.x+a.w, z.x, a.y+k.ya, z.y+k.yb
		fmt.Fprintf(&b, "M%.1f %.1f", x1, y1)
		m := (x2 - x1) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", x1+m, y1, x2-m, y2, x2, y2)
		if k.b >= len(d.boxes) { // only one joint leads to a bend
			fmt.Fprintf(&b, "H%.1f", z.x+z.w)
		}
	}
	return b.String()
}

// straight draws a link without bends; one that closes a cycle is red, broken, and led below the boxes.
func (d *drawing) straight(k int) {
	link := d.v.Links[k]
	a, z := &d.cells[link.From], &d.cells[link.To]
	ye, _ := d.entry(k)
	x1, y1, x2, y2 := a.x+d.boxes[link.From].w, a.y+d.boxes[link.From].out[link.Slot], z.x, z.y+ye
	if !d.cut[k] {
		m := (x2 - x1) / 3
		d.printf(`<path class="l" stroke="%s" stroke-opacity="0.6" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f"/>`+"\n",
			colourOf(link.Type), x1, y1, x1+m, y1, x2-m, y2, x2, y2)
		return
	}
	low := max(a.y+a.h, z.y+z.h) + 18 // below both boxes
	d.printf(`<path class="l" stroke="#c62828" stroke-dasharray="6 4" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fH%.1fC%.1f %.1f %.1f %.1f %.1f %.1f"><title>this link closes a cycle</title></path>`+"\n",
		x1, y1, x1+34, y1, x1+34, low, x1, low, x2, x2-34, low, x2-34, y2, x2, y2)
}
