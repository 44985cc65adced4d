package graph

import (
	"math"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// lintFinite finds NaN and infinities, which pass every range: comparisons with NaN are all false, and a
// FLOAT without a maximum takes "inf". Texts such as "nan" were coerced before.
func lintFinite(l *linter, n *Node) {
	for i := range n.Inputs {
		in := &n.Inputs[i]
		f, ok := in.Value.Float()
		if !ok || in.Def == nil || !math.IsNaN(f) && !math.IsInf(f, 0) || in.Value.IsInt() {
			continue
		}
		l.warn("not_finite", diag.Of(in.Value), n, in.Name, span(in.Def), "%s is %s, which passes every range and spoils what it touches", n.of(in.Name), reprNumber(in.Value))
	}
}

// lintStep finds numbers between the steps of their input. The server takes them as they are (it never
// looks at step); the browser rounds them, so the same workflow gives another picture once it was opened
// there.
func lintStep(l *linter, n *Node) {
	for i := range n.Inputs {
		in := &n.Inputs[i]
		if in.Def == nil || in.Value.Kind != source.Number {
			continue
		}
		step, ok := grid(in.Def)
		if !ok {
			continue
		}
		v, _ := in.Value.Float()
		start, _ := in.Def.Spec.Get("min").Float()
		if below, off := offGrid(v, start, step); off {
			l.warn("off_step", diag.Of(in.Value), n, in.Name, "next to "+source.FormatFloat(below)+" and "+source.FormatFloat(below+step),
				"%s moves in steps of %s: %s lies between two", n.of(in.Name), source.FormatFloat(step), show(in.Value))
		}
	}
}

// grid gives the step of a number: of a FLOAT what the browser rounds to, of an INT a step above 1. `round:
// false` is no number, so then the step counts for nothing.
func grid(def *nodes.Input) (float64, bool) {
	var v *source.Value
	switch def.Type {
	case nodes.TypeInt:
		v = def.Spec.Get("step")
	case nodes.TypeFloat:
		v = def.Spec.Get("round")
		if v == nil {
			v = def.Spec.Get("step")
		}
	}
	step, ok := v.Float()
	return step, ok && step > 0 && (step > 1 || def.Type == nodes.TypeFloat)
}

// offGrid tells whether v lies between two steps from start, and gives the one below. Steps are compared with the tolerance that sums of
// decimal fractions need.
func offGrid(v, start, step float64) (below float64, off bool) {
	if math.Abs(start) > 1e9 {
		start = 0 // a bound that means none
	}
	steps := (v - start) / step
	if math.IsNaN(steps) || math.Abs(steps) > 1e12 { // too many steps for a float64 to tell their places apart
		return 0, false
	}
	if math.Abs(steps-math.Round(steps)) <= 1e-6*math.Max(1, math.Abs(steps)) {
		return 0, false
	}
	below = start + math.Floor(steps)*step
	return math.Round(below*1e9) / 1e9, true // 0.30000000000000004 is shown as 0.3
}
