package script

import "strings"

// Findings about a template's inputs should stand at the input's key or value in the script. The interpreter tells
// only where a call is, so the text behind that place is scanned for the members of its first argument:
//
//	g.KSampler({ seed, steps: 20, "cfg": 1 + f(2, "}") })   →   seed, steps, cfg and where each value stands
//
// This is no parser: it counts brackets and skips what may hide one. Its cost is linear in the length of the call, of
// which at most maxCall bytes are looked at.

// span is a part of a text: byte offsets.
type span struct{ start, end int }

// member is one key of an object literal in a script, with its value.
type member struct {
	key        string // "" for one that is computed, or spread
	name, text span   // of the key, and of the value; of {a} both are the key's
}

// scanner finds where the members of an object literal stand in the text of a script. It knows strings, templates, comments, regular
// expressions and brackets, and nothing else of the language; what it cannot follow it gives up on, and the place is then that of the call.
type scanner struct {
	text  string
	at    int // the next byte to look at
	depth int // brackets that are open, at most maxScan
}

// argument gives the members of the object literal that a call is given first, and where the call ends. open is the offset of
// the call's opening parenthesis.
func argument(text string, open int) (members []member, end int) {
	if open < 0 || open >= len(text) || text[open] != '(' {
		return nil, min(max(open+1, 0), len(text))
	}
	s := scanner{text: text, at: open + 1}
	s.blank()
	if s.peek() == '{' {
		members, _ = object(text, s.at)
	}
	s.at = open
	if !s.skip() {
		return members, open + 1
	}
	return members, s.at
}

// object gives the members of the object literal whose opening brace stands at an offset.
func object(text string, at int) (members []member, ok bool) {
	if at < 0 || at >= len(text) || text[at] != '{' {
		return nil, false
	}
	s := scanner{text: text, at: at + 1}
	for {
		s.blank()
		switch c := s.peek(); {
		case c == 0:
			return members, false
		case c == '}':
			return members, true
		case c == ',':
			s.at++
			continue
		}
		// After a member that could not be read there is no knowing where the next one begins.
		m, ok := s.member()
		if !ok {
			return members, false
		}
		members = append(members, m)
	}
}

// member reads `key: value`, `key`, `"key": value`, `key(…) {…}` or anything up to the next comma.
func (s *scanner) member() (member, bool) {
	var m member
	m.name.start = s.at
	switch c := s.peek(); {
	case c == '"' || c == '\'':
		if !s.skip() {
			return m, false
		}
		m.key = s.text[m.name.start+1 : s.at-1]
	case isWord(c):
		s.word()
		m.key = s.text[m.name.start:s.at]
	}
	m.name.end = s.at
	m.text = m.name
	s.blank()
	if s.peek() != ':' {
		ok := s.value()
		// `expand(g) {…}` and `...rest` go on behind the name; of a bare `seed` key and value are the same text.
		if m.key == "" || s.at > m.name.end {
			m.text.end = s.trimmed(m.text.start)
		}
		return m, ok
	}
	s.at++
	s.blank()
	m.text.start = s.at
	ok := s.value()
	m.text.end = s.trimmed(m.text.start)
	return m, ok
}

// trimmed is where the text before the scanner ends without blanks.
func (s *scanner) trimmed(start int) int {
	return start + len(strings.TrimRight(s.text[start:min(s.at, len(s.text))], " \t\r\n"))
}

// value goes to the comma or the bracket that ends a value.
func (s *scanner) value() bool {
	for {
		s.blank()
		switch s.peek() {
		case 0:
			return false
		case ',', '}', ']', ')':
			return true
		}
		if !s.skip() {
			return false
		}
	}
}

// maxScan bounds brackets within brackets.
const maxScan = 200

// skip passes one token, or all that stands in brackets.
func (s *scanner) skip() bool {
	switch c := s.peek(); c {
	case '"', '\'':
		return s.quoted(c)
	case '`':
		return s.template()
	case '(', '[', '{':
		return s.brackets()
	case '/':
		if s.startsRegexp() {
			return s.regexp()
		}
	}
	if isWord(s.peek()) {
		s.word()
		return true
	}
	s.at++
	return s.at <= len(s.text)
}

// brackets passes all up to the closing bracket. Which kind closes is not compared: the file has been compiled, so
// they match.
func (s *scanner) brackets() bool {
	if s.depth++; s.depth > maxScan {
		return false
	}
	s.at++
	for {
		s.blank()
		switch s.peek() {
		case 0:
			return false
		case ')', ']', '}':
			s.at++
			s.depth--
			return true
		}
		if !s.skip() {
			return false
		}
	}
}

// quoted passes a string; a line break ends it only in a file that would not compile.
func (s *scanner) quoted(quote byte) bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case quote:
			s.at++
			return true
		case '\n':
			return false
		}
	}
	return false
}

// template passes a template literal with what stands in its ${…}, which may hold further template literals.
func (s *scanner) template() bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch {
		case s.text[s.at] == '\\':
			s.at++
		case s.text[s.at] == '`':
			s.at++
			return true
		case strings.HasPrefix(s.text[s.at:], "${"):
			s.at++
			if !s.brackets() {
				return false
			}
			// The loop steps over the bracket that brackets has passed already.
			s.at--
		}
	}
	return false
}

// startsRegexp tells a regular expression from a division by what stands before it.
func (s *scanner) startsRegexp() bool {
	before := strings.TrimRight(s.text[:s.at], " \t\r\n")
	return before == "" || strings.IndexByte("(,=:[!&|?{};+-*%~^<>", before[len(before)-1]) >= 0
}

// regexp passes a regular expression up to its closing slash; inside of [...] a slash is a character. Flags are
// passed as a word.
func (s *scanner) regexp() bool {
	class := false
	for s.at++; s.at < len(s.text) && s.text[s.at] != '\n'; s.at++ {
		switch c := s.text[s.at]; {
		case c == '\\':
			s.at++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			s.at++
			return true
		}
	}
	return false
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.at >= len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// word passes a name or a number.
func (s *scanner) word() {
	for s.at < len(s.text) && isWord(s.text[s.at]) {
		s.at++
	}
}

// isWord takes every byte beyond ASCII for a letter, which is right for identifiers and harmless elsewhere.
func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '#' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// blank passes blanks and comments.
func (s *scanner) blank() {
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.at++
		case strings.HasPrefix(rest, "//"):
			s.at = s.after("\n")
		case strings.HasPrefix(rest, "/*"):
			s.at += 2
			s.at = s.after("*/")
		default:
			return
		}
	}
}

// after is the offset behind the next end of a comment, that of the text's end for a comment that is not closed.
func (s *scanner) after(end string) int {
	if i := strings.Index(s.text[s.at:], end); i >= 0 {
		return s.at + i + len(end)
	}
	return len(s.text)
}
