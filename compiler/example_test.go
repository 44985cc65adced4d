package compiler_test

import (
	"context"
	"fmt"
	"os"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

const workflow = `{
  "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0}},
  "2": {"class_type": "ImageScaleBy", "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "scale_by": 2}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}}
}`

// Check says what is wrong with a workflow, as values with places.
func ExampleCheck() {
	file := source.NewFile("w.json", []byte(`{
  "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 0, "color": 0}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
}`))
	report := compiler.Check(context.Background(), file, compiler.CheckOptions{})
	fmt.Println("valid:", report.Valid)
	for _, d := range report.Findings {
		fmt.Println(diag.Where(d.Place), d.Severity, d.Code, "at node", d.Node, "input", d.Input)
	}
	// Output:
	// valid: false
	// w.json:2:89 error value_smaller_than_min at node 1 input batch_size
}

// Findings print as compilers print theirs.
func ExampleCheck_print() {
	file := source.NewFile("w.json", []byte(`{"9": {"class_type": "SaveImag", "inputs": {}}}`))
	report := compiler.Check(context.Background(), file, compiler.CheckOptions{})
	_ = diag.Print(os.Stdout, report.Findings, diag.Options{NoExcerpt: true})
	// Output:
	// w.json:1:22: error: node 9 has an unknown class: "SaveImag" [missing_node_type]
	//       help: did you mean "SaveImage"?
}

// Convert gives the API form of a workflow; API form passes through.
func ExampleConvert() {
	file := source.NewFile("ui.json", []byte(`{"version": 0.4, "last_node_id": 2, "last_link_id": 1,
  "nodes": [
    {"id": 1, "type": "EmptyImage", "mode": 0, "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "widgets_values": [64, 48, 1, 0]},
    {"id": 2, "type": "SaveImage", "mode": 0, "inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "widgets_values": ["x"]}],
  "links": [[1, 1, 0, 2, 0, "IMAGE"]]}`))
	prompt, findings := compiler.Convert(file, nil)
	fmt.Println(len(findings), "findings")
	fmt.Println(string(prompt.Get("1").Get("inputs").AppendJSON(nil)))
	fmt.Println(string(prompt.Get("2").Get("inputs").Get("images").AppendJSON(nil)))
	// Output:
	// 0 findings
	// {"width":64,"height":48,"batch_size":1,"color":0}
	// ["1",0]
}

// Compile turns a batch into a plan, which is data: renders with ids, coordinates, what each job sends and owes.
func ExampleCompile() {
	files := fstest.MapFS{"w.json": {Data: []byte(workflow)}}
	batch := source.NewFile("batch.yaml", []byte(`version: 1
workflow: w.json
sweep: {matrix: {EmptyImage.color: [1, 2, 3], scale_by: "1-2 (+0.5)"}}
`))
	plan, findings := compiler.Compile(context.Background(), compiler.Source{File: batch, Dir: ".", FS: files})
	fmt.Println(len(findings), "findings,", plan.Len(), "renders")
	for _, axis := range plan.Axes() {
		fmt.Println(axis.Name, axis.Addresses, len(axis.Values))
	}
	job, err := plan.Job(4)
	fmt.Println(err, len(job.Owed), job.Owed[0].Node, job.Classes)
	// Output:
	// 0 findings, 9 renders
	// EmptyImage.color [1.color] 3
	// scale_by [2.scale_by] 3
	// <nil> 1 9 [EmptyImage ImageScaleBy SaveImage]
}

// A batch may be written in code: the plan is that of the equal batch.yaml.
func ExampleNewBatch() {
	batch := compiler.NewBatch("w.json").
		Set("ImageScaleBy.upscale_method", compiler.Value("area")).
		Axis("color", compiler.Values(1, 2, 3)).
		Axis("size", compiler.Values(32, 64), "EmptyImage.width", "EmptyImage.height").
		Axis("scale_by", compiler.Span(1, 2, 0.5)).
		Exclude(compiler.Point{"color": compiler.Value(3), "size": compiler.Value(64)})
	files := fstest.MapFS{"w.json": {Data: []byte(workflow)}}
	plan, findings := batch.Compile(context.Background(), compiler.Source{Dir: ".", FS: files})
	fmt.Println(len(findings), "findings,", plan.Len(), "renders")

	file := source.NewFile("batch.yaml", []byte(`{version: 1, workflow: w.json, set: {ImageScaleBy.upscale_method: area},
sweep: {matrix: {color: [1, 2, 3], size: [32, 64], scale_by: {from: 1, to: 2, step: 0.5}}, exclude: [{color: 3, size: 64}]},
bind: {size: [EmptyImage.width, EmptyImage.height]}}`))
	same, _ := compiler.Compile(context.Background(), compiler.Source{File: file, Dir: ".", FS: files})
	fmt.Println("the same plan as of the file:", same.Hash() == plan.Hash())
	// Output:
	// 0 findings, 15 renders
	// the same plan as of the file: true
}

// Findings about a batch in code point into the text that it stands for.
func ExampleBuilder() {
	batch := compiler.NewBatch("w.json").Axis("EmptyImage.colour", compiler.RandomSeeds(4))
	_, findings := batch.Compile(context.Background(), compiler.Source{Dir: ".", FS: fstest.MapFS{"w.json": {Data: []byte(workflow)}}})
	fmt.Println(diag.Where(findings[0].Place), findings[0].Message+";", findings[0].Hint)
	// Output:
	// batch.json:6:7 EmptyImage (node 1) has no input "colour"; did you mean "color"?
}

// Expand is Convert for workflows that use node templates.
func ExampleExpand() {
	file := source.NewFile("w.json", []byte(`{"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
"2": {"class_type": "Twice", "inputs": {"image": ["1", 0]}}, "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}}}`))
	twice := source.NewFile("twice.js", []byte(`template({ name: "Twice", inputs: { image: "IMAGE" }, outputs: { image: "IMAGE" },
  expand(g, { image }) { return { image: g.ImageInvert({ image: g.ImageInvert({ image }) }) }; } });`))
	prompt, findings := compiler.Expand(context.Background(), file, compiler.ConvertOptions{Templates: []*source.File{twice}, Scripts: script.Options{InProcess: true}})
	for _, node := range prompt.Members {
		fmt.Println(node.Key, node.Value.Get("class_type").Str())
	}
	fmt.Println(len(findings), "findings")
	// Output:
	// 1 EmptyImage
	// 2.1 ImageInvert
	// 2.2 ImageInvert
	// 9 SaveImage
	// 0 findings
}
