package view

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// wild tells a type that says nothing of what flows.
func wild(kind string) bool { return kind == "" || kind == nodes.TypeAny || kind == nodes.TypeMatch }

// maxNaming bounds the rounds of nameTypes: types are carried over that many nodes in a row that take anything.
const maxNaming = 8

// nameTypes says what flows through outputs without a type of their own: what the input takes that they lead to, else what flows into their
// node where that takes anything.
func (v *View) nameTypes() {
	for range maxNaming {
		changed := false
		for k := range v.Links {
			if l := &v.Links[k]; wild(l.Type) {
				if kind := v.flowing(l); !wild(kind) {
					l.Type, changed = kind, true
					v.Nodes[l.From].Slots[l.Slot].Type = kind
				}
			}
		}
		if !changed {
			break
		}
	}
	for k := range v.Links {
		if wild(v.Links[k].Type) {
			v.Links[k].Type = nodes.TypeAny
		}
	}
}

// flowing gives the type of what flows through a link, "" if it is not known yet.
func (v *View) flowing(l *Link) string {
	if kind := v.Nodes[l.From].Slots[l.Slot].Type; !wild(kind) {
		return kind
	}
	if !wild(l.wants) {
		return l.wants
	}
	for _, k := range v.Nodes[l.From].ins {
		if in := &v.Links[k]; wild(in.wants) && !wild(in.Type) {
			return in.Type
		}
	}
	return ""
}

// needed finds the nodes that would run. If none would, for what is wrong with the workflow, it finds those
// that an output node leads back to: the drawing of a broken workflow should not be all grey.
func (v *View) needed() {
	for _, i := range v.Order {
		v.Nodes[i].Needed = true
	}
	if len(v.Order) > 0 {
		return
	}
	var stack []int
	for i := range v.Nodes {
		if v.Nodes[i].Output {
			v.Nodes[i].Needed = true
			stack = append(stack, i)
		}
	}
	for len(stack) > 0 {
		n := &v.Nodes[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		for _, k := range n.ins {
			if from := v.Links[k].From; !v.Nodes[from].Needed {
				v.Nodes[from].Needed = true
				stack = append(stack, from)
			}
		}
	}
}

// secret tells whether a value holds a key or a token, at any depth; the depth is bounded by the reader's
// limit.
func secret(name string, v *source.Value) bool {
	switch v.Kind {
	case source.String:
		return graph.Secret(name, v.Text) != ""
	case source.Array:
		for _, item := range v.Items {
			if secret(name, item) {
				return true
			}
		}
	case source.Object:
		for _, m := range v.Members {
			if secret(m.Key, m.Value) {
				return true
			}
		}
	}
	return false
}

// hide takes the message out of a finding that quotes a secret of its node: only its code stays. Notes
// are dropped from all findings, as they may quote other nodes.
func (n *Node) hide(d diag.Diagnostic) diag.Diagnostic {
	const telling = 8 // so many bytes of a secret are a quotation
	for i := range n.Literals {
		l := &n.Literals[i]
		if text := l.Value.Text; l.Secret && len(text) >= telling && strings.Contains(d.Message+d.Hint, text[:telling]) {
			return diag.Diagnostic{Code: d.Code, Severity: d.Severity, Message: d.Code, Place: d.Place, Node: d.Node, Input: d.Input}
		}
	}
	d.Notes = nil
	return d
}
