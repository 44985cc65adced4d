package lower

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/source"
)

// viewportState is what a 3D view sends when it was never touched: its camera stands at (10, 10, 10) and looks at the origin. Kind and angle of
// the camera are those that the node keeps. Only views of the workflow itself are shown, and so have a state.
func viewportState(n *node) *source.Value {
	kind, fov := "perspective", "35"
	config := n.property("Camera Config")
	if config.Get("cameraType").Str() == "orthographic" {
		kind = "orthographic"
	} else if v := config.Get("fov"); v != nil && v.Kind == source.Number {
		fov = v.Text
	}
	// The numbers are those that the browser computes for that view, to the last digit.
	camera := fmt.Sprintf(`{"position":{"x":10,"y":10,"z":10.000000000000002},"target":{"x":0,"y":0,"z":0},"zoom":1,"cameraType":%q,`+
		`"quaternion":{"x":-0.2798481423331213,"y":0.3647051996310008,"z":0.11591689595929511,"w":0.8804762392171493},"fov":%s,"aspect":1,`+
		`"near":0.01,"far":10000,"frustum":{"left":-5,"right":5,"top":5,"bottom":-5}}`, kind, fov)
	form := `{"image":"","mask":"","normal":"","camera_info":%s,"recording":"","model_3d_info":[]}`
	// It sends no pictures, the older views do.
	if n.class == "Load3DAdvanced" {
		form = `{"camera_info":%s,"model_3d_info":[]}`
	}
	state := parsed(fmt.Sprintf(form, camera))
	place(state, n.src)
	return state
}

// shownModel is the file that a 3D preview of the workflow itself showed last; it stands in for the widget's value.
func shownModel(f *flatNode, w *widget) *source.Value {
	if f.class != "Preview3D" || w.name != "model_file" || f.host != nil {
		return nil
	}
	if v := f.property("Last Time Model File"); truthy(v) {
		return v
	}
	return nil
}
