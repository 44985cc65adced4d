package graph

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// visit is what is known of a node once an output node led to it.
type visit struct {
	checked
	started bool // it is on the way from the output that is looked at, or done
	done    bool // its verdict is known; nodes of a cycle have one before they are left
	valid   bool
	errs    []diag.Diagnostic
}

// frame is a node on the way, with the next of its links to follow: an index in the node's children for
// walk, in its inputs for sorted.
type frame struct {
	node, next int
	valid      bool // no link so far led to a bad node
}

// order walks from each output node through its links, as the server does, and checks every node once, when
// it is first met. The walk keeps its own stack, because a chain of 100,000 nodes is a valid prompt. A node
// is valid if it has no errors and all nodes behind its links are valid; an output that is valid is a good
// output.
func (b *builder) order() bool {
	b.visits = make([]visit, len(b.g.Nodes))
	for _, root := range b.roots {
		if b.walk(root) {
			b.g.Outputs = append(b.g.Outputs, root)
		}
	}
	for i := range b.visits {
		b.g.Nodes[i].Bad = len(b.visits[i].errs) > 0
	}
	b.g.Order = b.g.sorted(b.g.Outputs)
	return true
}

// walk gives the verdict on one output node. It is a depth-first search: a node that is started and not
// done is on the stack, so a link to it closes a cycle.
func (b *builder) walk(root int) bool {
	if b.visits[root].done {
		return b.visits[root].valid
	}
	stack := []frame{b.enter(root)}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		v := &b.visits[top.node]
		if top.next == len(v.children) {
			b.leave(top)
			stack = stack[:len(stack)-1]
			if len(stack) > 0 && !v.valid {
				stack[len(stack)-1].valid = false
			}
			continue
		}
		child := v.children[top.next]
		top.next++
		switch c := &b.visits[child]; {
		case c.done:
			top.valid = top.valid && c.valid
		case c.started:
			b.cycle(stack, child)
			top.valid = false
		default:
			stack = append(stack, b.enter(child))
		}
	}
	return b.visits[root].valid
}

// enter checks a node when it is first met.
func (b *builder) enter(i int) frame {
	b.visits[i] = visit{checked: b.check(i), started: true, valid: true}
	return frame{node: i, valid: true}
}

// leave settles a node's verdict. If the server's own code fails on it, that is all that is said of it. A server names the failure after the way
// on which it first came to the node; of an output node that may be by itself or by another output, in an order that changes with every
// start, so output nodes are taken to be met first.
func (b *builder) leave(f *frame) {
	v := &b.visits[f.node]
	n := &b.g.Nodes[f.node]
	if v.raised != nil {
		v.errs = []diag.Diagnostic{n.exception(v.raised, n.Def.OutputNode && b.wanted(n.ID))}
	} else {
		v.errs = append(v.errs, v.found...)
	}
	v.valid = v.valid && f.valid && len(v.errs) == 0
	v.done = true
}

// maxPath is the number of nodes of a cycle that are printed; the finding of each node of a long cycle
// would repeat the whole of it.
const maxPath = 12

// cycle gives all nodes from the given one to the top of the stack the same finding, each at the link that closes its part. They count as
// done from now on: a second cycle through one of them is not looked for, as on the server.
func (b *builder) cycle(stack []frame, first int) {
	start := len(stack) - 1
	for stack[start].node != first {
		start--
	}
	path := b.path(stack[start:])
	for i := start; i < len(stack); i++ {
		v := &b.visits[stack[i].node]
		n := &b.g.Nodes[stack[i].node]
		v.done, v.valid = true, false
		next := first
		if i+1 < len(stack) {
			next = stack[i+1].node
		}
		v.errs = []diag.Diagnostic{diag.Errorf("dependency_cycle", n.linkTo(next), "node %s needs its own result: %s", n.ID, path).About(n.ID, "")}
	}
}

// path prints a cycle: 2 (ImageInvert) → 4 (ImageBatch) → 2 (ImageInvert).
func (b *builder) path(frames []frame) string {
	var out []string
	name := func(f frame) string { return fmt.Sprintf("%s (%s)", b.g.Nodes[f.node].ID, b.g.Nodes[f.node].Class) }
	for i, f := range frames {
		if i == maxPath && len(frames) > maxPath+1 {
			out = append(out, fmt.Sprintf("… %d more …", len(frames)-maxPath))
			break
		}
		out = append(out, name(f))
	}
	return strings.Join(append(out, name(frames[0])), " → ")
}

// linkTo gives the place of the first declared link to a node.
func (n *Node) linkTo(from int) diag.Place {
	for j := range n.Inputs {
		if n.Inputs[j].From == from && n.Inputs[j].Def != nil {
			return diag.Of(n.Inputs[j].Value)
		}
	}
	return n.Key
}

// sorted gives the nodes that some nodes need, those themselves included, sources first. Links on
// undeclared inputs count too, as they do when a server runs the prompt; cycles among those are cut. Time
// is linear in nodes and links, and the order is the same for equal prompts.
func (g *Graph) sorted(roots []int) []int {
	state := make([]bool, len(g.Nodes))
	var out []int
	var stack []frame
	for _, root := range roots {
		if state[root] {
			continue
		}
		state[root] = true
		stack = append(stack[:0], frame{node: root})
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			inputs := g.Nodes[top.node].Inputs
			if top.next == len(inputs) {
				out = append(out, top.node)
				stack = stack[:len(stack)-1]
				continue
			}
			from := inputs[top.next].From
			top.next++
			if from >= 0 && !state[from] {
				state[from] = true
				stack = append(stack, frame{node: from})
			}
		}
	}
	return out
}
