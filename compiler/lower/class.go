// A class as the browser sees it, worked out once per catalogue and shared by all conversions, so nothing in here may be changed afterwards. Nodes
// copy slots and widgets from the class's proto.

package lower

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// class is a node class as the browser has it: the server's definition, with what the frontend's own extensions add to it.
type class struct {
	name, title string       // title is the display name, sent as _meta.title
	declared    []*inputSpec // in the definition's order: required, then optional; so the editor makes sockets and widgets
	outputs     []output     // copied into each node, as types change
	matches     []string     // per output, the match type template that it follows
	outputNode  bool         // the server runs it for its own sake
	forced      bool         // an input is a socket by force, which older files gave a place in widgets_values
	proto       *node        // a node of the class as it is when it is made, to be copied; nil for classes of group nodes
}

// inputSpec is one declared input.
type inputSpec struct {
	make     func(*node, *inputSpec) *widget // makes its widget; nil if it is only a socket
	grow     *growth                         // of an autogrow input; nil if its template names no inputs
	name     string
	typ      string // of the socket
	widget   string // the kind of widget it asks for, nearly always its type
	optional bool
	forced   bool // a socket although its type has a widget
	opts     *source.Value
	options  []*source.Value // of a COMBO
	choices  []choice        // of a dynamic combo
	target   string          // of an upload button: the combo that it fills
}

// choice is an option of a dynamic combo with the inputs that come with it.
type choice struct {
	key    string // as the value of the combo has it
	inputs []*inputSpec
}

// flag tells whether an option is there and true in JavaScript's sense: 1 and "yes" count as well.
func (s *inputSpec) flag(name string) bool { return truthy(s.opts.Get(name)) }

// named is a copy under another name, for inputs that grow and inputs inside of dynamic combos.
func (s *inputSpec) named(name string, optional bool) *inputSpec {
	made := *s
	made.name, made.optional = name, optional
	return &made
}

// class finds a class in the catalogue, nil if it is not there. What is derived from the definition is kept by the catalogue.
func (l *lowering) class(name string) *class {
	c, ok := l.classes[name]
	if !ok {
		// The catalogue keeps what the function gives, under the class's name: it is called once per catalogue, whoever comes first.
		c, _ = l.cat.Derived(name, func(def *nodes.Class) any {
			c := newClass(def)
			c.proto = &node{class: c.name, def: c}
			c.proto.make()
			c.proto.unique = !c.proto.equalNames()
			return c
		}).(*class)
		l.classes[name] = c
	}
	return c
}

// newClass derives a class from its definition. Hidden inputs (PROMPT, UNIQUE_ID and the like) are filled in by the server and shown nowhere.
func newClass(def *nodes.Class) *class {
	c := &class{name: def.Name, title: def.Title(), outputNode: def.OutputNode}
	for i := range def.Inputs {
		if in := &def.Inputs[i]; in.Group != nodes.Hidden {
			c.declared = append(c.declared, newSpec(in, in.Name))
			c.forced = c.forced || c.declared[len(c.declared)-1].forced
		}
	}
	for _, o := range def.Outputs {
		typ := o.Type
		// A match type is "*" until something is connected; pass_types settles it.
		if typ == nodes.TypeMatch {
			typ = "*"
		}
		c.outputs = append(c.outputs, output{name: o.Name, typ: typ})
		c.matches = append(c.matches, o.Match)
	}
	extend(c)
	return c
}

// newSpec reads a declared input, and with a dynamic combo the inputs of all its options, to any depth that the catalogue has.
func newSpec(in *nodes.Input, name string) *inputSpec {
	s := &inputSpec{name: name, typ: in.Type, optional: in.Group == nodes.Optional, opts: in.Spec, options: in.Options}
	s.finish()
	for _, c := range in.Choices {
		made := choice{key: textOf(c.Key)}
		for i := range c.Inputs {
			made.inputs = append(made.inputs, newSpec(&c.Inputs[i], c.Inputs[i].Name))
		}
		s.choices = append(s.choices, made)
	}
	return s
}

// finish derives what the options say.
func (s *inputSpec) finish() {
	// forceInput: a socket, though INT or STRING would have a widget. defaultInput is an older way to say so, and counts for optional inputs only.
	s.forced = s.flag("forceInput") || s.optional && s.flag("defaultInput")
	s.widget = s.typ
	if w := s.opts.Get("widgetType").Str(); w != "" {
		s.widget = w
	}
	s.make = maker(s.widget)
	if s.typ == nodes.TypeAutogrow {
		s.grow = newGrowth(s)
	}
}

// rawSpec reads an input of a template, [type, options], which the catalogue does not decode.
func rawSpec(name string, v *source.Value, optional bool) *inputSpec {
	s := &inputSpec{name: name, optional: optional, opts: v.Index(1)}
	switch t := v.Index(0); {
	case t == nil:
		s.typ = "UNKNOWN"
	case t.Kind == source.Array:
		s.typ, s.options = nodes.TypeCombo, t.Items
	default:
		s.typ = textOf(t)
		s.options = items(s.opts.Get("options"))
	}
	s.finish()
	return s
}

// rawSpecs reads {required: {name: spec}, optional: {…}}.
func rawSpecs(v *source.Value) []*inputSpec {
	var out []*inputSpec
	for _, group := range []string{"required", "optional"} {
		list := v.Get(group)
		if list == nil || list.Kind != source.Object {
			continue
		}
		for _, m := range list.Members {
			out = append(out, rawSpec(m.Key, m.Value, group == "optional"))
		}
	}
	return out
}

// extend adds the inputs that the frontend's extensions add to some classes: players, upload buttons and 3D views. They have widgets that
// take places in widgets_values.
func extend(c *class) {
	add := func(name, typ, target string) {
		s := &inputSpec{name: name, typ: typ, widget: typ, target: target, make: maker(typ)}
		for i, old := range c.declared {
			if old.name == name && !old.optional {
				c.replace(i, s)
				return
			}
		}
		// The capacity is cut, so that the catalogue's own list is copied and not written into.
		c.declared = append(c.declared[:len(c.declared):len(c.declared)], s)
	}
	switch c.name {
	// The frontend knows these classes by name; /object_info says nothing of their views.
	case "LoadAudio", "SaveAudio", "PreviewAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced":
		add("audioUI", "AUDIO_UI", "")
	case "Preview3D", "SaveGLB":
		add("image", "PREVIEW_3D", "")
	case "Load3DAdvanced":
		add("viewport_state", "LOAD_3D_ADVANCED", "")
	}
	for _, s := range c.declared {
		if !s.optional && s.typ == nodes.TypeCombo && (s.flag("image_upload") || s.flag("video_upload") || s.flag("animated_image_upload")) {
			add("upload", "IMAGEUPLOAD", s.name)
			break
		}
	}
	for _, s := range c.declared {
		if !s.optional && s.name == "audio" && s.flag("audio_upload") {
			add("upload", "AUDIOUPLOAD", "audio")
			break
		}
	}
}

// replace puts a spec in the place of another, in a list of the class's own: the old one may be shared.
func (c *class) replace(i int, s *inputSpec) {
	c.declared = slices.Clone(c.declared)
	c.declared[i] = s
}
