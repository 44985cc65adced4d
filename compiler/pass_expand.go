package compiler

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// maxTemplateRuns bounds the distinct combinations of axis values that feed templates.
const maxTemplateRuns = 100_000

// expand replaces the nodes that use templates by what the templates make of the batch's values. From here on the graph is the expanded one. Axes
// that feed templates are followed through: the prompt is expanded once for each combination of their values, and every value in
// which the results differ becomes one that these axes set.
func (c *compilation) expand() bool {
	if c.scripts == nil || !c.scripts.Uses(c.prompt) {
		return true
	}
	feeding, rest := c.feedingSlots()
	base := c.expandAt(feeding, nil)
	if base == nil {
		return false
	}
	variants, ok := c.variants(feeding)
	if !ok {
		return false
	}
	if len(variants.prompts) > 0 {
		base = variants.first()
	}
	c.values.fed = map[int][]string{}
	for i := range feeding {
		for _, a := range append(slices.Clone(feeding[i].swaps), feeding[i].axis) {
			if a >= 0 {
				c.values.fed[a] = append(c.values.fed[a], feeding[i].address(c.graph))
			}
		}
	}
	c.reground(base, rest)
	return c.derive(base, variants)
}

// feedingSlots parts the slots that set inputs of templates from the others.
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
		c.list.Add(c.fed(d, feeding))
	}
	return e
}

// fed adds to a finding about a value that feeds a template where in the workflow it goes.
func (c *compilation) fed(d diag.Diagnostic, feeding []slot) diag.Diagnostic {
	for i := range feeding {
		s := &feeding[i]
		if c.graph.Nodes[s.node].ID == d.Node && s.input == d.Input {
			return c.noted(d, s)
		}
	}
	return d
}

// variants are the expansions for all combinations of the axes that feed templates.
type variants struct {
	table
	names   []string // of the axes
	prompts map[int]*script.Expansion
	keys    []int // of prompts, in the order of the coordinates
}

func (v *variants) first() *script.Expansion { return v.prompts[v.keys[0]] }

// variants expands once for each combination that a coordinate has. There are none if no axis feeds a template.
func (c *compilation) variants(feeding []slot) (*variants, bool) {
	v := &variants{prompts: map[int]*script.Expansion{}}
	var axes []int
	for i := range feeding {
		axes = append(axes, feeding[i].axes...)
	}
	slices.Sort(axes)
	if axes = slices.Compact(axes); len(axes) == 0 {
		return v, true
	}
	for _, a := range axes {
		v.names = append(v.names, c.values.axes[a].Name)
	}
	v.table = newTable(axes, c.values.axes, maxTable)
	at := make([]int, len(c.sweep.Axes))
	for i := range c.sweep.Len() {
		if i%1024 == 0 && c.ctx.Err() != nil || c.list.Errors() > maxFindings {
			return nil, false
		}
		c.sweep.At(i, at)
		key := v.key(at)
		if _, done := v.prompts[key]; done {
			continue
		}
		if len(v.keys) == maxTemplateRuns || v.size == 0 {
			c.list.Add(diag.Errorf("too_many_expansions", c.values.axes[axes[0]].Key, "the axes that feed templates have more than %d combinations", maxTemplateRuns).
				Hinted("set an input of an ordinary node, or sample the sweep"))
			return nil, false
		}
		v.prompts[key] = c.expandAt(feeding, at)
		v.keys = append(v.keys, key)
	}
	return v, !c.list.Failed()
}

// reground makes the expanded prompt the one that the following passes see.
func (c *compilation) reground(e *script.Expansion, rest []slot) {
	old := c.graph
	c.prompt, c.expansion = e.Prompt, e
	g, _ := graph.Build(c.prompt, c.cat, graph.Options{NoLints: true, Files: anyFile})
	c.graph, c.written = g, g
	for i := range rest {
		s := &rest[i]
		s.node = g.Find(old.Nodes[s.node].ID)
		s.index = g.Nodes[s.node].Input(s.input)
	}
	c.values.slots = rest
}

// derive makes a slot of every input that differs between the variants. They must have the same nodes and links: what the graph is made of is the
// same in all renders of a plan.
func (c *compilation) derive(base *script.Expansion, v *variants) bool {
	first := base.Prompt.Members
	for _, key := range v.keys {
		members := v.prompts[key].Prompt.Members
		same := len(members) == len(first)
		for i := 0; same && i < len(members); i++ {
			same = members[i].Key == first[i].Key && c.deriveNode(&first[i], &members[i], v, key)
		}
		if !same {
			c.otherShape(v)
			return false
		}
	}
	return true
}

// deriveNode compares one node of two variants; it is false if they differ in more than literals.
func (c *compilation) deriveNode(base, other *source.Member, v *variants, key int) bool {
	if base.Value.Get("class_type").Str() != other.Value.Get("class_type").Str() {
		return false
	}
	a, b := base.Value.Get("inputs"), other.Value.Get("inputs")
	if a == nil || b == nil || len(a.Members) != len(b.Members) {
		return a == b
	}
	for i := range a.Members {
		x, y := &a.Members[i], &b.Members[i]
		if x.Key != y.Key {
			return false
		}
		if x.Value == y.Value || string(x.Value.AppendJSON(nil)) == string(y.Value.AppendJSON(nil)) {
			continue
		}
		if x.Value.Kind == source.Array || y.Value.Kind == source.Array {
			return false
		}
		s := c.derivedSlot(target{c.graph.Find(base.Key), x.Key}, v, x.Value)
		s.derived[key] = y.Value
	}
	return true
}

// derivedSlot finds or makes the slot of an input that templates compute from axes.
func (c *compilation) derivedSlot(t target, v *variants, base *source.Value) *slot {
	s := c.slot(t)
	if s.derived != nil {
		return s
	}
	s.base, s.table, s.name = base, v.table, "a template"
	s.values = make([]*source.Value, s.size)
	s.derived = make([]*source.Value, s.size)
	for _, key := range v.keys {
		s.derived[key] = base
	}
	return s
}

// otherShape says that an axis changes which nodes there are.
func (c *compilation) otherShape(v *variants) {
	at := diag.Place{}
	if u := c.use(v.names[0]); u != nil {
		at = u.key
	}
	c.list.Add(diag.Errorf("template_shape", at, "with other values of axis %q the templates make other nodes or links; all renders of a batch share one graph", v.names[0]).
		Hinted("write a batch for each shape, or let the template set a value to 0 instead of leaving nodes out"))
}

// madeBy adds to findings about nodes of templates which node of the workflow uses them.
func (c *compilation) madeBy(findings []diag.Diagnostic) []diag.Diagnostic {
	if c.expansion == nil {
		return findings
	}
	return c.expansion.Noted(findings)
}
