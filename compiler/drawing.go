package compiler

import (
	"encoding/json"
	"slices"

	"github.com/comfyc/comfyc/compiler/source"
)

// A drawing is the workflow as the editor saved it, with the values of one render written over those of the file. The conversion to API form keeps for
// each value its place in the file, so it is a matter of bytes: what stands there is left out, and the render's value put in. Positions, groups,
// notes and colours stay as they are.

// maxDrawing bounds the drawing's bytes: what is larger goes without, as it would travel with every job.
const maxDrawing = 4 << 20

// keepDrawing remembers a workflow that the editor saved, if its text is JSON of a bearable size. The
// check of the text keeps out files of the lenient kind, in which patching bytes could end in something
// else.
func (c *compilation) keepDrawing(root *source.Value) {
	inner := unwrap(root)
	if !isUI(inner) || inner.File == nil || inner.End-inner.Start > maxDrawing || !json.Valid(inner.File.Data[inner.Start:inner.End]) {
		return
	}
	c.drawing = inner
}

// Drawing gives the editor's form of a render, so that a picture of it can be opened in ComfyUI as its author drew it. It is nil if the workflow was
// written in API form or made by a script, and where a value of the batch has no widget in the file that could show it.
func (p *Plan) Drawing(render int) []byte {
	if p.drawing == nil || render < 0 || render >= p.Len() {
		return nil
	}
	at := p.at(render)
	f := p.formAt(at)
	var patches []patch // all values are made before any byte is copied, as one without a widget spoils the whole
	for i := range f.values.slots {
		s := &f.values.slots[i]
		to, ok := p.widget(f, s)
		if !ok {
			return nil
		}
		to.text = f.values.value(s, at).AppendJSON(nil)
		patches = append(patches, to)
	}
	return p.patched(patches)
}

// patch is a value that takes the place of some bytes of the file.
type patch struct {
	start, end int
	text       []byte
}

// widget finds the place of a slot's own value: a scalar in the drawing's text. What is a link, or comes from the class, stands nowhere.
func (p *Plan) widget(f *form, s *slot) (patch, bool) {
	n := &f.written.Nodes[s.node]
	k := n.Input(f.graph.Nodes[s.node].Inputs[s.index].Name)
	if k < 0 || n.Inputs[k].Linked() || n.Inputs[k].Value == nil {
		return patch{}, false
	}
	v := n.Inputs[k].Value
	inside := v.File == p.drawing.File && v.Start >= p.drawing.Start && v.End <= p.drawing.End && v.Start < v.End
	if !inside || v.Kind == source.Object || v.Kind == source.Array {
		return patch{}, false
	}
	text := v.File.Data[v.Start:v.End]
	return patch{start: v.Start, end: v.End}, text[0] != '{' && text[0] != '[' && json.Valid(text)
}

// patched writes the drawing with its patches; nil if two of them want different things in one place, as
// when a promoted value was set apart for two inner inputs.
func (p *Plan) patched(patches []patch) []byte {
	slices.SortStableFunc(patches, func(a, b patch) int { return a.start - b.start })
	data, at := p.drawing.File.Data, p.drawing.Start
	out := make([]byte, 0, p.drawing.End-at+64*len(patches))
	for i, to := range patches {
		if i > 0 && to.start == patches[i-1].start {
			if string(to.text) != string(patches[i-1].text) {
				return nil
			}
			continue
		}
		out = append(append(out, data[at:to.start]...), to.text...)
		at = to.end
	}
	return append(out, data[at:p.drawing.End]...)
}
