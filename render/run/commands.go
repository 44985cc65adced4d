package run

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render"
)

// What a gallery says about doing something again: command lines for a shell, and graphs for ComfyUI. It is left out where it would be wrong.

// maxGraphRenders is how large a batch may be for its gallery to hold the graph of each cell: the shared graph is stored once, and a cell adds
// its own values only, yet a page of more cells would take a browser too long to read.
const maxGraphRenders = 20_000

// commands puts into a manifest's description what a reader can do about a cell: render it alone, or try again what failed.
func (b *Batch) commands(to *render.Batch) {
	if b.opts.File == "" {
		return
	}
	batch := "comfyc render " + quote(b.opts.File)
	to.Retry, to.Resubmit = batch+" --retry-failed", batch+" --resubmit-uncertain"
	to.Command = b.single()
}

// single is the command line that renders the workflow alone, to which the gallery adds a cell's values. It is "" where that would not be
// the same picture: with templates, dynamic prompts, uploaded inputs, or values that are no plain texts and numbers.
func (b *Batch) single() string {
	// What counts is that the command gives the same picture: a template's graph depends on the axes, a dynamic prompt on the draw, an input on
	// an upload, and none of them can be said with --set.
	batch := b.plan.Batch()
	if batch.Workflow == nil || batch.Workflow.Kind != source.String || len(batch.Templates) > 0 || len(batch.Inputs) > 0 || batch.Prompts.Mode != "" {
		return ""
	}
	words := []string{"comfyc render", quote(filepath.Join(filepath.Dir(b.opts.File), batch.Workflow.Text))}
	for _, s := range batch.Set {
		if s.Value.Kind != source.String && s.Value.Kind != source.Number {
			return ""
		}
		words = append(words, "--set "+quote(s.Name+"="+s.Value.Text))
	}
	return strings.Join(words, " ")
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+=-]+$`)

// quote writes a word for a POSIX shell. Within single quotes a shell changes nothing, so a quote itself stands outside of them: it's is
// written as 'it'\”s'. Texts of prompts come from outside; none of them may run anything.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// graphs puts the graph that the renders share into a manifest's description, and what each has of its own in it.
func (b *Batch) graphs(to *render.Batch) {
	// Graph 0 is the workflow's own; others are made by a template for some values of an axis.
	if b.plan.Len() == 0 || b.plan.Len() > maxGraphRenders || b.plan.Render(0).Graph != 0 {
		return
	}
	job, err := b.plan.Job(0)
	if err != nil {
		return
	}
	// A gallery without graphs is still a gallery: trouble here leaves them out.
	shared, err := render.ParseGraph(ownPrefixes(b.plan, job))
	if err != nil {
		return
	}
	to.Graphs = []render.Graph{shared}
	nodes := b.plan.Graph().Nodes
	to.Values = func(i int) (int, []render.GraphValue) {
		r := b.plan.Render(i)
		if r.Graph != 0 { // made by a template, from other nodes
			return -1, nil
		}
		// Patches are all that a render changes in the shared graph, so graph and values together give its prompt.
		values := make([]render.GraphValue, 0, len(r.Patches))
		for _, p := range r.Patches {
			n := &nodes[p.Node]
			values = append(values, render.GraphValue{Node: n.ID, Input: n.Inputs[p.Input].Name, JSON: string(p.Value.AppendJSON(nil))})
		}
		return 0, values
	}
}
