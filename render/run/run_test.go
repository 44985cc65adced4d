package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
	"github.com/comfyc/comfyc/schemas"
)

const picture = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
	"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`

// compile makes a plan of a batch text over the workflow above.
func compile(t *testing.T, dir, batch string) *compiler.Plan {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "flow.json"), []byte(picture), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, findings := compiler.Compile(t.Context(), compiler.Source{File: source.NewFile(filepath.Join(dir, "batch.yaml"), []byte("version: 1\nname: t\nworkflow: flow.json\n"+batch))})
	if plan == nil {
		t.Fatal(findings)
	}
	return plan
}

// TestLeave leaves the loop after the first result: the run ends, and the next one goes on.
func TestLeave(t *testing.T) {
	dir := t.TempDir()
	plan := compile(t, dir, "sweep: {matrix: {EmptyImage.color: \"1-40\"}}\n")
	open := func() *run.Batch {
		b, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out")})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	for r, err := range b.Results(t.Context()) {
		if err != nil || r.State != scheduler.Done {
			t.Fatal(r, err)
		}
		break
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open()
	defer b.Close()
	for _, err := range b.Results(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	done, err := run.DoneIn(t.Context(), b.Dir(), true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Len() {
		if !done(plan.RenderID(i)) {
			t.Errorf("render %d is not done", i)
		}
	}
}

// TestOpen says what is wrong before anything is written.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	bad := compile(t, dir, "output: {post: [{watermark: {text: \"%nothing%\"}}]}\n")
	out := filepath.Join(dir, "out")
	var findings *run.FindingsError
	if _, err := run.Open(bad, run.Options{Dir: out}); !errors.As(err, &findings) || !strings.Contains(err.Error(), "no token %nothing%") {
		t.Errorf("an unknown token: %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Error("the directory was made")
	}

	plan := compile(t, dir, "")
	first, err := run.Open(plan, run.Options{Dir: out})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var locked *store.LockedError
	if _, err := run.Open(plan, run.Options{Dir: out}); !errors.As(err, &locked) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestStopped gives what was done before the context ended.
func TestStopped(t *testing.T) {
	dir := t.TempDir()
	b, err := run.Open(compile(t, dir, ""), run.Options{Dir: filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := b.Run(ctx, b.Options())
	if err != nil || s.Stopped != scheduler.StopInterrupted || s.Counts[scheduler.Done] != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// drawing is a workflow as the editor saves it.
const drawing = `{"version": 0.4, "last_node_id": 2, "last_link_id": 1, "nodes": [
  {"id": 1, "type": "EmptyImage", "mode": 0, "pos": [10, 20], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "widgets_values": [64, 48, 1, 0]},
  {"id": 2, "type": "SaveImage", "mode": 0, "pos": [300, 20], "inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "widgets_values": ["fox"]}],
  "links": [[1, 1, 0, 2, 0, "IMAGE"]]}`

// TestDrawing: a picture of a workflow in the editor's form carries that form, with its own values, so that ComfyUI opens it as its author
// drew it; and its graph, under the author's file prefix.
func TestDrawing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "flow.json"), []byte(drawing), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, findings := compiler.Compile(t.Context(), compiler.Source{File: source.NewFile(filepath.Join(dir, "batch.yaml"),
		[]byte("version: 1\nname: t\nworkflow: flow.json\nsweep: {matrix: {EmptyImage.color: [255, 65280]}}\n"))})
	if plan == nil {
		t.Fatal(findings)
	}
	b, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for r, err := range b.Results(t.Context()) {
		if err != nil || r.State != scheduler.Done {
			t.Fatal(r, err)
		}
		f, err := source.ReadFile(filepath.Join(b.Dir(), filepath.FromSlash(r.Files[0].Path)))
		if err != nil {
			t.Fatal(err)
		}
		meta := string(f.Data)
		want := []string{"255", "65280"}[r.Render]
		for _, text := range []string{`"widgets_values": [64, 48, 1, ` + want + `]`, `"pos": [10, 20]`, `"filename_prefix":"fox"`, `"color":` + want} {
			if !strings.Contains(meta, text) {
				t.Errorf("render %d: the picture does not carry %s", r.Render, text)
			}
		}
	}
}

// TestStepsInSchema holds the batch's schema against the steps that there are: one that is missing there could not be declared.
func TestStepsInSchema(t *testing.T) {
	for _, name := range post.Names() {
		steps := []any{map[string]any{name: map[string]any{"nonsense": nil}}}
		found := schemas.Check("batch", map[string]any{"version": json.Number("1"), "workflow": "w.json", "output": map[string]any{"post": steps}})
		// What is wrong is the parameter; the name of a step that the schema lacks would be.
		if len(found) != 1 || found[0].Pointer != "/output/post/0/"+name+"/nonsense" {
			t.Errorf("%s: %v", name, found)
		}
	}
}
