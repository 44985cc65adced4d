package view

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// shorten makes one line of a text: blanks and control characters become single blanks, and what is longer than limit characters ends in "…".
func shorten(s string, limit int) string {
	var b strings.Builder
	count, gap := 0, false
	for _, r := range s {
		if unicode.IsSpace(r) || !printable(r) {
			gap = count > 0
			continue
		}
		if count >= limit {
			return b.String() + "…"
		}
		if gap {
			b.WriteByte(' ')
			count++
			gap = false
		}
		b.WriteRune(r)
		count++
	}
	return b.String()
}

// printable leaves out what XML 1.0 cannot hold and what turns the direction of the text around it.
func printable(r rune) bool {
	switch {
	case r == utf8.RuneError, r == 0xFFFE, r == 0xFFFF:
		return false
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return false
	}
	return !unicode.IsControl(r)
}

// widths are the advances of the characters 32 to 126 in Helvetica and the fonts of equal metrics (Arial, Liberation Sans), in 1/1000 em.
var widths = [95]int{
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278,
	584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944,
	667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
	278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}

// advance is the width of a character in 1/1000 em; a guess for all but ASCII.
func advance(r rune) int {
	switch {
	case r >= 32 && r <= 126:
		return widths[r-32]
	case r >= 0x1100:
		return 1000 // wide scripts, emoji
	}
	return 600
}

// width is about how many pixels a text takes at a font size; bold text takes a little more.
func width(s string, size float64) float64 {
	sum := 0
	for _, r := range s {
		sum += advance(r)
	}
	return float64(sum) * size / 1000
}

// fit cuts a text of one line so that it takes at most the pixels, with "…" at the end if it was cut.
func fit(s string, size, pixels float64) string {
	if width(s, size) <= pixels {
		return s
	}
	left := pixels*1000/size - 1000 // room is kept for the dots
	for i, r := range s {
		if left -= float64(advance(r)); left < 0 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// wrap breaks a text of one line at blanks into lines of at most the pixels; the last of them may be cut.
func wrap(s string, size, pixels float64, lines int) []string {
	var out []string
	for s != "" && len(out) < lines-1 {
		end := lineEnd(s, size, pixels)
		out = append(out, strings.TrimRight(s[:end], " "))
		s = strings.TrimLeft(s[end:], " ")
	}
	if s != "" {
		out = append(out, fit(s, size, pixels))
	}
	return out
}

// breaks tells where a line may end: at blanks, and between the characters of scripts that are written without.
func breaks(r rune) bool { return r == ' ' || r >= 0x2E80 }

// lineEnd is where the first line of s ends: behind the last blank that fits, within a word that is too long for a line; never at 0.
func lineEnd(s string, size, pixels float64) int {
	left, blank := pixels*1000/size, 0
	for i, r := range s {
		if r == ' ' {
			blank = i
		}
		if left -= float64(advance(r)); left < 0 && i > 0 {
			if blank > 0 {
				return blank
			}
			return i
		}
	}
	return len(s)
}
