package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Inputs come as JSON constants or over links, and ComfyUI converts constants
// before a node sees them (int(x), float(x), str(x), bool(x)). The getters here
// do the same, so nodes are written as if every input had its declared type.

// value is what flows over a link: picture, mask, *latent, *cond, *model and
// the other types of model.go, int64, uint64, float64, string, bool, box, or
// nil. Constants of the prompt are json.Number, []any or map[string]any too.
type value any

// many is a list of values in one output slot (ComfyUI's OUTPUT_IS_LIST).
type many []value

// args are the inputs of one call of a node. The getters note the first thing
// that is wrong in err and give a zero value; a node checks err once, before it
// works.
type args struct {
	env  *env             // of the run, for the limits and for saving
	node *node            // for its id and the order of its inputs
	in   map[string]value // one value of each input that is given, for this call
	// lists holds every value of each input, for the classes that take lists.
	lists map[string][]value
	err   error // the first thing that is wrong
}

// fail notes an error, unless there is one already.
func (a *args) fail(format string, v ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, v...)
	}
}

// has tells whether an input was given and is not null.
func (a *args) has(name string) bool { return a.in[name] != nil }

// want gives an input that must be there.
func (a *args) want(name string) value {
	v, ok := a.in[name]
	if !ok {
		a.fail("required input is missing: %s", name)
	}
	return v
}

// get gives an input of type T.
func get[T any](a *args, name string) T {
	v, ok := a.want(name).(T)
	if !ok {
		a.fail("input %s has the wrong type: %s", name, typeName(a.in[name]))
	}
	return v
}

// picture gives an input of type IMAGE.
func (a *args) picture(name string) *tensor {
	return notEmpty(a, name, get[picture](a, name).tensor)
}

// mask gives an input of type MASK.
func (a *args) mask(name string) *tensor {
	return notEmpty(a, name, get[mask](a, name).tensor)
}

// either gives an input of type IMAGE or MASK, and a way back to that type.
func (a *args) either(name string) (*tensor, func(*tensor) value) {
	if m, ok := a.in[name].(mask); ok {
		return notEmpty(a, name, m.tensor), func(t *tensor) value { return mask{t} }
	}
	return a.picture(name), func(t *tensor) value { return picture{t} }
}

// notEmpty makes sure that a node never works on nothing.
func notEmpty(a *args, name string, t *tensor) *tensor {
	if t == nil || t.pixels() == 0 {
		// A stand-in of one pixel, so that the node may compute sizes before it
		// looks at err.
		a.fail("input %s has no pixels", name)
		return newTensor(1, 1, 1, 3)
	}
	return t
}

// text gives a STRING or COMBO. Numbers and booleans become text, as in ComfyUI.
func (a *args) text(name string) string {
	switch v := a.want(name).(type) {
	case string:
		if len(v) > mostText {
			a.fail("input %s is longer than %d bytes", name, mostText)
		}
		return v
	case json.Number, int64, uint64, float64, bool:
		return asText(v)
	default:
		a.fail("input %s is not text: %s", name, typeName(v))
		return ""
	}
}

// textOr gives a STRING or, when it is missing, the default.
func (a *args) textOr(name, missing string) string {
	if !a.has(name) {
		return missing
	}
	return a.text(name)
}

// integer gives an INT. Fractions are cut off and numbers in strings are read,
// as ComfyUI's validation does.
func (a *args) integer(name string) int {
	v := a.want(name)
	if a.err != nil {
		return 0
	}
	n, err := asInt(v)
	// Sizes, indexes and steps: beyond 32 bits products of them would overflow.
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		a.fail("input %s is not a usable integer: %v", name, v)
	}
	return int(n)
}

// integerOr gives an INT or, when it is missing, the default.
func (a *args) integerOr(name string, missing int) int {
	if !a.has(name) {
		return missing
	}
	return a.integer(name)
}

// seed gives an INT of up to 64 bits.
func (a *args) seed(name string) uint64 {
	v := a.want(name)
	// A json.Number prints as the digits it was sent with, so all 64 bits
	// survive.
	if u, err := strconv.ParseUint(fmt.Sprint(v), 10, 64); err == nil {
		return u
	}
	n, err := asInt(v)
	if err != nil {
		a.fail("input %s is not a seed: %v", name, v)
	}
	return uint64(n)
}

// number gives a FLOAT.
func (a *args) number(name string) float64 {
	v := a.want(name)
	if a.err != nil {
		return 0
	}
	f, err := asFloat(v)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		a.fail("input %s is not a number: %v", name, v)
		return 0
	}
	return f
}

// numberOr gives a FLOAT or, when it is missing, the default.
func (a *args) numberOr(name string, missing float64) float64 {
	if !a.has(name) {
		return missing
	}
	return a.number(name)
}

// truth gives a BOOLEAN, by Python's rules for other types.
func (a *args) truth(name string) bool { return truthy(a.want(name)) }

// truthOr gives a BOOLEAN or, when it is missing, the default.
func (a *args) truthOr(name string, missing bool) bool {
	if !a.has(name) {
		return missing
	}
	return a.truth(name)
}

// grown gives the members of an autogrow input ("images.image0", …) by number.
// Shorter keys come first, so that image10 follows image9.
func (a *args) grown(name string) []value {
	var keys []string
	for k := range a.in {
		if strings.HasPrefix(k, name+".") {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if len(keys[i]) != len(keys[j]) {
			return len(keys[i]) < len(keys[j])
		}
		return keys[i] < keys[j]
	})
	out := make([]value, len(keys))
	for i, k := range keys {
		out[i] = a.in[k]
	}
	return out
}

// mostWork bounds the samples that one node may touch: some tens of seconds. It
// is for filters whose cost grows with a radius as well as with the picture.
const mostWork = 1 << 34

// bears notes an error when a node would have to touch too many samples.
func (a *args) bears(samples, times int) {
	if a.err == nil && times > 0 && samples > mostWork/times {
		a.fail("this would take the preview too long: %d times %d samples", times, samples)
	}
}

// fits notes an error when a batch of this size may not be made.
func (a *args) fits(n, h, w int) {
	if err := fits(n, h, w, a.env.limit); err != nil && a.err == nil {
		a.err = err
	}
}

// asInt reads an integer as Python's int() does, but up to 63 bits; larger
// numbers are for the getter seed.
func asInt(v value) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case uint64:
		return int64(v), nil
	case float64:
		return cut(v)
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case string:
		return strconv.ParseInt(numeral(v), 10, 64)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return 0, err
		}
		return cut(f)
	}
	return 0, errors.New("not a number")
}

// cut drops the fraction.
func cut(f float64) (int64, error) {
	// Beyond this a float64 may round to a number that an int64 does not hold.
	if math.IsNaN(f) || math.Abs(f) > 1<<62 {
		return 0, errors.New("out of range")
	}
	return int64(f), nil
}

// asFloat reads a number as Python's float() does.
func asFloat(v value) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case json.Number:
		return v.Float64()
	case string:
		s := numeral(v)
		if strings.ContainsAny(s, "xX") {
			return 0, errors.New("not a number") // hexadecimal to Go, nothing to Python
		}
		return strconv.ParseFloat(s, 64)
	}
	n, err := asInt(v)
	return float64(n), err
}

// digits are those of numbers in prompts.
const digits = "0123456789"

// numeral takes off what Python allows in the text of a number and Go does not:
// blanks around it, and single underscores between digits. Other underscores
// stay, and make it no number.
func numeral(s string) string {
	s = strings.TrimSpace(s)
	var out strings.Builder
	for i := range len(s) {
		if s[i] == '_' && 0 < i && i < len(s)-1 && isDigit(s[i-1]) && isDigit(s[i+1]) {
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// isDigit tells whether c is one of digits.
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// truthy is Python's bool().
func truthy(v value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	f, err := asFloat(v)
	return err != nil || f != 0
}

// typeName names a value's type in messages, in ComfyUI's words.
func typeName(v value) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case picture:
		return "IMAGE"
	case mask:
		return "MASK"
	case *latent:
		return "LATENT"
	case *cond:
		return "CONDITIONING"
	case *model:
		return "MODEL"
	case string:
		return "STRING"
	case bool:
		return "BOOLEAN"
	case int64, uint64:
		return "INT"
	case float64, json.Number:
		return "a number"
	}
	return "another type"
}
