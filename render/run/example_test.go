package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
)

// A sweep in ten lines: axes with types, a plan, pictures as they come, a gallery. Without endpoints it runs on the built-in preview.
func Example() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)

	plan, findings := compiler.NewBatch("flow.json").
		Axis("color", compiler.Labelled([]string{"blue", "green"}, 255, 65280)).
		Axis("size", compiler.Values(32, 64), "EmptyImage.width", "EmptyImage.height").
		With("output.filename", compiler.Value("%axis.color%-%axis.size%")).
		Compile(ctx, compiler.Source{Dir: dir})
	if plan == nil {
		log.Fatal(findings)
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out")})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	for result, err := range batch.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.State, result.Files[0].Path, result.Files[0].Width)
	}
	if err := batch.WriteGallery(ctx, render.GalleryOptions{Title: "Colours"}); err != nil {
		log.Fatal(err)
	}
	manifest, err := render.ReadManifestFile(filepath.Join(batch.Dir(), render.ManifestPath))
	fmt.Println(filepath.Base(batch.Page()), manifest.Totals.Done, err)
	// Unordered output:
	// done images/blue-32.png 32
	// done images/blue-64.png 64
	// done images/green-32.png 32
	// done images/green-64.png 64
	// index.html 4 <nil>
}

// workFolder makes a folder with a workflow of one picture in it.
func workFolder() string {
	dir, err := os.MkdirTemp("", "sweep")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "flow.json"), []byte(`{
			"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
			"9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
	return dir
}
