// An axis is written in many ways: a list, a range in a string, one value alone, or an object whose key
// names a generator. This file tells them apart and turns each into entries, values with labels that are
// not yet known to be distinct; factor.go makes rows of them.

package sweep

import (
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// MaxValues bounds the values of one axis.
const MaxValues = 1_000_000 // also what one factor may have rows, so that every value index fits in an int32

// Kind says what the inputs that an axis sets take, and so whether strings are read as ranges: "1-5" is
// five values for an INT and a text for a STRING.
type Kind uint8

// An axis of the Kind Any sets texts or choices, or nothing at all when it is used as ${name} alone.
const (
	Any Kind = iota
	Int
	Float
)

// Mode says what a value of an axis does.
type Mode uint8

// The modes. Replace values are put in the place of the first one within a text; Lora values are objects {lora, strength}; Files values
// are paths of local files.
const (
	Set Mode = iota
	Replace
	Lora
	Files
)

// Value is one value of an axis.
type Value struct {
	Value *source.Value
	Label string // as galleries and file names show it; unique on its axis
}

// Axis is one dimension.
type Axis struct {
	Name string     // the name that it is given under matrix, zip or include: a free word or an address
	Key  diag.Place // where it is first named
	Mode Mode       // all values of an axis have the same
	// Original counts the values that matrix and zip give; those behind them come from include alone.
	Original int

	packed *packed // the first values, if they are many numbers
	values []Value // the others
}

// Len counts the values.
func (a *Axis) Len() int { return a.packed.len() + len(a.values) }

// Packed tells that a value is a number of a long range, which is kept as text alone: [Axis.Value] builds a
// tree value for it on each call.
func (a *Axis) Packed(i int) bool { return i < a.packed.len() }

// Value gives the i-th value, i from 0 below Len. Those of long ranges are made anew each time, so two
// calls give different pointers.
func (a *Axis) Value(i int) Value {
	if n := a.packed.len(); i >= n {
		return a.values[i-n]
	}
	return a.packed.value(i)
}

// entry is one value as it is read from the specification of an axis.
type entry struct {
	value  *source.Value // a scalar, or for LoRAs an object {lora, strength}
	label  string        // by default the value's own text
	made   bool          // the label was given or made, so it may not be unique
	nested *source.Value // the matrix within the value
}

// generator is a form that an axis may have as an object, told by its key.
type generator struct {
	key  string // its presence in an object chooses the form
	mode Mode
	read func(*builder, string, *source.Value, Kind) []entry // gets the axis' name for messages and, for the seeds, as part of what is hashed
}

// generators lists the forms. The first key that is there wins, so value stands first: {value: 5, from: 1}
// is the value 5. The batch's schema refuses such mixtures before they come here; this order only keeps
// what is left well defined.
func generators() []generator {
	return []generator{
		{"value", Set, (*builder).valueEntry},
		{"random", Set, (*builder).randomEntries},
		{"from", Set, (*builder).fromEntries},
		{"replace", Replace, (*builder).replaceEntries},
		{"lora", Lora, (*builder).loraEntries},
		{"files", Files, (*builder).fileEntries},
		{"lines", Set, (*builder).lineEntries},
		{"csv", Set, (*builder).csvEntries},
		{"jsonl", Set, (*builder).jsonlEntries},
	}
}

// longAxis reads an axis that is one long range of numbers, or of seeds, into its compact form; nil if it
// is anything else, and also if the specification is wrong: [builder.entries] then reads it again and
// reports why. Only notations that cannot give a value twice qualify, since packed values are not looked up
// among each other.
func (b *builder) longAxis(name string, spec *source.Value, kind Kind) *packed {
	var texts []string
	switch {
	// "$" would be an ${axis}, "," a list of parts and "[" an evenly spaced count.
	case spec.Kind == source.String && kind != Any && !strings.ContainsAny(spec.Text, "$,["):
		texts, _ = ParseRange(spec.Text, kind)
	case spec.Get("value") == nil && spec.Get("random") != nil:
		if n, ok := spec.Get("random").Int(); ok && n > packedFrom && n <= MaxValues {
			texts = drawn(b.opt.Seed, name, n)
		}
	case spec.Get("value") == nil && spec.Get("from") != nil:
		texts = b.fromTexts(name, spec, kind)
	}
	if len(texts) <= packedFrom || spec.Get("to") != nil && spec.Get("count") != nil {
		return nil // short; or evenly spaced, perhaps with values twice, as are [n] and lists with commas
	}
	return pack(texts, spec)
}

// entries reads the specification of an axis: a list, a range, one value, or an object with one of the
// generators' keys. Lists may mix notations: [1, "5-7", {value: 20, label: max}] has five values. The mode
// is that of the last element whose mode is not Set.
func (b *builder) entries(name string, spec *source.Value, kind Kind) (out []entry, mode Mode) {
	items := []*source.Value{spec}
	if spec.Kind == source.Array {
		items = spec.Items
	}
	for _, v := range items {
		more, m := b.item(name, v, kind)
		if m != Set {
			mode = m
		}
		if out = append(out, more...); len(out) > MaxValues {
			b.errorf("too_many_values", diag.Of(spec), "axis %q has more than %d values", name, MaxValues)
			return nil, mode
		}
	}
	if len(out) == 0 && !b.list.Failed() {
		b.errorf("empty_axis", diag.Of(spec), "axis %q has no values", name)
	}
	return out, mode
}

// item reads one element of a list of values, or a specification that is no list.
func (b *builder) item(name string, v *source.Value, kind Kind) ([]entry, Mode) {
	switch v.Kind {
	case source.String:
		// A text with ${axis} in it only becomes a number when that axis is put in, so it cannot be read as
		// a range here.
		if kind == Any || strings.Contains(v.Text, "${") {
			return []entry{plain(v)}, Set
		}
		return b.rangeEntries(name, v, kind), Set
	case source.Array:
		b.errorf("bad_axis", diag.Of(v), "a value of axis %q is a list", name)
		return nil, Set
	case source.Object:
		for _, g := range generators() {
			if v.Get(g.key) != nil {
				return g.read(b, name, v, kind), g.mode
			}
		}
		var keys []string
		for _, g := range generators() {
			keys = append(keys, g.key)
		}
		b.errorf("bad_axis", diag.Of(v), "an object of axis %q has none of the keys %s", name, strings.Join(keys, ", "))
		return nil, Set
	}
	// Numbers, true, false and null are values as they are; only strings have notations.
	return []entry{plain(v)}, Set
}

// plain is a value whose label is its text: 7.5 is labelled 7.5, as it was typed.
func plain(v *source.Value) entry { return entry{value: v, label: Text(v)} }

// Text prints a value as people read it: strings and numbers as they are, null as "none", booleans as true
// and false. A nil v is null.
func Text(v *source.Value) string {
	switch {
	case v == nil || v.Kind == source.Null:
		return "none"
	case v.Kind == source.String || v.Kind == source.Number:
		return v.Text
	}
	return string(v.AppendJSON(nil))
}

// valueEntry reads {value, label, matrix}.
func (b *builder) valueEntry(name string, v *source.Value, kind Kind) []entry {
	e := plain(v.Get("value"))
	if e.value.Kind == source.Array || e.value.Kind == source.Object {
		b.errorf("bad_axis", diag.Of(e.value), "a value of axis %q is %s", name, e.value.Kind)
		return nil
	}
	if l := v.Get("label"); l != nil {
		e.label, e.made = Text(l), true
	}
	e.nested = v.Get("matrix")
	return []entry{e}
}

// numbers makes entries of decimal texts, at one place. The values share one allocation: a range of 10,000
// is two slices, not 10,000 objects.
func numbers(texts []string, at *source.Value) []entry {
	values := make([]source.Value, len(texts))
	out := make([]entry, len(texts))
	for i, text := range texts {
		values[i] = source.Value{Kind: source.Number, Text: text, File: at.File, Start: at.Start, End: at.End}
		out[i] = entry{value: &values[i], label: text}
	}
	return out
}

// rangeEntries reads a string as a range and points into it if it is none: in "1-5 (+x)" the caret stands
// under the x.
func (b *builder) rangeEntries(name string, v *source.Value, kind Kind) []entry {
	texts, err := ParseRange(v.Text, kind)
	if err != nil {
		b.list.Add(diag.Errorf("bad_range", within(v, err.Start, err.End), "axis %q: %s", name, err.Message).
			Hinted(`ranges are "1-5", "1-5 (+2)", "1-10 [5]", "1, 2, .., 10", "5-10:2"`))
		return nil
	}
	return numbers(texts, v)
}

// within gives the place of some bytes of a string's content, if the string is written as it is read. start
// and end count from the content's first byte; with escapes in the file they would point elsewhere, so the
// place is then the whole string's.
func within(v *source.Value, start, end int) diag.Place {
	at := diag.Of(v)
	if v.File == nil || v.End > len(v.File.Data) {
		return at
	}
	raw := string(v.File.Data[v.Start:v.End])
	// The content stands at offset 0 (a plain YAML scalar) or 1 (behind a quote); further in, it would be a
	// chance match.
	if i := strings.Index(raw, v.Text); i >= 0 && i <= 1 {
		at.Start, at.End = v.Start+i+start, v.Start+i+min(max(end, start+1), len(v.Text))
	}
	return at
}

// whole reads a positive integer such as a count; what is the key's name for the message.
func (b *builder) whole(name string, v *source.Value, what string) (int, bool) {
	n, ok := v.Int()
	if !ok || n < 1 || n > MaxValues {
		b.errorf("bad_axis", diag.Of(v), "axis %q: %s is an integer from 1 to %d", name, what, MaxValues)
		return 0, false
	}
	return n, true
}

// randomEntries reads {random: n}: n different seeds below 2^53, which depend on the batch's seed and the
// axis' name alone.
func (b *builder) randomEntries(name string, v *source.Value, kind Kind) []entry {
	n, ok := b.whole(name, v.Get("random"), "random")
	if !ok {
		return nil
	}
	return numbers(drawn(b.opt.Seed, name, n), v.Get("random"))
}

// fromEntries reads {from, to, step}, {from, to}, {from, to, count}, {from, count} and {from, count, step}.
// {from: 1, count: 3} is 1, 2, 3; {from: 0, to: 1, count: 5} is 0, 0.25, 0.5, 0.75, 1; without a step it is
// 1, or -1 where to is below from.
func (b *builder) fromEntries(name string, v *source.Value, kind Kind) []entry {
	return numbers(b.fromTexts(name, v, kind), v)
}

// fromTexts computes the numbers of a range object; nil after a finding.
func (b *builder) fromTexts(name string, v *source.Value, kind Kind) []string {
	p := &ranges{kind: kind} // only its steps, add and texts are used: there is no string to read
	from, ok := b.decimal(name, v, "from", "0")
	to, ok2 := b.decimal(name, v, "to", "0")
	step, ok3 := b.decimal(name, v, "step", "1")
	if !ok || !ok2 || !ok3 {
		return nil
	}
	n := 0
	if c := v.Get("count"); c != nil {
		if n, ok = b.whole(name, c, "count"); !ok {
			return nil
		}
	}
	var err *RangeError
	switch {
	// Both ends and a count: evenly spaced, and for an INT cut off towards zero as in "1-10 [5]".
	case v.Get("to") != nil && n > 0:
		for _, value := range spread(from, to, n) {
			if kind == Int {
				value.Rat = truncate(value.Rat)
			}
			if err = p.add(0, value); err != nil {
				break
			}
		}
	case v.Get("to") != nil:
		if v.Get("step") == nil && to.Cmp(from.Rat) < 0 {
			step, _ = parseDecimal("-1")
		}
		err = p.steps(from, to, step, 0)
	case n > 0:
		err = p.steps(from, last(from, step, n), step, 0)
	default:
		err = &RangeError{Message: "beside from, a to or a count is needed"}
	}
	if err != nil {
		b.errorf("bad_range", diag.Of(v), "axis %q: %s", name, err.Message)
		return nil
	}
	return p.texts()
}

// last is from + (n-1) × step.
func last(from, step decimal, n int) decimal {
	d, _ := parseDecimal(strconv.Itoa(n - 1))
	d.Mul(d.Rat, step.Rat)
	d.Add(d.Rat, from.Rat)
	return decimal{d.Rat, max(from.scale, step.scale)}
}

// decimal reads a number of a range object; absent ones have a default. Long numbers are refused because
// their exact sums would grow.
func (b *builder) decimal(name string, v *source.Value, key, absent string) (decimal, bool) {
	n := v.Get(key)
	if n == nil {
		return parseDecimal(absent)
	}
	d, ok := decimalOf(n)
	if !ok {
		b.errorf("bad_range", diag.Of(n), "axis %q: %s is a number of at most %d characters", name, key, maxDigits)
	}
	return d, ok
}

// replaceEntries reads search and replace, the "Prompt S/R" of A1111's X/Y/Z plot: each text takes the
// place of the first, which itself stands for the prompt unchanged. {replace: [fox, cat, dog]} on "a red
// fox" gives a red fox, a red cat, a red dog.
func (b *builder) replaceEntries(name string, v *source.Value, kind Kind) []entry {
	var out []entry
	for _, item := range v.Get("replace").Items {
		if item.Kind != source.String && item.Kind != source.Number {
			b.errorf("bad_axis", diag.Of(item), "axis %q: replace is a list of texts", name)
			return nil
		}
		// 8 among the texts is the text "8": what is replaced is always a part of a prompt.
		text := *item
		text.Kind = source.String
		out = append(out, plain(&text))
	}
	if len(out) < 2 || out[0].value.Text == "" {
		b.errorf("bad_axis", diag.Of(v.Get("replace")), "axis %q: replace needs the text that is searched for and at least one other", name)
		return nil
	}
	return out
}
