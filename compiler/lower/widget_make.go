package lower

import (
	"math"
	"slices"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// maker gives the function that makes the widget for a kind of input; nil if such inputs are only sockets. The function adds the widget, and
// what belongs to it, to the node, and returns it.
func maker(kind string) func(*node, *inputSpec) *widget {
	switch kind {
	case nodes.TypeInt:
		return makeInt
	case nodes.TypeFloat:
		return makeFloat
	case nodes.TypeBoolean:
		return makePlain("toggle", source.NewBool(false))
	case nodes.TypeString:
		return makeString
	case nodes.TypeCombo:
		return makeCombo
	case nodes.TypeDynamicCombo:
		return makeDynamicCombo
	case "COMFY_DYNAMICGROUP_V3":
		return makeRows
	case "MARKDOWN":
		return func(n *node, s *inputSpec) *widget { return makeArea(n, s, "MARKDOWN") }
	// Made plain: unlike a multiline STRING it passes a number on as it is.
	case "TEXTAREA":
		return makePlain("textarea", source.NewString(""))
	case "COLOR":
		return makeColor
	}
	return makerOfView(kind)
}

// makerOfView is [maker] for inputs with views of their own: pictures, curves, 3D scenes, players.
func makerOfView(kind string) func(*node, *inputSpec) *widget {
	switch kind {
	case "IMAGEUPLOAD":
		return makeButton("image")
	case "AUDIOUPLOAD":
		return makeButton("")
	case "IMAGECOMPARE":
		return makeCompare
	case "BOUNDING_BOX":
		return makeBox
	case "CURVE":
		return makePlain("curve", parsed(`{"points":[[0,0],[1,1]],"interpolation":"monotone_cubic"}`))
	case "RANGE":
		return makePlain("range", parsed(`{"min":0,"max":1}`))
	case "VIDEO_EDIT":
		return makeVideoEdit
	case "CHART":
		return makePlain("chart", parsed(`{}`))
	case "COMPOSITOR":
		return makePlain("compositor", parsed(`{}`))
	case "GALLERIA", "BOUNDING_BOXES", "LIGHT_INFO_PREVIEW", "COLORS":
		return makePlain(map[string]string{"GALLERIA": "galleria", "BOUNDING_BOXES": "boundingboxes", "COLORS": "colors"}[kind], parsed(`[]`))
	case "PAINTER":
		return makePlain("painter", nil)
	case "RESOLUTION_PREVIEW", "CAMERA_INFO_STATE":
		return makeHiddenView
	case "LOAD_3D", "LOAD_3D_ADVANCED", "PREVIEW_3D":
		return makeScene
	case "CAMERA_ANGLE_VIEW":
		return makeCameraAngle
	case "AUDIO_UI":
		return makePlayer
	case "AUDIO_RECORD":
		return makeRecorder
	case "WEBCAM":
		return makeFixed("WEBCAM")
	}
	return nil
}

// parsed reads a constant.
func parsed(text string) *source.Value {
	// The texts are constants of this file, so a mistake in one is a bug.
	v, err := source.ParseJSON(source.NewFile("", []byte(text)), source.Limits{})
	if err != nil {
		panic(err)
	}
	return unplaced(v)
}

// unplaced frees a constant from its own text; whoever uses it gives it the place of a node.
func unplaced(v *source.Value) *source.Value {
	place(v, &source.Value{})
	return v
}

// initial is the declared default, or the given one, at the node's place.
func (n *node) initial(s *inputSpec, fallback *source.Value) *source.Value {
	v := s.opts.Get("default")
	// A declared null counts as none.
	if isNull(v) && fallback != nil {
		v = fallback
	}
	if v == nil {
		return nil
	}
	return v.At(n.src)
}

func makePlain(typ string, fallback *source.Value) func(*node, *inputSpec) *widget {
	return func(n *node, s *inputSpec) *widget {
		return n.push(&widget{name: s.name, typ: typ, value: n.initial(s, fallback), spec: s})
	}
}

// makeInt makes a whole number, and the control beside a seed. The default may lie outside of the range: nothing is clamped on load.
func makeInt(n *node, s *inputSpec) *widget {
	num := &numeric{integer: true, step: floatOr(s.opts.Get("step"), 1), own: n.class == "PrimitiveInt" && n.kind == classNode}
	num.min, num.hasMin = floatOr(s.opts.Get("min"), 0), true
	// 0 and 2048 are the frontend's bounds where the server names none.
	num.max, num.hasMax = floatOr(s.opts.Get("max"), 2048), true
	typ := display(s, "color", "slider", "knob")
	w := n.push(&widget{name: s.name, typ: typ, value: n.initial(s, source.NewInt(0)), num: num, spec: s})
	control := s.opts.Get("control_after_generate")
	// seed and noise_seed get the control without asking; an explicit false takes it away.
	if truthy(control) || isNull(control) && (s.name == "seed" || s.name == "noise_seed") {
		n.push(controlWidget(n, s))
	}
	return w
}

// makeFloat derives precision (digits shown) from the step and, if the server gives no `round`, the rounding from that: step 0.05 shows two
// digits and rounds to 0.01.
func makeFloat(n *node, s *inputSpec) *widget {
	step := floatOr(s.opts.Get("step"), 0.5)
	num := &numeric{step: step, round: floatOr(s.opts.Get("round"), 0)}
	if step > 0 {
		// As many digits as the step has: 0.05 gives 2.
		num.precision = max(0, -int(math.Floor(math.Log10(step))))
	}
	if num.round == 0 && num.precision > 0 {
		num.round = math.Pow(10, -float64(num.precision))
	}
	num.min, num.hasMin = floatOr(s.opts.Get("min"), 0), true
	num.max, num.hasMax = floatOr(s.opts.Get("max"), 2048), true
	num.own = n.class == "PrimitiveFloat" && n.kind == classNode
	typ := display(s, "gradientslider", "slider", "knob")
	w := n.push(&widget{name: s.name, typ: typ, value: n.initial(s, source.NewInt(0)), num: num, spec: s})
	if s.flag("control_after_generate") {
		n.push(controlWidget(n, s))
	}
	return w
}

// display is the widget type that a number asks for.
func display(s *inputSpec, allowed ...string) string {
	if d := s.opts.Get("display").Str(); slices.Contains(allowed, d) {
		return d
	}
	return "number"
}

func floatOr(v *source.Value, fallback float64) float64 {
	if f, ok := v.Float(); ok {
		return f
	}
	return fallback
}

// controlWidget is the control_after_generate beside a seed: it takes a place in widgets_values, but is never sent.
func controlWidget(n *node, s *inputSpec) *widget {
	mode, name := "randomize", "control_after_generate"
	if c := s.opts.Get("control_after_generate").Str(); slices.Contains(controlModes, c) {
		mode = c
	} else if c != "" {
		// The option may name the control: "control_after_generate": "seed control".
		name = c
	} else if p := s.opts.Get("control_prefix").Str(); p != "" {
		name = p + " " + name
	}
	w := &widget{name: name, typ: "combo", value: source.NewString(mode).At(n.src), unsent: true}
	for _, m := range controlModes {
		w.options = append(w.options, source.NewString(m))
	}
	return w
}

var controlModes = []string{"fixed", "increment", "decrement", "randomize"}

func makeString(n *node, s *inputSpec) *widget {
	if s.flag("multiline") {
		return makeArea(n, s, "customtext")
	}
	// An input without a default has "".
	v := n.initial(s, nil)
	w := &widget{name: s.name, typ: "text", value: source.NewString(textOf(v)).At(n.src), dynamic: s.flag("dynamicPrompts"), spec: s}
	return n.push(w)
}

// makeArea is a text of several lines, which gives text only: 8 becomes "8".
func makeArea(n *node, s *inputSpec, typ string) *widget {
	v := n.initial(s, source.NewString(""))
	return n.push(&widget{name: s.name, kind: areaWidget, typ: typ, value: asText(v), dynamic: s.flag("dynamicPrompts"), spec: s})
}

// makeCombo begins with the default if there is one that is true in JavaScript's sense, else with the first option; without options it has no value
// and is not sent.
func makeCombo(n *node, s *inputSpec) *widget {
	v := s.opts.Get("default")
	switch {
	case truthy(v):
		v = v.At(n.src)
	case len(s.options) > 0:
		v = s.options[0].At(n.src)
	// The text that the editor shows until the server has answered; nothing ever answers here.
	case truthy(s.opts.Get("remote")):
		v = source.NewString("Loading...").At(n.src)
	default:
		v = nil
	}
	typ := "combo"
	if truthy(s.opts.Get("multi_select")) {
		// Several choices at once are a list, which is sent wrapped in {"__value__": …}.
		typ, v = "custom", source.NewArray().At(n.src)
	}
	w := n.push(&widget{name: s.name, typ: typ, value: v, options: s.options, spec: s})
	if s.flag("control_after_generate") {
		n.push(controlWidget(n, s))
		if typ == "combo" {
			n.push(&widget{name: "control_filter_list", typ: "string", value: source.NewString("").At(n.src), unsent: true})
		}
	}
	if truthy(s.opts.Get("remote").Get("refresh_button")) {
		n.push(&widget{name: "refresh", typ: "button", value: source.NewString("refresh").At(n.src)})
	}
	return w
}

// makeColor makes one widget per name, however often it is asked.
func makeColor(n *node, s *inputSpec) *widget {
	if w := n.widgetNamed(s.name); w != nil && w.typ == "color" {
		return w
	}
	return makePlain("color", source.NewString("#000000"))(n, s)
}

// makeButton takes a place in widgets_values and is not sent.
func makeButton(value string) func(*node, *inputSpec) *widget {
	return func(n *node, s *inputSpec) *widget {
		if s.target != "" && n.widgetNamed(s.target) == nil {
			// The button fills a combo, and the class has none of that name.
			n.failed = true // the frontend cannot make the node
		}
		return n.push(&widget{name: s.name, typ: "button", value: source.NewString(value).At(n.src), unsent: true})
	}
}

// makeFixed is sent with the value "", whatever the file says.
func makeFixed(typ string) func(*node, *inputSpec) *widget {
	return func(n *node, s *inputSpec) *widget {
		return n.push(&widget{name: s.name, kind: fixedWidget, typ: typ, value: source.NewString("").At(n.src)})
	}
}
