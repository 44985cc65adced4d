package view

// Format is a way to write a View.
type Format struct {
	Name  string // as in --format
	What  string // what it is good for
	Write func(*View) []byte
}

// Formats lists the ways to write a View; the first one is the default. A new format is a file, and a line
// here.
var Formats = []Format{
	{"dot", "for Graphviz", (*View).DOT},
	{"mermaid", "for Markdown pages", (*View).Mermaid},
	{"svg", "a picture, laid out in layers", (*View).SVG},
	{"json", "for programs", (*View).JSON},
}

// shownLiterals bounds the values that a drawing shows of one node, and shownText the characters of one
// value. JSON has them all.
const (
	shownLiterals = 10
	shownText     = 48
)

// shown gives the literals that a drawing shows, and how many it leaves out.
func (n *Node) shown() (list []Literal, more int) {
	if len(n.Literals) <= shownLiterals {
		return n.Literals, 0
	}
	return n.Literals[:shownLiterals], len(n.Literals) - shownLiterals
}

// subtitle is the class, if the title does not say it already.
func (n *Node) subtitle() string {
	if n.Title == n.Class {
		return ""
	}
	return n.Class
}
