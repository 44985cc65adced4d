package sweep

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// packedFrom is the number of values above which ranges and seeds are kept in the compact form; up to it,
// values that can be pointed at and looked up are worth their memory.
const packedFrom = 10_000

// packed holds many numbers as one text: a million seeds take 20 MB so, and 150 MB as values of a tree. A
// nil packed has no values.
type packed struct {
	text []byte     // the decimal texts one behind the other, without separators
	ends []uint32   // where each text ends; a million of about a hundred bytes at most, so 32 bits do
	at   diag.Place // of the specification, which is the place of every value
}

// pack joins texts; all of them have the place of the specification.
func pack(texts []string, spec *source.Value) *packed {
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	p := &packed{text: make([]byte, 0, size), ends: make([]uint32, len(texts)), at: diag.Of(spec)}
	for i, t := range texts {
		p.text = append(p.text, t...)
		p.ends[i] = uint32(len(p.text))
	}
	return p
}

func (p *packed) len() int {
	if p == nil {
		return 0
	}
	return len(p.ends)
}

// value makes the i-th value; a new one each time. Its label is its text.
func (p *packed) value(i int) Value {
	start := uint32(0)
	if i > 0 {
		start = p.ends[i-1]
	}
	text := string(p.text[start:p.ends[i]])
	return Value{&source.Value{Kind: source.Number, Text: text, File: p.at.File, Start: p.at.Start, End: p.at.End}, text}
}
