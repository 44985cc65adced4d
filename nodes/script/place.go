package script

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// call is where a call stands in a script.
type call struct {
	place   diag.Place // from the name that is called to the closing parenthesis
	class   diag.Place // the name alone
	members []member   // of the object that is its first argument
}

// call finds a call by the place of its opening parenthesis, or of the name before it.
func (s *Set) call(at spot) call {
	if c, ok := s.calls[at]; ok {
		return c
	}
	c := findCall(s.files[at.File], at)
	s.calls[at] = c
	return c
}

// maxCall is the length in bytes up to which a call is looked at.
const maxCall = 32 << 10

func findCall(f *source.File, at spot) call {
	text := string(f.Data)
	open := opening(text, offset(f, at))
	if open < 0 {
		p := diag.Place{File: f, Start: offset(f, at)}
		p.End = min(p.Start+1, len(text))
		return call{place: p, class: p}
	}
	members, end := argument(text[:min(len(text), open+maxCall)], open)
	nameEnd := len(strings.TrimRight(text[:open], " \t\r\n"))
	name := nameEnd
	for name > 0 && isWord(text[name-1]) {
		name--
	}
	if name == nameEnd { // g["A b"](
		name = max(0, strings.LastIndexAny(text[:open], "[\n"))
	}
	return call{place: diag.Place{File: f, Start: name, End: end}, class: diag.Place{File: f, Start: name, End: nameEnd}, members: members}
}

// offset turns a line and a column in bytes into an offset.
func offset(f *source.File, at spot) int {
	text, start := f.Line(at.Line)
	return start + min(max(at.Column-1, 0), len(text))
}

// opening finds the parenthesis of a call whose mark stands at the parenthesis or at the name before it; -1 if there is none.
func opening(text string, at int) int {
	for i := at; i < min(len(text), at+maxName); i++ {
		switch c := text[i]; {
		case c == '(':
			return i
		case !isWord(c) && strings.IndexByte(". \t\r\n?", c) < 0:
			return -1
		}
	}
	return -1
}

// input gives the places of an input of a call: its key, and its value.
func (c *call) input(name string) (key, value diag.Place) {
	for _, m := range c.members {
		if m.key == name {
			return diag.Place{File: c.place.File, Start: m.name.start, End: m.name.end}, diag.Place{File: c.place.File, Start: m.text.start, End: m.text.end}
		}
	}
	return c.place, c.place
}

// finding places what went wrong in a script; fallback is used where the script's own place is not known.
func (s *Set) finding(t *trouble, fallback diag.Place) diag.Diagnostic {
	at := fallback
	switch {
	case t.At.Line > 0 && t.At.File < len(s.files):
		f := s.files[t.At.File]
		at = diag.Place{File: f, Start: offset(f, t.At)}
		at.End = min(at.Start+1, len(f.Data))
	case at.File == nil && t.At.File < len(s.files):
		at = diag.InFile(s.files[t.At.File])
	}
	return diag.Errorf(t.Code, at, "%s", t.Message).Hinted(t.Hint)
}
