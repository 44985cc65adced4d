package nodes

import (
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// Reading definitions. A server is no authority on its own format: custom nodes put almost anything into INPUT_TYPES,
// and /object_info prints it. So each function here takes what it understands and leaves the rest out, and accessors
// such as Get, Str and Index give nil or "" for what is not there or of another kind.

// maxDynamicDepth bounds dynamic combos within dynamic combos; ComfyUI's own go three levels deep.
const maxDynamicDepth = 12

// maxGrowth is ComfyUI's bound on the names of an autogrow input.
const maxGrowth = 100

// decodeClass reads a definition: an entry of /object_info, or of the compact form, whose marks for open lists
// count, and are taken off the tree, if open is set: then the tree must be nobody else's.
// What is malformed is read as far as it goes; no definition makes it fail.
func decodeClass(name string, def *source.Value, open bool) *Class {
	d := decoder{open: open}
	c := &Class{
		Name:         name,
		DisplayName:  def.Get("display_name").Str(),
		Category:     def.Get("category").Str(),
		Module:       def.Get("python_module").Str(),
		OutputNode:   isTrue(def.Get("output_node")),
		InputList:    isTrue(def.Get("is_input_list")),
		Deprecated:   isTrue(def.Get("deprecated")),
		Experimental: isTrue(def.Get("experimental")),
		APINode:      isTrue(def.Get("api_node")),
		V3:           def.Member("output_matchtypes") != nil,
		Intermediate: isTrue(def.Get("has_intermediate_output")),
	}
	c.Inputs = d.groups(def.Get("input"), def.Get("input_order"), 0)
	c.Outputs = decodeOutputs(def)
	c.prepare()
	return c
}

// decoder carries what all inputs of a definition have in common: whether the mark "open" of our own compact form
// counts. In a user's snapshot it does not: an input may have an option of that name by chance. Nobody but the decoder sees
// the mark; a Spec holds what the server said.
type decoder struct{ open bool }

// groups reads {"required": {…}, "optional": {…}, "hidden": {…}} in this order, each group in the order that order names.
func (d decoder) groups(v, order *source.Value, depth int) []Input {
	var out []Input
	for _, g := range []Group{Required, Optional, Hidden} {
		members := v.Get(g.String())
		if members == nil || members.Kind != source.Object {
			continue
		}
		for _, m := range ordered(members.Members, order.Get(g.String())) {
			out = append(out, d.input(m.Key, g, m.Value, depth))
		}
	}
	return out
}

// ordered sorts members as a list of names says; those that it lacks keep their order behind the others.
func ordered(members []source.Member, names *source.Value) []source.Member {
	if names == nil || names.Kind != source.Array || sameOrder(members, names.Items) {
		return members
	}
	rest := make(map[string]source.Member, len(members))
	for _, m := range members {
		rest[m.Key] = m
	}
	out := make([]source.Member, 0, len(members))
	for _, name := range names.Items {
		if m, ok := rest[name.Str()]; ok {
			out = append(out, m)
			delete(rest, name.Str())
		}
	}
	for _, m := range members {
		if _, ok := rest[m.Key]; ok {
			out = append(out, m)
		}
	}
	return out
}

// sameOrder tells whether nothing is to be sorted, which is so for nearly all definitions; it saves a map for each
// group.
func sameOrder(members []source.Member, names []*source.Value) bool {
	if len(members) != len(names) {
		return false
	}
	for i := range members {
		if members[i].Key != names[i].Str() {
			return false
		}
	}
	return true
}

// input reads `["TYPE", {…}]`, `[["a", "b"], {…}]`, or a hidden input's bare "TYPE".
func (d decoder) input(name string, g Group, v *source.Value, depth int) Input {
	in := Input{Name: name, Group: g, Type: TypeAny, Spec: emptySpec}
	kind := v
	// The old form has the type, or the list of options itself, in the first place and the settings in the second.
	if v.Kind == source.Array {
		kind = v.Index(0)
		if spec := v.Index(1); spec != nil && spec.Kind == source.Object {
			in.Spec = spec
		}
	}
	switch {
	case kind == nil:
	case kind.Kind == source.String:
		in.Type = kind.Text
	case kind.Kind == source.Array:
		in.Type, in.OldList, in.Options = TypeCombo, true, kind.Items
	}
	d.details(&in, depth)
	return in
}

// emptySpec stands in for settings that are missing, so that Spec is never nil. It is shared, as nobody writes into a
// Spec.
var emptySpec = source.NewObject()

// details reads what depends on the type: options, choices, a template, or the inputs of a slot.
func (d decoder) details(in *Input, depth int) {
	switch in.Type {
	case TypeCombo:
		// In the newer form the type says COMBO and the options stand among the settings.
		if list := in.Spec.Get("options"); !in.OldList && list != nil {
			in.Options = list.Items
		}
		if in.Open = d.open && in.Flag("open"); in.Open {
			in.Spec.Members = slices.DeleteFunc(in.Spec.Members, func(m source.Member) bool { return m.Key == "open" })
		}
	case TypeDynamicCombo:
		in.Choices = d.choices(in.Spec.Get("options"), depth)
	case TypeAutogrow:
		in.Grow = d.growth(in.Spec.Get("template"), depth)
	case TypeDynamicSlot:
		// Each level of a slot may hold slots again. What lies deeper than the bound is left out: such a class then
		// has fewer inputs.
		if depth < maxDynamicDepth {
			in.Slot = d.groups(in.Spec.Get("inputs"), nil, depth+1)
		}
	}
}

// choices reads `[{"key": …, "inputs": {…}}]`.
func (d decoder) choices(list *source.Value, depth int) []Choice {
	if list == nil || depth >= maxDynamicDepth {
		return nil
	}
	var out []Choice
	for _, o := range list.Items {
		out = append(out, Choice{Key: o.Get("key"), Inputs: d.groups(o.Get("inputs"), nil, depth+1)})
	}
	return out
}

// growth reads an autogrow template: the names are listed, or made of a prefix and a number from 0.
func (d decoder) growth(t *source.Value, depth int) *Growth {
	if t == nil || depth >= maxDynamicDepth {
		return nil
	}
	inputs := d.groups(t.Get("input"), nil, depth+1)
	if len(inputs) == 0 {
		return nil
	}
	// ComfyUI takes the first input of the template, whatever else there is.
	g := &Growth{Input: inputs[0]}
	g.Min, _ = t.Get("min").Int()
	if names := t.Get("names"); names != nil {
		for _, n := range names.Items {
			g.Names = append(g.Names, n.Str())
		}
	} else {
		// {"prefix": "image", "min": 2, "max": 4} gives image0 to image3, of which the first two must be there.
		count, _ := t.Get("max").Int()
		for i := range min(max(count, 0), maxGrowth) {
			g.Names = append(g.Names, t.Get("prefix").Str()+strconv.Itoa(i))
		}
	}
	g.Names = g.Names[:min(len(g.Names), maxGrowth)]
	return g
}

// decodeOutputs joins the lists output, output_name, output_is_list and output_matchtypes, any of which may be short or missing.
func decodeOutputs(def *source.Value) []Output {
	types := def.Get("output")
	if types == nil {
		return nil
	}
	out := make([]Output, 0, len(types.Items))
	for i, t := range types.Items {
		o := Output{Type: t.Str(), List: isTrue(def.Get("output_is_list").Index(i)), Match: def.Get("output_matchtypes").Index(i).Str()}
		if t.Kind == source.Array {
			o.Type, o.OldList, o.Options = TypeCombo, true, t.Items
		}
		// An output without a name is shown, and addressed by templates, under its type, as ComfyUI does.
		o.Name = def.Get("output_name").Index(i).Str()
		if o.Name == "" {
			o.Name = o.Type
		}
		out = append(out, o)
	}
	return out
}

// isTrue takes JSON's true alone, as the browser does with these flags: 1 and "true" are not taken.
func isTrue(v *source.Value) bool { return v != nil && v.Kind == source.Bool && v.Bool }
