package view

import (
	"fmt"
	"sort"
	"strings"
)

// face is what is written on a node's box: the rows of its ports, then its values.
type face struct {
	n      *Node
	title  string
	id     string
	class  string
	w      float64  // of the box, in pixels
	inputs []string // names by the index in Node.ins
	slots  []int    // the outputs that links leave from
	rows   []row
}

// row is one line, or several of a long text, below the ports.
type row struct {
	name   string   // of the value, or the text that replaces it
	lines  []string // the first beside the name, the others below; none for a remark
	colour string   // of a finding's code, "" for a value
}

// newFace decides what a box says and cuts it to the width that the box gets.
func (v *View) newFace(i int) face {
	n := &v.Nodes[i]
	f := face{n: n, title: shorten(n.Title, 80), id: "#" + shorten(n.ID, 24), class: shorten(n.subtitle(), 80)}
	seen := map[int]bool{}
	for _, k := range n.outs {
		if s := v.Links[k].Slot; !seen[s] {
			seen[s] = true
			f.slots = append(f.slots, s)
		}
	}
	sort.Ints(f.slots)
	for _, k := range n.ins {
		f.inputs = append(f.inputs, shorten(v.Links[k].Input, shownText))
	}
	f.w = f.natural()
	inner := f.w - 2*padding
	f.id = fit(f.id, sizeSmall, inner/2)
	f.title = fit(f.title, sizeTitle*1.08, inner-width(f.id, sizeSmall)-8)
	f.class = fit(f.class, sizeSmall, inner)
	f.addRows(inner)
	return f
}

// natural is the width that the texts want, within the bounds: a title, the widest pair of ports, or the
// widest value.
func (f *face) natural() float64 {
	w := width(f.title, sizeTitle*1.08) + width(f.id, sizeSmall) + 10
	w = max(w, width(f.class, sizeSmall))
	for k, name := range f.inputs {
		port := width(name, sizeText) + 24
		if k < len(f.slots) {
			port += width(f.slotName(k), sizeText)
		}
		w = max(w, port)
	}
	list, _ := f.n.shown()
	for i := range list {
		w = max(w, width(shorten(list[i].Name, shownText), sizeText)+width(list[i].Text(shownText), sizeText)+14)
	}
	return min(max(w+2*padding, minBox), maxBox)
}

// slotName is the name of the k-th output that is drawn.
func (f *face) slotName(k int) string { return shorten(f.n.Slots[f.slots[k]].Name, 24) }

// addRows adds the values, a line for those that are left out, and the codes of what is wrong.
func (f *face) addRows(inner float64) {
	list, more := f.n.shown()
	for i := range list {
		f.rows = append(f.rows, literalRow(&list[i], inner))
	}
	if more > 0 {
		f.rows = append(f.rows, row{name: fmt.Sprintf("+%d more", more)})
	}
	for _, code := range f.n.codes() {
		f.rows = append(f.rows, row{name: fit(code, sizeText, inner-12), colour: markColour(f.n.Mark)})
	}
}

// literalRow writes a value beside its name, or below it in several lines if it is a long text. inner is
// the width between the paddings.
func literalRow(l *Literal, inner float64) row {
	name := fit(shorten(l.Name, shownText), sizeText, inner*0.6)
	room := inner - width(name, sizeText) - 10
	if text := l.Text(shownText); width(text, sizeText) <= room || !strings.ContainsFunc(text, breaks) {
		return row{name: name, lines: []string{fit(text, sizeText, room)}}
	}
	return row{name: name, lines: append([]string{""}, wrap(l.Text(6*shownText), sizeText, inner-8, maxLines)...)}
}

// height is what a row takes, in pixels.
func (r *row) height() float64 {
	if len(r.lines) > 1 {
		return rowHeight + float64(len(r.lines)-1)*lineHeight + 5
	}
	return rowHeight
}

// head is the height of the coloured part with the title, and with the class if it is shown.
func (f *face) head() float64 {
	if f.class != "" {
		return 37
	}
	return 26
}

// box measures the face: its size, and the heights at which links arrive and leave.
func (f *face) box() box {
	b := box{w: f.w, out: make(map[int]float64, len(f.slots))}
	y := f.head() + 6
	for k := range f.inputs {
		b.in = append(b.in, y+float64(k)*rowHeight+rowHeight/2)
	}
	for k, s := range f.slots {
		b.out[s] = y + float64(k)*rowHeight + rowHeight/2
	}
	b.h = y + float64(max(len(f.inputs), len(f.slots)))*rowHeight
	for i := range f.rows {
		b.h += f.rows[i].height()
	}
	b.h += 5 // below the last row
	return b
}

// node draws a box with its face.
func (d *drawing) node(i int) {
	f, c, b := &d.faces[i], &d.cells[i], &d.boxes[i]
	d.printf(`<g transform="translate(%.1f %.1f)"%s><title>%s</title>`+"\n", c.x, c.y, f.opacity(), escape(f.n.tooltip()))
	accent := f.n.accent()
	stroke, dash := `#94a3b8" stroke-width="1`, ""
	if f.n.Mark == Bad {
		stroke = accent + `" stroke-width="2`
	}
	if !f.n.Needed {
		dash = ` stroke-dasharray="5 3"`
	}
	h := f.head()
	d.printf(`<rect width="%.1f" height="%.1f" rx="7" fill="#ffffff" stroke="%s"%s/>`, b.w, b.h, stroke, dash)
	d.printf(`<path d="M.5 %.1fV7.5a7 7 0 0 1 7-7H%.1fa7 7 0 0 1 7 7V%.1fz" fill="%s"/>`, h, b.w-7.5, h, tint(accent, 0.17))
	d.printf(`<path d="M.5 %.1fH%.1f" stroke="%s" stroke-width="1.5"/>`+"\n", h, b.w-0.5, accent)
	d.printf(`<text class="t" x="%g" y="17">%s</text><text class="s e" x="%.1f" y="16.5">%s</text>`, padding, escape(f.title), b.w-padding, escape(f.id))
	if f.class != "" {
		d.printf(`<text class="s" x="%g" y="30">%s</text>`, padding, escape(f.class))
	}
	d.b.WriteByte('\n')
	d.ports(i)
	d.rows(f, b)
	d.b.WriteString("</g>\n")
}

// opacity lets nodes that no output needs step back.
func (f *face) opacity() string {
	if f.n.Needed || f.n.Mark == Bad {
		return ""
	}
	return ` opacity="0.7"`
}

// ports draws the dots and names of the inputs at the left and of the outputs at the right, in one row
// each.
func (d *drawing) ports(i int) {
	f, b := &d.faces[i], &d.boxes[i]
	for k, name := range f.inputs {
		link := d.v.Links[f.n.ins[k]]
		room := b.w - 2*padding
		if k < len(f.slots) {
			room -= width(f.slotName(k), sizeText) + 12
		}
		d.printf(`<circle cy="%.1f" r="4" fill="%s" stroke="#fff"/><text class="v" x="%g" y="%.1f">%s</text>`,
			b.in[k], colourOf(link.Type), padding, b.in[k]+3.8, escape(fit(name, sizeText, room)))
	}
	for k, s := range f.slots {
		d.printf(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="#fff"/><text class="v e" x="%.1f" y="%.1f">%s</text>`,
			b.w, b.out[s], d.colour(port{i, s}), b.w-padding, b.out[s]+3.8, escape(f.slotName(k)))
	}
	if len(f.inputs)+len(f.slots) > 0 {
		d.b.WriteByte('\n')
	}
}

// rows draws what stands below the ports; y is the top of the row, base the line that its text stands on.
func (d *drawing) rows(f *face, b *box) {
	y := f.head() + 6 + float64(max(len(f.inputs), len(f.slots)))*rowHeight
	for i := range f.rows {
		r := &f.rows[i]
		base := y + 12.3
		switch {
		case r.colour != "":
			d.printf(`<circle cx="%g" cy="%.1f" r="3.5" fill="%s"/><text x="%g" y="%.1f" fill="%s">%s</text>`+"\n",
				padding+3, base-3.8, r.colour, padding+12, base, r.colour, escape(r.name))
		case len(r.lines) > 1:
			d.printf(`<rect x="%g" y="%.1f" width="%.1f" height="%.1f" rx="4" fill="#f1f5f9"/><text class="k" x="%g" y="%.1f">%s</text>`,
				padding-5, y+rowHeight-1, b.w-2*padding+10, float64(len(r.lines)-1)*lineHeight+4, padding, base, escape(r.name))
			for k, line := range r.lines[1:] {
				d.printf(`<text class="v" x="%g" y="%.1f">%s</text>`, padding, base+3+float64(k+1)*lineHeight, escape(line))
			}
			d.b.WriteByte('\n')
		default:
			d.printf(`<text class="k" x="%g" y="%.1f">%s</text>`, padding, base, escape(r.name))
			if len(r.lines) == 1 {
				d.printf(`<text class="v e" x="%.1f" y="%.1f">%s</text>`, b.w-padding, base, escape(r.lines[0]))
			}
			d.b.WriteByte('\n')
		}
		y += r.height()
	}
}

// legendEntry is one type in the legend, at its place.
type legendEntry struct {
	kind string
	x, y float64
}

// legendEntries places the types of all links, the most used first, at most 24.
func (d *drawing) legendEntries() []legendEntry {
	count := map[string]int{}
	for _, l := range d.v.Links {
		count[l.Type]++
	}
	var kinds []string
	for k := range count {
		kinds = append(kinds, k)
	}
	sort.Slice(kinds, func(i, j int) bool {
		if a, b := count[kinds[i]], count[kinds[j]]; a != b {
			return a > b
		}
		return kinds[i] < kinds[j]
	})
	var out []legendEntry
	x, y := 0.0, 0.0
	for _, k := range kinds[:min(len(kinds), 24)] {
		w := width(shorten(k, 24), sizeText) + 44
		if x > 0 && x+w > max(d.width, 520) {
			x, y = 0, y+rowHeight
		}
		out = append(out, legendEntry{k, x, y})
		x += w
	}
	return out
}

// legendHeight is 0 without links, as there is nothing to explain then.
func (d *drawing) legendHeight() float64 {
	entries := d.legendEntries()
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].y + 2*rowHeight
}

// legend draws a line and a name for each type, below the drawing.
func (d *drawing) legend() {
	top := d.height + 2*rowHeight - 4
	for _, e := range d.legendEntries() {
		d.printf(`<path class="l" style="stroke-width:3" stroke="%s" d="M%.1f %.1fh18"/><text class="k" x="%.1f" y="%.1f">%s</text>`+"\n",
			colourOf(e.kind), e.x, top+e.y-4, e.x+25, top+e.y, escape(shorten(e.kind, 24)))
	}
}
