// Ids. Nodes and links of the workflow and of all definitions have one space of ids, so an id that a definition shares with the workflow, or
// with an earlier definition, is given anew: last_node_id is counted up. A node 5 in the workflow and a node 5 in a definition, with
// last_node_id 12, become 5 and 13, and the flattened id is 12:13 if the instance is 12. Links inside and proxyWidgets of instances follow.

package lower

import (
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
)

// renumber makes ids unique over the whole workflow: a definition's node or link whose id is taken by the workflow, or by an earlier
// definition, gets the next free one. Of several links into one input one is kept.
func (l *lowering) renumber() {
	// The workflow's own ids are never changed: they are what findings, titles and outputs are known by.
	l.dedupeLinks(l.doc)
	l.defs = l.uniqueDefinitions()
	for _, d := range l.defs {
		// Within a definition a double is dropped without a word; in the workflow it gets a new id (makeNodes).
		d.nodes, d.links = firstNodes(d.nodes), firstLinks(d.links)
		l.dedupeLinks(d)
	}
	// proxyWidgets of instances name inner nodes by their ids of before.
	maps := l.renumberNodes()
	for _, d := range append([]*graphDoc{l.doc}, l.defs...) {
		for _, n := range d.nodes {
			if ids := maps[n.class]; ids != nil {
				n.patchProxies(ids)
			}
		}
	}
	l.renumberLinks()
}

// uniqueDefinitions keeps the first of definitions with the same id.
func (l *lowering) uniqueDefinitions() []*graphDoc {
	// The same definition may be listed at two levels.
	seen := map[string]bool{}
	var out []*graphDoc
	for _, d := range l.defs {
		if seen[d.id] {
			l.found.Add(diag.Warnf("duplicate_subgraph", diag.Of(d.src), "subgraph id %q is used twice; the first definition counts", d.id))
			continue
		}
		seen[d.id] = true
		out = append(out, d)
	}
	return out
}

// firstNodes keeps the first of a definition's nodes with the same id.
func firstNodes(list []*nodeDoc) []*nodeDoc {
	seen := make(map[string]bool, len(list))
	out := list[:0:0]
	for _, n := range list {
		if !seen[n.id] {
			seen[n.id] = true
			out = append(out, n)
		}
	}
	return out
}

// firstLinks keeps the first of a definition's links with the same id.
func firstLinks(list []*linkDoc) []*linkDoc {
	seen := make(map[int]bool, len(list))
	out := list[:0:0]
	for _, k := range list {
		if !seen[k.id] {
			seen[k.id] = true
			out = append(out, k)
		}
	}
	return out
}

// dedupeLinks keeps one of several links into one input: the first, unless only another one is named by the inputs of the nodes.
func (l *lowering) dedupeLinks(d *graphDoc) {
	named := map[int]bool{}
	for _, n := range d.nodes {
		for _, in := range n.inputs {
			if in.linked {
				named[in.link] = true
			}
		}
	}
	at := make(map[slotRef]int, len(d.links))
	survivor := map[int]int{}
	var kept []*linkDoc
	for _, k := range d.links {
		// A later link from the very same output is a copy, and falls away without a warning.
		ref := slotRef{k.to, k.toSlot}
		i, taken := at[ref]
		if !taken {
			at[ref] = len(kept)
			kept = append(kept, k)
			continue
		}
		first := kept[i]
		same := first.from == k.from && first.fromSlot == k.fromSlot
		// The node's own input says which of two links it had when it was saved.
		if !same && named[k.id] && !named[first.id] {
			kept[i] = k
			first, k = k, first
		}
		// Whoever names the dropped link means the one that is kept.
		survivor[k.id] = first.id
		if !same {
			l.found.Add(diag.Warnf("competing_links", diag.Of(k.src), "two links lead to input %d of node %s; link %d is dropped", k.toSlot, k.to, k.id).
				About(k.to, "").Noted(diag.Of(first.src), "link %d is kept", first.id))
		}
	}
	if len(kept) != len(d.links) {
		d.links = kept
		for id, to := range survivor {
			for range 8 { // a chain is at most two long, unless ids are used twice
				next, more := survivor[to]
				if !more || next == to {
					break
				}
				to = next
			}
			survivor[id] = to
		}
		d.renameLinks(survivor)
	}
}

// renameLinks replaces link ids wherever the document names them.
func (d *graphDoc) renameLinks(ids map[int]int) {
	for _, n := range d.nodes {
		for _, in := range n.inputs {
			if id, ok := ids[in.link]; ok && in.linked {
				in.link = id
			}
		}
	}
	for _, list := range [][]*portDoc{d.inputs, d.outputs} {
		for _, p := range list {
			p.rename(ids)
		}
	}
}

// rename also drops ids that become equal, since one link counts once.
func (p *portDoc) rename(ids map[int]int) {
	seen := make(map[int]bool, len(p.links))
	out := p.links[:0:0]
	for _, id := range p.links {
		if to, ok := ids[id]; ok {
			id = to
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	p.links = out
}

// renumberNodes gives new ids to a definition's nodes whose ids are taken. It gives the changes by definition.
func (l *lowering) renumberNodes() map[string]map[string]string {
	used := make(map[string]bool, len(l.doc.nodes))
	for _, n := range l.doc.nodes {
		// Not observed: the counter of the file holds, even if it is below the ids in use.
		used[n.id] = true
	}
	changes := map[string]map[string]string{}
	for _, d := range l.defs {
		ids := map[string]string{}
		for _, n := range d.nodes {
			if !used[n.id] {
				used[n.id] = true
				l.observe(n.id)
				continue
			}
			ids[n.id] = l.nextFree(used)
			n.id = ids[n.id]
			used[n.id] = true
		}
		if len(ids) > 0 {
			changes[d.id] = ids
			d.patchLinks(ids)
		}
	}
	return changes
}

// nextFree counts on to the next id that is not used.
func (l *lowering) nextFree(used map[string]bool) string {
	for {
		l.lastNode++
		if id := strconv.Itoa(l.lastNode); !used[id] {
			return id
		}
	}
}

func (d *graphDoc) patchLinks(ids map[string]string) {
	for _, k := range d.links {
		if id, ok := ids[k.from]; ok {
			k.from = id
		}
		if id, ok := ids[k.to]; ok {
			k.to = id
		}
	}
}

func (n *nodeDoc) patchProxies(ids map[string]string) {
	for i := range n.proxy {
		if id, ok := ids[n.proxy[i].node]; ok {
			n.proxy[i].node = id
		}
	}
}

// renumberLinks gives new ids to a definition's links whose ids are taken by the workflow or by earlier definitions.
func (l *lowering) renumberLinks() {
	used := make(map[int]bool, len(l.doc.links))
	for _, k := range l.doc.links {
		used[k.id] = true
		l.lastLink = max(l.lastLink, k.id)
	}
	for _, d := range l.defs {
		ids := map[int]int{}
		for _, k := range d.links {
			if !used[k.id] {
				used[k.id] = true
				l.lastLink = max(l.lastLink, k.id)
				continue
			}
			// Ids of links are told nowhere outside of the file, so any free one will do.
			for l.lastLink++; used[l.lastLink]; l.lastLink++ {
			}
			ids[k.id] = l.lastLink
			k.id = l.lastLink
			used[k.id] = true
		}
		if len(ids) > 0 {
			d.renameLinks(ids)
		}
	}
}
