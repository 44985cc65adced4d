// Memory. A conversion of a workflow with thousands of nodes makes some hundred thousand small things. They are cut from pieces of 64 and more,
// and the pieces serve the next conversion. What goes into the prompt is never among them (made), since its owner keeps it.

package lower

import (
	"sync"

	"github.com/comfyc/comfyc/compiler/source"
)

// slab gives out values that lie beside each other: one call of the allocator for many. What it gave out is freed together, or used again
// after reset.
type slab[T any] struct {
	pieces [][]T // all that were allocated, used up to the one at
	at     int
	free   []T // what is left of the piece in use
}

// pieceSize is the number of values in a piece of memory.
const pieceSize = 64

// make gives a zero value.
func (s *slab[T]) make() *T {
	if len(s.free) == 0 {
		s.next(1)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}

// list gives a slice of n zero values that has no room to grow.
func (s *slab[T]) list(n int) []T {
	if n > len(s.free) {
		s.next(n)
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

// next goes on to a piece that has room for n values.
func (s *slab[T]) next(n int) {
	for s.at < len(s.pieces) {
		s.free = s.pieces[s.at]
		s.at++
		if len(s.free) >= n {
			return
		}
	}
	s.free = make([]T, max(n, pieceSize))
	s.pieces = append(s.pieces, s.free)
	s.at = len(s.pieces)
}

// reset takes back all that was given out.
func (s *slab[T]) reset() {
	// Cleared now and not when it is used again, so that a room which waits holds on to nothing of a file.
	for _, piece := range s.pieces[:s.at] {
		clear(piece)
	}
	s.at, s.free = 0, nil
}

// size is the number of pieces.
func (s *slab[T]) size() int { return len(s.pieces) }

// room is where the many small things of a conversion lie that nobody sees from outside. It is used again by later conversions.
type room struct {
	ends       slab[ends]
	links      slab[link]
	linkRefs   slab[*link]
	outs       slab[outs]
	nodes      slab[node]
	inputs     slab[input]
	inputRefs  slab[*input]
	outputs    slab[output]
	outputRefs slab[*output]
	widgets    slab[widget]
	widgetRefs slab[*widget]
	nodeDocs   slab[nodeDoc]
	slotDocs   slab[slotDoc]
	slotRefs   slab[*slotDoc]
	linkDocs   slab[linkDoc]
	flat       slab[flatNode]
	flatRefs   slab[*flatNode]
	ints       slab[int]
}

// rooms are those that are not in use.
var rooms = sync.Pool{New: func() any { return new(room) }}

// maxRoom is the number of pieces of one kind up to which a room is kept: what one very large workflow needed is not held for small ones.
const maxRoom = 64

// release gives the room back. Nothing that lies in it may be used any more.
func (r *room) release() {
	if max(r.widgets.size(), r.inputs.size(), r.slotDocs.size(), r.nodes.size(), r.links.size(), r.flat.size(), r.linkDocs.size(), r.ints.size()) > maxRoom {
		return
	}
	r.ends.reset()
	r.links.reset()
	r.linkRefs.reset()
	r.outs.reset()
	r.nodes.reset()
	r.inputs.reset()
	r.inputRefs.reset()
	r.outputs.reset()
	r.outputRefs.reset()
	r.widgets.reset()
	r.widgetRefs.reset()
	r.nodeDocs.reset()
	r.slotDocs.reset()
	r.slotRefs.reset()
	r.linkDocs.reset()
	r.flat.reset()
	r.flatRefs.reset()
	r.ints.reset()
	rooms.Put(r)
}

// made is where the prompt's own values lie.
type made struct {
	values  slab[source.Value]
	members slab[source.Member]
	items   slab[*source.Value]
}

// at is [source.Value.At] without a call of the allocator.
func (m *made) at(v, place *source.Value) *source.Value {
	out := m.values.make()
	*out = *v
	if place != nil {
		out.File, out.Start, out.End = place.File, place.Start, place.End
	}
	return out
}

// text makes a text at a place of the file.
func (m *made) text(s string, place *source.Value) *source.Value {
	out := m.values.make()
	out.Kind, out.Text = source.String, s
	out.File, out.Start, out.End = place.File, place.Start, place.End
	return out
}

// object makes an object of members at a place of the file.
func (m *made) object(place *source.Value, members []source.Member) *source.Value {
	out := m.values.make()
	out.Kind, out.Members = source.Object, members
	out.File, out.Start, out.End = place.File, place.Start, place.End
	return out
}

// sameText is a text of the file if it has the content, else one that is made for the place.
func (m *made) sameText(v *source.Value, text string, place *source.Value) *source.Value {
	if isString(v, text) {
		return v
	}
	return m.text(text, place)
}
