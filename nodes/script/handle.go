package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"github.com/comfyc/comfyc/compiler/diag"
)

// The objects that a script gets instead of real pictures and models. They are dynamic objects: the interpreter asks
// Go for each property, so g.KSampler and node.LATENT need no list made beforehand. A handle holds numbers only; what
// it means is in run.handles.

// classes is g: every property is a function that adds a node of the class with that name.
type classes struct {
	run  *run
	made map[string]goja.Value // the functions that were asked for
}

// Get gives the function for a class, whether or not there is such a class: that is checked where the catalogue is.
func (c *classes) Get(name string) goja.Value {
	if inherited(name) || len(name) > maxName {
		return nil
	}
	f, ok := c.made[name]
	if !ok {
		f = c.run.vm.ToValue(func(call goja.FunctionCall) goja.Value { return c.run.add(name, call) })
		c.made[name] = f
	}
	return f
}

// Neither g nor a handle can be changed: false is an error in strict mode, which all files are compiled in. Nor have
// they keys to list.
func (c *classes) Set(string, goja.Value) bool { return false }
func (c *classes) Has(name string) bool        { return !inherited(name) }
func (c *classes) Delete(string) bool          { return false }
func (c *classes) Keys() []string              { return nil }

// inherited tells names that the language itself looks up on objects.
func inherited(name string) bool {
	switch name {
	case "then", "toJSON", "constructor", "toString", "valueOf", "hasOwnProperty", "__proto__":
		return true
	}
	return false
}

// add makes a node: g.Class(inputs, {title}).
func (r *run) add(class string, call goja.FunctionCall) goja.Value {
	at := r.here()
	if len(r.nodes) == r.engine.MaxNodes {
		r.refuseAt(at, "script_nodes", "the script makes more than %d nodes", r.engine.MaxNodes)
	}
	n := made{Class: class, At: at}
	if arg := call.Argument(0); !goja.IsUndefined(arg) {
		o, ok := arg.(*goja.Object)
		// g.ImageInvert(image) is the usual slip; the message shows the object that is meant.
		if !ok || o.ClassName() != "Object" || r.isHandle(o) {
			r.refuseAt(at, "bad_argument", "g.%s takes an object of inputs, not %s", class, kindOf(arg))
		}
		n.Inputs = r.inputs(class, o, at)
	}
	if options, ok := call.Argument(1).(*goja.Object); ok {
		if title := options.Get("title"); title != nil && goja.IsString(title) {
			n.Title = clip(title.String())
		}
	}
	r.nodes = append(r.nodes, n)
	return r.handle(len(r.nodes), whole, class)
}

// target is what a handle stands for: a node with one of its outputs, or a link from outside. The numbers are those of wire.
type target struct{ node, slot, link int }

func (t target) wire() wire { return wire{Node: t.node, Slot: t.slot, Link: t.link} }

// isHandle tells the objects that stand for links from the script's own.
func (r *run) isHandle(o *goja.Object) bool {
	_, ok := r.handles[o]
	return ok
}

// inputs reads the inputs of a node; those that are undefined are not given.
func (r *run) inputs(class string, o *goja.Object, at spot) []named {
	keys := o.Keys()
	if len(keys) > maxInputs {
		r.refuseAt(at, "bad_argument", "g.%s is given %d inputs", class, len(keys))
	}
	out := make([]named, 0, len(keys))
	for _, key := range keys {
		v := o.Get(key)
		if v == nil || goja.IsUndefined(v) {
			continue
		}
		w := writer{run: r, what: key, class: class, at: at}
		w.name(key)
		out = append(out, named{key, w.wire(v)})
	}
	return out
}

// handle makes what stands for a node (slot is whole) or for one of its outputs.
func (r *run) handle(node, slot int, class string) *goja.Object {
	h := &handle{r, node, slot, class}
	o := r.vm.NewDynamicObject(h)
	_ = o.SetPrototype(r.handleProto())
	r.handles[o] = target{node: node, slot: slot}
	return o
}

// link makes the handle of a link that comes from outside.
func (r *run) link(number int, name string) *goja.Object {
	o := r.vm.NewDynamicObject(&outside{r, name})
	_ = o.SetPrototype(r.handleProto())
	r.handles[o] = target{link: number}
	return o
}

// handleProto lets handles be taken apart by [a, b] = …, and says why they are no numbers and no texts: without it
// `scale * 2` for a linked scale would be NaN. It is made once for each run.
func (r *run) handleProto() *goja.Object {
	if r.proto != nil {
		return r.proto
	}
	r.proto = r.vm.CreateObject(nil)
	_ = r.proto.SetSymbol(goja.SymIterator, func(c goja.FunctionCall) goja.Value {
		return r.iterate(c.This.ToObject(r.vm))
	})
	_ = r.proto.SetSymbol(goja.SymToPrimitive, func(goja.FunctionCall) goja.Value {
		r.refuse("bad_argument", "a link is used as a value: what comes from another node is known only when the workflow runs")
		return nil
	})
	return r.proto
}

// iterate gives an iterator over the outputs of a node.
func (r *run) iterate(o *goja.Object) goja.Value {
	to := r.handles[o]
	if to.node == 0 || to.slot != whole {
		r.refuse("bad_argument", "one output cannot be taken apart")
	}
	class := r.nodes[to.node-1].Class
	var list []any
	for slot := range r.engine.shape(class).Outputs {
		list = append(list, r.handle(to.node, slot, class))
	}
	values := r.vm.NewArray(list...)
	f, _ := goja.AssertFunction(values.GetSymbol(goja.SymIterator))
	it, err := f(values)
	if err != nil {
		panic(err)
	}
	return it
}

// handle is a node, or one output of it.
type handle struct {
	run   *run // for messages and for making further handles
	node  int  // from 1, as wires count
	slot  int  // from 0; whole for the node itself
	class string
}

// Get gives one output of a node, by name or index. An output has no members: latent.samples is a mistake that is
// worth a finding.
func (h *handle) Get(name string) goja.Value {
	if inherited(name) {
		return nil
	}
	s := h.run.engine.shape(h.class)
	if name == "length" && h.slot == whole {
		return h.run.vm.ToValue(len(s.Outputs))
	}
	if h.slot != whole {
		h.run.refuse("unknown_output", "an output of %s has no member %q: it is one output already", h.class, clip(name))
	}
	slot := s.find(name)
	if slot < 0 {
		h.run.unknownOutput(h.class, name, s)
	}
	return h.run.handle(h.node, slot, h.class)
}
func (h *handle) Set(string, goja.Value) bool { return false }

// Has answers `"MASK" in node`.
func (h *handle) Has(name string) bool {
	s := h.run.engine.shape(h.class)
	return h.slot == whole && s.find(name) >= 0
}
func (h *handle) Delete(string) bool { return false }
func (h *handle) Keys() []string     { return nil }

// find gives the slot of an output by its name, by its name in other letters, or by its index; -1 if there is none. Classes that are not known
// have whatever is asked for.
func (s *shape) find(name string) int {
	if n, err := strconv.Atoi(name); err == nil {
		if n < 0 || s.Known && n >= len(s.Outputs) || n > maxPorts {
			return -1
		}
		return n
	}
	for i, o := range s.Outputs {
		if o == name {
			return i
		}
	}
	for i, o := range s.Outputs {
		if strings.EqualFold(o, name) {
			return i
		}
	}
	if !s.Known {
		return 0
	}
	return -1
}

// unknownOutput ends the script with a finding that lists what there is.
func (r *run) unknownOutput(class, name string, s shape) {
	gives := "nothing"
	if len(s.Outputs) > 0 {
		gives = strings.Join(s.Outputs, ", ")
	}
	hint := diag.Suggest(name, s.Outputs)
	if hint == "" {
		hint = "it gives " + gives
	}
	panic(&refusal{trouble{r.here(), "unknown_output", fmt.Sprintf("%s has no output %q", class, clip(name)), hint}})
}

// outside is a link that the template was given.
type outside struct {
	run  *run
	name string // of the input, for messages
}

// Get always fails: what a link gives is one output already, and its class is not known to the script.
func (o *outside) Get(name string) goja.Value {
	if inherited(name) {
		return nil
	}
	o.run.refuse("unknown_output", "input %q is one output of another node and has no member %q", o.name, clip(name))
	return nil
}
func (o *outside) Set(string, goja.Value) bool { return false }
func (o *outside) Has(string) bool             { return false }
func (o *outside) Delete(string) bool          { return false }
func (o *outside) Keys() []string              { return nil }
