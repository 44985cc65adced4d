package prompt

import (
	"regexp"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// A name begins with a letter of any script or an underscore; a digit or a hyphen may follow. nameThere has
// it with the sign behind it.
var (
	nameThere = regexp.MustCompile(`^\s*([\pL_][\pL\pN_-]*)\s*([=:}])`)
	parameter = regexp.MustCompile(`^\s*([\pL_][\pL\pN_-]*)\s*=`)
	escaped   = regexp.MustCompile(`^\$\$\{[\pL_][\pL\pN_-]*\}`)
)

// variable reads ${v}, ${v:default}, ${v=value} and ${v=!value}; p.at is at the dollar sign. ${axis} was put in before, so one that is still there was
// escaped.
func (p *parser) variable() part {
	start := p.at
	m := nameThere.FindStringSubmatch(limited(p.text[start+2:]))
	if m == nil {
		p.report(start, start+2, diag.Errorf("prompt_variable", diag.Place{}, "${ is not followed by the name of a variable").
			Hinted(`write ${name=…}, ${name} or ${name:default}, or \$ for the text $`))
		p.at += 2
		p.sequence(inBraces)
		p.at = min(p.at+1, len(p.text))
		return part{kind: use, given: true}
	}
	v := part{kind: use, text: m[1]}
	p.at += 2 + len(m[0])
	switch m[2] {
	case "}":
		if slices.Contains(p.reserved, v.text) {
			v = part{text: "${" + v.text + "}"}
		}
		return v
	case ":":
		v.given = true
	case "=":
		v.kind = assign
		p.name(m[1], start+2, start+2+len(m[0])-1)
		if v.now = strings.HasPrefix(p.text[p.at:], "!"); v.now {
			p.at++
		}
	}
	v.value = layout(p.sequence(inBraces))
	if p.at >= len(p.text) {
		p.unclosed(start, start+2, "a variable", "}")
		return v
	}
	p.at++
	return v
}

// name holds that a variable is not called as an axis.
func (p *parser) name(name string, start, end int) {
	if slices.Contains(p.reserved, name) {
		p.report(start, end, diag.Errorf("prompt_variable", diag.Place{}, "the variable %q is named as an axis", name).
			Hinted("give the variable another name: ${"+name+"} is the value of the axis"))
	}
}

// wildcard reads __name__; two underscores that begin no name stay: snake__case__name is a wildcard called
// case, __init is a text. The name ends in its line.
func (p *parser) wildcard() (part, bool) {
	start := p.at
	rest := limited(p.text[start+2:])
	if line := strings.IndexByte(rest, '\n'); line >= 0 {
		rest = rest[:line]
	}
	w := part{kind: wildcard, min: 1, max: 1}
	at := start + 2
	if rest != "" && methods[rest[0]] != inherit {
		w.method, rest = methods[rest[0]], rest[1:]
		at++
	}
	end := strings.Index(rest, "__")
	open := strings.IndexByte(rest, '(')
	// A parenthesis that no name and = follow is part of a text such as "__ (sic) __".
	if end < 0 || open >= 0 && open < end && !parameter.MatchString(rest[open+1:]) {
		if end < 0 && rest != "" && strings.Trim(rest[:1], "_ .,|}") != "" {
			p.report(start, start+2, diag.Warnf("prompt_unclosed", diag.Place{}, "__ begins a wildcard that is not closed by __; it stays in the text").Hinted(`write \_\_ for the text __`))
		}
		return p.underscores()
	}
	if open < 0 || open > end {
		open = -1
		w.text = rest[:end]
		p.at = at + end + 2
	} else {
		w.text = rest[:open]
	}
	// Signs of the notation, and of paths on Windows, in no name.
	if w.text == "" || strings.TrimSpace(w.text) != w.text || strings.ContainsAny(w.text, "{}|$\"<>\\#,;:=") {
		p.at = start
		return p.underscores()
	}
	if open >= 0 {
		p.at = at + open
		p.params(&w, start)
	}
	return w, true
}

// underscores reads the two signs as text.
func (p *parser) underscores() (part, bool) {
	p.at += 2
	return part{text: "__"}, true
}

// params reads (name=value, …)__; p.at is at the parenthesis, and behind the closing underscores when it is
// done.
func (p *parser) params(w *part, start int) {
	for first := true; first || p.at < len(p.text) && p.text[p.at] == ','; first = false {
		p.at++
		m := parameter.FindStringSubmatch(limited(p.text[p.at:]))
		if m == nil {
			break
		}
		v := part{kind: assign, text: m[1], start: p.original(p.at), end: p.original(p.at + len(m[0]))}
		p.name(m[1], p.at, p.at+len(m[0])-1)
		p.at += len(m[0])
		if v.now = strings.HasPrefix(p.text[p.at:], "!"); v.now {
			p.at++
		}
		v.value = p.sequence(inParams)
		w.params = append(w.params, v)
	}
	if !strings.HasPrefix(p.text[p.at:], ")__") {
		p.unclosed(start, start+2, "a wildcard", ")__")
		p.at = len(p.text)
		return
	}
	p.at += 3
}
