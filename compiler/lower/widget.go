// Widgets: what a node shows for its inputs, and where values lie until the prompt is made. A nil value is JavaScript's undefined: it is not sent.

package lower

import (
	"math"
	"slices"
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// widgetKind tells how a widget takes and gives its value.
type widgetKind uint8

const (
	plainWidget   widgetKind = iota // keeps what it is given
	areaWidget                      // several lines of text: gives text only
	fixedWidget                     // shows something, and gives the same whatever it is given
	dynamicWidget                   // a dynamic combo: its value brings inputs and widgets
	rowsWidget                      // the counter of a dynamic group
	choiceWidget                    // the choice of a CustomCombo
	optionWidget                    // an option of a CustomCombo
	indexWidget                     // the number of the chosen option
)

// widget is a live widget.
type widget struct {
	name    string // the key in the prompt; dynamic ones are "combo.input"
	kind    widgetKind
	typ     string          // the frontend's own name of the widget's type
	value   *source.Value   // nil is undefined
	initial *source.Value   // what the class gives, without a place; nil if the widget was made for this node
	unsaved bool            // takes no place in widgets_values
	unsent  bool            // is not part of a prompt
	dynamic bool            // dynamic prompts are expanded
	tokens  bool            // %Node.widget% and %date:…% are expanded
	options []*source.Value // of a combo; not checked when a value is set
	num     *numeric        // nil if it is no number
	spec    *inputSpec      // nil for widgets that no input declares
	choice  *choiceState
	rows    *rowsState
}

// numeric is the range and grid of a number widget.
type numeric struct {
	integer             bool
	min, max            float64 // -Inf and +Inf do not occur: the defaults are 0 and 2048
	step, round         float64 // 0 for round means that floats are not rounded
	precision           int     // digits behind the point that are shown
	hasMin, hasMax, own bool    // own: min, max and step come from the node's properties
}

// get is the widget's present value; nil is undefined.
func (n *node) get(w *widget) *source.Value {
	switch w.kind {
	case indexWidget:
		return source.NewInt(int64(n.optionIndex(n.widgets[0].value))).At(n.src)
	case rowsWidget:
		return source.NewInt(int64(w.rows.count)).At(n.src)
	}
	return w.value
}

// set gives a widget a value.
func (n *node) set(w *widget, v *source.Value) {
	switch w.kind {
	// Setting them has no effect, but their place in widgets_values is used up all the same.
	case fixedWidget, indexWidget:
	case areaWidget:
		w.value = asText(v)
	// Its value first: making the inputs of the option looks at it.
	case dynamicWidget:
		w.value = v
		n.chooseOption(w, v)
	case rowsWidget:
		n.setRows(w, v)
	case optionWidget:
		n.setOption(w, v)
	default:
		w.value = v
	}
}

// asText is a value as a text, at its own place.
func asText(v *source.Value) *source.Value {
	if v != nil && v.Kind == source.String {
		return v
	}
	return source.NewString(textOf(v)).At(v)
}

// edited is what the frontend does after a value was written by another node, as after an edit: numbers snap to their grid.
func (n *node) edited(w *widget) {
	switch {
	case w.num != nil && w.num.integer:
		w.value = n.snapInt(w, w.value)
	case w.num != nil:
		w.value = snapFloat(n.rangeOf(w), w.value)
	case w.kind == choiceWidget:
		n.applyFirst(nil)
	}
}

// snapInt rounds to the grid of an INT. An integer on a grid of one stays what it is, so that large seeds survive.
func (n *node) snapInt(w *widget, v *source.Value) *source.Value {
	num := n.rangeOf(w)
	step := num.step
	if step == 0 {
		step = 1
	}
	// A seed up to 2^64-1 has no exact float; here alone we differ from the browser on purpose, which rounds above 2^53.
	if step == 1 && v.IsInt() {
		return v
	}
	f := toNumber(v)
	if step == 1 {
		return numberValue(round(f)).At(v)
	}
	low := 0.0
	if num.hasMin {
		low = num.min
	}
	// The grid begins at the minimum: min 1, step 2 gives 1, 3, 5, …
	offset := math.Mod(low, step)
	return numberValue(round((f-offset)/step)*step + offset).At(v)
}

// rangeOf is the range of a number; PrimitiveInt and PrimitiveFloat take theirs from properties.
func (n *node) rangeOf(w *widget) numeric {
	num := *w.num
	if !num.own {
		return num
	}
	min, hasMin := n.property("min").Float()
	max, hasMax := n.property("max").Float()
	if num.integer {
		num.step, num.min, num.hasMin = floatOr(n.property("step"), 1), -math.Exp2(63), true
		if hasMin {
			num.min = min
		}
		return num
	}
	num.min, num.hasMin, num.max, num.hasMax = min, hasMin, max, hasMax
	if places, ok := n.property("precision").Float(); ok {
		num.precision = int(math.Min(math.Max(math.Trunc(places), 0), 100))
		if num.round > 0 {
			num.round = math.Pow(10, -float64(num.precision))
		}
	}
	if r := floatOr(n.property("round"), 0); r > 0 {
		num.round = r
	}
	return num
}

// snapFloat rounds to `round`, then to the digits shown, then into the range. Without `round` the value stays as it is.
func snapFloat(num numeric, v *source.Value) *source.Value {
	if num.round == 0 {
		return v
	}
	f := round(toNumber(v)/num.round) * num.round
	// JavaScript's toFixed, which takes 0 to 100 digits: 0.30000000000000004 becomes 0.3.
	f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', min(max(num.precision, 0), 100), 64), 64)
	if num.hasMin {
		f = math.Max(f, num.min)
	}
	if num.hasMax {
		f = math.Min(f, num.max)
	}
	return numberValue(f).At(v)
}

// push adds a widget to the node. While a file's values are restored it takes the one that is due.
func (n *node) push(w *widget) *widget {
	n.widgets = append(n.widgets, w)
	if n.graph != nil && n.indexOfName(w.name) < len(n.widgets)-1 {
		n.uniqueWidgets()
	}
	if n.restoring && !w.unsaved {
		// Widgets that come into being while values are restored (those of a dynamic combo's option) push the rest of the values further.
		if at := n.saved() - 1; at < len(n.restore) {
			n.set(w, n.restore[at])
		}
	}
	return w
}

// saved counts the widgets that take a place in widgets_values.
func (n *node) saved() int {
	count := 0
	for _, w := range n.widgets {
		if !w.unsaved {
			count++
		}
	}
	return count
}

// uniqueWidgets renames widgets whose name is taken: name#1, name#2, …
func (n *node) uniqueWidgets() {
	if len(n.widgets) <= fewSlots && !n.equalNames() {
		return
	}
	taken := make(map[string]*widget, len(n.widgets))
	for _, w := range n.widgets {
		if taken[w.name] == nil {
			taken[w.name] = w
		}
	}
	for _, w := range n.widgets {
		if taken[w.name] == w {
			continue
		}
		base := w.name
		for k := 1; taken[w.name] != nil; k++ {
			w.name = base + "#" + strconv.Itoa(k)
		}
		taken[w.name] = w
	}
}

func (n *node) equalNames() bool {
	for i, w := range n.widgets {
		if n.indexOfName(w.name) != i {
			return true
		}
	}
	return false
}

func (n *node) indexOfName(name string) int {
	return slices.IndexFunc(n.widgets, func(w *widget) bool { return w.name == name })
}
