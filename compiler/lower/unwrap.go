package lower

import "github.com/comfyc/comfyc/compiler/source"

// Form tells what a workflow file holds.
type Form uint8

// The forms of a workflow.
const (
	Unknown Form = iota
	API          // a prompt: id → {class_type, inputs}
	UI           // a file that the editor saved
)

// String gives the form's name as it appears in messages.
func (f Form) String() string { return [...]string{"unknown", "API", "UI"}[f] }

// wrappers are the keys under which request bodies hold a workflow, the innermost ones first.
var wrappers = []string{"workflow", "prompt", "input"}

// maxWrappers is how deep a request body may hold its workflow: {"input": {"workflow": …}}, and one more.
const maxWrappers = 3

// Unwrap finds the workflow in a file's tree: a prompt, a file of the editor, or a request body that holds one ({"input": {"workflow": …}},
// {"workflow": …}, {"prompt": …}). It gives the workflow, its form, and the object that holds it, with keys such as images and output_node_id
// beside it; nil if the file is the workflow itself. Where nothing is found v is root, and the form Unknown.
func Unwrap(root *source.Value) (v *source.Value, form Form, wrapper *source.Value) {
	v, form, wrapper = unwrap(root, nil, maxWrappers)
	if form == Unknown {
		return root, Unknown, nil
	}
	return v, form, wrapper
}

// unwrap looks at the object itself before it looks into it: a workflow in UI form may well have a key "prompt".
func unwrap(v, wrapper *source.Value, depth int) (*source.Value, Form, *source.Value) {
	if v == nil || v.Kind != source.Object {
		return nil, Unknown, nil
	}
	if form := formOf(v); form != Unknown {
		return v, form, wrapper
	}
	for _, key := range wrappers {
		inner := v.Get(key)
		if inner == nil || depth == 0 {
			continue
		}
		if found, form, in := unwrap(inner, v, depth-1); form != Unknown {
			return found, form, in
		}
	}
	return nil, Unknown, nil
}

// formOf tells the form by what only it has: a list of nodes, or a value with a class_type.
func formOf(v *source.Value) Form {
	if list := v.Get("nodes"); list != nil && list.Kind == source.Array {
		return UI
	}
	for i := range v.Members {
		if v.Members[i].Value.Get("class_type") != nil {
			return API
		}
	}
	return Unknown
}
