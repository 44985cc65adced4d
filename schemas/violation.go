package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind says what sort of mistake a violation is.
type Kind uint8

// The kinds of violations.
const (
	Other      Kind = iota
	WrongType       // a list where a text was expected
	UnknownKey      // Pointer ends with the key; Allowed are the keys that there are
	MissingKey      // Pointer is the object; Key is what it lacks
	NotAllowed      // a word that is not in the list; Allowed is the list
	OutOfRange      // too small, too large, too long, too short, or of the wrong form
)

// Violation is one mistake. The pointer is in the value, as RFC 6901 has it: "" is the whole,
// /sweep/matrix/cfg/0 the first value of an axis.
type Violation struct {
	Pointer         string // JSON pointer of the value
	KeywordLocation string // JSON pointer of the keyword in the schema that says so
	Kind            Kind
	Message         string // one sentence without a full stop
	Key             string // the key that is unknown or missing
	Found           string // the text that was found, for NotAllowed
	Allowed         []string
}

// guard refuses numbers that the library would try to compute: 1e999999999 is a text of eleven characters
// and a number of a billion digits. It also takes NaN and Infinity, which YAML has and JSON Schema does not
// know.
func guard(v any, pointer string) (out []Violation) {
	switch v := v.(type) {
	case json.Number:
		i := strings.IndexAny(string(v), "eE")
		if i >= 0 && len(strings.TrimLeft(string(v[i+1:]), "+-0")) > 3 || len(v) > 4300 || strings.ContainsAny(string(v), "NI") {
			return []Violation{{Pointer: pointer, Kind: OutOfRange, Message: "this number is out of every range"}}
		}
	case []any:
		for i, item := range v {
			out = append(out, guard(item, fmt.Sprintf("%s/%d", pointer, i))...)
		}
	case map[string]any:
		for _, key := range keys(v) {
			out = append(out, guard(v[key], pointer+"/"+escape(key))...)
		}
	}
	return out
}

// escape writes a key as a part of a JSON pointer.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// keys lists the keys of an object, sorted.
func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// kindOf names a value's type in messages, short values themselves: "the number 5", "the text \"abc\"", "a
// list".
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return "the number " + clip(string(v))
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case []any:
		return "a list"
	}
	return "an object"
}

// clip shortens what was found, which may be a whole prompt.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// typeWords are how schema types are called in messages.
var typeWords = map[string]string{
	"object": "an object", "array": "a list", "string": "a text", "integer": "an integer", "number": "a number",
	"boolean": "true or false", "null": "null",
}

// jsonTypes lists the schema types that a value has: 5.0 is an integer too, as in JSON Schema.
func jsonTypes(v any) []string {
	switch v := v.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case json.Number:
		if n, err := v.Float64(); err == nil && n == float64(int64(n)) {
			return []string{"number", "integer"}
		}
		return []string{"number"}
	case string:
		return []string{"string"}
	case []any:
		return []string{"array"}
	}
	return []string{"object"}
}
