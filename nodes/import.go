package nodes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// ImportOptions say how [Import] reads an /object_info answer. The zero value works.
type ImportOptions struct {
	// Closed keeps empty lists as they are, so that only names which the server had are valid.
	Closed bool
}

// Import turns an /object_info answer into the compact form that is built in and that [LoadFile] reads: facts only (types, defaults,
// ranges, options, flags, names, categories), no descriptions, sorted by class, compressed. Equal input gives equal bytes. Lists of models and
// files that were empty on that server, and lists of the files in its input folder, are marked open.
func Import(v *source.Value, opt ImportOptions) ([]byte, error) {
	c, findings := Load(v)
	if c == nil {
		return nil, errors.New(findings[0].Message)
	}
	text := []byte(packHeader)
	for _, name := range c.names {
		// cutName looks for these three bytes to find where a name ends.
		if strings.Contains(name, `" {`) {
			return nil, fmt.Errorf("the class name %q cannot be stored", name)
		}
		f := facts{opt}
		text = source.AppendQuoted(text, name)
		text = append(text, ' ')
		text = f.class(v.Get(name)).AppendJSON(text)
		text = append(text, '\n')
	}
	if len(text) > maxUnpacked {
		return nil, fmt.Errorf("the catalogue has %d bytes; at most %d are read again", len(text), maxUnpacked)
	}
	return pack(text)
}

// facts copies what of a definition is kept: what validation and conversion need. The built-in catalogue's 886
// classes take 0.7 MB as text so, and 62 KB compressed.
type facts struct{ opt ImportOptions }

// The keys of a definition that are kept, in the order in which they are written.
var classFacts = []string{"display_name", "category", "python_module", "output", "output_name", "output_is_list", "output_matchtypes",
	"output_node", "is_input_list", "has_intermediate_output", "deprecated", "experimental", "api_node"}

// class copies what is kept of a definition.
func (f facts) class(def *source.Value) *source.Value {
	out := source.NewObject(source.Member{Key: "input", Value: f.groups(def.Get("input"), def.Get("input_order"))})
	for _, key := range classFacts {
		if v := def.Get(key); v != nil && !implied(key, v, def) {
			out.Members = append(out.Members, source.Member{Key: key, Value: v})
		}
	}
	return out
}

// implied tells that a reader finds the same without the key: false for flags that are false, and names that repeat
// the types, which two of three classes have.
func implied(key string, v, def *source.Value) bool {
	switch key {
	case "output_is_list":
		return !slices.ContainsFunc(v.Items, isTrue)
	case "output_name":
		return string(v.AppendJSON(nil)) == string(def.Get("output").AppendJSON(nil))
	case "output_matchtypes":
		return false // that it is there tells a newer-style class
	}
	return v.Kind == source.Null || v.Kind == source.Bool && !v.Bool
}

// groups copies the inputs, in the order that the definition gives for the browser.
func (f facts) groups(v, order *source.Value) *source.Value {
	out := source.NewObject()
	for _, g := range []Group{Required, Optional, Hidden} {
		group := v.Get(g.String())
		if group == nil || group.Kind != source.Object {
			continue
		}
		made := source.NewObject()
		for _, m := range ordered(group.Members, order.Get(g.String())) {
			made.Members = append(made.Members, source.Member{Key: m.Key, Value: f.input(m.Key, m.Value)})
		}
		out.Members = append(out.Members, source.Member{Key: g.String(), Value: made})
	}
	return out
}

// input copies `[type, spec]`; a bare type, as hidden inputs have it, stays as it is.
func (f facts) input(name string, v *source.Value) *source.Value {
	if v.Kind != source.Array || len(v.Items) == 0 {
		return v
	}
	kind := v.Items[0]
	spec := f.spec(v.Index(1))
	if !f.opt.Closed && isOpen(name, kind, v.Index(1)) {
		spec.Members = append(spec.Members, source.Member{Key: "open", Value: source.NewBool(true)})
	}
	if len(spec.Members) == 0 {
		return source.NewArray(kind)
	}
	return source.NewArray(kind, spec)
}

// The keys of an input's options that are kept beside all numbers and booleans; sentences such as tooltip are not.
var specFacts = []string{"default", "min", "max", "step", "round", "display", "display_name", "control_after_generate", "widgetType",
	"image_folder", "remote", "component", "label_on", "label_off", "prefix", "names", "slotType"}

// spec copies the options of an input.
func (f facts) spec(v *source.Value) *source.Value {
	out := source.NewObject()
	if v == nil || v.Kind != source.Object {
		return out
	}
	for _, m := range v.Members {
		if m.Key == "open" {
			continue // the mark is ours
		}
		if kept := f.fact(m.Key, m.Value); kept != nil {
			out.Members = append(out.Members, source.Member{Key: m.Key, Value: kept})
		}
	}
	return out
}

// fact copies one option of an input, nil if it is not kept.
func (f facts) fact(key string, v *source.Value) *source.Value {
	switch {
	case key == "options":
		return f.options(v)
	case key == "template":
		return f.template(v)
	case key == "inputs":
		return f.groups(v, nil)
	case v.Kind == source.Bool || v.Kind == source.Number || slices.Contains(specFacts, key):
		return v
	}
	return nil
}

// options copies a list of plain values, or the choices of a dynamic combo.
func (f facts) options(v *source.Value) *source.Value {
	out := source.NewArray()
	for _, o := range v.Items {
		if o.Get("key") != nil && o.Get("inputs") != nil {
			o = source.NewObject(source.Member{Key: "key", Value: o.Get("key")}, source.Member{Key: "inputs", Value: f.groups(o.Get("inputs"), nil)})
		}
		out.Items = append(out.Items, o)
	}
	return out
}

// template copies the template of an autogrow input or of a match type.
func (f facts) template(v *source.Value) *source.Value {
	out := source.NewObject()
	for _, m := range v.Members {
		value := m.Value
		if m.Key == "input" {
			value = f.groups(value, nil)
		}
		out.Members = append(out.Members, source.Member{Key: m.Key, Value: value})
	}
	return out
}

// notFiles are options of model lists for which no file is needed, such as the VAE "pixel_space"; a list that holds
// nothing else was empty.
var notFiles = []string{"pixel_space", "none", "None"}

// isOpen tells whether a list depends on the files of the server where it was made: it is empty, names only what needs no file, is filled
// by the browser, or takes uploads.
func isOpen(name string, kind, spec *source.Value) bool {
	list := kind
	switch {
	case kind.Kind == source.String && kind.Text == TypeCombo:
		list = spec.Get("options")
	case kind.Kind != source.Array:
		return false
	}
	if spec.Get("remote") != nil || takesUpload(spec) {
		return true
	}
	if list == nil || list.Kind != source.Array || len(list.Items) == 0 {
		return true
	}
	_, model := modelInputs[name]
	return model && !slices.ContainsFunc(list.Items, func(o *source.Value) bool { return !slices.Contains(notFiles, o.Str()) })
}

// takesUpload looks for flags such as image_upload.
func takesUpload(spec *source.Value) bool {
	if spec == nil {
		return false
	}
	return slices.ContainsFunc(spec.Members, func(m source.Member) bool { return strings.HasSuffix(m.Key, "_upload") && isTrue(m.Value) })
}
