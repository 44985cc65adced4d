package worker

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/source"
)

// proseInputs hold text for people, in which a file name is no model. With the alias "a.ckpt" → "b.ckpt" a prompt that consists of just
// "a.ckpt" stays as it is.
var proseInputs = []string{"text", "prompt", "string", "filename_prefix"}

// Rename replaces names of files and models in a prompt: every string inside an input, at any depth, that is exactly one of the
// names. Numbers and the order of keys stay as they are. Without names the prompt is returned as it came.
func Rename(prompt []byte, names map[string]string) ([]byte, error) {
	if len(names) == 0 {
		return prompt, nil
	}
	tree, err := source.ParseJSON(source.NewFile("prompt", prompt), source.Limits{})
	if err != nil {
		return nil, fmt.Errorf("cannot read the prompt: %w", err)
	}
	changed := false
	for _, node := range tree.Members {
		inputs := node.Value.Get("inputs")
		if inputs == nil {
			continue
		}
		for _, input := range inputs.Members {
			changed = renameValue(input, names) || changed
		}
	}
	if !changed {
		return prompt, nil
	}
	// The tree keeps each number's own digits, so seeds above 2^53 pass unchanged, as they would not through encoding/json.
	return tree.AppendJSON(make([]byte, 0, len(prompt))), nil
}

// renameValue changes a member's value in place; the tree is nobody else's.
func renameValue(m source.Member, names map[string]string) (changed bool) {
	for _, prose := range proseInputs {
		if m.Key == prose {
			return false
		}
	}
	switch v := m.Value; v.Kind {
	case source.String:
		if name, ok := names[v.Text]; ok && name != v.Text {
			v.Text = name
			return true
		}
	case source.Object:
		for _, inner := range v.Members {
			changed = renameValue(inner, names) || changed
		}
	case source.Array:
		for _, item := range v.Items {
			changed = renameValue(source.Member{Value: item}, names) || changed
		}
	}
	return changed
}
