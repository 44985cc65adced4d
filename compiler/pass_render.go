package compiler

import (
	"encoding/binary"

	"github.com/comfyc/comfyc/compiler/diag"
)

// render gives every coordinate its render: equal graphs are one. It is the one pass that always walks all
// coordinates; every 4096 it looks at whether it is to stop.
func (c *compilation) render() bool {
	p := c.plan
	n := p.sweep.Len()
	hashers := make([]*hasher, len(p.forms))
	for i, f := range p.forms {
		hashers[i] = newHasher(f, maxAllMemo/len(p.forms))
	}
	at := make([]int, len(p.sweep.Axes))
	p.ids = make([]RenderID, 0, n)
	known := newIDSet(n)
	for i := range n {
		if i%4096 == 0 && c.ctx.Err() != nil {
			c.list.Add(diag.Errorf("cancelled", diag.Place{}, "stopped before the plan was made"))
			return false
		}
		p.sweep.At(i, at)
		id := hashers[p.choice.form(at)].id(at)
		if r := known.find(id, p.ids); r >= 0 {
			p.share(i, r)
			continue
		}
		known.add(id, len(p.ids))
		if p.ids = append(p.ids, id); p.renderOf != nil {
			p.renderOf[i] = int32(len(p.ids) - 1)
			p.first = append(p.first, int32(i))
		}
	}
	p.finish()
	return true
}

// share lets a coordinate have the render of an earlier one. Until the first time, coordinates and renders have the same numbers, and
// no table is kept.
func (p *Plan) share(coordinate, render int) {
	if p.renderOf == nil {
		p.renderOf = make([]int32, p.sweep.Len())
		p.first = make([]int32, len(p.ids), p.sweep.Len())
		for i := range p.ids {
			p.renderOf[i], p.first[i] = int32(i), int32(i)
		}
	}
	p.renderOf[coordinate] = int32(render)
}

// idSet finds the index of an id, with four bytes for each: a table of indexes, open addressing, at most half
// full. Ids are hashes, so their own bits place them; a Go map would hold all of them a second time.
type idSet struct {
	slots []int32 // index + 1, 0 for free
	mask  uint64
}

// newIDSet makes a set for n ids; it does not grow.
func newIDSet(n int) *idSet {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &idSet{make([]int32, size), uint64(size - 1)}
}

// find gives the index of an id, -1 if it is not there.
func (s *idSet) find(id RenderID, ids []RenderID) int {
	for k := binary.LittleEndian.Uint64(id[:8]) & s.mask; s.slots[k] != 0; k = (k + 1) & s.mask {
		if i := int(s.slots[k]) - 1; ids[i] == id {
			return i
		}
	}
	return -1
}

// add enters an id that is not there yet.
func (s *idSet) add(id RenderID, index int) {
	k := binary.LittleEndian.Uint64(id[:8]) & s.mask
	for s.slots[k] != 0 {
		k = (k + 1) & s.mask
	}
	s.slots[k] = int32(index) + 1
}
