package nodes

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/comfyc/comfyc/compiler/source"
)

// AppendTypes appends a TypeScript declaration file for node templates: the functions that a template may call, and one method of the graph
// per class. Editors complete and check templates with it. Names lists the classes, all if it is nil; unknown ones are left out.
func AppendTypes(dst []byte, c *Catalogue, names []string) []byte {
	if names == nil {
		names = c.Names()
	}
	dst = append(dst, typesHead...)
	for _, name := range names {
		if class, ok := c.Class(name); ok {
			dst = appendClass(dst, class)
		}
	}
	return append(dst, "}\n"...)
}

// typesHead declares what does not depend on classes. A link of one type may stand for a link of several.
const typesHead = `// Types of node templates, written by ` + "`comfyc nodes types`" + `. Do not edit.

/** An output of a node, of type T. */
interface Link<T extends string = any> { readonly __link: T }
type Json = string | number | bigint | boolean | null | Json[] | { [key: string]: Json };
type InputType = string | { type: string; default?: Json; min?: number; max?: number; step?: number; options?: Json[]; optional?: boolean };

interface Template {
  /** The class name by which workflows use the template. */
  name: string;
  inputs: { [name: string]: InputType };
  outputs: { [name: string]: string };
  /** Builds the nodes; gives the outputs by name. */
  expand(g: Graph, inputs: { [name: string]: any }): { [name: string]: Link };
}

/** Registers a template. */
declare function template(t: Template): void;
/** A number from 0 up to 1, the same for the same batch seed. */
declare function random(): number;

/** Adds nodes: one method per class, which gives the new node's outputs by name and by index. */
interface Graph {
`

// appendClass writes one method.
func appendClass(dst []byte, c *Class) []byte {
	if c.DisplayName != "" && c.DisplayName != c.Name {
		dst = fmt.Appendf(dst, "  /** %s */\n", strings.ReplaceAll(c.DisplayName, "*/", "* /"))
	}
	dst = fmt.Appendf(dst, "  %s(inputs: {", propertyName(c.Name))
	dst = appendInputTypes(dst, c.Inputs, "", false)
	dst = append(dst, " }): {"...)
	for i, o := range c.Outputs {
		kind := linkType(o.Type)
		dst = fmt.Appendf(dst, " readonly %d: %s;", i, kind)
		if firstOfName(c.Outputs, i) {
			dst = fmt.Appendf(dst, " readonly %s: %s;", propertyName(o.Name), kind)
		}
	}
	return append(dst, " };\n"...)
}

// firstOfName leaves out names that several outputs share, and those that read as an index.
func firstOfName(outputs []Output, i int) bool {
	if _, err := strconv.Atoi(outputs[i].Name); err == nil {
		return false
	}
	for _, o := range outputs[:i] {
		if o.Name == outputs[i].Name {
			return false
		}
	}
	return true
}

// appendInputTypes writes the inputs; those that a choice brings are optional, as are all that have a default.
func appendInputTypes(dst []byte, inputs []Input, prefix string, chosen bool) []byte {
	for i := range inputs {
		in := &inputs[i]
		if in.Group == Hidden {
			continue
		}
		name := prefix + in.Name
		mark := ""
		if chosen || in.Group == Optional {
			mark = "?"
		}
		switch in.Type {
		case TypeAutogrow:
			dst = appendGrowth(dst, in.Grow, name)
		case TypeDynamicCombo:
			dst = fmt.Appendf(dst, " %s%s: %s;", propertyName(name), mark, choiceType(in))
			dst = appendChoices(dst, in.Choices, name)
		default:
			dst = fmt.Appendf(dst, " %s%s: %s;", propertyName(name), mark, valueType(in))
		}
	}
	return dst
}

// appendGrowth writes the inputs of an autogrow template.
func appendGrowth(dst []byte, g *Growth, name string) []byte {
	if g == nil {
		return dst
	}
	for i := range g.Names {
		mark := "?"
		if i < g.Min && g.Input.Group == Required {
			mark = ""
		}
		dst = fmt.Appendf(dst, " %s%s: %s;", propertyName(name+"."+g.Names[i]), mark, valueType(&g.Input))
	}
	return dst
}

// appendChoices writes what the choices bring, each name once, with the type of the first choice that has it.
func appendChoices(dst []byte, choices []Choice, name string) []byte {
	seen := map[string]bool{}
	for _, c := range choices {
		var fresh []Input
		for _, in := range c.Inputs {
			if !seen[in.Name] {
				seen[in.Name] = true
				fresh = append(fresh, in)
			}
		}
		dst = appendInputTypes(dst, fresh, name+".", true)
	}
	return dst
}

func choiceType(in *Input) string { return union(in.OptionNames()) }

// valueType is what an input takes: a literal, a link, or both.
func valueType(in *Input) string {
	link := linkType(in.Type)
	switch in.Type {
	case TypeInt:
		return "number | bigint | " + link
	case TypeFloat:
		return "number | " + link
	case TypeString:
		return "string | " + link
	case TypeBoolean:
		return "boolean | " + link
	case TypeCombo:
		if in.Open || len(in.Options) == 0 {
			return "string | " + link
		}
		return comboType(in) + " | " + link
	case TypeAny, TypeMatch:
		return "Link | Json"
	}
	return link
}

// comboType lists the options if all are texts.
func comboType(in *Input) string {
	if names := in.OptionNames(); len(names) == len(in.Options) {
		return union(names)
	}
	return "Json"
}

// union writes texts as a union of literal types.
func union(names []string) string {
	if len(names) == 0 {
		return "string"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = string(source.AppendQuoted(nil, name))
	}
	return strings.Join(quoted, " | ")
}

// linkType is a link of one type or of several.
func linkType(kind string) string {
	if kind == TypeAny || kind == TypeMatch {
		return "Link"
	}
	var parts []string
	for part := range strings.SplitSeq(kind, ",") {
		if part = strings.TrimSpace(part); part == TypeAny {
			return "Link"
		}
		parts = append(parts, string(source.AppendQuoted(nil, part)))
	}
	return "Link<" + strings.Join(parts, " | ") + ">"
}

// propertyName writes a name as a property, in quotes if it is no identifier.
func propertyName(name string) string {
	for i, r := range name {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return string(source.AppendQuoted(nil, name))
		}
	}
	if name == "" {
		return `""`
	}
	return name
}
