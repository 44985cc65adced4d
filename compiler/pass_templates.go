package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// isScript tells a workflow that is written as a script by its name.
func isScript(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, ".js") || strings.HasSuffix(lower, ".ts")
}

// templates loads the scripts of the batch: those that templates names, and the workflow if it is one.
// Their classes are known from here on. They run in a process of their own, which lives until the
// compilation ends.
func (c *compilation) templates() bool {
	names := slices.Clone(c.batch.Templates)
	if isScript(c.batch.Workflow.Str()) {
		names = append(names, c.batch.Workflow)
	}
	if len(names) == 0 {
		return true
	}
	var files []*source.File
	for _, name := range names {
		f, err := c.files.read(name.Text)
		if err != nil {
			c.list.Add(diag.Errorf("unreadable_file", diag.Of(name), "template: %s", trouble(err)))
			continue
		}
		files = append(files, f)
	}
	if c.list.Failed() {
		return false
	}
	opt := c.src.Scripts
	opt.Seed = c.batch.Seed
	set, findings := script.Load(c.ctx, files, c.cat, opt)
	c.list.Add(findings...)
	if set == nil {
		return false
	}
	c.scripts = set
	c.cat = c.cat.With(set.Classes())
	return true
}

// scripted makes the prompt of a workflow that is a script. One without inputs is expanded at once, and its nodes are then like those of any
// file; of one with inputs the batch may set and sweep these, so it is expanded with the templates.
func (c *compilation) scripted() bool {
	if c.prompt = c.scripts.MainPrompt(); c.prompt == nil {
		prompt, findings := c.scripts.ExpandWorkflow(c.ctx)
		c.list.Add(findings...)
		c.prompt = prompt
	}
	c.request = c.prompt
	return c.prompt != nil
}
