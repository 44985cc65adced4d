// What a gallery shows of a picture: the prompts, the seed and the settings. A workflow does not say
// which of its texts is the prompt, so they are found as a person would: back from the output to the
// nearest sampler, and from its positive input to a text.

package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// Params are what a gallery says of a render.
type Params struct {
	Positive, Negative string // the prompts, found by walking back from the sampler; "" if there are none
	Seed               string // decimal text
	Settings           []Param
}

// Param is one setting as text.
type Param struct{ Name, Value string }

// inputRef is an input of a form's graph.
type inputRef struct{ node, index int }

// look says which inputs are worth showing. It is found once for each form; the values are read for each
// render.
type look struct {
	positive, negative []inputRef // of the conditioning's texts, in the order in which they are found
	seed               *inputRef  // nil if there is none
	names              []string   // of the settings, likewise
	settings           []inputRef
}

// shown are the inputs of interest, in the order in which they are read; of each name the one nearest to the output counts.
var shown = []string{
	"steps", "cfg", "guidance", "sampler_name", "scheduler", "denoise", "width", "height", "batch_size",
	"ckpt_name", "unet_name", "weight_dtype", "vae_name", "clip_name", "clip_name1", "clip_name2", "lora_name", "strength_model",
	"control_net_name", "strength", "model_name", "shift", "max_shift", "base_shift", "scale_by", "upscale_method", "blend_mode", "blend_factor",
}

// newLook walks back from the first output that is owed.
func newLook(f *form) look {
	var l look
	back := backwards(f.graph, f.outputs[0].node)
	nearest := func(names ...string) *inputRef {
		for _, i := range back {
			for _, name := range names {
				if k := f.graph.Nodes[i].Input(name); k >= 0 && f.literal(i, k) {
					return &inputRef{i, k}
				}
			}
		}
		return nil
	}
	l.seed = nearest("seed", "noise_seed") // KSampler and KSamplerAdvanced call it differently
	for _, name := range shown {
		if ref := nearest(name); ref != nil {
			l.names, l.settings = append(l.names, name), append(l.settings, *ref)
		}
	}
	l.positive, l.negative = f.texts(back, "positive"), f.texts(back, "negative")
	// Guiders and some samplers have one conditioning, and paid services have a prompt and no
	// conditioning at all.
	if l.positive == nil {
		l.positive = f.texts(back, "conditioning")
	}
	if l.positive == nil {
		if ref := nearest("prompt", "text", "positive_prompt"); ref != nil {
			l.positive = []inputRef{*ref}
		}
	}
	return l
}

// backwards lists the nodes behind an output, the nearest first: a breadth-first search along the links.
func backwards(g *graph.Graph, output int) []int {
	out := []int{output}
	seen := map[int]bool{output: true}
	for at := 0; at < len(out); at++ {
		for k := range g.Nodes[out[at]].Inputs {
			if from := g.Nodes[out[at]].Inputs[k].From; from >= 0 && !seen[from] {
				seen[from] = true
				out = append(out, from)
			}
		}
	}
	return out
}

// texts finds the prompts behind the nearest input of a name that comes from another node; nil if there
// is no such input.
func (f *form) texts(back []int, name string) []inputRef {
	for _, i := range back {
		n := &f.graph.Nodes[i]
		if k := n.Input(name); k >= 0 && n.Inputs[k].Linked() {
			var out []inputRef
			f.collectTexts(n.Inputs[k].From, n.Inputs[k].Slot, map[int]bool{}, &out)
			return out
		}
	}
	return nil
}

// textInputs are the inputs of encoders and of text nodes that hold a prompt.
var textInputs = []string{"text", "clip_l", "t5xxl", "text_g", "text_l", "prompt", "value", "string"}

// collectTexts follows conditioning back to its texts. A zeroed conditioning has none. Nodes that pass
// both on (ControlNetApplyAdvanced) give positive as slot 0 and negative as slot 1, so the slot says
// which side to follow.
func (f *form) collectTexts(node, slot int, seen map[int]bool, out *[]inputRef) {
	n := &f.graph.Nodes[node]
	if seen[node] || n.Class == "ConditioningZeroOut" {
		return
	}
	seen[node] = true
	for k := range n.Inputs {
		in := &n.Inputs[k]
		isText := slices.Contains(textInputs, in.Name)
		switch {
		case isText && f.literal(node, k):
			if v := in.Value; v.Kind == source.String {
				*out = append(*out, inputRef{node, k})
			}
		case !in.Linked():
		case isText || strings.HasPrefix(in.Name, "conditioning"),
			in.Name == "positive" && slot == 0, in.Name == "negative" && slot == 1:
			f.collectTexts(in.From, in.Slot, seen, out)
		}
	}
}

// Params gives what galleries show of a render: prompts, seed and settings in the order in which they are to be read.
func (p *Plan) Params(render int) Params {
	at := p.at(render)
	f := p.formAt(at)
	out := Params{Positive: f.joined(f.looks.positive, at), Negative: f.joined(f.looks.negative, at), Seed: f.seedAt(at)}
	for i, ref := range f.looks.settings {
		if v := f.input(ref.node, ref.index, at); v != nil {
			out.Settings = append(out.Settings, Param{f.looks.names[i], sweep.Text(v)})
		}
	}
	return out
}

// joined gives the texts of some inputs, equal ones once, a line each.
func (f *form) joined(refs []inputRef, at []int) string {
	var out []string
	for _, ref := range refs {
		if v := f.input(ref.node, ref.index, at); v != nil && v.Text != "" && !slices.Contains(out, v.Text) {
			out = append(out, v.Text)
		}
	}
	return strings.Join(out, "\n")
}

// seedAt gives the seed nearest to the output as decimal text, "" if there is none.
func (f *form) seedAt(at []int) string {
	seed := f.looks.seed
	if seed == nil {
		return ""
	}
	if v := f.input(seed.node, seed.index, at); v != nil {
		return sweep.Text(v)
	}
	return ""
}
