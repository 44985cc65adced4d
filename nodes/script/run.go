package script

import (
	"encoding/json"
	"math/rand/v2"

	"github.com/dop251/goja"
)

// What a script meets when it runs: the standard library of the language without what is not pure, and three
// functions of ours. A file is run once to see what it declares, and again, from its first line, for each expansion;
// how often the top level runs cannot matter, as it can reach nothing outside.

// run is one fresh runtime with one file in it.
type run struct {
	engine  *engine // the limits, and the files' compiled code
	file    int     // index of the file in engine.files
	vm      *goja.Runtime
	defs    []*goja.Object          // the arguments of template and workflow, in order
	spots   []spot                  // where each of defs was registered
	flows   []bool                  // the call was workflow
	nodes   []made                  // what g.Class(…) has added so far
	handles map[*goja.Object]target // what each handle stands for; objects of the script's own are not in it
	proto   *goja.Object            // of handles
	frames  []goja.StackFrame       // for here, again and again
	lits    []byte                  // what has been written of nodes' literals; each keeps a part of it
	budget  budget                  // of what may be written out
	trouble *trouble                // why it ended early; nil if it did not
}

// newRun makes a runtime that nothing has run in. seed is that of random(); while a file is loaded it is 0.
func (e *engine) newRun(file int, seed uint64) *run {
	r := &run{engine: e, file: file, vm: goja.New(), nodes: make([]made, 0, e.usual), handles: make(map[*goja.Object]target, e.usual),
		budget: budget{bytes: e.MaxOutput, values: maxValues}}
	r.vm.SetMaxCallStackSize(e.MaxDepth)
	r.harden(seed)
	return r
}

// harden leaves in the runtime what is pure.
func (r *run) harden(seed uint64) {
	global := r.vm.GlobalObject()
	// PCG gives the same numbers on every machine and in every version of Go. The second word is "comfyc" in ASCII.
	dice := rand.New(rand.NewPCG(seed, 0x636f6d667963))
	set := func(name string, f func(goja.FunctionCall) goja.Value) { _ = global.Set(name, f) }
	set("random", func(goja.FunctionCall) goja.Value { return r.vm.ToValue(dice.Float64()) })
	set("template", func(c goja.FunctionCall) goja.Value { return r.register(c, false) })
	set("workflow", func(c goja.FunctionCall) goja.Value { return r.register(c, true) })
	// Text that becomes code has no place in the file, and could hide from whoever reads the template.
	_ = global.Delete("eval")
	_ = global.Delete("Function")
	r.forbid(global, "Date", "there is no clock in a template: the same inputs give the same nodes")
	if m, ok := global.Get("Math").(*goja.Object); ok {
		r.forbid(m, "random", "there is no Math.random in a template; random() is seeded by the batch")
	}
	r.boundStrings()
}

// forbid makes reading a property throw an explanation.
func (r *run) forbid(o *goja.Object, name, why string) {
	get := func(goja.FunctionCall) goja.Value { panic(r.vm.NewTypeError(why)) }
	_ = o.DefineAccessorProperty(name, r.vm.ToValue(get), nil, goja.FLAG_FALSE, goja.FLAG_FALSE)
}

// maxString is the length of a text that repeat, padStart and padEnd make at most, in bytes or UTF-16 units. Joining
// and adding can make long texts too, but step by step, so that the watch over memory sees it.
const maxString = 16 << 20

// boundStrings guards the functions that make a huge text in one step, which nothing could interrupt.
func (r *run) boundStrings() {
	class, _ := r.vm.GlobalObject().Get("String").(*goja.Object)
	proto, _ := class.Get("prototype").(*goja.Object)
	for _, name := range []string{"repeat", "padStart", "padEnd"} {
		real, _ := goja.AssertFunction(proto.Get(name))
		_ = proto.DefineDataProperty(name, r.vm.ToValue(func(c goja.FunctionCall) goja.Value {
			length := c.Argument(0).ToFloat()
			if name == "repeat" {
				length *= float64(len(c.This.String()))
			}
			if length > maxString {
				r.refuse("script_memory", "%s would make a text of more than %d bytes", name, maxString)
			}
			v, err := real(c.This, c.Arguments...)
			if err != nil {
				panic(err)
			}
			return v
		}), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
}

// register keeps what template or workflow is given.
func (r *run) register(c goja.FunctionCall, flow bool) goja.Value {
	def, ok := c.Argument(0).(*goja.Object)
	if !ok {
		r.refuse("bad_template", "%s takes an object, such as {name, inputs, outputs, expand}", c.Argument(0).String())
	}
	if len(r.defs) == maxTemplates {
		r.refuse("bad_template", "more than %d templates in one file", maxTemplates)
	}
	r.defs, r.spots, r.flows = append(r.defs, def), append(r.spots, r.here()), append(r.flows, flow)
	return goja.Undefined()
}

// here is the place in the script that called us.
func (r *run) here() spot {
	r.frames = r.vm.CaptureCallStack(16, r.frames[:0])
	return r.place(r.frames)
}

// start runs the file's top level.
func (r *run) start() {
	if _, err := r.vm.RunProgram(r.engine.files[r.file].code); err != nil {
		panic(err)
	}
}

// declare tells what the file registers.
func (r *run) declare(rep *loadReply) {
	r.start()
	for i, def := range r.defs {
		d := declared{At: r.spots[i], Workflow: r.flows[i]}
		// workflow(g => …) has no members at all.
		members := []string{"name", "inputs", "outputs", "description"}
		if _, isFunction := goja.AssertFunction(def); isFunction {
			if !d.Workflow {
				r.refuseAt(d.At, "bad_template", "template takes an object {name, inputs, outputs, expand}, not a function")
			}
			members = nil
		} else if _, ok := goja.AssertFunction(def.Get("expand")); !ok {
			r.refuseAt(d.At, "bad_template", "the template has no function expand(g, inputs)")
		} else {
			r.onlyKnown(def, d.At)
		}
		d.Def = r.definition(def, members, d.At)
		rep.Declared = append(rep.Declared, d)
	}
}

// onlyKnown refuses members that a template does not have.
func (r *run) onlyKnown(def *goja.Object, at spot) {
	for _, key := range def.Keys() {
		switch key {
		case "name", "inputs", "outputs", "expand", "description":
		default:
			r.refuseAt(at, "bad_template", "a template has no member %q; it has name, inputs, outputs, expand and description", clip(key))
		}
	}
}

// definition writes some members of an object as JSON.
func (r *run) definition(def *goja.Object, members []string, at spot) json.RawMessage {
	out := []byte{'{'}
	for _, key := range members {
		v := def.Get(key)
		if v == nil || goja.IsUndefined(v) {
			continue
		}
		w := writer{run: r, what: "the template's " + key, at: at}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), key...), '"', ':')
		out = w.value(out, v, 0)
	}
	return append(out, '}')
}

// expand calls a template with its inputs and keeps what it returns.
func (r *run) expand(req *expandRequest, rep *expandReply) {
	r.start()
	// The top level ran without declaring as much as at loading, which takes a script that depends on random().
	if req.Index >= len(r.defs) {
		r.refuse("script_failed", "the file did not register the template again: it depends on something that changes")
	}
	def := r.defs[req.Index]
	call, ok := goja.AssertFunction(def)
	if !ok {
		call, _ = goja.AssertFunction(def.Get("expand"))
	}
	result, err := call(def, r.vm.NewDynamicObject(&classes{r, map[string]goja.Value{}}), r.arguments(req.Args))
	if err != nil {
		panic(err)
	}
	r.returned(result, rep)
}

// arguments is the object that expand gets.
func (r *run) arguments(args []named) *goja.Object {
	o := r.vm.NewObject()
	for _, a := range args {
		_ = o.DefineDataProperty(a.Name, r.incoming(a.wire), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
	}
	return o
}

// returned reads what expand gave back: an object of outputs, one handle, or nothing.
func (r *run) returned(v goja.Value, rep *expandReply) {
	o, ok := v.(*goja.Object)
	switch {
	case !ok && (goja.IsUndefined(v) || goja.IsNull(v)):
		return
	case !ok || o.ClassName() != "Object":
		hint := "return an object of its outputs, such as {image: up}"
		if ok && o.ClassName() == "Promise" {
			hint = "a template waits for nothing: write expand without async"
		}
		panic(&refusal{trouble{At: spot{File: r.file}, Code: "bad_output", Message: "expand returned " + kindOf(v) + ", not its outputs", Hint: hint}})
	}
	if to, ok := r.handles[o]; ok {
		rep.Single, rep.Outputs = true, []named{{"", to.wire()}}
		return
	}
	// An output that is undefined is kept as null, and found missing or of the wrong type by the builder.
	for i, key := range o.Keys() {
		if i == maxPorts {
			r.refuse("bad_output", "more than %d outputs", maxPorts)
		}
		w := writer{run: r, what: "output " + clip(key), at: spot{File: r.file}}
		w.name(key)
		rep.Outputs = append(rep.Outputs, named{key, w.wire(o.Get(key))})
	}
}
