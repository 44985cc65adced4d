package source

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The bytes written here are hashed into render ids and sent to workers: the same tree gives the same bytes on every machine.

// AppendJSON appends a value as compact JSON: numbers as they were written, keys in the value's order, duplicates left out (the
// last one wins, at the first one's place), no HTML escapes. NaN and infinities are written as Python writes them.
// It recurses as deep as the tree, which the readers bound, and must not be called on a nil value.
func (v *Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case Bool:
		if v.Bool {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case Number:
		return append(dst, v.Text...)
	case String:
		return AppendQuoted(dst, v.Text)
	case Array:
		dst = append(dst, '[')
		for i, item := range v.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		return append(dst, ']')
	case Object:
		return v.appendObject(dst)
	}
	return append(dst, "null"...)
}

// appendObject writes the members in their order. The search for doubles is O(n²) and so is made for small objects only.
func (v *Value) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for i := range v.Members {
		m := &v.Members[i]
		value := m.Value
		// A single member cannot have a double.
		if len(v.Members) > 1 {
			last, earlier := v.duplicates(i)
			if earlier {
				continue
			}
			value = last
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(AppendQuoted(dst, m.Key), ':')
		dst = value.AppendJSON(dst)
	}
	return append(dst, '}')
}

// duplicates gives the value that counts for member i, and whether an earlier member has the same key. Objects with many members
// are checked for duplicates by the reader, which refuses them; only small ones made by a program get here with any.
func (v *Value) duplicates(i int) (last *Value, earlier bool) {
	last = v.Members[i].Value
	// 64 members are 4096 comparisons at most.
	if len(v.Members) > 64 {
		return last, false
	}
	for j := range v.Members {
		if v.Members[j].Key == v.Members[i].Key {
			if j < i {
				return nil, true
			}
			last = v.Members[j].Value
		}
	}
	return last, false
}

// AppendQuoted appends a JSON string; bytes that are not UTF-8 become U+FFFD. An error leaves dst as long as it was, so the second try
// writes over the first.
func AppendQuoted(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\ufffd"))
	}
	return out
}

// Indent writes a value as JSON with two blanks per level, as files for people are.
func (v *Value) Indent() []byte {
	raw := jsontext.Value(v.AppendJSON(nil))
	// The file ends with a line feed, as editors expect it; numbers and the order of keys are as in the compact form.
	if err := raw.Indent(jsontext.WithIndent("  ")); err != nil {
		return v.AppendJSON(nil) // NaN and infinities are not JSON: leave the compact form
	}
	return append(raw, '\n')
}
