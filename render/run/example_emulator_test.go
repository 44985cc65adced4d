package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// A test of your program without a cloud: the emulator stands in for RunPod, behind the dialect and the HTTP client that a paid run uses. It loses
// the answer to the second submit, which is the one mishap after which nobody knows whether a job was paid for.
func Example_emulator() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	e, err := emulator.New(emulator.Config{Seed: 1, Endpoints: []emulator.Endpoint{{
		Name: "shop", Key: "test-key", MaxWorkers: 2, Price: 0.00031, Execution: emulator.ExecutionTime{Fixed: time.Millisecond},
		Faults: []emulator.Fault{{Kind: emulator.LostAnswer, At: []int{2}}},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	endpoints := filepath.Join(dir, "endpoints.yaml")
	if err := os.WriteFile(endpoints, []byte(`endpoints:
  shop: {type: runpod, url: "https://api.runpod.ai/v2/shop", key_env: RUNPOD_API_KEY, gpu: rtx4090}
`), 0o644); err != nil {
		log.Fatal(err)
	}
	plan, findings := compiler.NewBatch("flow.json").
		With("endpoints", compiler.List("shop")).
		With("schedule.fuse", compiler.Value("off")).
		Axis("color", compiler.Count(0, 4)).
		Compile(ctx, compiler.Source{Dir: dir, EndpointsFile: endpoints, Env: func(string) (string, bool) { return "test-key", true }})
	if plan == nil {
		log.Fatal(findings)
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Dialect: dialect.Deps{
		Transport: e.RoundTripper(), Getenv: func(string) string { return "test-key" }}})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	summary, err := batch.Run(ctx, batch.Options())
	fmt.Println(summary.Counts[scheduler.Done], "done,", summary.Counts[scheduler.Held], "held", err)
	stats := e.Stats().Endpoint("shop")
	fmt.Println(stats.Submits, "submits,", stats.Accepted, "jobs taken")
	// Output:
	// 3 done, 1 held <nil>
	// 4 submits, 4 jobs taken
}
