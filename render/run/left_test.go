package run_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// TestLeftOnAnotherEndpoint: a run is interrupted with jobs on one endpoint, and the batch is edited to name only another one. The next run collects
// those jobs, submits none of them again, and submits nothing where they were.
func TestLeftOnAnotherEndpoint(t *testing.T) {
	const left, all = 4, 6
	release := make(chan struct{})
	held := func(ctx context.Context, prompt []byte, o worker.Options) (*worker.Result, error) {
		select {
		case <-release:
			return worker.Run(ctx, prompt, o)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	workers := func(name string) emulator.Endpoint {
		return emulator.Endpoint{Name: name, Dialects: []emulator.Dialect{emulator.RunPod}, MinWorkers: 8, MaxWorkers: 8}
	}
	e, err := emulator.New(emulator.Config{Runner: held, Endpoints: []emulator.Endpoint{workers("a"), workers("b")}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	file := "endpoints:\n  a: {type: runpod, url: \"http://emulator.invalid/v2/a\"}\n  b: {type: runpod, url: \"http://emulator.invalid/v2/b\"}\n"
	if err := os.WriteFile(filepath.Join(dir, compiler.EndpointsFileName), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // bounds a hang
	defer cancel()
	once := func(ctx context.Context, endpoint string, change func(*scheduler.Options)) scheduler.Summary {
		t.Helper()
		plan := compile(t, dir, "sweep: {matrix: {EmptyImage.color: \"1-6\"}}\nendpoints: ["+endpoint+"]\n")
		b, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Dialect: dialect.Deps{Transport: e.RoundTripper()}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		opts := b.Options()
		change(&opts)
		sum, err := b.Run(ctx, opts)
		if err != nil {
			t.Fatalf("%v; %+v", err, sum)
		}
		return sum
	}

	first, stop := context.WithCancel(ctx)
	taken := 0
	sum := once(first, "a", func(o *scheduler.Options) {
		o.MaxParallel, o.LeaveOnInterrupt, o.Fuse, o.Grace = left, true, 1, 100*time.Millisecond
		o.OnEvent = func(ev scheduler.Event) {
			if ev.Attempt != nil && ev.Attempt.State == scheduler.AttemptSubmitted {
				if taken++; taken == left {
					stop()
				}
			}
		}
	})
	if len(sum.Left) != left {
		t.Fatalf("%+v", sum)
	}
	close(release)
	if sum := once(ctx, "b", func(o *scheduler.Options) { o.Fuse = 1 }); !sum.AllDone() {
		t.Errorf("%+v", sum)
	}
	if a, b := e.Stats().Endpoint("a").Accepted, e.Stats().Endpoint("b").Accepted; a != left || b != all-left {
		t.Errorf("%d jobs on the first endpoint, %d on the second; want %d and %d", a, b, left, all-left)
	}
}
