package emulator

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// json gives an error as ComfyUI writes it.
func (f *promptFail) json() *source.Value {
	extra := f.extra
	if extra == nil {
		extra = source.NewObject()
	}
	return object("type", source.NewString(f.kind), "message", source.NewString(f.message), "details", source.NewString(f.details), "extra_info", extra)
}

// nodeErrors gives the errors by node, as ComfyUI writes them.
func nodeErrors(nodes []nodeFail) *source.Value {
	out := source.NewObject()
	for _, n := range nodes {
		list := source.NewArray()
		for i := range n.errors {
			list.Items = append(list.Items, n.errors[i].json())
		}
		out.Members = append(out.Members, source.Member{Key: n.id, Value: object(
			"errors", list, "dependent_outputs", texts(n.dependents), "class_type", source.NewString(n.class))})
	}
	return out
}

// refusal is how worker-comfyui words what its ComfyUI refused: "" if it did not.
func (v *verdict) refusal() string {
	switch {
	case v.broken:
		return "Error queuing workflow: 500 Server Error: Internal Server Error for url: http://127.0.0.1:8188/prompt"
	case v.whole == nil:
		return ""
	case len(v.nodes) == 0:
		raw := object("error", v.whole.json(), "node_errors", source.NewObject())
		return v.whole.message + ". Raw response: " + spaced(raw)
	}
	var b strings.Builder
	b.WriteString("Workflow validation failed:")
	errors := nodeErrors(v.nodes)
	for _, n := range v.nodes {
		e := errors.Get(n.id)
		fmt.Fprintf(&b, "\n• Node %s (errors): %s\n• Node %[1]s (dependent_outputs): %[3]s\n• Node %[1]s (class_type): %[4]s",
			n.id, python(e.Get("errors")), python(e.Get("dependent_outputs")), n.class)
	}
	// worker-comfyui adds this by looking for these words.
	if text := b.String(); strings.Contains(text, "ckpt_name") && strings.Contains(text, "not in []") {
		b.WriteString("\n\nNo checkpoint models appear to be available. Please check your model installation.")
	}
	return b.String()
}

// spaced writes JSON as Python's json.dumps does, with a blank after each comma and colon.
func spaced(v *source.Value) string {
	return pieces(v, func(v *source.Value) string { return string(v.AppendJSON(nil)) })
}

// python writes a value as Python's repr does.
func python(v *source.Value) string {
	return pieces(v, func(v *source.Value) string {
		switch v.Kind {
		case source.Null:
			return "None"
		case source.Bool:
			return map[bool]string{true: "True", false: "False"}[v.Bool]
		case source.String:
			return pythonQuoted(v.Text)
		}
		return string(v.AppendJSON(nil))
	})
}

// pythonQuoted prefers ' and takes " for a text that holds ' only, as repr does.
func pythonQuoted(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	return quote + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, quote, `\`+quote).Replace(s) + quote
}

// pieces writes lists and objects with blanks, and all else by leaf.
func pieces(v *source.Value, leaf func(*source.Value) string) string {
	var parts []string
	switch v.Kind {
	case source.Array:
		for _, item := range v.Items {
			parts = append(parts, pieces(item, leaf))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case source.Object:
		for _, m := range v.Members {
			parts = append(parts, leaf(source.NewString(m.Key))+": "+pieces(m.Value, leaf))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return leaf(v)
}
