package prompt

import (
	"regexp"
	"strings"
)

// escapable are the characters that a backslash takes their meaning from.
const escapable = `{}|$#_/:`

// stripped is a text without its comments.
type stripped struct {
	text    string
	offsets []int32 // by byte of text: where it stands in the original; nil if nothing was taken out
	open    int     // where a /* stands that is not closed, -1 if there is none
}

// original gives the offset in the text with comments.
func (s *stripped) original(at int) int {
	switch {
	case s.offsets == nil:
		return at
	case at < len(s.offsets):
		return int(s.offsets[at])
	case len(s.offsets) > 0:
		return int(s.offsets[len(s.offsets)-1]) + 1
	}
	return 0
}

// strip takes the comments out. A line that held nothing else goes with its line break.
func strip(in string) stripped {
	if !strings.ContainsAny(in, "#/") {
		return stripped{text: in, open: -1}
	}
	out := make([]byte, 0, len(in))
	offsets := make([]int32, 0, len(in))
	open, found := -1, false
	keep := func(i int) { out, offsets = append(out, in[i]), append(offsets, int32(i)) }
	for i := 0; i < len(in); {
		if n := opaque(in, i); n > 0 {
			for range n {
				keep(i)
				i++
			}
			continue
		}
		end := comment(in, i)
		if end == i {
			keep(i)
			i++
			continue
		}
		if found = true; end < 0 {
			open = i
			break
		}
		// Is there nothing but blanks before the comment in its line? Only the end of out is looked at, so
		// a text of a million comments takes no time squared.
		line := strings.LastIndexByte(string(out[max(0, len(out)-maxName):]), '\n')
		tail := out[max(0, len(out)-maxName):][line+1:]
		alone := len(strings.TrimLeft(string(tail), " \t")) == 0 && (line >= 0 || len(tail) == len(out))
		// Then the line goes with its break; else only the comment goes, and the blanks before it stay.
		if alone && (end == len(in) || in[end] == '\n') {
			out, offsets = out[:len(out)-len(tail)], offsets[:len(out)-len(tail)]
			end = min(end+1, len(in))
		}
		i = end
	}
	if !found {
		return stripped{text: in, open: -1}
	}
	return stripped{string(out), offsets, open}
}

// glob is the beginning of a wildcard in which /* is no comment.
var glob = regexp.MustCompile(`^__[!~@]?[^{}|$"<>\\#,;:=\s()]+?(?:__|\()`)

// opaque gives the length of what stands at i and cannot begin a comment: an escape or the name of a wildcard.
func opaque(in string, i int) int {
	switch {
	case in[i] == '\\' && i+1 < len(in) && strings.IndexByte(escapable, in[i+1]) >= 0:
		return 2
	case strings.HasPrefix(in[i:], "__"):
		return len(glob.FindString(limited(in[i:])))
	}
	return 0
}

// comment gives the end of the comment that begins at i: i itself if none does, -1 if it is not closed.
func comment(in string, i int) int {
	rest := in[i:]
	switch {
	case strings.HasPrefix(rest, "/*"):
		if end := strings.Index(rest[2:], "*/"); end >= 0 {
			return i + 2 + end + 2
		}
		return -1
	case strings.HasPrefix(rest, "//") && (i == 0 || in[i-1] != ':'):
	case rest[0] == '#' && hash(in, i):
	default:
		return i
	}
	if end := strings.IndexByte(rest, '\n'); end >= 0 {
		return i + end
	}
	return len(in)
}

// hash tells whether the # at i begins a comment: first in its line, or with blanks around it. "the #1
// prize", "C#" and "#ff0000" within a line are texts; "# a remark" and "red # warm" have comments.
func hash(in string, i int) bool {
	before := strings.TrimRight(in[max(0, i-maxName):i], " \t")
	if before == "" || before[len(before)-1] == '\n' {
		return true
	}
	blank := func(k int) bool { return k == len(in) || strings.IndexByte(" \t\r\n", in[k]) >= 0 }
	return blank(i-1) && blank(i+1)
}
