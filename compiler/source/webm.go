package source

import (
	"errors"
	"math/bits"
)

// A WebM is a tree of EBML elements (RFC 8794): an id, a length, a content, where id and length take as many bytes as their first one says.
// The tags are at Segment/Tags/Tag/SimpleTag, with a TagName and a TagString each; everything else is stepped over by its length.

var ebmlSignature = []byte{0x1a, 0x45, 0xdf, 0xa3}

// Ids of the elements of a WebM file that lead to its tags.
const (
	ebmlSegment   = 0x18538067
	ebmlTags      = 0x1254c367
	ebmlTag       = 0x7373
	ebmlSimpleTag = 0x67c8
	ebmlTagName   = 0x45a3
	ebmlTagString = 0x4487
)

// webm reads the tags of a WebM: elements of an id, a length and content, nested. Three levels lead to a tag; eight are followed, so that a file
// of segments inside segments costs at most eight passes over its bytes and no deep stack.
func (t *texts) webm(data []byte, depth int) error {
	for len(data) > 0 {
		id, rest, ok := ebmlID(data)
		if !ok {
			return errors.New("the WebM is damaged")
		}
		length, rest, ok := ebmlLength(rest)
		if !ok {
			return errors.New("the WebM is damaged")
		}
		content := rest[:min(length, uint64(len(rest)))] // a length that is not known, or too long, reaches to the end
		switch id {
		case ebmlSegment, ebmlTags, ebmlTag:
			// Deeper ones are stepped over, which is no error: their other parts may be fine.
			if depth < 8 {
				if err := t.webm(content, depth+1); err != nil {
					return err
				}
			}
		case ebmlSimpleTag:
			t.simpleTag(content)
		}
		data = rest[len(content):]
	}
	return nil
}

// simpleTag reads one tag; its name and its text may come in either order. A damaged one is passed over.
func (t *texts) simpleTag(data []byte) {
	// Of a name or a text that stands twice, the last one counts.
	var name string
	var text []byte
	for len(data) > 0 {
		id, rest, ok := ebmlID(data)
		if !ok {
			return
		}
		length, rest, ok := ebmlLength(rest)
		// Within a tag nothing may be of unknown length.
		if !ok || length > uint64(len(rest)) {
			return
		}
		switch id {
		case ebmlTagName:
			name = string(rest[:min(length, maxKey)])
		case ebmlTagString:
			text = rest[:length]
		}
		data = rest[length:]
	}
	t.put(name, text)
}

// ebmlID reads an element's id of 1 to 4 bytes, which keeps its length marker: the zero bits before its first one count the bytes that follow.
// data must not be empty.
func ebmlID(data []byte) (id uint64, rest []byte, ok bool) {
	size := bits.LeadingZeros8(data[0]) + 1
	if size > 4 || size > len(data) {
		return 0, nil, false
	}
	for _, b := range data[:size] {
		id = id<<8 | uint64(b)
	}
	return id, data[size:], true
}

// ebmlLength reads a length of 1 to 8 bytes; all ones mean that it is not known.
func ebmlLength(data []byte) (length uint64, rest []byte, ok bool) {
	if len(data) == 0 {
		return 0, nil, false
	}
	size := bits.LeadingZeros8(data[0]) + 1
	if size > 8 || size > len(data) {
		return 0, nil, false
	}
	// The marker bit is cut off, so that 0x81 is 1 and 0x40 0x02 is 2.
	length = uint64(data[0]) & (1<<(8-size) - 1)
	for _, b := range data[1:size] {
		length = length<<8 | uint64(b)
	}
	// The largest number is more than any file holds, so the callers' bounds need no case of their own for it.
	if length == 1<<(7*size)-1 {
		length = 1<<64 - 1
	}
	return length, data[size:], true
}
