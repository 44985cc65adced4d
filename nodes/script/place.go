package script

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// From what the interpreter knows, a line and a column at a call, to what a finding underlines: the name of the
// class, the key or the value of one input. For that the text around the call is scanned; see scan.go.

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
	c := findCall(s.files[at.File], s.text(at.File), at)
	// One member takes about as much memory as one call without any.
	if s.seen += 1 + len(c.members); s.seen > maxSeen {
		s.calls, s.seen = map[spot]call{}, 1+len(c.members)
	}
	s.calls[at] = c
	return c
}

// maxSeen bounds the calls that are remembered, and their members: 100 MB. A child may say of any byte of a file that a call
// stands there.
const maxSeen = 1_000_000

// text is a file as a string, made once: each call found in it keeps parts of it.
func (s *Set) text(file int) string {
	if s.texts == nil {
		s.texts = make([]string, len(s.files))
	}
	if s.texts[file] == "" {
		s.texts[file] = string(s.files[file].Data)
	}
	return s.texts[file]
}

// maxCall is the length in bytes up to which a call is looked at. A call that goes on beyond it keeps its name's
// place, but its inputs have none of their own.
const maxCall = 32 << 10

// findCall reads the text around a mark. Without a parenthesis nearby, as after a macro of the author's own, the
// place is one byte.
func findCall(f *source.File, text string, at spot) call {
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
		from := max(0, open-maxName)
		name = from + max(0, strings.LastIndexAny(text[from:open], "[\n"))
	}
	members = members[:min(len(members), maxInputs)] // no node has more
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

// finding places what went wrong in a script; fallback is used where the script's own place is not known. It takes whatever a
// child says.
func (s *Set) finding(t *trouble, fallback diag.Place) diag.Diagnostic {
	at := fallback
	exists := t.At.File >= 0 && t.At.File < len(s.files)
	switch {
	case t.At.Line > 0 && exists:
		f := s.files[t.At.File]
		at = diag.Place{File: f, Start: offset(f, t.At)}
		at.End = min(at.Start+1, len(f.Data))
	case at.File == nil && exists:
		at = diag.InFile(s.files[t.At.File])
	}
	return diag.Errorf(t.known(), at, "%s", clip(t.Message)).Hinted(clip(t.Hint))
}
