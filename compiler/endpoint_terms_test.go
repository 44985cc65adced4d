package compiler

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

// TestEndpointTerms reads what an endpoint says of its workers, of each job, and of the bucket; keys are named, never read.
func TestEndpointTerms(t *testing.T) {
	const text = `
endpoints:
  pod:
    type: runpod
    endpoint: {id: abc}
    workers: {min: 1, max: 4, concurrency: 2, cold_start: 45s, idle_timeout: 5s}
    policy: {execution_timeout: 10m, ttl: 1h30m, low_priority: true}
    bucket: {url: "https://s3.example", name: out, access_key_env: S3_ID, secret_key_env: S3_SECRET}
  app: {type: serverless, url: "https://app.example/runsync", health: /health}
  bare: {type: comfyui}
`
	got, findings := LoadEndpoints(source.NewFile("e.yaml", []byte(text)), true, func(name string) (string, bool) {
		if name == "S3_ID" || name == "S3_SECRET" {
			t.Errorf("%s was read", name)
		}
		return "", false
	})
	if len(got) != 3 || len(findings) != 0 {
		t.Fatal(len(got), findings)
	}
	pod, app, bare := got[0], got[1], got[2]
	if pod.Workers != (Workers{Min: 1, Max: 4, Concurrency: 2, ColdStart: 45 * time.Second, IdleTimeout: 5 * time.Second}) {
		t.Errorf("%+v", pod.Workers)
	}
	if pod.Terms != (JobTerms{Execution: 10 * time.Minute, TTL: 90 * time.Minute, LowPriority: true}) {
		t.Errorf("%+v", pod.Terms)
	}
	if pod.Bucket == nil || *pod.Bucket != (Bucket{URL: "https://s3.example", Name: "out", KeyEnv: "S3_ID", SecretEnv: "S3_SECRET"}) {
		t.Errorf("%+v", pod.Bucket)
	}
	if app.Health != "/health" || bare.Bucket != nil || bare.Workers != (Workers{}) || bare.Terms != (JobTerms{}) {
		t.Errorf("%+v %+v", app, bare)
	}
	for _, bad := range []string{"workers: {max: 0}", "policy: {execution_timeout: ten}", "bucket: {name: x}", "health: health", "workers: {most: 3}"} {
		file := source.NewFile("e.yaml", []byte("endpoints:\n  x: {type: runpod, url: \"https://h/x\", "+bad+"}\n"))
		if _, findings := LoadEndpoints(file, true, nil); len(findings) == 0 {
			t.Errorf("%s is taken", bad)
		}
	}
}

// TestBucketKeyRules: what may not be sent, or is not there, is said before anything runs.
func TestBucketKeyRules(t *testing.T) {
	const flow = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`
	const endpoint = `{type: runpod, url: "https://mine.example/v2/x", bucket: {url: "https://s3.example", name: b, access_key_env: S3_ID, secret_key_env: S3_SECRET}}`
	for name, c := range map[string]struct {
		user  bool
		allow []string
		set   string // variables
		want  string // codes
	}{
		"the user's own":   {true, nil, "S3_ID S3_SECRET", ""},
		"one is missing":   {true, nil, "S3_ID", "missing_key"},
		"a batch's":        {false, nil, "S3_ID S3_SECRET", "key_not_allowed key_not_allowed"},
		"allowed":          {false, []string{"S3_ID=mine.example", "S3_SECRET=mine.example"}, "S3_ID S3_SECRET", ""},
		"allowed, missing": {false, []string{"S3_ID=mine.example", "S3_SECRET=mine.example"}, "S3_SECRET", "missing_key"},
	} {
		dir, config := t.TempDir(), t.TempDir()
		where := dir
		if c.user {
			where = config
		}
		write(t, where, EndpointsFileName, "endpoints:\n  e: "+endpoint+"\n")
		write(t, dir, "flow.json", flow)
		env := func(name string) (string, bool) { return "value", slices.Contains(strings.Fields(c.set), name) }
		_, findings := compileIn(t, dir, "workflow: flow.json\nendpoints: [e]", Source{ConfigDir: config, AllowKeys: c.allow, Run: true, Env: env})
		var codes []string
		for _, d := range findings {
			codes = append(codes, d.Code)
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: %q, want %q: %s", name, got, c.want, print(findings))
		}
	}
}
