// Package diag holds findings: what is wrong with an input, where, and what to do.
//
// A [Diagnostic] is a value: a code from the tables behind `comfyc explain`, a severity, a sentence, a place, and notes with
// places of their own. Passes collect them in a [List]; the printers [Print] and [AppendJSON] turn a list into text. Nothing
// here prints by itself, and nothing keeps state.
//
// A finding reads, when it is printed, as
//
//	sweep.json:41:22: error: input "sampler_name" of KSampler is not in the list: "eulr" [value_not_in_list]
//	   41 |       "sampler_name": "eulr",
//	      |                       ^~~~~~ did you mean "euler"?
//	batch.yaml:9:12: note: value set by axis "sampler"
//
// where the first line is Place, Severity, Message and Code, the text behind the caret is the Hint, and the
// last line a Note.
package diag

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// Severity says what a finding means for the input.
type Severity uint8

// An Error makes an input invalid; a Warning is worth a look; Info is said only when asked for.
const (
	Error Severity = iota
	Warning
	Info
)

// String gives the word that is printed and that JSON has; a value outside of the three panics.
func (s Severity) String() string { return [...]string{"error", "warning", "info"}[s] }

// Place is a span of bytes in a file, from Start up to but not including End. The zero value is "no place".
// Line and column are counted from the bytes when a finding is printed, as most places are never shown.
type Place struct {
	File       *source.File // nil for no place; a file without Data was not read, and only its name is known
	Start, End int
}

// Of gives the place of a value; no place for nil, and for a value that a program made.
func Of(v *source.Value) Place {
	if v == nil {
		return Place{}
	}
	return Place{v.File, v.Start, v.End}
}

// OfKey gives the place of a member's key; the file is that of its value.
func OfKey(m *source.Member) Place {
	if m == nil || m.Value == nil {
		return Place{}
	}
	return Place{m.Value.File, m.KeyStart, m.KeyEnd}
}

// InFile gives the start of a file, for findings about the whole of it.
func InFile(f *source.File) Place { return Place{File: f} }

// Note is a second place, or a remark without one. Two files that disagree are a finding in one and a note
// in the other.
type Note struct {
	Place   Place
	Message string
}

// Diagnostic is one finding.
type Diagnostic struct {
	Code     string // a key of the tables in this package; ComfyUI's own name where the meaning is the same
	Severity Severity
	Message  string // one sentence without a full stop, with the user's own spelling of names and values
	Place    Place
	Node     string // the id of the workflow node it is about, if any
	Input    string // the name of the input it is about, if any
	Hint     string // what to do, printed behind the caret: `did you mean "euler"?`
	Notes    []Note
}

// Errorf, Warnf and Infof make findings.
func Errorf(code string, at Place, format string, args ...any) Diagnostic {
	return Diagnostic{Code: code, Severity: Error, Place: at, Message: fmt.Sprintf(format, args...)}
}

// Warnf makes a warning.
func Warnf(code string, at Place, format string, args ...any) Diagnostic {
	return Diagnostic{Code: code, Severity: Warning, Place: at, Message: fmt.Sprintf(format, args...)}
}

// Infof makes a remark.
func Infof(code string, at Place, format string, args ...any) Diagnostic {
	return Diagnostic{Code: code, Severity: Info, Place: at, Message: fmt.Sprintf(format, args...)}
}

// About names the node and the input that a finding is about, either "" if there is none: editors that get the
// JSON form mark them, and two findings at one place about different inputs are both kept.
func (d Diagnostic) About(node, input string) Diagnostic {
	d.Node, d.Input = node, input
	return d
}

// Hinted adds what to do.
func (d Diagnostic) Hinted(hint string) Diagnostic {
	d.Hint = hint
	return d
}

// Noted adds a note. The receiver is a copy, and its notes are clipped first, so two findings made from one
// do not share theirs.
func (d Diagnostic) Noted(at Place, format string, args ...any) Diagnostic {
	d.Notes = append(slices.Clip(d.Notes), Note{at, fmt.Sprintf(format, args...)})
	return d
}

// FromError turns an error of the readers into a finding; any other error becomes one with the code
// unreadable_file, at the file called name. err is not nil.
func FromError(err error, name string) Diagnostic {
	var e *source.Error
	if !errors.As(err, &e) {
		return Errorf("unreadable_file", Place{File: source.NewFile(name, nil)}, "%s", strings.TrimPrefix(err.Error(), "open "))
	}
	d := Errorf(e.Code, Place{e.File, e.Start, e.End}, "%s", e.Message)
	if e.Note != "" {
		d = d.Noted(Place{e.File, e.NoteStart, e.NoteEnd}, "%s", e.Note)
	}
	return d
}

// List collects findings. The zero value is empty. It is not safe for several goroutines.
type List struct {
	items []Diagnostic // as added
	fatal int          // errors among them, so that Failed need not look
}

// Add appends findings; repeats are only dropped by [List.Sorted].
func (l *List) Add(ds ...Diagnostic) {
	for _, d := range ds {
		if d.Severity == Error {
			l.fatal++
		}
		l.items = append(l.items, d)
	}
}

// Failed tells whether an error is among the findings.
func (l *List) Failed() bool { return l.fatal > 0 }

// Errors counts the errors.
func (l *List) Errors() int { return l.fatal }

// Len counts all findings.
func (l *List) Len() int { return len(l.items) }

// Sorted gives the findings by file (in order of first appearance), place, severity, code and message;
// equal ones once. Hints and notes do not tell findings apart: of two that differ in nothing else the first
// is kept. The list itself stays as it is.
func (l *List) Sorted() []Diagnostic {
	files := map[*source.File]int{}
	for _, d := range l.items {
		if _, ok := files[d.Place.File]; !ok {
			files[d.Place.File] = len(files)
		}
	}
	out := slices.Clone(l.items)
	slices.SortStableFunc(out, func(a, b Diagnostic) int { return compare(a, b, files) })
	return slices.CompactFunc(out, func(a, b Diagnostic) bool { return compare(a, b, files) == 0 })
}

// compare orders two findings; 0 means that they say the same about the same node and input.
func compare(a, b Diagnostic, files map[*source.File]int) int {
	for _, c := range []int{
		files[a.Place.File] - files[b.Place.File], a.Place.Start - b.Place.Start, int(a.Severity) - int(b.Severity),
		strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message),
		strings.Compare(a.Node, b.Node), strings.Compare(a.Input, b.Input),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}
