// Match types: a node such as Switch takes anything, but all its inputs of one template must fit together, and its output has what they have in
// common. Two IMAGE inputs make the output IMAGE; a MODEL beside them is a mismatch, at which the frontend gives up what it is doing.

package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
)

// matcher is a match type template: inputs that accept what fits together, and outputs that give what they have in common.
type matcher struct {
	id     string            // template_id: inputs and outputs with the same one belong together
	inputs map[string]string // input name → types it is declared to take
}

// addMatch makes an input of a match type. Its type is settled when the graph has been loaded.
func (n *node) addMatch(s *inputSpec) {
	t := s.opts.Get("template")
	allowed, id := t.Get("allowed_types").Str(), t.Get("template_id").Str()
	plain := s.named(s.name, s.optional)
	// Without allowed types there is nothing to settle: the input takes all.
	plain.typ, plain.widget, plain.make = "*", "*", nil
	if allowed == "" {
		n.addInput(plain)
		return
	}
	plain.typ, plain.widget, plain.make = allowed, allowed, maker(allowed)
	n.addInput(plain)
	m := n.matcher(id)
	m.inputs[s.name] = allowed
	// By index, as the frontend keeps it, though inputs may be moved until it is looked at.
	n.checks = append(n.checks, len(n.inputs)-1)
}

func (n *node) matcher(id string) *matcher {
	for _, m := range n.matchers {
		if m.id == id {
			return m
		}
	}
	m := &matcher{id, map[string]string{}}
	n.matchers = append(n.matchers, m)
	return m
}

// settleTypes is what happens in the first frames after a file was loaded: templates and reroutes take the types of what is connected.
func (l *lowering) settleTypes() {
	for _, n := range l.allNodes() {
		for _, slot := range n.checks {
			if slot < len(n.inputs) && n.graph != nil {
				n.settleMatch(slot, n.linkInto(slot))
			}
		}
	}
	l.settleReroutes()
}

// allNodes lists the nodes of all graphs, the workflow's own first.
func (l *lowering) allNodes() []*node {
	out := slices.Clone(l.root.nodes)
	for _, g := range l.built {
		out = append(out, g.nodes...)
	}
	return out
}

// settleMatch gives the inputs and outputs of a template the types that are left by what is connected.
func (n *node) settleMatch(slot int, k *link) {
	l := n.graph.l
	if slot < 0 || slot >= len(n.inputs) || l.nested > maxNested || !l.spend(1) {
		return
	}
	l.nested++
	defer func() { l.nested-- }()
	// An input belongs to one template.
	at := slices.IndexFunc(n.matchers, func(m *matcher) bool { _, ok := m.inputs[n.inputs[slot].name]; return ok })
	if at < 0 {
		return
	}
	m := n.matchers[at]
	if k != nil {
		if t := n.graph.originType(k); t != "" {
			// The link's own type follows its origin.
			k.typ = t
		}
	}
	members, types := n.matchTypes(m)
	for i, in := range members {
		// An input may take what is left by the others, not by itself: else it could never be connected to something else.
		others := append(slices.Delete(slices.Clone(types), i, i+1), m.inputs[in.name])
		t, ok := commonType(others...)
		if !ok {
			n.graph.l.mismatch = true
			return
		}
		in.typ = t
	}
	t, ok := commonType(types...)
	if !ok {
		n.graph.l.mismatch = true
		return
	}
	for i := range n.outputs {
		if i < len(n.def.matches) && n.def.matches[i] == m.id {
			n.changeOutput(i, t)
		}
	}
}

// matchTypes gives the inputs of a template and the types that are connected to them.
func (n *node) matchTypes(m *matcher) (members []*input, types []string) {
	for i, in := range n.inputs {
		if _, ok := m.inputs[in.name]; !ok {
			continue
		}
		t := "*"
		if k := n.linkInto(i); k != nil {
			if origin, ok := n.graph.origin(k); ok {
				t = origin
			}
		}
		members, types = append(members, in), append(types, t)
	}
	return members, types
}

// origin gives the type of the output that a link starts at.
func (g *graph) origin(k *link) (string, bool) {
	if k.from == inputSide && k.fromSlot >= 0 && k.fromSlot < len(g.inputs) {
		return g.inputs[k.fromSlot].typ, true
	}
	if from := g.node(k.from); from != nil && k.fromSlot >= 0 && k.fromSlot < len(from.outputs) {
		return from.outputs[k.fromSlot].typ, true
	}
	return "", false
}

func (g *graph) originType(k *link) string {
	t, _ := g.origin(k)
	return t
}

// tooNested refuses a workflow whose types follow from each other along too long a way.
func (l *lowering) tooNested(n *node) {
	if l.nested > maxNested {
		l.refuse(diag.Errorf("expansion_too_large", n.place(), "more than %d nodes in a row whose types follow from each other", maxNested))
	}
}

// changeOutput gives an output another type. What is connected and does not fit any more is disconnected; the rest is told.
func (n *node) changeOutput(slot int, typ string) {
	if n.outputs[slot].typ == typ {
		return
	}
	n.outputs[slot].typ = typ
	g := n.graph
	g.l.tooNested(n)
	for _, k := range slices.Clone(g.from(n.id, slot)) {
		// The definition's output has a type of its own, declared in the file.
		if k.to == outputSide {
			if k.toSlot >= 0 && k.toSlot < len(g.outputs) && !fits(typ, g.outputs[k.toSlot].typ) {
				g.lost(k, n, "its type became "+typ)
				g.removeLink(k)
			}
			continue
		}
		target := g.node(k.to)
		if target == nil || k.toSlot < 0 || k.toSlot >= len(target.inputs) || target.inputs[k.toSlot].typ == "" {
			continue
		}
		if !fits(typ, target.inputs[k.toSlot].typ) {
			// disconnect may settle further nodes, so the link is not looked at afterwards.
			g.lost(k, n, "its type became "+typ)
			target.disconnect(k.toSlot)
			k = nil
		}
		if k != nil {
			target.connectionChanged(k.toSlot, true, k)
		}
	}
}
