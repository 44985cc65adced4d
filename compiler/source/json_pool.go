package source

// pool gives out values, items and members from larger pieces of memory. What lies in one piece is freed together, so a pool serves one file.
type pool struct {
	freeValues  []Value
	freeItems   []*Value
	freeMembers []Member
}

// maxChunk keeps a piece of values within 32 KiB, up to which Go's allocator has lists of its own: 340 values of 96 bytes are 32,640.
const maxChunk = 340

// bytesPerValue is about what a value takes in a file that was written for machines. It is only a guess at how large the next piece should be:
// too low wastes a part of the last piece, too high makes one piece more.
const bytesPerValue = 20

// newValue makes a value; rest is the number of bytes that are still to be read, from which the next piece is guessed.
func (p *pool) newValue(rest int) *Value {
	if len(p.freeValues) == 0 {
		p.freeValues = make([]Value, min(rest/bytesPerValue+1, maxChunk))
	}
	v := &p.freeValues[0]
	p.freeValues = p.freeValues[1:]
	return v
}

// keepItems copies the items of an array that is complete. rest is as in newValue.
func (p *pool) keepItems(items []*Value, rest int) []*Value {
	n := len(items)
	if n == 0 {
		return nil
	}
	if n > len(p.freeItems) {
		p.freeItems = make([]*Value, n+min(rest/(2*bytesPerValue), maxChunk))
	}
	// The capacity ends with the items: whoever appends to them gets a copy, and never writes over the neighbour's.
	out := p.freeItems[:n:n]
	p.freeItems = p.freeItems[n:]
	copy(out, items)
	return out
}

// keepMembers copies those members of a complete object whose values are kept.
// kept is their number, at most len(members); nil is given for 0, as for an object that is empty.
func (p *pool) keepMembers(members []Member, kept, rest int) []Member {
	if kept == 0 {
		return nil
	}
	if kept > len(p.freeMembers) {
		p.freeMembers = make([]Member, kept+min(rest/(2*bytesPerValue), maxChunk))
	}
	out := p.freeMembers[:0:kept]
	p.freeMembers = p.freeMembers[kept:]
	if kept == len(members) {
		return append(out, members...)
	}
	for i := range members {
		if members[i].Value != &left {
			out = append(out, members[i])
		}
	}
	return out
}
