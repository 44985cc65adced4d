package compiler_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
)

const sampling = `{
  "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux1-dev-fp8.safetensors"}},
  "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024, "batch_size": 1}},
  "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["4", 1]}},
  "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "cfg": 1, "sampler_name": "euler", "scheduler": "simple", "denoise": 1,
        "model": ["4", 0], "positive": ["6", 0], "negative": ["6", 0], "latent_image": ["5", 0]}},
  "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}}
}`

// Before a cent is spent: what would be rendered, what it owes, and whether the largest render fits in the memory of each endpoint's GPU.
func ExamplePlan_Report() {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"w.json": sampling, compiler.EndpointsFileName: `endpoints:
  small: {type: runpod, url: "https://api.runpod.ai/v2/one", key_env: RUNPOD_API_KEY, gpu: {name: small, vram_gb: 1}}
  large: {type: runpod, url: "https://api.runpod.ai/v2/two", key_env: RUNPOD_API_KEY, gpu: rtx4090}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	plan, findings := compiler.NewBatch("w.json").
		With("endpoints", compiler.List("small", "large")).
		Axis("seed", compiler.Count(1, 50)).
		Axis("text", compiler.Values("a fox", "an owl")).
		Compile(context.Background(), compiler.Source{Dir: dir, Env: func(string) (string, bool) { return "key", true }})
	if plan == nil {
		log.Fatal(findings)
	}
	report := plan.Report(compiler.ReportOptions{})
	fmt.Println(report.Renders, "renders of", report.Outputs)
	for _, e := range report.Endpoints {
		fmt.Println(e.Name, e.Memory.TooSmall(), e.Memory.Verdict())
	}
	// Output:
	// 100 renders of [9 SaveImage]
	// small true does not fit in 1 GB: needs at least 2 GB even with its weights in main memory
	// large false fits in 24 GB: needs about 13 GB
}
