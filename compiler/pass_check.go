package compiler

import (
	"fmt"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
)

// serverErrors are the findings with which a server leaves out an output, or refuses the whole prompt. In
// a prompt with another good output they come as warnings, as a server would answer 200.
var serverErrors = []string{
	"required_input_missing", "bad_linked_input", "return_type_mismatch", "invalid_input_type", "value_smaller_than_min",
	"value_bigger_than_max", "value_not_in_list", "custom_validation_failed", "dependency_cycle",
	"exception_during_inner_validation", "exception_during_validation",
}

// saidElsewhere are lints that a batch's own findings take the place of.
var saidElsewhere = []string{"nothing_saved", "partial_success"} // of the batch: nothing_owed, and the errors themselves

// check builds the graph with the batch's values and holds each further value of each slot against its definition. A batch pays for what it
// asks for, so an output that a server would silently leave out is an error here.
func (c *compilation) check() bool {
	opt := graph.Options{Files: c.fileExists}
	g, verdict := graph.Build(c.withValues(), c.cat, opt)
	c.graph = g
	// The graph is new, and a value may have added an input, so indexes are looked up again.
	for i := range c.values.slots {
		s := &c.values.slots[i]
		s.index = g.Nodes[s.node].Input(s.input)
	}
	for _, d := range c.madeBy(joinFindings(c.converted, verdict.Findings)) {
		if slices.Contains(saidElsewhere, d.Code) {
			continue
		}
		if slices.Contains(serverErrors, d.Code) {
			d.Severity = diag.Error
		}
		c.list.Add(c.setBySlot(d))
	}
	if !c.list.Failed() && !verdict.Valid {
		c.list.Add(diag.Errorf("prompt_no_outputs", diag.Of(c.prompt), "the workflow has no output that a server would run"))
	}
	c.checkSlots(graph.NewChecker(g, c.cat, opt))
	c.warnLocalFiles()
	return !c.list.Failed()
}

// fileExists tells whether a file that a node loads will be there: what is uploaded is; of others a literal catalogue has a list.
func (c *compilation) fileExists(name string) bool {
	if uploaded(name) || !c.cat.Literal() {
		return true
	}
	for _, class := range c.cat.Names() {
		input := graph.FileInput(class)
		if input == "" {
			continue
		}
		def, _ := c.cat.Class(class)
		if in := def.Input(input); in != nil && slices.Contains(in.OptionNames(), name) {
			return true
		}
	}
	return false
}

// setBySlot adds to a finding about a value of the batch where in the workflow it goes. Findings about
// anything else stay as they are.
func (c *compilation) setBySlot(d diag.Diagnostic) diag.Diagnostic {
	node := c.graph.Find(d.Node)
	if node < 0 || d.Input == "" {
		return d
	}
	for i := range c.values.slots {
		s := &c.values.slots[i]
		if s.node == node && s.input == d.Input {
			return c.noted(d, s)
		}
	}
	return d
}

// noted says where in the workflow a value of the batch goes, in a note; none if both are in one file, as
// in a batch that holds its workflow.
func (c *compilation) noted(d diag.Diagnostic, s *slot) diag.Diagnostic {
	n := &c.written.Nodes[s.node]
	at := n.Key
	if k := n.Input(s.input); k >= 0 {
		at = n.Inputs[k].Key
	}
	if at.File == d.Place.File { // there would be nothing to say that the place does not
		return d
	}
	by := fmt.Sprintf("axis %q", s.name)
	if s.axis < 0 {
		by = s.name
	}
	return d.Noted(at, "%s sets input %q of %s", by, s.input, describe(n))
}

// maxFindings ends the check of values: nobody reads more, and a wrong axis has a mistake in each of a
// million values.
const maxFindings = 100

// checkSlots fills the tables of the slots with the values as they are sent. Every combination of axis
// values that a coordinate has is looked at once. There are three ways, the cheapest first: what
// templates made, slots of one axis, and a walk over all coordinates.
func (c *compilation) checkSlots(checker *graph.Checker) {
	at := make([]int, len(c.sweep.Axes))
	before := c.list.Errors()
	for i := range c.values.slots {
		s := &c.values.slots[i]
		if s.index < 0 || c.checkDerived(checker, s) || c.checkStraight(checker, s, at) {
			continue
		}
		for k := c.first; k < c.sweep.Len() && c.list.Errors()-before <= maxFindings; k++ {
			if c.has(k, at) {
				c.checkSlot(checker, s, at)
			}
		}
	}
}

// checkDerived checks what templates make of axis values; equal values are one pointer, and checked once.
// False if the slot is no such one.
func (c *compilation) checkDerived(checker *graph.Checker, s *slot) bool {
	before := c.list.Errors()
	checked := map[*source.Value]*source.Value{}
	for row, v := range s.derived {
		made, done := checked[v]
		if !done {
			made = c.checkValue(checker, s, v)
			checked[v] = made
		}
		if s.derived[row] = made; c.list.Errors()-before > maxFindings {
			break
		}
	}
	return s.derived != nil
}

// checkValue holds one value of a slot against its definition and gives it as it is sent.
func (c *compilation) checkValue(checker *graph.Checker, s *slot, v *source.Value) *source.Value {
	made, findings := checker.Value(s.node, s.index, v)
	for _, d := range c.madeBy(findings) {
		c.list.Add(c.noted(d, s))
	}
	return keepPlace(made, v)
}

// checkStraight checks a slot without walking the coordinates, where it depends on one axis at most: each
// of the axis's values, and the case without the axis if some coordinate lacks it. False if it depends on
// more, or has no table.
func (c *compilation) checkStraight(checker *graph.Checker, s *slot, at []int) bool {
	if len(s.axes) > 1 || s.size == 0 {
		return false
	}
	for a := range at {
		at[a] = -1
	}
	if len(s.axes) == 0 {
		c.checkSlot(checker, s, at)
		return true
	}
	axis := s.axes[0]
	first := c.list.Errors()
	if c.sometimesAbsent(axis) {
		c.checkSlot(checker, s, at)
	}
	for v := range c.sweep.Axes[axis].Len() {
		at[axis] = v
		if c.checkSlot(checker, s, at); c.list.Errors()-first > maxFindings {
			break
		}
	}
	return true
}

// sometimesAbsent tells whether some coordinate lacks an axis, which only include and nested axes can bring about.
func (c *compilation) sometimesAbsent(axis int) bool {
	if c.batch.Sweep.Include == nil && c.sweep.Always(axis) {
		return false
	}
	at := make([]int, len(c.sweep.Axes))
	for i := range c.sweep.Len() {
		if c.sweep.At(i, at); at[axis] < 0 {
			return true
		}
	}
	return false
}

// checkSlot computes, checks and keeps a slot's value at a coordinate, unless that was done. A slot
// without a table keeps nothing, and a text that would pass the bound of memory is made again when it is
// asked for.
func (c *compilation) checkSlot(checker *graph.Checker, s *slot, at []int) {
	key := 0
	if s.values != nil {
		if key = s.key(at); s.values[key] != nil {
			return
		}
	}
	v, err := c.values.compute(s, at)
	if err != nil {
		at := diag.Of(s.base)
		if s.axis >= 0 {
			at = c.sweep.Axes[s.axis].Key
		}
		c.list.Add(err.finding(at, c.sweep.Axes))
		return
	}
	if v == nil {
		return
	}
	made := c.checkValue(checker, s, v)
	if s.values != nil && (made == v && len(s.axes) < 2 || *c.values.kept+len(made.Text) < maxKept) {
		*c.values.kept += len(made.Text)
		s.values[key] = made
	}
}

// keepPlace gives the value as it is sent; an unchanged one is not copied.
func keepPlace(made, v *source.Value) *source.Value {
	if made.Kind == v.Kind && made.Text == v.Text && made.Bool == v.Bool {
		return v
	}
	return made
}

// warnLocalFiles says which files the workflow loads that nobody uploads.
func (c *compilation) warnLocalFiles() {
	for _, i := range c.graph.Order {
		n := &c.graph.Nodes[i]
		k := n.Input(graph.FileInput(n.Class))
		if k < 0 || isLink(&n.Inputs[k]) {
			continue
		}
		if v := n.Inputs[k].Value; v.Kind == source.String && v.Text != "" && !uploaded(v.Text) {
			c.list.Add(diag.Warnf("input_not_uploaded", diag.Of(v), "%s loads %q, which must lie on the worker already", describe(n), v.Text).
				About(n.ID, n.Inputs[k].Name).Hinted("to upload a file of yours: inputs: {" + n.ID + "." + n.Inputs[k].Name + ": path}"))
		}
	}
}
