package worker

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Nodes on texts. Python counts characters, not bytes, and its methods have
// rules of their own for case and blanks; Go's are used where they agree.

// stringConcatenate puts the delimiter between two texts.
func stringConcatenate(a *args) ([]value, error) {
	return []value{a.text("string_a") + a.textOr("delimiter", "") + a.text("string_b")}, a.err
}

// stringSubstring counts characters; negative ends count from the end.
func stringSubstring(a *args) ([]value, error) {
	s, from, to := []rune(a.text("string")), a.integer("start"), a.integer("end")
	from, to = pythonIndex(from, len(s)), pythonIndex(to, len(s))
	// An end before the start gives "", as a slice does in Python.
	return []value{string(s[from:max(from, to)])}, a.err
}

// pythonIndex is an end of a Python slice of n characters.
func pythonIndex(i, n int) int {
	if i < 0 {
		i += n
	}
	return max(0, min(i, n))
}

// stringLength counts characters, not bytes.
func stringLength(a *args) ([]value, error) {
	return []value{int64(utf8.RuneCountInString(a.text("string")))}, a.err
}

// caseConverter changes letters; other modes leave the text as it is.
func caseConverter(a *args) ([]value, error) {
	s := a.text("string")
	switch a.text("mode") {
	case "UPPERCASE":
		s = strings.ToUpper(s)
	case "lowercase":
		s = strings.ToLower(s)
	case "Capitalize":
		_, size := utf8.DecodeRuneInString(s)
		s = strings.ToUpper(s[:size]) + strings.ToLower(s[size:])
	case "Title Case":
		s = title(s)
	}
	return []value{s}, a.err
}

// title makes the first letter of each run of letters large and the others small.
func title(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		was := inside
		inside = unicode.IsLetter(r)
		if inside && was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

// stringTrim takes white space off one end or both.
func stringTrim(a *args) ([]value, error) {
	s := a.text("string")
	switch a.text("mode") {
	case "Both":
		s = strings.TrimSpace(s)
	case "Left":
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	case "Right":
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return []value{s}, a.err
}

// mostText bounds the text that a node takes, or makes by replacing, in bytes.
// A graph that doubles a text again and again ends there.
const mostText = 1 << 20

// stringReplace replaces all places.
func stringReplace(a *args) ([]value, error) {
	s, find, replace := a.text("string"), a.text("find"), a.text("replace")
	// An upper bound of the result's length; it leaves out what find takes
	// away.
	if len(s)+(strings.Count(s, find))*len(replace) > mostText {
		a.fail("the text would be too long")
		return nil, a.err
	}
	return []value{strings.ReplaceAll(s, find, replace)}, a.err
}

// stringContains looks for a part.
func stringContains(a *args) ([]value, error) {
	s, part := a.folded("string"), a.folded("substring")
	return []value{strings.Contains(s, part)}, a.err
}

// stringCompare compares ends or the whole.
func stringCompare(a *args) ([]value, error) {
	x, y := a.folded("string_a"), a.folded("string_b")
	switch a.text("mode") {
	case "Starts With":
		return []value{strings.HasPrefix(x, y)}, a.err
	case "Ends With":
		return []value{strings.HasSuffix(x, y)}, a.err
	}
	return []value{x == y}, a.err
}

// folded gives text in small letters unless case_sensitive is on.
func (a *args) folded(name string) string {
	s := a.text(name)
	if !a.truthOr("case_sensitive", true) {
		s = strings.ToLower(s)
	}
	return s
}
