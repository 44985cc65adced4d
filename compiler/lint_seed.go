package compiler

import "github.com/comfyc/comfyc/compiler/diag"

// seeds remarks that a sweep leaves the seed alone. That is right for comparing settings, and wrong for
// wanting many pictures. It never fails.
func (c *compilation) seeds() bool {
	f := c.form // the first: templates seldom touch the seed
	if f.looks.seed == nil || c.sweep.Len() < 2 || c.plan.Len() < 2 {
		return true
	}
	ref := *f.looks.seed
	if s := f.values.find(ref.node, ref.index); s != nil && len(s.axes) > 0 { // an axis, or a text with one in it, sets it
		return true
	}
	n := &f.graph.Nodes[ref.node]
	c.list.Add(diag.Infof("seed_constant", diag.Of(n.Inputs[ref.index].Value), "all %d renders of the sweep have the same seed", c.plan.Len()).
		About(n.ID, n.Inputs[ref.index].Name).
		Hinted("to vary it, add an axis such as " + n.ID + "." + n.Inputs[ref.index].Name + ": {random: 4}"))
	return true
}
