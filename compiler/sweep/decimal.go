package sweep

import (
	"math/big"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// decimal is an exact decimal number and how many digits after the point it was written with: 3.50 is 7/2
// with scale 2.
type decimal struct {
	*big.Rat
	scale int
}

const (
	maxDigits   = 64 // characters of a number in a range
	maxExponent = 40 // of ten: 1e40 is read, 1e41 refused, since an exact 1e1000000 is a million digits
)

// parseDecimal reads "-3.50" or "1e3"; numbers that are too long or too large to compute with are refused.
func parseDecimal(text string) (decimal, bool) {
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var ok bool
		if exponent, ok = smallInt(text[i+1:]); !ok || exponent > maxExponent || exponent < -maxExponent {
			return decimal{}, false
		}
		mantissa = text[:i]
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	whole, fraction, _ := strings.Cut(digits, ".")
	if len(text) > maxDigits || whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return decimal{}, false
	}
	r, ok := new(big.Rat).SetString(strings.TrimPrefix(text, "+"))
	return decimal{r, max(0, len(fraction)-exponent)}, ok
}

// smallInt reads an exponent; false if it is no integer or does not fit an int.
func smallInt(text string) (int, bool) {
	n, ok := source.NewNumber(strings.TrimPrefix(text, "+")).Int()
	return n, ok
}

// decimalOf reads a number of the tree; false for anything else, NaN and infinities included.
func decimalOf(v *source.Value) (decimal, bool) {
	if v == nil || v.Kind != source.Number {
		return decimal{}, false
	}
	return parseDecimal(v.Text)
}

// format prints a number with at most scale digits after the point and no zeros at their end: 4, 4.5. Sums
// are exact, so nothing is rounded unless a division (evenly spaced values) made more digits than scale.
func format(r *big.Rat, scale int) string {
	if r.IsInt() {
		return r.Num().String()
	}
	s := strings.TrimRight(strings.TrimRight(r.FloatString(scale), "0"), ".")
	if s == "-0" || s == "" { // -0.0000001 to six digits
		return "0"
	}
	return s
}

// truncate cuts off the fraction, towards zero.
func truncate(r *big.Rat) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Quo(r.Num(), r.Denom()))
}

// count says how many steps lead from one number to another, ends included; -1 for more than MaxValues, and
// 0 where the step is 0 or leads the other way.
func count(from, to, step *big.Rat) int {
	span := new(big.Rat).Sub(to, from)
	if step.Sign() == 0 || span.Sign()*step.Sign() < 0 {
		return 0
	}
	n := truncate(span.Quo(span, step)).Num() // rounded towards zero: the last step does not pass the end
	if !n.IsInt64() || n.Int64() >= MaxValues {
		return -1
	}
	return int(n.Int64()) + 1
}
