package vram

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Types of links behind which the models of a sampling phase stand.
var modelLinks = []string{"MODEL", "GUIDER", "CONDITIONING", "CONTROL_NET", "MODEL_PATCH", "STYLE_MODEL", "GLIGEN"}

// inspect adds the phase that a node begins, if it begins one.
func (e *estimator) inspect(i int) {
	n := &e.g.Nodes[i]
	switch {
	case n.Def == nil:
		e.doubt("what node %s (%s) loads", n.ID, n.Class)
	case n.Def.APINode:
	case e.linked(i, "latent_image") && (e.linked(i, "model") || e.linked(i, "guider")):
		e.sampling(i)
	case e.typed(i, "CLIP") && outputs(n.Def, "CONDITIONING"):
		e.encoding(i)
	case e.linked(i, "vae") && e.linked(i, "samples"):
		e.decoding(i)
	case e.linked(i, "upscale_model"):
		e.upscaling()
	}
}

// encoding is the phase of the text encoders. Encoders of one loader run after each other and count once.
func (e *estimator) encoding(i int) {
	var weights float64
	var names []string
	for _, l := range e.loaders(i, []string{"CLIP"}, nodes.TextEncoders, nodes.Checkpoints) {
		if e.consumers[l.node] {
			return
		}
		e.consumers[l.node] = true
		for _, u := range l.uses {
			size, what := e.largest(u, func(f *file) float64 { return f.loaded(f.text) })
			weights += size
			names = append(names, what...)
		}
	}
	if weights > 0 {
		room := need{0.1 * gib, 0.3 * gib, 0.1*gib + weights/8}
		e.phases = append(e.phases, phase{"text encoders", strings.Join(names, ", "), need{weights, weights, 0}.add(room).add(overhead)})
	}
}

// sampling is a phase of a sampler: the diffusion model with all that is joined to it, and room for the latent.
func (e *estimator) sampling(i int) {
	var weights, spare float64
	var names []string
	fam := ""
	for _, l := range e.loaders(i, modelLinks, nodes.Checkpoints, nodes.DiffusionModels, nodes.LoRAs, nodes.ControlNets, nodes.StyleModels, nodes.ModelPatches) {
		for _, u := range l.uses {
			if u.kind == nodes.Checkpoints || u.kind == nodes.DiffusionModels {
				size, what := e.largest(u, func(f *file) float64 { fam = f.family; return f.loaded(f.model) * e.cast(l.node, f.bits) })
				weights += size
				names = append(names, what...)
			} else {
				// LoRAs are merged into the weights or kept beside them; control nets differ widely. Their files are not in the table.
				spare += map[string]float64{nodes.LoRAs: 0.7e9, nodes.ControlNets: 5e9}[u.kind]
				names = append(names, fmt.Sprintf("%s (size not known)", u.names[0]))
			}
		}
	}
	if weights == 0 && e.known {
		e.doubt("which model node %s samples with", e.g.Nodes[i].ID)
	}
	f := familyNamed(fam)
	if f == nil {
		return
	}
	l := e.latent(i, f)
	step := f.factor * 0.01 * (1 << 20) * 2 * l.positions() // 2 bytes a number
	room := need{step, max(step, 0.8*gib), step + weights/20}
	if e.guided(i) {
		room.high = max(2*step, 0.8*gib)
		names = append(names, "cfg above 1 runs both prompts at once if there is room")
	}
	names = append(names, l.text())
	e.phases = append(e.phases, phase{"sampling", strings.Join(names, ", "), need{weights, weights + spare, 0}.add(room).add(overhead)})
}

// cast gives the part of its stored size that a model has after weight_dtype.
func (e *estimator) cast(loader int, bits float64) float64 {
	n := &e.g.Nodes[loader]
	k := n.Input("weight_dtype")
	if k < 0 || bits <= 8 {
		return 1
	}
	for _, v := range e.values(loader, k) {
		if !strings.HasPrefix(v.Str(), "fp8") {
			return 1
		}
	}
	return 8 / min(bits, 16)
}

// guided tells that a sampler runs with and without the negative prompt.
func (e *estimator) guided(i int) bool {
	k := e.g.Nodes[i].Input("cfg")
	return k >= 0 && e.number(i, k, 1) > 1
}

// decoding is a phase of the VAE. It takes a picture at a time where memory is short, and goes on in tiles of 64 × 64 latent positions when that is
// too much too.
func (e *estimator) decoding(i int) {
	const perPosition = 2178 * 64 * 2 // bytes, as ComfyUI plans a picture decoder's memory
	var weights float64
	var names []string
	for _, l := range e.loaders(i, []string{"VAE"}, nodes.VAEs, nodes.Checkpoints) {
		for _, u := range l.uses {
			size, what := e.largest(u, func(f *file) float64 { return f.loaded(f.vae) })
			weights += size
			names = append(names, what...)
		}
	}
	if weights == 0 {
		weights = 0.17e9
	}
	l := e.latent(i, nil)
	if l.frames > 1 {
		e.unknown = append(e.unknown, "not counted: decoding a video")
		return
	}
	tile := min(l.area(), 64*64) * perPosition
	names = append(names, l.text()+", a picture at a time; in tiles if there is no room")
	e.phases = append(e.phases, phase{"decoding", strings.Join(names, ", "), need{weights + tile, weights + l.area()*perPosition, weights + tile}.add(overhead)})
}

// upscaling is a phase of an upscale model, which works in tiles of 512 × 512: ComfyUI plans 384 × 3 × 4 bytes for each pixel of the
// enlarged tile's side ratio, four times in most models.
func (e *estimator) upscaling() {
	const tile = 512 * 512 * 3 * 4 * 384.0
	e.phases = append(e.phases, phase{"upscaling by a model", "tiles of 512 × 512, 2 to 4 times larger; smaller tiles if there is no room",
		need{tile, 4*tile + 0.1e9, tile / 4}.add(overhead)})
}

// use is an input that names a model, with the names it takes.
type use struct {
	kind  string
	names []string
}

// loader is a node that loads models.
type loader struct {
	node int
	uses []use
}

// loaders finds the nodes that load models of some kinds behind a node, along links of some types.
func (e *estimator) loaders(from int, types []string, kinds ...string) (out []loader) {
	seen, queue := map[int]bool{from: true}, []int{from}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		n := &e.g.Nodes[i]
		l := loader{node: i}
		for k := range n.Inputs {
			in := &n.Inputs[k]
			if in.Linked() {
				if t := e.typeOf(in.From, in.Slot); !seen[in.From] && (t == "" || slices.Contains(types, t)) {
					seen[in.From] = true
					queue = append(queue, in.From)
				}
				continue
			}
			if kind := nodes.ModelKind(n.Class, in.Name); slices.Contains(kinds, kind) {
				l.uses = append(l.uses, use{kind, texts(e.values(i, k))})
			}
		}
		if len(l.uses) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// largest gives the largest size among the models that an input takes, and what it is, in words.
func (e *estimator) largest(u use, size func(*file) float64) (float64, []string) {
	most, what := 0.0, []string(nil)
	for _, name := range u.names {
		f, sure := e.find(u.kind, name)
		if f == nil {
			e.doubt("the size of %s", name)
			continue
		}
		if s := size(f); s > most {
			most, what = s, []string{fmt.Sprintf("%s %s GB", name, tenths(s))}
			if !sure {
				what[0] += " (by its name a " + f.family + ")"
			}
		}
	}
	return most, what
}

// find is [find] for either name of a file, the graph's own first.
func (e *estimator) find(kind, name string) (*file, bool) {
	f, sure := find(kind, name)
	alias, ok := e.opt.Aliases[name]
	if sure || !ok {
		return f, sure
	}
	if g, sure := find(kind, alias); sure || f == nil {
		return g, sure
	}
	return f, false
}

// texts gives the strings among some values.
func texts(list []*source.Value) (out []string) {
	for _, v := range list {
		if v.Kind == source.String && v.Text != "" && v.Text != "none" && v.Text != "None" {
			out = append(out, v.Text)
		}
	}
	return out
}
