// Values of axes and of set are checked one at a time against a graph that is built already: a million
// values on one input cost a million small checks, not a million builds.

package graph

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Checker holds single values against the definitions of a built graph's inputs, as [Build] does for the values in the prompt. It is for
// one goroutine.
type Checker struct {
	b    *builder
	base map[int]map[verdictKey]bool // by node: what is wrong with it as it is
}

type verdictKey struct{ code, input string }

// NewChecker makes a checker for a graph; cat and opt are those that it was built with. It works on copies:
// the graph is not changed.
func NewChecker(g *Graph, cat *nodes.Catalogue, opt Options) *Checker {
	own := &Graph{Nodes: slices.Clone(g.Nodes), byID: g.byID}
	b := &builder{cat: cat, opt: opt, g: own, visits: make([]visit, len(own.Nodes))}
	return &Checker{b: b, base: map[int]map[verdictKey]bool{}}
}

// Value gives a literal as it would be sent as an input of a node, and what is wrong with it, as errors;
// node and input are indexes. The whole node is checked with the value in place, since a value may take
// away inputs that others hang on. What is wrong with the node anyway is not said again. Nodes of unknown
// classes take everything.
func (c *Checker) Value(node, input int, v *source.Value) (*source.Value, []diag.Diagnostic) {
	n := &c.b.g.Nodes[node]
	if n.Def == nil {
		return v, nil
	}
	if made := plainly(n, &n.Inputs[input], v); made != nil {
		return made, nil
	}
	base, ok := c.base[node]
	if !ok {
		base = map[verdictKey]bool{}
		n.Inputs = slices.Clone(n.Inputs)
		for _, d := range c.check(node) {
			base[verdictKey{d.Code, d.Input}] = true
		}
		c.base[node] = base
	}
	saved := n.Inputs
	n.Inputs = slices.Clone(saved)
	n.Inputs[input].Value, n.Inputs[input].From = v, -1
	findings := slices.DeleteFunc(c.check(node), func(d diag.Diagnostic) bool {
		return base[verdictKey{d.Code, d.Input}] && d.Input != n.Inputs[input].Name
	})
	made := n.Inputs[input].Value
	n.Inputs = saved
	return made, findings
}

// check gives the findings of one node by itself. Inputs are coerced in the node's current list.
func (c *Checker) check(node int) []diag.Diagnostic {
	n := &c.b.g.Nodes[node]
	found := c.b.check(node)
	if found.raised != nil {
		return []diag.Diagnostic{n.exception(found.raised, n.Def.OutputNode)}
	}
	return found.found
}

// plainly takes the common case without a look at the whole node: a number within its bounds, or a text, on a class without a validator
// and without dynamic inputs. Nil means that the long way is needed.
func plainly(n *Node, in *Input, v *source.Value) *source.Value {
	if in.Def == nil || n.Def.Dynamic() || validatorOf(n.Class) != nil {
		return nil
	}
	switch {
	case in.Def.Type == nodes.TypeString && v.Kind == source.String:
		return v
	case in.Def.Type == nodes.TypeInt && v.IsInt(), in.Def.Type == nodes.TypeFloat && v.Kind == source.Number:
		for _, bound := range []struct {
			name string
			sign int
		}{{"min", -1}, {"max", 1}} {
			if limit := in.Def.Spec.Get(bound.name); limit != nil {
				if order, ok := nodes.Compare(v, limit); !ok || order == bound.sign {
					return nil
				}
			}
		}
		if made, err := coerce(in.Def.Type, v); err == nil {
			return made
		}
	}
	return nil
}
