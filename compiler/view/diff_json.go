package view

import (
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// ToValue gives the differences as {"equal", "a", "b", "changed", "removed", "added", "same"}. A changed node has the ids and titles of both
// sides and inputs of {"name", "old", "new"}; a side is {"value"}, or {"from", "slot"} for a link, or null where the input is not given. Removed
// and added nodes have id, class, title, and inputs of {"name", "given"}. Secrets are {"value": null}.
func (c *Changes) ToValue() *source.Value {
	changed := source.NewArray()
	for i := range c.Changed {
		changed.Items = append(changed.Items, c.Changed[i].toValue())
	}
	return source.NewObject(
		member("equal", source.NewBool(c.Equal())),
		member("a", source.NewString(c.a.File)),
		member("b", source.NewString(c.b.File)),
		member("changed", changed),
		member("removed", c.a.alone(c.Removed)),
		member("added", c.b.alone(c.Added)),
		member("same", source.NewInt(int64(c.Same))),
	)
}

// toValue writes a changed node; class is the same on both sides, ids and titles are pairs.
func (c *Change) toValue() *source.Value {
	inputs := source.NewArray()
	for _, in := range c.Inputs {
		inputs.Items = append(inputs.Items, source.NewObject(
			member("name", source.NewString(in.Name)), member("old", in.Old.toValue()), member("new", in.New.toValue())))
	}
	return source.NewObject(
		member("class", source.NewString(c.A.Class)),
		member("id", source.NewArray(source.NewString(c.A.ID), source.NewString(c.B.ID))),
		member("title", source.NewArray(source.NewString(c.A.Title), source.NewString(c.B.Title))),
		member("inputs", inputs),
	)
}

// toValue writes one side of a change.
func (g *Given) toValue() *source.Value {
	switch {
	case g.Literal != nil && g.Literal.Secret:
		return source.NewObject(member("value", source.NewNull()))
	case g.Literal != nil:
		return source.NewObject(member("value", g.Literal.Value))
	case g.From != nil:
		return source.NewObject(member("from", source.NewString(g.From.ID)), member("slot", source.NewNumber(strconv.Itoa(g.Slot))))
	}
	return source.NewNull()
}

// alone lists nodes that only one workflow has.
func (v *View) alone(nodes []*Node) *source.Value {
	out := source.NewArray()
	for _, n := range nodes {
		inputs := source.NewArray()
		add := func(name string, g Given) {
			inputs.Items = append(inputs.Items, source.NewObject(member("name", source.NewString(name)), member("given", g.toValue())))
		}
		for k := range n.Literals {
			add(n.Literals[k].Name, Given{Literal: &n.Literals[k]})
		}
		for _, k := range n.ins {
			l := v.Links[k]
			add(l.Input, Given{From: &v.Nodes[l.From], Slot: l.Slot})
		}
		out.Items = append(out.Items, source.NewObject(
			member("id", source.NewString(n.ID)), member("class", source.NewString(n.Class)), member("title", source.NewString(n.Title)), member("inputs", inputs)))
	}
	return out
}
