package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// The second half of building a node: its saved widget values are brought to the widgets that the catalogue gives it now.

// restoreValues gives the widgets their values from widgets_values, by position among those that are saved.
func (n *node) restoreValues() {
	n.restore = n.migratedValues()
	n.restoring = true
	for i, at := 0, 0; i < len(n.widgets); i++ {
		w := n.widgets[i]
		// Upload buttons and previews have no place in widgets_values; control_after_generate has one, though it is never sent.
		if w.unsaved {
			continue
		}
		// Fewer values than widgets: the rest keep their defaults. More: the rest is passed over.
		if at < len(n.restore) {
			n.set(w, n.restore[at])
		}
		at++
	}
	n.restoring = false
}

// migratedValues is widgets_values without the places that inputs with forceInput took in older files. A class with the widgets a and c and the
// forced input b has two values in newer files and three in older ones; the number of values is the only sign.
func (n *node) migratedValues() []*source.Value {
	values := n.doc.values
	if n.def == nil {
		return items(values)
	}
	// The usual case, without the lists below.
	if values != nil && values.Kind == source.Array && !n.def.forced && len(values.Items) == n.saved() {
		return values.Items
	}
	var forced []bool
	hidden := map[string]bool{}
	names := map[string]bool{}
	for _, w := range n.widgets {
		names[w.name] = true
		hidden[w.name] = hidden[w.name] || w.unsaved
	}
	for _, s := range n.def.declared {
		// Inputs without a widget, and with one that is not saved, never had a place.
		if !names[s.name] && !s.forced || hidden[s.name] {
			continue
		}
		forced = append(forced, s.forced)
		if s.flag("control_after_generate") {
			forced = append(forced, false)
		}
	}
	return n.align(values, forced)
}

// align drops the values of forced inputs if the number of values shows that they are there.
func (n *node) align(values *source.Value, forced []bool) []*source.Value {
	list := items(values)
	if values != nil && values.Kind == source.Array && !slices.Contains(forced, true) && len(list) == n.saved() {
		return list
	}
	aligned := n.compacted(values)
	if len(aligned) != len(forced) {
		if values != nil && values.Kind == source.Object && len(values.Members) > 0 && n.graph != nil {
			// The object form is that of some packs' own nodes, which read it themselves.
			n.graph.l.warn("ignored_values", diag.Of(values), n.id, "", "widgets_values is an object, and is ignored; the node's defaults are sent")
		}
		// Neither count fits: the values are taken as they are, from the first on.
		if len(list) != len(forced) || values == nil || values.Kind != source.Array {
			return list
		}
		aligned = list
	}
	var out []*source.Value
	for i, v := range aligned {
		if !forced[i] {
			out = append(out, v)
		}
	}
	return out
}

// compacted is widgets_values without the entries at places of widgets that are not saved; of an object, all its values.
func (n *node) compacted(values *source.Value) []*source.Value {
	var out []*source.Value
	if values != nil && values.Kind == source.Object {
		for _, m := range values.Members {
			out = append(out, m.Value)
		}
		return out
	}
	for i, v := range items(values) {
		if i >= len(n.widgets) || !n.widgets[i].unsaved {
			out = append(out, v)
		}
	}
	return out
}

// unknownWidgets shows the values of a node whose class is not known, as UNKNOWN, UNKNOWN_1, …
func (n *node) unknownWidgets() {
	for i, v := range items(n.doc.values) {
		name := "UNKNOWN"
		if i > 0 {
			name += "_" + textOf(source.NewInt(int64(i)))
		}
		if v.Kind == source.Array || v.Kind == source.Object || v.Kind == source.Null {
			v = source.NewString(string(v.AppendJSON(nil))).At(v)
		}
		n.widgets = append(n.widgets, &widget{name: name, value: v})
	}
}
