package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// choiceless is a dynamic combo whose key is missing, null, or unknown.
type choiceless struct {
	name string // full name, with dots: "format.codec"
	def  *nodes.Input
}

// openChoices lists a node's dynamic combos without a good key, those within others included. A dynamic
// combo is an input whose option brings inputs of its own: format = "mp4" brings format.codec and so on. An
// optional one that is not given is no mistake.
func (n *Node) openChoices() []choiceless {
	var out []choiceless
	var look func(inputs []nodes.Input, prefix string)
	look = func(inputs []nodes.Input, prefix string) {
		for i := range inputs {
			in := &inputs[i]
			if in.Type != nodes.TypeDynamicCombo || in.Group == nodes.Hidden {
				continue
			}
			key := n.value(prefix + in.Name)
			if choice := in.Choice(key); choice != nil {
				look(choice.Inputs, prefix+in.Name+".")
			} else if key != nil || in.Group == nodes.Required {
				out = append(out, choiceless{prefix + in.Name, in})
			}
		}
	}
	look(n.Def.Inputs, "")
	return out
}

// lintChoice finds dynamic combos without a good key. The server takes them and their inputs for not given,
// and the node fails when it runs: its verdict has no error for a key that is missing, unknown or null.
func lintChoice(l *linter, n *Node) {
	if !n.Def.Dynamic() {
		return
	}
	for _, c := range n.openChoices() {
		key := n.value(c.name)
		if key == nil {
			l.warn("unknown_choice", n.classPlace(), n, c.name, oneOf(c.def), "%s lacks the input %q; the server does not say so, and the node fails", n.Class, c.name)
			continue
		}
		if key.Kind == source.Array {
			l.warn("unknown_choice", diag.Of(key), n, c.name, oneOf(c.def), "%s chooses further inputs and cannot be a link or a list", n.of(c.name))
			continue
		}
		hint := l.suggest(key.Str(), c.def.OptionNames())
		if hint == "" {
			hint = oneOf(c.def)
		}
		l.warn("unknown_choice", diag.Of(key), n, c.name, hint, "%s has no choice %s; the server does not say so, and the node fails", n.of(c.name), show(key))
	}
}
