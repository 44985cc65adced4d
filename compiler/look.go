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

// inputRef is an input of the shared graph.
type inputRef struct{ node, index int }

// look says which inputs are worth showing. It is found once: all renders share the graph.
type look struct {
	positive, negative []inputRef
	seed               *inputRef
	names              []string
	settings           []inputRef
}

// shown are the inputs of interest, in the order in which they are read; of each name the one nearest to the output counts.
var shown = []string{
	"steps", "cfg", "guidance", "sampler_name", "scheduler", "denoise", "width", "height", "batch_size",
	"ckpt_name", "unet_name", "weight_dtype", "vae_name", "clip_name", "clip_name1", "clip_name2", "lora_name", "strength_model",
	"control_net_name", "strength", "model_name", "shift", "max_shift", "base_shift", "scale_by", "upscale_method", "blend_mode", "blend_factor",
}

// newLook walks back from the first output.
func newLook(p *Plan) look {
	var l look
	back := backwards(p.graph, p.outputs[0].node)
	nearest := func(names ...string) *inputRef {
		for _, i := range back {
			for _, name := range names {
				if k := p.graph.Nodes[i].Input(name); k >= 0 && p.literal(i, k) {
					return &inputRef{i, k}
				}
			}
		}
		return nil
	}
	l.seed = nearest("seed", "noise_seed")
	for _, name := range shown {
		if ref := nearest(name); ref != nil {
			l.names, l.settings = append(l.names, name), append(l.settings, *ref)
		}
	}
	l.positive, l.negative = p.texts(back, "positive"), p.texts(back, "negative")
	if l.positive == nil {
		l.positive = p.texts(back, "conditioning")
	}
	if l.positive == nil {
		if ref := nearest("prompt", "text", "positive_prompt"); ref != nil {
			l.positive = []inputRef{*ref}
		}
	}
	return l
}

// literal tells that an input holds a value, of the workflow or of the batch.
func (p *Plan) literal(node, index int) bool {
	return p.values.find(node, index) != nil || !isLink(&p.graph.Nodes[node].Inputs[index])
}

// backwards lists the nodes behind an output, the nearest first.
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

// texts finds the prompts behind the nearest input of a name that comes from another node.
func (p *Plan) texts(back []int, name string) []inputRef {
	for _, i := range back {
		n := &p.graph.Nodes[i]
		if k := n.Input(name); k >= 0 && n.Inputs[k].Linked() {
			var out []inputRef
			p.collectTexts(n.Inputs[k].From, n.Inputs[k].Slot, map[int]bool{}, &out)
			return out
		}
	}
	return nil
}

// textInputs are the inputs of encoders and of text nodes that hold a prompt.
var textInputs = []string{"text", "clip_l", "t5xxl", "text_g", "text_l", "prompt", "value", "string"}

// collectTexts follows conditioning back to its texts. A zeroed conditioning has none.
func (p *Plan) collectTexts(node, slot int, seen map[int]bool, out *[]inputRef) {
	n := &p.graph.Nodes[node]
	if seen[node] || n.Class == "ConditioningZeroOut" {
		return
	}
	seen[node] = true
	for k := range n.Inputs {
		in := &n.Inputs[k]
		isText := slices.Contains(textInputs, in.Name)
		switch {
		case isText && p.literal(node, k):
			if v := in.Value; v.Kind == source.String {
				*out = append(*out, inputRef{node, k})
			}
		case !in.Linked():
		case isText || strings.HasPrefix(in.Name, "conditioning"),
			in.Name == "positive" && slot == 0, in.Name == "negative" && slot == 1:
			p.collectTexts(in.From, in.Slot, seen, out)
		}
	}
}

// Params gives what galleries show of a render: prompts, seed and settings in the order in which they are to be read.
func (p *Plan) Params(render int) Params {
	at := p.at(render)
	out := Params{Positive: p.joined(p.looks.positive, at), Negative: p.joined(p.looks.negative, at), Seed: p.looks.seedAt(p, at)}
	for i, ref := range p.looks.settings {
		if v := p.input(ref.node, ref.index, at); v != nil {
			out.Settings = append(out.Settings, Param{p.looks.names[i], sweep.Text(v)})
		}
	}
	return out
}

// joined gives the texts of some inputs, equal ones once, a line each.
func (p *Plan) joined(refs []inputRef, at []int) string {
	var out []string
	for _, ref := range refs {
		if v := p.input(ref.node, ref.index, at); v != nil && v.Text != "" && !slices.Contains(out, v.Text) {
			out = append(out, v.Text)
		}
	}
	return strings.Join(out, "\n")
}

// seedAt gives the seed nearest to the output as decimal text, "" if there is none.
func (l *look) seedAt(p *Plan, at []int) string {
	if l.seed == nil {
		return ""
	}
	if v := p.input(l.seed.node, l.seed.index, at); v != nil {
		return sweep.Text(v)
	}
	return ""
}
