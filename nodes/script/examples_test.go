package script

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

const examples = "../../examples/templates/"

// graphOf expands an example's workflow and builds its graph, in which no finding may be more than a warning.
func graphOf(t *testing.T, template, workflow string) *graph.Graph {
	t.Helper()
	f, err := source.ReadFile(examples + template)
	if err != nil {
		t.Fatal(err)
	}
	s, findings := Load(context.Background(), []*source.File{f}, nil, childOptions)
	if s == nil {
		t.Fatal(printed(findings))
	}
	defer s.Close()
	if workflow == "" {
		p, findings := s.ExpandWorkflow(context.Background())
		if p == nil {
			t.Fatal(printed(findings))
		}
		return built(t, p)
	}
	w, err := source.ReadFile(examples + workflow)
	if err != nil {
		t.Fatal(err)
	}
	p, err := source.ParseJSON(w, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, findings := s.Expand(context.Background(), p)
	if e == nil {
		t.Fatal(printed(findings))
	}
	return built(t, e.Prompt)
}

func built(t *testing.T, p *source.Value) *graph.Graph {
	t.Helper()
	g, verdict := graph.Build(p, nodes.BuiltIn(), graph.Options{})
	for _, d := range verdict.Findings {
		if d.Severity <= diag.Warning {
			t.Errorf("%s", printed([]diag.Diagnostic{d}))
		}
	}
	if !verdict.Valid {
		t.Error("the graph is not valid")
	}
	return g
}

func TestExamples(t *testing.T) {
	for _, tc := range []struct {
		template, workflow string
		classes            map[string]int
	}{
		{"hires-fix.js", "hires-fix.json", map[string]int{"KSampler": 2, "LatentUpscaleBy": 1, "VAEDecode": 1, "SaveImage": 1}},
		{"lora-stack.ts", "lora-stack.json", map[string]int{"LoraLoader": 2, "KSampler": 1}},
		{"upscale-chain.js", "upscale-chain.json", map[string]int{"UpscaleModelLoader": 1, "ImageUpscaleWithModel": 2, "ImageScaleBy": 1, "ImageSharpen": 1}},
		{"controlnet-stack.js", "controlnet-stack.json", map[string]int{"ControlNetApplyAdvanced": 2, "ControlNetLoader": 2}},
		{"img2img.js", "img2img.json", map[string]int{"ImageScaleToTotalPixels": 1, "KSampler": 1, "VAEEncode": 1, "CLIPTextEncode": 2}},
		{"contact-sheet.js", "contact-sheet.json", map[string]int{"KSampler": 6, "VAEDecode": 6, "ImageStitch": 5}},
		{"flow.js", "", map[string]int{"KSampler": 1, "CLIPTextEncode": 2, "SaveImage": 1}},
	} {
		t.Run(tc.template, func(t *testing.T) {
			g := graphOf(t, tc.template, tc.workflow)
			have := map[string]int{}
			for _, i := range g.Order {
				have[g.Nodes[i].Class]++
			}
			for class, want := range tc.classes {
				if have[class] != want {
					t.Errorf("%d nodes of %s, want %d", have[class], class, want)
				}
			}
		})
	}
}

// TestTypes holds the declaration file against TypeScript's own compiler, with every example that uses it.
func TestTypes(t *testing.T) {
	var b strings.Builder
	s := load(t, Options{InProcess: true}, "up.js", upscale)
	if err := Types(&b, nil, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"KSampler"(inputs: { "model": Link<"MODEL">; "seed"?: number | bigint | Link<"INT">;`,
		`"Upscale"(inputs: { "image": Link<"IMAGE">; "method": "lanczos" | "area" | Link<"COMBO">; "scale"?: number | bigint | Link<"FLOAT">; }, options?: NodeOptions): ` +
			`Outputs<[Link<"IMAGE">, Link<"INT">], { readonly "image": Link<"IMAGE">; readonly "seed": Link<"INT">; }>;`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("not in the file: %s", want)
		}
	}
	tsc, err := exec.LookPath("tsc")
	if err != nil {
		t.Skip("SKIPPED: tsc is not on PATH (npm install typescript), so that the declaration file is not held against it")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"--strict", "--noEmit", "--target", "es2022", "--lib", "es2022", "--moduleDetection", "force"}
	types := write("comfyc.d.ts", b.String())
	stack, err := os.ReadFile(examples + "lora-stack.ts")
	if err != nil {
		t.Fatal(err)
	}
	good := write("good.ts", string(stack)+`
template({ name: "X", inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 1 } }, outputs: { image: "IMAGE" },
  expand(g, { image, scale }) { const [up] = g.ImageScaleBy({ image, upscale_method: "area", scale_by: scale * 2 }); return { image: g.Upscale({ image: up, method: "area" }).image }; } });
workflow(g => { const { MODEL, clip } = g.CheckpointLoaderSimple({ ckpt_name: "a" }); g.LoraLoader({ model: MODEL, clip, lora_name: "x" }); });
`)
	if out, err := exec.Command(tsc, append(slices.Clone(args), types, good)...).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
	bad := write("bad.ts", `workflow(g => { g.ImageInvert({ image: g.EmptyLatentImage({}) }); g.KSamplr({}); g.ImageScaleBy({ image: g.EmptyImage(), upscale_method: "aera" }); });`)
	out, err := exec.Command(tsc, append(args, types, bad)...).CombinedOutput()
	if err == nil || strings.Count(string(out), "error TS") != 3 {
		t.Errorf("three mistakes are to be found:\n%s", out)
	}
}
