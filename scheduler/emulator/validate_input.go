package emulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// defined gives an input's definition in the built-in catalogue, nil if it is not known.
func (c *checker) defined(id, name string) *nodes.Input {
	class, ok := nodes.BuiltIn().Class(c.nodes[id].Get("class_type").Str())
	if !ok {
		return nil
	}
	return class.Input(name)
}

// plain are the types whose values are checked here.
func plain(kind string) bool { return kind == "INT" || kind == "FLOAT" || kind == "COMBO" }

// required notes the inputs that must be there and are not. Inputs that grow or depend on others are left alone.
func (c *checker) required(id, output string, given *source.Value) {
	class, ok := nodes.BuiltIn().Class(c.nodes[id].Get("class_type").Str())
	if !ok {
		return
	}
	for i := range class.Inputs {
		in := &class.Inputs[i]
		if in.Group == nodes.Required && given.Get(in.Name) == nil && !strings.HasPrefix(in.Type, "COMFY_") {
			c.fail(id, output, promptFail{"required_input_missing", "Required input is missing", in.Name, object("input_name", source.NewString(in.Name))})
		}
	}
}

// config is how messages show a definition; models stand in open lists.
func config(in *nodes.Input, models []string) *source.Value {
	kind := source.NewString(in.Type)
	if in.OldList && in.Open {
		kind = texts(models)
	} else if in.OldList {
		kind = source.NewArray(in.Options...)
	}
	return source.NewArray(kind, in.Spec)
}

// about makes an error's extra_info: the input, its definition if it is known, and more.
func (c *checker) about(id, name string, more ...any) *source.Value {
	pairs := []any{"input_name", source.NewString(name)}
	if in := c.defined(id, name); in != nil {
		pairs = append(pairs, "input_config", config(in, c.models))
	}
	return object(append(pairs, more...)...)
}

// literal checks a value against its definition.
func (c *checker) literal(id, output, class, name string, v *source.Value) {
	in := c.defined(id, name)
	if in == nil || !plain(in.Type) {
		return
	}
	if in.Type == "COMBO" {
		c.option(id, output, in, v)
		return
	}
	number, why := coerced(in.Type, v)
	if why != "" {
		c.fail(id, output, promptFail{"invalid_input_type", fmt.Sprintf("Failed to convert an input value to a %s value", in.Type),
			fmt.Sprintf("%s, %s, %s", name, shown(v), why), c.about(id, name, "received_value", v, "exception_message", source.NewString(why))})
		return
	}
	for _, bound := range []struct {
		key, kind, word string
		beyond          func(limit float64) bool
	}{
		{"min", "value_smaller_than_min", "smaller than min", func(l float64) bool { return number < l }},
		{"max", "value_bigger_than_max", "bigger than max", func(l float64) bool { return number > l }},
	} {
		if limit, ok := in.Spec.Get(bound.key).Float(); ok && bound.beyond(limit) {
			c.fail(id, output, promptFail{bound.kind, fmt.Sprintf("Value %s %s of %s", shown(v), bound.word, in.Spec.Get(bound.key).Text), name,
				c.about(id, name, "received_value", v)})
			return
		}
	}
}

// coerced reads a value as Python's int() or float() does; why says what is wrong with it.
func coerced(kind string, v *source.Value) (number float64, why string) {
	switch v.Kind {
	case source.Number:
		number, _ = v.Float()
		return number, ""
	case source.Bool:
		// True counts as 1.
		return map[bool]float64{true: 1}[v.Bool], ""
	case source.String:
		// Python takes " 7 ", "+5" and "1_0"; int() refuses "20.5" and "1e3", float() takes both and "nan".
		text := strings.ReplaceAll(strings.TrimSpace(v.Text), "_", "")
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || kind == "INT" && (strings.ContainsAny(text, ".eEnN") || math.IsInf(number, 0)) {
			if kind == "INT" {
				return 0, "invalid literal for int() with base 10: " + python(v)
			}
			return 0, "could not convert string to float: " + python(v)
		}
		return number, ""
	}
	return 0, fmt.Sprintf("%s() argument must be a string or a real number", strings.ToLower(kind))
}

// shown is a value as str() prints it.
func shown(v *source.Value) string {
	if v.Kind == source.String {
		return v.Text
	}
	return python(v)
}

// ownValidators are classes that look at their inputs themselves.
var ownValidators = map[string]bool{"LoadImage": true, "LoadImageMask": true, "LoadImageOutput": true, "WebcamCapture": true, "LoadLatent": true,
	"LoadVideo": true, "LoadAudio": true, "Load3D": true, "Load3DAdvanced": true, "CustomCombo": true}

// option checks a choice against its list. Open lists take everything.
func (c *checker) option(id, output string, in *nodes.Input, v *source.Value) {
	if in.Open || len(in.Options) == 0 || ownValidators[c.nodes[id].Get("class_type").Str()] {
		return
	}
	var names []string
	for _, o := range in.Options {
		if o.Kind == v.Kind && o.Text == v.Text && o.Bool == v.Bool {
			return
		}
		names = append(names, shown(o))
	}
	c.fail(id, output, promptFail{"value_not_in_list", "Value not in list", fmt.Sprintf("%s: %s not in %s", in.Name, python(v), listed(names)),
		c.about(id, in.Name, "received_value", v)})
}

// types checks that a link's two ends have one type. "*" and lists such as "IMAGE,MASK" are let pass, as are the types of newer nodes
// (COMFY_…), whose rules are not told here.
func (c *checker) types(id, output, name string, link *source.Value) {
	in := c.defined(id, name)
	from, ok := nodes.BuiltIn().Class(c.nodes[link.Items[0].Str()].Get("class_type").Str())
	slot, isInt := link.Items[1].Int()
	if in == nil || !ok || !isInt || slot < 0 || slot >= len(from.Outputs) {
		return
	}
	have := from.Outputs[slot].Type
	if have == in.Type || strings.ContainsAny(have+in.Type, "*,") || strings.HasPrefix(in.Type, "COMFY_") || strings.HasPrefix(have, "COMFY_") {
		return
	}
	c.fail(id, output, promptFail{"return_type_mismatch", "Return type mismatch between linked nodes",
		fmt.Sprintf("%s, received_type(%s) mismatch input_type(%s)", name, have, in.Type),
		c.about(id, name, "received_type", source.NewString(have), "linked_node", link)})
}
