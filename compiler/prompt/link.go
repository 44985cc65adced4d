// Linking: names become what they stand for. Wildcards turn into choices of their values, variables into
// the nodes of their texts, and every node knows how many results it has and how large they get. What is
// left has no names and cannot fail.

package prompt

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// node is a text with its names resolved. Nodes are shared: a wildcard that is used twice is there once.
type node struct {
	kind      partKind // literal, choice, assign (an immediate one), use (of an immediate one), or a sequence
	text      string   // of a literal; the separator of a choice
	method    method
	min, max  int       // options that a choice takes; max is at most the number of kids and maxTaken
	kids      []*node   // parts of a sequence, options of a choice, the value of an assignment
	weights   []float64 // of a choice, nil if all are equal
	sums      []float64 // of the weights up to each one
	of        *node     // what a use stands for
	classes   []class   // of a choice in which several options are taken, or whose options differ in their variants
	starts    []uint64  // of a choice of one option: how many variants there are before each one
	n         uint64    // variants in mode all
	walked    uint64    // variants in the other modes: those of choices with !
	size      int       // bytes of a result, at most
	steps     int       // parts that are looked at for a result, at most
	alternate bool      // there is a choice in it
}

// sequence is the kind of a node that is the join of its kids; no text that was read has it.
const sequence partKind = assign + 1

// scope holds what a name stands for, from the inside out. Scopes are never changed: an assignment puts a
// new one before the old one, so the texts before it keep theirs.
type scope struct {
	name  string
	value *node // a lazy variable's value is linked where it is assigned, so its names are those there
	outer *scope
	edge  bool // a wildcard begins here; below are the names of the text that uses it
	depth int  // names in the chain
}

// linked is what was made of a wildcard in one scope: a choice is made of it where it is used, by the method
// and the number of options that are wanted there.
type linked struct {
	options []*node
	weights []float64         // by option
	single  map[method]*node  // the choice of one of them
	list    []diag.Diagnostic // findings within its values, said again wherever it is used
	names   []assigned        // variables that it and the wildcards in it assign, which must not be named as axes
}

// assigned is a variable that a wildcard assigns.
type assigned struct {
	name string
	at   site
	part *part
}

// linker resolves names.
type linker struct {
	lib      *Library
	list     diag.List
	reserved []string
	nodes    int      // made so far, at most maxParts
	full     bool     // that limit was passed; Parse refuses the prompt then
	stack    []string // patterns that are being linked
	open     []bool   // by place in the stack: it uses names from outside
	into     *linked  // what the top of the stack becomes
	cache    map[useOf]*linked
	globs    map[string][]string // the names that a pattern fits
}

// useOf is a wildcard in a scope. Scopes are told apart by their address: the same names at another place
// are another scope.
type useOf struct {
	pattern string
	scope   *scope
}

// site is the value that a text was read from.
type site struct{ value *source.Value }

// report adds a finding about a part of a text.
func (l *linker) report(at site, p *part, d diag.Diagnostic) {
	report(&l.list, func() diag.Place { return place(at.value, p.start, p.end) }, d)
}

// text links a text. Names that it assigns hold up to its end; ${c=!{red|blue}} becomes a node that chooses
// once and writes nothing, and the uses of c refer to it. Without a choice in it, there is nothing to
// choose, and the value itself is used.
func (l *linker) text(t text, s *scope, at site) *node {
	kids := make([]*node, 0, len(t))
	for i := range t {
		p := &t[i]
		switch p.kind {
		case literal:
			kids = append(kids, l.literal(p.text))
		case choice:
			kids = append(kids, l.choice(p, s, at))
		case wildcard:
			kids = append(kids, l.wildcard(p, s, at))
		case use:
			kids = append(kids, l.use(p, s, at))
		case assign:
			value := l.text(p.value, s, at)
			if p.now && value.alternate {
				value = l.node(node{kind: assign, kids: []*node{value}})
				kids = append(kids, value)
				value = l.node(node{kind: use, of: value})
			}
			s = l.name(p, value, s, at)
		}
	}
	switch len(kids) {
	case 0:
		return l.literal("")
	case 1:
		if kids[0].kind != assign {
			return kids[0]
		}
	}
	return l.node(node{kind: sequence, kids: kids})
}

// name brings a name into a scope; an earlier one of the same name is hidden, not changed.
func (l *linker) name(p *part, value *node, s *scope, at site) *scope {
	depth := 1
	if s != nil {
		depth = s.depth + 1
	}
	if depth > maxNames {
		l.report(at, p, diag.Errorf("prompt_too_large", diag.Place{}, "more than %d variables are assigned at one place", maxNames))
		return s
	}
	return &scope{name: p.text, value: value, outer: s, depth: depth}
}

func (l *linker) literal(s string) *node { return l.node(node{kind: literal, text: s}) }

// node enters a node, and what follows from its kids.
func (l *linker) node(n node) *node {
	if l.nodes++; l.nodes > maxParts {
		l.full = true
	}
	out := &n
	out.measure()
	return out
}

// choice links {…}. One wildcard alone in {n$$…} stands for its values.
func (l *linker) choice(p *part, s *scope, at site) *node {
	c := node{kind: choice, text: p.separator, method: p.method, min: p.min, max: p.max}
	// {2$$__colors__} takes two of the colours, not two of one option.
	if w := p.alone(); w != nil {
		if len(w.params) > 0 {
			return l.text(withParams(w, *p), s, at)
		}
		found := l.find(w, s, at)
		c.kids, c.weights = found.options, found.weights
		if c.method == inherit {
			c.method = w.method
		}
		if n := len(c.kids); n > 0 && max(p.min, p.max) > n {
			l.report(at, p, diag.Warnf("prompt_count", diag.Place{}, "%d options are to be taken, and the wildcard has %d values; all of them are", max(p.min, p.max), n))
		}
	} else {
		for i := range p.options {
			c.kids = append(c.kids, l.text(p.options[i].text, s, at))
			c.weights = append(c.weights, p.options[i].weight)
		}
	}
	if c.max < 0 || c.max > len(c.kids) {
		c.max = len(c.kids)
	}
	// A pick of more would make tables of counts too large; {1-$$__names__} over a long list is the usual
	// way to get here.
	if c.max > maxTaken {
		l.report(at, p, diag.Errorf("prompt_count", diag.Place{}, "up to %d options could be taken; at most %d are", c.max, maxTaken).Hinted("give an upper bound: {1-3$$…}"))
		c.max = 1
	}
	c.min = min(c.min, c.max)
	return l.finish(c, p, at)
}

// alone gives the wildcard of {n$$__name__}.
func (p *part) alone() *part {
	if o := p.options; p.bounded && len(o) == 1 && len(o[0].text) == 1 && o[0].text[0].kind == wildcard {
		return &o[0].text[0]
	}
	return nil
}

// withParams writes the parameters of a wildcard as assignments before what it stands in, which is a text of its own.
func withParams(w *part, in part) text {
	bare := *w
	bare.params = nil
	if in.kind == wildcard {
		in = bare
	} else {
		in.options = []option{{text{bare}, 1}}
	}
	return append(slices.Clone(text(w.params)), in)
}

// finish enters a choice.
func (l *linker) finish(c node, p *part, at site) *node {
	if len(c.kids) == 0 {
		return l.literal("")
	}
	if slices.Min(c.weights) == slices.Max(c.weights) { // all alike: uniform draws need no weights
		c.weights = nil
	}
	out := l.node(c)
	if len(out.kids) > maxOptions || !out.single() && out.cost() > maxCost {
		l.report(at, p, diag.Errorf("prompt_too_large", diag.Place{}, "%d of %d options with %d different numbers of variants are too many to count", out.max, len(out.kids), len(out.classes)))
	}
	return out
}

// use links ${v}: the nearest assignment, its default, or a finding. Whoever crosses the edge of a wildcard
// makes that wildcard depend on where it is used.
func (l *linker) use(p *part, s *scope, at site) *node {
	edges := 0
	for c := s; c != nil; c = c.outer {
		if c.edge {
			edges++
		} else if c.name == p.text {
			l.reach(edges)
			return c.value
		}
	}
	l.reach(edges)
	if p.given {
		return l.text(p.value, s, at)
	}
	d := diag.Errorf("prompt_variable", diag.Place{}, "no variable is called %q", p.text)
	if slices.Contains(l.reserved, p.text) {
		d = d.Hinted("axes are put into the texts of the batch, not into wildcards: write __name(" + p.text + "=${" + p.text + "})__ there")
	} else {
		d = d.Hinted(hintName(p.text, s))
	}
	l.report(at, p, d)
	return l.literal("")
}

// reach notes that the wildcards at the top of the stack use a name from outside.
func (l *linker) reach(edges int) {
	for k := len(l.open) - 1; k >= 0 && k >= len(l.open)-edges; k-- {
		l.open[k] = true
	}
}

func hintName(name string, s *scope) string {
	var names []string
	for c := s; c != nil && len(names) < 1000; c = c.outer {
		if !c.edge {
			names = append(names, c.name)
		}
	}
	if near := diag.Suggest(name, names); near != "" {
		return near
	}
	return "write ${" + name + "=…} before it, or ${" + name + ":default}; \\$ is the text $"
}

// pathOf prints the patterns that are being linked, from the first use of one: __a__ → __b__ → __a__.
func pathOf(stack []string, pattern string) string {
	from := max(slices.Index(stack, pattern), 0)
	return "__" + strings.Join(append(slices.Clone(stack[from:]), pattern), "__ → __") + "__"
}
