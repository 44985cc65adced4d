// Package source turns JSON and YAML bytes into trees in which every key and every value knows its place.
//
// A [Value] keeps byte offsets only; line and column are computed by [File.Position] when a finding is printed. Numbers keep
// their text, so that a seed of 2^64-1 survives. Both readers are bounded by [Limits], refuse what does not end with the
// root value, and report trouble as an [*Error] with a place.
//
// Trees are made once and then shared: nothing in a Value is changed after it was parsed, so any number of goroutines may read
// one. A pass that changes something makes new Values which point to the old places.
package source

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"unicode/utf8"
)

// MaxFileSize is the size in bytes up to which [ReadFile] reads a file: 256 MiB.
const MaxFileSize = 256 << 20

// File is one input text. Name is printed as the user gave it.
type File struct {
	Name string
	Data []byte

	// lines is made at the first question for a place: most files are read without a finding and never need it. The Once lets any number of
	// goroutines ask at the same time.
	once  sync.Once
	lines []int // byte offset of each line's start
}

// NewFile wraps bytes that the caller must not change any more.
func NewFile(name string, data []byte) *File { return &File{Name: name, Data: data} }

// ReadFile reads a file of at most [MaxFileSize] bytes. It may be a pipe or a device, of which no size is known.
func ReadFile(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, a file was expected", name)
	case info.Size() > MaxFileSize:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", name, info.Size(), MaxFileSize)
	}
	var buf bytes.Buffer
	// ReadFrom asks for MinRead free bytes even when only the end of the file is left; with them in reserve the buffer is made once.
	buf.Grow(int(info.Size()) + bytes.MinRead)
	// One byte more than is allowed tells a file that is too large, or that grew since Stat, from one that just fits.
	if _, err := buf.ReadFrom(io.LimitReader(f, MaxFileSize+1)); err != nil {
		return nil, err
	}
	if buf.Len() > MaxFileSize {
		return nil, fmt.Errorf("%s has more than the %d bytes that are read", name, MaxFileSize)
	}
	return NewFile(name, buf.Bytes()), nil
}

// Position gives the line and the column of a byte offset, both from 1. The column counts code points, as most editors do; a
// byte order mark at the start is not counted. LF, CRLF and CR end a line.
func (f *File) Position(offset int) (line, column int) {
	f.once.Do(f.index)
	// len(Data) is a place too: that of what is missing at the end.
	offset = min(max(offset, 0), len(f.Data))
	// How many lines start at or before the offset is the line's number, counted from 1: O(log lines).
	line = max(1, sort.SearchInts(f.lines, offset+1)) // a byte order mark stands before line 1
	return line, utf8.RuneCount(f.Data[f.lines[line-1]:max(offset, f.lines[line-1])]) + 1
}

// Line gives the text of a line (from 1) without its end, and the byte offset at which it starts.
func (f *File) Line(line int) (text []byte, start int) {
	f.once.Do(f.index)
	if line < 1 || line > len(f.lines) {
		return nil, len(f.Data)
	}
	start = f.lines[line-1]
	end := len(f.Data)
	if line < len(f.lines) {
		end = f.lines[line]
	}
	for end > start && (f.Data[end-1] == '\n' || f.Data[end-1] == '\r') {
		end--
	}
	return f.Data[start:end], start
}

// index notes where lines start, in O(length). A byte order mark belongs to no line: the first one starts behind it.
func (f *File) index() {
	start := 0
	if len(f.Data) >= 3 && string(f.Data[:3]) == bom {
		start = 3
	}
	f.lines = append(f.lines, start)
	for i, c := range f.Data {
		// The CR of a CRLF is passed over, so that the pair ends one line and not two.
		if c == '\n' || c == '\r' && (i+1 == len(f.Data) || f.Data[i+1] != '\n') {
			f.lines = append(f.lines, i+1)
		}
	}
}

// bom is the byte order mark, three bytes in UTF-8 (EF BB BF), which some editors put before JSON and YAML.
const bom = "\ufeff"

// Error is a text that cannot be read: where, and why.
type Error struct {
	File       *File
	Start, End int    // byte offsets
	Code       string // syntax, duplicate_key, too_deep, too_large, number_too_long
	Message    string
	// Note names a second place, such as the first of two equal keys; NoteStart and NoteEnd are its offsets, if Note is not empty.
	Note               string
	NoteStart, NoteEnd int
}

// Error prints file:line:column and the message.
func (e *Error) Error() string {
	line, col := e.File.Position(e.Start)
	return fmt.Sprintf("%s:%d:%d: %s", e.File.Name, line, col, e.Message)
}

// Limits bound a parse. The zero value means the defaults.
type Limits struct {
	Depth  int    // nested arrays and objects; default 256
	Values int    // values in the tree; default 5,000,000
	Leave  *Leave // parts of a JSON tree that need not be made; default none
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 256
	}
	if l.Values == 0 {
		l.Values = 5_000_000
	}
	return l
}
