// DOT, for those who have Graphviz. The labels are its own HTML-like tables, in which every text is
// escaped: a title cannot break out of its cell.

package view

import (
	"fmt"
	"strings"
)

// DOT writes the View for Graphviz: nodes as tables of title, class and values, links in the colours of
// their types. Nodes are called n0, n1, … by their index, since ids may hold any character.
func (v *View) DOT() []byte {
	var b strings.Builder
	b.WriteString("digraph workflow {\n")
	b.WriteString("  rankdir=LR; ranksep=0.7; nodesep=0.25; bgcolor=\"#ffffff\"; fontname=\"Helvetica\";\n")
	b.WriteString("  node [shape=plain, fontname=\"Helvetica\", fontsize=11]; edge [penwidth=1.6, arrowsize=0.6, fontname=\"Helvetica\", fontsize=9];\n")
	for i := range v.Nodes {
		fmt.Fprintf(&b, "  n%d [tooltip=\"%s\", label=<%s>];\n", i, escape(v.Nodes[i].tooltip()), v.Nodes[i].dotTable())
	}
	for _, l := range v.Links {
		fmt.Fprintf(&b, "  n%d -> n%d [color=\"%s\", tooltip=\"%s\"];\n", l.From, l.To, colourOf(l.Type), escape(shorten(l.Type+" → "+l.Input, shownText)))
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// dotTable is a node's label: a row for the title, one for the class, one for each value, one for each
// code.
func (n *Node) dotTable() string {
	var b strings.Builder
	border, style := 1, ""
	if n.Mark == Bad {
		border = 2
	}
	if !n.Needed { // the node would not run
		style = ` STYLE="dashed"`
	}
	fmt.Fprintf(&b, `<TABLE BORDER="%d"%s COLOR="%s" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">`, border, style, n.accent())
	fmt.Fprintf(&b, `<TR><TD COLSPAN="2" BGCOLOR="%s"><B>%s</B> <FONT COLOR="#64748b">#%s</FONT></TD></TR>`,
		tint(n.accent(), 0.16), escape(shorten(n.Title, shownText)), escape(shorten(n.ID, 24)))
	if s := n.subtitle(); s != "" {
		fmt.Fprintf(&b, `<TR><TD COLSPAN="2"><FONT COLOR="#64748b">%s</FONT></TD></TR>`, escape(shorten(s, shownText)))
	}
	list, more := n.shown()
	for i := range list {
		fmt.Fprintf(&b, `<TR><TD ALIGN="LEFT"><FONT COLOR="#64748b">%s</FONT></TD><TD ALIGN="RIGHT">%s</TD></TR>`,
			escape(shorten(list[i].Name, shownText)), escape(list[i].Text(shownText)))
	}
	if more > 0 {
		fmt.Fprintf(&b, `<TR><TD COLSPAN="2"><FONT COLOR="#64748b">+%d more</FONT></TD></TR>`, more)
	}
	for _, code := range n.codes() {
		fmt.Fprintf(&b, `<TR><TD COLSPAN="2"><FONT COLOR="%s">! %s</FONT></TD></TR>`, markColour(n.Mark), escape(code))
	}
	b.WriteString("</TABLE>")
	return b.String()
}

// tooltip says in full what a drawing cuts: class, id, and what is wrong.
func (n *Node) tooltip() string {
	text := shorten(n.Title, 200) + " (" + shorten(n.Class, 200) + ", " + shorten(n.ID, 200) + ")"
	for i, d := range n.Findings {
		if i == maxCodes {
			text += fmt.Sprintf("; and %d more", len(n.Findings)-i)
			break
		}
		text += "; " + shorten(d.Message, 200)
	}
	return text
}

// maxCodes bounds the findings that a drawing shows of one node.
const maxCodes = 3

// codes are the codes of the findings about a node, each once.
func (n *Node) codes() []string {
	var out []string
	seen := map[string]bool{}
	for _, d := range n.Findings {
		if !seen[d.Code] && len(out) < maxCodes {
			out = append(out, d.Code)
		}
		seen[d.Code] = true
	}
	if n.Mark == Bad && len(out) == 0 && !n.Known {
		out = append(out, "missing_node_type")
	}
	return out
}

// markColour is red for errors and amber for warnings.
func markColour(m Mark) string {
	if m == Bad {
		return "#c62828"
	}
	return "#a86200"
}

// escaper writes texts for XML and for Graphviz's labels, inside of quotes too. In Graphviz a backslash
// begins an escape, such as \N for the name of the node.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", `\`, "&#92;")

func escape(s string) string { return escaper.Replace(s) }
