package dialect_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// emulated is a job that every dialect can do: a picture that was sent along, inverted and saved.
func emulated(content []byte) *compiler.Job {
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:8]) + ".png"
	return &compiler.Job{
		Prompt: []byte(`{"1":{"class_type":"LoadImage","inputs":{"image":"` + name + `"}},"2":{"class_type":"ImageInvert","inputs":{"image":["1",0]}},
			"9":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"r1"}}}`),
		OutputNode: "9",
		Files:      []compiler.InputFile{{Name: name, Path: "in.png", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}},
	}
}

// TestEmulated takes every dialect over a real connection from the submission to the picture.
func TestEmulated(t *testing.T) {
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "preview"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	client, base, stop := e.Listen()
	t.Cleanup(stop)
	pixels := pixelPNG(t)
	for name, cfg := range map[string]compiler.EndpointConfig{
		"novita":             {Type: "novita", URL: base + "/v1/preview"},
		"runpod":             {Type: "runpod", URL: base + "/v2/preview"},
		"comfyui":            {Type: "comfyui", URL: base + "/native/preview"},
		"serverless":         {Type: "serverless", URL: base + "/v2/preview/runsync"},
		"serverless comfyui": {Type: "serverless", URL: base + "/native/preview"},
		"preview":            {Type: "preview"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Name = "ep"
			ep, err := dialect.Open(cfg, dialect.Deps{
				Transport: client,
				ReadFile:  func(string) ([]byte, error) { return pixels, nil },
				Preview:   func(compiler.EndpointConfig) (http.RoundTripper, error) { return e.RoundTripper(), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			through(ctx, t, ep, emulated(pixels))
		})
	}
}

// TestEmulatedModels: an emulated server on which every model exists says so before the submission too, and one with a list of them keeps to it.
func TestEmulatedModels(t *testing.T) {
	prompt := func(class, input, model string) *compiler.Job {
		return &compiler.Job{Prompt: []byte(`{"1":{"class_type":"` + class + `","inputs":{"` + input + `":"` + model + `"}}}`)}
	}
	for _, tc := range []struct {
		models []string
		job    *compiler.Job
		fits   bool
	}{
		{nil, prompt("CheckpointLoaderSimple", "ckpt_name", "any.safetensors"), true},
		{nil, prompt("LoraLoader", "lora_name", "any.safetensors"), true},
		{[]string{"m.safetensors"}, prompt("CheckpointLoaderSimple", "ckpt_name", "m.safetensors"), true},
		{[]string{"m.safetensors"}, prompt("CheckpointLoaderSimple", "ckpt_name", "any.safetensors"), false},
		{[]string{}, prompt("CheckpointLoaderSimple", "ckpt_name", "any.safetensors"), false},
	} {
		e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "ep", Dialects: []emulator.Dialect{emulator.ComfyUI}, Models: tc.models}}})
		if err != nil {
			t.Fatal(err)
		}
		ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: "http://emulator.test/native/ep"}, dialect.Deps{Transport: e.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		if err := ep.(scheduler.Preparer).Prepare(t.Context(), tc.job); (err == nil) != tc.fits {
			t.Errorf("models %q, %s: %v", tc.models, tc.job.Prompt, err)
		}
		e.Close()
	}
}

// through takes a job from check to picture.
func through(ctx context.Context, t *testing.T, ep scheduler.Endpoint, job *compiler.Job) {
	t.Helper()
	if err := ep.(scheduler.Checker).Check(ctx); err != nil {
		t.Fatal(err)
	}
	st, id := finish(ctx, t, ep, job)
	if st.State != scheduler.Completed || len(st.Outputs) != 1 {
		t.Fatalf("%+v %v", st, st.Err)
	}
	file, err := ep.Fetch(ctx, st.Outputs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil || picture.Bounds().Dx() != 1 {
		t.Errorf("%v, %v", picture, err)
	}
	if err := ep.Cancel(ctx, id); err != nil {
		t.Errorf("cancel what is done: %v", err)
	}
	if st, err := ep.Poll(ctx, "00000000-0000-4000-8000-000000000000"); err != nil || st.State != scheduler.Gone {
		t.Errorf("a job that never was: %+v, %v", st, err)
	}
}

// finish submits a job and polls until it has ended.
func finish(ctx context.Context, t *testing.T, ep scheduler.Endpoint, job *compiler.Job) (st scheduler.Status, id string) {
	t.Helper()
	id, err := ep.Submit(ctx, job, scheduler.Terms{})
	for err == nil && !st.State.Final() {
		runtime.Gosched()
		st, err = ep.Poll(ctx, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return st, id
}

func pixelPNG(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEmulatedWorkers goes through the forms of workers and the ways in which they hand images over.
func TestEmulatedWorkers(t *testing.T) {
	cases := map[string]struct {
		worker  string
		outputs emulator.Delivery
		problem bool
	}{
		"base64":       {"runpod/worker-comfyui:5.5.0-flux1-dev", emulator.Base64, false},
		"bucket":       {"runpod/worker-comfyui:5.5.0-base", emulator.URL, false},
		"no bucket":    {"runpod/worker-comfyui:5.5.0-base", emulator.Path, true},
		"old":          {"runpod/worker-comfyui:3.6.0", emulator.Base64, false},
		"old, bucket":  {"runpod/worker-comfyui:3.6.0", emulator.URL, false},
		"novita's own": {"novitalabs/comfyui-worker:v0.0.1", emulator.Base64, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x", Worker: c.worker, Outputs: c.outputs, Key: secretKey}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			cfg := compiler.EndpointConfig{Name: "ep", Type: "novita", URL: "http://emulator.invalid/v1/x", Worker: c.worker, KeyEnv: "K", FromUser: true}
			ep, err := dialect.Open(cfg, dialect.Deps{Transport: e.RoundTripper(), Getenv: func(string) string { return secretKey }})
			if err != nil {
				t.Fatal(err)
			}
			job := &compiler.Job{OutputNode: "9", Prompt: []byte(`{"1":{"class_type":"EmptyImage","inputs":{"width":1,"height":1,"batch_size":1,"color":255}},
				"9":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"r1"}}}`)}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if !c.problem {
				through(ctx, t, ep, job)
				return
			}
			if st, _ := finish(ctx, t, ep, job); len(st.Outputs) != 1 || st.Outputs[0].Problem == "" {
				t.Errorf("%+v", st)
			}
		})
	}
}

func BenchmarkSubmitPoll(b *testing.B) {
	sub := queues()[0]
	s := httptest.NewServer(&remoteServer{subject: sub, quiet: true})
	defer s.Close()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "novita", URL: s.URL + sub.path, KeyEnv: "K", FromUser: true},
		dialect.Deps{Getenv: func(string) string { return secretKey }})
	if err != nil {
		b.Fatal(err)
	}
	job := testJob()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id, err := ep.Submit(b.Context(), job, scheduler.Terms{})
			if err == nil {
				_, err = ep.Poll(b.Context(), id)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBare makes the same calls with nothing around them, for comparison.
func BenchmarkBare(b *testing.B) {
	sub := queues()[0]
	s := httptest.NewServer(&remoteServer{subject: sub, quiet: true})
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ask := func(method, path string, body []byte) error {
		r, err := http.NewRequestWithContext(b.Context(), method, s.URL+sub.path+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+secretKey)
		response, err := client.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	body := []byte(`{"input":{"workflow":` + string(testJob().Prompt) + `}}`)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := errors.Join(ask("POST", "/run", body), ask("GET", "/status/job-1", nil)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
