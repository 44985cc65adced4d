package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
	"github.com/comfyc/comfyc/scheduler/lease"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// Two machines without a folder in common work on a batch of a database; the bucket has all that they made, and the page.
func TestWorkWithABucket(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: Postgres is not started")
	}
	server, db, dir := s3test.Start(t, []string{"team"}), pgtest.New(t), t.TempDir()
	getenv := func(name string) string {
		return map[string]string{"COMFYC_DB": db, "BUCKET_ENDPOINT_URL": "http://" + server.Address}[name] + s3test.Getenv(name)
	}
	for name, text := range map[string]string{"flow.json": `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
		"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`,
		"batch.yaml": "version: 1\nworkflow: flow.json\nsweep: {matrix: {EmptyImage.color: \"1-40\"}}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	env := &Env{Stdout: &stdout, Stderr: &stderr, Now: time.Now, Getenv: getenv}
	if code := Main([]string{"work", "submit", filepath.Join(dir, "batch.yaml"), "--slices", "4"}, env); code != exitOK {
		t.Fatalf("exit code %d, %s", code, &stderr)
	}
	id := strings.TrimSpace(stdout.String())
	ctx, stop := context.WithCancel(t.Context())
	var machines sync.WaitGroup
	for range 2 {
		machine := &Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, Getenv: getenv}
		machines.Go(func() {
			if err := machine.work(ctx, &workFlags{dir: t.TempDir(), files: "s3://team/pictures", slots: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var s lease.Status
		stdout.Reset()
		if code := Main([]string{"work", "status", id, "--json"}, env); code != exitOK {
			t.Fatalf("exit code %d, %s", code, &stderr)
		}
		if err := json.Unmarshal(stdout.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if !s.Ended.IsZero() && s.Totals.Done == 40 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it stands at %s", &stdout)
		}
	}
	stop()
	machines.Wait()
	b, err := s3.Open(s3.Config{URL: "s3://team/pictures"}, s3.Options{Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	all, here := b.Depot(id), t.TempDir()
	if err := all.Get(t.Context(), render.ManifestPath, filepath.Join(here, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	m, err := render.ReadManifestFile(filepath.Join(here, "manifest.json"))
	if err != nil || len(m.Cells) != 40 || m.Running {
		t.Fatalf("%d cells, %v", len(m.Cells), err)
	}
	for _, path := range append(m.Paths(true), render.PagePaths...) {
		if err := all.Get(t.Context(), path, filepath.Join(here, filepath.FromSlash(path))); err != nil {
			t.Error(err)
		}
	}
}

// A bucket that cannot be had ends the command before it works.
func TestWorkWithoutItsBucket(t *testing.T) {
	var stderr bytes.Buffer
	env := &Env{Stdout: io.Discard, Stderr: &stderr, Now: time.Now, Getenv: func(string) string { return "" }}
	if code := Main([]string{"work", "--db", "postgres://127.0.0.1:1/x", "--dir", t.TempDir(), "--files", "s3://team"}, env); code != exitInput || !strings.Contains(stderr.String(), "no credentials for the bucket") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}
