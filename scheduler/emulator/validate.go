package emulator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// verdict is what POST /prompt finds. It is a lesser copy of ComfyUI's own checks, made apart from the compiler's so that the one can be tested
// against the other: classes, links and cycles, files and models, required inputs, and types, ranges and options of plain inputs.
type verdict struct {
	broken bool        // the server answers 500
	whole  *promptFail // nothing can run
	nodes  []nodeFail  // in the order in which they were found
	good   []string    // ids of the output nodes that will run
}

// promptFail is an error about the whole prompt.
type promptFail struct {
	kind, message, details string
	extra                  *source.Value // extra_info; nil is {}
}

// nodeFail is the errors of one node.
type nodeFail struct {
	id, class  string
	errors     []promptFail
	dependents []string // output nodes
}

// checker walks one prompt.
type checker struct {
	nodes  map[string]*source.Value
	have   func(image string) bool // tells whether an input file is there
	models []string                // nil: any
	fails  map[string]*nodeFail    // by node
	order  []string                // of fails, as they were found
	state  map[string]int          // 1 being looked at, 2 good, 3 bad
	path   []string                // from the output node down to here, for cycles
}

// validate looks at a prompt as ComfyUI does before it takes it. targets are the outputs that are wanted, nil for all.
func validate(prompt *source.Value, targets []string, have func(string) bool, models []string) verdict {
	if prompt == nil || prompt.Kind != source.Object {
		return verdict{broken: true}
	}
	for _, m := range prompt.Members {
		if in := m.Value.Get("inputs"); m.Value.Kind != source.Object || in != nil && in.Kind != source.Object {
			return verdict{broken: true}
		}
	}
	outputs, whole := classes(prompt, targets)
	if whole != nil {
		return verdict{whole: whole}
	}
	c := &checker{nodes: map[string]*source.Value{}, have: have, models: models, fails: map[string]*nodeFail{}, state: map[string]int{}}
	for _, m := range prompt.Members {
		c.nodes[m.Key] = m.Value
	}
	var v verdict
	for _, id := range outputs {
		if c.walk(id, id) {
			v.good = append(v.good, id)
		}
	}
	for _, id := range c.order {
		v.nodes = append(v.nodes, *c.fails[id])
	}
	// One good output is enough for 200; the others' errors stand beside it in node_errors.
	if len(v.good) == 0 {
		v.whole = &promptFail{kind: "prompt_outputs_failed_validation", message: "Prompt outputs failed validation"}
	}
	return v
}

// classes checks that every class is there and lists the output nodes.
func classes(prompt *source.Value, targets []string) (outputs []string, whole *promptFail) {
	for _, m := range prompt.Members {
		class := m.Value.Get("class_type")
		switch {
		case class == nil || class.Kind != source.String:
			return nil, missing(m.Key, fmt.Sprintf("Node 'ID #%s' has no class_type. The workflow may be corrupted or a custom node is missing.", m.Key), source.NewNull())
		case worker.Supports(class.Text) == worker.None:
			return nil, missing(m.Key, fmt.Sprintf("Node '%s' not found. The custom node may not be installed.", class.Text), source.NewString(class.Text))
		case isOutput(class.Text) && (targets == nil || slices.Contains(targets, m.Key)):
			outputs = append(outputs, m.Key)
		}
	}
	if len(outputs) == 0 {
		return nil, &promptFail{kind: "prompt_no_outputs", message: "Prompt has no outputs"}
	}
	return outputs, nil
}

// missing is the error for a class that the worker does not have.
func missing(id, message string, class *source.Value) *promptFail {
	return &promptFail{"missing_node_type", message, fmt.Sprintf("Node ID '#%s'", id), object(
		"node_id", source.NewString(id), "class_type", class, "node_title", class)}
}

// object makes a JSON object of names and values in turn.
func object(pairs ...any) *source.Value {
	v := source.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		v.Members = append(v.Members, source.Member{Key: pairs[i].(string), Value: pairs[i+1].(*source.Value)})
	}
	return v
}

// walk tells whether a node and all that it needs is good, for one output node.
func (c *checker) walk(id, output string) bool {
	// Each node is checked once, however many outputs need it; a bad one then only gets a further dependent.
	switch c.state[id] {
	case 1:
		c.cycle(id, output)
		return false
	case 2:
		return true
	case 3:
		c.depends(id, output, map[string]bool{})
		return false
	}
	c.state[id] = 1
	c.path = append(c.path, id)
	node := c.nodes[id]
	good := true
	if in := node.Get("inputs"); in == nil {
		c.fail(id, output, promptFail{kind: "exception_during_validation", message: "Exception when validating node", details: "'inputs'",
			extra: object("exception_type", source.NewString("KeyError"), "traceback", source.NewArray())})
	} else {
		c.required(id, output, in)
		for _, m := range in.Members {
			good = c.input(id, output, m.Key, m.Value) && good
		}
	}
	c.path = c.path[:len(c.path)-1]
	good = good && c.fails[id] == nil
	c.state[id] = 3
	if good {
		c.state[id] = 2
	}
	return good
}

// input checks one input of a node; false if what it is linked to is bad.
func (c *checker) input(id, output, name string, v *source.Value) bool {
	if v.Kind == source.Array {
		return c.link(id, output, name, v)
	}
	class := c.nodes[id].Get("class_type").Str()
	switch {
	case name == "image" && (class == "LoadImage" || class == "LoadImageMask") && v.Kind == source.String:
		if file := strings.TrimSuffix(v.Text, " [input]"); file != "" && !c.have(file) {
			c.fail(id, output, promptFail{"custom_validation_failed", "Custom validation failed for node", "image - Invalid image file: " + v.Text,
				object("input_name", source.NewString("image"))})
		}
		return true
	case c.models != nil && v.Kind == source.String && slices.Contains(modelInputs, name) && !slices.Contains(c.models, v.Text):
		c.fail(id, output, promptFail{"value_not_in_list", "Value not in list", fmt.Sprintf("%s: '%s' not in %s", name, v.Text, listed(c.models)),
			c.about(id, name, "received_value", v)})
		return true
	}
	c.literal(id, output, class, name, v)
	return true
}

// modelInputs are the inputs by which the core loaders name model files.
var modelInputs = []string{"ckpt_name", "unet_name", "vae_name", "lora_name", "clip_name", "clip_name1", "clip_name2", "clip_name3", "control_net_name",
	"style_model_name", "clip_vision", "clip_vision_name", "upscale_model", "gligen_name", "model_name"}

// listed prints options as ComfyUI does: more than 20 only by their number.
func listed(names []string) string {
	if len(names) > 20 {
		return fmt.Sprintf("(list of length %d)", len(names))
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "'" + n + "'"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// link checks a list, which is always taken for a link.
func (c *checker) link(id, output, name string, v *source.Value) bool {
	// A plain list can never be a value: ComfyUI takes every list for [node, slot].
	if len(v.Items) != 2 {
		c.fail(id, output, promptFail{"bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]", name,
			c.about(id, name, "received_value", v)})
		return true
	}
	from := v.Items[0].Str()
	if c.nodes[from] == nil {
		kind, message, detail := "exception_during_inner_validation", "Exception when validating inner node", "'"+from+"'"
		if id == output {
			kind, message = "exception_during_validation", "Exception when validating node"
		}
		c.fail(id, output, promptFail{kind, message, detail, object("exception_type", source.NewString("KeyError"), "traceback", source.NewArray())})
		return true
	}
	c.types(id, output, name, v)
	return c.walk(from, output)
}

// cycle notes the error at every node of the cycle, printed from where it was entered.
func (c *checker) cycle(id, output string) {
	at := slices.Index(c.path, id)
	var names, ids []string
	for _, n := range append(slices.Clone(c.path[at:]), id) {
		names = append(names, fmt.Sprintf("%s (%s)", n, c.nodes[n].Get("class_type").Str()))
		ids = append(ids, n)
	}
	for _, n := range c.path[at:] {
		c.fail(n, output, promptFail{"dependency_cycle", "Dependency cycle detected", strings.Join(names, " -> "),
			object("node_id", source.NewString(n), "cycle_nodes", texts(ids[:len(ids)-1]))})
	}
}

func texts(list []string) *source.Value {
	v := source.NewArray()
	for _, s := range list {
		v.Items = append(v.Items, source.NewString(s))
	}
	return v
}

// fail notes an error of a node that an output depends on.
func (c *checker) fail(id, output string, f promptFail) {
	n := c.fails[id]
	if n == nil {
		n = &nodeFail{id: id, class: c.nodes[id].Get("class_type").Str()}
		c.fails[id] = n
		c.order = append(c.order, id)
	}
	n.errors = append(n.errors, f)
	if !slices.Contains(n.dependents, output) {
		n.dependents = append(n.dependents, output)
	}
}

// depends notes one more output for the errors below a node that was found bad before.
func (c *checker) depends(id, output string, seen map[string]bool) {
	if seen[id] {
		return
	}
	seen[id] = true
	if n := c.fails[id]; n != nil && !slices.Contains(n.dependents, output) {
		n.dependents = append(n.dependents, output)
	}
	if in := c.nodes[id].Get("inputs"); in != nil {
		for _, m := range in.Members {
			if from := m.Value.Index(0).Str(); c.nodes[from] != nil {
				c.depends(from, output, seen)
			}
		}
	}
}
