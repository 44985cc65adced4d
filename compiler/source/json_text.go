package source

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape gives the content of a JSON string that has escapes, or bytes that are not UTF-8: those become U+FFFD, as lone surrogates do.
func unescape(raw string) (string, bool) {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); {
		c := raw[i]
		if c == '\\' {
			r, size := escape(raw[i:])
			if size == 0 {
				return "", false
			}
			b.WriteRune(r)
			i += size
			continue
		}
		if c < utf8.RuneSelf {
			end := i + 1
			for end < len(raw) && raw[end] != '\\' && raw[end] < utf8.RuneSelf {
				end++
			}
			b.WriteString(raw[i:end])
			i = end
			continue
		}
		r, size := utf8.DecodeRuneInString(raw[i:])
		b.WriteRune(r) // U+FFFD for what is no character
		i += size
	}
	return b.String(), true
}

// escape reads the escape at the start of a text, a pair of surrogates included; the size is 0 if it is none.
func escape(s string) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(s[2:])
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			if low, ok := hex4(s[8:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, 12
				}
			}
		}
		return utf8.RuneError, 6
	}
	return 0, 0
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// escapesAreRight tells whether unescape would take a text.
func escapesAreRight(raw string) bool {
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			return true
		}
		_, size := escape(raw[i:])
		if size == 0 {
			return false
		}
		raw = raw[i+size:]
	}
}
