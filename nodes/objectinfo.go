package nodes

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/source"
)

// The way back from a Class to JSON, for servers of our own whose clients read /object_info as from a ComfyUI server: the
// native face of the service, and the emulator. What a catalogue does not keep is not there, or empty: description (""),
// output_tooltips, search_aliases, price_badge, dev_only and the like. Of a class in the built-in catalogue, or in one that
// Import made, the sentences among an input's settings are missing too, such as tooltip.

// ObjectInfo writes a class as /object_info does, such that [Load] reads an equal class again. A list that is open is written
// as the server had it of which the catalogue was made, mostly as an empty one: the form of /object_info cannot say more, and
// Load takes it literally; [Import] opens it again. The tree shares the Specs of the class: it is read-only.
func (c *Class) ObjectInfo() *source.Value {
	input, order := c.inputInfo()
	types, names, lists := source.NewArray(), source.NewArray(), source.NewArray()
	for i := range c.Outputs {
		o := &c.Outputs[i]
		kind := source.NewString(o.Type)
		if o.OldList {
			kind = source.NewArray(o.Options...)
		}
		types.Items, names.Items = append(types.Items, kind), append(names.Items, source.NewString(o.Name))
		lists.Items = append(lists.Items, source.NewBool(o.List))
	}
	out := object("input", input, "input_order", order, "is_input_list", source.NewBool(c.InputList),
		"output", types, "output_is_list", lists, "output_name", names)
	if c.V3 {
		out.Members = append(out.Members, source.Member{Key: "output_matchtypes", Value: c.matchTypes()})
	}
	// A class without a title has null, and clients show its name.
	title := source.NewNull()
	if c.DisplayName != "" {
		title = source.NewString(c.DisplayName)
	}
	out.Members = append(out.Members, object("name", source.NewString(c.Name), "display_name", title, "description", source.NewString(""),
		"python_module", source.NewString(c.Module), "category", source.NewString(c.Category), "output_node", source.NewBool(c.OutputNode)).Members...)
	out.Members = append(out.Members, c.flags()...)
	return out
}

// Stocked is a class as a server has it that knows its files: what have gives stands in an open list, behind what is in it already. Where have
// does not know them a list cannot be written, so such an input has none: an empty one would say that no file is there.
func (c *Class) Stocked(have func(in *Input) (names []string, known bool)) *Class {
	out := *c
	out.Inputs = slices.Clone(c.Inputs)
	for i := range out.Inputs {
		in := &out.Inputs[i]
		if !in.Open {
			continue
		}
		names, known := have(in)
		if !known {
			in.OldList, in.Options, in.Spec = false, nil, without(in.Spec, "options")
			continue
		}
		in.Options = slices.Clone(in.Options)
		for _, name := range names {
			if !slices.ContainsFunc(in.Options, func(o *source.Value) bool { return o.Str() == name }) {
				in.Options = append(in.Options, source.NewString(name))
			}
		}
		if !in.OldList { // the newer form has its list among the settings
			in.Spec = without(in.Spec, "options")
			in.Spec.Members = append(in.Spec.Members, source.Member{Key: "options", Value: source.NewArray(in.Options...)})
		}
	}
	return &out
}

// without is a copy of an object that lacks one key.
func without(object *source.Value, key string) *source.Value {
	out := source.NewObject()
	if object != nil {
		out.Members = slices.DeleteFunc(slices.Clone(object.Members), func(m source.Member) bool { return m.Key == key })
	}
	return out
}

// flags writes what a class is: all of it for newer-style classes; old-style ones say of the first three only what is so.
func (c *Class) flags() []source.Member {
	var out []source.Member
	for _, f := range []struct {
		key string
		is  bool
	}{{"deprecated", c.Deprecated}, {"experimental", c.Experimental}, {"api_node", c.APINode}} {
		if f.is || c.V3 {
			out = append(out, source.Member{Key: f.key, Value: source.NewBool(f.is)})
		}
	}
	shows := source.Member{Key: "has_intermediate_output", Value: source.NewBool(c.Intermediate)}
	if c.V3 {
		return append(out, shows)
	}
	return append([]source.Member{shows}, out...) // the order of a server
}

// inputInfo writes the inputs by group, and their order. The group required is always there, the others only where they
// have inputs.
func (c *Class) inputInfo() (input, order *source.Value) {
	var groups, orders [3]*source.Value
	for g := range groups {
		groups[g], orders[g] = source.NewObject(), source.NewArray()
	}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		groups[in.Group].Members = append(groups[in.Group].Members, source.Member{Key: in.Name, Value: in.info(c.V3)})
		orders[in.Group].Items = append(orders[in.Group].Items, source.NewString(in.Name))
	}
	input, order = source.NewObject(), source.NewObject()
	for _, g := range []Group{Required, Optional, Hidden} {
		if g == Required || len(groups[g].Members) > 0 {
			input.Members = append(input.Members, source.Member{Key: g.String(), Value: groups[g]})
			order.Members = append(order.Members, source.Member{Key: g.String(), Value: orders[g]})
		}
	}
	return input, order
}

// info writes an input: [type] or [list of options], and its settings behind. Newer-style classes have settings for every
// input, {} if there are none, but for hidden ones: {"prompt": ["PROMPT"]}, where old-style ones have {"prompt": "PROMPT"}.
func (in *Input) info(v3 bool) *source.Value {
	kind := source.NewString(in.Type)
	if in.OldList {
		kind = source.NewArray(in.Options...)
	}
	bare := in.Spec == nil || in.Spec == emptySpec
	switch {
	case bare && in.Group == Hidden && !v3 && !in.OldList:
		return kind
	case bare && (in.Group == Hidden || !v3):
		return source.NewArray(kind)
	case bare:
		return source.NewArray(kind, emptySpec)
	}
	return source.NewArray(kind, in.Spec)
}

// matchTypes is null, or lists for each output the template whose type it follows, null for most.
func (c *Class) matchTypes() *source.Value {
	list, some := source.NewArray(), false
	for i := range c.Outputs {
		match := source.NewNull()
		if c.Outputs[i].Match != "" {
			match, some = source.NewString(c.Outputs[i].Match), true
		}
		list.Items = append(list.Items, match)
	}
	if !some {
		return source.NewNull()
	}
	return list
}

// object makes an object of keys and values in turn.
func object(pairs ...any) *source.Value {
	out := source.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		out.Members = append(out.Members, source.Member{Key: pairs[i].(string), Value: pairs[i+1].(*source.Value)})
	}
	return out
}
