package compiler

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// maxTemplateRuns bounds the distinct combinations of axis values that feed templates: each is a run of a
// script.
const maxTemplateRuns = 100_000

// expand replaces the nodes that use templates by what the templates make of the batch's values. From here on the graphs are the expanded ones. Axes
// that feed templates are followed through: the prompt is expanded once for each combination of their values that a coordinate has. Expansions with
// the same nodes and links are one form, in which every value that differs becomes one that these axes set.
func (c *compilation) expand() bool {
	if c.scripts == nil || !c.scripts.Uses(c.prompt) {
		return true
	}
	x := &expanding{compilation: c, shapes: map[string]*growing{}}
	x.feeding, x.rest = c.feedingSlots()
	c.before, c.forms = c.form, nil
	axes := x.feedingAxes()
	if len(axes) == 0 {
		if e := c.expandAt(x.feeding, nil); e != nil {
			x.take(e, 0)
		}
	} else if !x.each(axes) {
		return false
	}
	if len(c.forms) == 0 {
		return false
	}
	c.form = c.forms[0]
	return !c.list.Failed()
}

// feedingSlots parts the slots that set inputs of templates from the others. The former are gone with
// their nodes once the templates are expanded.
func (c *compilation) feedingSlots() (feeding, rest []slot) {
	for _, s := range c.values.slots {
		if _, is := c.scripts.Class(c.graph.Nodes[s.node].Class); is {
			feeding = append(feeding, s)
		} else {
			rest = append(rest, s)
		}
	}
	return feeding, rest
}

// expandAt expands the prompt with the values that feed templates at a coordinate; nil means the first one that has each. The result is nil
// after a finding.
func (c *compilation) expandAt(feeding []slot, at []int) *script.Expansion {
	byNode := map[int][]*slot{}
	for i := range feeding {
		byNode[feeding[i].node] = append(byNode[feeding[i].node], &feeding[i])
	}
	value := c.firstValue
	if at != nil {
		value = func(s *slot) *source.Value { return c.values.value(s, at) }
	}
	prompt := *c.prompt
	prompt.Members = slices.Clone(c.prompt.Members)
	for i := range prompt.Members {
		if slots := byNode[c.graph.Find(prompt.Members[i].Key)]; slots != nil {
			prompt.Members[i].Value = patched(prompt.Members[i].Value, slots, value)
		}
	}
	e, findings := c.scripts.Expand(c.ctx, &prompt)
	for _, d := range findings {
		c.hung = c.hung || d.Code == "script_time" || d.Code == "script_memory"
		c.list.Add(c.fed(d, feeding))
	}
	return e
}

// fed adds to a finding about a value that feeds a template where in the workflow it goes. Findings in
// the script itself keep their place there.
func (c *compilation) fed(d diag.Diagnostic, feeding []slot) diag.Diagnostic {
	for i := range feeding {
		s := &feeding[i]
		if c.graph.Nodes[s.node].ID == d.Node && s.input == d.Input {
			return c.noted(d, s)
		}
	}
	return d
}

// madeBy adds to findings about nodes of templates which node of the workflow uses them.
func (c *compilation) madeBy(findings []diag.Diagnostic) []diag.Diagnostic {
	if c.expansion == nil {
		return findings
	}
	return c.expansion.Noted(findings)
}
