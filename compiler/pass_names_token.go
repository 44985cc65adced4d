package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/compiler/source"
)

// token is what a token of the file name pattern stands for: an axis, an input, or one of the plain ones.
type token struct {
	axis  int                          // -1 for none
	value func(at []int) *source.Value // of an input: its value at a coordinate, nil where it has none; nil for other tokens
}

// token finds what a token means; false after a finding. What neither is an axis nor one of the plain
// tokens is the address of an input.
func (c *compilation) token(part filename.Part) (token, bool) {
	p := c.plan
	if name, ok := strings.CutPrefix(part.Text, "axis."); ok {
		for a := range p.axes {
			if p.axes[a].Name == name {
				return token{axis: a}, true
			}
		}
		c.list.Add(diag.Errorf("unknown_axis", c.inPattern(part.Start, part.End), "output.filename names an axis %q, which the sweep does not have", name).
			Hinted(suggestToken(part.Text, p)))
		return token{}, false
	}
	if !slices.Contains(filename.Plain, part.Text) && !strings.HasPrefix(part.Text, "date:") {
		return c.inputToken(part)
	}
	if part.Text == "seed" && !slices.ContainsFunc(p.forms, func(f *form) bool { return f.looks.seed != nil }) {
		c.list.Add(diag.Errorf("bad_filename", c.inPattern(part.Start, part.End), "output.filename: the workflow has no seed for %%seed%%"))
		return token{}, false
	}
	return token{axis: -1}, true
}

// inputToken finds the input that a token names: in the workflow as its author wrote it, else among what
// templates make. Addresses of subgraphs work here as in set; of a promoted value that goes to several
// inputs the first one is read, as all hold the same.
func (c *compilation) inputToken(part filename.Part) (token, bool) {
	var value func(at []int) *source.Value
	address, wrong := part.Text, &addressError{}
	if renamed := c.renamedAddress(address); renamed != "" {
		address = renamed
	} else if found, _ := c.promotedTargets(address); len(found) > 0 {
		address = found[0].address(c.graph)
	}
	if c.before != nil {
		value, wrong = c.templateInput(address)
	}
	if value == nil && wrong != nil {
		value, wrong = c.formsInput(address)
	}
	if wrong != nil {
		c.list.Add(wrong.finding(c.inPattern(part.Start+1, part.End-1)))
	} else if value == nil {
		c.list.Add(diag.Errorf("bad_filename", c.inPattern(part.Start, part.End), "output.filename: %s has no value of its own", part.Text))
	}
	return token{axis: -1, value: value}, value != nil
}

// templateInput finds an input as the workflow's author sees it. The nodes that use templates are there only before these are expanded; of
// all others the forms know the values as they are sent. Nil without an error means that the input has no value of its own.
func (c *compilation) templateInput(address string) (func(at []int) *source.Value, *addressError) {
	f := c.before
	t, err := resolveAddress(f.graph, address)
	if err != nil {
		return nil, err
	}
	n := &f.graph.Nodes[t.node]
	if _, is := c.scripts.Class(n.Class); !is {
		return c.formsInput(t.address(f.graph))
	}
	for i := range f.values.slots {
		if s := &f.values.slots[i]; s.target == t {
			return func(at []int) *source.Value { return f.values.value(s, at) }, nil
		}
	}
	var v *source.Value
	if def := n.Def.Input(t.input); def != nil {
		v = def.Default()
	}
	if k := n.Input(t.input); k >= 0 {
		v = n.Inputs[k].Value
		if isLink(&n.Inputs[k]) {
			v = nil
		}
	}
	if v == nil {
		return nil, nil
	}
	return func([]int) *source.Value { return v }, nil
}

// formsInput finds an input in each form that has it. A coordinate whose form lacks it gives nil, printed
// as "none". Nil without an error means that the input is a link everywhere.
func (c *compilation) formsInput(address string) (func(at []int) *source.Value, *addressError) {
	refs := make([]*inputRef, len(c.forms))
	var wrong *addressError
	found, literal := false, false
	for i, f := range c.forms {
		t, err := resolveAddress(f.graph, address)
		if err != nil {
			wrong = err
			continue
		}
		found = true
		if k := f.graph.Nodes[t.node].Input(t.input); k >= 0 && f.literal(t.node, k) {
			refs[i], literal = &inputRef{t.node, k}, true
		}
	}
	switch {
	case !found:
		return nil, wrong
	case !literal:
		return nil, nil
	}
	p := c.plan
	return func(at []int) *source.Value {
		f := p.formAt(at)
		if ref := refs[f.index]; ref != nil {
			return f.input(ref.node, ref.index, at)
		}
		return nil
	}, nil
}
