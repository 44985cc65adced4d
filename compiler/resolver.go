// Values at coordinates. Nothing is kept for each coordinate: a slot has a table over the axes that its
// value depends on, which is small however large the product is, and what does not fit is computed anew.

package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// part says which half of a LoRA value a slot takes.
type part uint8

const (
	whole part = iota
	loraName
	loraStrength
)

// slot is an input whose value the batch sets or varies. Of the sources of a value the later one in this
// list counts: base, text, axis, derived, variant; then swaps change it.
type slot struct {
	target
	index   int           // of the input in its node
	base    *source.Value // the value without any axis: that of set or inputs, else the workflow's own; nil if there is none
	text    []piece       // base as a text with ${axis}
	file    bool          // base is the path of a local file
	axis    int           // the axis that sets it, -1 for none
	part    part
	swaps   []int  // axes that search and replace in it, in order
	variant int    // the axis of the variants of its text, plus one; 0 for none. Its value depends on nothing else then
	name    string // "set" or the axis, for findings

	derived []*source.Value // by choice.row: what templates make of the axes; nil for all other slots

	table                  // over the axes that its value depends on
	values []*source.Value // by the table's key: the value as it is sent; nil where no coordinate needs it
}

// table numbers the combinations of some axes' values: an axis that is absent counts as its value -1.
// With axes of 3 and 2 values there are 4 × 3 combinations; the last axis has the stride 1.
type table struct {
	axes    []int
	strides []int
	size    int // 0 if it would be larger than its limit
}

// newTable numbers the combinations of some axes, if there are at most limit.
func newTable(axes []int, all []sweep.Axis, limit int) table {
	t := table{axes: axes, size: 1, strides: make([]int, len(axes))}
	for i := len(axes) - 1; i >= 0; i-- {
		t.strides[i] = t.size
		if t.size *= all[axes[i]].Len() + 1; t.size > limit {
			t.size = 0
			break
		}
	}
	return t
}

// key gives the number of a coordinate's combination.
func (t *table) key(at []int) int {
	k := 0
	for i, a := range t.axes {
		k += (at[a] + 1) * t.strides[i]
	}
	return k
}

// resolver computes the values of slots at coordinates. It is read-only once the plan is made.
type resolver struct {
	axes    []sweep.Axis
	pieces  []map[int][]piece // by axis and value: the values that hold ${axis}
	slots   []slot
	choice  *choice              // of the row of derived values
	uploads map[string]InputFile // by the path as the batch writes it
	kept    *int                 // bytes of text that the tables of all forms hold
}

// maxKept bounds the bytes of text in the tables of all slots; what would be more is made anew each time.
const maxKept = 64 << 20

// long tells that an axis among some is so long that its values are not kept.
func (r *resolver) long(axes []int) bool {
	return slices.ContainsFunc(axes, func(a int) bool { return r.axes[a].Packed(0) })
}

// valueError says why a text has no value at a coordinate: an axis that is used there is absent, or texts
// within texts grow too far. It is a finding in the making, which lacks only its place.
type valueError struct {
	axis int // the absent one, -1 if it is the size
}

// finding places the error at the text, with a note at the axis.
func (e *valueError) finding(at diag.Place, axes []sweep.Axis) diag.Diagnostic {
	if e.axis < 0 {
		return diag.Errorf("text_too_long", at, "this text grows beyond %d bytes when its ${…} are put in, or beyond %d of them", maxText, maxExpansions)
	}
	return diag.Errorf("axis_absent", at, "${%s} has no value at a coordinate that include adds without it", axes[e.axis].Name).
		Noted(axes[e.axis].Key, "the axis is here")
}

// Bounds of one text: texts that hold texts could double from axis to axis.
const (
	maxText       = 1 << 20 // bytes
	maxExpansions = 10_000  // ${…} that are put in, in all
)

// value gives what a slot holds at a coordinate: from the table if it is there, else computed and as it is written.
func (r *resolver) value(s *slot, at []int) *source.Value {
	if s.values != nil {
		if v := s.values[s.key(at)]; v != nil {
			return v
		}
	}
	v, _ := r.compute(s, at)
	return v
}

// each calls f with every value that is known of a slot, in the order of its tables.
func (s *slot) each(f func(*source.Value)) {
	for _, list := range [][]*source.Value{s.values, s.derived} {
		for _, v := range list {
			if v != nil {
				f(v)
			}
		}
	}
}

// compute makes a slot's value: the axis's, else the base, then search and replace. Nil without an error
// means that the input has no value there.
func (r *resolver) compute(s *slot, at []int) (*source.Value, *valueError) {
	if s.variant > 0 {
		return r.variantOf(s, at), nil
	}
	v, err := s.base, (*valueError)(nil)
	x := expansion{r, at, maxExpansions}
	switch {
	case s.derived != nil:
		v = s.derived[r.choice.row(at)]
	case s.axis >= 0 && at[s.axis] >= 0:
		v, err = x.axisValue(s.axis, s.part, true)
		if v == nil && err == nil { // a LoRA without strengths leaves the workflow's own
			v = s.base
		}
	case s.text != nil:
		v, err = x.expand(s.text, s.base)
		if err == nil && s.file {
			v = r.upload(v)
		}
	case s.file:
		v = r.upload(v)
	}
	if err != nil || v == nil {
		return v, err
	}
	for _, a := range s.swaps {
		v = r.swap(v, a, at)
	}
	return v, nil
}

// variantOf gives the variant of a dynamic prompt; nil where the text itself had no value.
func (r *resolver) variantOf(s *slot, at []int) *source.Value {
	axis := s.variant - 1
	if at[axis] < 0 {
		return s.base
	}
	v := r.axes[axis].Value(at[axis]).Value
	if v.Kind == source.Null && v.File == nil { // there is no value here
		return nil
	}
	return v
}

// expansion puts axis values into texts at one coordinate.
type expansion struct {
	*resolver
	at   []int
	left int // how many ${…} may still be put in
}

// axisValue gives the value of an axis; send says that it is for an input, where files go by their upload names.
func (x *expansion) axisValue(a int, p part, send bool) (*source.Value, *valueError) {
	if x.at[a] < 0 {
		return nil, &valueError{a}
	}
	axis := &x.axes[a]
	v := axis.Value(x.at[a]).Value
	if axis.Mode == sweep.Lora {
		if p == loraStrength {
			return v.Get("strength"), nil
		}
		return v.Get("lora"), nil
	}
	if text := x.pieces[a][x.at[a]]; text != nil {
		var err *valueError
		if v, err = x.expand(text, v); err != nil {
			return nil, err
		}
	}
	if send && axis.Mode == sweep.Files {
		v = x.upload(v)
	}
	return v, nil
}

// expand puts axis values into a text. A text that is nothing but one ${axis} is the value itself, so
// that numbers stay numbers; the result has the place of the text, not of the axis.
func (x *expansion) expand(text []piece, place *source.Value) (*source.Value, *valueError) {
	var b strings.Builder
	for _, p := range text {
		if p.axis < 0 {
			b.WriteString(p.text)
			continue
		}
		if x.left--; x.left < 0 {
			return nil, &valueError{-1}
		}
		v, err := x.axisValue(p.axis, whole, false)
		if err != nil {
			return nil, err
		}
		if len(text) == 1 {
			return v.At(place), nil
		}
		if b.WriteString(sweep.Text(v)); b.Len() > maxText {
			return nil, &valueError{-1}
		}
	}
	return source.NewString(b.String()).At(place), nil
}

// swap searches and replaces in a text, every occurrence. The first value of the axis is what is searched
// for, and leaves the text as it is.
func (r *resolver) swap(v *source.Value, a int, at []int) *source.Value {
	if at[a] < 1 || v.Kind != source.String {
		return v
	}
	search, put := r.axes[a].Value(0).Value, r.axes[a].Value(at[a]).Value
	return source.NewString(strings.ReplaceAll(v.Text, search.Text, put.Text)).At(put)
}

// upload gives the name under which a local file is sent. Files that could not be read keep their path; a finding has said so.
func (r *resolver) upload(v *source.Value) *source.Value {
	if f, ok := r.uploads[v.Str()]; ok {
		return source.NewString(f.Name).At(v)
	}
	return v
}
