package source

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Kind says what a Value is.
type Kind uint8

// The kinds of values, JSON's own.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String gives the kind's name as it appears in messages.
func (k Kind) String() string {
	// In the order of the constants above.
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// Value is one value of a tree with its place.
type Value struct {
	Kind    Kind
	Bool    bool     // of a Bool
	Plain   bool     // a YAML scalar written without quotes. Range notations are read in plain and quoted strings alike
	Text    string   // of a String: its content; of a Number: its text (JSON's form, or NaN, Infinity, -Infinity)
	Items   []*Value // of an Array
	Members []Member // of an Object, in the file's order
	File    *File    // nil for a value made by a program
	Start   int      // byte offsets in File.Data
	End     int
}

// Member is one key of an object with its place. Duplicate keys are kept, in order; [Value.Get] returns the last, as Python does.
type Member struct {
	Key      string
	KeyStart int
	KeyEnd   int
	Value    *Value
}

// Get returns the value of a key of an object, the last one if there are several; nil if there is none or v is no object.
func (v *Value) Get(key string) *Value {
	if m := v.Member(key); m != nil {
		return m.Value
	}
	return nil
}

// Member is [Value.Get] with the key's place.
// It looks from the end, in O(members), and gives a pointer into v: the tree is shared, so nobody writes through it.
func (v *Value) Member(key string) *Member {
	if v == nil || v.Kind != Object {
		return nil
	}
	for i := len(v.Members) - 1; i >= 0; i-- {
		if v.Members[i].Key == key {
			return &v.Members[i]
		}
	}
	return nil
}

// Index returns the i-th item of an array, nil if there is none.
func (v *Value) Index(i int) *Value {
	if v == nil || v.Kind != Array || i < 0 || i >= len(v.Items) {
		return nil
	}
	return v.Items[i]
}

// Str returns the content of a string, "" for anything else.
func (v *Value) Str() string {
	if v == nil || v.Kind != String {
		return ""
	}
	return v.Text
}

// IsInt tells whether v is a number written without fraction and exponent.
// n and N stand for NaN and Infinity, which both have one; 8.0 and 1e3 are no integers here, but [Value.Int] takes them.
func (v *Value) IsInt() bool {
	return v != nil && v.Kind == Number && !strings.ContainsAny(v.Text, ".eEnN")
}

// Int returns a number that is an integer (8 and 8.0 both are) and fits in an int.
func (v *Value) Int() (int, bool) {
	if v == nil || v.Kind != Number {
		return 0, false
	}
	// Most are written as integers, which need no float between.
	if n, err := strconv.Atoi(v.Text); err == nil {
		return n, true
	}
	// From 2^53 on a float64 skips integers, so what is written as 1e16 is not known to be a certain one.
	f, ok := v.Float()
	if !ok || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int(f), true
}

// BigInt returns an integer of any size, if the number is written as one.
// Seeds go up to 2^64-1, beyond an int. The work grows faster than the digits, which [maxNumberLength] bounds.
func (v *Value) BigInt() (*big.Int, bool) {
	if !v.IsInt() {
		return nil, false
	}
	return new(big.Int).SetString(v.Text, 10)
}

// Float returns a number as a float64; too large ones are infinite, as in Python.
func (v *Value) Float() (float64, bool) {
	if v == nil || v.Kind != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Text, 64)
	// Out of range is an error for strconv and gives an infinity along with it; other errors are numbers that are none.
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// Pointer returns the value at a JSON pointer (RFC 6901) and the member that holds it, if an object does; nil if there is none. "" is v itself.
// For example "/axes/0/name" in {"axes": [{"name": "cfg"}]} gives the string and its member; "/axes/0" gives the object and nil.
func (v *Value) Pointer(pointer string) (*Value, *Member) {
	if pointer == "" {
		return v, nil
	}
	if pointer[0] != '/' {
		return nil, nil
	}
	var member *Member
	for part := range strings.SplitSeq(pointer[1:], "/") {
		part = unescapePointer.Replace(part)
		switch {
		case v == nil:
			return nil, nil
		case v.Kind == Object:
			if member = v.Member(part); member == nil {
				return nil, nil
			}
			v = member.Value
		default:
			i, ok := pointerIndex(part)
			if !ok {
				return nil, nil
			}
			v, member = v.Index(i), nil
		}
	}
	return v, member
}

// unescapePointer replaces from left to right, once each: ~01 is the two letters ~1, not a slash.
var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// pointerIndex reads an index of a list as RFC 6901 writes it: digits, without a sign or a leading zero.
func pointerIndex(s string) (int, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	i, err := strconv.Atoi(s)
	return i, err == nil
}

// At makes a value of a program that prints as if it stood at v's place.
func (v *Value) At(place *Value) *Value {
	// A copy of the top only: items and members are shared with v and keep their own places.
	made := *v
	if place != nil {
		made.File, made.Start, made.End = place.File, place.Start, place.End
	}
	return &made
}

// NewString, NewNumber, NewBool, NewNull, NewArray and NewObject make values without a place; give them one by [Value.At].
func NewString(s string) *Value { return &Value{Kind: String, Text: s} }

// NewNumber makes a number from its JSON text.
func NewNumber(text string) *Value { return &Value{Kind: Number, Text: text} }

// NewInt makes an integer.
func NewInt(n int64) *Value { return NewNumber(strconv.FormatInt(n, 10)) }

// NewFloat makes a number as JSON and Python print it: the shortest text that reads back the same, integers with ".0".
func NewFloat(f float64) *Value { return NewNumber(FormatFloat(f)) }

// NewBool makes a boolean.
func NewBool(b bool) *Value { return &Value{Kind: Bool, Bool: b} }

// NewNull makes a null.
func NewNull() *Value { return &Value{Kind: Null} }

// NewArray makes a list.
func NewArray(items ...*Value) *Value { return &Value{Kind: Array, Items: items} }

// NewObject makes an object.
func NewObject(members ...Member) *Value { return &Value{Kind: Object, Members: members} }

// FormatFloat prints a float as Python's repr does: 8.0, 0.1, 1e+16 as 1e+16, nan as NaN, inf as Infinity.
func FormatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	// The borders at which Python changes to an exponent.
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return s
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
