package worker

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

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

// invertBoolean turns it over.
func invertBoolean(a *args) ([]value, error) { return []value{!a.truth("boolean")}, a.err }

// stringToCombo passes text to an input with choices.
func stringToCombo(a *args) ([]value, error) { return []value{a.text("string")}, a.err }

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

// switchNode resolves only the side that is switched on. The soft one takes the
// other side when one is not connected.
func switchNode(soft bool) class {
	c := real(func(a *args) ([]value, error) {
		name := "on_false"
		if a.truth("switch") {
			name = "on_true"
		}
		if _, ok := a.in[name]; soft && !ok {
			name = map[string]string{"on_false": "on_true", "on_true": "on_false"}[name]
		}
		return []value{a.want(name)}, a.err
	})
	c.lazy = func(input string) bool { return input == "on_false" || input == "on_true" }
	c.choose = func(in map[string]value, input string) bool {
		return soft || truthy(in["switch"]) == (input == "on_true")
	}
	return c
}

// numberConvert gives a FLOAT and an INT.
func numberConvert(a *args) ([]value, error) {
	f := a.number("value")
	if a.err != nil {
		return nil, a.err
	}
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
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".en") {
			s += ".0"
		}
		return s
	}
	return typeName(v)
}
