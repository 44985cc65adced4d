// The text and the JSON of findings. Whatever an input could smuggle into a terminal (escape sequences,
// letters that turn the direction of writing) is replaced on the way out, in messages as well as in
// excerpts.

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

// maxExcerpt is the number of code points of a source line that an excerpt shows; longer lines are cut
// around the place. Workflows are often one line of a megabyte.
const maxExcerpt = 100

// Options say how findings are printed. The zero value prints plain text with excerpts.
type Options struct {
	Color     bool // ANSI colours
	NoExcerpt bool // only the first line and the notes of each finding
}

// Print writes findings in the form that editors jump to: file:line:column: severity: message [code], the line with a caret
// under the place, and the notes. The error is the writer's; nothing is printed twice or sorted here.
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

// printer writes one finding after the other to a buffer.
type printer struct {
	*bufio.Writer
	opt Options
}

// head prints the line that editors jump to: the place if there is one, the word, and the message.
func (p printer) head(at Place, word, message string) {
	if where := Where(at); where != "" {
		fmt.Fprintf(p, "%s: ", clean(where))
	}
	if p.opt.Color {
		color := map[string]string{"error": "31", "warning": "33"}[word] // red and yellow; notes and remarks are cyan
		if color == "" {
			color = "36"
		}
		word = "\x1b[1;" + color + "m" + word + "\x1b[0m"
	}
	fmt.Fprintf(p, "%s: %s\n", word, clean(message))
}

// Where prints a place as file:line:column, or the file's name alone if it was not read; "" for no place.
// Lines and columns count from 1, columns in code points.
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

// excerpt prints the line of a place with a caret under it. Without a line to show, the hint stands alone
// behind "help:".
func (p printer) excerpt(at Place, hint string) {
	if at.File == nil || len(at.File.Data) == 0 || p.opt.NoExcerpt {
		if hint != "" {
			fmt.Fprintf(p, "      help: %s\n", clean(hint))
		}
		return
	}
	line, col := at.File.Position(at.Start)
	text, start := at.File.Line(line)
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 { // a picture that was to carry a workflow, for example
		if hint != "" {
			fmt.Fprintf(p, "      help: %s\n", clean(hint))
		}
		return
	}
	// In code points; a place over several lines is marked to the end of the first.
	width := utf8.RuneCount(text[min(max(at.Start-start, 0), len(text)):min(max(at.End-start, 0), len(text))])
	shown, caret := window([]rune(string(text)), col-1)
	fmt.Fprintf(p, "%5d | %s\n", line, clean(string(shown)))
	mark := "^" + strings.Repeat("~", max(0, min(width, len(shown)-caret)-1))
	if hint != "" { // one ^ and as many ~ as the place has more letters, as compilers print it
		mark += " " + clean(hint)
	}
	fmt.Fprintf(p, "      | %s%s\n", strings.Repeat(" ", caret), mark)
}

// window cuts a long line around the caret and gives the caret's place in what is left. A third of the
// window stands before the caret, since what follows explains more. Tabs become one blank each, so that the
// caret stays under its letter.
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

// clean makes a text safe for a terminal: control characters, which an input may carry, are shown as
// U+FFFD. So are the marks that change the direction of writing (U+202A to U+202E, U+2066 to U+2069), by
// which a line could show other text than it holds.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, s)
}

// ToValue gives a finding as the object that `--json` and the service print: code, severity, message, file,
// line, column, node, input, hint and notes, where they are known; absent ones are left out, not empty. The
// order of the keys is fixed.
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

// placeMembers gives file, line and column of a place, as far as they are known.
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

// AppendJSON appends findings as a JSON array on one line, [] for none.
func AppendJSON(dst []byte, findings []Diagnostic) []byte {
	list := source.NewArray()
	for _, d := range findings {
		list.Items = append(list.Items, d.ToValue())
	}
	return list.AppendJSON(dst)
}
