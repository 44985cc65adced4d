package lower

import (
	"regexp"
	"strings"
)

// comment is a C comment, as dynamic prompts may hold.
var comment = regexp.MustCompile(`(?s:/\*.*?\*/)|//[^\n\r\x{2028}\x{2029}]*`)

// dynamicPrompt expands {a|b|{c|d}}, removes comments and unescapes \{ \} \|. Every group of braces disappears, with or without a choice.
// Each level of choices in choices is a text of its own; spend counts their bytes, and ends the expansion when it gives false.
// For example, with the first choice: "a {red|blue} cat // note" gives "a red cat ", and "{plain}" gives "plain".
func dynamicPrompt(text string, choose func(n int) int, spend func(bytes int) bool) (expanded string, ok bool) {
	d := dynamicText{choose: choose, spend: spend}
	expanded = d.expand(text)
	return expanded, !d.failed
}

// plainPrompt tells that a text has nothing that dynamicPrompt would change.
func plainPrompt(text string) bool {
	if strings.ContainsAny(text, `{\\`) {
		return false
	}
	for rest := text; ; {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 || slash+1 == len(rest) {
			return true
		}
		if rest = rest[slash+1:]; rest[0] == '/' || rest[0] == '*' {
			return false
		}
	}
}

// dynamicText is a reader over one text; expand puts another in its place for a while and then back.
type dynamicText struct {
	choose func(n int) int
	spend  func(bytes int) bool
	text   string
	at     int
	failed bool
}

func (d *dynamicText) expand(text string) string {
	if d.failed = d.failed || !d.spend(len(text)); d.failed {
		return ""
	}
	// Comments go at every level, so a choice cannot bring one back.
	d.text, d.at = comment.ReplaceAllString(text, ""), 0
	var out strings.Builder
	for d.at < len(d.text) {
		c := d.text[d.at]
		d.at++
		switch c {
		case '\\':
			out.WriteString(d.escape())
		case '{':
			options := d.options()
			// expand uses the same fields for the inner text.
			rest, at := d.text, d.at
			out.WriteString(d.expand(options[d.choose(len(options))]))
			d.text, d.at = rest, at
		default:
			// Bytes of longer characters pass one by one; none of them is a brace or a backslash.
			out.WriteByte(c)
		}
	}
	return unescape.Replace(out.String())
}

// unescape is what the frontend does last, at every level.
var unescape = strings.NewReplacer(`\{`, "{", `\}`, "}", `\|`, "|")

// escape keeps a backslash and the character behind it; at the end the frontend writes "undefined" behind it.
func (d *dynamicText) escape() string {
	if d.at >= len(d.text) {
		d.at++
		return `\undefined`
	}
	out := `\` + d.text[d.at:d.at+1]
	d.at++
	return out
}

// options reads a group up to its closing brace, or the end, and splits it at the bars of its own level.
func (d *dynamicText) options() []string {
	var options []string
	var choice strings.Builder
	depth := 0
	for d.at < len(d.text) {
		c := d.text[d.at]
		d.at++
		switch {
		case c == '\\':
			choice.WriteString(d.escape())
			continue
		case c == '{':
			depth++
		case c == '}':
			if depth == 0 {
				return append(options, choice.String())
			}
			depth--
		case c == '|' && depth == 0:
			options = append(options, choice.String())
			choice.Reset()
			continue
		}
		choice.WriteByte(c)
	}
	return append(options, choice.String())
}
