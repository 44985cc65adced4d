package lower

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// rowsState is what a dynamic group remembers: rows of the same fields, named "group.0.field".
type rowsState struct {
	count, min, max int          // rows
	fields          []*inputSpec // of each row
	add             *widget      // the button behind the last row
}

// maxRows is the number of rows that a dynamic group may declare.
const maxRows = 20

// makeRows makes the counter of a dynamic group, which is saved but not sent, and its first rows.
func makeRows(n *node, s *inputSpec) *widget {
	state := &rowsState{min: intOr(s.opts.Get("min"), 0), max: min(intOr(s.opts.Get("max"), maxRows), maxRows), fields: rawSpecs(s.opts.Get("template"))}
	w := &widget{name: s.name, typ: "number", value: source.NewInt(int64(state.min)).At(n.src), unsent: true, rows: state, spec: s}
	n.push(w)
	initial := w.value
	// After pushing: the file's number would else make rows before the button that they stand in front of.
	w.kind = rowsWidget
	n.push(&widget{name: s.name + ".$notice", kind: fixedWidget, typ: "dynamic_group_notice", unsaved: true, unsent: true})
	state.add = n.push(&widget{name: s.name + ".$add", kind: fixedWidget, typ: "button", unsaved: true, unsent: true})
	n.setRows(w, initial)
	return w
}

// setRows adds or removes rows at the end until there are as many as asked for.
func (n *node) setRows(w *widget, v *source.Value) {
	if v == nil || v.Kind != source.Number {
		return
	}
	asked, ok := v.Int()
	if !ok {
		return
	}
	// A file may have more rows than the class now allows, but not more than it has values for.
	count := min(max(asked, w.rows.min), max(w.rows.max, min(len(n.restore), maxOptions)))
	for w.rows.count > count {
		w.rows.count--
		n.removeRow(w.name + "." + strconv.Itoa(w.rows.count))
	}
	for w.rows.count < count {
		n.addRow(w, w.name+"."+strconv.Itoa(w.rows.count))
		w.rows.count++
	}
}

func (n *node) removeRow(prefix string) {
	old := n.layout()
	n.cutInputs(prefix + ".")
	n.commit(old, old.links)
	n.widgets = slices.DeleteFunc(n.widgets, func(w *widget) bool {
		return w.name == prefix || strings.HasPrefix(w.name, prefix+".")
	})
}

// addRow makes a row's header and fields, before the button that adds rows.
func (n *node) addRow(w *widget, prefix string) {
	old := n.layout()
	first := len(n.widgets)
	n.push(&widget{name: prefix, kind: fixedWidget, typ: "dynamic_group_row", unsaved: true, unsent: true})
	for _, s := range w.rows.fields {
		n.addInput(s.named(prefix+"."+s.name, s.optional))
	}
	made := slices.Clone(n.inputs[len(old.inputs):])
	n.inputs = n.inputs[:len(old.inputs):len(old.inputs)]
	for _, in := range made {
		if at := n.inputNamed(in.name); at >= 0 {
			n.inputs[at].widget, n.inputs[at].hasWidget, n.inputs[at].spec = in.widget, in.hasWidget, in.spec
		} else {
			n.inputs = append(n.inputs, in)
		}
	}
	n.commit(old, old.links)
	added := slices.Clone(n.widgets[first:])
	n.widgets = n.widgets[:first:first]
	n.widgets = slices.Insert(n.widgets, slices.Index(n.widgets, w.rows.add), added...)
}
