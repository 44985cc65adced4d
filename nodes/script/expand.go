package script

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Expansion is a prompt without templates.
type Expansion struct {
	Prompt *source.Value
	uses   []use // every use of a template, also within templates
}

// use is one node that uses a template.
type use struct {
	id, template string
	place        diag.Place
}

// Noted adds to findings about nodes that a template made which node of the workflow uses it.
func (e *Expansion) Noted(findings []diag.Diagnostic) []diag.Diagnostic {
	out := slices.Clone(findings)
	for i := range out {
		for _, u := range e.uses {
			if strings.HasPrefix(out[i].Node, u.id+".") {
				out[i] = out[i].Noted(u.place, "%s", u.says())
			}
		}
	}
	return out
}

func (u *use) says() string { return fmt.Sprintf("node %s uses template %q", u.id, u.template) }

// Uses tells whether a node of the prompt uses a template.
func (s *Set) Uses(prompt *source.Value) bool {
	for i := range members(prompt) {
		if s.byName[prompt.Members[i].Value.Get("class_type").Str()] != nil {
			return true
		}
	}
	return false
}

// Expand replaces every node of an API prompt that uses a template by the nodes which the template makes. The prompt itself is not changed.
// Nodes that use no template keep what they are; if none uses one, the result is the prompt. With an error among the findings, the
// result is nil.
func (s *Set) Expand(ctx context.Context, prompt *source.Value) (*Expansion, []diag.Diagnostic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &expansion{ctx: ctx, set: s, prompt: prompt, done: map[string]*expanded{}, index: map[string]int{}}
	for i := range members(prompt) {
		x.index[prompt.Members[i].Key] = i
	}
	out := *prompt
	out.Members = make([]source.Member, 0, len(prompt.Members))
	for i := range members(prompt) {
		m := prompt.Members[i]
		if x.template(m.Value) == nil {
			m.Value = x.relinked(m.Value)
			out.Members = append(out.Members, m)
			continue
		}
		out.Members = append(out.Members, x.useAt(m.Key).nodes...)
	}
	if x.list.Failed() {
		return nil, x.list.Sorted()
	}
	return &Expansion{&out, x.uses}, x.list.Sorted()
}

// ExpandWorkflow makes the prompt of a workflow that is a script as a whole: the template Main without inputs. Its nodes are "1", "2", ….
func (s *Set) ExpandWorkflow(ctx context.Context) (*source.Value, []diag.Diagnostic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byName[Main]
	if t == nil {
		return nil, []diag.Diagnostic{diag.Errorf("bad_template", diag.InFile(s.files[0]), "the script registers no workflow").
			Hinted("workflow(g => { … }) registers one")}
	}
	x := &expansion{ctx: ctx, set: s, prompt: source.NewObject(), done: map[string]*expanded{}, index: map[string]int{}}
	e := x.expand(t, "", nil, t.place)
	if x.list.Failed() {
		return nil, x.list.Sorted()
	}
	return source.NewObject(e.nodes...).At(source.NewNull().At(placed(t.place))), x.list.Sorted()
}

// placed is a value that stands at a place.
func placed(at diag.Place) *source.Value {
	return &source.Value{File: at.File, Start: at.Start, End: at.End}
}

// MainPrompt gives a prompt of one node, with the id Main, that uses the template Main; nil if there is none, or if it takes no inputs.
func (s *Set) MainPrompt() *source.Value {
	t := s.byName[Main]
	if t == nil || len(t.class.Inputs) == 0 {
		return nil
	}
	node := source.NewObject(source.Member{Key: "class_type", Value: source.NewString(Main).At(placed(t.place))},
		source.Member{Key: "inputs", Value: source.NewObject().At(placed(t.place))}).At(placed(t.place))
	return source.NewObject(source.Member{Key: Main, KeyStart: t.place.Start, KeyEnd: t.place.End, Value: node}).At(placed(t.place))
}

// expansion is the state of one call of Expand.
type expansion struct {
	ctx    context.Context // lives as long as the call
	set    *Set
	prompt *source.Value
	index  map[string]int // node id → member of the prompt
	list   diag.List
	done   map[string]*expanded // uses by id; nil while they are being expanded
	path   []use                // of uses that wait for each other
	chain  []use                // of templates that use each other
	uses   []use
	made   int
	hung   bool // a script passed its limits of time or memory: nothing more is run
}

// expanded is what came of one use.
type expanded struct {
	nodes   []source.Member
	outputs []*source.Value // by slot: a link, or a literal; nil after an error
}

// add keeps a finding, and says which nodes use the template that it is about.
func (x *expansion) add(d diag.Diagnostic) {
	for i := len(x.chain) - 1; i >= 0; i-- {
		if x.chain[i].place != d.Place {
			d = d.Noted(x.chain[i].place, "%s", x.chain[i].says())
		}
	}
	x.list.Add(d)
}

func (x *expansion) template(node *source.Value) *Template {
	return x.set.byName[node.Get("class_type").Str()]
}

// useAt expands a node of the prompt, once.
func (x *expansion) useAt(id string) *expanded {
	m := &x.prompt.Members[x.index[id]]
	t := x.template(m.Value)
	u := use{id, t.Name, diag.OfKey(m)}
	if e, ok := x.done[id]; ok {
		if e == nil {
			x.cycle(u)
			return &expanded{}
		}
		return e
	}
	x.done[id] = nil
	x.path = append(x.path, u)
	all, order := map[string]given{}, []string{}
	inputs := m.Value.Get("inputs")
	for i := range members(inputs) {
		in := &inputs.Members[i]
		if _, twice := all[in.Key]; !twice {
			order = append(order, in.Key)
		}
		g := given{literal: in.Value, key: diag.OfKey(in)}
		if to, kind, ok := x.resolve(in.Value); ok {
			if g.literal, g.kind = to, kind; isLink(to) {
				g.link = to
			}
		}
		all[in.Key] = g
	}
	e := &expanded{}
	if args, ok := x.arguments(t, id, all, order, u.place); ok {
		e = x.expand(t, id, args, u.place)
	}
	x.path = x.path[:len(x.path)-1]
	x.done[id] = e
	return e
}

// cycle says which uses wait for each other's outputs.
func (x *expansion) cycle(u use) {
	i := slices.IndexFunc(x.path, func(p use) bool { return p.id == u.id })
	var ids []string
	for _, p := range x.path[max(i, 0):] {
		ids = append(ids, p.id)
	}
	x.list.Add(diag.Errorf("dependency_cycle", u.place, "nodes wait for each other: %s", strings.Join(append(ids, u.id), " → ")).About(u.id, ""))
}

func isLink(v *source.Value) bool {
	return v.Kind == source.Array && len(v.Items) == 2 && v.Items[0].Kind == source.String && v.Items[1].Kind == source.Number
}

// resolve follows a link of the prompt: one to a template leads to what the template returned. The type is "" if it is not known; ok is
// false for what is no link.
func (x *expansion) resolve(v *source.Value) (to *source.Value, kind string, ok bool) {
	if !isLink(v) {
		return v, "", false
	}
	at, exists := x.index[v.Items[0].Text]
	if !exists {
		return v, "", true
	}
	slot, isSlot := v.Items[1].Int()
	node := x.prompt.Members[at].Value
	t := x.template(node)
	if t == nil {
		if class, known := x.set.cat.Class(node.Get("class_type").Str()); known && isSlot && slot >= 0 && slot < len(class.Outputs) {
			kind = class.Outputs[slot].Type
		}
		return v, kind, true
	}
	e := x.useAt(v.Items[0].Text)
	if !isSlot || slot < 0 || slot >= len(t.class.Outputs) {
		x.list.Add(diag.Errorf("unknown_output", diag.Of(v), "template %q has no output %s; it has %d", t.Name, v.Items[1].Text, len(t.class.Outputs)))
		return v, "", true
	}
	if slot >= len(e.outputs) || e.outputs[slot] == nil {
		return v, "", true // a finding has said why
	}
	return e.outputs[slot].At(v), t.class.Outputs[slot].Type, true
}

// relinked gives a node whose links to templates lead to what they returned.
func (x *expansion) relinked(node *source.Value) *source.Value {
	inputs := node.Get("inputs")
	var changed []source.Member
	for i := range members(inputs) {
		to, _, ok := x.resolve(inputs.Members[i].Value)
		if !ok || to == inputs.Members[i].Value {
			continue
		}
		if changed == nil {
			changed = slices.Clone(inputs.Members)
		}
		changed[i].Value = to
	}
	if changed == nil {
		return node
	}
	out, in := *node, *inputs
	in.Members = changed
	out.Members = slices.Clone(node.Members)
	for i := range out.Members {
		if out.Members[i].Key == "inputs" {
			out.Members[i].Value = &in
		}
	}
	return &out
}

// expand makes the nodes of one use; their ids begin with the use's.
func (x *expansion) expand(t *Template, id string, args []namedGiven, at diag.Place) *expanded {
	u := use{id, t.Name, at}
	if i := slices.IndexFunc(x.chain, func(c use) bool { return c.template == t.Name }); i >= 0 || len(x.chain) >= maxChain {
		x.templateCycle(u, max(i, 0))
		return &expanded{}
	}
	x.chain = append(x.chain, u)
	defer func() { x.chain = x.chain[:len(x.chain)-1] }()
	if id != "" {
		x.uses = append(x.uses, u)
	}
	if x.hung {
		return &expanded{}
	}
	rep, links := x.call(t, args)
	if rep.Trouble != nil {
		x.hung = rep.Trouble.Code == "script_time" || rep.Trouble.Code == "script_memory"
		x.add(x.set.finding(rep.Trouble, t.place).About(id, ""))
		return &expanded{}
	}
	if x.made += len(rep.Nodes); x.made > x.set.opt.MaxNodes {
		x.add(diag.Errorf("script_nodes", t.place, "the templates make more than %d nodes", x.set.opt.MaxNodes))
		return &expanded{}
	}
	b := builder{expansion: x, template: t, id: id, rep: rep, links: links}
	return b.build()
}

// templateCycle says how a template comes back to itself.
func (x *expansion) templateCycle(u use, from int) {
	var names []string
	for _, c := range x.chain[from:] {
		names = append(names, c.template)
	}
	x.add(diag.Errorf("template_cycle", u.place, "templates use each other without end: %s", strings.Join(append(names, u.template), " → ")))
}

// maxKept bounds the nodes of the expansions that are remembered.
const maxKept = 100_000

// call runs a template, or remembers what came of the same inputs. Links are numbered, so that it does not matter where they come from.
func (x *expansion) call(t *Template, args []namedGiven) (*expandReply, []*source.Value) {
	req := &expandRequest{File: t.file, Index: t.index}
	var links []*source.Value
	key := []byte(t.Name)
	for _, a := range args {
		n := named{Name: a.name}
		if a.link != nil {
			links = append(links, a.link)
			n.Link = len(links)
			key = append(source.AppendQuoted(key, a.name), "@"...)
		} else {
			n.Lit = a.literal.AppendJSON(nil)
			key = append(append(source.AppendQuoted(key, a.name), ':'), n.Lit...)
		}
		req.Args = append(req.Args, n)
	}
	if rep, ok := x.set.cache[string(key)]; ok {
		return rep, links
	}
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(nil, x.set.opt.Seed, 10))
	_, _ = h.Write(key)
	req.Seed = h.Sum64()
	rep := x.set.runner.expand(x.ctx, req)
	if rep.Trouble == nil {
		if x.set.kept += len(rep.Nodes) + 1; x.set.kept > maxKept {
			x.set.cache, x.set.kept = map[string]*expandReply{}, len(rep.Nodes)+1
		}
		x.set.cache[string(key)] = rep
	}
	return rep, links
}

// lookupClass finds a template or a class of the catalogue.
func (s *Set) lookupClass(name string) *nodes.Class {
	if c, ok := s.Class(name); ok {
		return c
	}
	c, _ := s.cat.Class(name)
	return c
}
