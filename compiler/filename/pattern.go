// A pattern is read twice over: split cuts it into literals and tokens by the percent signs, then segments
// cuts the literals at their slashes. A token's value is put in afterwards, so no value can make a folder.

package filename

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxPattern  = 4096 // bytes
	maxSegments = 16   // folders and the file itself
)

// Problem is a mistake in a pattern; Start and End are byte offsets in it, which the compiler turns into a
// place in the batch file.
type Problem struct {
	Start, End int
	Message    string
}

// Part is a piece of a pattern: literal text, or a token.
type Part struct {
	Start, End int    // byte offsets in the pattern
	Text       string // the literal text, or what stands between the two percent signs
	Token      bool   // Text is what lookup is asked for
}

// Pattern is a parsed pattern. The zero value gives "_".
type Pattern struct {
	segments [][]Part // by folder, the last one is the file's own name
	parts    []Part   // as split gave them, tokens not yet told from mistakes
}

// Parse splits a pattern and finds the mistakes that show without values: unknown tokens, characters that some file system refuses,
// folders without a name or that lead out of the output folder. Whether an axis or an input exists is for the caller to check,
// with [Pattern.Tokens].
func Parse(pattern string) (*Pattern, []Problem) {
	if pattern == "" || len(pattern) > maxPattern {
		return &Pattern{}, []Problem{{0, len(pattern), fmt.Sprintf("a file name pattern has 1 to %d bytes", maxPattern)}}
	}
	p := &Pattern{parts: split(pattern)}
	p.segments = segments(p.parts)
	problems := append(partProblems(p.parts), segmentProblems(p.segments, len(pattern))...)
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Start - b.Start })
	return p, problems
}

// Check gives the problems of [Parse] alone.
func Check(pattern string) []Problem {
	_, problems := Parse(pattern)
	return problems
}

// Tokens lists the tokens in order, also those that are there twice.
func (p *Pattern) Tokens() []Part {
	return slices.DeleteFunc(slices.Clone(p.parts), func(part Part) bool { return !part.Token })
}

// Expand gives a path for one set of values: relative, with forward slashes, without an extension, safe on every file system. A slash
// in the pattern makes a folder, one in a value does not. The error names the first token that lookup has no value for.
func (p *Pattern) Expand(lookup func(token string) (string, bool)) (string, error) {
	var out, segment strings.Builder
	for i, parts := range p.segments {
		segment.Reset()
		for _, part := range parts {
			text := part.Text
			if part.Token {
				value, ok := lookup(part.Text)
				if !ok {
					return "", fmt.Errorf("file name pattern: nothing is called %%%s%%", part.Text)
				}
				text = clean(value)
			}
			segment.WriteString(text)
		}
		if i > 0 {
			out.WriteByte('/')
		}
		out.WriteString(Safe(segment.String()))
	}
	if out.Len() == 0 {
		return "_", nil
	}
	return out.String(), nil
}

// Expand parses and expands a pattern once. The error is the first of its problems, or that of [Pattern.Expand].
func Expand(pattern string, lookup func(token string) (string, bool)) (string, error) {
	p, problems := Parse(pattern)
	if len(problems) > 0 {
		return "", fmt.Errorf("file name pattern: %s", problems[0].Message)
	}
	return p.Expand(lookup)
}

// split cuts a pattern at its tokens. %% is a literal percent sign, and so is a % that no other one
// follows: "50%% %seed%" is the text 50, a percent sign, a blank and a token.
func split(pattern string) []Part {
	var parts []Part
	literal := func(from, to int, text string) {
		if text != "" {
			parts = append(parts, Part{from, to, text, false})
		}
	}
	for at := 0; at < len(pattern); {
		open := strings.IndexByte(pattern[at:], '%')
		if open < 0 {
			literal(at, len(pattern), pattern[at:])
			break
		}
		open += at
		literal(at, open, pattern[at:open])
		size := strings.IndexByte(pattern[open+1:], '%')
		switch {
		case size < 0:
			literal(open, len(pattern), pattern[open:])
			return parts
		case size == 0:
			literal(open, open+2, "%")
		default:
			parts = append(parts, Part{open, open + size + 2, pattern[open+1 : open+1+size], true})
		}
		at = open + size + 2
	}
	return parts
}

// segments cuts the literal parts at their slashes; a slash inside a token belongs to the token, as in
// %date:yyyy/MM%. The result has one element more than there are slashes, and an empty one for a folder
// without a name.
func segments(parts []Part) [][]Part {
	out := [][]Part{nil}
	for _, p := range parts {
		for !p.Token {
			i := strings.IndexByte(p.Text, '/')
			if i < 0 {
				break
			}
			last := len(out) - 1
			if i > 0 {
				out[last] = append(out[last], Part{p.Start, p.Start + i, p.Text[:i], false})
			}
			out = append(out, nil)
			p.Start, p.Text = p.Start+i+1, p.Text[i+1:]
		}
		if p.Token || p.Text != "" {
			out[len(out)-1] = append(out[len(out)-1], p)
		}
	}
	return out
}

// partProblems finds unknown tokens and letters that cannot stand in names. Values may hold such letters,
// since they are cleaned; a pattern is written by the user, who should see what becomes of it.
func partProblems(parts []Part) []Problem {
	var out []Problem
	for _, p := range parts {
		if p.Token {
			if !known(p.Text) {
				out = append(out, Problem{p.Start, p.End, fmt.Sprintf("there is no token %%%s%%; a percent sign is written %%%%", p.Text)})
			}
			continue
		}
		for i, r := range p.Text {
			if r != '/' && bad(r) {
				out = append(out, Problem{p.Start + i, p.Start + i + len(string(r)), fmt.Sprintf("%q is not allowed in file names", r)})
			}
		}
	}
	return out
}

// segmentProblems finds folders without a name and those that lead out.
func segmentProblems(segments [][]Part, size int) []Problem {
	var out []Problem
	if len(segments) > maxSegments {
		out = append(out, Problem{0, size, fmt.Sprintf("more than %d folders", maxSegments)})
	}
	for _, parts := range segments {
		switch text := literalText(parts); {
		case len(parts) == 0 || strings.TrimSpace(text) == "":
			out = append(out, Problem{0, size, "a folder or the file has no name"})
		case text == "." || text == "..":
			out = append(out, Problem{parts[0].Start, parts[len(parts)-1].End, fmt.Sprintf("%q leads out of the output folder", text)})
		}
	}
	return out
}

// literalText joins a segment's parts; a token counts as some text, whose value is not known yet: [Safe]
// mends "..", should it come to that.
func literalText(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Token {
			return "token"
		}
		b.WriteString(p.Text)
	}
	return b.String()
}
