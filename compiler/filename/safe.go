package filename

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSegment bounds one folder or file name, in bytes, before its extension. File systems stop at 255, some
// encrypted ones at 143; what is left is for extensions and for the "-2" of a batch's second picture.
const MaxSegment = 120

// Safe makes text into one file or folder name that every file system takes: no separators, control or invisible characters, none of
// the characters and device names of Windows, no dot at either end, at most [MaxSegment] bytes. What is too long is cut and gets a hash
// of the whole, so that different long names stay different. The result is never empty, and a safe segment is its own result.
func Safe(text string) string {
	s := strings.Trim(clean(text), " ")
	if strings.HasPrefix(s, ".") { // no hidden files on Unix
		s = "_" + s[1:]
	}
	s = strings.TrimRight(s, " .")
	if s == "" {
		s = "_"
	}
	if device(s) {
		s = "_" + s
	}
	if len(s) > MaxSegment {
		sum := sha256.Sum256([]byte(text))       // of what was given, not of what was cleaned: "a?…" and "a*…" stay two
		end := "-" + hex.EncodeToString(sum[:4]) // nine bytes: names that differ only behind the cut meet once in four billion
		s = strings.TrimRight(cut(s, MaxSegment-len(end)), " .") + end
	}
	return s
}

// Key folds a name as the file systems that ignore case do: two names with one key may be one file. It is
// an approximation of their tables (Windows and macOS differ), good enough to refuse Fox and fox beside
// each other.
func Key(name string) string { return strings.ToLower(name) }

// clean replaces what no file name may hold: a line break or tab by a space, the rest by an underscore.
func clean(text string) string {
	if simple(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r == utf8.RuneError || bad(r):
			return '_'
		}
		return r
	}, text)
}

// simple tells the common case: letters, digits and harmless signs of ASCII only. It spares almost every
// name the walk over code points.
func simple(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < ' ' || c >= 0x7f || strings.IndexByte(`<>:"/\|?*`, c) >= 0 {
			return false
		}
	}
	return true
}

// bad tells the characters that some file system or terminal takes for something else. Format characters (Cf) could turn the shown
// name around.
func bad(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>:"/\|?*`, r) ||
		r == '\u2028' || r == '\u2029'
}

// cut keeps at most n bytes without cutting a character of UTF-8.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// devices are the names that Windows keeps for itself, whatever follows a dot.
var devices = []string{"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}

// device tells the names that Windows would open as a device, with any extension.
func device(s string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(s), ".")
	stem = strings.TrimRight(stem, " ")
	if slices.Contains(devices, stem) {
		return true
	}
	digit, ok := strings.CutPrefix(stem, "com")
	if !ok {
		digit, ok = strings.CutPrefix(stem, "lpt")
	}
	return ok && utf8.RuneCountInString(digit) == 1 && strings.Contains("0123456789¹²³", digit)
}
