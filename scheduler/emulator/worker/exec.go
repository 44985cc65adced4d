package worker

import (
	"context"
	"fmt"
)

// The order of work is depth first: an output node asks for what it needs, which
// asks in turn. Every node runs once for each position of its longest list
// input. Its results are kept until the last node that uses them has run, has
// failed, or will never run.

// env is one run.
type env struct {
	graph  *graph  // never changed
	opt    Options // with the caller's functions
	limit  int     // pixels of one batch
	prompt []byte  // as it was sent, for the files' metadata
	result Result
	done   map[string]*outcome // by node id, also while a node is executed
	uses   map[string]int      // by node id: links to it from nodes that are not settled
	live   int                 // pixels kept
	target map[string]bool     // nodes that run even if nobody uses them
	next   map[string]int      // next file number by prefix
}

// outcome is what became of a node: the values of each output slot, or failed.
type outcome struct {
	slots  [][]value
	failed bool
	active bool // being executed, until it is settled: a link back to it is a cycle
}

// maxDepth bounds the recursion from an output node. A chain without a cycle is
// never that long; the bound is for what nobody thought of.
const maxDepth = maxNodes + 1

// count notes how many inputs will use each node's results, so that pictures
// can be forgotten after their last use.
func (e *env) count(targets []string) {
	e.uses, e.next, e.target = map[string]int{}, map[string]int{}, map[string]bool{}
	for _, id := range targets {
		e.target[id] = true
	}
	seen := map[string]bool{}
	for todo := append([]string(nil), targets...); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := e.graph.nodes[id]
		if n == nil || seen[id] {
			continue
		}
		seen[id] = true
		for _, in := range n.inputs {
			if in.link != nil {
				e.uses[in.link.node]++
				todo = append(todo, in.link.node)
			}
		}
	}
}

// execute runs a node after all it needs, once; later calls find the outcome.
func (e *env) execute(ctx context.Context, id string, depth int) *outcome {
	if o := e.done[id]; o != nil {
		// The node is still being executed further up the stack: a cycle.
		if o.active {
			e.failed(id, o, "the node depends on itself")
		}
		return o
	}
	n := e.graph.nodes[id]
	o := &outcome{active: true}
	e.done[id] = o
	e.work(ctx, n, o, depth)
	e.settle(n, o)
	return o
}

// work fills in a node's outcome.
func (e *env) work(ctx context.Context, n *node, o *outcome, depth int) {
	c, _ := classOf(n.class)
	if c.run == nil {
		e.failed(n.id, o, "preview cannot run "+className(n.class))
		return
	}
	if depth > maxDepth || ctx.Err() != nil {
		o.failed = true
		return
	}
	calls, ok := e.gather(ctx, n, c, o, depth)
	if !ok {
		o.failed = true
		return
	}
	e.call(n, c, o, calls)
}

// className is the class in messages; a prompt may leave it out.
func className(class string) string {
	if class == "" {
		return "a node without class_type"
	}
	return class
}

// failed notes a node's error, once.
func (e *env) failed(id string, o *outcome, message string) {
	if !o.failed {
		e.result.Errors = append(e.result.Errors, NodeError{id, e.graph.nodes[id].class, message})
	}
	o.failed = true
}

// gather runs what the node needs and gives its inputs, a list of values each.
// It is false when something that is needed failed.
func (e *env) gather(ctx context.Context, n *node, c class, o *outcome, depth int) (map[string][]value, bool) {
	lists := map[string][]value{}
	var later []input
	for _, in := range n.inputs {
		// Lazy inputs wait until the others are there, as their values decide.
		// Only what is chosen is executed: the branch that is switched off
		// costs nothing.
		if c.lazy != nil && c.lazy(in.name) {
			later = append(later, in)
		} else if !e.resolve(ctx, n, in, lists, o, depth) {
			return nil, false
		}
	}
	if len(later) > 0 {
		wanted := later[:0]
		for _, in := range later {
			if c.choose(first(lists), in.name) {
				wanted = append(wanted, in)
			}
		}
		for _, in := range wanted {
			if !e.resolve(ctx, n, in, lists, o, depth) {
				return nil, false
			}
		}
	}
	return lists, true
}

// first takes the first value of each input.
func first(lists map[string][]value) map[string]value {
	out := map[string]value{}
	for name, l := range lists {
		if len(l) > 0 {
			out[name] = l[0]
		}
	}
	return out
}

// resolve puts the values of one input into lists.
func (e *env) resolve(ctx context.Context, n *node, in input, lists map[string][]value, o *outcome, depth int) bool {
	if in.link == nil {
		lists[in.name] = []value{in.constant}
		return true
	}
	if e.graph.nodes[in.link.node] == nil {
		e.failed(n.id, o, fmt.Sprintf("input %s is linked to node %q, which is not there", in.name, in.link.node))
		return false
	}
	from := e.execute(ctx, in.link.node, depth+1)
	if from.failed {
		return false
	}
	if in.link.slot < 0 || in.link.slot >= len(from.slots) {
		e.failed(n.id, o, fmt.Sprintf("input %s is linked to output %d of node %q, which is not there", in.name, in.link.slot, in.link.node))
		return false
	}
	lists[in.name] = from.slots[in.link.slot]
	return true
}

// call runs a node for its inputs: once for a class that takes lists, else once
// per position of the longest list, the shorter ones repeating their last value.
func (e *env) call(n *node, c class, o *outcome, lists map[string][]value) {
	times := 1
	for _, l := range lists {
		if len(l) == 0 {
			e.failed(n.id, o, "an input is an empty list")
			return
		}
		if !c.lists {
			times = max(times, len(l))
		}
	}
	for i := range times {
		// Position i of each list; a list that is shorter gives its last value
		// again.
		a := &args{env: e, node: n, in: map[string]value{}, lists: lists}
		for name, l := range lists {
			a.in[name] = l[min(i, len(l)-1)]
		}
		slots, err := guarded(c, a)
		if err != nil {
			e.failed(n.id, o, err.Error())
			return
		}
		o.append(slots, a)
		// Checked after each call, so one node goes beyond by one batch at
		// most.
		if e.live+o.size() > 4*e.limit {
			e.failed(n.id, o, "the pictures of this prompt need more memory than a preview may use")
			return
		}
	}
	e.result.Executed++
}

// guarded runs a node; a panic becomes its error.
func guarded(c class, a *args) (slots []value, err error) {
	defer func() {
		if p := recover(); p != nil {
			slots, err = nil, fmt.Errorf("the preview failed: %v", p)
		}
	}()
	return c.run(a)
}

// append adds the results of one call to the slots. What was made of drawn
// pixels is drawn.
func (o *outcome) append(slots []value, a *args) {
	for len(o.slots) < len(slots) {
		o.slots = append(o.slots, nil)
	}
	for i, v := range slots {
		// A slot that is a list gives its values one by one to the nodes behind
		// it.
		list, isList := v.(many)
		if !isList {
			list = many{v}
		}
		for _, v := range list {
			o.slots[i] = append(o.slots[i], inherit(v, a))
		}
	}
}

// inherit marks a value that was made of marked ones.
func inherit(v value, a *args) value {
	t := pixelsOf(v)
	if t == nil || t.drawn != "" && t.captioned {
		return v
	}
	// A copy of the head only: the samples are shared.
	marked := *t
	for _, in := range a.node.inputs {
		for _, from := range a.lists[in.name] {
			if f := pixelsOf(from); f != nil && f.drawn != "" {
				if marked.drawn == "" {
					marked.drawn = f.drawn
				}
				marked.captioned = marked.captioned || f.captioned
			}
		}
	}
	switch v.(type) {
	case picture:
		return picture{&marked}
	case mask:
		return mask{&marked}
	}
	return v
}

// pixelsOf gives the tensor of a picture or mask.
func pixelsOf(v value) *tensor {
	switch v := v.(type) {
	case picture:
		return v.tensor
	case mask:
		return v.tensor
	}
	return nil
}

// settle ends a node's work, whatever became of it: its values are kept for
// those who are linked to it, and its own inputs lose a user.
func (e *env) settle(n *node, o *outcome) {
	o.active = false
	// Nobody is linked to it: a saving node's own pictures go at once. So does
	// what a node made before it failed.
	if o.failed || e.uses[n.id] == 0 {
		o.forget()
	}
	e.live += o.size()
	e.release(n)
}

// release takes a node off the users of its inputs, and forgets what was used
// for the last time. An input that has not run, and that nobody is left to ask
// for, never will: its own inputs are released in turn.
func (e *env) release(n *node) {
	for _, in := range n.inputs {
		if in.link == nil {
			continue
		}
		id := in.link.node
		e.uses[id]--
		if e.uses[id] > 0 || e.graph.nodes[id] == nil {
			continue
		}
		if from := e.done[id]; from != nil {
			e.live -= from.size()
			from.forget()
		} else if !e.target[id] {
			e.done[id] = &outcome{failed: true}
			e.release(e.graph.nodes[id])
		}
	}
}

// forget drops the values. The slots stay, empty: a node that asks again by
// mistake finds an empty list and not a missing output.
func (o *outcome) forget() { o.slots = make([][]value, len(o.slots)) }

// size counts the pixels that a node's values hold.
func (o *outcome) size() int {
	total := 0
	for _, slot := range o.slots {
		for _, v := range slot {
			if t := pixelsOf(v); t != nil {
				total += t.pixels()
			} else if l, ok := v.(*latent); ok && l.pic != nil {
				total += l.pic.pixels()
			}
		}
	}
	return total
}
