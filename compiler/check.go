package compiler

import (
	"bytes"
	"context"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// CheckOptions say how files are checked. The zero value uses the built-in catalogue.
type CheckOptions struct {
	Catalogue *nodes.Catalogue
	Targets   []string // output nodes to look at, as partial_execution_targets does; nil for all
	Batch     Source   // for batches: all but File and Catalogue
}

// Report is what Check finds in one file.
type Report struct {
	File        string
	Valid       bool     // no finding is an error
	GoodOutputs []string // ids of the output nodes that a server would run
	Findings    []diag.Diagnostic
}

// Check says what is wrong with a workflow or a batch; which of the two it is shows in its content. Nothing is submitted anywhere.
func Check(ctx context.Context, file *source.File, opt CheckOptions) Report {
	if IsBatch(file) {
		src := opt.Batch
		src.File, src.Catalogue = file, opt.Catalogue
		plan, findings := Compile(ctx, src)
		r := Report{File: file.Name, Findings: findings, Valid: plan != nil}
		if plan != nil {
			for _, i := range plan.graph.Outputs {
				r.GoodOutputs = append(r.GoodOutputs, plan.graph.Nodes[i].ID)
			}
		}
		return r
	}
	return checkWorkflow(ctx, file, opt)
}

// checkWorkflow gives the verdict of a server on the whole workflow, lints included.
func checkWorkflow(ctx context.Context, file *source.File, opt CheckOptions) Report {
	r := Report{File: file.Name}
	cat := opt.Catalogue
	if cat == nil {
		cat = nodes.BuiltIn()
	}
	if isScript(file.Name) {
		return checkScript(ctx, file, cat, opt)
	}
	var list diag.List
	root, findings := parseWorkflow(file)
	list.Add(findings...)
	if root != nil {
		prompt, findings, ok := toPrompt(root, cat)
		if !ok {
			list.Add(findings...)
		} else {
			_, verdict := graph.Build(prompt, cat, graph.Options{Targets: opt.Targets})
			list.Add(joinFindings(findings, verdict.Findings)...)
			r.GoodOutputs = verdict.GoodOutputs
			if !verdict.Valid && !list.Failed() {
				list.Add(diag.Errorf("prompt_no_outputs", diag.Of(prompt), "no output of this workflow would run"))
			}
		}
	}
	r.Findings, r.Valid = list.Sorted(), !list.Failed()
	return r
}

// IsBatch tells a batch from a workflow: its name ends as YAML's do, or it is a JSON object whose workflow is the name of a file, or that sweeps.
func IsBatch(file *source.File) bool {
	name := strings.ToLower(file.Name)
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		return true
	}
	if source.Container(file.Data) != "" || !bytes.Contains(file.Data, []byte(`"workflow"`)) { // most workflows: they need not be read twice
		return false
	}
	root, err := source.ParseJSON(file, source.Limits{})
	if err != nil {
		return false
	}
	w := root.Get("workflow")
	return w != nil && (w.Kind == source.String || root.Get("sweep") != nil)
}

// ToValue gives a report as the object that `comfyc check --json` prints, one a line.
func (r *Report) ToValue() *source.Value {
	outputs, findings := source.NewArray(), source.NewArray()
	for _, id := range r.GoodOutputs {
		outputs.Items = append(outputs.Items, source.NewString(id))
	}
	for _, d := range r.Findings {
		findings.Items = append(findings.Items, d.ToValue())
	}
	return source.NewObject(
		source.Member{Key: "file", Value: source.NewString(r.File)},
		source.Member{Key: "valid", Value: source.NewBool(r.Valid)},
		source.Member{Key: "good_outputs", Value: outputs},
		source.Member{Key: "diagnostics", Value: findings})
}

// Convert gives the API form of a workflow's file: UI format is converted, a request body unwrapped, API format passed through. The value is
// nil if the file is refused; an error among the findings says why.
func Convert(file *source.File, cat *nodes.Catalogue) (*source.Value, []diag.Diagnostic) {
	if cat == nil {
		cat = nodes.BuiltIn()
	}
	root, findings := parseWorkflow(file)
	if root == nil {
		return nil, findings
	}
	prompt, findings, ok := toPrompt(root, cat)
	if !ok {
		return nil, findings
	}
	return prompt, findings
}
