package script

import (
	"context"
	"sync"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Two steps make a Set: the runner runs the files and says what they register (load), then declare checks that and
// turns each template into a class. From then on everything but mu's fields is read-only.

// Set is the templates of some files.
type Set struct {
	opt       Options          // with the defaults filled in
	files     []*source.File   // by the index that spots and requests use
	cat       *nodes.Catalogue // the classes that templates may use, without the templates themselves
	templates []*template      // in the order in which the files register them
	byName    map[string]*template
	classes   *nodes.Catalogue // the templates as classes; nil if there are none

	mu     sync.Mutex // guards what follows
	runner runner
	cache  map[string]*expandReply // by template, inputs and literals; see expansion.call
	kept   int                     // bytes in cache, at most maxKept
	calls  map[spot]call           // where the nodes of a file's calls stand
	seen   int                     // calls and their members, at most maxSeen
	texts  []string                // of files, each once it is asked for
}

// template is one template as its file declares it.
type template struct {
	Name    string
	class   *nodes.Class          // as others see it: named inputs with types, outputs
	file    int                   // index in Set.files
	index   int                   // of its registration in the file
	place   diag.Place            // of its name in the file
	outputs map[string]diag.Place // where each output is declared
}

// runner runs scripts: in this process, or in a child.
type runner interface {
	load(ctx context.Context, req *loadRequest) (*loadReply, *trouble)
	expand(ctx context.Context, req *expandRequest) *expandReply
	close() error
}

// Load runs the top level of the files and collects the templates that they register. cat is the catalogue that templates use
// classes of; nil means the built-in one. The Set is nil if there is an error among the findings. Close must be called on it.
func Load(ctx context.Context, files []*source.File, cat *nodes.Catalogue, opt Options) (*Set, []diag.Diagnostic) {
	if cat == nil {
		cat = nodes.BuiltIn()
	}
	s := newSet(files, cat, opt)
	var list diag.List
	if s.bounded(&list); list.Failed() {
		return nil, list.Sorted()
	}
	if list.Add(s.start()...); list.Failed() {
		return nil, list.Sorted()
	}
	if list.Add(s.read(ctx)...); list.Failed() {
		_ = s.Close()
		return nil, list.Sorted()
	}
	return s, list.Sorted()
}

// newSet makes a set that has read nothing yet.
func newSet(files []*source.File, cat *nodes.Catalogue, opt Options) *Set {
	return &Set{opt: opt.withDefaults(), files: files, cat: cat, byName: map[string]*template{}, cache: map[string]*expandReply{}, calls: map[spot]call{}}
}

// read runs the files and makes classes of what they declare.
func (s *Set) read(ctx context.Context) []diag.Diagnostic {
	rep, t := s.runner.load(ctx, s.request())
	if t == nil {
		if why := rep.wrong(len(s.files)); why != "" {
			t = unbelievable(why)
		}
	}
	if t != nil {
		rep = &loadReply{Trouble: []trouble{*t}}
	}
	var list diag.List
	// Trouble first: a file that does not compile declares nothing, and what the others declare is checked all the
	// same.
	for i := range rep.Trouble {
		list.Add(s.finding(&rep.Trouble[i], diag.Place{}))
	}
	list.Add(s.declare(rep.Declared)...)
	return list.Sorted()
}

// bounded refuses files that are too many or too large.
func (s *Set) bounded(list *diag.List) {
	if len(s.files) > maxFiles {
		list.Add(diag.Errorf("bad_template", diag.Place{}, "%d files of templates; at most %d are read", len(s.files), maxFiles))
	}
	all := 0
	for _, f := range s.files {
		all += len(f.Name) + len(f.Data)
		if len(f.Data) > maxFile {
			list.Add(diag.Errorf("bad_template", diag.Place{File: source.NewFile(f.Name, nil)}, "a script of %d bytes; at most %d are read", len(f.Data), maxFile))
		}
	}
	if all > maxSource {
		list.Add(diag.Errorf("bad_template", diag.Place{}, "%d files of templates have %d bytes together; at most %d are read", len(s.files), all, maxSource))
	}
}

// start makes the runner.
func (s *Set) start() []diag.Diagnostic {
	if s.opt.InProcess {
		s.runner = &local{newEngine(s.shape)}
		return nil
	}
	if len(s.opt.Command) == 0 {
		return []diag.Diagnostic{diag.Errorf("script_failed", diag.Place{}, "no command is given that runs scripts in a process of its own")}
	}
	s.runner = newChild(s.opt, s.shape)
	return nil
}

// request is all that a child must know to run the files. An in-process engine is given the same.
func (s *Set) request() *loadRequest {
	o := s.opt
	req := &loadRequest{bounds: bounds{int(o.Timeout.Milliseconds() / 2), o.MaxNodes, o.MaxDepth, o.MaxOutput, o.MemoryMiB}}
	for _, f := range s.files {
		req.Files = append(req.Files, fileText{f.Name, string(f.Data)})
	}
	return req
}

// shape tells scripts which outputs a class has: a template's, else the catalogue's.
func (s *Set) shape(name string) shape {
	class, ok := s.Class(name)
	if !ok {
		class, ok = s.cat.Class(name)
	}
	if !ok {
		return shape{}
	}
	out := shape{Known: true}
	for i := range class.Outputs {
		out.Outputs = append(out.Outputs, class.Outputs[i].Name)
	}
	return out
}

// Class gives a template as a node class.
func (s *Set) Class(name string) (*nodes.Class, bool) {
	t, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	return t.class, true
}

// Names lists the templates in the order in which the files register them.
func (s *Set) Names() []string {
	out := make([]string, len(s.templates))
	for i, t := range s.templates {
		out[i] = t.Name
	}
	return out
}

// Classes gives the templates as a catalogue of classes; nil if there are none.
func (s *Set) Classes() *nodes.Catalogue { return s.classes }

// Close ends the child process. The Set must not be used any more.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runner.close()
}

// local runs scripts in this process.
type local struct{ engine *engine }

// Contexts end nothing here: only the engine's own time limit stops a script in this process.
func (l *local) load(_ context.Context, req *loadRequest) (*loadReply, *trouble) {
	return l.engine.load(req), nil
}
func (l *local) expand(_ context.Context, req *expandRequest) *expandReply {
	return l.engine.expand(req)
}
func (l *local) close() error { return nil }
