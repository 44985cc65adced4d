package script

import (
	"bytes"
	"errors"
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// builder turns what a script answered into nodes of a prompt.
type builder struct {
	*expansion
	template *template
	id       string            // of the use
	rep      *expandReply      // may be one that is remembered and shared: never written into
	links    []*source.Value   // the links that the template was given
	outputs  [][]*source.Value // by node of rep, from 0: what an inner template returned; nil for ordinary nodes
	room     []source.Value    // for the next values
	rest     int               // about how many will be made when room is used up
}

// maxRoom keeps a piece of values within 32 KiB, up to which Go's allocator has lists of its own.
const maxRoom = 340

// put gives a value its place in the script. The values of one use lie beside each other, as they are kept and dropped together.
func (b *builder) put(v source.Value, at diag.Place) *source.Value {
	if len(b.room) == 0 {
		b.room = make([]source.Value, min(max(b.rest, 1), maxRoom))
		b.rest -= len(b.room)
	}
	out := &b.room[0]
	b.room = b.room[1:]
	*out = v
	return stands(out, at)
}

// values is about how many values the nodes of an answer become: each node is an object with its inputs and its class, and a link has an id and a slot.
func (r *expandReply) values() int {
	n := 1
	for i := range r.Nodes {
		n += 3
		for _, in := range r.Nodes[i].Inputs {
			if n++; in.Lit == nil {
				n += 2
			}
		}
	}
	return n
}

// build makes the nodes in the order of the script.
func (b *builder) build() *expanded {
	e := &expanded{}
	b.outputs, b.rest = make([][]*source.Value, len(b.rep.Nodes)), b.rep.values()
	for i := range b.rep.Nodes {
		if b.list.Errors() >= maxFindings {
			return e // nobody reads more of them, and each may cost a search for a name that looks like it
		}
		n := &b.rep.Nodes[i]
		at := b.set.call(n.At)
		id := b.nodeID(i)
		if t := b.set.byName[n.Class]; t != nil {
			// The id stays in use even if the inner template makes nothing, so that the numbers of later nodes do not
			// move.
			if inner := b.inner(t, id, n, &at); inner != nil {
				e.nodes = append(e.nodes, inner.nodes...)
				b.outputs[i] = inner.outputs
			}
			continue
		}
		e.nodes = append(e.nodes, b.node(id, n, &at))
	}
	e.outputs = b.returned()
	return e
}

// nodeID is the id that node i of the script gets, counted from 0: "12.3" for the third node of the use 12, "3" in a
// workflow that is a script as a whole.
func (b *builder) nodeID(i int) string {
	if b.id == "" {
		return strconv.Itoa(i + 1)
	}
	return b.id + "." + strconv.Itoa(i+1)
}

// inner expands a template that the template uses.
func (b *builder) inner(t *template, id string, n *made, at *call) *expanded {
	all, order := map[string]given{}, []string{}
	for _, in := range n.Inputs {
		_, value := at.input(in.Name)
		want := ""
		if def := t.class.Input(in.Name); def != nil {
			want = def.Type
		}
		v, kind := b.value(in.wire, want, value)
		if v == nil {
			return nil
		}
		key, _ := at.input(in.Name)
		g := given{literal: v, key: key, kind: kind}
		if kind != "" || isLink(v) {
			g.link = v
		}
		all[in.Name], order = g, append(order, in.Name)
	}
	args, ok := b.arguments(t, id, all, order, at.class)
	if !ok {
		return nil
	}
	return b.expand(t, id, args, at.class)
}

// node makes one node of an ordinary class. What it is comes from the script, and so do its places.
func (b *builder) node(id string, n *made, at *call) source.Member {
	class, known := b.set.cat.Class(n.Class)
	// The node is made all the same: the finding stands, and later nodes are checked too.
	if !known {
		b.add(diag.Errorf("missing_node_type", at.class, "there is no node class %q", clip(n.Class)).About(id, "").
			Hinted(b.suggest(n.Class, func() []string { return append(b.set.Names(), b.set.cat.Names()...) })))
	}
	inputs := b.put(source.Value{Kind: source.Object, Members: make([]source.Member, 0, len(n.Inputs))}, at.place)
	// Which inputs a dynamic class takes depends on what the script gives: a combo's choice brings inputs of its own.
	takes := live(class, n)
	for _, in := range n.Inputs {
		key, value := at.input(in.Name)
		def := findLive(takes, in.Name)
		if known && def == nil && class.Input(in.Name) == nil {
			b.undeclared(id, class, n, in.Name, key)
			continue
		}
		want := ""
		if def != nil {
			want = def.Type
		}
		if v, _ := b.value(in.wire, want, value); v != nil {
			inputs.Members = append(inputs.Members, source.Member{Key: in.Name, KeyStart: key.Start, KeyEnd: key.End, Value: v})
		}
	}
	if known {
		inputs.Members = append(inputs.Members, defaults(takes, n, at.class)...)
	}
	node := b.put(source.Value{Kind: source.Object, Members: []source.Member{{Key: "inputs", Value: inputs},
		{Key: "class_type", Value: b.put(source.Value{Kind: source.String, Text: n.Class}, at.class)}}}, at.place)
	if n.Title != "" {
		node.Members = append(node.Members, source.Member{Key: "_meta",
			Value: stands(source.NewObject(source.Member{Key: "title", Value: stands(source.NewString(n.Title), at.class)}), at.class)})
	}
	return source.Member{Key: id, KeyStart: at.class.Start, KeyEnd: at.class.End, Value: node}
}

// live gives the inputs that a node of a class takes, nil for a class that is not known. A dynamic class only asks
// whether an input is given, and for a combo's key, so some link stands in for every handle.
func live(class *nodes.Class, n *made) []nodes.Live {
	if class == nil {
		return nil
	}
	return class.Live(func(name string) *source.Value {
		for _, in := range n.Inputs {
			switch {
			case in.Name != name:
			case in.Lit != nil:
				v, err := readLiteral(in.Lit)
				if err != nil {
					return nil
				}
				return &v
			default:
				return source.NewArray(source.NewString("0"), source.NewInt(0)) // some link
			}
		}
		return nil
	})
}

// defaults gives the required values that a script left out and that have a default, as an editor fills them in.
func defaults(takes []nodes.Live, n *made, at diag.Place) (out []source.Member) {
	for i := range takes {
		l := &takes[i]
		if v := l.Def.Default(); l.Required && v != nil && l.Def.Widget() && !n.gives(l.Name) {
			out = append(out, source.Member{Key: l.Name, KeyStart: at.Start, KeyEnd: at.End, Value: v.At(placed(at))})
		}
	}
	return out
}

// gives tells whether the script wrote an input of that name.
func (n *made) gives(name string) bool {
	for i := range n.Inputs {
		if n.Inputs[i].Name == name {
			return true
		}
	}
	return false
}

// findLive finds an input by the name that it has in a prompt; nil if the node takes none of that name.
func findLive(list []nodes.Live, name string) *nodes.Input {
	for i := range list {
		if list[i].Name == name {
			return list[i].Def
		}
	}
	return nil
}

// readLiteral reads what a script wrote; numbers and plain texts, which nearly all values are, without a parser.
func readLiteral(lit []byte) (source.Value, error) {
	if len(lit) == 0 {
		return source.Value{}, errors.New("no value")
	}
	switch c := lit[0]; {
	case len(lit) > 1000:
	case c == '-' || c >= '0' && c <= '9':
		return source.Value{Kind: source.Number, Text: string(lit)}, nil
	case c == '"' && bytes.IndexByte(lit, '\\') < 0:
		return source.Value{Kind: source.String, Text: string(lit[1 : len(lit)-1])}, nil
	}
	// Long texts and those with escapes, booleans, null, lists and objects.
	v, err := source.ParseJSON(source.NewFile("script", lit), source.Limits{})
	if err != nil {
		return source.Value{}, err
	}
	return *v, nil
}

// stands gives a value that was just made its place.
func stands(v *source.Value, at diag.Place) *source.Value {
	v.File, v.Start, v.End = at.File, at.Start, at.End
	return v
}

// undeclared is the finding about an input that a class does not have. Only names that the script has not given
// already are suggested.
func (b *builder) undeclared(id string, class *nodes.Class, n *made, name string, at diag.Place) {
	free := func() []string {
		return slices.DeleteFunc(class.InputNames(), n.gives)
	}
	b.add(diag.Errorf("undeclared_input", at, "input %q of %s does not exist", clip(name), class.Name).About(id, clip(name)).Hinted(b.suggest(name, free)))
}

// value turns a value of the script into one of the prompt; kind is the type of a link, "" for a literal or if it is not known. It is
// nil after a finding.
func (b *builder) value(w wire, want string, at diag.Place) (v *source.Value, kind string) {
	switch {
	case w.Link > 0 && w.Link <= len(b.links):
		return b.links[w.Link-1].At(placed(at)), ""
	case w.Node > 0 && w.Node <= len(b.rep.Nodes):
		return b.output(w, want, at)
	}
	lit, err := readLiteral(w.Lit)
	if err != nil {
		b.add(diag.Errorf("bad_argument", at, "a value cannot be read: %v", err))
		return nil, ""
	}
	if v = b.put(lit, at); v.Kind == source.Array { // a list of two would be a link
		v = b.put(source.Value{Kind: source.Object, Members: []source.Member{{Key: "__value__", Value: v}}}, at)
	}
	return v, ""
}

// output is a link to an output of a node that the script made, or what an inner template returned for it.
func (b *builder) output(w wire, want string, at diag.Place) (*source.Value, string) {
	n := &b.rep.Nodes[w.Node-1]
	class := b.set.lookupClass(n.Class)
	slot := w.Slot
	if slot == whole {
		var why string
		if slot, why = slotFor(class, want); why != "" {
			b.add(diag.Errorf("unknown_output", at, "%s", why).Hinted("name the output, as in node.IMAGE or node[0]"))
			return nil, ""
		}
	}
	if class != nil && (slot < 0 || slot >= len(class.Outputs)) {
		b.add(diag.Errorf("unknown_output", at, "%s has no output %d; it has %d", n.Class, slot, len(class.Outputs)))
		return nil, ""
	}
	kind := ""
	if class != nil {
		kind = class.Outputs[slot].Type
	}
	// An inner template was built before, as a script can only link to nodes that it made earlier.
	if b.set.byName[n.Class] != nil {
		inner := b.outputs[w.Node-1]
		if slot >= len(inner) || inner[slot] == nil {
			return nil, ""
		}
		return inner[slot].At(placed(at)), kind
	}
	id := b.put(source.Value{Kind: source.String, Text: b.nodeID(w.Node - 1)}, at)
	from := b.put(source.Value{Kind: source.Number, Text: strconv.Itoa(slot)}, at)
	return b.put(source.Value{Kind: source.Array, Items: []*source.Value{id, from}}, at), kind
}

// returned checks what expand gave back against the declared outputs.
func (b *builder) returned() []*source.Value {
	t := b.template
	out := make([]*source.Value, len(t.class.Outputs))
	// What is taken out of this map below is declared; what remains was not asked for.
	by := map[string]wire{}
	for _, o := range b.rep.Outputs {
		by[o.Name] = o.wire
	}
	// `return g.ImageScale(…)` does for `return {image: g.ImageScale(…)}` where there is one output.
	if b.rep.Single && len(t.class.Outputs) == 1 {
		by = map[string]wire{t.class.Outputs[0].Name: b.rep.Outputs[0].wire}
	}
	for i := range t.class.Outputs {
		o := &t.class.Outputs[i]
		w, ok := by[o.Name]
		if delete(by, o.Name); !ok {
			b.add(diag.Errorf("bad_output", t.outputPlace(o.Name), "expand did not return output %q", o.Name))
			continue
		}
		v, kind := b.value(w, o.Type, t.outputPlace(o.Name))
		if v != nil && !linkFits(kind, o.Type) {
			b.add(diag.Errorf("bad_output", t.outputPlace(o.Name), "output %q is declared as %s, and expand returned %s", o.Name, o.Type, kind))
			continue
		}
		if v != nil && w.Lit != nil && !literalFits(v, o.Type) {
			b.add(diag.Errorf("bad_output", t.outputPlace(o.Name), "output %q is declared as %s, and expand returned %s", o.Name, o.Type, clip(string(w.Lit))))
			continue
		}
		out[i] = v
	}
	for _, o := range b.rep.Outputs {
		if _, extra := by[o.Name]; extra {
			b.add(diag.Errorf("bad_output", t.place, "expand returned an output %q, which the template does not declare", clip(o.Name)).
				Hinted(diag.Suggest(o.Name, b.set.shape(t.Name).Outputs)))
		}
	}
	return out
}

// outputPlace is where an output is declared, else where the template's name stands.
func (t *template) outputPlace(name string) diag.Place {
	if at := t.outputs[name]; at.File != nil {
		return at
	}
	return t.place
}

// literalFits tells whether a value may stand for an output: only numbers, texts and booleans can be both.
func literalFits(v *source.Value, kind string) bool {
	in := nodes.Input{Type: kind, Spec: source.NewObject()}
	return in.Widget() && fitsType(&in, v)
}
