package graph

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// raised is an input on which the server's own code fails with an exception. The server then says nothing
// else of the node, and does not say which input it was; we do.
type raised struct {
	input string
	at    diag.Place
	text  string
	hint  string
}

// checked is what the check of one node found.
type checked struct {
	found    []diag.Diagnostic
	raised   *raised      // the first input that made the server's code fail
	children []int        // the nodes that its good links lead to
	live     []nodes.Live // the inputs that the node takes
}

// raise keeps the first failure.
func (c *checked) raise(r raised) {
	if c.raised == nil {
		c.raised = &r
	}
}

// check looks at every input that a node takes, writes coerced values back, and asks the class's own
// validator. All inputs are looked at also after one that the server fails on: the links of the others are
// followed there as well.
func (b *builder) check(i int) checked {
	n := &b.g.Nodes[i]
	var c checked
	if n.Value.Get("inputs") == nil {
		c.raise(raised{at: n.Key, text: fmt.Sprintf("node %s has no \"inputs\"", n.ID), hint: `write "inputs": {} at least`})
		return c
	}
	given := n.index()
	live := n.live(given)
	c.live = live
	v := validatorOf(n.Class)
	for k := range live {
		if j, ok := given.at(live[k].Name); ok {
			n.Inputs[j].Def = live[k].Def
			b.checkInput(n, &n.Inputs[j], v, &c)
		} else if live[k].Required {
			c.found = append(c.found, n.missing(&live[k]))
		}
	}
	if v != nil {
		b.validate(n, v, given, &c)
	}
	return c
}

// live lists the inputs that the node takes, which depend on its values if the class has dynamic ones.
// Those of other classes are made once per class and shared.
func (n *Node) live(given given) []nodes.Live {
	if !n.Def.Dynamic() {
		return n.Def.Live(nil)
	}
	return n.Def.Live(func(name string) *source.Value {
		if j, ok := given.at(name); ok {
			return n.Inputs[j].Value
		}
		return nil
	})
}

// given finds the inputs of a node by name, also of nodes with many.
type given struct {
	n      *Node
	byName map[string]int // nil for nodes with few
}

// index makes the table only where a search would cost more: an autogrow input may have thousands of
// entries, and each is looked up.
func (n *Node) index() given {
	if len(n.Inputs) <= 32 {
		return given{n: n}
	}
	byName := make(map[string]int, len(n.Inputs))
	for j := range n.Inputs {
		byName[n.Inputs[j].Name] = j
	}
	return given{n, byName}
}

// at gives the index of the input with a name.
func (g given) at(name string) (int, bool) {
	if g.byName == nil {
		j := g.n.Input(name)
		return j, j >= 0
	}
	j, ok := g.byName[name]
	return j, ok
}

// checkInput looks at one given and declared input: a list is a link, anything else a literal that is
// unwrapped, coerced and held against the definition. {"__value__": [1, 2]} is how the frontend writes a
// list that is a value; one layer is taken off, as on the server.
func (b *builder) checkInput(n *Node, in *Input, v *validator, c *checked) {
	if in.Value.Kind == source.Array {
		b.checkLink(n, in, v, c)
		return
	}
	if wrapped := in.Value.Get("__value__"); wrapped != nil {
		in.Value = wrapped
	}
	written := in.Value
	made, err := coerce(in.Def.Type, written)
	if err != nil {
		c.found = append(c.found, n.badType(in, err))
		return
	}
	in.Value = made
	if v == nil || !v.takes(in.Name) {
		b.checkValue(n, in, written, c)
	}
}

// checkLink holds the length, the target and the types of a link. Only good links are followed further, so
// a node behind a bad one is checked only if another way leads to it.
func (b *builder) checkLink(n *Node, in *Input, v *validator, c *checked) {
	if len(in.Value.Items) != 2 {
		c.found = append(c.found, n.badLink(in))
		return
	}
	if in.From < 0 {
		c.raise(b.deadLink(n, in))
		return
	}
	out := b.g.outputType(in.From, in.Slot)
	if (v == nil || !v.inputTypes) && !fits(&out, in.Def) {
		c.found = append(c.found, b.mismatch(n, in, &out))
		return
	}
	if c.children == nil {
		c.children = make([]int, 0, len(n.Inputs))
	}
	c.children = append(c.children, in.From)
}

// checkValue holds the range and the list of options; of both bounds only the first that is crossed is
// said. A bound on a value that cannot be compared with it makes the server's code fail. written is the
// value before it was coerced, for the message.
func (b *builder) checkValue(n *Node, in *Input, written *source.Value, c *checked) {
	for _, bound := range []struct {
		name, code string
		sign       int
	}{{"min", "value_smaller_than_min", -1}, {"max", "value_bigger_than_max", 1}} {
		limit := in.Def.Spec.Get(bound.name)
		if limit == nil {
			continue
		}
		if !nodes.Comparable(in.Value, limit) {
			c.raise(n.notComparable(in, bound.name, limit))
			return
		}
		if order, ok := nodes.Compare(in.Value, limit); ok && order == bound.sign {
			c.found = append(c.found, n.outOfRange(in, written, bound.code, limit))
			return
		}
	}
	// Open: a list of model files of the built-in catalogue, which every machine has others of.
	if in.Def.Type == nodes.TypeCombo && !in.Def.Open {
		b.checkOption(n, in, c)
	}
}

// checkOption holds that a value, or each value of a list where several may be chosen, is an option.
func (b *builder) checkOption(n *Node, in *Input, c *checked) {
	values := []*source.Value{in.Value}
	if in.Value.Kind == source.Array && in.Def.Flag("multiselect") {
		values = in.Value.Items
	}
	for _, v := range values {
		if !b.hasOption(in.Def, v) {
			c.found = append(c.found, b.notInList(n, in, v))
			return
		}
	}
}

// hasOption looks a value up among an input's options; for texts in long lists, which are those of model
// files, by a set. Options are compared as Python does, so the number 1 is the option 1.0.
func (b *builder) hasOption(def *nodes.Input, v *source.Value) bool {
	if len(def.Options) > 64 && v.Kind == source.String {
		return b.optionSet(def)[v.Text]
	}
	for _, o := range def.Options {
		if nodes.Equal(o, v) {
			return true
		}
	}
	return false
}

// optionSet makes the set of an input's options once per build.
func (b *builder) optionSet(def *nodes.Input) map[string]bool {
	set, ok := b.sets[def]
	if !ok {
		set = make(map[string]bool, len(def.Options))
		for _, name := range def.OptionNames() {
			set[name] = true
		}
		if b.sets == nil {
			b.sets = map[*nodes.Input]map[string]bool{}
		}
		b.sets[def] = set
	}
	return set
}
