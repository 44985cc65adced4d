package nodes

import "github.com/comfyc/comfyc/compiler/source"

// Class is one node class as /object_info describes it. It is read-only.
type Class struct {
	Name         string
	DisplayName  string // "" if the catalogue has none; the class name is shown then
	Category     string
	Module       string // the Python module, which names the pack of a custom node
	Inputs       []Input
	Outputs      []Output
	OutputNode   bool // a node that execution starts from, such as SaveImage
	InputList    bool // takes whole lists instead of being run once per element
	Deprecated   bool
	Experimental bool
	APINode      bool // runs on a paid service of its own, not on the GPU
	Intermediate bool // what it shows is kept for a browser that is loaded again, though execution starts from output nodes alone
	V3           bool // written for the newer node interface, whose inputs may be dynamic

	// Filled by prepare when the class is decoded, so that Live costs nothing for the five classes in six that have
	// no dynamic inputs.
	plain   []Live // the inputs without the hidden ones
	dynamic bool   // Live must look at a node's values
}

// Group says in which part of the definition an input stands.
type Group uint8

// The groups of inputs.
const (
	Required Group = iota
	Optional
	Hidden
)

// String gives the group's name in a definition.
func (g Group) String() string { return [...]string{"required", "optional", "hidden"}[g] }

// The names with COMFY_ are those of the newer node interface (V3). A type that is not listed here, such as MODEL or
// LATENT, has no meaning of its own: a link fits if the names are equal, and no literal is meant for it.
// The names of types that mean more than "a link of this type".
const (
	TypeInt          = "INT" // up to 64 bits; seeds go up to 2^64-1
	TypeFloat        = "FLOAT"
	TypeString       = "STRING"
	TypeBoolean      = "BOOLEAN"
	TypeCombo        = "COMBO"                 // one value of a list, nearly always a text
	TypeAny          = "*"                     // takes and gives everything
	TypeMatch        = "COMFY_MATCHTYPE_V3"    // takes everything; inputs and outputs of one template have one type
	TypeAutogrow     = "COMFY_AUTOGROW_V3"     // a row of numbered inputs, see Growth
	TypeDynamicCombo = "COMFY_DYNAMICCOMBO_V3" // a list each of whose options brings inputs, see Choice
	TypeDynamicSlot  = "COMFY_DYNAMICSLOT_V3"  // a socket that brings inputs when it is linked
)

// Input is one declared input.
type Input struct {
	Name  string
	Type  string // "INT", "MODEL", "COMBO" (both for the old list form and the new), "A,B", "*", "COMFY_DYNAMICCOMBO_V3", …
	Group Group
	// Options are the values of a COMBO, in order; nil for other types. OldList says that the definition has the old form, a bare list.
	Options []*source.Value
	OldList bool
	// Open marks a list of files or models that was empty when the catalogue was made: any name may exist on a worker.
	Open bool
	// Spec is the whole option object of the definition (default, min, max, step, multiline, control_after_generate, template, …); never nil.
	Spec *source.Value
	// Choices are the options of a dynamic combo, Grow is the template of an autogrow input, Slot the inputs that a dynamic slot adds
	// when it is given. Nil for other types.
	Choices []Choice
	Grow    *Growth
	Slot    []Input
}

// Choice is one option of a dynamic combo: the inputs that come with its key. Their names in a prompt are
// "combo.name": where the input resize_type has the option "scale width", which brings an input width,
// {"resize_type": "scale width", "resize_type.width": 512} is sent.
type Choice struct {
	Key    *source.Value // nearly always a string
	Inputs []Input
}

// Growth is the template of an autogrow input: input i is named "input.Names[i]" in a prompt.
type Growth struct {
	Input Input    // what each of them takes; its group says whether the first Min are required
	Names []string // all possible names; at most 100
	Min   int      // how many of Names must be given, from the first on
}

// Default is the declared default, nil if there is none.
func (in *Input) Default() *source.Value { return in.Spec.Get("default") }

// Flag reads a boolean of the Spec such as multiline, forceInput, socketless, image_upload, dynamicPrompts.
func (in *Input) Flag(name string) bool {
	v := in.Spec.Get(name)
	return v != nil && v.Kind == source.Bool && v.Bool
}

// OptionNames gives those options of a COMBO, or keys of a dynamic combo, that are strings.
func (in *Input) OptionNames() []string {
	var out []string
	for _, o := range in.Options {
		if o.Kind == source.String {
			out = append(out, o.Text)
		}
	}
	for _, c := range in.Choices {
		if c.Key != nil && c.Key.Kind == source.String {
			out = append(out, c.Key.Text)
		}
	}
	return out
}

// Widget tells whether the input is one that a literal is meant for: a number, a text, a boolean or a list, or a dynamic combo.
func (in *Input) Widget() bool {
	switch in.Type {
	case TypeInt, TypeFloat, TypeString, TypeBoolean, TypeCombo, TypeDynamicCombo:
		return true
	}
	return false
}

// Output is one output slot.
type Output struct {
	Name string
	Type string // an old-style output that is a list of options has the type COMBO
	List bool   // the output is a list that is run element by element
	// Match names the match type template which the output follows ("" if none), and OldList marks a type that was given as a list.
	Match   string
	OldList bool
	Options []*source.Value // of a type that was given as a list
}

// Input finds a declared input by its name, hidden ones included; nil if there is none.
func (c *Class) Input(name string) *Input {
	for i := range c.Inputs {
		if c.Inputs[i].Name == name {
			return &c.Inputs[i]
		}
	}
	return nil
}

// InputNames lists the inputs that a prompt may give, without the hidden ones.
func (c *Class) InputNames() []string {
	var out []string
	for i := range c.Inputs {
		if c.Inputs[i].Group != Hidden {
			out = append(out, c.Inputs[i].Name)
		}
	}
	return out
}

// Title is the display name, or the class name where there is none.
func (c *Class) Title() string {
	if c.DisplayName != "" {
		return c.DisplayName
	}
	return c.Name
}
