package nodes

import "github.com/comfyc/comfyc/compiler/source"

// Live is one input that a node takes, given its values: dynamic inputs are replaced by what they stand for.
type Live struct {
	Name     string // the name in a prompt: "steps", "format.codec", "images.image0"
	Def      *Input // what it takes
	Required bool
}

// Live lists the inputs that a node of the class takes, without the hidden ones. Only classes with dynamic inputs look at the values: given
// returns the value of an input of the node, nil if it is not given. The result is shared by all callers if the class has no dynamic inputs:
// it must not be changed.
//
// As in ComfyUI, a dynamic combo whose key is missing or unknown brings nothing at all, not even itself, and an autogrow input brings
// its numbered inputs, of which the first ones are required.
func (c *Class) Live(given func(name string) *source.Value) []Live {
	if !c.dynamic {
		return c.plain
	}
	e := expander{given: given, seen: make(map[string]int, len(c.Inputs)+8)}
	e.inputs(c.Inputs, "", 0)
	return e.out
}

// Dynamic tells whether the inputs that a node of the class takes depend on its values.
func (c *Class) Dynamic() bool { return c.dynamic }

// expander collects the inputs of one node. seen gives the place of a name in out: required and optional inputs, or
// those of two dynamic ones, may have the same name.
type expander struct {
	given func(string) *source.Value
	out   []Live
	seen  map[string]int
}

// add keeps one input per name.
func (e *expander) add(l Live) {
	if at, ok := e.seen[l.Name]; ok {
		if l.Required && !e.out[at].Required { // a required definition hides an optional one of the same name
			e.out[at] = l
		}
		return
	}
	e.seen[l.Name] = len(e.out)
	e.out = append(e.out, l)
}

// inputs adds a list of definitions. prefix is "" for the class's own, and "combo." or "slot." for what hangs below
// another input.
func (e *expander) inputs(list []Input, prefix string, depth int) {
	for i := range list {
		if in := &list[i]; in.Group != Hidden {
			e.input(in, prefix+in.Name, depth)
		}
	}
}

// input adds an input, or what a dynamic one stands for.
func (e *expander) input(in *Input, name string, depth int) {
	self := Live{Name: name, Def: in, Required: in.Group == Required}
	switch {
	case depth > maxDynamicDepth:
	case in.Type == TypeAutogrow:
		e.grow(in.Grow, name)
	case in.Type == TypeDynamicSlot:
		if e.given(name) != nil {
			e.inputs(in.Slot, name+".", depth+1)
			e.add(self)
		}
	case in.Type == TypeDynamicCombo:
		if choice := in.Choice(e.given(name)); choice != nil {
			// What the choice brings comes before the combo itself: ComfyUI puts them in this order too.
			e.inputs(choice.Inputs, name+".", depth+1)
			e.add(self)
		}
	default:
		e.add(self)
	}
}

// grow adds all names of an autogrow input; a node may give any of them.
func (e *expander) grow(g *Growth, prefix string) {
	if g == nil {
		return
	}
	for i, name := range g.Names {
		e.add(Live{Name: prefix + "." + name, Def: &g.Input, Required: i < g.Min && g.Input.Group == Required})
	}
}

// Choice finds the choice of a dynamic combo that a value selects; nil if there is none.
func (in *Input) Choice(key *source.Value) *Choice {
	if key == nil {
		return nil
	}
	for i := range in.Choices {
		if Equal(in.Choices[i].Key, key) {
			return &in.Choices[i]
		}
	}
	return nil
}

// prepare fills what Live returns for classes without dynamic inputs. Only newer-style classes can have some.
func (c *Class) prepare() {
	for i := range c.Inputs {
		switch c.Inputs[i].Type {
		case TypeAutogrow, TypeDynamicCombo, TypeDynamicSlot:
			c.dynamic = c.dynamic || c.V3 && c.Inputs[i].Group != Hidden
		}
	}
	e := expander{seen: make(map[string]int, len(c.Inputs))}
	for i := range c.Inputs {
		if in := &c.Inputs[i]; in.Group != Hidden {
			e.add(Live{Name: in.Name, Def: in, Required: in.Group == Required})
		}
	}
	c.plain = e.out
}
