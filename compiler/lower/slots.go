// Input slots, and the groups of them that grow (autogrow): "images" with min 1 has images.image0 and images.image1 from the start; as soon as
// the last one is connected, images.image2 appears, up to max. Numbers and prefix are the template's, or names from a list ("a", "b", …).

package lower

import (
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// addInputs makes all sockets of a class, then all widgets, as the editor does.
func (n *node) addInputs(specs []*inputSpec) {
	// First all sockets, then all widgets with their slots: it is this order that slot numbers in files count by.
	for _, s := range specs {
		n.addSocket(s)
	}
	for _, s := range specs {
		n.addWidget(s)
	}
}

// addInput makes the socket or the widget of one input.
func (n *node) addInput(s *inputSpec) {
	n.addSocket(s)
	n.addWidget(s)
}

// addSocket makes the slot of an input without a widget. Autogrow and match types make several, or ones that change.
func (n *node) addSocket(s *inputSpec) {
	switch {
	case s.make != nil && !s.forced:
	case s.typ == nodes.TypeAutogrow:
		n.addAutogrow(s)
	case s.typ == nodes.TypeMatch:
		n.addMatch(s)
	default:
		n.inputs = append(n.inputs, &input{name: s.name, typ: s.typ})
	}
}

// addWidget makes an input's widget and, beside it, the slot by which a link can replace its value.
func (n *node) addWidget(s *inputSpec) {
	if s.make == nil || s.forced {
		return
	}
	// Each widget has a slot of its own, to which a link can go without converting it first.
	if w := s.make(n, s); w != nil && w.kind != rowsWidget {
		n.inputs = append(n.inputs, &input{name: s.name, typ: s.typ, widget: s.name, hasWidget: true, spec: s})
	}
}

// growth is an autogrow input: a group of inputs that has one more as soon as its last one is connected.
type growth struct {
	min, max int      // how many inputs there must and may be
	prefix   string   // image0, image1, … for "image"
	names    []string // in place of numbers, if named
	named    bool
	specs    []*inputSpec // what comes with each number: mostly one input
}

// newGrowth reads an autogrow template; nil if it has no inputs.
func newGrowth(s *inputSpec) *growth {
	t := s.opts.Get("template")
	// 1 and 100 where the template names none.
	g := &growth{min: intOr(t.Get("min"), 1), max: intOr(t.Get("max"), 100), prefix: textOf(t.Get("prefix")), specs: rawSpecs(t.Get("input"))}
	if list := t.Get("names"); list != nil && list.Kind == source.Array {
		g.named = true
		for _, v := range list.Items {
			g.names = append(g.names, textOf(v))
		}
		g.max = len(g.names)
	}
	g.max = min(g.max, maxNames)
	if len(g.specs) == 0 {
		return nil
	}
	return g
}

// addAutogrow makes the first inputs of a group. The growth itself is the class's and never changes; what grows are the node's slots.
func (n *node) addAutogrow(s *inputSpec) {
	g := s.grow
	if g == nil {
		return
	}
	if n.grows == nil {
		n.grows = map[string]*growth{}
	}
	n.grows[s.name] = g
	// One more than must be there, so that there always is a free one.
	for i := 0; i == 0 || i < min(g.min+1, maxNames); i++ {
		n.grow(s.name, i)
	}
}

func intOr(v *source.Value, fallback int) int {
	if i, ok := v.Int(); ok {
		return i
	}
	return fallback
}

// nameOf gives the name of the i-th input of a group.
func (g *growth) nameOf(group, key string, i int) string {
	switch {
	case g.named && i >= 0 && i < len(g.names):
		return group + "." + g.names[i]
	case g.named:
		return group + ".undefined"
	case len(g.specs) == 1:
		return group + "." + g.prefix + strconv.Itoa(i)
	}
	return group + "." + key + strconv.Itoa(i)
}

// ordinal is the number of an input within its group, by its name.
func (g *growth) ordinal(group, name string) (int, bool) {
	if len(name) <= len(group) {
		return 0, false
	}
	name = name[len(group)+1:]
	if g.named {
		i := slices.Index(g.names, name)
		return i, i >= 0
	}
	digits := len(name)
	for digits > 0 && name[digits-1] >= '0' && name[digits-1] <= '9' {
		digits--
	}
	i, err := strconv.Atoi(name[digits:])
	return i, err == nil
}

// grow makes the inputs of a group with one number, behind those of the number before. Inputs of the same name are replaced, and leave
// their links to the new ones.
func (n *node) grow(group string, number int) {
	g := n.grows[group]
	if number >= g.max || n.graph != nil && !n.graph.l.spend(len(n.inputs)) {
		return
	}
	old := n.layout()
	// A copy: links are handed to new inputs here, and old is needed to undo it.
	links := make(map[*input]*link, len(old.links))
	for in, k := range old.links {
		links[in] = k
	}
	var made []*input
	for _, s := range g.specs {
		// Made at the end, taken off again, and put into its place below: addInput also pushes the widget.
		n.addInput(s.named(g.nameOf(group, s.name, number), number >= g.min || s.optional))
		if len(n.inputs) == 0 {
			continue
		}
		in := n.inputs[len(n.inputs)-1]
		n.inputs = n.inputs[:len(n.inputs)-1]
		if len(g.specs) != 1 {
			// A group of several inputs per number shows them in rows, for which each needs a widget.
			n.shim(in)
		}
		made = append(made, in)
	}
	n.replaceSame(made, links)
	before := g.nameOf(group, g.specs[len(g.specs)-1].name, number-1)
	at := len(n.inputs)
	if i := lastWith(n.inputs, before); i >= 0 {
		at = i + 1
	}
	n.inputs = slices.Insert(slices.Clone(n.inputs), at, made...)
	n.commit(old, links)
}

// lastWith is the index of the last input whose name begins so, -1 if none does.
func lastWith(inputs []*input, prefix string) int {
	for i := len(inputs) - 1; i >= 0; i-- {
		if strings.HasPrefix(inputs[i].name, prefix) {
			return i
		}
	}
	return -1
}

// replaceSame drops inputs that have the name of a new one, which gets their link and label.
func (n *node) replaceSame(made []*input, links map[*input]*link) {
	for _, in := range made {
		var kept []*input
		for _, x := range n.inputs {
			if x.name != in.name {
				kept = append(kept, x)
				continue
			}
			if k := links[x]; k != nil && links[in] == nil {
				links[in] = k
				delete(links, x)
			}
			if x.label != "" {
				in.label = x.label
			}
			in.doc = x.doc
		}
		n.inputs = kept
	}
}

// shim gives an input of a group of several a widget of its own name, which has no value.
func (n *node) shim(in *input) {
	if in.hasWidget && n.widgetNamed(in.widget) != nil {
		return
	}
	n.push(&widget{name: in.name, kind: fixedWidget, typ: "shim", unsaved: true})
	in.widget, in.hasWidget = in.name, true
}

// connectionChanged is what a node does when an input was connected or disconnected: a group of inputs grows, types follow.
func (n *node) connectionChanged(slot int, connected bool, k *link) {
	switch n.kind {
	case classNode, groupedNode:
		n.growConnected(slot, connected, k)
		if !n.graph.l.loading {
			n.settleMatch(slot, k)
		}
	case rerouteNode:
		if !n.graph.l.loading {
			n.settleReroute(nil)
		}
	}
}

// growConnected adds a number to a group when its last one was connected. Disconnecting takes none away.
func (n *node) growConnected(slot int, connected bool, k *link) {
	if n.grows == nil || slot < 0 || slot >= len(n.inputs) {
		return
	}
	in := n.inputs[slot]
	dot := strings.LastIndexByte(in.name, '.')
	if dot < 0 {
		return
	}
	group := in.name[:dot]
	g := n.grows[group]
	if g == nil {
		return
	}
	if n.graph.l.loading && in.hasWidget {
		n.shim(in)
	}
	if !connected || k == nil {
		return
	}
	last := lastWith(n.inputs, group+".")
	number, ok := g.ordinal(group, in.name)
	if !ok || last < 0 {
		return
	}
	// While a file is loaded every connection lets its group grow, as the slots that it names must come into being.
	if top, _ := g.ordinal(group, n.inputs[last].name); top != number && !n.graph.l.loading {
		return
	}
	n.grow(group, number+1)
}
