// Axes whose values stand in other files. The files are opened by the functions in [Options], so that the
// command line reads beside the batch and a service only what came with the request; here a file is bytes
// with a name.

package sweep

import (
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// fileEntries reads {files: "photos/*.png"} or a list of patterns: local files, sorted by name within each
// pattern. A value is the path, to be uploaded before the render; its label is the file's name without
// folders, so a/1.png and b/1.png need the label pass.
func (b *builder) fileEntries(name string, v *source.Value, kind Kind) []entry {
	patterns := []*source.Value{v.Get("files")}
	if patterns[0].Kind == source.Array {
		patterns = patterns[0].Items
	}
	var out []entry
	for _, p := range patterns {
		// A nil Glob is a sweep that may list no files at all.
		if p.Kind != source.String || b.opt.Glob == nil {
			b.errorf("bad_axis", diag.Of(p), "axis %q: files is a pattern such as \"photos/*.png\"", name)
			return nil
		}
		found, err := b.opt.Glob(p.Text)
		if err == nil && len(found) == 0 {
			err = errors.New("no file fits " + p.Text)
		}
		if err != nil {
			b.errorf("unreadable_file", diag.Of(p), "axis %q: %v", name, err)
			return nil
		}
		for _, f := range found {
			out = append(out, entry{value: source.NewString(f).At(p), label: path.Base(f), made: true})
		}
	}
	return out
}

// read opens a data file of an axis and reports trouble at the place where it is named; nil then.
func (b *builder) read(name string, file *source.Value) *source.File {
	if file == nil || file.Kind != source.String || b.opt.Read == nil {
		b.errorf("bad_axis", diag.Of(file), "axis %q: the name of a file is expected", name)
		return nil
	}
	f, err := b.opt.Read(file.Text)
	if err != nil {
		b.errorf("unreadable_file", diag.Of(file), "axis %q: %v", name, err)
		return nil
	}
	return f
}

// nonEmpty reports a data file without a value: an axis of none would make the whole product empty.
func (b *builder) nonEmpty(name string, at *source.Value, out []entry) []entry {
	if len(out) == 0 {
		b.errorf("empty_axis", diag.Of(at), "axis %q: the file %s has no values", name, Text(at))
	}
	return out
}

// lineEntries reads {lines: prompts.txt}: a value for each line that is not empty. A line that begins with # is a remark.
func (b *builder) lineEntries(name string, v *source.Value, kind Kind) []entry {
	f := b.read(name, v.Get("lines"))
	if f == nil {
		return nil
	}
	var out []entry
	eachLine(f, func(start, end int) {
		if text := string(f.Data[start:end]); !strings.HasPrefix(text, "#") {
			out = append(out, b.cell(text, kind, f, start, end))
		}
	})
	return b.nonEmpty(name, v.Get("lines"), out)
}

// cell makes a value of a text in a data file: a number where the axis sets numbers, else a string. "1-5"
// in a data file stays a text, since ranges belong to the batch. Its place is in the data file, so a value
// out of range is reported there.
func (b *builder) cell(text string, kind Kind, f *source.File, start, end int) entry {
	value := &source.Value{Kind: source.String, Text: text, File: f, Start: start, End: end}
	if _, ok := parseDecimal(text); ok && kind != Any {
		value.Kind, value.Text = source.Number, strings.TrimPrefix(text, "+")
	}
	return plain(value)
}

// eachLine calls f with the byte offsets of every line that holds more than blanks, trimmed: start is its
// first byte, end is behind its last.
func eachLine(file *source.File, f func(start, end int)) {
	for n := 1; ; n++ {
		line, start := file.Line(n)
		if line == nil {
			return
		}
		text := strings.TrimLeft(string(line), " \t")
		start += len(line) - len(text)
		if text = strings.TrimRight(text, " \t"); text != "" {
			f(start, start+len(text))
		}
	}
}

// csvEntries reads {csv: {file, column}}; the first row names the columns. A cell's place is the start of
// its line, since the quoting of CSV hides where its bytes are.
func (b *builder) csvEntries(name string, v *source.Value, kind Kind) []entry {
	spec := v.Get("csv")
	f := b.read(name, spec.Get("file"))
	if f == nil {
		return nil
	}
	// Spreadsheets write a byte order mark, which would belong to the first name. Rows may differ in length;
	// one that lacks the column is an error below.
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(f.Data), "\ufeff")))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	column := -1 // the last of several columns of one name
	for i, h := range head {
		if strings.TrimSpace(h) == spec.Get("column").Str() {
			column = i
		}
	}
	if err == io.EOF {
		b.list.Add(diag.Errorf("empty_axis", diag.Of(spec.Get("file")), "axis %q: the file %s is empty", name, f.Name))
		return nil
	}
	if err != nil || column < 0 {
		b.list.Add(diag.Errorf("unknown_column", diag.Of(spec.Get("column")), "axis %q: %s has no column %q, only %s", name, f.Name,
			Text(spec.Get("column")), strings.Join(head, ", ")).Hinted(diag.Suggest(spec.Get("column").Str(), head)))
		return nil
	}
	var out []entry
	for {
		row, err := r.Read()
		if err == io.EOF {
			return b.nonEmpty(name, spec.Get("file"), out)
		}
		if err != nil || column >= len(row) || len(out) == MaxValues {
			b.errorf("bad_axis", diag.InFile(f), "axis %q: %s", name, csvTrouble(err, column))
			return nil
		}
		line, _ := r.FieldPos(column)
		_, start := f.Line(line)
		out = append(out, b.cell(row[column], kind, f, start, start))
	}
}

// csvTrouble says why a row cannot be used; err is the reader's, or nil when the row itself is at fault.
func csvTrouble(err error, column int) string {
	if err != nil {
		return err.Error()
	}
	return "a row has no such column, or there are too many rows"
}

// jsonlEntries reads {jsonl: {file, field}}: one JSON object a line. The first bad line ends the reading,
// because a file in another format would give as many findings as it has lines.
func (b *builder) jsonlEntries(name string, v *source.Value, kind Kind) []entry {
	spec := v.Get("jsonl")
	f := b.read(name, spec.Get("file"))
	if f == nil {
		return nil
	}
	var out []entry
	failed := false
	eachLine(f, func(start, end int) {
		if failed {
			return
		}
		e, ok := b.jsonLine(name, spec, f, start, end)
		failed = !ok
		out = append(out, e)
	})
	if failed {
		return nil
	}
	return b.nonEmpty(name, spec.Get("file"), out)
}

// jsonLine reads one line and gives its field a place in the whole file. Lines are bounded well below whole
// files: 16 levels, 10,000 values.
func (b *builder) jsonLine(name string, spec *source.Value, f *source.File, start, end int) (entry, bool) {
	at := diag.Place{File: f, Start: start, End: end}
	row, err := source.ParseJSON(source.NewFile(f.Name, f.Data[start:end]), source.Limits{Depth: 16, Values: 10_000})
	if err != nil {
		b.errorf("syntax", at, "axis %q: this line is not JSON", name)
		return entry{}, false
	}
	field := row.Get(spec.Get("field").Str())
	if field == nil || field.Kind == source.Array || field.Kind == source.Object {
		b.errorf("unknown_column", at, "axis %q: this line has no text or number %q", name, Text(spec.Get("field")))
		return entry{}, false
	}
	moved := *field // the line was a file of its own; its offsets count from the line's start
	moved.File, moved.Start, moved.End = f, start+field.Start, start+field.End
	return plain(&moved), true
}
