package nodes

import (
	"cmp"
	"math"
	"math/big"
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// Validation on a server is Python: `val < min`, `val not in options`. These comparisons must give the same verdict
// for values that JSON keeps exactly and a float64 does not: a seed of 18446744073709551615 is not above a maximum of
// the same digits.

// Equal compares two values as Python does, which is how ComfyUI looks for a value in a list: 1, 1.0 and true are equal, NaN equals
// nothing, and lists and objects are compared by content.
func Equal(a, b *source.Value) bool {
	// A member that one object has and the other lacks arrives here as nil.
	if a == nil || b == nil {
		return a == b
	}
	if isNumeric(a) && isNumeric(b) {
		c, ok := Compare(a, b)
		return ok && c == 0
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case source.String:
		return a.Text == b.Text
	case source.Array:
		return equalItems(a.Items, b.Items)
	case source.Object:
		return equalMembers(a, b)
	}
	return true // two nulls
}

// equalItems holds lists against each other, element by element.
func equalItems(a, b []*source.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// equalMembers compares objects without regard to the order of their keys, as dict does.
func equalMembers(a, b *source.Value) bool {
	if len(a.Members) != len(b.Members) {
		return false
	}
	for i := range a.Members {
		if !Equal(a.Members[i].Value, b.Get(a.Members[i].Key)) {
			return false
		}
	}
	return true
}

// isNumeric counts booleans as numbers, since bool is a subclass of int in Python.
func isNumeric(v *source.Value) bool { return v.Kind == source.Number || v.Kind == source.Bool }

// Compare orders two values as Python does: numbers and booleans exactly, whatever their size and form, and strings by code point. It is
// not ok if Python would raise an error, and for NaN, which is neither smaller nor bigger; see [Comparable].
func Compare(a, b *source.Value) (order int, ok bool) {
	switch {
	case a.Kind == source.String && b.Kind == source.String:
		return cmp.Compare(a.Text, b.Text), true
	case !isNumeric(a) || !isNumeric(b):
		return 0, false
	}
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	switch {
	case okX && math.IsNaN(x) || okY && math.IsNaN(y):
		return 0, false
	// The usual case: both fit into a float64 without rounding.
	case okX && okY:
		return cmp.Compare(x, y), true
	}
	if x, err := strconv.ParseUint(a.Text, 10, 64); err == nil && a.Kind == source.Number { // seeds, whose maximum is 2^64-1
		if y, err := strconv.ParseUint(b.Text, 10, 64); err == nil && b.Kind == source.Number {
			return cmp.Compare(x, y), true
		}
	}
	return compareBig(a, b)
}

// Comparable tells whether Python compares the two without an error.
func Comparable(a, b *source.Value) bool {
	return isNumeric(a) && isNumeric(b) || a.Kind == source.String && b.Kind == source.String
}

// asFloat gives booleans, floats, and integers of up to 15 digits, which nearly all values are, as the float64 that equals them.
func asFloat(v *source.Value) (float64, bool) {
	if v.Kind == source.Bool {
		if v.Bool {
			return 1, true
		}
		return 0, true
	}
	if v.IsInt() && len(v.Text) > 15 {
		return 0, false
	}
	return v.Float()
}

// compareBig compares where one number is a long integer.
func compareBig(a, b *source.Value) (int, bool) {
	x, okX := exact(a)
	y, okY := exact(b)
	if !okX || !okY {
		return 0, false
	}
	return x.Cmp(y), true
}

// exact gives a number without rounding. An integer's text has at most 4,300 digits, so 15,000 bits hold it.
func exact(v *source.Value) (*big.Float, bool) {
	if i, ok := v.BigInt(); ok {
		return new(big.Float).SetPrec(uint(max(64, i.BitLen()))).SetInt(i), true
	}
	f, ok := asFloat(v)
	return new(big.Float).SetPrec(64).SetFloat64(f), ok
}
