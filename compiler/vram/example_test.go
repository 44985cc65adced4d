package vram_test

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/vram"
	"github.com/comfyc/comfyc/nodes"
)

// How much memory a graph needs on a GPU, and why.
func ExampleEstimate() {
	prompt, err := source.ParseJSON(source.NewFile("w.json", []byte(`{
		"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "fp8_e4m3fn"}},
		"2": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp8_e4m3fn.safetensors", "type": "flux"}},
		"3": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
		"4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["2", 0]}},
		"5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 1024, "batch_size": 1}},
		"6": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "cfg": 1, "sampler_name": "euler", "scheduler": "simple", "denoise": 1,
			"model": ["1", 0], "positive": ["4", 0], "negative": ["4", 0], "latent_image": ["5", 0]}},
		"7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["3", 0]}},
		"9": {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "x"}}}`)), source.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, _ := graph.Build(prompt, nodes.BuiltIn(), graph.Options{})
	need := vram.Estimate(g, vram.Options{})
	fmt.Printf("%.0f to %.0f GB, or %.0f with weights in main memory; known: %v\n", need.LowGB, need.HighGB, need.FloorGB, need.Known)
	for _, gb := range []float64{8, 24, 80} {
		fmt.Println(gb, "GB:", need.Fit(gb) == vram.Fits)
	}
	// Output:
	// 13 to 13 GB, or 2 with weights in main memory; known: true
	// 8 GB: false
	// 24 GB: true
	// 80 GB: true
}
