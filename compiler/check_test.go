package compiler

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/schemas"
)

func read(t testing.TB, name string) *source.File {
	t.Helper()
	f, err := source.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]struct {
		valid bool
		good  string
		code  string
	}{
		"testdata/bad/flow.json":                 {true, "9", ""},
		"testdata/bad/flow_class.json":           {false, "", "missing_node_type"},
		"testdata/bad/flow_cycle.json":           {false, "", "dependency_cycle"},
		"testdata/bad/json_broken.json":          {false, "", "syntax"},
		"testdata/bad/wrong_option.yaml":         {false, "", "value_not_in_list"},
		"../examples/flux-dev/batch.yaml":        {true, "9", ""},
		"../examples/flux-fp8/request.json":      {true, "9 40 41", ""},
		"../examples/novita-worker/batch.yaml":   {true, "9", ""},
		"../examples/novita-worker/request.json": {true, "9", ""},
	} {
		r := Check(context.Background(), read(t, name), CheckOptions{Batch: Source{Env: env}})
		code := ""
		if len(r.Findings) > 0 && !r.Valid {
			code = r.Findings[0].Code
		}
		if r.Valid != want.valid || strings.Join(r.GoodOutputs, " ") != want.good || code != want.code {
			t.Errorf("%s: %v %v %s\n%s", name, r.Valid, r.GoodOutputs, code, print(r.Findings))
		}
		dec := json.NewDecoder(strings.NewReader(string(r.ToValue().AppendJSON(nil))))
		dec.UseNumber()
		var line any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if v := schemas.Check("diagnostic", line); len(v) > 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestConvertPassesAPIThrough(t *testing.T) {
	v, findings := Convert(read(t, "../examples/novita-worker/request.json"), nil)
	if v == nil || len(findings) > 0 || v.Get("9").Get("class_type").Str() != "SaveImage" {
		t.Errorf("%v %s", v, print(findings))
	}
	if v, findings := Convert(read(t, "testdata/bad/json_broken.json"), nil); v != nil || len(findings) != 1 {
		t.Error("a broken file is not refused")
	}
}

func TestBatchText(t *testing.T) {
	text, err := BatchText("flow.json", []string{"KSampler.steps=20", "6.text=a fox: red", "7.text=5"},
		[]string{"KSampler.seed=1-3", "cfg=[1, 2.5]", "KSampler.sampler_name=euler, heun", "KSampler.denoise=0.5, 0.6, .., 1"})
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, string(text))
	if p.Len() != 3*2*2*6 {
		t.Errorf("%d renders of\n%s", p.Len(), text)
	}
	if got := inputs(t, job(t, p, 0), "6")["text"]; got != "a fox: red" {
		t.Errorf("%q", got)
	}
	for _, bad := range [][]string{{"x"}, {"=1"}} {
		if _, err := BatchText("w", bad, nil); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*/batch.yaml")
	if err != nil || len(files) == 0 {
		t.Skip("the examples are not here")
	}
	for _, name := range files {
		f := read(t, name)
		p, findings := Compile(context.Background(), Source{File: f, Env: env, Run: true})
		if p == nil {
			t.Errorf("%s", print(findings))
		} else if p.Len() < 12 {
			t.Errorf("%s has %d renders", name, p.Len())
		}
	}
}

func TestParseUnits(t *testing.T) {
	for text, want := range map[string]string{"90s": "1m30s", "1h30m": "1h30m0s", "2d": "48h0m0s", "0.5h": "30m0s", "500ms": "500ms"} {
		if d, ok := parseDuration(text); !ok || d.String() != want {
			t.Errorf("parseDuration(%q) = %v, %v", text, d, ok)
		}
	}
	for _, text := range []string{"", "5", "h", "5 h", "5x", "99999999999999h"} {
		if d, ok := parseDuration(text); ok {
			t.Errorf("parseDuration(%q) = %v", text, d)
		}
	}
	for text, want := range map[string]int64{"4MiB": 4 << 20, "10 MB": 10_000_000, "1.5KiB": 1536, "7B": 7} {
		if n, ok := parseSize(source.NewString(text)); !ok || n != want {
			t.Errorf("parseSize(%q) = %d, %v", text, n, ok)
		}
	}
}

// uiForm is a workflow as ComfyUI's editor saves it, with one class to fill in.
const uiForm = `{"version": 0.4, "last_node_id": 2, "last_link_id": 1, "nodes": [
 {"id": 1, "type": "EmptyImage", "mode": 0, "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "widgets_values": [64, 32, 1, 0], "properties": {}},
 {"id": 2, "type": "CLASS", "mode": 0, "inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "outputs": [], "widgets_values": ["x"], "properties": {}}],
 "links": [[1, 1, 0, 2, 0, "IMAGE"]]}`

func TestUIForm(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.json", strings.Replace(uiForm, "CLASS", "SaveImage", 1))
	write(t, dir, "bad.json", strings.Replace(uiForm, "CLASS", "SaveImag", 1))
	p, findings := compileIn(t, dir, "workflow: w.json\nsweep: {matrix: {EmptyImage.color: [0, 255], 1.width: \"64-128 (+64)\"}}", Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	if got := inputs(t, job(t, p, 3), "1"); p.Len() != 4 || got["width"] != 128.0 || got["height"] != 32.0 || got["color"] != 255.0 {
		t.Errorf("%d renders, %v", p.Len(), got)
	}
	for _, name := range []string{"bad.json", "w.json"} {
		r := Check(context.Background(), read(t, filepath.Join(dir, name)), CheckOptions{})
		codes := ""
		for _, d := range r.Findings {
			codes += d.Code + " "
		}
		if want := map[string]string{"bad.json": "missing_node_type ", "w.json": ""}[name]; codes != want {
			t.Errorf("%s: %s", name, print(r.Findings))
		}
	}
	_, findings = compileIn(t, dir, "workflow: bad.json", Source{})
	if len(findings) != 1 || findings[0].Code != "missing_node_type" {
		t.Error(print(findings))
	}
}

// A sweep has at most 200 axes; one with just as many compiles.
func TestMostAxes(t *testing.T) {
	const graph = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`
	for n, want := range map[int]bool{maxAxes: true, maxAxes + 1: false} {
		var axes strings.Builder
		for i := range n {
			fmt.Fprintf(&axes, "    a%d: [%d]\n", i, i)
		}
		text := "workflow: w.json\nset: {EmptyImage.color: 1}\nsweep:\n  matrix:\n" + axes.String() + "bind:\n"
		for i := range n {
			text += fmt.Sprintf("  a%d: EmptyImage.color\n", i)
		}
		_, findings := compileIn(t, ".", text, Source{FS: fstest.MapFS{"w.json": {Data: []byte(graph)}}})
		bad := slices.ContainsFunc(findings, func(d diag.Diagnostic) bool { return d.Code == "bad_axis" })
		if bad == want || len(findings) == 0 {
			t.Errorf("%d axes: %s", n, print(findings))
		}
	}
}

// A sweep with one seed is remarked, one that varies it is not.
func TestSeedConstant(t *testing.T) {
	const graph = `{"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
 "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["1", 1]}},
 "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
 "4": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 1, "cfg": 1, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
       "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0]}},
 "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
 "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}}}`
	for sweep, want := range map[string]bool{
		"{cfg: [1, 2]}":                        true,
		"{cfg: [1]}":                           false,
		"{cfg: [1, 2], KSampler.seed: [1, 2]}": false,
	} {
		files := fstest.MapFS{"w.json": {Data: []byte(graph)}}
		batch := source.NewFile("batch.yaml", []byte("version: 1\nworkflow: w.json\nsweep: {matrix: "+sweep+"}\n"))
		_, findings := Compile(context.Background(), Source{File: batch, Dir: ".", FS: files})
		got := slices.ContainsFunc(findings, func(d diag.Diagnostic) bool { return d.Code == "seed_constant" })
		if got != want {
			t.Errorf("sweep %s: seed_constant %v, want %v; findings %v", sweep, got, want, findings)
		}
	}
}
