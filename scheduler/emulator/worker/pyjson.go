package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Pictures carry their prompt as json.dumps wrote it, and tools compare it with
// what they sent: {"a":[1,2]} becomes {"a": [1, 2]}, "ü" becomes "\u00fc".

// pythonJSON rewrites JSON as Python's json.dumps prints it. Keys keep their
// order and numbers their digits. It is false for what is not one JSON value.
func pythonJSON(data []byte) (string, bool) {
	// Checked whole first: the decoder's tokens alone would let "[1 2]" pass.
	if !json.Valid(data) {
		return "", false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out strings.Builder
	err := printValue(d, &out)
	return out.String(), err == nil
}

// printValue copies the value that d stands before.
func printValue(d *json.Decoder, out *strings.Builder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		out.WriteString(t.String())
		for first := true; d.More(); first = false {
			if !first {
				out.WriteString(", ")
			}
			// A key is a value of type text to the decoder's tokens.
			if t == '{' {
				if err := printValue(d, out); err != nil {
					return err
				}
				out.WriteString(": ")
			}
			if err := printValue(d, out); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		out.WriteString(end.(json.Delim).String())
	case string:
		printText(t, out)
	case nil:
		out.WriteString("null")
	default:
		// true, false, and numbers as they were written.
		fmt.Fprint(out, t)
	}
	return nil
}

// printText quotes a string with ASCII only.
func printText(s string, out *strings.Builder) {
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\b':
			out.WriteString(`\b`)
		case r == '\f':
			out.WriteString(`\f`)
		// Control characters that have no short form.
		case r < 0x20:
			fmt.Fprintf(out, `\u%04x`, r)
		case r < 0x7f:
			out.WriteRune(r)
		case r > 0xffff:
			// Python escapes characters beyond 16 bits as two surrogates.
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(out, `\u%04x`, r)
		}
	}
	out.WriteByte('"')
}
