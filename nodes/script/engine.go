package script

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// The engine is the same on both sides of the process boundary: child.go drives one from a pipe, the type local in
// set.go calls one directly. It knows no files of its own and no catalogue; what it is told stands in message.go.
// Each load and each expansion runs in a fresh runtime, so nothing that a script does to the language's objects
// outlives it.

// engine runs scripts, in this process or in the child. It is for one goroutine.
type engine struct {
	bounds
	files  []program                // by index in the load request; a file that did not compile has no code
	lookup func(class string) shape // asks the set, or over the pipe the parent
	shapes map[string]shape         // what lookup has said so far
	// current is the file that is being run.
	current int
	usual   int                               // how many nodes the last expansion made, at most maxUsual: what room is made for in the next
	watch   func(*goja.Runtime) (stop func()) // in a child: ends the process when a script cannot be interrupted
}

// program is one file, compiled.
type program struct {
	name string
	code *goja.Program
	maps *lineMap // nil for JavaScript
}

func newEngine(lookup func(string) shape) *engine {
	return &engine{lookup: lookup, shapes: map[string]shape{}, watch: func(*goja.Runtime) func() { return func() {} }}
}

// shape asks once for each class.
func (e *engine) shape(class string) shape {
	s, ok := e.shapes[class]
	if !ok {
		s = e.lookup(class)
		e.shapes[class] = s
	}
	return s
}

// load compiles the files and runs each to see what it declares.
func (e *engine) load(req *loadRequest) *loadReply {
	e.bounds, e.files = req.bounds, make([]program, len(req.Files))
	rep := &loadReply{}
	for i, f := range req.Files {
		if t := e.compile(i, f); t != nil {
			rep.Trouble = append(rep.Trouble, *t)
			continue
		}
		run := e.newRun(i, 0)
		run.limited(func() { run.declare(rep) })
		if run.trouble != nil {
			rep.Trouble = append(rep.Trouble, *run.trouble)
		}
	}
	return rep
}

// compile turns a file into bytecode. Source maps are off: they would make the compiler open files.
func (e *engine) compile(i int, f fileText) *trouble {
	p := program{name: f.Name}
	text := f.Text
	if isTypeScript(f.Name) {
		// The interpreter reads JavaScript only, so types go first.
		var t *trouble
		if text, p.maps, t = stripTypes(f); t != nil {
			t.At.File = i
			return t
		}
	}
	tree, err := parser.ParseFile(nil, f.Name, text, 0, parser.WithDisableSourceMaps)
	if err == nil {
		p.code, err = goja.CompileAST(tree, true)
	}
	e.files[i] = p
	if err != nil {
		return e.syntax(i, err)
	}
	return nil
}

// syntax places what the compiler says.
func (e *engine) syntax(i int, err error) *trouble {
	t := &trouble{At: spot{File: i}, Code: "script_syntax"}
	var list parser.ErrorList
	var compile *goja.CompilerSyntaxError
	// The parser and the compiler have error types of their own, with places of different form.
	switch {
	case errors.As(err, &list) && len(list) > 0:
		t.At = e.files[i].spot(i, list[0].Position.Line, list[0].Position.Column)
		t.Message = list[0].Message
	case errors.As(err, &compile) && compile.File != nil:
		at := compile.File.Position(compile.Offset)
		t.At, t.Message = e.files[i].spot(i, at.Line, at.Column), compile.Message
	default:
		t.Message = err.Error()
	}
	t.Message = "not JavaScript: " + strings.TrimPrefix(t.Message, "SyntaxError: ")
	return t
}

// spot turns a place in the compiled text into one in the file as written.
func (p *program) spot(file, line, column int) spot {
	if p.maps != nil {
		line, column = p.maps.original(line, column)
	}
	return spot{File: file, Line: line, Column: column}
}

// maxUsual keeps one large expansion from making all later ones costly.
const maxUsual = 64

// expand runs a file anew and calls one of its templates.
func (e *engine) expand(req *expandRequest) *expandReply {
	if req.File < 0 || req.File >= len(e.files) || e.files[req.File].code == nil {
		return &expandReply{Trouble: &trouble{Code: "script_failed", Message: "the file is not loaded"}}
	}
	run := e.newRun(req.File, req.Seed)
	rep := &expandReply{}
	run.limited(func() { run.expand(req, rep) })
	rep.Nodes, rep.Trouble = run.nodes, run.trouble
	e.usual = min(len(rep.Nodes), maxUsual)
	return rep
}

// limited runs f with the bounds on time, and keeps what went wrong.
func (r *run) limited(f func()) {
	r.engine.current = r.file
	soft := time.Duration(r.engine.SoftMS) * time.Millisecond
	timer := time.AfterFunc(soft, func() { r.vm.Interrupt(tooLong) })
	stop := r.engine.watch(r.vm)
	if err := r.protect(f); err != nil {
		r.trouble = r.explain(err) // still within the bounds: printing what was thrown may run the script
	}
	timer.Stop()
	stop()
}

// stopped is why a script was interrupted.
type stopped string

const (
	tooLong  stopped = "it ran longer than it may"
	tooLarge stopped = "it used more memory than it may"
)

// code is the finding's.
func (s stopped) code() string {
	if s == tooLarge {
		return "script_memory"
	}
	return "script_time"
}

// refusal ends a script with a finding of our own.
type refusal struct{ trouble }

func (r *refusal) Error() string { return r.Message }

// protect runs f, in which scripts run, and gives what they throw, interrupts and overflows as errors.
func (r *run) protect(f func()) (err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case error:
			err = x
		default:
			err = fmt.Errorf("%v", x)
		}
	}()
	// Try gives what scripts throw; everything else that ends them, interrupts and our refusals, comes as a panic.
	if ex := r.vm.Try(f); ex != nil {
		return ex
	}
	return nil
}

// explain turns an error into a finding at the place in the script.
func (r *run) explain(err error) *trouble {
	var refused *refusal
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var thrown *goja.Exception
	t := &trouble{At: spot{File: r.file}, Code: "script_failed"}
	switch {
	case errors.As(err, &refused):
		*t = refused.trouble
	case errors.As(err, &interrupted):
		why, _ := interrupted.Value().(stopped)
		t.At, t.Code, t.Message = r.place(interrupted.Stack()), why.code(), "the script was stopped: "+string(why)
	case errors.As(err, &overflow):
		t.At, t.Code = r.place(overflow.Stack()), "script_depth"
		t.Message = fmt.Sprintf("more than %d calls are nested", r.engine.MaxDepth)
	case errors.As(err, &thrown):
		t.At, t.Message = r.place(thrown.Stack()), "the script threw "+r.describeThrown(thrown.Value())
	default:
		t.Message = "the script failed: " + err.Error()
	}
	t.Message = clip(t.Message) // messages hold texts of the script
	return t
}

// clip bounds what a script can make us say.
func clip(s string) string {
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return s
}

// place is the innermost place in a file on a stack of calls.
func (r *run) place(stack []goja.StackFrame) spot {
	// Frames of built-in functions, such as Array.prototype.map, have no place in the file.
	for i := range stack {
		if at := stack[i].Position(); at.Line > 0 && stack[i].SrcName() == r.engine.files[r.file].name {
			return r.engine.files[r.file].spot(r.file, at.Line, at.Column)
		}
	}
	return spot{File: r.file}
}
