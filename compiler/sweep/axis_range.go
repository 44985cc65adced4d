// The range notations are those of A1111's X/Y/Z plot, with 5-10:2 and an ellipsis beside them. A string is
// read in one pass from left to right; the numbers are kept as exact fractions until the end, so that 0.1
// ten times is 1.

package sweep

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// RangeError is a range that cannot be read: the bytes it is about, and why. The offsets count within the
// text that was read.
type RangeError struct {
	Start, End int
	Message    string
}

// Error gives the message.
func (e *RangeError) Error() string { return e.Message }

// ParseRange reads the range notations into the numbers they stand for, as decimal texts. Parts are separated by commas:
//
//	7            one number
//	1-5          1, 2, 3, 4, 5; both ends included; downwards if the second is smaller
//	1-5 (+2)     1, 3, 5
//	5-10:2       5, 7, 9
//	1-10 [5]     five numbers, evenly spaced; for integers the fractions are cut off
//	1, 2, .., 10 goes on in the step of the two before it, up to the number after it
//
// The arithmetic is decimal: 0.1 steps never drift. For [Int], steps that give fractions are errors.
// Errors name what was expected: "1-" misses the end of the range, and in "5-1 (+1)" the step leads away
// from 1. A range of more than [MaxValues] numbers is refused before any of them is computed.
func ParseRange(text string, kind Kind) ([]string, *RangeError) {
	p := &ranges{text: text, kind: kind}
	for {
		if err := p.part(); err != nil {
			return nil, err
		}
		p.space()
		if p.at == len(p.text) {
			break
		}
		if !p.take(',') {
			return nil, p.fail(p.at, len(p.text), "%q was not expected after a range", p.text[p.at:])
		}
	}
	if p.ellipsis {
		return nil, p.fail(0, len(text), "a number is expected after ..")
	}
	return p.texts(), nil
}

// ranges is the state of one text.
type ranges struct {
	text     string
	at       int // the next byte that is not read
	kind     Kind
	ellipsis bool      // ".." was read and waits for its end
	values   []decimal // exact; the last two are what an ellipsis goes on from
	done     []string  // values before those, printed already
}

// fail makes an error about the bytes from start up to end.
func (p *ranges) fail(start, end int, format string, args ...any) *RangeError {
	return &RangeError{start, max(end, start), fmt.Sprintf(format, args...)}
}

func (p *ranges) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// take skips blanks and reads one sign, if it is there.
func (p *ranges) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// part reads what stands between two commas: a number, a range, or the dots of an ellipsis, whose end is
// the part behind it.
func (p *ranges) part() *RangeError {
	p.space()
	start := p.at
	if rest := p.text[p.at:]; strings.HasPrefix(rest, "..") {
		p.at += len(rest) - len(strings.TrimLeft(rest, ".")) // any number of dots: "..." is the same
		if len(p.values) < 2 || p.ellipsis {
			return p.fail(start, p.at, "two numbers are expected before .., as in 1, 2, .., 10")
		}
		p.ellipsis = true
		return nil
	}
	from, err := p.number("a number")
	if err != nil {
		return err
	}
	if p.ellipsis {
		p.ellipsis = false
		return p.goOn(from, start)
	}
	if !p.take('-') {
		return p.add(start, from)
	}
	to, err := p.number("the end of the range")
	if err != nil {
		return err
	}
	return p.rangeOf(from, to, start)
}

// rangeOf reads what may follow "from-to" and adds the numbers. The three endings differ in the sign: (+2)
// and (-2) say the direction, so one that leads away is a mistake, while 10-5:2 is 10, 8, 6, as :2 gives
// only a distance.
func (p *ranges) rangeOf(from, to decimal, start int) *RangeError {
	step := decimal{big.NewRat(1, 1), 0}
	if to.Cmp(from.Rat) < 0 {
		step.Rat = big.NewRat(-1, 1)
	}
	var err *RangeError
	switch {
	case p.take('['):
		return p.spaced(from, to, start)
	case p.take('('):
		if step, err = p.number("a step"); err == nil && !p.take(')') {
			return p.fail(p.at, p.at+1, "the step is not closed by )")
		}
	case p.take(':'):
		if step, err = p.number("a step"); err == nil && to.Cmp(from.Rat) < 0 && step.Sign() > 0 {
			step.Rat = new(big.Rat).Neg(step.Rat)
		}
	}
	if err != nil {
		return err
	}
	return p.steps(from, to, step, start)
}

// steps adds the numbers from one to another. It counts before it computes, so that no range can fill the
// memory. The last number is the last step that does not pass the end: 1-6 (+2) is 1, 3, 5.
func (p *ranges) steps(from, to, step decimal, start int) *RangeError {
	n := count(from.Rat, to.Rat, step.Rat)
	switch {
	case step.Sign() == 0:
		return p.fail(start, p.at, "a step of 0 never arrives")
	case n == 0:
		return p.fail(start, p.at, "steps of %s lead away from %s", format(step.Rat, step.scale), format(to.Rat, to.scale))
	case n < 0 || len(p.done)+len(p.values)+n > MaxValues:
		return p.fail(start, p.at, "the range has more than %d values", MaxValues)
	}
	scale := max(from.scale, step.scale) // sums of the two have no more digits than the longer of them
	if p.integers(from.Rat, step.Rat, n) {
		return nil
	}
	value := new(big.Rat).Set(from.Rat)
	for range n {
		if err := p.add(start, decimal{new(big.Rat).Set(value), scale}); err != nil {
			return err
		}
		value.Add(value, step.Rat)
	}
	return nil
}

// integers adds small integers without big arithmetic, which long ranges of seeds are spared. It says
// false, having done nothing, for short ranges and for numbers beyond 2^40: with 2^20 values at most, sums
// of smaller ones stay within an int64.
func (p *ranges) integers(from, step *big.Rat, n int) bool {
	if !from.IsInt() || !step.IsInt() || !from.Num().IsInt64() || !step.Num().IsInt64() {
		return false
	}
	first, by := from.Num().Int64(), step.Num().Int64()
	if limit := int64(1 << 40); n < 1000 || first > limit || first < -limit || by > limit || by < -limit {
		return false
	}
	p.done = append(p.done, p.texts()...) // what was read before stands before the new numbers
	p.values = p.values[:0]
	for i := range int64(n) {
		p.done = append(p.done, strconv.FormatInt(first+i*by, 10))
	}
	last := decimal{new(big.Rat).SetInt64(first + int64(n-1)*by), 0}
	p.values = append(p.values, decimal{new(big.Rat).SetInt64(first + int64(n-2)*by), 0}, last)
	p.done = p.done[:len(p.done)-2] // the last two stay numbers, for .. after them
	return true
}

// spaced reads the count of "from-to [n]" and adds n numbers with equal distances: 1-10 [4] is 1, 4, 7, 10,
// and [1] is the first alone. For an INT the fractions are cut off as A1111 does: 1-10 [5] is 1, 3, 5, 7,
// 10.
func (p *ranges) spaced(from, to decimal, start int) *RangeError {
	c, err := p.number("how many values")
	if err != nil {
		return err
	}
	if !p.take(']') {
		return p.fail(p.at, p.at+1, "the count is not closed by ]")
	}
	if !c.IsInt() || c.Sign() <= 0 || c.Cmp(big.NewRat(MaxValues, 1)) > 0 {
		return p.fail(start, p.at, "a count is an integer from 1 to %d", MaxValues)
	}
	for _, v := range spread(from, to, int(c.Num().Int64())) {
		if p.kind == Int {
			v.Rat = truncate(v.Rat)
		}
		if err := p.add(start, v); err != nil {
			return err
		}
	}
	return nil
}

// spread gives n numbers from one to another with equal distances, to six digits after the point or as many
// as were written. Six are enough for any slider, and thirds have no last digit.
func spread(from, to decimal, n int) []decimal {
	out := []decimal{from}
	distance := new(big.Rat).Sub(to.Rat, from.Rat)
	for i := 1; i < n; i++ {
		v := new(big.Rat).Mul(distance, big.NewRat(int64(i), int64(n-1)))
		out = append(out, decimal{v.Add(v, from.Rat), max(from.scale, to.scale, 6)})
	}
	return out
}

// goOn continues the step of the last two numbers up to the end: 1, 2, .., 5 is 1, 2, 3, 4, 5. The end must
// be met exactly, else a slip such as 1, 3, .., 10 would pass unseen.
func (p *ranges) goOn(end decimal, start int) *RangeError {
	a, b := p.values[len(p.values)-2], p.values[len(p.values)-1]
	step := decimal{new(big.Rat).Sub(b.Rat, a.Rat), max(a.scale, b.scale)}
	if rest := new(big.Rat).Sub(end.Rat, b.Rat); step.Sign() == 0 || !rest.Quo(rest, step.Rat).IsInt() {
		return p.fail(start, p.at, "steps of %s from %s do not arrive at %s", format(step.Rat, step.scale), format(b.Rat, b.scale), format(end.Rat, end.scale))
	}
	return p.steps(decimal{new(big.Rat).Add(b.Rat, step.Rat), step.scale}, end, step, start)
}

// add takes one number, if the axis may hold it; start is where its text begins, for the message.
func (p *ranges) add(start int, v decimal) *RangeError {
	if p.kind == Int && !v.IsInt() {
		return p.fail(start, p.at, "%s is not an integer, as the input needs", format(v.Rat, v.scale))
	}
	if len(p.done)+len(p.values) == MaxValues {
		return p.fail(start, p.at, "the range has more than %d values", MaxValues)
	}
	p.values = append(p.values, v)
	return nil
}

// number reads one number; a sign belongs to it, so 1--5 runs down to minus five. what says in the message
// what was looked for.
func (p *ranges) number(what string) (decimal, *RangeError) {
	p.space()
	start := p.at
	if p.at < len(p.text) && (p.text[p.at] == '-' || p.text[p.at] == '+') {
		p.at++
	}
	// In "1.." the dots are an ellipsis that follows without a comma, not a fraction.
	for p.at < len(p.text) && (p.text[p.at] >= '0' && p.text[p.at] <= '9' || p.text[p.at] == '.' && !strings.HasPrefix(p.text[p.at:], "..")) {
		p.at++
	}
	v, ok := parseDecimal(p.text[start:p.at])
	if !ok {
		return v, p.fail(start, max(p.at, min(start+1, len(p.text))), "%s was expected in the range", what)
	}
	return v, nil
}

// texts prints the values: 0.50 as 0.5, and never with more digits than were written.
func (p *ranges) texts() []string {
	out := p.done
	for _, v := range p.values {
		out = append(out, format(v.Rat, v.scale))
	}
	return out
}
