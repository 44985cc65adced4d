// Coercion as the server's: int(x), float(x), str(x) and bool(x) of Python on what the JSON holds, written
// back into the prompt. So 20.7 steps are 20, "1_0" is 10, and "false" is true. What a render sends is
// already coerced, so that equal renders are found before they are paid.

package graph

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// coerce turns a literal into the type of its input, as Python's int, float, str and bool do, and gives
// other types back as they are: a COMBO's 8 is not made "8". The result keeps the literal's place. The
// error says in a few words why it cannot be done.
func coerce(kind string, v *source.Value) (*source.Value, error) {
	switch kind {
	case nodes.TypeInt:
		return toInt(v)
	case nodes.TypeFloat:
		return toFloat(v)
	case nodes.TypeString:
		return toString(v)
	case nodes.TypeBoolean:
		if v.Kind == source.Bool {
			return v, nil
		}
		return source.NewBool(truth(v)).At(v), nil
	}
	return v, nil
}

var (
	errNotInt    = errors.New("it is no whole number")
	errNotNumber = errors.New("it is no number")
	errNotFinite = errors.New("it is not finite")
	errTooLarge  = errors.New("it is too large")
)

// maxDigits is the length up to which Python reads and prints integers.
const maxDigits = 4300

// toInt is Python's int(): fractions are cut off towards zero, texts must be whole numbers: 20.7 → 20, true
// → 1, " 7 " → 7, but "20.5" and "1e3" fail, as do null, lists and objects.
func toInt(v *source.Value) (*source.Value, error) {
	switch v.Kind {
	case source.Bool:
		return source.NewInt(int64(boolInt(v.Bool))).At(v), nil
	case source.String:
		digits, ok := pythonInt(v.Text)
		if !ok {
			return nil, errNotInt
		}
		return source.NewNumber(digits).At(v), nil
	case source.Number:
		if v.IsInt() {
			return plainInt(v), nil
		}
		return truncate(v)
	}
	return nil, errNotInt
}

// plainInt writes -0 as Python does, which has no negative zero among its integers.
func plainInt(v *source.Value) *source.Value {
	if v.Text == "-0" {
		return source.NewInt(0).At(v)
	}
	return v
}

// truncate cuts off the fraction of a float of any size.
func truncate(v *source.Value) (*source.Value, error) {
	f, ok := v.Float()
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errNotFinite
	}
	if f = math.Trunc(f); math.Abs(f) < 1<<53 {
		return source.NewInt(int64(f)).At(v), nil
	}
	i, _ := new(big.Float).SetFloat64(f).Int(nil) // beyond 2^53 every float is whole; big prints all its digits, as Python does
	return source.NewNumber(i.String()).At(v), nil
}

// pythonInt reads what Python's int() reads: blanks around, a sign, digits of any script, single
// underscores between digits. The digits that it gives have no leading zeros and no plus, so equal numbers
// are equal texts; seeds up to 2^64-1 and beyond keep every digit.
func pythonInt(text string) (digits string, ok bool) {
	s := asciiDigits(trimSpace(text))
	sign := ""
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	s, ok = dropUnderscores(s)
	if !ok || s == "" || len(s) > maxDigits || strings.Trim(s, "0123456789") != "" {
		return "", false
	}
	s = strings.TrimLeft(s, "0")
	if s == "" {
		return "0", true
	}
	return sign + s, true
}

// toFloat is Python's float(): an integer that no float can hold is an error, a text that means infinity is
// not. Numbers are rewritten as Python prints them, 7 as 7.0, so that 7 and 7.0 are one render.
func toFloat(v *source.Value) (*source.Value, error) {
	switch v.Kind {
	case source.Bool:
		return source.NewFloat(float64(boolInt(v.Bool))).At(v), nil
	case source.String:
		f, ok := pythonFloat(v.Text)
		if !ok {
			return nil, errNotNumber
		}
		return source.NewFloat(f).At(v), nil
	case source.Number:
		f, _ := plainInt(v).Float()
		if v.IsInt() && math.IsInf(f, 0) {
			return nil, errTooLarge // only a float's text may mean infinity
		}
		if text := source.FormatFloat(f); text != v.Text {
			return source.NewNumber(text).At(v), nil
		}
		return v, nil
	}
	return nil, errNotNumber
}

// pythonFloat reads what Python's float() reads: as int(), and fractions, exponents, inf, infinity and nan.
func pythonFloat(text string) (float64, bool) {
	s, ok := dropUnderscores(asciiDigits(trimSpace(text)))
	if !ok || !isFloatText(s) {
		return 0, false
	}
	if strings.EqualFold(strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-"), "nan") && len(s) <= len("+nan") {
		return math.NaN(), true // with a sign, which Go does not read
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// isFloatText keeps out what Go reads and Python does not: hexadecimal numbers and their p exponents.
func isFloatText(s string) bool {
	s = strings.ToLower(strings.TrimLeft(s, "+-"))
	switch s {
	case "inf", "infinity", "nan":
		return true
	}
	return s != "" && strings.Trim(s, "0123456789.e+-") == ""
}

// dropUnderscores takes out underscores that stand between two digits; it is not ok if one stands elsewhere.
func dropUnderscores(s string) (string, bool) {
	if !strings.Contains(s, "_") {
		return s, true
	}
	for i := range len(s) {
		if s[i] == '_' && (i == 0 || i == len(s)-1 || !isDigit(s[i-1]) || !isDigit(s[i+1])) {
			return "", false
		}
	}
	return strings.ReplaceAll(s, "_", ""), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// trimSpace takes off what Python's int and float skip: the blanks of C, and Unicode's beyond ASCII.
func trimSpace(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return r == ' ' || r >= '\t' && r <= '\r' || r > unicode.MaxASCII && unicode.IsSpace(r)
	})
}

// asciiDigits writes decimal digits of all scripts as 0 to 9.
func asciiDigits(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII && unicode.Is(unicode.Nd, r) {
			return '0' + digitValue(r)
		}
		return r
	}, s)
}

// digitValue: the digits of a script stand in a row from its zero, and rows that touch are each ten long,
// so the distance from the start of the range modulo ten is the value. r is a decimal digit (Nd).
func digitValue(r rune) rune {
	for _, row := range unicode.Nd.R16 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return (r - rune(row.Lo)) % 10
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return (r - rune(row.Lo)) % 10
		}
	}
	return 0
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

// toString is Python's str(): null becomes "None", lists and objects are printed as Python prints them.
func toString(v *source.Value) (*source.Value, error) {
	if v.Kind == source.String {
		return v, nil
	}
	return source.NewString(string(appendRepr(nil, v))).At(v), nil
}

// truth is Python's bool(): the number 0, "", null, [] and {} are false, and every other text is true,
// "false" as well.
func truth(v *source.Value) bool {
	switch v.Kind {
	case source.Bool:
		return v.Bool
	case source.Number:
		f, _ := v.Float()
		return f != 0
	case source.String:
		return v.Text != ""
	case source.Array:
		return len(v.Items) > 0
	case source.Object:
		return len(v.Members) > 0
	}
	return false
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
