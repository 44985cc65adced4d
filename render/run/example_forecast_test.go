package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
)

// How long a batch would take and what it would cost, before anything is opened. The figures are ranges: what was published of the GPU, until runs
// have taught more (scheduler.Speeds).
func ExampleForecast() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	endpoints := filepath.Join(dir, "endpoints.yaml")
	if err := os.WriteFile(endpoints, []byte(`endpoints:
  rtx: {type: runpod, url: "https://api.runpod.ai/v2/one", key_env: RUNPOD_API_KEY, gpu: rtx4090, workers: {max: 4}}
`), 0o644); err != nil {
		log.Fatal(err)
	}
	plan, findings := compiler.NewBatch("flow.json").With("endpoints", compiler.List("rtx")).Axis("color", compiler.Count(0, 500)).
		Compile(ctx, compiler.Source{Dir: dir, EndpointsFile: endpoints})
	if plan == nil {
		log.Fatal(findings)
	}
	forecast, err := run.Forecast(plan, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range forecast.Endpoints {
		fmt.Println(e.Name, e.Renders.High, "renders")
	}
	fmt.Println(forecast.USD.Low > 0, forecast.USD.Low <= forecast.USD.High, forecast.Deadline)
	// Output:
	// rtx 500 renders
	// true true true
}
