package compiler

// OutputIDs names what each output of a render computes, by the id of its node: the hash that the
// render's id is made of. Equal outputs have equal names in all workflows, whatever the ids of their
// nodes; so files of one workflow's render can be told apart for another's. It hashes one render without
// tables, and may be called from many goroutines.
func (p *Plan) OutputIDs(render int) map[string][32]byte {
	at := p.at(render)
	f := p.formAt(at)
	h := newHasher(f, 0)
	h.id(at)
	out := make(map[string][32]byte, len(f.outputs))
	for i, k := range h.owed {
		out[f.graph.Nodes[f.outputs[i].node].ID] = h.now[k]
	}
	return out
}
