package compiler

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// Reduction says which parts of a workflow are sent although they change no picture. The zero value leaves all of them out.
type Reduction struct {
	KeepDead  bool // nodes that no output needs; a job of several renders never holds them
	KeepAsked bool // outputs that owe no file, such as previews, and what only they need
	KeepEqual bool // nodes that are equal to another one; outputs are never merged, each owes a file of its own
}

// reduce decides what is sent beside the nodes that owed outputs need, and which of those are equal. What it leaves out is a remark.
func (c *compilation) reduce() bool {
	f, keep := c.form, c.batch.Reduction
	runs := make([]bool, len(f.graph.Nodes))
	for _, i := range f.graph.Order {
		runs[i] = true
	}
	var idle, dead []int
	for _, i := range f.graph.Order {
		if !slices.Contains(f.order, i) {
			idle = append(idle, i)
		}
	}
	for i := range f.graph.Nodes {
		if !runs[i] {
			dead = append(dead, i)
		}
	}
	if keep.KeepAsked {
		f.idle = idle
	} else {
		c.remark("not_asked", idle, "is not sent: no file that is owed needs it", "are not sent: no file that is owed needs them")
	}
	if keep.KeepDead {
		f.dead = dead
	} else {
		c.remark("dead_node", dead, "is not sent: no output needs it", "are not sent: no output needs them")
	}
	if !keep.KeepEqual {
		c.merge()
	}
	return true
}

// merge finds the nodes that are equal to an earlier one at every coordinate. Sources come first, so a
// chain that is there twice is found node by node.
func (c *compilation) merge() {
	f := c.form
	f.twins = map[int]int{}
	first := map[string]int{}
	var merged []int
	for _, i := range f.order {
		key, ok := f.likeness(i)
		if !ok {
			continue
		}
		if twin, there := first[key]; there {
			f.twins[i] = twin
			merged = append(merged, i)
		} else {
			first[key] = i
		}
	}
	c.remark("equal_node", merged, "is not sent: an equal node does its work", "are not sent: equal nodes do their work")
}

// likeness gives a text that equal nodes share. Nodes are left alone that give files, that the batch
// sets, that call a paid service, or of whose class nothing is known: two of them may be meant. It writes
// as meaning does in the package graph, but by what is sent.
func (f *form) likeness(node int) (string, bool) {
	n := &f.graph.Nodes[node]
	if n.Def == nil || n.Def.OutputNode || n.Def.APINode || f.outputOf(node) != nil {
		return "", false
	}
	order := make([]int, len(n.Inputs))
	for k := range order {
		if order[k] = k; f.values.find(node, k) != nil {
			return "", false
		}
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(n.Inputs[a].Name, n.Inputs[b].Name) })
	text := appendText(nil, n.Class)
	for _, k := range order {
		in := &n.Inputs[k]
		text = appendText(text, in.Name)
		if !in.Linked() {
			text = appendValue(text, in.Value)
			continue
		}
		from := in.From
		if twin, ok := f.twins[from]; ok {
			from = twin
		}
		text = binary.AppendVarint(binary.AppendVarint(append(text, 'l'), int64(from)), int64(in.Slot))
	}
	return string(text), true
}

// maxNamed bounds the nodes that one remark names.
const maxNamed = 8

// remark says of some nodes what becomes of them, at the first one's place.
func (c *compilation) remark(code string, list []int, one, many string) {
	if len(list) == 0 {
		return
	}
	var names []string
	for _, i := range list[:min(len(list), maxNamed)] {
		names = append(names, describe(&c.graph.Nodes[i]))
	}
	if len(list) > maxNamed {
		names = append(names, fmt.Sprintf("%d more", len(list)-maxNamed))
	}
	says := one
	if len(list) > 1 {
		says = many
	}
	c.list.Add(diag.Infof(code, c.graph.Nodes[list[0]].Key, "%s %s", strings.Join(names, ", "), says))
}

// extras adds the nodes that are sent although no owed output needs them. Dead ones may stand in any
// order, so they get their ids first. A job of several renders has none of these: they would be there
// once for each.
func (e *emitter) extras() {
	for _, i := range e.idle {
		e.ids[i] = e.graph.Nodes[i].ID
		if e.fused() {
			e.ids[i] = e.fresh(i)
		}
		e.node(i, e.graph.Nodes[i].Class, "")
	}
	if e.fused() {
		return
	}
	for _, i := range e.dead {
		e.ids[i] = e.graph.Nodes[i].ID
	}
	for _, i := range e.dead {
		e.node(i, e.graph.Nodes[i].Class, "")
	}
}
