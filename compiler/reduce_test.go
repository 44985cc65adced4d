package compiler

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
)

// wasteful has two equal encoders and chains behind them, a preview with a node of its own, and a node that nothing needs.
const wasteful = `workflow: {
  "1": {class_type: CheckpointLoaderSimple, inputs: {ckpt_name: a.safetensors}},
  "2": {class_type: CLIPTextEncode, inputs: {text: a fox, clip: ["1", 1]}},
  "3": {class_type: CLIPTextEncode, inputs: {clip: ["1", 1], text: a fox}},
  "4": {class_type: EmptyLatentImage, inputs: {width: 64, height: 64, batch_size: 1}},
  "5": {class_type: KSampler, inputs: {seed: 1, steps: 2, cfg: 1, sampler_name: euler, scheduler: normal, denoise: 1, model: ["1", 0], positive: ["2", 0], negative: ["3", 0], latent_image: ["4", 0]}},
  "6": {class_type: VAEDecode, inputs: {samples: ["5", 0], vae: ["1", 2]}},
  "7": {class_type: VAEDecode, inputs: {samples: ["5", 0], vae: ["1", 2]}},
  "8": {class_type: ImageInvert, inputs: {image: ["7", 0]}},
  "9": {class_type: SaveImage, inputs: {filename_prefix: x, images: ["6", 0]}},
  "10": {class_type: SaveImage, inputs: {filename_prefix: x, images: ["7", 0]}},
  "11": {class_type: PreviewImage, inputs: {images: ["8", 0]}},
  "12": {class_type: CLIPTextEncode, inputs: {text: nobody reads this, clip: ["1", 1]}}}
sweep: {matrix: {KSampler.seed: [1, 2]}}
`

// sentIDs lists the nodes of a job by id, sorted, and the prompt by id.
func sentIDs(t *testing.T, j *Job) ([]string, map[string]struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}) {
	t.Helper()
	var prompt map[string]struct {
		Class  string         `json:"class_type"`
		Inputs map[string]any `json:"inputs"`
	}
	if err := json.Unmarshal(j.Prompt, &prompt); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for id, n := range prompt {
		ids = append(ids, id)
		for _, v := range n.Inputs {
			if link, ok := v.([]any); ok {
				if _, there := prompt[link[0].(string)]; !there {
					t.Errorf("node %s is linked to %v, which is not sent", id, link[0])
				}
			}
		}
	}
	slices.Sort(ids)
	return ids, prompt
}

func TestReduce(t *testing.T) {
	for _, c := range []struct {
		passes, sent string
		fused        int // nodes of both renders in one job
		codes        string
	}{
		{"", "1 10 2 4 5 6 9", 11, "dead_node equal_node not_asked"}, // 3 shared, and of each render a sampler, a decoder and two savers
		{"passes: {merge-equal: false}\n", "1 10 2 3 4 5 6 7 9", 18, "dead_node not_asked"},
		{"passes: {only-asked: false}\n", "1 10 11 2 4 5 6 8 9", 15, "dead_node equal_node"},
		{"passes: {drop-dead: false}\n", "1 10 12 2 4 5 6 9", 11, "equal_node not_asked"},
		{"passes: {drop-dead: false, only-asked: false, merge-equal: false}\n", "1 10 11 12 2 3 4 5 6 7 8 9", 22, ""},
	} {
		p, findings := compileIn(t, t.TempDir(), wasteful+c.passes, Source{})
		if p == nil {
			t.Fatalf("%s%s", c.passes, print(findings))
		}
		var codes []string
		for _, d := range findings {
			if slices.Contains([]string{"dead_node", "equal_node", "not_asked"}, d.Code) {
				codes = append(codes, d.Code)
				if d.Severity != diag.Info {
					t.Errorf("%s is no remark", d.Code)
				}
			}
		}
		slices.Sort(codes)
		if got := strings.Join(codes, " "); got != c.codes {
			t.Errorf("%q: remarks %q, want %q", c.passes, got, c.codes)
		}
		ids, prompt := sentIDs(t, job(t, p, 0))
		if got := strings.Join(ids, " "); got != c.sent {
			t.Errorf("%q: sent %s, want %s", c.passes, got, c.sent)
		}
		if len(job(t, p, 0).Owed) != 2 || prompt["9"].Class != "SaveImage" || prompt["10"].Class != "SaveImage" {
			t.Errorf("%q: an output was merged", c.passes)
		}
		if ids, _ := sentIDs(t, job(t, p, 0, 1)); len(ids) != c.fused {
			t.Errorf("%q: %d nodes in a job of two renders, want %d", c.passes, len(ids), c.fused)
		}
	}
}

// TestReduceKeepsIDs holds that what is sent beside the pictures' own nodes does not make another render of it.
func TestReduceKeepsIDs(t *testing.T) {
	a, _ := compileIn(t, t.TempDir(), wasteful, Source{})
	b, _ := compileIn(t, t.TempDir(), wasteful+"passes: {drop-dead: false, only-asked: false, merge-equal: false}\n", Source{})
	if a.RenderID(0) != b.RenderID(0) || a.RenderID(1) != b.RenderID(1) || a.RenderID(0) == a.RenderID(1) {
		t.Error("render ids follow the passes")
	}
}

// TestSetNodesStay holds that nodes which the batch sets are not merged, equal as they may look.
func TestSetNodesStay(t *testing.T) {
	p, findings := compileIn(t, t.TempDir(), strings.Replace(wasteful, "KSampler.seed: [1, 2]", "3.text: [a fox, a dog]", 1), Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	for r := range 2 {
		if ids, _ := sentIDs(t, job(t, p, r)); !slices.Contains(ids, "2") || !slices.Contains(ids, "3") {
			t.Errorf("render %d sends %v", r, ids)
		}
	}
}

func TestReportMemory(t *testing.T) {
	text := strings.Replace(wasteful, "a.safetensors", "flux1-dev-fp8.safetensors", 1) + "endpoints: [{name: small, type: comfyui, url: \"http://127.0.0.1:1\", gpu: {name: tiny, vram_gb: 1}}, {name: big, type: comfyui, url: \"http://127.0.0.1:2\", gpu: h100}, preview]\n"
	p, findings := compileIn(t, t.TempDir(), text, Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	r := p.Report(ReportOptions{})
	out, data := r.Text(), string(r.ToValue().AppendJSON(nil))
	for _, want := range []string{"  cannot: does not fit in 1 GB: needs at least", "  memory: fits in 80 GB: needs about 12 to 13 GB", "    sampling: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, want := range []string{`"gpu_gb":80`, `"fit":"fits"`, `"fit":"too_small"`, `"need_gb":{"low":`} {
		if !strings.Contains(data, want) {
			t.Errorf("%q is not in %s", want, data)
		}
	}
	if r.Endpoints[2].Memory != nil {
		t.Error("a preview needs no GPU")
	}
}
