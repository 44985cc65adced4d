// Dynamic combos: an option brings inputs along. format = "mp4" of SaveVideo has format.codec and format.codec.encoding behind it, each with its
// widget, and its place in widgets_values right behind the combo's. Choosing anew takes them away and makes others; values come back with their
// option, and links go to the new input of the same name.

package lower

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// choiceState is what a dynamic combo remembers.
type choiceState struct {
	prefix  string                        // "format." for the combo format
	active  string                        // the option whose inputs are there now
	removed map[string]map[string]*widget // widgets that went with an option, by option and name; nil if none did
}

// makeDynamicCombo makes a combo whose value brings inputs and widgets with it, named "combo.input".
func makeDynamicCombo(n *node, s *inputSpec) *widget {
	keys := make([]*source.Value, len(s.choices))
	for i, c := range s.choices {
		keys[i] = source.NewString(c.key).At(n.src)
	}
	plain := &inputSpec{name: s.name, typ: s.typ, widget: s.widget, opts: nil, options: keys}
	w := makeCombo(n, plain)
	w.kind, w.spec = dynamicWidget, s
	w.choice = &choiceState{prefix: s.name + ".", active: textOf(w.value)}
	n.set(w, w.value)
	return w
}

// chosen finds the inputs of an option; ok is false if there is no such option.
func (w *widget) chosen(v *source.Value) (inputs []*inputSpec, ok bool) {
	if !truthy(v) {
		return nil, false
	}
	key := textOf(v)
	// From behind: of two options of one key the later one wins.
	for i := len(w.spec.choices) - 1; i >= 0; i-- {
		if w.spec.choices[i].key == key {
			return w.spec.choices[i].inputs, true
		}
	}
	return nil, false
}

// chooseOption replaces the inputs and widgets of the former option by those of the new one. Links go to the new input of the same name,
// or are lost.
func (n *node) chooseOption(w *widget, v *source.Value) {
	old := n.layout()
	links := make(map[*input]*link, len(old.links))
	for in, k := range old.links {
		links[in] = k
	}
	// Inputs and widgets are changed freely here; commit then moves the links in one step, or leaves all as it was.
	gone := n.cutInputs(w.choice.prefix)
	n.cutWidgets(w)
	w.choice.active = textOf(v)
	specs, ok := w.chosen(v)
	if !ok {
		n.commit(old, links)
		// The value stays, and the server's validation says nothing of it, nor of the inputs that are gone.
		n.unknownOption(w, v, gone)
		return
	}
	added, inputs := n.addChosen(w, specs)
	at := n.inputNamed(w.name) + 1
	if at == 0 { // the combo itself is being made, and has no input yet
		n.inputs = append(n.inputs, inputs...)
		if _, ok := n.commit(old, links); ok {
			n.restoreRemoved(w, added)
		}
		return
	}
	n.inputs = slices.Insert(n.inputs, at, inputs...)
	for _, in := range gone {
		if i := n.inputNamed(in.name); i >= 0 && links[in] != nil {
			links[n.inputs[i]] = links[in]
			delete(links, in)
		}
	}
	fresh, ok := n.commit(old, links)
	if !ok {
		return
	}
	n.announce(fresh, links)
	n.restoreRemoved(w, added)
}

// unknownOption warns of an option that the class does not have.
func (n *node) unknownOption(w *widget, v *source.Value, gone []*input) {
	if n.graph == nil || !truthy(v) || !n.restoring {
		return
	}
	n.graph.l.warn("unknown_option", diag.Of(v), n.id, w.name, "%s of %s has no option %s; the %d inputs of the former option are gone", w.name, n.class,
		strconv.Quote(textOf(v)), len(gone))
}

// commit makes the present inputs the node's, with their links.
func (n *node) commit(old layout, links map[*input]*link) ([]*input, bool) {
	final := n.inputs
	n.inputs = old.inputs
	return n.relayout(old, final, links)
}

// announce tells the node of inputs that took over a link.
func (n *node) announce(fresh []*input, links map[*input]*link) {
	for _, in := range fresh {
		if slot := slices.Index(n.inputs, in); slot >= 0 {
			n.connectionChanged(slot, true, links[in])
		}
	}
}

// cutInputs removes the inputs whose name begins with a prefix.
func (n *node) cutInputs(prefix string) []*input {
	var kept, gone []*input
	for _, in := range n.inputs {
		if strings.HasPrefix(in.name, prefix) {
			gone = append(gone, in)
		} else {
			kept = append(kept, in)
		}
	}
	n.inputs = kept
	return gone
}

// cutWidgets removes the widgets of the active option; their values come back with it.
func (n *node) cutWidgets(w *widget) {
	var kept []*widget
	for _, x := range n.widgets {
		if !strings.HasPrefix(x.name, w.choice.prefix) {
			kept = append(kept, x)
			continue
		}
		if w.choice.removed == nil {
			w.choice.removed = map[string]map[string]*widget{}
		}
		if w.choice.removed[w.choice.active] == nil {
			w.choice.removed[w.choice.active] = map[string]*widget{}
		}
		// Only type and value are needed to give it back.
		w.choice.removed[w.choice.active][x.name] = &widget{typ: x.typ, value: n.get(x)}
	}
	n.widgets = kept
}

// addChosen makes the inputs and widgets of an option: the widgets right behind the combo; the inputs are returned, not added.
func (n *node) addChosen(w *widget, specs []*inputSpec) (names []string, inputs []*input) {
	firstWidget, firstInput := len(n.widgets), len(n.inputs)
	for _, s := range specs {
		n.addInput(s.named(w.name+"."+s.name, s.optional))
	}
	added := slices.Clone(n.widgets[firstWidget:])
	n.widgets = slices.Insert(n.widgets[:firstWidget:firstWidget], slices.Index(n.widgets, w)+1, added...)
	for _, x := range added {
		names = append(names, x.name)
	}
	inputs = slices.Clone(n.inputs[firstInput:])
	n.inputs = n.inputs[:firstInput:firstInput]
	if n.inputNamed(w.name) < 0 {
		return names, inputs
	}
	for i, in := range inputs {
		if at := n.inputNamed(in.name); at >= 0 {
			inputs[i] = n.inputs[at]
			n.inputs = slices.Delete(n.inputs, at, at+1)
		}
	}
	return names, inputs
}

// restoreRemoved gives the widgets of an option that was active before the values they had, unless the file has values for them.
func (n *node) restoreRemoved(w *widget, names []string) {
	removed := w.choice.removed[w.choice.active]
	for _, name := range names {
		x, before := n.widgetNamed(name), removed[name]
		// The file's own values win over what was there before.
		if x == nil || before == nil || before.typ != x.typ || n.due(x) {
			continue
		}
		n.set(x, before.value)
	}
}

// due tells whether the file has a value for a widget, while values are restored.
func (n *node) due(w *widget) bool {
	if !n.restoring || w.unsaved {
		return false
	}
	at := 0
	for _, x := range n.widgets {
		if x == w {
			return at < len(n.restore)
		}
		if !x.unsaved {
			at++
		}
	}
	return false
}
