package worker

import (
	"context"
	"fmt"
)

// The order of work is depth first: an output node asks for what it needs, which
// asks in turn. Every node runs once for each position of its longest list
// input. Its results are kept until the last node that uses them has run.

// env is one run.
type env struct {
	graph  *graph
	opt    Options
	limit  int // pixels of one batch
	prompt []byte
	result Result
	done   map[string]*outcome
	uses   map[string]int // consumers that have not run yet
	live   int            // pixels kept
	next   map[string]int // next file number by prefix
}

// outcome is what became of a node: the values of each output slot, or failed.
type outcome struct {
	slots  [][]value
	failed bool
	active bool // being executed: a link back to it is a cycle
}

// maxDepth bounds the recursion from an output node.
const maxDepth = maxNodes + 1

// count notes how many inputs will use each node's results, so that pictures
// can be forgotten after their last use.
func (e *env) count(targets []string) {
	e.uses, e.next = map[string]int{}, map[string]int{}
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
		if o.active {
			e.failed(id, o, "the node depends on itself")
		}
		return o
	}
	n := e.graph.nodes[id]
	o := &outcome{active: true}
	e.done[id] = o
	c, _ := classOf(n.class)
	if c.run == nil {
		return e.failed(id, o, "preview cannot run "+className(n.class))
	}
	if depth > maxDepth || ctx.Err() != nil {
		o.failed, o.active = true, false
		return o
	}
	calls, ok := e.gather(ctx, n, c, o, depth)
	if !ok {
		o.failed, o.active = true, false
		return o
	}
	return e.call(n, c, o, calls)
}

// className is the class in messages; a prompt may leave it out.
func className(class string) string {
	if class == "" {
		return "a node without class_type"
	}
	return class
}

// failed notes a node's error, once.
func (e *env) failed(id string, o *outcome, message string) *outcome {
	if !o.failed {
		e.result.Errors = append(e.result.Errors, NodeError{id, e.graph.nodes[id].class, message})
	}
	o.failed, o.active = true, false
	return o
}

// gather runs what the node needs and gives its inputs, a list of values each.
// It is false when something that is needed failed.
func (e *env) gather(ctx context.Context, n *node, c class, o *outcome, depth int) (map[string][]value, bool) {
	lists := map[string][]value{}
	var later []input
	for _, in := range n.inputs {
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
func (e *env) call(n *node, c class, o *outcome, lists map[string][]value) *outcome {
	times := 1
	for _, l := range lists {
		if len(l) == 0 {
			return e.failed(n.id, o, "an input is an empty list")
		}
		if !c.lists {
			times = max(times, len(l))
		}
	}
	for i := range times {
		a := &args{env: e, node: n, in: map[string]value{}, lists: lists}
		for name, l := range lists {
			a.in[name] = l[min(i, len(l)-1)]
		}
		slots, err := guarded(c, a)
		if err != nil {
			return e.failed(n.id, o, err.Error())
		}
		o.append(slots, a)
		if e.live+o.size() > 4*e.limit {
			return e.failed(n.id, o, "the pictures of this prompt need more memory than a preview may use")
		}
	}
	e.result.Executed++
	o.active = false
	return e.keep(n, o)
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

// keep stores the node's values and forgets those that it used for the last time.
func (e *env) keep(n *node, o *outcome) *outcome {
	for _, in := range n.inputs {
		if in.link == nil {
			continue
		}
		e.uses[in.link.node]--
		if e.uses[in.link.node] == 0 {
			if from := e.done[in.link.node]; from != nil {
				e.live -= from.size()
				from.slots = make([][]value, len(from.slots))
			}
		}
	}
	if e.uses[n.id] == 0 {
		o.slots = make([][]value, len(o.slots))
	}
	e.live += o.size()
	return o
}

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
