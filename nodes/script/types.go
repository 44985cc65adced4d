package script

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// The declaration file is what makes an editor complete g.KSampler({…}) and underline a text where a number belongs.
// It must be accepted by `tsc --strict` and be no stricter than Expand, so what may be anything is any: an open list,
// a dynamic input.

// maxUnion is the number of options up to which a list is written as a union of texts. Longer ones make editors slow.
const maxUnion = 200

// Types writes a TypeScript declaration file for editors: the classes of a catalogue (nil means the built-in one), the templates of a
// set (nil means none), and what scripts are given. `tsc --strict` accepts it and checks templates against it.
func Types(w io.Writer, cat *nodes.Catalogue, set *Set) error {
	if cat == nil {
		cat = nodes.BuiltIn()
	}
	b := bufio.NewWriter(w)
	b.WriteString(typesHead)
	b.WriteString("interface Graph {\n")
	for _, name := range cat.Names() {
		class, _ := cat.Class(name)
		writeClass(b, class)
	}
	if set != nil {
		for _, t := range set.templates {
			writeClass(b, t.class)
		}
	}
	b.WriteString("}\n")
	return b.Flush()
}

// typesHead declares what does not depend on the classes.
const typesHead = `// Node classes for comfyc templates, written by "comfyc nodes types". Do not edit.

/** An output of a node: it may be given to an input of its type. */
interface Link<T extends string = string> { readonly " type": T }
/** What g.Class(…) returns: its outputs by index and by name. A node with one output stands for that output too. */
type Outputs<L extends readonly Link<any>[], N> = Readonly<L> & N & (L extends readonly [infer Only] ? Only : unknown);
interface NodeOptions { title?: string }

type InputType = string | readonly string[] | {
  readonly type?: string; readonly default?: unknown; readonly min?: number | bigint; readonly max?: number | bigint; readonly step?: number;
  readonly options?: readonly (string | number)[]; readonly optional?: boolean; readonly multiline?: boolean; readonly tooltip?: string;
};
type TypeOf<T extends string> = T extends "INT" | "FLOAT" ? number : T extends "STRING" ? string : T extends "BOOLEAN" ? boolean : T extends "*" ? any : Link<T>;
type ValueOf<I> = I extends string ? TypeOf<I> : I extends readonly (infer O)[] ? O
  : I extends { readonly options: readonly (infer O)[] } ? O
  : I extends { readonly type: infer T extends string } ? (I extends { readonly optional: true } ? TypeOf<T> | undefined : TypeOf<T>) : any;
type Inputs<I> = { readonly [K in keyof I]: ValueOf<I[K]> };
type Given<T> = T extends "INT" | "FLOAT" ? number | bigint | Link<T> : T extends "STRING" ? string | Link<T> : T extends "BOOLEAN" ? boolean | Link<T>
  : T extends string ? Link<T> : never;
type Returned<O> = { [K in keyof O]: O[K] extends "*" ? any : Given<O[K]> } | (keyof O extends never ? void : Given<O[keyof O]>);

/** Registers a node template. */
declare function template<const I extends Record<string, InputType> = {}, const O extends Record<string, string> = {}>(definition: {
  name: string; description?: string; inputs?: I; outputs?: O; expand(g: Graph, inputs: Inputs<I>): Returned<O>;
}): void;
/** Registers a whole workflow. */
declare function workflow<const I extends Record<string, InputType> = {}>(definition: ((g: Graph) => void) | {
  description?: string; inputs?: I; expand(g: Graph, inputs: Inputs<I>): void;
}): void;
/** A number in [0, 1) that depends on the seed, the template and its inputs alone. */
declare function random(): number;

`

// writeClass writes one method of Graph.
func writeClass(b *bufio.Writer, c *nodes.Class) {
	if c.DisplayName != "" && c.DisplayName != c.Name {
		fmt.Fprintf(b, "  /** %s */\n", comment(c.DisplayName))
	}
	// g.Class() without an argument is allowed if nothing must be given.
	optional := "?"
	var fields strings.Builder
	for i := range c.Inputs {
		in := &c.Inputs[i]
		if in.Group == nodes.Hidden || c.Dynamic() && dynamicInput(in) {
			continue
		}
		mark := "?"
		if in.Group == nodes.Required && in.Default() == nil {
			mark, optional = "", ""
		}
		fmt.Fprintf(&fields, " %s%s: %s;", key(in.Name), mark, inputType(in))
	}
	if c.Dynamic() {
		fields.WriteString(" [dynamic: string]: any;")
	}
	fmt.Fprintf(b, "  %s(inputs%s: {%s }, options?: NodeOptions): %s;\n", key(c.Name), optional, fields.String(), outputType(c))
}

// dynamicInput tells inputs whose names depend on other values. A class with one gets an index signature, which
// admits every name.
func dynamicInput(in *nodes.Input) bool {
	return in.Type == nodes.TypeAutogrow || in.Type == nodes.TypeDynamicSlot || in.Type == nodes.TypeDynamicCombo
}

// inputType is what may be given to an input.
func inputType(in *nodes.Input) string {
	link := linkType(in.Type)
	switch in.Type {
	case nodes.TypeInt, nodes.TypeFloat:
		return "number | bigint | " + link
	case nodes.TypeString:
		return "string | " + link
	case nodes.TypeBoolean:
		return "boolean | " + link
	case nodes.TypeCombo:
		return options(in) + " | " + link
	case nodes.TypeAny, nodes.TypeMatch:
		return "any"
	}
	return link
}

// options is a union of a list's values, or whatever may be in a list that is open or long.
func options(in *nodes.Input) string {
	if in.Open || len(in.Options) == 0 || len(in.Options) > maxUnion {
		return "string | number"
	}
	var list []string
	for _, o := range in.Options {
		switch o.Kind {
		case source.String, source.Bool:
			list = append(list, string(o.AppendJSON(nil)))
		case source.Number:
			list = append(list, "number")
		}
	}
	if len(list) == 0 {
		return "any"
	}
	return strings.Join(list, " | ")
}

// linkType is Link<"IMAGE">, Link<"IMAGE" | "MASK"> for "IMAGE,MASK", and Link<any> for types that take everything.
func linkType(kind string) string {
	if kind == nodes.TypeAny || kind == nodes.TypeMatch {
		return "Link<any>"
	}
	parts := strings.Split(kind, ",")
	for i := range parts {
		parts[i] = strconv.Quote(strings.TrimSpace(parts[i]))
	}
	return "Link<" + strings.Join(parts, " | ") + ">"
}

// outputType is a tuple of links with their names. A name that two outputs have is the first's.
func outputType(c *nodes.Class) string {
	var list, names []string
	seen := map[string]bool{}
	for i := range c.Outputs {
		o := &c.Outputs[i]
		list = append(list, linkType(o.Type))
		// Scripts may write node.image for node.IMAGE. Names that are numbers would clash with the indexes.
		for _, name := range []string{o.Name, strings.ToLower(o.Name)} {
			if _, err := strconv.Atoi(name); !seen[name] && err != nil && name != "" {
				seen[name] = true
				names = append(names, fmt.Sprintf(" readonly %s: %s;", key(name), linkType(o.Type)))
			}
		}
	}
	return fmt.Sprintf("Outputs<[%s], {%s }>", strings.Join(list, ", "), strings.Join(names, ""))
}

// key quotes a name, so that any may be a member.
func key(name string) string { return string(source.AppendQuoted(nil, name)) }

// comment makes a text fit into /** … */ on one line.
func comment(s string) string {
	return strings.NewReplacer("*/", "* /", "\n", " ", "\r", " ").Replace(s)
}
