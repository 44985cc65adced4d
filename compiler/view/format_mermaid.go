package view

import (
	"fmt"
	"sort"
	"strings"
)

// Mermaid writes the View as a flowchart for Markdown pages. Renderers refuse texts above 50,000 characters and more than 500 links unless
// they are told otherwise; larger workflows are better drawn as SVG.
func (v *View) Mermaid() []byte {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i := range v.Nodes {
		n := &v.Nodes[i]
		opening, closing := `["`, `"]`
		if n.Output {
			opening, closing = `(["`, `"])`
		}
		fmt.Fprintf(&b, "  n%d%s%s%s%s\n", i, opening, n.mermaidLabel(), closing, n.mermaidClass())
	}
	// Mermaid styles links by their number, so those of one colour are gathered for one line.
	byColour := map[string][]string{}
	for i, l := range v.Links {
		fmt.Fprintf(&b, "  n%d -->|\"%s\"| n%d\n", l.From, mermaidText(l.Type, 24), l.To)
		c := colourOf(l.Type)
		byColour[c] = append(byColour[c], fmt.Sprint(i))
	}
	var colours []string
	for c := range byColour {
		colours = append(colours, c)
	}
	sort.Strings(colours)
	for _, c := range colours {
		fmt.Fprintf(&b, "  linkStyle %s stroke:%s,stroke-width:2px\n", strings.Join(byColour[c], ","), c)
	}
	b.WriteString("  classDef bad stroke:#c62828,stroke-width:3px,fill:#fdecea,color:#222\n")
	b.WriteString("  classDef warned stroke:#a86200,stroke-width:2px,fill:#fff7e8,color:#222\n")
	b.WriteString("  classDef unneeded stroke-dasharray:4 3,fill:#f8fafc,color:#667\n")
	return []byte(b.String())
}

// mermaidLabel is what stands in a node's box, lines parted by <br/>.
func (n *Node) mermaidLabel() string {
	lines := []string{"<b>" + mermaidText(n.Title, shownText) + "</b> " + mermaidText("#"+n.ID, 24)}
	if s := n.subtitle(); s != "" {
		lines = append(lines, mermaidText(s, shownText))
	}
	list, more := n.shown()
	for i := range list {
		lines = append(lines, mermaidText(list[i].Name, shownText)+": "+mermaidText(list[i].Text(shownText), shownText+1))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("+%d more", more))
	}
	for _, code := range n.codes() {
		lines = append(lines, "! "+mermaidText(code, shownText))
	}
	return strings.Join(lines, "<br/>")
}

// mermaidClass gives the style of a node that is wrong or does not run; "" for the others.
func (n *Node) mermaidClass() string {
	switch {
	case n.Mark == Bad:
		return ":::bad"
	case n.Mark == Warned:
		return ":::warned"
	case !n.Needed:
		return ":::unneeded"
	}
	return ""
}

// mermaidText writes what Mermaid would read as more than text by its number, also within quotes: #35; is a
// number sign. The limit counts characters before that.
func mermaidText(s string, limit int) string {
	var b strings.Builder
	for _, r := range shorten(s, limit) {
		if strings.ContainsRune("#\"'`<>&\\;:%$", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
