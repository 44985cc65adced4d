package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
)

// What one batch rendered, another one takes over: renders are known by what they compute, whatever the ids of their nodes and the names of their
// batches. Preview's drawings are never kept.
func Example_cache() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	finished := cache.New(cache.Folder(filepath.Join(dir, "cache")))
	for i, colours := range [][]int{{255, 65280}, {255, 65280, 16711680}} {
		plan, findings := compiler.NewBatch("flow.json").Axis("color", compiler.Values(colours...)).Compile(ctx, compiler.Source{Dir: dir})
		if plan == nil {
			log.Fatal(findings)
		}
		batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, fmt.Sprint("out", i)), Cache: finished, Endpoints: []scheduler.Endpoint{&easel{}}})
		if err != nil {
			log.Fatal(err)
		}
		summary, err := batch.Run(ctx, batch.Options())
		fmt.Println(summary.Counts[scheduler.Done], "done,", summary.Reused, "of them taken over", err, batch.CacheTrouble())
		if err := batch.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 2 done, 0 of them taken over <nil> <nil>
	// 3 done, 2 of them taken over <nil> <nil>
}
