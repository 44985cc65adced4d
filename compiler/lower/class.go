package lower

import (
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// class is a node class as the browser has it: the server's definition, with what the frontend's own extensions add to it.
type class struct {
	name, title string
	specs       []*inputSpec // in the order in which the editor makes sockets and widgets
	declared    []*inputSpec // in the definition's order: required, then optional
	outputs     []output
	matches     []string // per output, the match type template that it follows
	outputNode  bool
	forced      bool  // an input is a socket by force, which older files gave a place in widgets_values
	proto       *node // a node of the class as it is when it is made, to be copied; nil for classes of group nodes
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
	key    string
	inputs []*inputSpec
}

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
		if typ == nodes.TypeMatch {
			typ = "*"
		}
		c.outputs = append(c.outputs, output{name: o.Name, typ: typ})
		c.matches = append(c.matches, o.Match)
	}
	c.specs = c.declared
	extend(c)
	return c
}

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
		for i, old := range c.specs {
			if old.name == name && !old.optional {
				c.replace(i, s)
				return
			}
		}
		c.specs = append(c.specs[:len(c.specs):len(c.specs)], s)
		c.declared = c.specs
	}
	switch c.name {
	case "LoadAudio", "SaveAudio", "PreviewAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced":
		add("audioUI", "AUDIO_UI", "")
	case "Preview3D", "SaveGLB":
		add("image", "PREVIEW_3D", "")
	case "Load3DAdvanced":
		add("viewport_state", "LOAD_3D_ADVANCED", "")
	}
	for _, s := range c.specs {
		if !s.optional && s.typ == nodes.TypeCombo && (s.flag("image_upload") || s.flag("video_upload") || s.flag("animated_image_upload")) {
			add("upload", "IMAGEUPLOAD", s.name)
			break
		}
	}
	for _, s := range c.specs {
		if !s.optional && s.name == "audio" && s.flag("audio_upload") {
			add("upload", "AUDIOUPLOAD", "audio")
			break
		}
	}
}

func (c *class) replace(i int, s *inputSpec) {
	specs := append([]*inputSpec(nil), c.specs...)
	specs[i] = s
	c.specs, c.declared = specs, specs
}
