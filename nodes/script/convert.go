package script

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/dop251/goja"

	"github.com/comfyc/comfyc/compiler/source"
)

// Values cross between JavaScript and JSON here. Inwards nothing can go wrong, as the values were checked. Outwards
// everything is a suspect: getters that run code, lists with a length of 2^32, objects that hold themselves, proxies.
// So all is counted down from a budget while it is written, and a script that passes it is ended by a panic with a
// *refusal, which engine.protect turns into an error.

// budget is what a run may still write: bytes of text and keys, and values of any kind. It is for all nodes and
// outputs of one expansion.
type budget struct{ bytes, values int }

// refuse ends the script with a finding at the innermost call.
func (r *run) refuse(code, format string, args ...any) { r.refuseAt(r.here(), code, format, args...) }

// refuseAt is refuse for a place that is known already.
func (r *run) refuseAt(at spot, code, format string, args ...any) {
	panic(&refusal{trouble{At: at, Code: code, Message: fmt.Sprintf(format, args...)}})
}

// maxSafe is the largest integer up to which a script's numbers are exact.
const maxSafe = 1 << 53

// incoming gives a script a value: an integer above 2^53 is a BigInt, a link is a handle.
func (r *run) incoming(w wire) goja.Value {
	if w.Link > 0 {
		return r.link(w.Link, "")
	}
	v, err := source.ParseJSON(source.NewFile("input", w.Lit), source.Limits{})
	if err != nil {
		r.refuse("script_failed", "an input cannot be read: %v", err)
	}
	return r.literal(v)
}

// literal makes a JavaScript value of a JSON one. Properties are defined, not set: a key "__proto__" is a member like
// any other then.
func (r *run) literal(v *source.Value) goja.Value {
	switch v.Kind {
	case source.Bool:
		return r.vm.ToValue(v.Bool)
	case source.String:
		return r.vm.ToValue(v.Text)
	case source.Number:
		return r.number(v)
	case source.Array:
		items := make([]any, len(v.Items))
		for i := range v.Items {
			items[i] = r.literal(v.Items[i])
		}
		return r.vm.NewArray(items...)
	case source.Object:
		o := r.vm.NewObject()
		for i := range v.Members {
			_ = o.DefineDataProperty(v.Members[i].Key, r.literal(v.Members[i].Value), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
		}
		return o
	}
	return goja.Null()
}

// number keeps every digit of an integer: up to 2^53 as a Number, which is what scripts expect of steps and sizes,
// above as a BigInt.
func (r *run) number(v *source.Value) goja.Value {
	if n, ok := v.BigInt(); ok {
		if n.CmpAbs(big.NewInt(maxSafe)) > 0 {
			return r.vm.ToValue(n)
		}
		return r.vm.ToValue(n.Int64())
	}
	f, _ := v.Float()
	return r.vm.ToValue(f)
}

// writer turns a script's value into JSON, within the run's budget.
type writer struct {
	run   *run
	what  string // for findings: what the value is, or the name of the input of a class
	class string
	at    spot
}

// wire is a handle, or a literal.
func (w *writer) wire(v goja.Value) wire {
	if o, ok := v.(*goja.Object); ok {
		if h, ok := w.run.handles[o]; ok {
			if w.run.budget.values--; w.run.budget.values < 0 {
				w.tooMuch()
			}
			return h.wire()
		}
	}
	// Most literals have a few bytes: they stand behind each other in one piece of memory. The capacity ends with each. While
	// this one is written the piece is nobody else's, since a getter in it may add nodes with literals of their own.
	lits := w.run.lits
	w.run.lits = nil
	begin := len(lits)
	lits = w.value(lits, v, 0)
	w.run.lits = lits
	return wire{Lit: json.RawMessage(lits[begin:len(lits):len(lits)])}
}

// value appends a value.
func (w *writer) value(dst []byte, v goja.Value, depth int) []byte {
	if depth > maxNested {
		w.fail("is nested deeper than %d levels, or holds itself", maxNested)
	}
	if w.run.budget.values--; w.run.budget.values < 0 {
		w.tooMuch()
	}
	o, ok := v.(*goja.Object)
	if !ok {
		return w.primitive(dst, v)
	}
	if w.run.isHandle(o) {
		w.fail("holds a link inside of a list or an object; a link stands alone")
	}
	switch o.ClassName() {
	case "Array":
		return w.array(dst, o, depth)
	case "Object":
		return w.object(dst, o, depth)
	}
	w.fail("is %s, not a number, a text, a boolean, a list, an object or an output of a node", kindOf(v))
	return nil
}

// primitive appends null, which undefined becomes too, a boolean, a number or a text. Symbols cannot be sent.
func (w *writer) primitive(dst []byte, v goja.Value) []byte {
	switch x := v.Export().(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, x)
	case int64:
		return strconv.AppendInt(dst, x, 10)
	case float64:
		return w.float(dst, x)
	case *big.Int:
		return w.bigInt(dst, x)
	case string:
		// The text counts before it is copied, and what its escapes add after: quoting makes it at most six times as
		// long.
		before := len(dst)
		if w.run.budget.bytes -= len(x); w.run.budget.bytes < 0 {
			w.tooMuch()
		}
		dst = source.AppendQuoted(dst, x)
		w.run.budget.bytes -= max(0, len(dst)-before-len(x))
		return dst
	}
	w.fail("is %s", kindOf(v))
	return nil
}

// float writes a number as scripts mean it: 8 is 8, not 8.0.
func (w *writer) float(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.fail("is %v, not a number that can be sent", f)
	}
	if f == math.Trunc(f) && math.Abs(f) <= maxSafe {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return append(dst, source.FormatFloat(f)...)
}

// bigInt appends an integer of up to 128 bits. Whether it fits the input it goes to, at most 64 bits, is checked with
// the node.
func (w *writer) bigInt(dst []byte, n *big.Int) []byte {
	if n.BitLen() > 128 {
		w.fail("is an integer of %d bits", n.BitLen())
	}
	return n.Append(dst, 10)
}

// array appends a list. A hole in it is null, as JSON.stringify has it. The length is held against the budget first,
// since it may be far above the number of elements that are there.
func (w *writer) array(dst []byte, o *goja.Object, depth int) []byte {
	n := int(min(o.Get("length").ToInteger(), maxValues+1))
	if n > w.run.budget.values {
		w.tooMuch()
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		v := o.Get(strconv.Itoa(i))
		if v == nil {
			v = goja.Null()
		}
		dst = w.value(dst, v, depth+1)
	}
	return append(dst, ']')
}

// object appends an object's own enumerable members in their order; undefined ones are left out, as JSON.stringify
// does.
func (w *writer) object(dst []byte, o *goja.Object, depth int) []byte {
	dst = append(dst, '{')
	first := true
	for _, key := range o.Keys() {
		v := o.Get(key)
		if v == nil || goja.IsUndefined(v) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		w.name(key)
		dst = w.value(append(source.AppendQuoted(dst, key), ':'), v, depth+1)
	}
	return append(dst, '}')
}

// name counts the text of a key.
func (w *writer) name(key string) {
	if w.run.budget.bytes -= len(key); w.run.budget.bytes < 0 {
		w.tooMuch()
	}
}

// fail ends the script with a finding that names the value: `input "steps" of g.KSampler is a function, …`.
func (w *writer) fail(format string, args ...any) {
	what := w.what
	if w.class != "" {
		what = fmt.Sprintf("input %q of g.%s", clip(w.what), w.class)
	}
	w.run.refuseAt(w.at, "bad_argument", "%s %s", what, fmt.Sprintf(format, args...))
}

// tooMuch ends the script because its budget is used up.
func (w *writer) tooMuch() {
	w.run.refuseAt(w.at, "script_output", "the script makes more than %d bytes or %d values", w.run.engine.MaxOutput, maxValues)
}

// kindOf names a script's value in messages, without running any of it.
func kindOf(v goja.Value) string {
	o, ok := v.(*goja.Object)
	switch {
	case v == nil || goja.IsUndefined(v):
		return "undefined"
	case goja.IsNull(v):
		return "null"
	case !ok && goja.IsString(v):
		return "a text"
	case !ok && goja.IsNumber(v):
		return "a number"
	case !ok && goja.IsBigInt(v):
		return "a BigInt"
	case !ok:
		return "a primitive value"
	}
	switch name := o.ClassName(); name {
	case "Function":
		return "a function"
	case "Array":
		return "a list"
	case "Promise":
		return "a promise"
	case "Object":
		return "an object"
	default:
		return "an object of class " + name
	}
}

// describeThrown prints what a script threw. An error's message may be a getter, or an object that cannot be printed: that runs under the
// same bounds, and may fail in turn.
func (r *run) describeThrown(v goja.Value) string {
	o, ok := v.(*goja.Object)
	if !ok {
		return clip(v.String())
	}
	text := ""
	err := r.protect(func() {
		message := o.Get("message")
		if message == nil {
			return
		}
		if _, trap := message.(*goja.Object); !trap {
			text = message.String()
		}
		if name, ok := o.Get("name").(goja.String); ok && text != "" {
			text = name.String() + ": " + text
		}
	})
	if err != nil || text == "" {
		return kindOf(v)
	}
	return clip(text)
}
