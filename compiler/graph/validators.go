package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// validator is the own validation of a class (VALIDATE_INPUTS), which /object_info does not show. The
// server does not hold the range and the list of the inputs that it takes; it calls it after all inputs
// were looked at.
type validator struct {
	class string
	args  []string // the inputs that it takes by name
	all   bool     // it takes all the others too
	need  []string // those without which the server's code fails
	// inputTypes says that it looks at the types of links itself: the server compares none on this class.
	inputTypes bool
	run        func(*call)
}

// call is one run of a validator.
type call struct {
	b     *builder
	n     *Node
	given given
	// What came of it: a failed validation (failed, with a hint), or the server's own code failed (raised).
	// Neither if all is well.
	failed string
	hint   string
	raised *raised
}

// validators are those of classes that load no file; see loaders for the others. A class that the catalogue
// lacks has no effect. One without run passes whatever it is given: it is here because its inputs are held
// against no list.
var validators = []validator{
	{class: "ComfySoftSwitchNode", args: []string{"switch", "on_false", "on_true"}, need: []string{"switch"}, run: softSwitch},
	{class: "CustomCombo", args: []string{"choice", "index"}, all: true, need: []string{"choice"}},
	{class: "FluxProUltraImageNode", args: []string{"aspect_ratio"}, need: []string{"aspect_ratio"}, run: aspectRatio},
	{class: "KlingCameraControls", args: cameraMoves, need: cameraMoves, run: cameraControls},
	{class: "SelectCLIPDevice", args: []string{"device"}},
	{class: "SelectModelDevice", args: []string{"device"}},
	{class: "SelectVAEDevice", args: []string{"device"}},
	{class: "TripoConversionNode", inputTypes: true, run: tripoConversion},
}

// loader makes the validator of a class that loads a file.
func loader(input string, model bool) *validator {
	return &validator{args: []string{input}, all: model, need: []string{input}, run: func(c *call) { c.loadFile(input, model) }}
}

// validatorOf finds a class's validator, nil if it has none.
func validatorOf(class string) *validator {
	for _, l := range loaders {
		if l.class == class {
			return loader(l.input, l.model)
		}
	}
	for i := range validators {
		if validators[i].class == class {
			return &validators[i]
		}
	}
	return nil
}

// takes tells whether an input is the validator's to judge.
func (v *validator) takes(input string) bool { return v.all || slices.Contains(v.args, input) }

// validate runs a node's validator. A failed one is said of every declared input that it was given, as the server does.
func (b *builder) validate(n *Node, v *validator, given given, c *checked) {
	k := &call{b: b, n: n, given: given}
	k.needs(v.need)
	if k.raised == nil && v.run != nil {
		v.run(k)
	}
	if k.raised != nil {
		c.raise(*k.raised)
		return
	}
	if k.failed == "" {
		return
	}
	if v.inputTypes {
		c.found = append(c.found, diag.Errorf("custom_validation_failed", n.classPlace(), "%s", k.failed).About(n.ID, "input_types"))
		return
	}
	for j := range n.Inputs {
		in := &n.Inputs[j]
		if in.Def == nil && !isLink(in.Value) || !v.takes(in.Name) { // links are handed over whether declared or not
			continue
		}
		d := diag.Errorf("custom_validation_failed", diag.Of(in.Value), "%s", k.failed).Hinted(k.hint)
		if len(v.args) == 1 && in.Name != v.args[0] {
			d = diag.Errorf("custom_validation_failed", in.Key, "%s is refused with the rest of its node because of %q", n.of(in.Name), v.args[0])
		}
		c.found = append(c.found, d.About(n.ID, in.Name))
	}
}

// needs fails as Python does when a required argument is missing: the exception replaces
// required_input_missing.
func (c *call) needs(names []string) {
	for _, name := range names {
		if _, ok := c.given.at(name); !ok {
			c.raised = &raised{name, c.n.classPlace(), fmt.Sprintf("%s lacks the required input %q", c.n.Class, name), ""}
			return
		}
	}
}

// arg gives what the validator is called with for an input: nil stands for Python's None, which links have before the node runs.
func (c *call) arg(name string) (*Input, *source.Value) {
	j, ok := c.given.at(name)
	if !ok {
		return nil, nil
	}
	in := &c.n.Inputs[j]
	if isLink(in.Value) || in.Value.Kind == source.Null {
		return in, nil
	}
	return in, in.Value
}

// isLink tells what the server takes for a link when it collects values: a list of a string and a number.
func isLink(v *source.Value) bool {
	return v.Kind == source.Array && len(v.Items) == 2 && v.Items[0].Kind == source.String &&
		(v.Items[1].Kind == source.Number || v.Items[1].Kind == source.Bool)
}

// raise says that the server's own code fails on an input.
func (c *call) raise(in *Input, why string) {
	c.raised = &raised{in.Name, diag.Of(in.Value), c.n.of(in.Name) + " " + why, ""}
}

// loadFile holds that the named file exists among the inputs.
func (c *call) loadFile(name string, model bool) {
	in, v := c.arg(name)
	if model && (v == nil || !truth(v) || v.Str() == "none") {
		return
	}
	if v == nil || v.Kind != source.String {
		c.raise(in, "names the file to load: a string, not "+show(in.Value))
		return
	}
	if !c.b.fileExists(v.Text) {
		c.failed = fmt.Sprintf("%s names a file that does not exist among the inputs: %s", c.n.of(name), show(v))
		c.hint = c.b.suggest(v.Text, c.b.knownFiles())
	}
}

// aspectRatio holds "X:Y" with whole numbers, from 1:4 to 4:1. The node's code throws instead of returning
// a message, so what is wrong here is an exception too.
func aspectRatio(c *call) {
	in, v := c.arg("aspect_ratio")
	if v == nil || v.Kind != source.String {
		c.raise(in, "is a ratio such as \"16:9\", not "+show(in.Value))
		return
	}
	a, b, ok := strings.Cut(v.Text, ":")
	x, okX := ratioPart(a)
	y, okY := ratioPart(b)
	if !ok || !okX || !okY {
		c.raise(in, "is a ratio of two whole numbers such as \"16:9\", not "+show(v))
		return
	}
	if x > 4*y || y > 4*x {
		c.raise(in, "must lie between 1:4 and 4:1, not "+show(v))
	}
}

// ratioPart reads one side of a ratio. Sides that a float64 does not hold exactly are compared as near as it does.
func ratioPart(s string) (float64, bool) {
	digits, ok := pythonInt(s)
	if !ok {
		return 0, false
	}
	f, ok := source.NewNumber(digits).Float()
	return f, ok && f > 0
}

var cameraMoves = []string{"horizontal_movement", "vertical_movement", "pan", "tilt", "roll", "zoom"}

// cameraControls holds that at least one of the six moves is not zero. It stops at the first that is not;
// what stands behind it is not looked at.
func cameraControls(c *call) {
	for _, name := range cameraMoves {
		in, v := c.arg(name)
		if v == nil || v.Kind != source.Number && v.Kind != source.Bool {
			c.raise(in, "is a number, not "+show(in.Value))
			return
		}
		if truth(v) {
			return
		}
	}
	c.failed = "all six camera moves of " + c.n.Class + " are zero; at least one must not be"
}

// softSwitch holds that at least one of the branches is connected.
func softSwitch(c *call) {
	_, a := c.given.at("on_false")
	_, b := c.given.at("on_true")
	if !a && !b {
		c.failed = c.n.Class + " needs at least one of on_false and on_true"
	}
}

// tripoConversion holds the type of the linked model task: of the classes here it is the only one that
// looks at types (input_types), and so the server compares none on its links.
func tripoConversion(c *call) {
	const name = "original_model_task_id"
	j, ok := c.given.at(name)
	if !ok || c.n.Inputs[j].From < 0 || len(c.n.Inputs[j].Value.Items) != 2 {
		c.raised = &raised{name, c.n.classPlace(), fmt.Sprintf("%s of %s must be a link", name, c.n.Class), ""}
		return
	}
	in := &c.n.Inputs[j]
	out := c.b.g.outputType(in.From, in.Slot)
	if in.Def != nil && !slices.Contains([]string{"MODEL_TASK_ID", "RIG_TASK_ID", "RETARGET_TASK_ID"}, out.Type) {
		c.failed = fmt.Sprintf("%s takes a task of a model, a rig or a retarget, not %s", c.n.of(in.Name), out.Type)
	}
}
