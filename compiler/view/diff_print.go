package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler/source"
)

// Print writes the differences for people: ~ changed, - removed, + added; nothing if there are none. The
// error is the writer's. For example
//
//	~ KSampler "Second pass" #5 → #9
//	    denoise: 0.5 → 0.35
//	+ LoraLoader #12
//	    lora_name: "ink.safetensors"
func (c *Changes) Print(w io.Writer) error {
	if c.Equal() {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", shorten(c.a.File, 200), shorten(c.b.File, 200))
	for i := range c.Changed {
		c.Changed[i].print(&b)
	}
	for _, n := range c.Removed {
		c.a.printNode(&b, "-", n)
	}
	for _, n := range c.Added {
		c.b.printNode(&b, "+", n)
	}
	fmt.Fprintf(&b, "%d changed, %d removed, %d added, %d the same\n", len(c.Changed), len(c.Removed), len(c.Added), c.Same)
	_, err := io.WriteString(w, b.String())
	return err
}

// print writes one changed node and a line for each of its inputs.
func (c *Change) print(b *strings.Builder) {
	id := "#" + shorten(c.A.ID, shownText)
	if c.A.ID != c.B.ID {
		id += " → #" + shorten(c.B.ID, shownText)
	}
	fmt.Fprintf(b, "~ %s %s\n", c.B.called(), id)
	if c.Title {
		fmt.Fprintf(b, "    title: %s → %s\n", quoted(c.A.author(), shownText), quoted(c.B.author(), shownText))
	}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		old, now := in.texts()
		fmt.Fprintf(b, "    %s: %s → %s\n", shorten(in.Name, 80), old, now)
	}
}

// called is a node's class, with its author's title.
func (n *Node) called() string {
	class := shorten(n.Class, 80)
	if class == "" {
		class = "(no class)"
	}
	if n.Named {
		return class + " " + quoted(n.Title, shownText)
	}
	return class
}

// printNode writes a node that only one workflow has, with its inputs.
func (v *View) printNode(b *strings.Builder, sign string, n *Node) {
	fmt.Fprintf(b, "%s %s #%s\n", sign, n.called(), shorten(n.ID, shownText))
	for i := range n.Literals {
		fmt.Fprintf(b, "    %s: %s\n", shorten(n.Literals[i].Name, 80), literalText(&n.Literals[i]))
	}
	for _, k := range n.ins {
		l := v.Links[k]
		fmt.Fprintf(b, "    %s: %s\n", shorten(l.Input, 80), linkText(&v.Nodes[l.From], l.Slot))
	}
}

// texts are the two sides of a change; of two long texts, the part in which they differ.
func (in *InputChange) texts() (old, now string) {
	a, b := in.Old.Literal, in.New.Literal
	if a != nil && b != nil && !a.Secret && !b.Secret && a.Value.Kind == source.String && b.Value.Kind == source.String {
		x, y := narrow(a.Value.Text, b.Value.Text)
		return quoted(x, 2*shownText), quoted(y, 2*shownText)
	}
	return in.Old.text(), in.New.text()
}

// text prints one side of a change.
func (g *Given) text() string {
	switch {
	case g.Literal != nil:
		return literalText(g.Literal)
	case g.From != nil:
		return linkText(g.From, g.Slot)
	}
	return "(not given)"
}

// literalText prints a literal as a file would have it: texts in quotes, numbers with all digits.
func literalText(l *Literal) string {
	if l.Value.Kind == source.String && !l.Secret {
		return quoted(l.Value.Text, 2*shownText)
	}
	if l.Value.Kind == source.Number {
		return shorten(string(l.Value.AppendJSON(nil)), 2*shownText)
	}
	return l.Text(2 * shownText)
}

// linkText names the output that a link comes from.
func linkText(n *Node, slot int) string {
	return fmt.Sprintf("[%s of %s #%s]", shorten(n.Slots[slot].Name, 24), n.called(), shorten(n.ID, shownText))
}

// quoted prints a text in quotes, at most limit characters of it.
func quoted(s string, limit int) string { return string(source.AppendQuoted(nil, shorten(s, limit))) }

// around is how many bytes of what two texts have in common are kept beside a difference.
const around = 24

// narrow cuts what two long texts have in common, but for a little around the difference: of two pages of
// prompt that differ in one word, the word is shown. Texts that fit as they are stay whole.
func narrow(a, b string) (string, string) {
	if max(len(a), len(b)) <= 2*shownText {
		return a, b
	}
	shorter, start, end := min(len(a), len(b)), 0, 0
	for start < shorter && a[start] == b[start] {
		start++
	}
	for end < shorter-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return excerpt(a, start, end), excerpt(b, start, end)
}

// excerpt is s without what lies further than around from the difference, cut between characters.
func excerpt(s string, start, end int) string {
	from, to := max(start-around, 0), min(len(s)-end+around, len(s))
	for from > 0 && !utf8.RuneStart(s[from]) {
		from--
	}
	for to < len(s) && !utf8.RuneStart(s[to]) {
		to++
	}
	out := s[from:to]
	if from > 0 {
		out = "…" + out
	}
	if to < len(s) {
		out += "…"
	}
	return out
}
