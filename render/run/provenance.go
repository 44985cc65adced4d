package run

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
)

// A picture that is dragged into ComfyUI shows the graph in its metadata. That has to be the graph of this one picture, as its author would have
// written it: not the merged one that was sent, and not with the prefixes that only we need.

// provenance is what the pictures of a render carry: their own graph, under the file names that its author gave, and their place in the
// batch. A render that several coordinates share names the first.
func (b *Batch) provenance(i int) render.Provenance {
	co, axes := b.plan.Coordinate(b.plan.CoordinatesOf(i)[0]), b.plan.Axes()
	id := b.plan.RenderID(i)
	p := render.Provenance{
		Batch: b.plan.Name(), Plan: b.plan.Hash(), Render: id.String(), Cell: co.ID, Seed: b.plan.Params(i).Seed,
		Coordinates: make(map[string]string, len(axes)),
	}
	for k, v := range co.Values {
		// -1 stands for an axis that this coordinate leaves out.
		if k < len(axes) && v >= 0 && v < len(axes[k].Values) {
			p.Coordinates[axes[k].Name] = axes[k].Values[v].Label
		}
	}
	p.Workflow = b.plan.Drawing(i)
	// The job of this render alone, however many were merged with it when it was sent.
	if job, err := b.plan.Job(i); err == nil { // of a render of this plan: cannot fail
		p.Prompt = ownPrefixes(b.plan, job)
	}
	return p
}

// ownPrefixes gives a job's prompt with the prefixes of its author in place of those by which outputs are told apart.
func ownPrefixes(plan *compiler.Plan, job *compiler.Job) []byte {
	prompt := job.Prompt
	for _, o := range job.Owed {
		// The prefix is replaced as JSON text, with the input's name before it: a prompt that happens to hold the same words is not touched. Prefixes
		// are unique in a job, so each replaces one place.
		sent, _ := json.Marshal(o.Prefix) // strings: cannot fail
		own, _ := json.Marshal(authorsPrefix(plan, o.Node))
		prompt = bytes.ReplaceAll(prompt, slices.Concat([]byte(`"filename_prefix":`), sent), slices.Concat([]byte(`"filename_prefix":`), own))
	}
	return prompt
}

// authorsPrefix is the filename_prefix of a node in the workflow's file, ComfyUI's usual one if it has none.
func authorsPrefix(plan *compiler.Plan, node string) string {
	for _, n := range plan.Graph().Nodes {
		if n.ID != node {
			continue
		}
		for _, in := range n.Inputs {
			if in.Name == "filename_prefix" && in.Value.Str() != "" {
				return in.Value.Str()
			}
		}
	}
	return "ComfyUI"
}

// secrets are the keys in use: no file's metadata may hold them. Keys are looked up by the names that the endpoints' configurations give, and
// only their values go to the collector, which takes them out wherever a remote has written them.
func (b *Batch) secrets() (out []string) {
	if b.bucket != nil {
		out = b.bucket.Secrets()
	}
	if b.opts.Dialect.Getenv == nil {
		return out
	}
	for _, cfg := range b.plan.Endpoints() {
		if key := b.opts.Dialect.Getenv(cfg.KeyEnv); cfg.KeyEnv != "" && key != "" {
			out = append(out, key)
		}
	}
	return out
}
