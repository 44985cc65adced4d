package diag

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler/source"
)

// maxExcerpt is the number of code points of a source line that an excerpt shows; longer lines are cut around the place.
const maxExcerpt = 100

// Options say how findings are printed. The zero value prints plain text with excerpts.
type Options struct {
	Color     bool // ANSI colours
	NoExcerpt bool // only the first line and the notes of each finding
}

// Print writes findings in the form that editors jump to: file:line:column: severity: message [code], the line with a caret
// under the place, and the notes.
func Print(w io.Writer, findings []Diagnostic, opt Options) error {
	b := bufio.NewWriter(w)
	for _, d := range findings {
		p := printer{b, opt}
		p.head(d.Place, d.Severity.String(), d.Message+" ["+d.Code+"]")
		p.excerpt(d.Place, d.Hint)
		for _, n := range d.Notes {
			p.head(n.Place, "note", n.Message)
		}
	}
	return b.Flush()
}

type printer struct {
	*bufio.Writer
	opt Options
}

func (p printer) head(at Place, word, message string) {
	if where := Where(at); where != "" {
		fmt.Fprintf(p, "%s: ", clean(where))
	}
	if p.opt.Color {
		color := map[string]string{"error": "31", "warning": "33"}[word]
		if color == "" {
			color = "36"
		}
		word = "\x1b[1;" + color + "m" + word + "\x1b[0m"
	}
	fmt.Fprintf(p, "%s: %s\n", word, clean(message))
}

// Where prints a place as file:line:column, or the file's name alone if it was not read.
func Where(at Place) string {
	if at.File == nil {
		return ""
	}
	if at.File.Data == nil {
		return at.File.Name
	}
	line, col := at.File.Position(at.Start)
	return fmt.Sprintf("%s:%d:%d", at.File.Name, line, col)
}

func (p printer) excerpt(at Place, hint string) {
	if at.File == nil || len(at.File.Data) == 0 || p.opt.NoExcerpt {
		if hint != "" {
			fmt.Fprintf(p, "      help: %s\n", clean(hint))
		}
		return
	}
	line, col := at.File.Position(at.Start)
	text, start := at.File.Line(line)
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		fmt.Fprintf(p, "      help: %s\n", clean(hint))
		return
	}
	width := utf8.RuneCount(text[min(max(at.Start-start, 0), len(text)):min(max(at.End-start, 0), len(text))])
	shown, caret := window([]rune(string(text)), col-1)
	fmt.Fprintf(p, "%5d | %s\n", line, clean(string(shown)))
	mark := "^" + strings.Repeat("~", max(0, min(width, len(shown)-caret)-1))
	if hint != "" {
		mark += " " + clean(hint)
	}
	fmt.Fprintf(p, "      | %s%s\n", strings.Repeat(" ", caret), mark)
}

// window cuts a long line around the caret and gives the caret's place in what is left.
func window(line []rune, caret int) ([]rune, int) {
	for i, r := range line {
		if r == '\t' {
			line[i] = ' '
		}
	}
	if len(line) <= maxExcerpt {
		return line, min(caret, len(line))
	}
	from := max(0, min(caret-maxExcerpt/3, len(line)-maxExcerpt))
	to := min(len(line), from+maxExcerpt)
	out := append([]rune(nil), line[from:to]...)
	if from > 0 {
		out[0] = '…'
	}
	if to < len(line) {
		out[len(out)-1] = '…'
	}
	return out, min(caret-from, len(out))
}

// clean makes a text safe for a terminal: control characters, which an input may carry, are shown as U+FFFD.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, s)
}

// ToValue gives a finding as the object that `--json` and the service print: code, severity, message, file, line, column, node, input,
// hint and notes, where they are known.
func (d Diagnostic) ToValue() *source.Value {
	var o []source.Member
	put := func(key string, v *source.Value) { o = append(o, source.Member{Key: key, Value: v}) }
	text := func(key, s string) {
		if s != "" {
			put(key, source.NewString(s))
		}
	}
	text("code", d.Code)
	text("severity", d.Severity.String())
	text("message", d.Message)
	o = append(o, placeMembers(d.Place)...)
	text("node", d.Node)
	text("input", d.Input)
	text("hint", d.Hint)
	if len(d.Notes) > 0 {
		notes := source.NewArray()
		for _, n := range d.Notes {
			notes.Items = append(notes.Items, source.NewObject(append([]source.Member{
				{Key: "message", Value: source.NewString(n.Message)}}, placeMembers(n.Place)...)...))
		}
		put("notes", notes)
	}
	return source.NewObject(o...)
}

func placeMembers(at Place) []source.Member {
	if at.File == nil {
		return nil
	}
	o := []source.Member{{Key: "file", Value: source.NewString(at.File.Name)}}
	if at.File.Data == nil {
		return o
	}
	line, col := at.File.Position(at.Start)
	return append(o, source.Member{Key: "line", Value: source.NewInt(int64(line))}, source.Member{Key: "column", Value: source.NewInt(int64(col))})
}

// AppendJSON appends findings as a JSON array.
func AppendJSON(dst []byte, findings []Diagnostic) []byte {
	list := source.NewArray()
	for _, d := range findings {
		list.Items = append(list.Items, d.ToValue())
	}
	return list.AppendJSON(dst)
}
