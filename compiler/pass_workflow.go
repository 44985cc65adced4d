package compiler

import (
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/lower"
	"github.com/comfyc/comfyc/compiler/source"
)

// workflow reads the workflow and brings it into API form. False after a finding without which nothing
// can go on.
func (c *compilation) workflow() bool {
	c.request = c.batch.Workflow
	if isScript(c.request.Str()) {
		return c.scripted()
	}
	if c.request.Kind == source.String {
		f, err := c.files.read(c.request.Text)
		if err != nil {
			c.list.Add(diag.Errorf("unreadable_file", diag.Of(c.batch.Workflow), "workflow: %s", trouble(err)))
			return false
		}
		root, findings := parseWorkflow(f)
		if c.list.Add(findings...); root == nil {
			return false
		}
		c.request = root
	}
	c.renamed = map[string]string{}
	prompt, findings, ok := toPrompt(c.request, c.cat, lower.Options{
		Promoted: func(p lower.Promoted) { c.promoted = append(c.promoted, p) },
		Renamed:  func(path, id string) { c.renamed[path] = id },
	})
	if !ok {
		c.list.Add(findings...)
	}
	c.prompt, c.converted = prompt, findings // warnings wait for the check, which joins them with its own
	c.keepDrawing(c.request)
	return ok
}

// trouble prints an error of the file system without the name of the call.
func trouble(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "open "), "stat ")
}

// build makes the graph as it is written. Its findings wait for the values of the batch, which may mend it; what no value can mend is said at
// once.
func (c *compilation) build() bool {
	g, verdict := graph.Build(c.prompt, c.cat, graph.Options{NoLints: true, Files: anyFile})
	if len(g.Nodes) == 0 {
		c.list.Add(joinFindings(c.converted, verdict.Findings)...)
		return false
	}
	for _, d := range joinFindings(c.converted, verdict.Findings) {
		if d.Code == "missing_node_type" || d.Code == "dependency_cycle" {
			c.list.Add(d)
		}
	}
	c.graph, c.written = g, g
	return true
}

func anyFile(string) bool { return true }

// uploaded tells whether a name is one that inputs have after their content.
func uploaded(name string) bool {
	return strings.HasPrefix(name, "comfyc-") && filepath.Base(name) == name
}
