package prompt

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// parser reads one text by recursive descent. It never fails: what makes no sense stays in the text, and a
// finding says so.
type parser struct {
	value *source.Value
	stripped
	at       int // of the stripped text
	depth    int
	stopped  bool // a limit was met
	list     *diag.List
	reserved []string
}

// parse reads the content of a string. Mistakes are findings; what could be read is returned all the same.
// A text without any of the signs is one literal; a line break is among the signs because of layout.
func parse(v *source.Value, reserved []string, list *diag.List) text {
	if !strings.ContainsAny(v.Text, "{}$_#/\\\n") {
		return text{{kind: literal, text: v.Text}}
	}
	p := &parser{value: v, stripped: strip(v.Text), list: list, reserved: reserved}
	if p.open >= 0 {
		report(list, func() diag.Place { return place(v, p.open, p.open+2) },
			diag.Errorf("prompt_unclosed", diag.Place{}, "a comment is not closed by */").Hinted(`write \/* for the text /*`))
	}
	return layout(p.sequence(topLevel))
}

// ending says where a sequence ends.
type ending uint8

const (
	topLevel ending       = iota // at the end of the text
	inOption                     // at | or }
	inBraces                     // at }
	inParams                     // at ")__", or at a comma before the next name=
	specials = `\{}$_|,)`        // at which plain text may end
)

// ends tells whether a sequence of a kind ends here. In parameters a comma belongs to the value, unless a
// name and = follow it.
func (p *parser) ends(e ending) bool {
	c := p.text[p.at]
	switch e {
	case inOption:
		return c == '|' || c == '}'
	case inBraces:
		return c == '}'
	case inParams:
		rest := p.text[p.at:]
		return strings.HasPrefix(rest, ")__") || c == ',' && parameter.MatchString(limited(rest[1:]))
	}
	return false
}

// limited cuts a text that a pattern looks at. Without it, each of a million "{" would let a pattern run to
// the end of the text.
func limited(s string) string { return s[:min(len(s), maxName)] }

// sequence reads parts up to an ending, which it leaves. Letters and escapes between two parts become one
// literal.
func (p *parser) sequence(e ending) (out text) {
	if p.depth++; p.depth > maxNesting {
		p.tooDeep()
	}
	defer func() { p.depth-- }()
	var b strings.Builder
	for p.at < len(p.text) && !p.ends(e) {
		start := p.at
		made, ok := p.special()
		switch {
		case !ok:
			b.WriteString(p.plain())
		case made.kind == literal:
			b.WriteString(made.text)
		default:
			if b.Len() > 0 {
				out = append(out, part{kind: literal, text: b.String()})
				b.Reset()
			}
			made.start, made.end = p.original(start), p.original(p.at-1)+1
			if out = append(out, made); made.kind == assign {
				p.blanks()
			}
		}
	}
	if b.Len() > 0 {
		out = append(out, part{kind: literal, text: b.String()})
	}
	return out
}

// plain reads up to the next character that may mean something, at least one.
func (p *parser) plain() string {
	start := p.at
	n := strings.IndexAny(p.text[start+1:], specials)
	if p.at = start + 1 + n; n < 0 {
		p.at = len(p.text)
	}
	return p.text[start:p.at]
}

// special reads what is no plain text, if it stands here. Nothing was read if it says false.
func (p *parser) special() (part, bool) {
	rest := p.text[p.at:]
	switch {
	case p.stopped:
		return part{}, false
	case len(rest) > 1 && rest[0] == '\\' && strings.IndexByte(escapable, rest[1]) >= 0:
		p.at += 2
		return part{text: rest[1:2]}, true
	case rest[0] == '{':
		return p.choice(), true
	case strings.HasPrefix(rest, "$${") && escaped.MatchString(limited(rest)):
		name := escaped.FindString(limited(rest))
		p.at += len(name)
		return part{text: name[1:]}, true
	case strings.HasPrefix(rest, "${"):
		return p.variable(), true
	case strings.HasPrefix(rest, "__"):
		return p.wildcard()
	case rest[0] == '}':
		p.report(p.at, p.at+1, diag.Warnf("prompt_unclosed", diag.Place{}, "a } closes nothing; it stays in the text").Hinted(`write \} for the text }`))
	}
	return part{}, false
}

func (p *parser) blanks() {
	p.at = len(p.text) - len(strings.TrimLeft(p.text[p.at:], " \t\r\n"))
}

// report adds a finding about some bytes of the stripped text.
func (p *parser) report(start, end int, d diag.Diagnostic) {
	report(p.list, func() diag.Place { return p.span(start, end) }, d)
}

// report adds a finding, unless there are enough already. The place is only looked for when it is needed. A
// first error is always added, else a prompt with a hundred warnings would pass.
func report(list *diag.List, at func() diag.Place, d diag.Diagnostic) {
	if list.Len() < maxFindings || d.Severity == diag.Error && !list.Failed() {
		d.Place = at()
		list.Add(d)
	}
}

// span gives the place of some bytes of the stripped text.
func (p *parser) span(start, end int) diag.Place {
	return place(p.value, p.original(start), max(p.original(end-1)+1, p.original(start)))
}

// tooDeep ends the reading: everything behind it would only be reported as unclosed.
func (p *parser) tooDeep() {
	if !p.stopped {
		p.report(p.at, p.at+1, diag.Errorf("prompt_too_large", diag.Place{}, "braces are nested deeper than %d levels", maxNesting))
	}
	p.stopped = true
	p.at = len(p.text)
}

// unclosed reports an opening at start that has no end.
func (p *parser) unclosed(start, end int, what, by string) {
	if !p.stopped {
		p.report(start, end, diag.Errorf("prompt_unclosed", diag.Place{}, "%s is not closed by %s", what, by).Hinted(`write \`+p.text[start:start+1]+` for the text `+p.text[start:start+1]))
	}
}

// layout takes away the blanks at both ends of a text where they hold a line break.
func layout(t text) text {
	if len(t) > 0 && t[0].kind == literal {
		if rest := strings.TrimLeft(t[0].text, " \t\r\n"); strings.Contains(t[0].text[:len(t[0].text)-len(rest)], "\n") {
			t[0].text = rest
		}
	}
	if k := len(t) - 1; k >= 0 && t[k].kind == literal {
		if rest := strings.TrimRight(t[k].text, " \t\r\n"); strings.Contains(t[k].text[len(rest):], "\n") {
			t[k].text = rest
		}
	}
	return t
}
