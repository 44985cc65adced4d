// CustomCombo, whose options are texts that the user writes: widgets choice, index, option1, option2, … There is always one empty option at the end.
// Both the choice and its index are sent.

package lower

import (
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// extendWidgets adds the widgets that the frontend gives to some classes beyond their definition.
func (n *node) extendWidgets() {
	switch {
	case n.class == "CustomCombo" && len(n.widgets) > 0:
		n.widgets[0].kind = choiceWidget
		n.push(&widget{name: "index", kind: indexWidget, typ: "hidden"})
		n.addOption()
	case n.class == "WebcamCapture" && n.kind == classNode:
		n.push(&widget{name: "waiting for camera...", typ: "button"})
	}
	for _, w := range n.widgets {
		w.tokens = w.name == "filename_prefix" && savesFiles(n.class)
	}
}

// maxOptions bounds the options of a CustomCombo.
const maxOptions = 1000

// addOption adds the next option of a CustomCombo, an empty text.
func (n *node) addOption() {
	if len(n.widgets) > maxOptions {
		if n.graph == nil {
			return
		}
		n.graph.l.refuse(diag.Errorf("expansion_too_large", n.place(), "a CustomCombo with more than %d options", maxOptions))
		return
	}
	w := &widget{name: "option" + strconv.Itoa(len(n.widgets)-1), kind: plainWidget, typ: "string", value: source.NewString("").At(n.src)}
	n.push(w)
	// Only now: pushing gives it the file's value, which as an option would at once make the next one, before this one is in the list.
	w.kind = optionWidget
}

// setOption changes an option. A text in the last one adds another; when the last but one is emptied, an empty last one goes.
func (n *node) setOption(w *widget, v *source.Value) {
	w.value = v
	n.offerOptions()
	last := n.widgets[len(n.widgets)-1]
	if last == w {
		if truthy(v) {
			n.addOption()
		}
		return
	}
	if !truthy(v) && len(n.widgets) > 1 && n.widgets[len(n.widgets)-2] == w && !truthy(last.value) {
		n.widgets = n.widgets[:len(n.widgets)-1]
	}
}

// offerOptions makes the texts the choices of the combo. Once the graph is loaded, a choice that is not among them becomes the first.
func (n *node) offerOptions() {
	if n.graph != nil && !n.graph.l.spend(len(n.widgets)) {
		return
	}
	choice := n.widgets[0]
	var options []*source.Value
	for _, w := range n.widgets {
		if len(w.name) >= 6 && w.name[:6] == "option" && truthy(w.value) {
			options = append(options, source.NewString(textOf(w.value)).At(w.value))
		}
	}
	choice.options = options
	if n.graph == nil || n.graph.l.loading {
		return
	}
	text := textOf(choice.value)
	if slices.ContainsFunc(options, func(o *source.Value) bool { return o.Text == text }) {
		return
	}
	choice.value = source.NewString("").At(n.src)
	if len(options) > 0 {
		choice.value = options[0]
	}
	n.applyFirst(nil)
}

// optionIndex is the number of the option that has a value, -1 if there is none.
func (n *node) optionIndex(v *source.Value) int {
	if len(n.widgets) < 2 {
		return -1
	}
	return slices.IndexFunc(n.widgets[2:], func(w *widget) bool { return sameScalar(w.value, v) && !isNull(v) })
}
