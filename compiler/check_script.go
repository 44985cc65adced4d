package compiler

import (
	"context"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// checkScript looks at a file of templates. If it registers a workflow, that is expanded with the defaults of its inputs and checked like any other;
// of templates, only what loading finds is said, since what they make depends on their inputs.
func checkScript(ctx context.Context, file *source.File, cat *nodes.Catalogue, opt CheckOptions) Report {
	r := Report{File: file.Name}
	set, findings := script.Load(ctx, []*source.File{file}, cat, opt.Batch.Scripts)
	var list diag.List
	if list.Add(findings...); set != nil {
		defer set.Close()
		if _, flow := set.Class(script.Main); flow {
			verdict := expandedVerdict(ctx, set, cat, opt, &list)
			r.GoodOutputs = verdict.GoodOutputs
		}
	}
	r.Findings, r.Valid = list.Sorted(), !list.Failed()
	return r
}

// expandedVerdict expands a workflow that is a script, and builds its graph.
func expandedVerdict(ctx context.Context, set *script.Set, cat *nodes.Catalogue, opt CheckOptions, list *diag.List) graph.Verdict {
	prompt := set.MainPrompt()
	if prompt == nil {
		made, findings := set.ExpandWorkflow(ctx)
		if list.Add(findings...); made == nil {
			return graph.Verdict{}
		}
		prompt = made
	} else {
		e, findings := set.Expand(ctx, prompt)
		if list.Add(findings...); e == nil {
			return graph.Verdict{}
		}
		prompt = e.Prompt
	}
	_, verdict := graph.Build(prompt, cat, graph.Options{Targets: opt.Targets})
	list.Add(verdict.Findings...)
	if !verdict.Valid && !list.Failed() {
		list.Add(diag.Errorf("prompt_no_outputs", diag.Of(prompt), "no output of this workflow would run"))
	}
	return verdict
}
