package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// replacement says how a server rewrites a node of a class that it has no longer, before anything is
// validated. Inputs that no mapping names are dropped.
type replacement struct {
	from, to string
	inputs   []mapping
}

// mapping fills an input of the new node: from an input of the old one, or by a value (set, if from is "").
type mapping struct{ to, from, set string }

// replacements are those that ComfyUI 0.26.0 registers itself. Each changes a prompt only if the server lacks the old class and has the new one.
var replacements = []replacement{
	{"ResizeImagesByLongerEdge", "ImageScaleToMaxDimension", []mapping{
		{to: "image", from: "images"}, {to: "largest_size", from: "longer_edge"}, {to: "upscale_method", set: "lanczos"}}},
	{"ImageBatch", "BatchImagesNode", []mapping{{to: "images.image0", from: "image1"}, {to: "images.image1", from: "image2"}}},
	{"ImageScaleBy", "ResizeImageMaskNode", []mapping{{to: "input", from: "image"}, {to: "resize_type", set: "scale by multiplier"},
		{to: "resize_type.multiplier", from: "scale_by"}, {to: "scale_method", from: "upscale_method"}}},
	{"T2IAdapterLoader", "ControlNetLoader", []mapping{{to: "control_net_name", from: "t2i_adapter_name"}}},
	{"Load3DAnimation", "Load3D", nil},
	{"Preview3DAnimation", "Preview3D", nil},
	{"SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning", nil},
	{"ConditioningAverage ", "ConditioningAverage", nil},
}

// replace rewrites nodes of old classes. A server needs the node's _meta and every input that is mapped;
// without them it fails with status 500, and the prompt is malformed.
func (b *builder) replace() bool {
	var t troubles
	for i := range b.g.Nodes {
		n := &b.g.Nodes[i]
		if len(n.Class) == 0 || n.Value.Get("inputs") == nil || b.cat.Has(n.Class) {
			continue
		}
		if r := b.replacementOf(n.Class); r != nil {
			t.add(b.rewrite(n, r))
		}
	}
	return b.stopped(t)
}

// replacementOf finds the replacement for a class that the catalogue lacks, if it has the successor.
func (b *builder) replacementOf(class string) *replacement {
	for i := range replacements {
		if r := &replacements[i]; r.from == class && b.cat.Has(r.to) {
			return r
		}
	}
	return nil
}

// rewrite turns a node into one of the new class. Values and links keep their places in the file.
func (b *builder) rewrite(n *Node, r *replacement) (diag.Diagnostic, bool) {
	if meta := n.Value.Get("_meta"); meta == nil || meta.Kind != source.Object && meta.Kind != source.Array {
		return n.malformed(n.Key, "node %s of the old class %s has no _meta, which a server needs to replace it by %s", n.ID, r.from, r.to), true
	}
	inputs := make([]Input, 0, len(r.inputs))
	for _, m := range r.inputs {
		in := Input{Name: m.to, From: -1, Key: n.Key}
		if m.from == "" {
			in.Value = source.NewString(m.set).At(n.Value.Get("class_type"))
		} else {
			old := n.Input(m.from)
			if old < 0 {
				return n.malformed(n.Key, "node %s of the old class %s lacks the input %q, which a server needs to replace it by %s",
					n.ID, r.from, m.from, r.to), true
			}
			in.Value, in.Key = n.Inputs[old].Value, n.Inputs[old].Key
		}
		inputs = append(inputs, in)
	}
	b.lints = append(b.lints, diag.Warnf("replaced_class", diag.Of(n.Value.Get("class_type")),
		"class %s of node %s is no longer there and is replaced by %s", r.from, n.ID, r.to).About(n.ID, ""))
	n.Class, n.Inputs = r.to, inputs
	return diag.Diagnostic{}, false
}
