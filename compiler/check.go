package compiler

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/lower"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// CheckOptions say how files are checked. The zero value uses the built-in catalogue.
type CheckOptions struct {
	Catalogue *nodes.Catalogue // nil means the built-in one
	Targets   []string         // output nodes to look at, as partial_execution_targets does; nil for all
	Templates []*source.File   // files of node templates that workflows use; batches name their own
	Batch     Source           // for batches: all but File and Catalogue
}

// Report is what Check finds in one file.
type Report struct {
	File        string
	Valid       bool     // no finding is an error
	GoodOutputs []string // ids of the output nodes that a server would run
	Findings    []diag.Diagnostic
}

// Check says what is wrong with a workflow or a batch; which of the two it is shows in its content.
// Nothing is submitted anywhere. A batch is compiled as for a plan, so its files are read and its uploads
// hashed, but missing keys are warnings.
func Check(ctx context.Context, file *source.File, opt CheckOptions) Report {
	if IsBatch(file) {
		src := opt.Batch
		src.File, src.Catalogue = file, opt.Catalogue
		plan, findings := Compile(ctx, src)
		r := Report{File: file.Name, Findings: findings, Valid: plan != nil}
		if plan != nil {
			for _, g := range plan.Graphs() {
				for _, i := range g.Outputs {
					if id := g.Nodes[i].ID; !slices.Contains(r.GoodOutputs, id) {
						r.GoodOutputs = append(r.GoodOutputs, id)
					}
				}
			}
		}
		return r
	}
	return checkWorkflow(ctx, file, opt)
}

// checkWorkflow gives the verdict of a server on the whole workflow, lints included. Of a script that
// registers templates only, just what loading finds is said: what they make depends on their inputs. A
// prompt in which some outputs are good is valid, as it is for a server.
func checkWorkflow(ctx context.Context, file *source.File, opt CheckOptions) Report {
	r := Report{File: file.Name}
	var list diag.List
	how := ConvertOptions{Catalogue: orBuiltIn(opt.Catalogue), Templates: opt.Templates, Scripts: opt.Batch.Scripts}
	if o := open(ctx, file, &how, &list); o != nil && o.prompt != nil {
		_, verdict := graph.Build(o.prompt, how.Catalogue, graph.Options{Targets: opt.Targets})
		list.Add(o.noted(joinFindings(o.converted, verdict.Findings))...)
		r.GoodOutputs = verdict.GoodOutputs
		if !verdict.Valid && !list.Failed() {
			list.Add(diag.Errorf("prompt_no_outputs", diag.Of(o.prompt), "no output of this workflow would run"))
		}
	}
	r.Findings, r.Valid = list.Sorted(), !list.Failed()
	return r
}

// orBuiltIn gives the built-in catalogue where none is given.
func orBuiltIn(cat *nodes.Catalogue) *nodes.Catalogue {
	if cat == nil {
		return nodes.BuiltIn()
	}
	return cat
}

// IsBatch tells a batch from a workflow: its name ends as YAML's do, or it is a JSON object whose
// workflow is the name of a file, or that sweeps. A request body {"workflow": {…}} is a workflow.
func IsBatch(file *source.File) bool {
	name := strings.ToLower(file.Name)
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		return true
	}
	if source.Container(file.Data) != "" || !bytes.Contains(file.Data, []byte(`workflow"`)) { // most workflows: they need not be read twice. A w is rarer than a quote, so the search is quicker
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

// Convert gives the API form of a workflow's file: UI format is converted, a request body unwrapped, API
// format passed through. The value is nil if the file is refused (what the frontend refuses, or cannot be
// read); an error among the findings says why. An unknown class is a warning here. A nil catalogue is the
// built-in one.
func Convert(file *source.File, cat *nodes.Catalogue) (*source.Value, []diag.Diagnostic) {
	root, findings := parseWorkflow(file)
	if root == nil {
		return nil, findings
	}
	prompt, findings, ok := toPrompt(root, orBuiltIn(cat), lower.Options{})
	if !ok {
		return nil, findings
	}
	return prompt, findings
}

// ConvertOptions say how a workflow is brought into API form where templates are in play. The zero value has none.
type ConvertOptions struct {
	Catalogue *nodes.Catalogue // nil means the built-in one
	Templates []*source.File   // files of node templates that the workflow uses
	Scripts   script.Options   // how they are run: Command must be given, or InProcess
}

// Expand is Convert for workflows that use node templates or are scripts: it gives the API form in which
// every node that uses a template is replaced by what that makes of the values that stand there. Scripts
// run in a child process that ends with ctx. The value is nil after an error.
func Expand(ctx context.Context, file *source.File, opt ConvertOptions) (*source.Value, []diag.Diagnostic) {
	opt.Catalogue = orBuiltIn(opt.Catalogue)
	var list diag.List
	o := open(ctx, file, &opt, &list)
	if o == nil {
		return nil, list.Sorted()
	}
	if o.prompt == nil {
		list.Add(diag.Errorf("bad_template", diag.InFile(file), "the script registers no workflow").Hinted("workflow(g => { … }) registers one"))
		return nil, list.Sorted()
	}
	list.Add(o.noted(o.converted)...)
	return o.prompt, list.Sorted()
}
