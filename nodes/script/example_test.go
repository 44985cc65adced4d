package script_test

import (
	"context"
	"fmt"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// A template in a file is a node class like any other; a node that uses it becomes what its expand makes. Scripts of strangers run in a child
// process (Options.Command); InProcess is for those that a program brings itself.
func Example() {
	ctx := context.Background()
	file := source.NewFile("hires.js", []byte(`template({
	  name: "HiresFix",
	  inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 1.5, min: 1, max: 4 } },
	  outputs: { image: "IMAGE" },
	  expand(g, { image, scale }) {
	    return { image: g.ImageScaleBy({ image, upscale_method: "lanczos", scale_by: scale }) };
	  },
	});`))
	set, findings := script.Load(ctx, []*source.File{file}, nodes.BuiltIn(), script.Options{InProcess: true})
	if set == nil {
		fmt.Println(findings)
		return
	}
	defer set.Close()
	class, _ := set.Class("HiresFix")
	fmt.Println(set.Names(), class.InputNames())

	prompt, err := source.ParseJSON(source.NewFile("w.json", []byte(`{
		"7": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
		"8": {"class_type": "HiresFix", "inputs": {"image": ["7", 0], "scale": 2}},
		"9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}}}`)), source.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	made, findings := set.Expand(ctx, prompt)
	fmt.Println(len(findings), "findings")
	fmt.Println(string(made.Prompt.Get("8.1").AppendJSON(nil)))
	fmt.Println(string(made.Prompt.Get("9").Get("inputs").AppendJSON(nil)))
	// Output:
	// [HiresFix] [image scale]
	// 0 findings
	// {"inputs":{"image":["7",0],"upscale_method":"lanczos","scale_by":2},"class_type":"ImageScaleBy"}
	// {"images":["8.1",0],"filename_prefix":"x"}
}
