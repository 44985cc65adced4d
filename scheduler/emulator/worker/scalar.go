package worker

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Nodes on numbers, booleans and choices. An INT is an int64 here, a seed
// uint64, a FLOAT float64, and a constant that nobody converted a json.Number.

// numbered names a member of an autogrow input.
func numbered(prefix string, n int) string { return prefix + strconv.Itoa(n) }

// primitiveInt reads any number as Python's int() does.
func primitiveInt(a *args) ([]value, error) {
	v := a.want("value")
	n, err := asInt(v)
	if err != nil && a.err == nil {
		a.fail("input value is not an integer: %v", v)
	}
	return []value{n}, a.err
}

// seedNode keeps all 64 bits.
func seedNode(a *args) ([]value, error) { return []value{a.seed("seed")}, a.err }

// primitiveFloat reads any number.
func primitiveFloat(a *args) ([]value, error) { return []value{a.number("value")}, a.err }

// primitiveString serves both text nodes.
func primitiveString(a *args) ([]value, error) { return []value{a.text("value")}, a.err }

// primitiveBoolean is Python's bool().
func primitiveBoolean(a *args) ([]value, error) { return []value{a.truth("value")}, a.err }

// customCombo gives the choice and its index.
func customCombo(a *args) ([]value, error) {
	return []value{a.text("choice"), int64(a.integerOr("index", 0))}, a.err
}

// notNode takes any value, as the next two do.
func notNode(a *args) ([]value, error) { return []value{!a.truth("value")}, a.err }

// andNode is true when all of its values are.
func andNode(a *args) ([]value, error) {
	for _, v := range a.grown("values") {
		if !truthy(v) {
			return []value{false}, a.err
		}
	}
	return []value{true}, a.err
}

// orNode is true when one of its values is.
func orNode(a *args) ([]value, error) {
	for _, v := range a.grown("values") {
		if truthy(v) {
			return []value{true}, a.err
		}
	}
	return []value{false}, a.err
}

// switchNode resolves only the side that is switched on.
func switchNode() class {
	side := func(in map[string]value) string {
		if truthy(in["switch"]) {
			return "on_true"
		}
		return "on_false"
	}
	c := real(func(a *args) ([]value, error) {
		a.want("switch")
		return []value{a.want(side(a.in))}, a.err
	})
	// Both sides are lazy; switch is looked at first, see env.gather.
	c.lazy = func(input string) bool { return input == "on_false" || input == "on_true" }
	c.choose = func(in map[string]value, input string) bool { return side(in) == input }
	return c
}

// numberConvert gives a FLOAT and an INT.
func numberConvert(a *args) ([]value, error) {
	f := a.number("value")
	if a.err != nil {
		return nil, a.err
	}
	// From the value itself, since an integer above 2^53 is not exact as a
	// float.
	n, err := asInt(a.in["value"])
	if err != nil {
		n, err = cut(f)
	}
	return []value{f, n}, err
}

// aspects are the choices of ResolutionSelector by the text before the bracket.
var aspects = map[string][2]float64{
	"1:1": {1, 1}, "2:3": {2, 3}, "3:2": {3, 2}, "3:4": {3, 4}, "4:3": {4, 3},
	"9:16": {9, 16}, "16:9": {16, 9}, "21:9": {21, 9},
}

// resolutionSelector gives width and height for an aspect ratio and a number of
// megapixels (1024 × 1024), in multiples.
func resolutionSelector(a *args) ([]value, error) {
	name, mega, multiple := a.text("aspect_ratio"), a.number("megapixels"), a.integerOr("multiple", 8)
	// The choices read "16:9 (Widescreen)"; the blank ends the part that
	// matters.
	ratio, ok := aspects[strings.Fields(name + " ?")[0]]
	if a.err == nil && (!ok || multiple < 1) {
		a.fail("no aspect_ratio is called %q", name)
	}
	if a.err != nil {
		return nil, a.err
	}
	scale := math.Sqrt(mega * 1024 * 1024 / (ratio[0] * ratio[1]))
	side := func(v float64) int64 {
		return int64(round(v*scale/float64(multiple)) * multiple)
	}
	return []value{side(ratio[0]), side(ratio[1])}, nil
}

// previewAny passes a value on as text; it saves nothing.
func previewAny(a *args) ([]value, error) { return []value{asText(a.in["source"])}, nil }

// asText writes a value as Python's str() does.
func asText(v value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return v
	case json.Number:
		// The JSON of a prompt tells integers from floats by their writing.
		if strings.ContainsAny(v.String(), ".eE") {
			f, _ := v.Float64() // too large a number is an infinity, as in Python
			return floatText(f)
		}
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return floatText(v)
	}
	return typeName(v)
}

// floatText writes a FLOAT as Python does: the shortest digits that read as the
// same number, with an exponent below 1e-4 and from 1e16 on, and whole numbers
// with the .0 that tells a float.
func floatText(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'f', -1, 64)), "+") // inf, -inf, nan
	}
	if size := math.Abs(v); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
