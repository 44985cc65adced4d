package source

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Escapes of strings, RFC 8259 section 7. Most strings have none and never come here.

// unescape gives the content of a JSON string that has escapes, or bytes that are not UTF-8: those become U+FFFD, as lone surrogates do.
func unescape(raw string) (string, bool) {
	// No escape is shorter than what it stands for, so len(raw) bytes are enough unless a byte that is not UTF-8 becomes the three of U+FFFD.
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
		// RuneSelf is 0x80: bytes below it are a character each.
		if c < utf8.RuneSelf {
			// Plain letters are copied by the run.
			end := i + 1
			// No quote and no control character can be here: the reader stopped at them.
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

// escape reads the escape at the start of a text, whose first byte is a backslash; size is how many bytes it takes, 0 if it is no escape.
// Characters beyond U+FFFF are written as a pair of surrogates: the twelve bytes \ud83d\ude00 are one character.
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
		// Surrogates are D800 to DFFF: halves of a pair, and no characters by themselves.
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		// A pair takes six bytes twice; DecodeRune says RuneError where the second one is no low half.
		if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			if low, ok := hex4(s[8:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, 12
				}
			}
		}
		// A lone surrogate, or two that are no pair: the second one is then read for itself.
		return utf8.RuneError, 6
	}
	return 0, 0
}

// hex4 reads four hexadecimal digits, capital or small.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	// Each digit is four bits, the highest first.
	for i := range 4 {
		c := s[i]
		switch {
		// Bytes below '0' wrap around and are large.
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

// escapesAreRight tells whether unescape would take a text, without making the content: for strings that are checked and left out.
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
