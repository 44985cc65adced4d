package compiler

import (
	"context"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/lower"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// opened is a workflow's file as a prompt without templates.
type opened struct {
	prompt    *source.Value     // nil if the file is a script that registers no workflow
	converted []diag.Diagnostic // about the conversion from the UI form, not about the script
	expansion *script.Expansion // nil if nothing was expanded
}

// noted adds to findings about nodes that templates made which node uses them.
func (o *opened) noted(findings []diag.Diagnostic) []diag.Diagnostic {
	if o.expansion == nil {
		return findings
	}
	return o.expansion.Noted(findings)
}

// open reads a workflow: a script, or a file of which nodes may use templates. All are expanded with the
// values that stand there, or the defaults of their inputs. It is nil after an error, which is in list.
func open(ctx context.Context, file *source.File, opt *ConvertOptions, list *diag.List) *opened {
	files := opt.Templates
	if isScript(file.Name) {
		files = append(files[:len(files):len(files)], file) // a copy: the caller's list of templates stays as it is
	}
	if len(files) == 0 {
		return openFile(file, opt.Catalogue, list)
	}
	set, findings := script.Load(ctx, files, opt.Catalogue, opt.Scripts)
	if list.Add(findings...); set == nil {
		return nil
	}
	defer set.Close()
	var o *opened
	if isScript(file.Name) {
		o = openScript(ctx, set, list)
	} else {
		o = openFile(file, opt.Catalogue.With(set.Classes()), list)
	}
	if o == nil || o.prompt == nil || !set.Uses(o.prompt) {
		return o
	}
	if o.expansion, findings = set.Expand(ctx, o.prompt); o.expansion == nil {
		list.Add(findings...)
		return nil
	}
	list.Add(findings...)
	o.prompt = o.expansion.Prompt
	return o
}

// openFile reads JSON, or a picture that carries it.
func openFile(file *source.File, cat *nodes.Catalogue, list *diag.List) *opened {
	root, findings := parseWorkflow(file)
	if list.Add(findings...); root == nil {
		return nil
	}
	prompt, findings, ok := toPrompt(root, cat, lower.Options{})
	if !ok {
		list.Add(findings...)
		return nil
	}
	return &opened{prompt: prompt, converted: findings}
}

// openScript makes the prompt of a script that registers a workflow. One whose workflow has inputs is a
// template like others (MainPrompt then has one node that uses it); one without is expanded at once.
func openScript(ctx context.Context, set *script.Set, list *diag.List) *opened {
	if _, is := set.Class(script.Main); !is {
		return &opened{}
	}
	if prompt := set.MainPrompt(); prompt != nil {
		return &opened{prompt: prompt}
	}
	prompt, findings := set.ExpandWorkflow(ctx)
	if list.Add(findings...); prompt == nil {
		return nil
	}
	return &opened{prompt: prompt}
}
