package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
)

// A Control steers a run from any goroutine: here what is not wanted is cancelled, and what is urgent goes first. A run that was cut short goes on
// when the same plan is run again; what is done stays done.
func Example_control() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	plan, findings := compiler.NewBatch("flow.json").Axis("color", compiler.Count(0, 6)).Compile(ctx, compiler.Source{Dir: dir})
	if plan == nil {
		log.Fatal(findings)
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out")})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()

	control := &scheduler.Control{}
	control.Pause()         // nothing is submitted until Resume
	control.Cancel(1, 2)    // these never will be
	control.Priority(10, 5) // this one is first
	opts := batch.Options()
	opts.Control = control
	opts.MaxParallel, opts.Fuse = 1, 1
	first := -1
	opts.OnEvent = func(e scheduler.Event) {
		switch {
		case e.Notice != nil:
			fmt.Println(e.Notice.Code)
			if e.Notice.Code == "paused" {
				control.Resume()
			}
		case e.Render != nil && e.Render.State == scheduler.Done && first < 0:
			first = e.Render.Index
		}
	}
	summary, err := batch.Run(ctx, opts)
	fmt.Println(summary.Counts[scheduler.Done], "done,", summary.Counts[scheduler.RenderCancelled], "cancelled, first", first, err)

	summary, err = batch.Run(ctx, batch.Options())
	fmt.Println(summary.Counts[scheduler.Done], "done,", summary.Kept, "of them before", err)
	// Output:
	// paused
	// resumed
	// 4 done, 2 cancelled, first 5 <nil>
	// 6 done, 4 of them before <nil>
}
