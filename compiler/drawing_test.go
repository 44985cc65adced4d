package compiler

import (
	"encoding/json"
	"strings"
	"testing"
)

// editorFlow is a small workflow as the editor saves it: a colour, inverted and saved; the height comes from another node.
const editorFlow = `{"nodes": [
  {"id": 1, "type": "EmptyImage", "pos": [10, 20], "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "widgets_values": [64, 32, 1, 255]},
  {"id": 2, "type": "ImageInvert", "pos": [300, 20], "inputs": [{"name": "image", "type": "IMAGE", "link": 1}], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [2]}]},
  {"id": 9, "type": "SaveImage", "title": "my place", "inputs": [{"name": "images", "type": "IMAGE", "link": 2}], "outputs": [], "widgets_values": ["mine"]}],
  "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 9, 0, "IMAGE"]], "groups": [{"title": "kept"}], "version": 0.4}`

// TestDrawing: the editor's form of a render has its values where the file had others, and is the file's own text elsewhere.
func TestDrawing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "flow.json", editorFlow)
	plan, findings := compileIn(t, dir, "workflow: flow.json\nset: {EmptyImage.width: 128}\nsweep: {matrix: {EmptyImage.color: [1, 70000]}}", Source{})
	if plan == nil {
		t.Fatal(findings)
	}
	for r, color := range []string{"1", "70000"} {
		job, err := plan.Job(r)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(editorFlow, "[64, 32, 1, 255]", "[128, 32, 1, "+color+"]", 1)
		if got := string(job.Workflow()); got != want || !json.Valid([]byte(got)) {
			t.Errorf("render %d: %s", r, got)
		}
	}
	if job, err := plan.Job(0, 1); err != nil || job.Workflow != nil {
		t.Errorf("two renders have a drawing: %v", err)
	}
}

// TestNoDrawing: what the editor's form cannot show is not drawn wrong.
func TestNoDrawing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "flow.json", editorFlow)
	write(t, dir, "api.json", `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
	short := strings.Replace(editorFlow, "[64, 32, 1, 255]", "[64, 32]", 1)
	write(t, dir, "short.json", short)
	for name, text := range map[string]string{
		"API form":                 "workflow: api.json\nset: {EmptyImage.color: 1}",
		"a value without a widget": "workflow: short.json\nset: {EmptyImage.color: 1}",
	} {
		plan, findings := compileIn(t, dir, text, Source{})
		if plan == nil {
			t.Fatal(name, findings)
		}
		if got := plan.Drawing(0); got != nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}
