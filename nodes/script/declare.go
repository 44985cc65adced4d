package script

import (
	"regexp"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// From declarations to classes. The argument of template({…}) arrives as JSON without its functions; here it is
// checked and written as a server would write the class in /object_info, which nodes.Load reads like any other. So a
// template's inputs follow the same rules, and have the same findings, as those of a class in Python.

// definer turns what the files declare into classes.
type definer struct {
	set  *Set
	list diag.List
	defs *source.Value // an /object_info answer
}

// declare checks what the files registered. A template becomes a definition as a server gives it, and is read like one.
func (s *Set) declare(declared []declared) []diag.Diagnostic {
	d := definer{set: s, defs: source.NewObject()}
	seen := map[int]int{}
	if len(declared) > maxDeclared {
		return []diag.Diagnostic{diag.Errorf("bad_template", diag.Place{}, "the files register %d templates; at most %d are taken", len(declared), maxDeclared)}
	}
	for i := range declared {
		// The index under which the child finds the function again when it runs the file anew.
		index := seen[declared[i].At.File]
		seen[declared[i].At.File]++
		d.template(&declared[i], index)
	}
	if d.list.Failed() || len(s.templates) == 0 {
		return d.list.Sorted()
	}
	classes, findings := nodes.Load(d.defs)
	d.list.Add(findings...)
	if s.classes = classes; d.list.Failed() {
		return d.list.Sorted()
	}
	for _, t := range s.templates {
		t.class, _ = classes.Class(t.Name)
	}
	d.defaults()
	return d.list.Sorted()
}

// declaration is one registration with the places of its parts.
type declaration struct {
	*declared
	file    *source.File
	text    string        // of the file
	call    diag.Place    // of template(…), where there is no better place
	members []member      // of the object literal, as they stand in the text; nil if it could not be followed
	def     *source.Value // the literal's values
}

// template adds one registration to the definitions, or says what is wrong with it. index counts the registrations of
// its file, from 0.
func (d *definer) template(raw *declared, index int) {
	c := declaration{declared: raw, file: d.set.files[raw.At.File]}
	c.text = string(c.file.Data)
	call := d.set.call(raw.At)
	c.call, c.members = call.place, call.members
	def, err := source.ParseJSON(source.NewFile(c.file.Name, raw.Def), source.Limits{})
	if err != nil {
		d.list.Add(diag.Errorf("bad_template", c.call, "the definition cannot be read: %v", err))
		return
	}
	c.def = def
	t := &template{Name: c.name(), file: raw.At.File, index: index, outputs: map[string]diag.Place{}}
	if t.place = c.at("name"); !d.named(&c, t) {
		return
	}
	inputs, order := d.inputs(&c)
	types, names := d.outputs(&c, t)
	object := func(k1 string, v1 *source.Value, more ...source.Member) *source.Value {
		return source.NewObject(append([]source.Member{{Key: k1, Value: v1}}, more...)...)
	}
	d.defs.Members = append(d.defs.Members, source.Member{Key: t.Name, Value: object("input", inputs,
		source.Member{Key: "input_order", Value: order}, source.Member{Key: "output", Value: types}, source.Member{Key: "output_name", Value: names},
		source.Member{Key: "name", Value: source.NewString(t.Name)}, source.Member{Key: "category", Value: source.NewString("templates")},
		source.Member{Key: "python_module", Value: source.NewString(c.file.Name)})})
	d.set.templates = append(d.set.templates, t)
	d.set.byName[t.Name] = t
}

// name is Main for workflow(…), whatever name it gives.
func (c *declaration) name() string {
	if c.Workflow {
		return Main
	}
	return c.def.Get("name").Str()
}

// at is the place of a member's value, else that of the call.
func (c *declaration) at(key string) diag.Place {
	for _, m := range c.members {
		if m.key == key {
			return diag.Place{File: c.file, Start: m.text.start, End: m.text.end}
		}
	}
	return c.call
}

// within gives the members of an object literal that is the value of a member.
func (c *declaration) within(key string) map[string]diag.Place {
	out := map[string]diag.Place{}
	for _, m := range c.members {
		if m.key == key {
			inner, _ := object(c.text, m.text.start)
			for _, k := range inner {
				out[k.key] = diag.Place{File: c.file, Start: k.text.start, End: k.text.end}
			}
		}
	}
	return out
}

var templateName = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_ .+-]*$`)

// named holds that a template has a name of its own.
func (d *definer) named(c *declaration, t *template) bool {
	bad := func(format string, args ...any) bool {
		d.list.Add(diag.Errorf("bad_template", t.place, format, args...))
		return false
	}
	switch first, twice := d.set.byName[t.Name]; {
	case t.Name == "":
		return bad("the template has no name")
	case len(t.Name) > maxName || !templateName.MatchString(t.Name):
		return bad("%q is no name for a node class: it begins with a letter, and holds letters, digits, blanks, and . _ + -", clip(t.Name))
	case twice:
		d.list.Add(diag.Errorf("bad_template", t.place, "template %q is there twice", t.Name).Noted(first.place, "the first one is here"))
		return false
	case d.set.cat.Has(t.Name):
		d.list.Add(diag.Errorf("template_shadows", t.place, "%q is the name of a node class that exists already", t.Name).Hinted("choose another name"))
		return false
	}
	return true
}

// inputs writes the inputs as a server does: ["TYPE", {…}] in the groups required and optional.
func (d *definer) inputs(c *declaration) (inputs, order *source.Value) {
	// Both groups are there even if they are empty, and order lists the names, since JSON objects of a server have no
	// order of their own.
	groups := []source.Member{{Key: "required", Value: source.NewObject()}, {Key: "optional", Value: source.NewObject()}}
	orders := []source.Member{{Key: "required", Value: source.NewArray()}, {Key: "optional", Value: source.NewArray()}}
	given, places := c.def.Get("inputs"), c.within("inputs")
	if given != nil && given.Kind != source.Object || given != nil && len(given.Members) > maxPorts {
		d.list.Add(diag.Errorf("bad_template", c.at("inputs"), "inputs is an object of at most %d inputs: {name: \"TYPE\"} or {name: {type, default, …}}", maxPorts))
		given = nil
	}
	for i := range members(given) {
		m := given.Members[i]
		at, ok := places[m.Key]
		if !ok {
			at = c.at("inputs")
		}
		def, optional := d.input(m.Key, m.Value, at)
		k := 0
		if optional {
			k = 1
		}
		if def != nil {
			groups[k].Value.Members = append(groups[k].Value.Members, source.Member{Key: m.Key, Value: def})
			orders[k].Value.Items = append(orders[k].Value.Items, source.NewString(m.Key))
		}
	}
	return source.NewObject(groups...), source.NewObject(orders...)
}

// members are those of an object; none for nil.
func members(v *source.Value) []source.Member {
	if v == nil {
		return nil
	}
	return v.Members
}

// specKeys are what an input's definition may hold.
var specKeys = []string{"type", "default", "min", "max", "step", "options", "optional", "tooltip", "multiline"}

var typeName = regexp.MustCompile(`^(\*|[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*)$`)

// input reads "TYPE", ["a", "b"] or {type, default, min, max, step, options, optional, …}.
func (d *definer) input(name string, v *source.Value, at diag.Place) (def *source.Value, optional bool) {
	bad := func(format string, args ...any) (*source.Value, bool) {
		d.list.Add(diag.Errorf("bad_template", at, "input %q: "+format, append([]any{clip(name)}, args...)...))
		return nil, false
	}
	spec := source.NewObject()
	kind := v.Str()
	switch v.Kind {
	case source.Array:
		kind = nodes.TypeCombo
		spec.Members = append(spec.Members, source.Member{Key: "options", Value: v})
	case source.Object:
		kind = v.Get("type").Str()
		if kind == "" && v.Get("options") != nil {
			kind = nodes.TypeCombo
		}
		for _, m := range v.Members {
			if hint, known := known(m.Key, specKeys); !known {
				d.list.Add(diag.Errorf("bad_template", at, "input %q has no member %q", clip(name), clip(m.Key)).Hinted(hint))
			}
			if m.Key != "type" && m.Key != "optional" {
				spec.Members = append(spec.Members, m)
			}
		}
		// An input with a default need not be given, so it is optional as a class's input. The script always sees it:
		// arguments fills it in.
		optional = v.Get("default") != nil || v.Get("optional") != nil && v.Get("optional").Bool
	}
	if options := spec.Get("options"); kind == nodes.TypeCombo && (options == nil || options.Kind != source.Array || len(options.Items) == 0) {
		return bad("a list of options is missing")
	}
	if name == "" || len(name) > maxName || strings.ContainsAny(name, ".\n") || !typeName.MatchString(kind) {
		return bad("%s is no type; write \"IMAGE\", or {type: \"FLOAT\", default: 1}", clip(string(v.AppendJSON(nil))))
	}
	return source.NewArray(source.NewString(kind), spec), optional
}

// known tells whether a key is in a list, and suggests one that looks like it if not.
func known(key string, keys []string) (hint string, ok bool) {
	for _, k := range keys {
		if k == key {
			return "", true
		}
	}
	return diag.Suggest(key, keys), false
}

// outputs writes the outputs as two lists.
func (d *definer) outputs(c *declaration, t *template) (types, names *source.Value) {
	types, names = source.NewArray(), source.NewArray()
	given, places := c.def.Get("outputs"), c.within("outputs")
	if given != nil && given.Kind != source.Object || given != nil && len(given.Members) > maxPorts {
		d.list.Add(diag.Errorf("bad_template", c.at("outputs"), "outputs is an object of at most %d outputs: {name: \"TYPE\"}", maxPorts))
		return types, names
	}
	for i := range members(given) {
		m := given.Members[i]
		if !typeName.MatchString(m.Value.Str()) {
			d.list.Add(diag.Errorf("bad_template", c.at("outputs"), "output %q: %s is no type; write \"IMAGE\"", clip(m.Key), clip(string(m.Value.AppendJSON(nil)))))
		}
		types.Items = append(types.Items, m.Value)
		names.Items = append(names.Items, source.NewString(m.Key))
		t.outputs[m.Key] = places[m.Key]
	}
	return types, names
}

// defaults holds the declared defaults against their own types and ranges.
func (d *definer) defaults() {
	for _, t := range d.set.templates {
		for i := range t.class.Inputs {
			in := &t.class.Inputs[i]
			if v := in.Default(); v != nil {
				for _, f := range checkLiteral(in, t.Name, v) {
					f.Place = t.place
					f.Code, f.Message = "bad_template", "the default does not fit: "+f.Message
					d.list.Add(f)
				}
			}
		}
	}
}
