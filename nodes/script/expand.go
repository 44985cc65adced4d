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

// Replacing templates in a prompt. Uses depend on each other (a template's input may be linked to another template's
// output) and contain each other (a template may use templates), so expansion is recursive in two ways: useAt follows
// links between nodes of the prompt, and builder.inner goes down into what a template made. Both are guarded: path
// finds uses that wait for each other, chain templates that contain themselves, at most maxChain deep.

// Expansion is a prompt without templates.
type Expansion struct {
	Prompt *source.Value // shares with the given prompt what did not change
	uses   []use         // every use of a template, also within templates
}

// use is one node that uses a template.
type use struct {
	id, template string     // "8", or "8.2" for a use within a template
	place        diag.Place // of the node's id in the prompt, or of g.NAME in a script
}

// Noted adds to findings about nodes that a template made which node of the workflow uses it.
func (e *Expansion) Noted(findings []diag.Diagnostic) []diag.Diagnostic {
	// A finding about node 8.2.1 gets two notes: node 8.2 uses one template, node 8 the other.
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

// says is the text of such a note.
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
	// Nodes keep their order; what a template made stands where its use stood.
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
		var at diag.Place
		if len(s.files) > 0 {
			at = diag.InFile(s.files[0])
		}
		return nil, []diag.Diagnostic{diag.Errorf("bad_template", at, "the script registers no workflow").
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
	made   int  // nodes so far, held against Options.MaxNodes
	bytes  int  // about what they and their values take, held against maxTotal
	hung   bool // a script passed its limits of time or memory, or all of them theirs: nothing more is run
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

// suggest looks among names for the one that was meant; names is only called for the first errors of a prompt, as a script
// may make a thousand, each with a long search.
func (x *expansion) suggest(written string, names func() []string) string {
	if x.list.Errors() > 100 {
		return ""
	}
	return diag.Suggest(written, names())
}

// template is that of a node, nil for a node of an ordinary class.
func (x *expansion) template(node *source.Value) *template {
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
	// Being expanded: whoever comes here again before this is done waits for itself.
	x.done[id] = nil
	x.path = append(x.path, u)
	all, order := map[string]given{}, []string{}
	inputs := m.Value.Get("inputs")
	for i := range members(inputs) {
		in := &inputs.Members[i]
		// Of an input that is there twice the last one counts, as in Python's json.
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

// isLink is stricter than a server, for which any list is a link: a list of another form stays what it is, and the
// compiler says why it is wrong.
func isLink(v *source.Value) bool {
	return v.Kind == source.Array && len(v.Items) == 2 && v.Items[0].Kind == source.String && v.Items[1].Kind == source.Number
}

// resolve follows a link of the prompt: one to a template leads to what the template returned. The type is "" if it is not known; ok is
// false for what is no link.
func (x *expansion) resolve(v *source.Value) (to *source.Value, kind string, ok bool) {
	if !isLink(v) {
		return v, "", false
	}
	// A link that leads nowhere is left as it is; the compiler has a finding for it.
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
	// A copy down to the changed input: the given prompt is not touched.
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
func (x *expansion) expand(t *template, id string, args []namedGiven, at diag.Place) *expanded {
	u := use{id, t.Name, at}
	if i := slices.IndexFunc(x.chain, func(c use) bool { return c.template == t.Name }); i >= 0 || len(x.chain) >= maxChain {
		x.templateCycle(u, max(i, 0))
		return &expanded{}
	}
	x.chain = append(x.chain, u)
	defer func() { x.chain = x.chain[:len(x.chain)-1] }()
	// A workflow as a script is no use in a node.
	if id != "" {
		x.uses = append(x.uses, u)
	}
	// One script that hangs costs its time limit once, and not once for each of its uses.
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
	if x.bytes += rep.size(); x.bytes > maxTotal {
		x.hung = true // or every further use would say so
		x.add(diag.Errorf("script_output", t.place, "the templates make more than %d bytes for one workflow", maxTotal))
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

// maxKept bounds the bytes of the expansions that are remembered, with their keys.
const maxKept = 64 << 20

// call runs a template, or remembers what came of the same inputs. Links are numbered, so that it does not matter where they come from.
func (x *expansion) call(t *template, args []namedGiven) (*expandReply, []*source.Value) {
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
	if len(key) > maxArgs {
		return &expandReply{Trouble: &trouble{At: spot{File: t.file}, Code: "bad_argument",
			Message: fmt.Sprintf("%s is given %d bytes; at most %d are taken", t.Name, len(key), maxArgs)}}, nil
	}
	if rep, ok := x.set.cache[string(key)]; ok {
		return rep, links
	}
	// The seed of random() follows from the batch's seed and all that is in the key, so equal inputs give equal nodes
	// in any order of expansion, and two uses with different inputs have numbers of their own.
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(nil, x.set.opt.Seed, 10))
	_, _ = h.Write(key)
	req.Seed = h.Sum64()
	rep := x.set.runner.expand(x.ctx, req)
	if why := rep.wrong(len(x.set.files), len(links)); why != "" {
		_ = x.set.runner.close() // the next expansion has another child
		rep = &expandReply{Trouble: unbelievable(why)}
		rep.Trouble.At.File = t.file
	}
	// Trouble is not remembered: a script that was too slow once may make it the next time.
	if rep.Trouble == nil {
		x.set.remember(string(key), rep)
	}
	return rep, links
}

// remember keeps an expansion. What is kept is forgotten as a whole when it grows too large.
func (s *Set) remember(key string, rep *expandReply) {
	size := len(key) + rep.size()
	if s.kept += size; s.kept > maxKept {
		s.cache, s.kept = map[string]*expandReply{}, size
	}
	s.cache[key] = rep
}

// lookupClass finds a template or a class of the catalogue.
func (s *Set) lookupClass(name string) *nodes.Class {
	if c, ok := s.Class(name); ok {
		return c
	}
	c, _ := s.cat.Class(name)
	return c
}
