package vram

import (
	"fmt"
	"slices"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// latent is the size of what is sampled or decoded.
type latent struct {
	width, height float64 // pixels
	batch, frames float64
	assumed       bool // the size is not known, and that of the family is taken
}

// area counts the positions of one picture: one for 8 × 8 pixels.
func (l latent) area() float64 { return l.width * l.height / 64 }

// positions counts those of all pictures and frames.
func (l latent) positions() float64 { return l.area() * l.batch * l.frames }

func (l latent) text() string {
	s := fmt.Sprintf("%g × %g pixels", l.width, l.height)
	if l.batch > 1 {
		s += fmt.Sprintf(" in batches of %g", l.batch)
	}
	if l.frames > 1 {
		s += fmt.Sprintf(", %g latent frames", l.frames)
	}
	if l.assumed {
		s += " (assumed)"
	}
	return s
}

// latentInputs are the inputs through which latents come, in samplers and in nodes that change them.
var latentInputs = []string{"latent_image", "samples", "latent", "samples1", "samples_to"}

// maxWalk bounds the nodes that are walked back along latents.
const maxWalk = 1000

// latent walks back from a node to where its latent is made. Of inputs that vary, the largest value counts.
func (e *estimator) latent(node int, fam *family) latent {
	side := 1024.0
	if fam != nil {
		side = float64(fam.size)
	}
	l := latent{batch: 1, frames: 1}
	scale := 1.0
	for range maxWalk {
		n := &e.g.Nodes[node]
		w, h := n.Input("width"), n.Input("height")
		if l.width == 0 && w >= 0 && h >= 0 && outputs(n.Def, "LATENT") {
			l.width, l.height = e.number(node, w, side)*scale, e.number(node, h, side)*scale
		}
		if k := n.Input("scale_by"); k >= 0 && l.width == 0 {
			scale *= e.number(node, k, 1)
		}
		for _, name := range []string{"batch_size", "amount"} { // of makers, and of RepeatLatentBatch
			if k := n.Input(name); k >= 0 {
				l.batch *= max(1, e.number(node, k, 1))
			}
		}
		if k := n.Input("length"); k >= 0 && outputs(n.Def, "LATENT") {
			l.frames = 1 + (e.number(node, k, 1)-1)/4 // video latents have one for four frames
		}
		next := e.behind(node)
		if next < 0 {
			break
		}
		node = next
	}
	if l.width == 0 {
		l.width, l.height, l.assumed = side*scale, side*scale, true
	}
	return l
}

// behind gives the node from which a node takes its latent, -1 for none.
func (e *estimator) behind(node int) int {
	n := &e.g.Nodes[node]
	for k := range n.Inputs {
		in := &n.Inputs[k]
		if in.Linked() && slices.Contains(latentInputs, in.Name) && e.typeOf(in.From, in.Slot) == "LATENT" {
			return in.From
		}
	}
	return -1
}

// maxValues bounds the values that are looked at of one input.
const maxValues = 4096

// values lists what an input holds: over the sweep, or in the graph.
func (e *estimator) values(node, input int) []*source.Value {
	if e.opt.Values != nil {
		if list := e.opt.Values(node, input); len(list) > 0 {
			return list[:min(len(list), maxValues)]
		}
	}
	return []*source.Value{e.g.Nodes[node].Inputs[input].Value}
}

// number gives the largest number that an input holds; otherwise is for what is not known, such as a link.
func (e *estimator) number(node, input int, otherwise float64) float64 {
	if e.g.Nodes[node].Inputs[input].Linked() {
		return otherwise
	}
	most, found := 0.0, false
	for _, v := range e.values(node, input) {
		if f, ok := v.Float(); ok && (!found || f > most) {
			most, found = f, true
		}
	}
	if !found {
		return otherwise
	}
	return most
}

// linked tells that an input of a node is given as a link.
func (e *estimator) linked(node int, name string) bool {
	k := e.g.Nodes[node].Input(name)
	return k >= 0 && e.g.Nodes[node].Inputs[k].Linked()
}

// typed tells that some input of a node is a link of a type.
func (e *estimator) typed(node int, want string) bool {
	return slices.ContainsFunc(e.g.Nodes[node].Inputs, func(in graph.Input) bool { return in.Linked() && e.typeOf(in.From, in.Slot) == want })
}

// typeOf gives the type of an output, "" if it is not known.
func (e *estimator) typeOf(node, slot int) string {
	if def := e.g.Nodes[node].Def; def != nil && slot >= 0 && slot < len(def.Outputs) {
		return def.Outputs[slot].Type
	}
	return ""
}

// outputs tells that a class has an output of a type.
func outputs(def *nodes.Class, want string) bool {
	return def != nil && slices.ContainsFunc(def.Outputs, func(o nodes.Output) bool { return o.Type == want })
}
