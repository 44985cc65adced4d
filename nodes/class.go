package nodes

import "github.com/comfyc/comfyc/compiler/source"

// Class is one node class as /object_info describes it. It is read-only.
type Class struct {
	Name        string
	DisplayName string // "" if the catalogue has none; the class name is shown then
	Category    string
	Module      string // the Python module, which names the pack of a custom node
	Inputs      []Input
	Outputs     []Output
	OutputNode  bool // a node that execution starts from, such as SaveImage
	Deprecated  bool
	APINode     bool // runs on a paid service of its own, not on the GPU
}

// Group says in which part of the definition an input stands.
type Group uint8

// The groups of inputs.
const (
	Required Group = iota
	Optional
	Hidden
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
}

// Default is the declared default, nil if there is none.
func (in *Input) Default() *source.Value { return in.Spec.Get("default") }

// Flag reads a boolean of the Spec such as multiline, forceInput, socketless, image_upload, dynamicPrompts.
func (in *Input) Flag(name string) bool {
	v := in.Spec.Get(name)
	return v != nil && v.Kind == source.Bool && v.Bool
}

// Output is one output slot.
type Output struct {
	Name string
	Type string // an old-style output that is a list of options has the type COMBO
	List bool   // the output is a list that is run element by element
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

// Title is the display name, or the class name where there is none.
func (c *Class) Title() string {
	if c.DisplayName != "" {
		return c.DisplayName
	}
	return c.Name
}
