package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/lower"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// parseWorkflow reads the text of a workflow's file, or the text that ComfyUI wrote into a picture or
// video: what was run (prompt) rather than what the editor showed, as the prompt needs no conversion. The
// tree is nil if there is an error among the findings.
func parseWorkflow(f *source.File) (*source.Value, []diag.Diagnostic) {
	if kind := source.Container(f.Data); kind != "" {
		prompt, workflow, err := source.Embedded(f)
		switch {
		case prompt != nil:
			f = prompt
		case workflow != nil:
			f = workflow
		case err != nil:
			return nil, []diag.Diagnostic{diag.Errorf("unreadable_file", diag.InFile(source.NewFile(f.Name, nil)), "%v", err)}
		default:
			return nil, []diag.Diagnostic{diag.Errorf("unreadable_file", diag.InFile(source.NewFile(f.Name, nil)), "no workflow is in this %s file", kind).
				Hinted("ComfyUI writes one unless it runs with --disable-metadata; many sites strip it")}
		}
	}
	root, err := source.ParseJSON(f, source.Limits{Leave: lower.Unread})
	if err != nil {
		return nil, []diag.Diagnostic{diag.FromError(err, f.Name)}
	}
	return root, nil
}

// toPrompt takes the workflow out of a request body and brings the UI form into API form; false if the
// frontend would refuse it, with the reasons.
func toPrompt(root *source.Value, cat *nodes.Catalogue, opt lower.Options) (*source.Value, []diag.Diagnostic, bool) {
	inner := unwrap(root)
	if !isUI(inner) {
		return inner, nil, true
	}
	return lower.Lower(inner, cat, opt)
}

// joinFindings puts together what the conversion and the check of one workflow found. Both speak of an unknown class; the conversion knows where
// its name stands, and is the one that is kept, as an error.
func joinFindings(converted, checked []diag.Diagnostic) []diag.Diagnostic {
	var said map[string]bool // most conversions know all classes
	out := slices.Clone(converted)
	for i := range out {
		if d := &out[i]; d.Code == "unknown_class" {
			d.Code, d.Severity = "missing_node_type", diag.Error
			d.Message, _, _ = strings.Cut(d.Message, ";")
			if said == nil {
				said = map[string]bool{}
			}
			said[d.Node] = true
		}
	}
	for _, d := range checked {
		if d.Code != "missing_node_type" || !said[d.Node] {
			out = append(out, d)
		}
	}
	return out
}

// isUI tells the editor's own form by its list of nodes.
func isUI(v *source.Value) bool {
	list := v.Get("nodes")
	return list != nil && list.Kind == source.Array
}

// unwrap finds the workflow in a request body: {"input": {"workflow": …}}, {"workflow": …} or {"prompt":
// …}. A value with a class_type is a node that is called input, workflow or prompt, and no wrapping.
func unwrap(v *source.Value) *source.Value {
	for range 4 {
		inner := v
		for _, key := range []string{"input", "workflow", "prompt"} {
			if w := v.Get(key); !isUI(v) && w != nil && w.Kind == source.Object && w.Get("class_type") == nil {
				inner = w
				break
			}
		}
		if inner == v {
			break
		}
		v = inner
	}
	return v
}
