package emulator

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

const everything = `
seed: 7
memory: 512MiB
fetched: 64MiB
parallel: 4
webhooks: true
endpoints:
  novita-4090:
    dialects: [novita, runpod, comfyui]
    key: test-key
    gpu: rtx4090
    price: 0.00031
    worker: runpod/worker-comfyui:5.5.0-flux1-dev
    outputs: url
    models: [flux1-dev.safetensors]
    workers: {min: 1, max: 4, concurrency: 2}
    cold_start: 45s
    idle_timeout: 5
    execution: {median: 14.56s, p95: 38.95s, max: 78.1s}
    execution_timeout: 10m
    ttl: 24h
    queue_limit: 1000
    limits: {job_bytes: 4MiB, output_bytes: none, retention: 6h, submit_per_10s: 1000, status_per_10s: none}
    faults:
      - {kind: lost-answer, at: [3, 7]}
      - {kind: http, status: 429, retry_after: 2s, on: status, rate: 0.05, after: true, times: 4}
      - {kind: redirect, at: 1, location: "http://x/", delay: 0.5, message: m}
  plain: {execution: 2s}
`

func parse(t *testing.T, text string, read func(*source.Value) (Config, []diag.Diagnostic)) (Config, string) {
	t.Helper()
	f := source.NewFile("emulator.yaml", []byte(text))
	v, err := source.ParseYAML(f, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c, found := read(v)
	var lines []string
	for _, d := range found {
		line, col := f.Position(d.Place.Start)
		lines = append(lines, strings.TrimSpace(strings.Join([]string{d.Code, source.FormatFloat(float64(line)), source.FormatFloat(float64(col)), d.Message, d.Hint}, " ")))
	}
	return c, strings.Join(lines, "\n")
}

func TestParseConfig(t *testing.T) {
	c, found := parse(t, everything, ParseConfig)
	if found != "" {
		t.Fatal(found)
	}
	want := Config{Seed: 7, Memory: 512 << 20, Fetched: 64 << 20, Parallel: 4, Webhooks: true, Endpoints: []Endpoint{{
		Name: "novita-4090", Dialects: []Dialect{Novita, RunPod, ComfyUI}, Key: "test-key", GPU: "rtx4090", Price: 0.00031,
		Worker: "runpod/worker-comfyui:5.5.0-flux1-dev", Outputs: URL, Models: []string{"flux1-dev.safetensors"},
		MinWorkers: 1, MaxWorkers: 4, Concurrency: 2, ColdStart: 45 * time.Second, IdleTimeout: 5 * time.Second,
		Execution:        ExecutionTime{Median: 14560 * time.Millisecond, P95: 38950 * time.Millisecond, Max: 78100 * time.Millisecond},
		ExecutionTimeout: 10 * time.Minute, TTL: 24 * time.Hour, QueueLimit: 1000,
		JobBytes: 4 << 20, OutputBytes: -1, Retention: 6 * time.Hour, SubmitPer10s: 1000, StatusPer10s: -1,
		Faults: []Fault{{Kind: LostAnswer, At: []int{3, 7}}, {Kind: HTTPStatus, Status: 429, RetryAfter: 2 * time.Second, On: Status, Rate: 0.05, After: true, Times: 4},
			{Kind: Redirect, At: []int{1}, Location: "http://x/", Delay: 500 * time.Millisecond, Message: "m"}},
	}, {Name: "plain", Execution: ExecutionTime{Fixed: 2 * time.Second}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("have %+v\nwant %+v", c, want)
	}
}

func TestParseConfigMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"endpoint: {}":                                           `schema 1.0 1.0 the emulator's configuration has no key "endpoint" did you mean "endpoints"?`,
		"endpoints: [a]":                                         `schema 1.0 12.0 a list is not possible here, expected the endpoints by name`,
		"endpoints: {a: {cold_start: soon}}":                     `schema 1.0 29.0 "soon" is no duration, expected one such as 45s, 1m30s or 2h`,
		"endpoints: {a: {limits: {job_bytes: big}}}":             `schema 1.0 37.0 "big" is no size, expected one such as 4MiB, 500KB or none`,
		"endpoints: {a: {faults: [{kind: fire}]}}":               `schema 1.0 26.0 fault 1: unknown kind "fire"`,
		"endpoints: {a: {faults: [{kind: reset, rate: 2}]}}":     `schema 1.0 26.0 fault 1: rate 2 is not between 0 and 1`,
		"endpoints: {a: {faults: [{kind: hang, on: submit}]}}":   `schema 1.0 26.0 fault 1: hang cannot strike "submit"`,
		"endpoints: {a: {workers: {min: -1}}}":                   `schema 1.0 32.0 a number is not possible here, expected a whole number that is not negative`,
		"endpoints: {a: {worker: docker}}":                       `schema 1.0 1.0 endpoint "a": unknown worker "docker": runpod/worker-comfyui:TAG, novitalabs/comfyui-worker:TAG or echo`,
		"endpoints: {a: {dialects: french}}":                     `schema 1.0 1.0 endpoint "a": unknown dialect "french"`,
		"endpoints: {a: {outputs: fax}}":                         `schema 1.0 1.0 endpoint "a": unknown outputs "fax"`,
		"endpoints: {'a/b': {}}":                                 `schema 1.0 13.0 the endpoint's name "a/b" may have letters, digits, dots, dashes and underscores only`,
		"seed: -3":                                               `schema 1.0 7.0 a number is not possible here, expected a whole number that is not negative`,
		"endpoints: {a: {key: 5, webhooks: 1}}":                  "schema 1.0 22.0 a number is not possible here, expected a text\nschema 1.0 25.0 an endpoint has no key \"webhooks\"",
		"endpoints: {a: {faults: [{kind: http, status: 42}]}}":   `schema 1.0 26.0 fault 1: 42 is no HTTP status`,
		"endpoints: {a: {faults: [{kind: reset, when: never}]}}": `schema 1.0 40.0 a fault has no key "when"`,
	} {
		if _, found := parse(t, text, ParseConfig); found != want {
			t.Errorf("%s:\n have %s\n want %s", text, found, want)
		}
	}
}

func TestParsePreview(t *testing.T) {
	c, found := parse(t, "seed: 3\nexecution: 1s\nfaults: [{kind: partial, at: 2}]", ParsePreview)
	if found != "" || c.Seed != 3 || len(c.Endpoints) != 1 || c.Endpoints[0].Name != "preview" || c.Endpoints[0].Execution.Fixed != time.Second || c.Endpoints[0].JobBytes != -1 {
		t.Errorf("%+v %s", c, found)
	}
	if c, found := ParsePreview(nil); found != nil || !reflect.DeepEqual(c, Preview()) {
		t.Errorf("%+v %v", c, found)
	}
	if _, found := parse(t, "endpoints: {}", ParsePreview); !strings.Contains(found, `the preview's settings has no key "endpoints"`) {
		t.Errorf("%s", found)
	}
}

// FuzzConfig holds that no text makes the reader panic, and that what it takes makes an emulator.
func FuzzConfig(f *testing.F) {
	f.Add(everything)
	f.Add("endpoints: {a: {faults: [{kind: http}]}}")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := source.ParseYAML(source.NewFile("x", []byte(text)), source.Limits{Values: 1000})
		if err != nil {
			return
		}
		c, found := ParseConfig(v)
		if len(found) > 0 {
			return
		}
		if _, err := c.withDefaults(); err != nil {
			t.Errorf("no finding, and yet: %v", err)
		}
	})
}
