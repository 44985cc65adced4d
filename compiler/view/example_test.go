package view_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/view"
	"github.com/comfyc/comfyc/nodes"
)

// load reads a workflow in any of its forms into a View.
func load(text string) *view.View {
	prompt, findings := compiler.Expand(context.Background(), source.NewFile("w.json", []byte(text)), compiler.ConvertOptions{})
	if prompt == nil {
		log.Fatal(findings)
	}
	g, verdict := graph.Build(prompt, nodes.BuiltIn(), graph.Options{})
	return view.New(g, verdict, "w.json")
}

// Two workflows are compared by what they do: ids that were given anew are no difference.
func ExampleDiff() {
	a := load(`{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
		"9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
	b := load(`{"50": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
		"51": {"class_type": "ImageInvert", "inputs": {"image": ["50", 0]}},
		"60": {"class_type": "SaveImage", "inputs": {"images": ["51", 0], "filename_prefix": "x"}}}`)
	changes := view.Diff(a, b, view.DiffOptions{})
	fmt.Println(changes.Equal(), len(changes.Changed), "changed", len(changes.Added), "added")
	if err := changes.Print(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// false 2 changed 1 added
	// --- w.json
	// +++ w.json
	// ~ EmptyImage #1 → #50
	//     color: 0 → 255
	// ~ SaveImage #9 → #60
	//     images: [IMAGE of EmptyImage #1] → [IMAGE of ImageInvert #51]
	// + ImageInvert #51
	//     image: [IMAGE of EmptyImage #50]
	// 2 changed, 0 removed, 1 added, 0 the same
}

// A workflow as a flowchart for a page in Markdown.
func ExampleView_Mermaid() {
	v := load(`{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
		"9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
	for line := range strings.Lines(string(v.Mermaid())) {
		if !strings.Contains(line, "Style") && !strings.Contains(line, "classDef") {
			fmt.Print(line)
		}
	}
	// Output:
	// flowchart LR
	//   n0["<b>Empty Image</b> #35;1<br/>EmptyImage<br/>width: 64<br/>height: 64<br/>batch_size: 1<br/>color: 0"]
	//   n1(["<b>Save Image</b> #35;9<br/>SaveImage<br/>filename_prefix: x"])
	//   n0 -->|"IMAGE"| n1
}
