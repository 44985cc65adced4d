package nodes_test

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// The built-in catalogue knows what each class takes and gives.
func ExampleBuiltIn() {
	class, ok := nodes.BuiltIn().Class("ImageScaleBy")
	fmt.Println(ok, class.Title())
	for _, name := range class.InputNames() {
		in := class.Input(name)
		fmt.Println(name, in.Type, in.Group)
	}
	fmt.Println(class.Input("upscale_method").OptionNames())
	// Output:
	// true Upscale Image By
	// image IMAGE required
	// upscale_method COMBO required
	// scale_by FLOAT required
	// [nearest-exact bilinear area bicubic lanczos]
}

// A server's own /object_info takes the place of the built-in catalogue, literally: a model that it does not list is not there.
func ExampleLoadFile() {
	catalogue, findings := nodes.LoadFile(source.NewFile("object_info.json", []byte(`{"MyBlur": {
		"input": {"required": {"image": ["IMAGE"], "radius": ["INT", {"default": 3, "min": 1, "max": 64}]}},
		"output": ["IMAGE"], "output_name": ["IMAGE"], "name": "MyBlur", "display_name": "My Blur", "category": "mine", "output_node": false}}`)))
	fmt.Println(len(findings), catalogue.Names(), catalogue.Has("KSampler"))
	// Output:
	// 0 [MyBlur] false
}

// What is known of a worker's image by its name alone.
func ExampleProfileOf() {
	p, ok := nodes.ProfileOf("runpod/worker-comfyui:5.5.0-flux1-dev-fp8")
	fmt.Println(ok, p.Models[nodes.Checkpoints], p.Lacks(nodes.Checkpoints, "sd_xl_base_1.0.safetensors"))
	// Output:
	// true [flux1-dev-fp8.safetensors] true
}
