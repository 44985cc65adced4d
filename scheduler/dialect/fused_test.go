package dialect_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/store"
)

// rendered is what a run of a plan gave.
type rendered struct {
	scheduler.Summary
	pixels map[int][32]byte // by render
	stats  emulator.EndpointStats
}

// renderPlan runs a plan against an emulated endpoint, through a dialect, to files.
func renderPlan(t *testing.T, plan *compiler.Plan, remote emulator.Endpoint, cfg compiler.EndpointConfig, opts scheduler.Options) rendered {
	t.Helper()
	remote.Name = "x"
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{remote}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg.Name = "ep"
	ep, err := dialect.Open(cfg, dialect.Deps{Transport: e.RoundTripper()})
	if err != nil {
		t.Fatal(err)
	}
	out := renderOn(t, plan, ep, opts)
	out.stats = e.Stats().Endpoint("x")
	return out
}

// renderOn runs a plan on an endpoint, to files.
func renderOn(t *testing.T, plan *compiler.Plan, ep scheduler.Endpoint, opts scheduler.Options) rendered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir, st := t.TempDir(), &store.Memory{}
	sink := &render.Collector{Dir: dir, Name: func(i int, f render.FileInfo) (string, error) { return fmt.Sprint(i), nil }}
	sum, err := scheduler.Run(ctx, plan, []scheduler.Endpoint{ep}, st, sink, opts)
	if err != nil || !sum.AllDone() {
		t.Fatalf("%v %+v", err, sum)
	}
	out := rendered{Summary: sum, pixels: map[int][32]byte{}}
	for rec, err := range st.Records(ctx) {
		if err != nil || len(rec.Files) != 1 {
			t.Fatalf("%v %+v", err, rec)
		}
		out.pixels[rec.Render] = pixelHash(t, filepath.Join(dir, filepath.FromSlash(rec.Files[0].Path)))
	}
	return out
}

func pixelHash(t *testing.T, path string) [32]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	plain := image.NewNRGBA(img.Bounds())
	draw.Draw(plain, plain.Rect, img, img.Bounds().Min, draw.Src)
	return sha256.Sum256(append(plain.Pix, fmt.Sprint(plain.Rect)...))
}

func compilePlan(t *testing.T, name, dir, text string) *compiler.Plan {
	t.Helper()
	plan, findings := compiler.Compile(t.Context(), compiler.Source{File: source.NewFile(name, []byte(text)), Dir: dir})
	if plan == nil {
		t.Fatal(findings)
	}
	return plan
}

// TestFused renders the same plan, which uploads pictures and scales one of them once for all, apart and merged: the pictures are the same,
// the jobs fewer.
func TestFused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.png"), pixelPNG(t), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := compilePlan(t, "batch.yaml", dir, blends)
	base := "http://emulator.invalid"
	for name, cfg := range map[string]compiler.EndpointConfig{
		"novita":  {Type: "novita", URL: base + "/v1/x"},
		"runpod":  {Type: "runpod", URL: base + "/v2/x"},
		"comfyui": {Type: "comfyui", URL: base + "/native/x"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Limits.OutputBytes = 16 << 20 // the size of these pictures is not known before they are made
			apart := renderPlan(t, plan, emulator.Endpoint{}, cfg, scheduler.Options{Fuse: 1})
			merged := renderPlan(t, plan, emulator.Endpoint{}, cfg, scheduler.Options{Fuse: 5})
			if !maps.Equal(apart.pixels, merged.pixels) || len(merged.pixels) != plan.Len() {
				t.Errorf("the pictures differ: %d apart, %d merged", len(apart.pixels), len(merged.pixels))
			}
			jobs := (plan.Len() + 4) / 5
			if apart.stats.Executed != plan.Len() || merged.stats.Executed != jobs || merged.Attempts != jobs {
				t.Errorf("%d renders were %d jobs apart and %d merged, in %d attempts", plan.Len(), apart.stats.Executed, merged.stats.Executed, merged.Attempts)
			}
			for _, p := range merged.stats.Prefixes {
				if p.Executed != 1 {
					t.Errorf("the render with prefix %s was executed %d times", p.Prefix, p.Executed)
				}
			}
		})
	}
}

// TestFusedTooLarge: the remote drops answers that are too large, though the limit that is configured would let them pass. What was merged
// is rendered again apart, at no retry.
func TestFusedTooLarge(t *testing.T) {
	plan := compilePlan(t, "batch.yaml", ".", squares)
	cfg := compiler.EndpointConfig{Type: "novita", URL: "http://emulator.invalid/v1/x", Limits: compiler.Limits{OutputBytes: 16 << 20}}
	apart := renderPlan(t, plan, emulator.Endpoint{}, cfg, scheduler.Options{Fuse: 1})
	one := int64(apart.stats.OutputBytes / plan.Len())
	merged := renderPlan(t, plan, emulator.Endpoint{OutputBytes: one * 5 / 2}, cfg, scheduler.Options{Fuse: 4})
	if !maps.Equal(apart.pixels, merged.pixels) {
		t.Error("the pictures differ")
	}
	if merged.Attempts <= plan.Len() || merged.Attempts > 2*plan.Len() {
		t.Errorf("%d attempts for %d renders", merged.Attempts, plan.Len())
	}
}

// blends is a batch of twelve pictures made of one that is uploaded.
const blends = `
version: 1
name: blends
workflow: {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
  "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "width": 48, "height": 32, "crop": "disabled"}},
  "3": {"class_type": "EmptyImage", "inputs": {"width": 48, "height": 32, "batch_size": 1, "color": 0}},
  "4": {"class_type": "ImageBlend", "inputs": {"image1": ["2", 0], "image2": ["3", 0], "blend_factor": 0.5, "blend_mode": "normal"}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "x"}}}
inputs: {LoadImage.image: a.png}
sweep: {matrix: {EmptyImage.color: [1, 70000, 16000000], ImageBlend.blend_factor: [0.1, 0.4, 0.7, 0.9]}}
`

// squares is a batch of eight pictures that need no input.
const squares = `
version: 1
name: squares
workflow: {"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
  "2": {"class_type": "ImageScaleBy", "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "scale_by": 2}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}}}
sweep: {matrix: {EmptyImage.color: [1, 20, 300, 4000, 50000, 600000, 7000000, 16000000]}}
`

// TestFusedNever: a worker that gives the files of one node is sent one render at a time, whatever is asked for.
func TestFusedNever(t *testing.T) {
	const image = "novitalabs/comfyui-worker:v0.0.1"
	plan := compilePlan(t, "batch.yaml", ".", squares)
	got := renderPlan(t, plan, emulator.Endpoint{Worker: image}, compiler.EndpointConfig{Type: "novita", URL: "http://emulator.invalid/v1/x", Worker: image},
		scheduler.Options{Fuse: 4})
	if got.Attempts != plan.Len() {
		t.Errorf("%d attempts for %d renders", got.Attempts, plan.Len())
	}
}
