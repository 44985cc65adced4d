package compiler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// compileIn compiles a batch text against the files of a folder.
func compileIn(t testing.TB, dir, text string, opt Source) (*Plan, []diag.Diagnostic) {
	t.Helper()
	opt.File, opt.Dir = source.NewFile("batch.yaml", []byte(text)), dir
	if opt.Env == nil {
		opt.Env = env
	}
	return Compile(context.Background(), opt)
}

// plan compiles a batch that is expected to be good, against testdata/bad, whose flow.json is good.
func plan(t testing.TB, text string) *Plan {
	t.Helper()
	p, findings := compileIn(t, "testdata/bad", text, Source{})
	if p == nil {
		t.Fatalf("%s\n%s", text, print(findings))
	}
	return p
}

func print(findings []diag.Diagnostic) string {
	var b bytes.Buffer
	if err := diag.Print(&b, findings, diag.Options{}); err != nil {
		return err.Error()
	}
	return b.String()
}

// inputs gives the inputs of one node of a job, as JSON values.
func inputs(t testing.TB, j *Job, node string) map[string]any {
	t.Helper()
	var prompt map[string]struct {
		Inputs map[string]any `json:"inputs"`
		Class  string         `json:"class_type"`
	}
	if err := json.Unmarshal(j.Prompt, &prompt); err != nil {
		t.Fatalf("%v: %s", err, j.Prompt)
	}
	n, ok := prompt[node]
	if !ok {
		t.Fatalf("node %s is not in %s", node, j.Prompt)
	}
	return n.Inputs
}

func job(t testing.TB, p *Plan, renders ...int) *Job {
	t.Helper()
	j, err := p.Job(renders...)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSetAndSweep(t *testing.T) {
	p := plan(t, `
workflow: flow.json
set: {6.text: "a ${color} fox, $${raw}, 5$$", KSampler.steps: "${steps}", KSampler.denoise: 0.75}
sweep:
  matrix:
    steps: [10, 11]
    tone: [dark]
    color: [red, {value: "${tone} blue", label: blue}]
    cfg: "3.5-4 (+0.5)"
  zip: {KSampler.sampler_name: [heun], KSampler.seed: [18446744073709551615]}
`)
	if p.Len() != 8 || p.Coordinates() != 8 {
		t.Fatalf("%d renders, %d coordinates", p.Len(), p.Coordinates())
	}
	last := job(t, p, 7)
	k := inputs(t, last, "3")
	for name, want := range map[string]string{"steps": "11", "cfg": "4", "denoise": "0.75", "sampler_name": "heun", "scheduler": "normal"} {
		if got := fmt.Sprint(k[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if got := inputs(t, last, "6")["text"]; got != "a dark blue fox, ${raw}, 5$$" {
		t.Errorf("text = %q", got)
	}
	if !strings.Contains(string(last.Prompt), `"seed":18446744073709551615`) {
		t.Error("a seed of 2^64-1 did not survive")
	}
	r := p.Render(7)
	if r.Seed != "18446744073709551615" || r.Index != 7 || r.ID != p.RenderID(7) || len(r.Patches) != 6 {
		t.Errorf("%+v", r)
	}
	params := p.Params(7)
	if params.Positive != "a dark blue fox, ${raw}, 5$$" || params.Negative != "blurry" || params.Settings[0] != (Param{"steps", "11"}) {
		t.Errorf("%+v", params)
	}
}

func TestReplaceAndLora(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.json", `{
  "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
  "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "x.safetensors", "strength_model": 1, "strength_clip": 1, "model": ["1", 0], "clip": ["1", 1]}},
  "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat on a cat tree", "clip": ["2", 1]}},
  "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 2}},
  "5": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 2, "cfg": 1, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, "model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0]}},
  "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "p"}}}`)
	p, findings := compileIn(t, dir, `
workflow: w.json
sweep:
  matrix:
    animal: {replace: [cat, dog]}
    style: {lora: [sub/oil.safetensors, ink.safetensors], strength: "0.5-1 (+0.5)"}
bind: {animal: 3.text, style: LoraLoader}
output: {filename: "%axis.animal% %axis.style%"}
`, Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	j := job(t, p, 6)
	if got := inputs(t, j, "3")["text"]; got != "a dog on a dog tree" {
		t.Errorf("text = %q", got)
	}
	l := inputs(t, j, "2")
	if l["lora_name"] != "ink.safetensors" || l["strength_model"] != 0.5 || l["strength_clip"] != 0.5 {
		t.Errorf("%v", l)
	}
	if got := p.FileName(5, Facts{}); got != "dog oil_1" {
		t.Errorf("the name is %q", got)
	}
	if j.Owed[0].Images != 2 || j.Width != 64 || !slices.Equal(j.Models, []string{"a.safetensors", "ink.safetensors"}) {
		t.Errorf("%+v, %d, %v", j.Owed, j.Width, j.Models)
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Two SaveImage of one picture with the same prefix, and a preview: both files are owed, and told apart; the preview is not sent.
func TestOutputs(t *testing.T) {
	p := planOf(t, "../examples/flux-fp8/request.json")
	j := job(t, p, 0)
	if len(j.Owed) != 2 || j.Owed[0].Node != "9" || j.Owed[1].Node != "40" || j.Owed[0].Prefix == j.Owed[1].Prefix || j.OutputNode != "9" {
		t.Errorf("%+v", j.Owed)
	}
	if strings.Contains(string(j.Prompt), "PreviewImage") || slices.Contains(j.Classes, "PreviewImage") {
		t.Error("the preview is sent")
	}
	for _, o := range j.Owed {
		if inputs(t, j, o.Node)["filename_prefix"] != o.Prefix || strings.Contains(o.Prefix, "/") {
			t.Errorf("%s: the prefix %s is not sent", o.Node, o.Prefix)
		}
	}
	if strings.HasPrefix(j.Owed[1].Prefix, j.Owed[0].Prefix) {
		t.Error("one prefix begins with the other")
	}
	if job(t, planOf(t, "../examples/novita-worker/request.json"), 0).OutputNode != "9" {
		t.Error("the request's output_node_id is lost")
	}
}

func planOf(t testing.TB, workflow string) *Plan {
	t.Helper()
	p, findings := compileIn(t, ".", "workflow: "+workflow, Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	return p
}

// A workflow that only previews is sent with SaveImage in its place.
func TestOnlyPreview(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.json", `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 3, "color": 0}},
"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}`)
	p, findings := compileIn(t, dir, "workflow: w.json", Source{})
	if p == nil || len(findings) != 1 || findings[0].Code != "preview_saved" {
		t.Fatal(print(findings))
	}
	j := job(t, p, 0)
	if len(j.Owed) != 1 || j.Owed[0].Class != "SaveImage" || j.Owed[0].Images != 3 || !strings.Contains(string(j.Prompt), `"class_type":"SaveImage"`) || j.Height != 32 {
		t.Errorf("%+v: %s", j.Owed, j.Prompt)
	}
}

// Several renders in one job share equal nodes and keep an output each.
func TestFused(t *testing.T) {
	p := plan(t, "workflow: flow.json\nsweep: {matrix: {6.text: [fox, dog], KSampler.seed: [1, 2, 3, 4]}}")
	j := job(t, p, 0, 1, 2, 3, 4, 5, 6, 7)
	var prompt map[string]map[string]any
	if err := json.Unmarshal(j.Prompt, &prompt); err != nil {
		t.Fatal(err)
	}
	// checkpoint, latent, negative; two positives; eight samplers, decoders and outputs
	if len(prompt) != 3+2+8*3 || len(j.Owed) != 8 || len(j.Origin) != len(prompt) {
		t.Errorf("%d nodes, %d owed, %d origins", len(prompt), len(j.Owed), len(j.Origin))
	}
	seen := map[string]bool{}
	for i, o := range j.Owed {
		if o.Render != i || o.Node != "9" || seen[o.Prefix] {
			t.Errorf("%+v", o)
		}
		seen[o.Prefix] = true
	}
	for id, node := range prompt {
		for _, v := range node["inputs"].(map[string]any) {
			if link, ok := v.([]any); ok && prompt[link[0].(string)] == nil {
				t.Errorf("node %s links to %v, which is not there", id, link)
			}
		}
	}
	for _, bad := range [][]int{nil, {8}, {-1}, {1, 1}} {
		if _, err := p.Job(bad...); err == nil {
			t.Errorf("Job(%v) is no error", bad)
		}
	}
}

// What does not change the picture does not change the id; what does, does.
func TestRenderID(t *testing.T) {
	text, err := os.ReadFile("testdata/bad/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	id := func(change func(string) string) RenderID {
		dir := t.TempDir()
		write(t, dir, "flow.json", change(string(text)))
		p, findings := compileIn(t, dir, "workflow: flow.json", Source{})
		if p == nil {
			t.Fatal(print(findings))
		}
		return p.RenderID(0)
	}
	replace := func(pairs ...string) func(string) string {
		return func(s string) string {
			out := strings.NewReplacer(pairs...).Replace(s)
			if out == s {
				t.Fatalf("nothing is replaced by %q", pairs)
			}
			return out
		}
	}
	base := id(func(s string) string { return s })
	for name, change := range map[string]func(string) string{
		"spelling of numbers": replace(`"cfg": 7.0`, `"cfg": 7`),
		"title":               replace(`"Positive"`, `"Something"`),
		"prefix":              replace(`"ComfyUI"`, `"Other"`),
		"ids":                 replace(`"6"`, `"66"`, `"3"`, `"x"`),
		"order of inputs":     replace(`"seed": 42,`, "", `"denoise": 1.0,`, `"denoise": 1.0, "seed": 42,`),
		"a node nobody needs": replace(`"9": {`, `"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}, "9": {`),
	} {
		if id(change) != base {
			t.Errorf("%s changes the id", name)
		}
	}
	for name, change := range map[string]func(string) string{
		"a value": replace(`"seed": 42`, `"seed": 43`), "a model": replace("sd_xl_base_1.0", "other"), "a text": replace("a red fox", "a red  fox"),
		"a link": replace(`"positive": ["6", 0]`, `"positive": ["7", 0]`), "a class": replace(`"EmptyLatentImage"`, `"EmptySD3LatentImage"`),
	} {
		if id(change) == base {
			t.Errorf("%s does not change the id", name)
		}
	}
}

// Editing a batch keeps the renders that stay.
func TestEditsKeepRenders(t *testing.T) {
	ids := func(text string) map[RenderID]bool {
		p := plan(t, text)
		out := map[RenderID]bool{}
		for i := range p.Len() {
			out[p.RenderID(i)] = true
		}
		return out
	}
	before := ids("workflow: flow.json\nsweep: {matrix: {cfg: [1, 2], KSampler.seed: {random: 3}}}")
	after := ids("workflow: flow.json\nsweep: {matrix: {KSampler.seed: {random: 5}, guidance: [3, 1, 2]}}\nbind: {guidance: cfg}")
	for id := range before {
		if !after[id] {
			t.Error("a render was lost")
		}
	}
	if len(before) != 6 || len(after) != 15 {
		t.Errorf("%d and %d renders", len(before), len(after))
	}
}

// Coordinates whose graphs are equal share one render.
func TestSharedRenders(t *testing.T) {
	p := plan(t, `
workflow: flow.json
set: {6.text: "${a}${b}"}
sweep: {matrix: {a: [x, xx], b: [xx, x, z]}}
`)
	if p.Len() != 5 || p.Coordinates() != 6 {
		t.Fatalf("%d renders, %d coordinates", p.Len(), p.Coordinates())
	}
	if got := p.CoordinatesOf(0); !slices.Equal(got, []int{0, 4}) {
		t.Errorf("render 0 has the coordinates %v", got)
	}
	ids := map[string]bool{}
	for i := range p.Coordinates() {
		c := p.Coordinate(i)
		ids[c.ID] = true
		if !slices.Contains(p.CoordinatesOf(c.Render), i) {
			t.Errorf("coordinate %d is not one of its render's", i)
		}
	}
	if len(ids) != 6 {
		t.Error("two coordinates have one id")
	}
}

func TestDeterministic(t *testing.T) {
	text := "workflow: flow.json\nseed: 9\nsweep: {matrix: {KSampler.seed: {random: 5}, cfg: \"1-9\"}, sample: {count: 20}}"
	one, two := plan(t, text), plan(t, text)
	if one.Hash() != two.Hash() || len(one.Hash()) != 64 || !bytes.Equal(job(t, one, 7).Prompt, job(t, two, 7).Prompt) {
		t.Error("equal batches give different plans")
	}
	a, b := one.Report(ReportOptions{}), two.Report(ReportOptions{})
	if a.Text() != b.Text() || string(a.ToValue().AppendJSON(nil)) != string(b.ToValue().AppendJSON(nil)) {
		t.Error("equal plans have different reports")
	}
	if plan(t, strings.Replace(text, "seed: 9", "seed: 8", 1)).Hash() == one.Hash() {
		t.Error("another seed gives the same plan")
	}
}

func TestFileNames(t *testing.T) {
	p := plan(t, `
workflow: flow.json
sweep: {matrix: {KSampler.seed: [1, 2], prompt: [{label: "a/b", value: fox}, dog]}}
bind: {prompt: 6.text}
output: {filename: "%axis.prompt%/%KSampler.seed%-%@Positive.text%-%batch%-%width%x%height%-%date:yyyy%-%seed%-%index%"}
`)
	facts := Facts{Batch: 2, Width: 64, Height: 32, Time: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)}
	if got := p.FileName(2, facts); got != "a_b/2-fox-2-64x32-2026-2-2" {
		t.Errorf("%q", got)
	}
	wide := plan(t, "workflow: flow.json\nsweep: {matrix: {cfg: \"1-100\"}}")
	if got := wide.FileName(7, Facts{}); got != "07" {
		t.Errorf("the default name is %q", got)
	}
}

func TestInputs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.json", `{"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}, "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["1", 0]}}}`)
	write(t, dir, "a.png", "one")
	write(t, dir, "b.png", "two")
	write(t, dir, "c.PNG", "one")
	p, findings := compileIn(t, dir, "workflow: w.json\nsweep: {matrix: {photo: {files: \"*.[pP]*\"}}}\nbind: {photo: LoadImage.image}\noutput: {filename: \"%axis.photo%\"}", Source{})
	if p == nil || len(findings) > 0 {
		t.Fatal(print(findings))
	}
	if p.Len() != 2 || p.Coordinates() != 3 || len(p.Files()) != 2 {
		t.Errorf("%d renders, %d coordinates, %d files", p.Len(), p.Coordinates(), len(p.Files()))
	}
	j := job(t, p, 1)
	if len(j.Files) != 1 || j.Files[0].Size != 3 || inputs(t, j, "1")["image"] != j.Files[0].Name || !strings.HasSuffix(j.Files[0].Name, ".png") {
		t.Errorf("%+v", j.Files)
	}
	if text, err := os.ReadFile(j.Files[0].Path); err != nil || string(text) != "two" {
		t.Errorf("%s: %q, %v", j.Files[0].Path, text, err)
	}
	fixed, findings := compileIn(t, dir, "workflow: w.json\ninputs: {LoadImage.image: \"${n}.png\"}\nsweep: {matrix: {n: [a, b]}}", Source{})
	if fixed == nil || fixed.RenderID(1) != p.RenderID(1) {
		t.Error("the same file gives another render", print(findings))
	}
	_, findings = compileIn(t, dir, "workflow: w.json", Source{})
	if len(findings) != 1 || findings[0].Code != "input_not_uploaded" {
		t.Error(print(findings))
	}
}

// A plan may be used from many goroutines at once.
func TestConcurrentUse(t *testing.T) {
	p := plan(t, "workflow: flow.json\nset: {6.text: \"fox ${n}\"}\nsweep: {matrix: {n: [1, 2, 3], KSampler.seed: {random: 20000}}, sample: {count: 50}}")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range p.Len() {
				r := (i*7 + g) % p.Len()
				if _, err := p.Job(r); err != nil {
					t.Error(err)
				}
				if p.Render(r).ID != p.RenderID(r) || len(p.Axes()[1].Values) != 20000 {
					t.Error("another answer")
				}
				p.FileName(p.CoordinatesOf(r)[0], Facts{})
				p.Params(r)
			}
		})
	}
	wg.Wait()
}
