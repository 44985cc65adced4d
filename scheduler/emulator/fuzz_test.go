package emulator

import (
	"context"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// nothing is a runner that saves nothing.
func nothing(context.Context, []byte, worker.Options) (*worker.Result, error) {
	return &worker.Result{}, nil
}

// FuzzSubmit holds that no body makes the emulator panic or answer what is no JSON, in any dialect and form.
func FuzzSubmit(f *testing.F) {
	f.Add(`{"input":` + input(1, "a") + `}`)
	f.Add(`{"input":{"workflow":{"1":{"class_type":"SaveImage","inputs":{"images":["1",0]}}},"images":[{"name":"a","image":"!!"}]}}`)
	f.Add(`{"input":{"workflow":{"1":{"class_type":"KSampler","inputs":{"steps":"x","cfg":1e999,"latent_image":["2",-1]}},"2":5}}}`)
	f.Add(`{"input":"{}","policy":{"ttl":1e300},"webhook":"x"}`)
	f.Add(`{"prompt":` + workflow(1, "a") + `,"prompt_id":5,"front":true,"extra_data":{"extra_pnginfo":{}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		e, err := New(Config{Runner: nothing, Endpoints: []Endpoint{{Name: "a", MaxWorkers: 1}, {Name: "n", Worker: "novitalabs/comfyui-worker:v0.0.1"}, {Name: "o", Worker: "runpod/worker-comfyui:4.0.0"}, {Name: "e", Worker: "echo"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for _, path := range []string{"/v2/a/runsync", "/v1/n/run", "/v2/o/run", "/v1/e/run", "/prompt"} {
			r := e.Handle(context.Background(), &Request{Method: "POST", Path: path, Body: []byte(body)})
			if !strings.HasPrefix(r.Type, "application/json") {
				if path == "/prompt" && r.Status == 500 {
					continue
				}
				t.Fatalf("%s: %d %s", path, r.Status, r.Type)
			}
			if _, err := source.ParseJSON(source.NewFile("answer", r.Body), source.Limits{}); err != nil {
				t.Fatalf("%s: %q: %v", path, r.Body, err)
			}
		}
	})
}

// FuzzPath holds that no path makes the emulator panic.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/v1/ep/status/x", "/v2/ep//", "/native/ep/api/jobs/x/cancel", "/view", "/files/a/b.png", "/history/../x", "/v2", ""} {
		f.Add("GET", path, "filename=a&subfolder=../b&wait=1&offset=-1&max_items=x")
	}
	e, err := New(Config{Runner: nothing, Endpoints: []Endpoint{{Name: "ep", Worker: "echo"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if r := e.Handle(context.Background(), &Request{Method: method, Path: path, Query: query}); r.Status < 200 || r.Status > 599 {
			t.Fatalf("%s %s: %d", method, path, r.Status)
		}
	})
}
