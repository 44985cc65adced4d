package lower

import (
	"slices"
	"strconv"
)

// dropStale removes inputs that were made for a widget which the class has no more. The frontend leaves out the input behind each removed
// one, once per instance of a definition; so does this.
func (l *lowering) dropStale() {
	times := l.instances()
	for _, n := range l.allNodes() {
		if n.kind != classNode && n.kind != groupedNode {
			continue
		}
		// The frontend walks through every instance of a definition, and the nodes inside are the same ones each time.
		for i := times[n.graph]; i > 0; i-- {
			if !l.spend(len(n.inputs)) || !n.dropStaleInputs() {
				break
			}
		}
	}
}

// maxInstances is the number of instances after which no further ones are counted; inputs halve with each.
const maxInstances = 32

// instances counts how often each graph is met when the workflow is walked through.
func (l *lowering) instances() map[*graph]int {
	times := map[*graph]int{l.root: 1}
	var walk func(g *graph, count int)
	order := l.parentsFirst()
	walk = func(g *graph, count int) {
		for _, n := range g.nodes {
			if n.kind == hostNode {
				// Instances multiply along the way down: 3 instances of what holds 4 of another are 12 of that.
				times[n.sub] = min(times[n.sub]+count, maxInstances)
			}
		}
	}
	for _, g := range order {
		if times[g] > 0 {
			walk(g, times[g])
		}
	}
	return times
}

// parentsFirst orders the graphs so that a definition comes after all that hold an instance of it.
func (l *lowering) parentsFirst() []*graph {
	done := map[*graph]bool{}
	// Depth first and then turned round, which puts a definition behind everything that uses it; there are no cycles any more (findCycle).
	var out []*graph
	var visit func(g *graph)
	visit = func(g *graph) {
		if done[g] {
			return
		}
		done[g] = true
		for _, n := range g.nodes {
			if n.kind == hostNode {
				visit(n.sub)
			}
		}
		out = append(out, g)
	}
	visit(l.root)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// dropStaleInputs goes through the inputs once; true if any was removed, and so another round may remove more.
func (n *node) dropStaleInputs() bool {
	has := n.hasWidgets()
	stale := func(in *input) bool { return in.hasWidget && !has(in.widget) }
	if !slices.ContainsFunc(n.inputs, stale) {
		return false
	}
	var kept []*input
	for i := 0; i < len(n.inputs); i++ {
		in := n.inputs[i]
		if !stale(in) {
			kept = append(kept, in)
			continue
		}
		// Told before the slot goes: the link names it by number.
		if k := n.linkInto(i); k != nil {
			n.graph.lost(k, n, "input "+strconv.Quote(in.name)+" stood for a widget that the class has no more")
		}
		// The frontend removes while it counts up, and so steps over the next one, stale or not.
		if i++; i < len(n.inputs) {
			kept = append(kept, n.inputs[i])
		}
	}
	old := n.layout()
	n.relayout(old, kept, old.links)
	return true
}

// hasWidgets gives a function that tells whether the node has a widget of a name.
func (n *node) hasWidgets() func(string) bool {
	if len(n.widgets) <= fewSlots {
		return func(name string) bool { return n.widgetNamed(name) != nil }
	}
	names := make(map[string]bool, len(n.widgets))
	for _, w := range n.widgets {
		names[w.name] = true
	}
	return func(name string) bool { return names[name] }
}
