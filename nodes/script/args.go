package script

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// What a use of a template gives is checked as a server checks a node, before the script runs: a script may rely on
// the types and ranges that it declared. Values that expand itself gives to core nodes are not checked here but by
// the compiler, once the nodes are there.

// checkLiteral holds a value against an input of a template. The codes are those that a server has for ordinary nodes.
func checkLiteral(in *nodes.Input, class string, v *source.Value) []diag.Diagnostic {
	bad := func(code, format string, args ...any) []diag.Diagnostic {
		return []diag.Diagnostic{diag.Errorf(code, diag.Of(v), "input %q of %s "+format, append([]any{in.Name, class}, args...)...)}
	}
	shown := clip(string(v.AppendJSON(nil)))
	if !in.Widget() {
		if in.Type == nodes.TypeAny {
			return nil
		}
		return bad("bad_linked_input", "takes a link of type %s, not %s", in.Type, shown)
	}
	if !fitsType(in, v) {
		return bad("invalid_input_type", "takes %s, not %s", in.Type, shown)
	}
	if lowest := in.Spec.Get("min"); lowest != nil && below(v, lowest) {
		return bad("value_smaller_than_min", "is %s, smaller than its minimum of %s", shown, lowest.Text)
	}
	if highest := in.Spec.Get("max"); highest != nil && below(highest, v) {
		return bad("value_bigger_than_max", "is %s, bigger than its maximum of %s", shown, highest.Text)
	}
	if len(in.Options) > 0 && !oneOf(in.Options, v) {
		d := bad("value_not_in_list", "is not in the list: %s", shown)
		d[0].Hint = diag.Suggest(v.Str(), in.OptionNames())
		if d[0].Hint == "" && len(in.Options) <= 8 {
			d[0].Hint = "one of " + strings.Join(in.OptionNames(), ", ")
		}
		return d
	}
	return nil
}

// fitsType tells whether a literal is of an input's type. Nothing is coerced, but 8.0 is an INT.
func fitsType(in *nodes.Input, v *source.Value) bool {
	switch in.Type {
	case nodes.TypeInt:
		_, small := v.Int()
		// Seeds are unsigned: up to 2^64-1 is an INT, which an int64 does not hold.
		n, isInt := v.BigInt()
		return small || isInt && n.BitLen() <= 64
	case nodes.TypeFloat:
		return v.Kind == source.Number && !strings.ContainsAny(v.Text, "nN")
	case nodes.TypeString:
		return v.Kind == source.String
	case nodes.TypeBoolean:
		return v.Kind == source.Bool
	}
	return true
}

// below tells whether a is smaller than b as Python compares them; false where that cannot be said, as for NaN.
func below(a, b *source.Value) bool {
	order, ok := nodes.Compare(a, b)
	return ok && order < 0
}

// oneOf looks for an option that equals v as Python's `in` does, so 1 is in [1.0].
func oneOf(options []*source.Value, v *source.Value) bool {
	for _, o := range options {
		if nodes.Equal(o, v) {
			return true
		}
	}
	return false
}

// given is what a use gives for one input: a literal, or a link to a node of the result, with the type of what comes
// from there ("" if
// it is not known).
type given struct {
	literal *source.Value // set with a link too where that came from the prompt; link decides
	link    *source.Value // [id, slot]; nil for a literal
	kind    string        // the output's type, "" if it is not known; a template may return a literal, which has one too
	key     diag.Place    // of the input's name, where an undeclared one is shown
}

// arguments checks what a use gives against the template's inputs, and adds the defaults. The result is in the declared order.
func (x *expansion) arguments(t *template, node string, all map[string]given, order []string, at diag.Place) (args []namedGiven, ok bool) {
	// Warnings do not stop an expansion, so errors are counted and not findings.
	before := x.list.Errors()
	for _, name := range order {
		in := t.class.Input(name)
		if in == nil {
			x.add(diag.Errorf("undeclared_input", all[name].key, "input %q of %s does not exist", clip(name), t.Name).
				About(node, clip(name)).Hinted(x.suggest(name, t.class.InputNames)))
			continue
		}
		x.checkGiven(t, node, in, all[name])
	}
	for i := range t.class.Inputs {
		in := &t.class.Inputs[i]
		g, is := all[in.Name]
		switch {
		case is:
			args = append(args, namedGiven{in.Name, g})
		case in.Default() != nil:
			args = append(args, namedGiven{in.Name, given{literal: in.Default()}})
		// An optional input without a default that is not given is not there for the script either.
		case in.Group == nodes.Required:
			x.add(diag.Errorf("required_input_missing", at, "%s lacks the required input %q", t.Name, in.Name).About(node, in.Name))
		}
	}
	return args, x.list.Errors() == before
}

// namedGiven is an argument with its name, since their order is part of the key under which an expansion is
// remembered.
type namedGiven struct {
	name string
	given
}

// checkGiven finds what is wrong with one argument. A link is checked by its type only: its value is known when the
// workflow runs.
func (x *expansion) checkGiven(t *template, node string, in *nodes.Input, g given) {
	if g.link != nil {
		if !linkFits(g.kind, in.Type) {
			x.add(diag.Errorf("return_type_mismatch", diag.Of(g.link), "input %q of %s takes %s but is linked to %s", in.Name, t.Name, in.Type, g.kind).
				About(node, in.Name))
		}
		return
	}
	for _, d := range checkLiteral(in, t.Name, g.literal) {
		x.add(d.About(node, in.Name))
	}
}

// linkFits tells whether an output's type does for an input's; both may be lists of types.
func linkFits(from, to string) bool {
	if from == "" || from == to || from == nodes.TypeAny || to == nodes.TypeAny || from == nodes.TypeMatch {
		return true
	}
	for _, a := range strings.Split(from, ",") {
		for _, b := range strings.Split(to, ",") {
			if a == b {
				return true
			}
		}
	}
	return false
}

// slotFor chooses the output of a node that a whole handle means: the only one, or the only one whose type fits.
func slotFor(class *nodes.Class, want string) (slot int, why string) {
	if class == nil || len(class.Outputs) == 1 {
		return 0, ""
	}
	slot = whole
	for i := range class.Outputs {
		if want != "" && want != nodes.TypeAny && linkFits(class.Outputs[i].Type, want) {
			if slot >= 0 {
				return whole, fmt.Sprintf("several outputs of %s are of type %s", class.Name, want)
			}
			slot = i
		}
	}
	if slot < 0 {
		return slot, fmt.Sprintf("%s has %d outputs, and it is not clear which one is meant", class.Name, len(class.Outputs))
	}
	return slot, ""
}
