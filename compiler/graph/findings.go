// The wording of errors, apart from the checks that find them. Each sentence names the input and the class
// with the words of the prompt, then what was found; what to do goes into the hint. ComfyUI's own message
// is never needed to understand one.

package graph

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// maxShown is the number of bytes up to which a value is shown in a message. Prompts run to pages; the
// excerpt below shows the place.
const maxShown = 60

// show prints a value for a message, as JSON, cut if it is long: a text with its quotes, so that 8 and "8"
// look different.
func show(v *source.Value) string { return cut(string(v.AppendJSON(nil))) }

// showBound prints a declared bound: 100 for 100.0.
func showBound(v *source.Value) string { return strings.TrimSuffix(show(v), ".0") }

// quote prints a text for a message, in quotes, cut if it is long.
func quote(s string) string { return cut(string(source.AppendQuoted(nil, s))) }

// cut shortens a text between two characters; the dots are behind the limit.
func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// maxSought bounds the names that are compared for suggestions in one build, so that a prompt with a mistake in every node costs no more.
const maxSought = 1_000_000

// suggest is [diag.Suggest] with a bound on the whole build: "" once the bound is passed.
func (b *builder) suggest(written string, names []string) string {
	if b.sought += len(names); b.sought > maxSought {
		return ""
	}
	return diag.Suggest(written, names)
}

// of says which input of which class a finding is about.
func (n *Node) of(in string) string { return fmt.Sprintf("input %q of %s", in, n.Class) }

// called names a node by its id and class.
func (n *Node) called() string { return fmt.Sprintf("node %s (%s)", n.ID, n.Class) }

// classPlace is where the node's class stands; the node's key if a program made it.
func (n *Node) classPlace() diag.Place {
	if c := n.Value.Get("class_type"); c != nil {
		return diag.Of(c)
	}
	return n.Key
}

// missing says that a required input is not given. A given input that no one asked for and that is spelt nearly so is the likely cause.
func (n *Node) missing(l *nodes.Live) diag.Diagnostic {
	d := diag.Errorf("required_input_missing", n.classPlace(), "%s lacks the required input %q", n.Class, l.Name).About(n.ID, l.Name)
	var names []string
	strays := n.strays()
	for _, in := range strays[:min(len(strays), maxUndeclared)] { // misspelt inputs are few; a node with hundreds is a machine's
		names = append(names, in.Name)
	}
	if near := diag.Nearest(l.Name, names); near != "" {
		return d.Noted(n.Inputs[n.Input(near)].Key, "%q is not declared; did you mean %q?", near, l.Name)
	}
	if value := l.Def.Default(); value != nil && l.Def.Widget() {
		return d.Hinted(fmt.Sprintf("the default is %s", show(value)))
	}
	switch {
	case takesAll(l.Def.Type):
		return d.Hinted("connect an output to it")
	case !l.Def.Widget():
		return d.Hinted("connect an output of type " + l.Def.Type)
	}
	return d
}

// badType says that a literal cannot be turned into the type of its input.
func (n *Node) badType(in *Input, why error) diag.Diagnostic {
	d := diag.Errorf("invalid_input_type", diag.Of(in.Value), "%s takes %s, not %s: %v", n.of(in.Name), in.Def.Type, show(in.Value), why)
	return d.About(n.ID, in.Name).Hinted(span(in.Def))
}

// badLink says that a list is no link because of its length.
func (n *Node) badLink(in *Input) diag.Diagnostic {
	d := diag.Errorf("bad_linked_input", diag.Of(in.Value), "%s is a list of %d; a link is a list of two, [node id, slot]", n.of(in.Name), len(in.Value.Items))
	return d.About(n.ID, in.Name).Hinted(`a list that is a value is written {"__value__": […]}`)
}

// mismatch says that an output does not fit the input that it is linked to, with a note at the node that it comes from.
func (b *builder) mismatch(n *Node, in *Input, out *nodes.Output) diag.Diagnostic {
	from := &b.g.Nodes[in.From]
	takes := in.Def.Type
	if in.Def.OldList {
		takes = "one of its options, not a link,"
	}
	d := diag.Errorf("return_type_mismatch", diag.Of(in.Value), "%s takes %s but slot %d of %s gives %s", n.of(in.Name), takes, in.Slot, from.called(), out.Type)
	d = d.About(n.ID, in.Name).Noted(from.Key, "%s is here; it gives %s", from.called(), outputs(from.Def))
	return d.Hinted(from.fittingSlot(in.Def))
}

// fittingSlot names the first output of a node that would do for an input; "" if none would.
func (n *Node) fittingSlot(in *nodes.Input) string {
	for slot := range n.Def.Outputs {
		if fits(&n.Def.Outputs[slot], in) {
			return fmt.Sprintf("slot %d gives %s", slot, n.Def.Outputs[slot].Type)
		}
	}
	return ""
}

// outputs lists what a class gives, by slot.
func outputs(c *nodes.Class) string {
	if len(c.Outputs) == 0 {
		return "nothing"
	}
	var list []string
	for i := range c.Outputs {
		list = append(list, fmt.Sprintf("%d: %s", i, c.Outputs[i].Type))
	}
	return strings.Join(list, ", ")
}

// outOfRange says which bound a number crosses, with the number as it was written: 20.7 where the server
// compares 20. code is one of value_smaller_than_min and value_bigger_than_max.
func (n *Node) outOfRange(in *Input, written *source.Value, code string, limit *source.Value) diag.Diagnostic {
	what := "is smaller than its minimum of"
	if code == "value_bigger_than_max" {
		what = "is bigger than its maximum of"
	}
	d := diag.Errorf(code, diag.Of(in.Value), "%s %s %s: %s", n.of(in.Name), what, showBound(limit), show(written))
	return d.About(n.ID, in.Name).Hinted(span(in.Def))
}

// span says the range of a number; "" for other types, and where no bound is declared.
func span(def *nodes.Input) string {
	from, to := def.Spec.Get("min"), def.Spec.Get("max")
	switch {
	case def.Type != nodes.TypeInt && def.Type != nodes.TypeFloat || from == nil && to == nil:
		return ""
	case from == nil:
		return "at most " + showBound(to)
	case to == nil:
		return "at least " + showBound(from)
	}
	return "from " + showBound(from) + " to " + showBound(to)
}

// maxListed is the number of options that a hint lists in full.
const maxListed = 8

// notInList says that a value is no option. A leading "sample_", which browsers take off sampler names, does not hide the nearest one.
func (b *builder) notInList(n *Node, in *Input, v *source.Value) diag.Diagnostic {
	d := diag.Errorf("value_not_in_list", diag.Of(in.Value), "%s is not in the list: %s", n.of(in.Name), show(v)).About(n.ID, in.Name)
	if b.sought > maxSought {
		return d
	}
	names := in.Def.OptionNames()
	if near := b.suggest(strings.TrimPrefix(v.Str(), "sample_"), names); near != "" && v.Kind == source.String {
		return d.Hinted(near)
	}
	switch {
	case len(in.Def.Options) == 0 && b.cat.Literal():
		return d.Hinted("the list is empty on the server of this snapshot")
	case len(names) > 0 && len(names) <= maxListed:
		return d.Hinted(oneOf(in.Def))
	case len(names) > maxListed:
		return d.Hinted(strconv.Itoa(len(names)) + " options; see `comfyc nodes show " + n.Class + "`")
	}
	return d
}

// oneOf lists the options, if they are few.
func oneOf(def *nodes.Input) string {
	names := def.OptionNames()
	if len(names) == 0 || len(names) > maxListed {
		return ""
	}
	for i := range names {
		names[i] = quote(names[i])
	}
	return "one of " + strings.Join(names, ", ")
}

// notComparable says that a value and a declared bound have types that Python does not compare, as a custom
// node's min of "0" does: the server's code then fails with a TypeError.
func (n *Node) notComparable(in *Input, bound string, limit *source.Value) raised {
	return raised{in.Name, diag.Of(in.Value), fmt.Sprintf("%s is %s, which cannot be compared with its %s of %s", n.of(in.Name), in.Value.Kind, bound, show(limit)), ""}
}

// deadLink says why a link leads nowhere. The link has two elements, and [Graph.target] does not accept it.
func (b *builder) deadLink(n *Node, in *Input) raised {
	id, at := in.Value.Items[0], in.Value.Items[1]
	r := raised{input: in.Name, at: diag.Of(id)}
	_, _, why := b.g.target(in.Value)
	switch why {
	case idKind:
		r.text = fmt.Sprintf("%s links to %s, but ids of nodes are strings", n.of(in.Name), show(id))
		if id.Kind == source.Number && b.g.Find(id.Text) >= 0 {
			r.hint = "write " + quote(id.Text)
		}
	case noNode:
		r.text = fmt.Sprintf("%s links to node %s, which does not exist", n.of(in.Name), quote(id.Text))
		r.hint = b.nearID(id.Text)
	default:
		from := &b.g.Nodes[b.g.Find(id.Text)]
		r.at = diag.Of(at)
		r.text = fmt.Sprintf("%s links to slot %s of %s, which gives %s", n.of(in.Name), show(at), from.called(), outputs(from.Def))
		r.hint = from.fittingSlot(in.Def)
		if why == atKind {
			r.hint = "a slot is a whole number, written without a point"
		}
	}
	return r
}

// nearID suggests an id, if ids are more than plain numbers: 12 is near 13 as letters go, but never what
// was meant.
func (b *builder) nearID(id string) string {
	if _, err := strconv.Atoi(id); err == nil || b.sought > maxSought {
		return ""
	}
	ids := make([]string, len(b.g.Nodes))
	for i := range b.g.Nodes {
		ids[i] = b.g.Nodes[i].ID
	}
	return b.suggest(id, ids)
}

// exception is the finding for a node on which the server's code fails. It names the input, which the
// server does not. root says that the node is itself an output node that was asked for; the server has
// another type for those.
func (n *Node) exception(r *raised, root bool) diag.Diagnostic {
	code := "exception_during_inner_validation"
	if root {
		code = "exception_during_validation"
	}
	return diag.Errorf(code, r.at, "%s", r.text).About(n.ID, r.input).Hinted(r.hint)
}
