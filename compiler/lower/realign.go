package lower

import (
	"slices"
	"strings"
)

// A link counts the inputs of a node as they were when the file was saved. The class may have others now, so each link goes to the input of
// the name that its input had in the file.

// reference is a link with the names of the inputs that, in the file, it leads to.
type reference struct {
	link  *link // as it lies now
	names []string
}

// realign moves the links of a node to the inputs of the names that they have in the file. It is repeated while inputs grow.
func (g *graph) realign(n *node, docs []*slotDoc) {
	if n.aligned(docs) {
		return
	}
	refs := g.references(n, docs)
	skipped := map[*link]bool{}
	// Moving a link may make a group of inputs grow, which gives further links their place; each pass settles one link at least, so there are no more
	// passes than links.
	for passes := 0; passes < len(refs); {
		if !g.l.spend(len(refs) + len(n.inputs)) {
			return
		}
		// Anew in each pass, as inputs may have come.
		slots := make(map[string][]int, len(n.inputs))
		for i, in := range n.inputs {
			slots[in.name] = append(slots[in.name], i)
		}
		moves, removals := g.moves(refs, slots, skipped)
		if len(moves) == 0 {
			return
		}
		if !g.moveLinks(moves, removals) {
			g.skipBlocked(n, moves, removals, skipped)
			continue
		}
		passes++
		for _, k := range removals {
			n.unlinked(k)
			// Only a link that was in the way is lost: others stay at their slot, though the class's input there has another name.
			g.lost(k, n, "the class of the node has no input of that name any more")
		}
		for _, m := range moves {
			n.connectionChanged(m.slot, true, m.link)
		}
	}
}

// aligned tells that every link which the file names leads to an input of its name already.
func (n *node) aligned(docs []*slotDoc) bool {
	for _, d := range docs {
		if !d.linked {
			continue
		}
		k := n.graph.links[d.link]
		if k != nil && k.to == n.id && (k.toSlot < 0 || k.toSlot >= len(n.inputs) || n.inputs[k.toSlot].name != d.name) {
			return false
		}
	}
	return true
}

// references are in the order of the file's slots. A link may be named by several of them; then any of these inputs will do.
func (g *graph) references(n *node, docs []*slotDoc) []reference {
	var refs []reference
	at := map[*link]int{}
	for _, d := range docs {
		k := g.links[d.link]
		if !d.linked || k == nil || k.to != n.id {
			continue
		}
		i, ok := at[k]
		if !ok {
			i = len(refs)
			at[k] = i
			refs = append(refs, reference{link: k})
		}
		refs[i].names = append(refs[i].names, d.name)
	}
	return refs
}

// moves gives the links that are to move, and those in the way of them whose own input is gone.
func (g *graph) moves(refs []reference, slots map[string][]int, skipped map[*link]bool) (moves []move, removals []*link) {
	wanted := map[int]bool{}
	for _, r := range refs {
		at := r.slots(slots)
		// Nowhere to go, given up, or there already.
		if len(at) == 0 || skipped[r.link] || slices.Contains(at, r.link.toSlot) {
			continue
		}
		// Of several inputs of one name the first.
		moves = append(moves, move{r.link, at[0]})
		wanted[at[0]] = true
	}
	for _, r := range refs {
		if len(r.slots(slots)) == 0 && wanted[r.link.toSlot] && g.links[r.link.id] == r.link {
			removals = append(removals, r.link)
		}
	}
	return moves, removals
}

// slots gives the inputs of the reference's names, ascending.
func (r reference) slots(by map[string][]int) []int {
	if len(r.names) == 1 {
		return by[r.names[0]]
	}
	var out []int
	for _, name := range r.names {
		for _, i := range by[name] {
			if !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	slices.Sort(out)
	return out
}

// skipBlocked gives up on links whose new place is taken by one that does not move.
func (g *graph) skipBlocked(n *node, moves []move, removals []*link, skipped map[*link]bool) {
	part := map[*link]bool{}
	for _, m := range moves {
		part[m.link] = true
	}
	for _, k := range removals {
		part[k] = true
	}
	blocked := 0
	for _, m := range moves {
		if other := n.linkInto(m.slot); other != nil && !part[other] {
			skipped[m.link] = true
			blocked++
		}
	}
	// The rest may still move in the next pass.
	if blocked > 0 {
		return
	}
	for _, m := range moves {
		skipped[m.link] = true
	}
}

// hasChosen tells whether the node has inputs that come with the option of a dynamic combo.
func (n *node) hasChosen() bool {
	for _, in := range n.inputs {
		if group := groupOf(in.name); group != "" && n.grows[group] == nil && n.widgetNamed(group) != nil {
			return true
		}
	}
	return false
}

// realignChosen moves links before the values of dynamic combos are restored, which replace all of their inputs. Inputs that grow are left
// to the last pass.
func (n *node) realignChosen() {
	if n.graph == nil {
		return
	}
	var docs []*slotDoc
	for _, d := range n.doc.inputs {
		if group := groupOf(d.name); group == "" || n.grows[group] == nil {
			docs = append(docs, d)
		}
	}
	n.graph.realign(n, docs)
}

// groupOf is the part of an input's name before its last dot, "" if there is none.
func groupOf(name string) string {
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		return name[:dot]
	}
	return ""
}
