package nodes

import "github.com/comfyc/comfyc/compiler/source"

// ObjectInfo writes a class as /object_info does.
func (c *Class) ObjectInfo() *source.Value {
	groups := [3]*source.Value{source.NewObject(), source.NewObject(), source.NewObject()}
	order := [3]*source.Value{source.NewArray(), source.NewArray(), source.NewArray()}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		g := groups[in.Group]
		g.Members = append(g.Members, source.Member{Key: in.Name, Value: in.objectInfo()})
		order[in.Group].Items = append(order[in.Group].Items, source.NewString(in.Name))
	}
	input, inputOrder := object("required", groups[Required]), object("required", order[Required])
	for _, g := range []Group{Optional, Hidden} {
		if len(groups[g].Members) > 0 {
			input.Members = append(input.Members, source.Member{Key: g.String(), Value: groups[g]})
			inputOrder.Members = append(inputOrder.Members, source.Member{Key: g.String(), Value: order[g]})
		}
	}
	types, names, lists := source.NewArray(), source.NewArray(), source.NewArray()
	for _, out := range c.Outputs {
		types.Items, names.Items = append(types.Items, source.NewString(out.Type)), append(names.Items, source.NewString(out.Name))
		lists.Items = append(lists.Items, source.NewBool(out.List))
	}
	return object("input", input, "input_order", inputOrder, "output", types, "output_is_list", lists, "output_name", names, "name", source.NewString(c.Name),
		"display_name", source.NewString(c.Title()), "description", source.NewString(""), "python_module", source.NewString(c.Module),
		"category", source.NewString(c.Category), "output_node", source.NewBool(c.OutputNode))
}

// objectInfo writes an input: its type, or the list of its options, and its settings.
func (in *Input) objectInfo() *source.Value {
	if in.Group == Hidden {
		return source.NewString(in.Type)
	}
	kind := source.NewString(in.Type)
	if in.OldList {
		kind = source.NewArray(in.Options...)
	}
	return source.NewArray(kind, in.Spec)
}

// object makes an object of keys and values in turn.
func object(pairs ...any) *source.Value {
	out := source.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		out.Members = append(out.Members, source.Member{Key: pairs[i].(string), Value: pairs[i+1].(*source.Value)})
	}
	return out
}
