package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
	"github.com/comfyc/comfyc/nodes"
)

// axisUse is what an axis sets.
type axisUse struct {
	name    string // where it is named first
	key     diag.Place
	targets []boundTarget
	texts   bool // it is used as ${name}
}

// boundTarget is an input with the place where its address is written.
type boundTarget struct {
	target
	at diag.Place
}

// fixed is a line of set or inputs.
type fixed struct {
	target
	at    diag.Place
	value *source.Value
	file  bool // the value is the path of a local file
}

// address finds the inputs that inputs, set, bind and the axes name. It runs before the sweep is built,
// because what an axis sets decides how its values are read.
func (c *compilation) address() bool {
	for _, s := range c.batch.Set {
		c.fix(s, false)
	}
	for _, s := range c.batch.Inputs {
		c.fix(s, true)
	}
	c.declareAxes()
	c.markTexts()
	for i := range c.uses {
		c.bindAxis(&c.uses[i])
	}
	for _, s := range c.batch.Bind {
		if c.use(s.Name) == nil {
			c.list.Add(diag.Errorf("unknown_axis", s.Key, "bind names an axis %q, which the sweep does not have", s.Name).
				Hinted(diag.Suggest(s.Name, c.axisNames())))
		}
	}
	return true // an axis too many is a finding of declareIn
}

// maxAxes bounds the axes of a sweep.
const maxAxes = 200

// fix enters a fixed value, for each input that the address means.
func (c *compilation) fix(s Setting, file bool) {
	for _, t := range c.find(s.Name, s.Key) {
		for _, f := range c.fixed {
			if f.target == t {
				c.list.Add(diag.Errorf("address_twice", s.Key, "%s is set twice", t.address(c.graph)).Noted(f.at, "the first time is here"))
				return
			}
		}
		c.fixed = append(c.fixed, fixed{t, s.Key, s.Value, file})
	}
}

// find resolves an address and refuses inputs that a link feeds. There are none after a finding.
func (c *compilation) find(text string, at diag.Place) []target {
	found, err := c.targets(text)
	if err != nil {
		c.list.Add(err.finding(at))
		return nil
	}
	return c.unlinked(found, at)
}

// unlinked gives the targets if no link feeds one of them; a promoted value with one such target is
// refused as a whole.
func (c *compilation) unlinked(found []target, at diag.Place) []target {
	for _, t := range found {
		if c.refuseLinked(t, at) {
			return nil
		}
	}
	return found
}

// refuseLinked says that a value would cut a link, and whether it would. The finding names the node that
// the link comes from, whose value is usually the one that was meant.
func (c *compilation) refuseLinked(t target, at diag.Place) bool {
	n := &c.graph.Nodes[t.node]
	k := n.Input(t.input)
	if k < 0 || !isLink(&n.Inputs[k]) {
		return false
	}
	d := diag.Errorf("address_linked", at, "input %q of %s comes from another node, so no value can be set there", t.input, describe(n))
	if from := n.Inputs[k].From; from >= 0 {
		origin := &c.graph.Nodes[from]
		d = d.Noted(diag.Of(n.Inputs[k].Value), "it is linked from %s, whose values are %s", describe(origin), joined(literalNames(origin)))
		if names := literalNames(origin); len(names) > 0 {
			d = d.Hinted(fmt.Sprintf("set %s.%s instead?", origin.ID, closest(t.input, names)))
		}
	}
	c.list.Add(d.About(n.ID, t.input))
	return true
}

// closest is the name itself if it is in the list, else "value", else the first.
func closest(name string, names []string) string {
	for _, want := range []string{name, "value"} {
		if slices.Contains(names, want) {
			return want
		}
	}
	return names[0]
}

// declareAxes lists the axes in the order of the sweep: matrix with what is nested in it, zip, include.
// The order decides which ${axis} a value may use.
func (c *compilation) declareAxes() {
	spec := c.batch.Sweep
	c.declareIn(spec.Matrix, 0)
	for _, group := range oneOrMany(spec.Zip) {
		c.declareIn(group, 0)
	}
	for _, point := range oneOrMany(spec.Include) {
		c.declareIn(point, 0)
	}
}

// declareIn lists the axes of one object of the sweep, each followed by those that its values nest. Eight
// levels are what package sweep reads.
func (c *compilation) declareIn(object *source.Value, depth int) {
	if object == nil || depth > 8 {
		return
	}
	for i := range object.Members {
		m := &object.Members[i]
		if len(c.uses) == maxAxes {
			c.list.Add(diag.Errorf("bad_axis", diag.OfKey(m), "the sweep has more than %d axes", maxAxes))
			return
		}
		if c.use(m.Key) == nil {
			c.uses = append(c.uses, axisUse{name: m.Key, key: diag.OfKey(m)})
		}
		for _, item := range oneOrMany(m.Value) {
			c.declareIn(item.Get("matrix"), depth+1)
		}
	}
}

// use finds an axis by its name, nil if there is none.
func (c *compilation) use(name string) *axisUse {
	for i := range c.uses {
		if c.uses[i].name == name {
			return &c.uses[i]
		}
	}
	return nil
}

// axisNames lists the axes in their order, for messages and for what reads ${name}.
func (c *compilation) axisNames() []string {
	out := make([]string, len(c.uses))
	for i := range c.uses {
		out[i] = c.uses[i].name
	}
	return out
}

// markTexts finds the axes that are used as ${name}: in set, in texts of the workflow, and in values of
// other axes.
func (c *compilation) markTexts() {
	names := c.axisNames()
	mark := func(text string) {
		for i, name := range names {
			c.uses[i].texts = c.uses[i].texts || strings.Contains(text, "${"+name+"}")
		}
	}
	for _, f := range c.fixed {
		mark(f.value.Str())
	}
	for i := range c.graph.Nodes {
		for k := range c.graph.Nodes[i].Inputs {
			mark(c.graph.Nodes[i].Inputs[k].Value.Str())
		}
	}
	for _, part := range []*source.Value{c.batch.Sweep.Matrix, c.batch.Sweep.Zip, c.batch.Sweep.Include} {
		eachString(part, mark)
	}
}

// eachString calls f with every string that holds a $.
func eachString(v *source.Value, f func(string)) {
	if v == nil {
		return
	}
	if strings.Contains(v.Text, "${") {
		f(v.Text)
	}
	for _, item := range v.Items {
		eachString(item, f)
	}
	for i := range v.Members {
		eachString(v.Members[i].Value, f)
	}
}

// bindAxis finds what an axis sets: what bind says, else what its own name is the address of. An axis of
// neither must be used as ${name}: one that changes nothing would pay for the same picture again and
// again.
func (c *compilation) bindAxis(u *axisUse) {
	for _, s := range c.batch.Bind {
		if s.Name != u.name {
			continue
		}
		for _, v := range oneOrMany(s.Value) {
			c.bindTo(u, v.Text, diag.Of(v))
		}
		if len(u.targets) == 0 && !u.texts && !c.list.Failed() {
			c.list.Add(diag.Errorf("axis_unused", u.key, "axis %q is never used: it is bound to nothing, and no text holds ${%s}", u.name, u.name))
		}
		return
	}
	found, err := c.targets(u.name)
	switch {
	case err == nil:
		for _, t := range c.unlinked(found, u.key) {
			u.targets = append(u.targets, boundTarget{target: t, at: u.key})
		}
	case u.texts:
	case c.bindNode(u, u.name, u.key):
	case strings.ContainsAny(u.name, `."@`) || len(err.candidates) > 0 && err.hint == "say which: ID."+u.name:
		c.list.Add(err.finding(u.key))
	default:
		c.list.Add(diag.Errorf("axis_unused", u.key, "axis %q is never used: it is no input's address, bind does not name it, and no text holds ${%s}", u.name, u.name).
			Hinted(diag.Suggest(u.name, allNames(c.graph))))
	}
}

// bindTo binds an axis to one address that bind gives.
func (c *compilation) bindTo(u *axisUse, text string, at diag.Place) {
	if c.bindNode(u, text, at) {
		return
	}
	for _, t := range c.find(text, at) {
		u.targets = append(u.targets, boundTarget{target: t, at: at})
	}
}

// bindNode binds an axis to a whole node, as LoRA axes may be: the node must take a LoRA's name.
func (c *compilation) bindNode(u *axisUse, text string, at diag.Place) bool {
	node, ok := resolveNode(c.graph, text)
	if !ok || !has(&c.graph.Nodes[node], "lora_name") {
		return false
	}
	u.targets = append(u.targets, boundTarget{target: target{node, "lora_name"}, at: at})
	return true
}

// kindOf says whether the strings of an axis are read as ranges: all inputs that it sets are numbers, and
// integers if one of them is an INT.
func (c *compilation) kindOf(name string) sweep.Kind {
	u := c.use(name)
	if u == nil || len(u.targets) == 0 {
		return sweep.Any
	}
	kind := sweep.Float
	for _, t := range u.targets {
		switch c.inputType(t.target) {
		case nodes.TypeInt:
			kind = sweep.Int
		case nodes.TypeFloat:
		default:
			return sweep.Any
		}
	}
	return kind
}

// inputType gives the declared type of an input, "" if it is not known.
func (c *compilation) inputType(t target) string {
	n := &c.graph.Nodes[t.node]
	if k := n.Input(t.input); k >= 0 && n.Inputs[k].Def != nil {
		return n.Inputs[k].Def.Type
	}
	if n.Def != nil {
		if in := n.Def.Input(t.input); in != nil {
			return in.Type
		}
	}
	return ""
}
