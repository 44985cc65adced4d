// From renders to a job. A job of one render keeps the ids of its nodes, so that a worker's messages can
// be read beside the workflow; in a job of several, nodes are merged by the hash of what they compute,
// and Origin leads back.

package compiler

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// MaxFused is the number of renders that one job may hold. It bounds what is lost when a job fails, and
// keeps fused prompts below the sizes that platforms take.
const MaxFused = 64

// Job makes what is sent for one render, or for several merged into one graph. It holds only the nodes that owed outputs need, equal ones once
// (see [Reduction]), names uploaded files by their content, and gives every owed output a prefix of its own, by which its files are told from all
// others. The nodes of a single render keep their ids; those of several get new ones. The error is for indexes that are wrong or too many.
func (p *Plan) Job(renders ...int) (*Job, error) {
	if len(renders) == 0 || len(renders) > MaxFused {
		return nil, fmt.Errorf("a job holds 1 to %d renders, not %d", MaxFused, len(renders))
	}
	e := &emitter{plan: p, job: &Job{Renders: slices.Clone(renders)}, classes: map[string]bool{}, models: map[string]bool{}, files: map[string]bool{}}
	if len(renders) > 1 {
		e.hashers, e.shared, e.job.Origin = map[*form]*hasher{}, map[digest]string{}, map[string]string{}
	}
	for k, r := range renders {
		if r < 0 || r >= p.Len() || slices.Contains(renders[:k], r) {
			return nil, fmt.Errorf("there is no render %d in this plan, or it is named twice", r)
		}
		e.render(r)
	}
	e.finish()
	if p.drawing != nil && len(renders) == 1 {
		e.job.Workflow = func() []byte { return p.Drawing(e.job.Renders[0]) }
	}
	return e.job, nil
}

// emitter collects the nodes of one job.
type emitter struct {
	*form  // of the render at hand
	plan   *Plan
	job    *Job
	prompt source.Value
	at     []int          // axis values of the render at hand
	ids    map[int]string // node → id in the job, for the render at hand

	hashers map[*form]*hasher // of a job of several renders; nil for one
	shared  map[digest]string // node hash → id in the job, whatever the form

	classes, models, files map[string]bool
}

// render adds the nodes of one render that are not there yet. Sources come first, so a link's target
// always has its id. An output is always added: two renders never share one, even if their pictures were
// equal.
func (e *emitter) render(r int) {
	e.at = e.plan.at(r)
	e.form = e.plan.formAt(e.at)
	e.ids = make(map[int]string, len(e.order))
	if e.fused() { // fills in the hashes of its nodes, by which they are shared
		e.hasher().id(e.at)
	}
	for k, node := range e.order {
		if o := e.outputOf(node); o != nil {
			e.owe(r, o)
		} else if !e.known(k, node) {
			e.node(node, e.graph.Nodes[node].Class, "")
		}
	}
	e.extras()
}

// fused tells that several renders make the job.
func (e *emitter) fused() bool { return e.hashers != nil }

// hasher gives the hasher of the form at hand, without tables: for few renders they cost more than they save.
func (e *emitter) hasher() *hasher {
	h := e.hashers[e.form]
	if h == nil {
		h = newHasher(e.form, 0)
		e.hashers[e.form] = h
	}
	return h
}

// known gives a node the id of an equal one that is there already, and tells whether there is one; k is
// its place in order. In a job of one render the twins were found before, in one of several the hashes
// tell.
func (e *emitter) known(k, node int) bool {
	if !e.fused() {
		if twin, ok := e.twins[node]; ok {
			e.ids[node] = e.ids[twin]
			return true
		}
		e.ids[node] = e.graph.Nodes[node].ID
		return false
	}
	if e.plan.batch.Reduction.KeepEqual {
		e.ids[node] = e.fresh(node)
		return false
	}
	hash := e.hasher().now[k]
	id, there := e.shared[hash]
	if !there {
		id = e.fresh(node)
		e.shared[hash] = id
	}
	e.ids[node] = id
	return there
}

// fresh numbers a node of a merged graph and remembers where it comes from.
func (e *emitter) fresh(node int) string {
	id := strconv.Itoa(len(e.prompt.Members) + 1)
	e.job.Origin[id] = e.graph.Nodes[node].ID
	return id
}

// owe adds an output node with a prefix of its own, and what it owes. The prefix is "c", 12 hex digits of
// the render's id, and the node's tag: a worker's answer names files by it, and ComfyUI's own counter and
// extension follow.
func (e *emitter) owe(r int, o *output) {
	n := &e.graph.Nodes[o.node]
	if e.ids[o.node] = n.ID; e.fused() {
		e.ids[o.node] = e.fresh(o.node)
	}
	prefix := "c" + hex.EncodeToString(e.plan.ids[r][:6]) + "-" + o.tag + "-"
	e.node(o.node, o.class, prefix)
	shape := e.shape(o.node, e.at)
	e.job.Owed = append(e.job.Owed, Owed{Render: r, Node: n.ID, Title: o.title, Class: o.class, Prefix: prefix, Images: shape.images})
	// The node that the request asked for, where workers give back one only.
	if e.job.OutputNode == "" || n.ID == e.plan.requested && len(e.job.Renders) == 1 {
		e.job.OutputNode = e.ids[o.node]
	}
	if e.job.Width == 0 {
		e.job.Width, e.job.Height = shape.width, shape.height
	}
}

// node adds a node with the values of the render at hand; a prefix takes the place of its own. Inputs
// without a value are left out, and _meta goes along, as workers print titles in errors.
func (e *emitter) node(node int, class, prefix string) {
	n := &e.graph.Nodes[node]
	inputs := source.NewObject()
	for k := range n.Inputs {
		in := &n.Inputs[k]
		if prefix != "" && in.Name == prefixInput {
			continue
		}
		v := e.input(node, k, e.at)
		switch {
		case v == nil:
			continue
		case in.Linked() && e.values.find(node, k) == nil:
			v = source.NewArray(source.NewString(e.ids[in.From]), source.NewInt(int64(in.Slot)))
		default:
			e.note(node, in.Name, v)
		}
		inputs.Members = append(inputs.Members, source.Member{Key: in.Name, Value: v})
	}
	if prefix != "" {
		inputs.Members = append(inputs.Members, source.Member{Key: prefixInput, Value: source.NewString(prefix)})
	}
	out := source.NewObject(source.Member{Key: "inputs", Value: inputs}, source.Member{Key: "class_type", Value: source.NewString(class)})
	if meta := n.Value.Get("_meta"); meta != nil {
		out.Members = append(out.Members, source.Member{Key: "_meta", Value: meta})
	}
	e.classes[class] = true
	e.prompt.Members = append(e.prompt.Members, source.Member{Key: e.ids[node], Value: out})
}

// note remembers the models and uploaded files that a value names.
func (e *emitter) note(node int, input string, v *source.Value) {
	if v.Kind != source.String {
		return
	}
	if isModel(&e.graph.Nodes[node], input) {
		e.models[v.Text] = true
	}
	if uploaded(v.Text) {
		e.files[v.Text] = true
	}
}

// finish writes the prompt and sorts what was collected.
func (e *emitter) finish() {
	e.prompt.Kind = source.Object
	e.job.Prompt = e.prompt.AppendJSON(nil)
	e.job.Classes = slices.Sorted(maps.Keys(e.classes))
	e.job.Models = slices.Sorted(maps.Keys(e.models))
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		if f, ok := e.plan.file(name); ok {
			e.job.Files = append(e.job.Files, f)
		}
	}
}

// file finds an upload by the name under which it is sent. Of several local copies of one content the first path counts.
func (p *Plan) file(name string) (InputFile, bool) {
	for _, path := range slices.Sorted(maps.Keys(p.uploads)) {
		if f := p.uploads[path]; f.Name == name {
			return f, true
		}
	}
	return InputFile{}, false
}

// Files lists the distinct files that the plan uploads, by name.
func (p *Plan) Files() []InputFile {
	byName := map[string]InputFile{}
	for _, path := range slices.Sorted(maps.Keys(p.uploads)) {
		if f := p.uploads[path]; byName[f.Name].Name == "" {
			byName[f.Name] = f
		}
	}
	var out []InputFile
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}
