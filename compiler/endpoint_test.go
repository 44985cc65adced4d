package compiler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

const endpointsText = `
endpoints:
  nova: {type: novita, endpoint: {id: abc, app: flux}, gpu: rtx4090, worker: "runpod/worker-comfyui:5.5.0-flux1-dev"}
  pod: {type: runpod, gpu: NVIDIA H100 SXM, limits: {in_flight: 20, job_bytes: 4MiB, output_bytes: 10MB, retention: 1h30m}, aliases: {a: b}}
  own: {type: runpod, url: "http://127.0.0.1:8188/v2/x/", price: {usd_per_second: 0.001, as_of: 2026-01}, models: models.txt}
  native: {type: comfyui}
  l4: {type: runpod, endpoint: {id: x}, gpu: l4}
  big: {type: runpod, endpoint: {id: x}, gpu: {name: l4, vram_gb: 24}, key_env: OTHER}
  file: {type: serverless, url: "https://example.com", key_file: key.txt, allow_hosts: [10.0.0.1]}
`

func TestLoadEndpoints(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "models.txt", "# have\na.safetensors\r\n\nb.safetensors\n")
	f := source.NewFile(filepath.Join(dir, "e.yaml"), []byte(endpointsText))
	got, findings := LoadEndpoints(f, true, func(name string) (string, bool) {
		return map[string]string{"RUNPOD_ENDPOINT_ID": "fromenv"}[name], name == "RUNPOD_ENDPOINT_ID"
	})
	if len(got) != 7 || len(findings) != 1 || findings[0].Code != "unknown_gpu" {
		t.Fatal(len(got), print(findings))
	}
	nova, pod, own := got[0], got[1], got[2]
	if nova.URL != "https://async.novita.ai/v1/abc-flux" || nova.KeyEnv != "NOVITA_API_KEY" || nova.VRAM != 24 || nova.Price != nil {
		t.Errorf("%+v", nova)
	}
	if pod.URL != "https://api.runpod.ai/v2/fromenv" || pod.GPU != "h100" || *pod.Price != 0.00116 || pod.PriceAsOf != "2026-08" || pod.Aliases["a"] != "b" ||
		pod.Limits != (Limits{InFlight: 20, JobBytes: 4 << 20, OutputBytes: 10_000_000, Retention: 90 * time.Minute}) {
		t.Errorf("%+v", pod)
	}
	if own.URL != "http://127.0.0.1:8188/v2/x" || own.KeyEnv != "" || *own.Price != 0.001 || len(own.Models) != 2 || own.Models[0] != "a.safetensors" {
		t.Errorf("%+v", own)
	}
	if got[3].URL != "http://127.0.0.1:8188" || got[5].VRAM != 24 || got[5].KeyEnv != "OTHER" || got[6].KeyFile != filepath.Join(dir, "key.txt") {
		t.Errorf("%+v", got[3:])
	}
}

// keyCase is who may send which key where.
func TestKeyRules(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint string
		user     bool // the configuration is the user's own
		allow    []string
		want     string // codes
	}{
		"platform":          {`{type: runpod, url: "https://api.runpod.ai/v2/x", key_env: RUNPOD_API_KEY}`, false, nil, ""},
		"default":           {`{type: runpod, url: "https://api.runpod.ai/v2/x"}`, false, nil, ""},
		"no key elsewhere":  {`{type: runpod, url: "http://127.0.0.1:9/v2/x"}`, false, nil, ""},
		"elsewhere":         {`{type: runpod, url: "https://runpod.ai.evil.example/v2/x", key_env: RUNPOD_API_KEY}`, false, nil, "key_not_allowed"},
		"suffix":            {`{type: runpod, url: "https://evilrunpod.ai/v2/x", key_env: RUNPOD_API_KEY}`, false, nil, "key_not_allowed"},
		"without TLS":       {`{type: runpod, url: "http://api.runpod.ai/v2/x", key_env: RUNPOD_API_KEY}`, false, nil, "key_not_allowed"},
		"other variable":    {`{type: runpod, url: "https://api.runpod.ai/v2/x", key_env: HOME}`, false, nil, "key_not_allowed"},
		"port":              {`{type: runpod, url: "https://api.runpod.ai:444/v2/x", key_env: RUNPOD_API_KEY}`, false, nil, ""},
		"own configuration": {`{type: runpod, url: "https://mine.example/v2/x", key_env: RUNPOD_API_KEY}`, true, nil, ""},
		"allowed":           {`{type: runpod, url: "https://mine.example/v2/x", key_env: RUNPOD_API_KEY}`, false, []string{"RUNPOD_API_KEY=mine.example"}, ""},
		"other host":        {`{type: runpod, url: "https://mine.example/v2/x", key_env: RUNPOD_API_KEY}`, false, []string{"RUNPOD_API_KEY=other.example"}, "key_not_allowed"},
		"missing":           {`{type: novita, url: "https://async.novita.ai/v1/x"}`, false, nil, "missing_key"},
		"file":              {`{type: runpod, url: "https://api.runpod.ai/v2/x", key_file: /etc/hostname}`, false, nil, "key_not_allowed"},
		"password":          {`{type: runpod, url: "https://a:b@api.runpod.ai/v2/x"}`, false, nil, "bad_url"},
		"in clear":          {`{type: runpod, url: "http://mine.example/v2/x", key_env: RUNPOD_API_KEY}`, true, nil, "key_in_clear"},
	} {
		dir, config := t.TempDir(), t.TempDir()
		where := dir
		if c.user {
			where = config
		}
		write(t, where, EndpointsFileName, "endpoints:\n  e: "+c.endpoint+"\n  broken: {type: novita}\n")
		write(t, dir, "flow.json", `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
		_, findings := compileIn(t, dir, "workflow: flow.json\nendpoints: [e]", Source{ConfigDir: config, AllowKeys: c.allow, Run: true})
		var codes []string
		for _, d := range findings {
			codes = append(codes, d.Code)
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: got %q, want %q\n%s", name, got, c.want, print(findings))
		}
		if strings.Contains(print(findings), "secret-runpod-key") {
			t.Errorf("%s: a key is printed", name)
		}
	}
}

func TestEndpointsFileFlag(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	text := "endpoints: {e: {type: runpod, url: \"https://mine.example\", key_env: RUNPOD_API_KEY}}"
	write(t, dir, "mine.yaml", text)
	write(t, elsewhere, "mine.yaml", text)
	flow, err := os.ReadFile("testdata/bad/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "flow.json", string(flow))
	for file, ok := range map[string]bool{filepath.Join(elsewhere, "mine.yaml"): true, filepath.Join(dir, "mine.yaml"): false} {
		p, findings := compileIn(t, dir, "workflow: flow.json\nendpoints: e", Source{EndpointsFile: file, Run: true})
		if (p != nil) != ok {
			t.Errorf("%s: %s", file, print(findings))
		}
	}
}

// A batch that came over a network reads only what came with it, and describes no endpoints.
func TestFS(t *testing.T) {
	flow, err := os.ReadFile("testdata/bad/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"w/flow.json": {Data: flow}}
	p, findings := compileIn(t, "testdata", "workflow: w/flow.json", Source{FS: files})
	if p == nil {
		t.Fatal(print(findings))
	}
	for text, code := range map[string]string{
		"workflow: bad/flow.json":                                                       "unreadable_file",
		"workflow: ../testdata/bad/flow.json":                                           "unreadable_file",
		"workflow: /etc/hostname":                                                       "unreadable_file",
		"workflow: w/flow.json\noutput: {dir: /tmp}":                                    "not_here",
		"workflow: w/flow.json\nendpoints: [{type: comfyui, url: \"http://10.0.0.1\"}]": "not_here",
		"workflow: w/flow.json\nsweep: {matrix: {6.text: {lines: /etc/passwd}}}":        "unreadable_file",
	} {
		p, findings := compileIn(t, "testdata", text, Source{FS: files})
		if p != nil || len(findings) != 1 || findings[0].Code != code {
			t.Errorf("%s: %s", text, print(findings))
		}
	}
	inline := `workflow: {"1": {class_type: EmptyImage, inputs: {width: 64, height: 64, batch_size: 1, color: 0}}, "2": {class_type: SaveImage, inputs: {images: ["1", 0], filename_prefix: x}}}`
	if p, findings := compileIn(t, "testdata", inline, Source{FS: files}); p == nil {
		t.Error(print(findings))
	}
}
