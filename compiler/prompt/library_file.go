package prompt

import (
	"bytes"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// lineFile reads a text file: a value a line, less empty lines and comments (# or //). A file without
// values is there all the same, so that its use says wildcard_empty and not unknown_wildcard. A byte order
// mark is skipped.
func (l *loader) lineFile(f *source.File, name string) {
	name, at := stem(name), diag.InFile(f)
	seen := map[string]*entry{}
	l.add(name, at, nil, 0, seen)
	start := 0
	if bytes.HasPrefix(f.Data, []byte("\ufeff")) {
		start = 3
	}
	for start < len(f.Data) {
		end, next := len(f.Data), len(f.Data)
		if i := bytes.IndexByte(f.Data[start:], '\n'); i >= 0 {
			end, next = start+i, start+i+1
		}
		line := f.Data[start:end]
		body := bytes.TrimSpace(line)
		from := start + bytes.Index(line, body)
		if start = next; len(body) == 0 || body[0] == '#' || bytes.HasPrefix(body, []byte("//")) {
			continue
		}
		v := &source.Value{Kind: source.String, Text: string(bytes.ToValidUTF8(body, []byte("\ufffd"))), File: f, Start: from, End: from + len(body)}
		v, w, ok := l.weighted(v)
		if ok {
			l.add(name, at, v, w, seen)
		}
	}
}

// stem takes the extension off a path.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// weighted takes a weight off the front of a value: "2::red" is red with the weight 2, as between braces.
// False means that the value is left out, after a warning.
func (l *loader) weighted(v *source.Value) (*source.Value, float64, bool) {
	if len(v.Text) > maxOutput {
		l.list.Add(diag.Warnf("wildcard_file", diag.Of(v), "a value of more than %d bytes is left out", maxOutput))
		return nil, 0, false
	}
	m := weight.FindString(limited(v.Text))
	if m == "" {
		return v, 1, true
	}
	w, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(m, "::")), 64)
	if err != nil || w < 0 || math.IsInf(w, 0) {
		l.list.Add(diag.Warnf("prompt_weight", diag.Of(v), "the value is left out: a weight is a number from 0 on, not %s", strings.TrimSuffix(m, "::")))
		return nil, 0, false
	}
	rest := *v
	rest.Text = strings.TrimLeft(v.Text[len(m):], " \t")
	// The place then begins behind the weight, so findings about the text point into it.
	if bytes.HasSuffix(v.File.Data[v.Start:v.End], []byte(rest.Text)) {
		rest.Start = v.End - len(rest.Text)
	}
	return &rest, w, true
}

// treeFile reads lists out of a YAML or JSON file. At the top it is a list, or an object whose lists are
// told by their keys.
func (l *loader) treeFile(f *source.File, name string) {
	root, err := source.Parse(f, source.Limits{Depth: maxNesting, Values: maxLines})
	if err != nil {
		l.unread(f, err)
		return
	}
	switch root.Kind {
	case source.Array:
		l.listOf(stem(name), diag.InFile(f), root)
	case source.Object:
		folder := path.Dir(name)
		if folder == "." {
			folder = ""
		}
		l.object(folder, root)
	default:
		l.list.Add(diag.Warnf("wildcard_file", diag.Of(root), "wildcards are lists, here is %s", root.Kind))
	}
}

// object reads the lists below an object; the keys on the way are their path. Anything else is left out.
func (l *loader) object(above string, v *source.Value) {
	for i := range v.Members {
		m := &v.Members[i]
		name := path.Join(above, strings.TrimSpace(m.Key))
		switch m.Value.Kind {
		case source.Array:
			l.listOf(name, diag.OfKey(m), m.Value)
		case source.Object:
			l.object(name, m.Value)
		default:
			l.list.Add(diag.Warnf("wildcard_file", diag.Of(m.Value), "%q is no list, so it is no wildcard", m.Key))
		}
	}
}

// listOf reads the items of a list: texts, numbers, and objects with text (or content) and weight.
func (l *loader) listOf(name string, at diag.Place, v *source.Value) {
	seen := map[string]*entry{}
	l.add(name, at, nil, 0, seen)
	for _, item := range v.Items {
		text, w, ok := l.item(item)
		if ok {
			l.add(name, at, text, w, seen)
		}
	}
}

// item reads one value of a list: its text, its weight, and whether it counts.
func (l *loader) item(v *source.Value) (*source.Value, float64, bool) {
	switch v.Kind {
	case source.String:
		return l.weighted(v)
	case source.Number:
		text := *v
		text.Kind = source.String
		return &text, 1, true
	case source.Object:
		text := v.Get("text")
		if text == nil {
			text = v.Get("content")
		}
		if text != nil && text.Kind == source.String {
			return l.itemWeight(text, v.Get("weight"))
		}
	}
	l.list.Add(diag.Warnf("wildcard_file", diag.Of(v), "a value is a text or {text: …, weight: …}, here is %s; it is left out", v.Kind))
	return nil, 0, false
}

// itemWeight reads the weight of {text, weight}; such a text is not looked through for a weight of its own.
func (l *loader) itemWeight(text, given *source.Value) (*source.Value, float64, bool) {
	if given == nil {
		return text, 1, len(text.Text) <= maxOutput
	}
	w, ok := given.Float()
	if !ok || w < 0 || math.IsInf(w, 0) || math.IsNaN(w) {
		l.list.Add(diag.Warnf("prompt_weight", diag.Of(given), "the value is left out: a weight is a number from 0 on"))
		return nil, 0, false
	}
	return text, w, len(text.Text) <= maxOutput
}
