package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// axes builds the sweep. Axis names were resolved before, so that ranges are read as the inputs need them.
func (c *compilation) axes() bool {
	spec := c.batch.Sweep
	if spec.At.File == nil {
		spec.At = diag.InFile(c.batch.File)
	}
	s, findings := sweep.Build(spec, sweep.Options{Seed: c.batch.Seed, Kind: c.kindOf, Read: c.files.read, Glob: c.files.glob})
	c.list.Add(findings...)
	c.sweep = s
	return s != nil
}

// maxTable bounds the table of one slot's values, in entries of eight bytes. What depends on more
// combinations is computed each time it is asked for.
const maxTable = 1 << 20

// bind makes a slot of every input that set, inputs, an axis or a ${axis} in the workflow itself gives a value.
func (c *compilation) bind() bool {
	r := &resolver{axes: c.sweep.Axes, choice: c.choice, uploads: map[string]InputFile{}, kept: new(int), pieces: make([]map[int][]piece, len(c.sweep.Axes))}
	c.values = r
	names := make([]string, len(r.axes))
	for a := range r.axes {
		names[a] = r.axes[a].Name
	}
	for a := range r.axes {
		c.readAxisTexts(a, names)
	}
	for _, f := range c.fixed {
		s := c.slot(f.target)
		s.base, s.file, s.name = f.value, f.file, "set"
		s.text = interpolation(f.value, names, !c.isPrompt(f.target), &c.list)
	}
	c.workflowTexts(names)
	// Axes last: an input that set and an axis name has the axis's value, and set's where the axis is
	// absent.
	for a := range r.axes {
		if u := c.use(r.axes[a].Name); u != nil {
			for _, t := range u.targets {
				c.bindSlot(a, t)
			}
			c.needsTarget(a, u)
		}
	}
	for i := range r.slots {
		s := &r.slots[i]
		if s.table = newTable(c.depends(s), r.axes, maxTable); s.size > 0 && !r.long(s.axes) {
			s.values = make([]*source.Value, s.size)
		}
	}
	c.readUploads()
	return !c.list.Failed()
}

// slot finds or makes the slot of an input; its base is what the workflow holds. The pointer is good
// until the next slot is made.
func (c *compilation) slot(t target) *slot {
	r := c.values
	for i := range r.slots {
		if r.slots[i].target == t {
			return &r.slots[i]
		}
	}
	s := slot{target: t, axis: -1, index: c.graph.Nodes[t.node].Input(t.input)}
	if s.index >= 0 {
		s.base = c.graph.Nodes[t.node].Inputs[s.index].Value
	}
	r.slots = append(r.slots, s)
	return &r.slots[len(r.slots)-1]
}

// readAxisTexts finds the ${axis} in an axis's own values; they may name earlier axes only, so no two can
// wait for each other.
func (c *compilation) readAxisTexts(a int, names []string) {
	axis := &c.values.axes[a]
	for v := range axis.Len() {
		if axis.Packed(v) {
			continue // a number
		}
		value := axis.Value(v)
		text := interpolation(value.Value, names, !c.ownNames(names[a]), &c.list)
		for _, p := range text {
			if p.axis >= a {
				c.list.Add(diag.Errorf("axis_order", diag.Of(value.Value), "a value of axis %q uses ${%s}, which is no earlier axis", names[a], names[p.axis]).
					Hinted("a value may use the axes that stand before its own"))
				text = nil
				break
			}
		}
		if text != nil {
			if c.values.pieces[a] == nil {
				c.values.pieces[a] = map[int][]piece{}
			}
			c.values.pieces[a][v] = text
		}
	}
}

// workflowTexts makes slots of the workflow's own texts that hold ${axis}. What the batch sets is passed
// over: its text takes the place of the workflow's.
func (c *compilation) workflowTexts(names []string) {
	for i := range c.graph.Nodes {
		n := &c.graph.Nodes[i]
		for k := range n.Inputs {
			v := n.Inputs[k].Value
			text := interpolation(v, names, false, &c.list)
			if text == nil || c.hasSlot(target{i, n.Inputs[k].Name}) {
				continue
			}
			s := c.slot(target{i, n.Inputs[k].Name})
			s.text, s.name = text, "the workflow"
		}
	}
}

// hasSlot tells whether the batch gives an input a value.
func (c *compilation) hasSlot(t target) bool {
	return slices.ContainsFunc(c.values.slots, func(s slot) bool { return s.target == t })
}

// bindSlot lets an axis set an input, or search and replace in it. A LoRA axis that is bound to a name
// also sets the strengths of the same node.
func (c *compilation) bindSlot(a int, t boundTarget) {
	axis := &c.values.axes[a]
	switch axis.Mode {
	case sweep.Replace:
		s := c.slot(t.target)
		s.swaps = append(s.swaps, a)
		c.findSearched(s, axis, t)
	case sweep.Lora:
		c.setBy(c.slot(t.target), a, loraName, t)
		n := &c.graph.Nodes[t.node]
		for _, name := range []string{"strength_model", "strength_clip", "strength"} {
			if k := n.Input(name); k >= 0 && !isLink(&n.Inputs[k]) {
				c.setBy(c.slot(target{t.node, name}), a, loraStrength, t)
			}
		}
	default:
		c.setBy(c.slot(t.target), a, whole, t)
	}
}

// setBy lets one axis set an input. Two axes on one input would make one of them mean nothing.
func (c *compilation) setBy(s *slot, a int, p part, t boundTarget) {
	axis := &c.values.axes[a]
	if s.axis >= 0 {
		c.list.Add(diag.Errorf("address_twice", t.at, "%s is set by axis %q and by axis %q", s.address(c.graph), c.values.axes[s.axis].Name, axis.Name))
		return
	}
	s.axis, s.part, s.name = a, p, axis.Name
	if s.input == "filename_prefix" {
		c.list.Add(diag.Errorf("prefix_chosen", t.at, "the file name prefix of %s cannot be varied: comfyc sends one of its own to tell outputs apart",
			describe(&c.graph.Nodes[s.node])).Hinted("name the files with output: {filename: …}"))
	}
}

// findSearched holds that the text to search for is there to be replaced, where that can be told: not in
// texts that axes make.
func (c *compilation) findSearched(s *slot, axis *sweep.Axis, t boundTarget) {
	search := axis.Value(0).Value
	if s.axis >= 0 || s.text != nil || s.base == nil || strings.Contains(s.base.Str(), search.Text) {
		return
	}
	c.list.Add(diag.Errorf("search_missing", diag.Of(search), "the text %q, which axis %q replaces, is not in %s", search.Text, axis.Name, s.address(c.graph)).
		Noted(diag.Of(s.base), "the text is here"))
}

// needsTarget holds that axes which cannot be used as ${name} alone are bound.
func (c *compilation) needsTarget(a int, u *axisUse) {
	if mode := c.values.axes[a].Mode; len(u.targets) == 0 && (mode == sweep.Replace || mode == sweep.Lora) {
		c.list.Add(diag.Errorf("axis_unused", u.key, "axis %q sets nothing: bind it to the inputs that it changes", u.name))
	}
}

// depends lists the axes that a slot's value depends on, in order: those in its text, those that set it,
// and those in the values of these.
func (c *compilation) depends(s *slot) []int {
	seen := make([]bool, len(c.values.axes))
	var add func(a int)
	addText := func(text []piece) {
		for _, p := range text {
			if p.axis >= 0 {
				add(p.axis)
			}
		}
	}
	add = func(a int) {
		if seen[a] {
			return
		}
		seen[a] = true
		for _, text := range c.values.pieces[a] {
			addText(text)
		}
	}
	addText(s.text)
	for _, a := range append(slices.Clone(s.swaps), s.axis) {
		if a >= 0 {
			add(a)
		}
	}
	var out []int
	for a, is := range seen {
		if is {
			out = append(out, a)
		}
	}
	return out
}

// readUploads hashes every local file that inputs and file axes name.
func (c *compilation) readUploads() {
	r := c.values
	for i := range r.slots {
		s := &r.slots[i]
		if s.file && s.text == nil {
			c.readUpload(s.base)
		}
		if s.file && s.text != nil {
			c.readTextUploads(s)
		}
		if s.axis >= 0 && r.axes[s.axis].Mode == sweep.Files {
			for v := range r.axes[s.axis].Len() {
				c.readUpload(r.axes[s.axis].Value(v).Value)
			}
		}
	}
}

// readTextUploads hashes the files whose paths are made with ${axis}. Each combination is looked at once,
// as far as the slot's table tells them apart.
func (c *compilation) readTextUploads(s *slot) {
	at := make([]int, len(c.values.axes))
	seen := map[int]bool{}
	for i := range c.sweep.Len() {
		c.sweep.At(i, at)
		key := s.key(at)
		if s.size > 0 && seen[key] {
			continue
		}
		seen[key] = true
		x := expansion{c.values, at, maxExpansions}
		if v, err := x.expand(s.text, s.base); err == nil {
			c.readUpload(v)
		}
	}
}

// readUpload hashes a local file once, however many values name it. A file that cannot be read is entered
// empty, so that it is said once.
func (c *compilation) readUpload(v *source.Value) {
	if v.Kind != source.String {
		c.list.Add(diag.Errorf("unreadable_file", diag.Of(v), "the path of a file is expected"))
		return
	}
	if _, ok := c.values.uploads[v.Text]; ok {
		return
	}
	f, err := c.files.input(v.Text)
	if err != nil {
		c.list.Add(diag.Errorf("unreadable_file", diag.Of(v), "input: %s", trouble(err)))
	}
	c.values.uploads[v.Text] = f
}

// withValues gives the prompt with the batch's values: for each slot that of the first coordinate that
// has one. It is what the check sees; the values of the other coordinates are held against the same graph
// one by one.
func (c *compilation) withValues() *source.Value {
	byNode := map[int][]*slot{}
	for i := range c.values.slots {
		s := &c.values.slots[i]
		byNode[s.node] = append(byNode[s.node], s)
	}
	out := *c.prompt
	out.Members = slices.Clone(c.prompt.Members)
	for i := range out.Members {
		if slots := byNode[c.graph.Find(out.Members[i].Key)]; slots != nil {
			out.Members[i].Value = patched(out.Members[i].Value, slots, c.firstValue)
		}
	}
	return &out
}

// firstValue gives a slot's value at the form's first coordinate that has one.
func (c *compilation) firstValue(s *slot) *source.Value {
	at := make([]int, len(c.sweep.Axes))
	for i := c.first; i < c.sweep.Len(); i++ {
		if !c.has(i, at) {
			continue
		}
		if v := c.values.value(s, at); v != nil {
			return v
		}
	}
	return nil
}

// has tells whether the form at hand is that of a coordinate, whose values it gives.
func (c *compilation) has(coordinate int, at []int) bool {
	c.sweep.At(coordinate, at)
	return len(c.forms) == 1 || c.choice.form(at) == c.index
}

// patched gives a node with other values of some inputs; inputs that it does not have are added. The node
// given is not changed.
func patched(node *source.Value, slots []*slot, value func(*slot) *source.Value) *source.Value {
	out, inputs := *node, source.NewObject()
	if given := node.Get("inputs"); given != nil {
		*inputs = *given
	}
	inputs.Members = slices.Clone(inputs.Members)
	for _, s := range slots {
		v := value(s)
		if v == nil {
			continue
		}
		i := slices.IndexFunc(inputs.Members, func(m source.Member) bool { return m.Key == s.input })
		if i < 0 {
			inputs.Members = append(inputs.Members, source.Member{Key: s.input, Value: v})
			continue
		}
		inputs.Members[i] = source.Member{Key: s.input, Value: v} // without the key's place, which is in another file than the value
	}
	out.Members = slices.DeleteFunc(slices.Clone(out.Members), func(m source.Member) bool { return m.Key == "inputs" })
	out.Members = append(out.Members, source.Member{Key: "inputs", Value: inputs})
	return &out
}
