package lower

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// The frontend's values are JavaScript's. A nil *source.Value stands for undefined.

func isNull(v *source.Value) bool { return v == nil || v.Kind == source.Null }

// truthy is JavaScript's idea of true.
func truthy(v *source.Value) bool {
	switch {
	case isNull(v):
		return false
	case v.Kind == source.Bool:
		return v.Bool
	case v.Kind == source.String:
		return v.Text != ""
	case v.Kind == source.Number:
		f, ok := v.Float()
		return ok && f != 0 && !math.IsNaN(f)
	}
	return true
}

// isString tells whether v is a string with this content.
func isString(v *source.Value, text string) bool {
	return v != nil && v.Kind == source.String && v.Text == text
}

// textOf is JavaScript's String(v), but null and undefined give "".
func textOf(v *source.Value) string {
	switch {
	case isNull(v):
		return ""
	case v.Kind == source.Bool:
		return strconv.FormatBool(v.Bool)
	case v.Kind == source.String:
		return v.Text
	case v.Kind == source.Number:
		return numberText(v)
	case v.Kind == source.Array:
		// [1,[2,3]] is "1,2,3", as Array.prototype.toString has it.
		parts := make([]string, len(v.Items))
		for i, item := range v.Items {
			parts[i] = textOf(item)
		}
		return strings.Join(parts, ",")
	}
	return "[object Object]"
}

// numberText prints a number as JavaScript does, but keeps integers of any size.
func numberText(v *source.Value) string {
	// Most numbers of a workflow, seeds above 2^53 among them, keep their digits.
	if plainInt(v.Text) {
		return v.Text
	}
	if v.IsInt() {
		if n, ok := v.BigInt(); ok {
			return n.String()
		}
	}
	f, ok := v.Float()
	if !ok {
		return "NaN"
	}
	return floatText(f)
}

// plainInt tells whether a number is written as JavaScript prints it: digits only, without a leading zero.
func plainInt(s string) bool {
	if len(s) > 1 && s[0] == '-' && s != "-0" {
		s = s[1:]
	}
	if s == "" || s[0] == '0' && s != "0" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// floatText is JavaScript's String(f).
func floatText(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return map[bool]string{true: "Infinity", false: "-Infinity"}[f > 0]
	case f == 0:
		return "0"
	// JavaScript's own bounds for the notation with an exponent.
	case abs < 1e-6 || abs >= 1e21:
		// Go writes at least two digits of it, "1e-07", JavaScript no more than there are.
		return strings.NewReplacer("e-0", "e-", "e+0", "e+").Replace(strconv.FormatFloat(f, 'e', -1, 64))
	}
	// The shortest digits that read back as the same float, in both languages.
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// numberValue makes a JSON number as JavaScript writes it: what is not finite becomes null.
func numberValue(f float64) *source.Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return source.NewNull()
	}
	return source.NewNumber(floatText(f))
}

// toNumber is JavaScript's Number(v).
func toNumber(v *source.Value) float64 {
	switch {
	case v == nil:
		return math.NaN()
	// Number(null) is 0, Number(undefined) NaN.
	case v.Kind == source.Null:
		return 0
	case v.Kind == source.Bool:
		if v.Bool {
			return 1
		}
		return 0
	case v.Kind == source.Number:
		f, _ := v.Float()
		return f
	}
	return textToNumber(textOf(v))
}

// decimal is a number as JavaScript's Number() takes it from a text. Go's own parser takes more: "1_0", "inf", "0x1p3".
var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// textToNumber is JavaScript's Number(text): "" is 0, and what is no number NaN.
func textToNumber(text string) float64 {
	switch text = strings.Trim(strings.TrimSpace(text), " \ufeff"); text {
	case "":
		return 0
	case "Infinity", "+Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	if decimal.MatchString(text) {
		f, _ := strconv.ParseFloat(text, 64) // what is too large is infinite, as in JavaScript
		return f
	}
	return basedNumber(text)
}

// basedNumber reads 0x1f, 0o17 and 0b11, which take no sign; NaN for anything else.
func basedNumber(text string) float64 {
	if len(text) < 3 || text[0] != '0' {
		return math.NaN()
	}
	base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'O': 8, 'b': 2, 'B': 2}[text[1]]
	// SetString would take a sign there, and in base 0 the prefix itself.
	if base == 0 || text[2] == '+' || text[2] == '-' {
		return math.NaN()
	}
	n, ok := new(big.Int).SetString(text[2:], base)
	if !ok {
		return math.NaN()
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}

// round is JavaScript's Math.round: halves go up.
func round(f float64) float64 { return math.Floor(f + 0.5) }

// idText gives a node id as the frontend keys it: numbers as they are printed, anything else as text.
func idText(v *source.Value) string {
	if v == nil {
		return "undefined"
	}
	// {"id": null} has the key "null", as a template string makes it.
	if v.Kind == source.Null {
		return "null"
	}
	return textOf(v)
}

// intOf reads an integer, or a text that is one.
func intOf(v *source.Value) (int, bool) {
	if v != nil && v.Kind == source.String {
		n, err := strconv.Atoi(v.Text)
		return n, err == nil
	}
	return v.Int()
}

// typeText gives a slot type as text: lists of types are joined, a missing type is "".
func typeText(v *source.Value) string { return textOf(v) }

// fits tells whether an output of type a may be connected to an input of type b: equal but for case, one of a comma list, or anything.
func fits(a, b string) bool {
	if wild(a) || wild(b) || a == b {
		return true
	}
	a, b = strings.ToLower(a), strings.ToLower(b)
	if !strings.Contains(a, ",") && !strings.Contains(b, ",") {
		return a == b
	}
	// Quadratic in the types of two lists, of which a server has a handful.
	for _, x := range strings.Split(a, ",") {
		for _, y := range strings.Split(b, ",") {
			if fits(x, y) {
				return true
			}
		}
	}
	return false
}

// "0" is the number 0, the graph library's own sign for any type, as text.
func wild(t string) bool { return t == "" || t == "*" || t == "0" }

// commonType is the intersection of comma lists of types, in the order of the first one; wildcards take part in nothing. ok is false if
// nothing is left.
func commonType(types ...string) (common string, ok bool) {
	var lists [][]string
	for _, t := range types {
		// A list of nothing but wildcards has nothing in common but everything.
		if t != "*" {
			lists = append(lists, strings.Split(t, ","))
		}
	}
	if len(lists) == 0 {
		return "*", true
	}
	var out []string
	for _, t := range lists[0] {
		if !contains(out, t) && inAll(lists[1:], t) {
			out = append(out, t)
		}
	}
	return strings.Join(out, ","), len(out) > 0
}

func inAll(lists [][]string, t string) bool {
	for _, list := range lists {
		if !contains(list, t) {
			return false
		}
	}
	return true
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// uniqueName appends _1, _2, … to a name that is taken.
func uniqueName(name string, taken func(string) bool) string {
	out := name
	for i := 1; taken(out); i++ {
		out = name + "_" + strconv.Itoa(i)
	}
	return out
}
