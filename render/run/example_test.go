package run_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
)

// A sweep of two colours on the built-in preview endpoint, with a gallery at the end.
func Example() {
	dir, err := os.MkdirTemp("", "sweep")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	workflow := `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
		"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`
	if err := os.WriteFile(filepath.Join(dir, "flow.json"), []byte(workflow), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	batch := "version: 1\nname: colours\nworkflow: flow.json\nsweep: {matrix: {EmptyImage.color: [255, 65280]}}\noutput: {filename: \"%axis.EmptyImage.color%\"}\n"
	plan, findings := compiler.Compile(context.Background(), compiler.Source{File: source.NewFile(filepath.Join(dir, "batch.yaml"), []byte(batch))})
	if plan == nil {
		fmt.Println(findings)
		return
	}
	b, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	done := make([]string, plan.Len())
	for r, err := range b.Results(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		done[r.Render] = fmt.Sprintf("%s: %s", r.State, r.Files[0].Path)
	}
	for _, line := range done {
		fmt.Println(line)
	}
	if err := b.WriteGallery(context.Background(), render.GalleryOptions{}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(filepath.Base(b.Page()))
	// Output:
	// done: images/255.png
	// done: images/65280.png
	// index.html
}
