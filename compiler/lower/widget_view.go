// Views: widgets that draw something. What matters here is only whether each takes a place in widgets_values (saved), whether it is sent, and with
// which value if nobody has touched it; the four combinations all occur.

package lower

import (
	"github.com/comfyc/comfyc/compiler/source"
)

// makeCompare is the view of ImageCompare: not saved, but sent.
func makeCompare(n *node, s *inputSpec) *widget {
	value := source.NewArray(source.NewString(""), source.NewString("")).At(n.src)
	return n.push(&widget{name: s.name, typ: "imagecompare", value: value, unsaved: true})
}

// makeBox is a rectangle with a widget for each of its numbers, which take places in widgets_values but are not sent.
func makeBox(n *node, s *inputSpec) *widget {
	typ := "boundingbox"
	if s.opts.Get("component").Str() == "ImageCrop" {
		typ = "imagecrop"
	}
	// The rectangle is one value in the prompt; the four numbers beside it only edit it.
	box := n.initial(s, parsed(`{"x":0,"y":0,"width":512,"height":512}`))
	w := n.push(&widget{name: s.name, typ: typ, value: box, spec: s})
	for _, field := range []string{"x", "y", "width", "height"} {
		n.push(&widget{name: field, typ: "number", value: box.Get(field), unsent: true})
	}
	return w
}

// makeVideoEdit starts with the parts that its features name.
func makeVideoEdit(n *node, s *inputSpec) *widget {
	features := []string{"trim", "crop"}
	// An empty list turns both off, none at all leaves both on.
	if list := s.opts.Get("features"); list != nil {
		features = nil
		for _, f := range items(list) {
			features = append(features, f.Str())
		}
	}
	value := source.NewObject()
	if contains(features, "trim") {
		value.Members = append(value.Members, source.Member{Key: "trim", Value: parsed(`{"start_time":0,"duration":0}`)})
	}
	if contains(features, "crop") {
		value.Members = append(value.Members, source.Member{Key: "crop", Value: parsed(`{"x":0,"y":0,"width":0,"height":0}`)})
	}
	return makePlain("videoedit", value)(n, s)
}

// makeHiddenView is a view that is neither saved nor sent.
func makeHiddenView(n *node, s *inputSpec) *widget {
	return n.push(&widget{name: s.name, kind: fixedWidget, typ: "custom", unsaved: true, unsent: true})
}

// makeCameraAngle is a view whose mode is saved, but not sent.
func makeCameraAngle(n *node, s *inputSpec) *widget {
	return n.push(&widget{name: s.name, typ: "cameraAngle", value: source.NewString("camera").At(n.src), unsent: true})
}

// makePlayer is the audio player: neither saved nor sent.
func makePlayer(n *node, s *inputSpec) *widget {
	return n.push(&widget{name: s.name, kind: fixedWidget, typ: "audioUI", unsaved: true, unsent: true})
}

// makeRecorder is a player, which is sent, and a button.
func makeRecorder(n *node, s *inputSpec) *widget {
	w := makeFixed("audioUI")(n, s)
	n.push(&widget{name: s.name, typ: "audiorecord", value: source.NewString("").At(n.src), unsent: true})
	return w
}

// viewports are classes whose scene is sent as viewport_state.
var viewports = []string{"Load3DAdvanced", "Preview3DAdvanced", "Save3DAdvanced", "PreviewGaussianSplat", "PreviewPointCloud",
	"SaveGaussianSplat", "SavePointCloud"}

// makeScene is a 3D view. Where a model can be chosen it has buttons, whose values are sent.
func makeScene(n *node, s *inputSpec) *widget {
	name := s.name
	if s.typ == "LOAD_3D" {
		name = "image"
		if contains(viewports, n.class) {
			name = "viewport_state"
		}
		if n.widgetNamed("model_file") != nil {
			// The frontend sends these buttons too; the server passes undeclared inputs over.
			for _, b := range [][2]string{{"upload 3d model", "upload3dmodel"}, {"upload extra resources", "uploadExtraResources"}, {"clear", "clear"}} {
				n.push(&widget{name: b[0], typ: "button", value: source.NewString(b[1]).At(n.src)})
			}
		}
	}
	w := n.push(&widget{name: name, kind: fixedWidget, typ: "load3D", value: source.NewString("").At(n.src)})
	return w
}
