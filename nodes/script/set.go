package script

import (
	"context"
	"sync"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Set is the templates of some files.
type Set struct {
	opt       Options
	files     []*source.File
	cat       *nodes.Catalogue
	templates []*Template
	byName    map[string]*Template
	classes   *nodes.Catalogue // the templates as classes; nil if there are none

	mu     sync.Mutex // guards what follows
	runner runner
	cache  map[string]*expandReply
	kept   int
	calls  map[spot]call // where the nodes of a file's calls stand
}

// Template is one template as its file declares it.
type Template struct {
	Name     string
	Workflow bool
	class    *nodes.Class
	file     int
	index    int // of its registration in the file
	place    diag.Place
	outputs  map[string]diag.Place
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
	s := &Set{opt: opt.withDefaults(), files: files, cat: cat, byName: map[string]*Template{}, cache: map[string]*expandReply{}, calls: map[spot]call{}}
	var list diag.List
	if s.bounded(&list); list.Failed() {
		return nil, list.Sorted()
	}
	if list.Add(s.start()...); list.Failed() {
		return nil, list.Sorted()
	}
	rep, t := s.runner.load(ctx, s.request())
	if t != nil {
		rep = &loadReply{Trouble: []trouble{*t}}
	}
	for i := range rep.Trouble {
		list.Add(s.finding(&rep.Trouble[i], diag.Place{}))
	}
	list.Add(s.declare(rep.Declared)...)
	if list.Failed() {
		_ = s.Close()
		return nil, list.Sorted()
	}
	return s, list.Sorted()
}

// bounded refuses files that are too many or too large.
func (s *Set) bounded(list *diag.List) {
	if len(s.files) > maxFiles {
		list.Add(diag.Errorf("bad_template", diag.Place{}, "%d files of templates; at most %d are read", len(s.files), maxFiles))
	}
	for _, f := range s.files {
		if len(f.Data) > maxFile {
			list.Add(diag.Errorf("bad_template", diag.Place{File: source.NewFile(f.Name, nil)}, "a script of %d bytes; at most %d are read", len(f.Data), maxFile))
		}
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

func (l *local) load(_ context.Context, req *loadRequest) (*loadReply, *trouble) {
	return l.engine.load(req), nil
}
func (l *local) expand(_ context.Context, req *expandRequest) *expandReply {
	return l.engine.expand(req)
}
func (l *local) close() error { return nil }
