package compiler

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/prompt"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
	"github.com/comfyc/comfyc/nodes"
)

// Prompts say how dynamic prompts are read.
type Prompts struct {
	Mode      string           // all, random or cycle; all by default
	Count     int              // variants of a text: how many are drawn (1 by default), or at most are made in mode all (0 for all)
	Wildcards string           // the folder of the wildcard files, "" for none
	Expand    *PromptExpansion // by a language model; nil for none

	at *source.Member // the whole; nil if the batch has none, and braces stay
}

// decodePrompts reads prompts, with the defaults; the zero value means that braces are plain text.
func decodePrompts(m *source.Member) Prompts {
	if m == nil {
		return Prompts{}
	}
	p := Prompts{Mode: m.Value.Get("mode").Str(), Wildcards: m.Value.Get("wildcards").Str(), Expand: decodeExpansion(m.Value.Get("expand")), at: m}
	p.Count, _ = m.Value.Get("count").Int()
	if p.Mode == "" {
		p.Mode = "all"
	}
	if p.Mode != "all" && p.Count == 0 {
		p.Count = 1
	}
	return p
}

// prompting is the state of the pass prompts: the texts of each group of inputs at each coordinate, and
// what they stand for. It lives as long as the pass.
type prompting struct {
	*compilation
	lib      *prompt.Library
	reserved []string
	read     map[string]*prompt.Template // nil for those with mistakes
	groups   []*promptGroup
}

// promptGroup is inputs that hold the same text at every coordinate, and so the same variant: clip_l and
// t5xxl of one prompt must not draw apart.
type promptGroup struct {
	name   string
	key    diag.Place
	slots  []int          // indexes of the resolver's slots
	of     []int32        // by coordinate: the number of its text
	texts  []groupText    // distinct ones
	values []sweep.Value  // of its axis: the variants of all texts
	index  map[string]int // the variants that a draw gave before
	expand bool           // a language model writes its texts
}

// groupText is one text of a group.
type groupText struct {
	value    *source.Value
	template *prompt.Template // nil for what is no text
	from, n  int              // its variants in mode all
}

// prompts gives every coordinate the variants of its dynamic prompts: an axis NAME# for each group of
// inputs whose text is dynamic somewhere. The variants multiply what is left of the sweep: {a|b} at six
// coordinates is twelve.
func (c *compilation) prompts() bool {
	if c.batch.Prompts.at == nil {
		return true
	}
	p := &prompting{compilation: c, read: map[string]*prompt.Template{}, reserved: c.axisNames()}
	if !p.load() {
		return false
	}
	groups := p.find()
	p.chooseExpanded(groups)
	for _, g := range groups {
		if p.texts(g); c.list.Failed() {
			return false
		}
		if g.expand || slices.ContainsFunc(g.texts, func(t groupText) bool { return t.template != nil && !t.template.Plain() }) {
			p.groups = append(p.groups, g)
		}
	}
	if len(p.groups) > 0 && !p.vary() {
		return false
	}
	return c.sidesExist()
}

// load reads the wildcards. A library that is too large ends the pass; single files that cannot be read
// are warnings.
func (p *prompting) load() bool {
	name := p.batch.Prompts.Wildcards
	if name == "" {
		return true
	}
	at := diag.Of(p.batch.Prompts.at.Value.Get("wildcards"))
	fsys, err := p.files.folder(name)
	if err != nil {
		p.list.Add(diag.Errorf("wildcard_file", at, "wildcards: %s", trouble(err)))
		return false
	}
	lib, findings := prompt.LoadFolder(fsys, path.Clean(p.files.locate(name)))
	for _, d := range findings {
		if d.Place.File == nil {
			d.Place = at
		}
		p.list.Add(d)
	}
	p.lib = lib
	return lib != nil
}

// folder opens a folder that a batch names.
func (r reader) folder(name string) (fs.FS, error) {
	at := r.locate(name)
	if r.fs != nil {
		return fs.Sub(r.fs, at)
	}
	info, err := os.Stat(at)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", at)
	}
	return os.DirFS(at), err
}

// isPrompt tells that an input takes a text in which braces are expanded: one that the catalogue calls
// dynamic or that has several lines. The braces of a JSON text in a one-line input stay as they are.
func (c *compilation) isPrompt(t target) bool {
	if c.batch.Prompts.at == nil {
		return false
	}
	n := &c.graph.Nodes[t.node]
	var def *nodes.Input
	if k := n.Input(t.input); k >= 0 {
		def = n.Inputs[k].Def
	} else if n.Def != nil {
		def = n.Def.Input(t.input)
	}
	return def != nil && def.Type == nodes.TypeString && (def.Flag("dynamicPrompts") || def.Flag("multiline"))
}

// ownNames tells that the ${name} of an axis's values may be names of variables: they go into prompts, or into other texts.
func (c *compilation) ownNames(axis string) bool {
	u := c.use(axis)
	return c.batch.Prompts.at != nil && u != nil && (u.texts || slices.ContainsFunc(u.targets, func(t boundTarget) bool { return c.isPrompt(t.target) }))
}

// own makes slots of the workflow's own prompts that have something dynamic in them, or that a language model may expand.
func (p *prompting) own() {
	for i := range p.graph.Nodes {
		n := &p.graph.Nodes[i]
		for k := range n.Inputs {
			t := target{i, n.Inputs[k].Name}
			if v := n.Inputs[k].Value; v.Kind != source.String || !p.isPrompt(t) || p.hasSlot(t) {
				continue
			} else if tpl := p.template(v); tpl != nil && (!tpl.Plain() || p.batch.Prompts.Expand != nil && v.Text != "") {
				s := p.slot(t)
				s.name, s.table = "the workflow", newTable(nil, nil, 1)
			}
		}
	}
}

// find lists the groups of the slots that are prompts. Slots are in one group if the same axes make their
// texts, and, where those may be absent, if what stands there then is equal.
func (p *prompting) find() []*promptGroup {
	p.own()
	var out []*promptGroup
	keys := map[string]*promptGroup{}
	for i := range p.values.slots {
		s := &p.values.slots[i]
		if s.file || s.part != whole || s.axis >= 0 && p.values.axes[s.axis].Mode == sweep.Files || !p.isPrompt(s.target) {
			continue
		}
		key := fmt.Sprint(s.axis, s.swaps)
		if s.axis < 0 || p.sometimesAbsent(s.axis) {
			key += s.base.Str()
		}
		g := keys[key]
		if g == nil {
			g = &promptGroup{name: s.address(p.graph) + "#", key: diag.Of(s.base), index: map[string]int{}}
			if s.axis >= 0 {
				g.name, g.key = p.values.axes[s.axis].Name+"#", p.values.axes[s.axis].Key
			}
			keys[key] = g
			out = append(out, g)
		}
		g.slots = append(g.slots, i)
	}
	return out
}

// texts finds the text of a group at every coordinate, and reads each distinct one once. The table's key
// saves making a text that was made before.
func (p *prompting) texts(g *promptGroup) {
	s := &p.values.slots[g.slots[0]]
	at := make([]int, len(p.sweep.Axes))
	g.of = make([]int32, p.sweep.Len())
	byKey, byText := map[int]int32{}, map[string]int32{}
	before := p.list.Errors()
	for i := range g.of {
		p.sweep.At(i, at)
		key := s.key(at)
		if have, ok := byKey[key]; ok && s.size > 0 {
			g.of[i] = have
			continue
		}
		v, err := p.values.compute(s, at)
		if err != nil {
			p.list.Add(err.finding(g.key, p.values.axes))
			v = source.NewString("")
		}
		text := "-"
		if v != nil {
			text = string(appendValue(nil, v))
		}
		have, ok := byText[text]
		if !ok {
			have = int32(len(g.texts))
			byText[text] = have
			g.texts = append(g.texts, groupText{value: v, template: p.template(v)})
		}
		if g.of[i], byKey[key] = have, have; p.list.Errors()-before > maxFindings {
			return
		}
	}
}

// template reads a text; nil for what is no text, and for one with mistakes, which are said the first
// time.
func (p *prompting) template(v *source.Value) *prompt.Template {
	if v == nil || v.Kind != source.String {
		return nil
	}
	t, known := p.read[v.Text]
	if !known {
		var findings []diag.Diagnostic
		t, findings = prompt.Parse(v, p.lib, prompt.Options{Reserved: p.reserved, Seed: p.batch.Seed})
		p.list.Add(findings...)
		p.read[v.Text] = t
		if t != nil && t.Count().IsUint64() && t.Count().Uint64() == 1 && t.All(0) == "" && strings.TrimSpace(v.Text) != "" {
			p.list.Add(diag.Warnf("prompt_empty", diag.Of(v), "the whole prompt is a comment, so an empty text is sent").Hinted(`write \# for a # that belongs to the prompt`))
		}
	}
	return t
}
