package lower

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// emit writes the prompt: each node that runs, with the values of its widgets and its links.
func (l *lowering) emit() {
	out := make([]entry, 0, len(l.flat))
	for _, f := range l.flat {
		// Where two nodes have one id, the object that the frontend builds holds the later one only.
		f = l.counted(f)
		// What is not sent: the editor's own nodes, muted and bypassed ones. Links through them have been resolved by then.
		if f.virtual() || !f.active() {
			continue
		}
		e := entry{id: f.flatID, value: l.emitNode(f)}
		e.number, e.numbered = integerKey(e.id)
		out = append(out, e)
		if l.found.Failed() {
			return
		}
	}
	// A JavaScript object lists integer-like keys first, whatever the order in which they were set; "12:3" is no such key.
	slices.SortStableFunc(out, entry.compare)
	// Elsewhere a link never leads to a node that is not sent: resolve would not have ended there.
	if l.ambiguous {
		dropDead(out)
	}
	l.prompt = source.NewObject().At(l.file)
	l.prompt.Members = make([]source.Member, len(out))
	for i, e := range out {
		l.prompt.Members[i] = member(e.id, e.value)
	}
	// The frontend would send {}, which every server refuses with prompt_no_outputs.
	if len(out) == 0 {
		l.refuse(diag.Errorf("empty_prompt", diag.Of(l.file), "no node of this workflow would be sent"))
	}
}

// entry is a node of the prompt.
type entry struct {
	id       string
	number   int // of an id that is written as an integer
	numbered bool
	value    *source.Value
}

// compare orders entries as the keys of a JavaScript object are: integer-like ones first, ascending, the others as they were added.
func (e entry) compare(other entry) int {
	switch {
	case e.numbered && other.numbered:
		return e.number - other.number
	case e.numbered:
		return -1
	case other.numbered:
		return 1
	}
	return 0
}

// member has its key at the value's place, so that a finding about either points there.
func member(key string, v *source.Value) source.Member {
	return source.Member{Key: key, KeyStart: v.Start, KeyEnd: v.End, Value: v}
}

// dropDead removes links to nodes that are not sent. There are some only where two nodes have one id.
func dropDead(prompt []entry) {
	sent := make(map[string]bool, len(prompt))
	for _, e := range prompt {
		sent[e.id] = true
	}
	for _, e := range prompt {
		inputs := e.value.Get("inputs")
		inputs.Members = slices.DeleteFunc(inputs.Members, func(m source.Member) bool {
			return m.Value.Kind == source.Array && len(m.Value.Items) == 2 && !sent[textOf(m.Value.Items[0])]
		})
	}
}

// emitNode writes one node: {"inputs": {…}, "class_type": …, "_meta": {"title": …}}, in that order, as exports have it. nil after a refusal.
func (l *lowering) emitNode(f *flatNode) *source.Value {
	if !l.spend(len(f.widgets) + len(f.inputs)) {
		return nil
	}
	inputs := &inputSet{members: l.made.members.list(len(f.widgets) + len(f.inputs))[:0]}
	// Widgets first, links over them: a link that resolves replaces the value in its place, one that does not leaves it. A socket without a value
	// simply does not appear.
	for _, w := range f.widgets {
		if w.name != "" && !w.unsent {
			inputs.put(w.name, l.sentValue(f, w))
		}
	}
	for i, in := range f.inputs {
		// Inputs that are not linked resolve to nothing, and cost nothing.
		res, ok := l.resolve(f, i)
		if !ok {
			return nil
		}
		if res.from == nil {
			// Connected, but to nothing that gives a value: the widget's own value, if there is one, was put before and stays.
			l.unresolved(f, i)
			continue
		}
		if res.value != nil {
			// Promoted text goes raw: no braces are expanded and no comments cut.
			inputs.put(in.name, wrap(res.value.value))
		} else {
			inputs.put(in.name, l.linkList(res, inputValue(f.node, in)))
		}
	}
	value := l.made.object(f.src, l.made.members.list(3)[:0])
	value.Members = append(value.Members, member("inputs", l.made.object(f.src, inputs.defined())))
	switch f.kind {
	// Sent without class_type, as the frontend does; the server then refuses the whole prompt.
	case unknownNode:
		l.unknown(f)
	case groupedNode:
		l.warn("group_in_subgraph", f.place(), f.flatID, "", "group node %q inside of a subgraph is not expanded, and no server knows its class", f.class)
		fallthrough
	default:
		l.needsBrowser(f)
		value.Members = append(value.Members, member("class_type", l.made.sameText(f.doc.src.Get("type"), f.class, f.src)))
	}
	value.Members = append(value.Members, member("_meta", l.meta(f)))
	return value
}

// inputSet keeps the inputs in the order in which they were first set, as a JavaScript object does. Up to fewSlots of them are looked through;
// nodes with more get a map.
type inputSet struct {
	members []source.Member
	at      map[string]int // nil while there are few
}

// put sets an input; nil is undefined, which is not written.
func (s *inputSet) put(name string, v *source.Value) {
	i := s.index(name)
	if i < 0 {
		i = len(s.members)
		s.members = append(s.members, source.Member{})
		if s.at != nil {
			s.at[name] = i
		}
	}
	s.members[i] = source.Member{Key: name, Value: v}
	if v != nil {
		s.members[i] = member(name, v)
	}
}

func (s *inputSet) index(name string) int {
	if s.at == nil && len(s.members) == fewSlots {
		s.at = make(map[string]int, 2*fewSlots)
		for i, m := range s.members {
			s.at[m.Key] = i
		}
	}
	if s.at == nil {
		return slices.IndexFunc(s.members, func(m source.Member) bool { return m.Key == name })
	}
	if i, ok := s.at[name]; ok {
		return i
	}
	return -1
}

// defined gives the inputs that have a value.
func (s *inputSet) defined() []source.Member {
	return slices.DeleteFunc(s.members, func(m source.Member) bool { return m.Value == nil })
}

// inputValue is what gives a link in the prompt its place: the slot in the file, or the node.
func inputValue(n *node, in *input) *source.Value {
	if in.doc != nil && in.doc.src != nil {
		return in.doc.src
	}
	return n.src
}

// wrap marks a list as a value: in a prompt a bare list is a link.
func wrap(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Array {
		return v
	}
	return source.NewObject(member("__value__", v)).At(v)
}

// sentValue is what a widget gives to the prompt.
func (l *lowering) sentValue(f *flatNode, w *widget) *source.Value {
	v := f.get(w)
	// What a view shows goes over what the file says.
	if shown := shownModel(f, w); shown != nil {
		v = shown
	}
	if v != nil && v == w.initial || v != nil && v.File != f.src.File && v.File != nil {
		v = l.made.at(v, f.src) // a default of the class that came back with an option
	}
	switch {
	// Read off the view itself, which inner nodes of a subgraph do not have.
	case w.typ == "load3D" && w.name == "viewport_state" && f.host == nil:
		return viewportState(f.node)
	case w.kind == indexWidget:
		return l.chosenIndex(f)
	case v == nil:
		return nil
	case w.dynamic && v.Kind == source.String:
		return l.expandPrompt(f, w, v)
	case w.tokens && v.Kind == source.String:
		return replaced(v, l.replaceTokens(v.Text, l.root))
	// Wrapped with its type, as the frontend sends curves.
	case w.typ == "curve" && v.Kind != source.Null:
		return source.NewObject(member("__type__", source.NewString("CURVE").At(v)), member("__value__", v)).At(v)
	}
	return wrap(v)
}

// replaced is a text at the place of the one it was made from; the same value if nothing changed.
func replaced(v *source.Value, text string) *source.Value {
	if v.Text == text {
		return v
	}
	return source.NewString(text).At(v)
}

// expandPrompt expands a text with dynamic prompts, and tells of comments that it loses; one behind a colon is most likely an address.
func (l *lowering) expandPrompt(f *flatNode, w *widget, v *source.Value) *source.Value {
	// Most texts have neither braces nor comments, and stay the very value of the file.
	if plainPrompt(v.Text) {
		l.spend(len(v.Text) >> 6)
		return v
	}
	if cut := comment.FindString(v.Text); cut != "" {
		d := diag.Infof("prompt_comment", diag.Of(v), "%s is a comment, and not sent", strconv.Quote(shortened(cut)))
		// "https://example.com" loses all behind "https:", which nobody means.
		if strings.Contains(v.Text, ":"+cut) {
			d.Severity = diag.Warning
		}
		l.found.Add(d.About(f.flatID, w.name))
	}
	text, ok := dynamicPrompt(v.Text, l.opt.choose, l.spendText)
	if !ok {
		return v
	}
	return replaced(v, text)
}

// shortened cuts a text for a message: 39 characters and an ellipsis.
func shortened(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}

// chosenIndex is the index of a CustomCombo's choice; the choice may come from a subgraph instance.
func (l *lowering) chosenIndex(f *flatNode) *source.Value {
	// A linked choice decides the index as well.
	choice := f.widgets[0].value
	for i, in := range f.inputs {
		if in.hasWidget && in.widget == f.widgets[0].name {
			if res, _ := l.resolve(f, i); res.value != nil {
				choice = res.value.value
			}
			break
		}
	}
	return source.NewInt(int64(f.optionIndex(choice))).At(f.src)
}

// meta is the title, and the pack that the node comes from, if the file says so.
func (l *lowering) meta(f *flatNode) *source.Value {
	out := l.made.object(f.src, l.made.members.list(1 + len(packKeys))[:0])
	out.Members = append(out.Members, member("title", l.made.sameText(f.doc.src.Get("title"), f.title, f.src)))
	// The frontend's exports have these; servers pass them over.
	for _, key := range packKeys {
		if v := f.doc.props.Get(key); v != nil && v.Kind == source.String && v.Text != "" {
			out.Members = append(out.Members, member(key, v))
		}
	}
	return out
}

// packKeys are the properties that say where a node's class comes from.
var packKeys = [...]string{"cnr_id", "aux_id", "ver"}
