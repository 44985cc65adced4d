package graph

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/comfyc/comfyc/compiler/source"
)

// appendRepr writes a value as Python's repr does, which is what str() gives for everything but a string:
// {"a": [true, null]} becomes the text {'a': [True, None]}. Depth is bounded by the reader's limit.
func appendRepr(dst []byte, v *source.Value) []byte {
	switch v.Kind {
	case source.Bool:
		if v.Bool {
			return append(dst, "True"...)
		}
		return append(dst, "False"...)
	case source.Number:
		return append(dst, reprNumber(v)...)
	case source.String:
		return appendReprString(dst, v.Text)
	case source.Array:
		dst = append(dst, '[')
		for i, item := range v.Items {
			dst = appendRepr(appendComma(dst, i), item)
		}
		return append(dst, ']')
	case source.Object:
		dst = append(dst, '{')
		for i := range v.Members {
			dst = appendReprString(appendComma(dst, i), v.Members[i].Key)
			dst = appendRepr(append(dst, ": "...), v.Members[i].Value)
		}
		return append(dst, '}')
	}
	return append(dst, "None"...)
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ", "...)
	}
	return dst
}

// reprNumber prints integers as they are and floats as Python does.
func reprNumber(v *source.Value) string {
	if v.IsInt() {
		return plainInt(v).Text
	}
	f, _ := v.Float()
	switch s := source.FormatFloat(f); s {
	case "NaN":
		return "nan"
	case "Infinity":
		return "inf"
	case "-Infinity":
		return "-inf"
	default:
		return s
	}
}

// appendReprString quotes as Python does: single quotes unless the text has some and no double ones; what
// is not printable is escaped, by two, four or eight hexadecimal digits.
func appendReprString(dst []byte, s string) []byte {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case unicode.IsPrint(r):
			dst = append(dst, string(r)...)
		case r < 0x100:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r < 0x10000:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
	}
	return append(dst, quote)
}
