package compiler

import (
	"strings"
	"testing"
)

// subgraphs is a workflow as the editor saves it: node 2 and 3 are instances of one subgraph "Scale", whose input width is promoted and whose inner
// nodes 1 and 2 collide with nodes of the workflow, so that they become 6 and 7.
const subgraphs = `{"last_node_id": 5, "last_link_id": 10, "version": 0.4, "nodes": [
 {"id": 1, "type": "EmptyImage", "mode": 0, "order": 0, "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "properties": {}, "widgets_values": [64, 64, 1, 0]},
 {"id": 2, "type": "aaaa", "title": "First", "mode": 0, "order": 1, "inputs": [{"name": "image", "type": "IMAGE", "link": 1}, {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": null}],
  "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [2]}], "properties": {}, "widgets_values": [111]},
 {"id": 3, "type": "aaaa", "title": "Second", "mode": 0, "order": 2, "inputs": [{"name": "image", "type": "IMAGE", "link": 2}, {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": null}],
  "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [3]}], "properties": {}, "widgets_values": [222]},
 {"id": 4, "type": "SaveImage", "mode": 0, "order": 3, "inputs": [{"name": "images", "type": "IMAGE", "link": 3}], "outputs": [], "properties": {}, "widgets_values": ["x"]}],
 "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 3, 0, 4, 0, "IMAGE"]],
 "definitions": {"subgraphs": [{"id": "aaaa", "name": "Scale", "version": 1, "inputNode": {"id": -10}, "outputNode": {"id": -20},
  "inputs": [{"id": "i0", "name": "image", "type": "IMAGE", "linkIds": [1]}, {"id": "i1", "name": "width", "type": "INT", "linkIds": [2, 5]}], "outputs": [{"id": "o0", "name": "IMAGE", "type": "IMAGE", "linkIds": [4]}],
  "nodes": [
   {"id": 1, "type": "ImageScale", "mode": 0, "order": 0, "inputs": [{"name": "image", "type": "IMAGE", "link": 1}, {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 2}],
    "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [3]}], "properties": {}, "widgets_values": ["lanczos", 100, 200, "disabled"]},
   {"id": 2, "type": "ImageScale", "mode": 0, "order": 1, "inputs": [{"name": "image", "type": "IMAGE", "link": 3}, {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 5}],
    "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [4]}], "properties": {}, "widgets_values": ["area", 100, 50, "disabled"]}],
  "links": [{"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 0, "type": "IMAGE"}, {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 1, "target_slot": 1, "type": "INT"},
   {"id": 3, "origin_id": 1, "origin_slot": 0, "target_id": 2, "target_slot": 0, "type": "IMAGE"}, {"id": 4, "origin_id": 2, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "IMAGE"},
   {"id": 5, "origin_id": -10, "origin_slot": 1, "target_id": 2, "target_slot": 1, "type": "INT"}]}]}}`

func TestSubgraphAddresses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.json", subgraphs)
	text := `version: 1
workflow: w.json
endpoints: [preview]
set: {2/1.height: 31, "3:2.height": 32, "@Second.width": 40, "2:6.crop": center}
sweep: {matrix: {2.width: [8, 16], tall: [5, 6]}}
bind: {tall: 3/1.height}
output: {filename: "%2.width%-%3/1.height%-%Second.width%-%3:2.height%"}
`
	p, findings := compileIn(t, dir, text, Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	j := job(t, p, 3)
	for _, want := range []struct {
		node, input string
		value       any
	}{{"2:6", "width", 16.0}, {"2:7", "width", 16.0}, {"3:6", "width", 40.0}, {"3:7", "width", 40.0}, {"2:6", "height", 31.0}, {"3:7", "height", 32.0}, {"3:6", "height", 6.0}, {"2:6", "crop", "center"}} {
		if got := inputs(t, j, want.node)[want.input]; got != want.value {
			t.Errorf("%s.%s is %v, want %v", want.node, want.input, got, want.value)
		}
	}
	if got := p.FileName(3, Facts{}); got != "16-6-40-32" {
		t.Errorf("the file is called %q", got)
	}
	if a := p.Axes()[0]; strings.Join(a.Addresses, " ") != "2:6.width 2:7.width" {
		t.Errorf("%v", a.Addresses)
	}
	for address, want := range map[string][]string{
		"2.widht":     {`subgraph 2 has no promoted value "widht"`, `did you mean "width"?`, `w.json:3:2: note: subgraph 2 ("First"): width`},
		"Scale.width": {`"Scale.width" fits 2 subgraphs`, `use the id`, `note: subgraph 3 ("Second"): width`},
		"2/9.width":   {`no node is called "2/9"`, `note: ImageScale (node 2:7`, `note: subgraph 3 ("Second"): width`},
		"2/1.wide":    {`ImageScale (node 2:6, "Upscale Image") has no input "wide"`, "its inputs are upscale_method, width"},
		"6.width":     {`no node is called "6"`},
	} {
		p, findings := compileIn(t, dir, "version: 1\nworkflow: w.json\nset: {"+address+": 3}\n", Source{})
		got := print(findings)
		for _, part := range append(want, "batch.yaml:3:7: error: ") {
			if p != nil || !strings.Contains(got, part) {
				t.Errorf("%s: got\n%s\nwant %s", address, got, part)
			}
		}
	}
}
