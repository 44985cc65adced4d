package compiler

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

const grow = `template({
  name: "Grow",
  inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 2, min: 1, max: 4 }, times: { type: "INT", default: 1, min: 0, max: 9 } },
  outputs: { image: "IMAGE" },
  expand(g, { image, scale, times }) {
    for (let i = 0; i < times; i++) image = g.ImageScaleBy({ image, upscale_method: "area", scale_by: scale * (i + 1) });
    return { image };
  },
});`

const growFlow = `{"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
"2": {"class_type": "Grow", "inputs": {"image": ["1", 0]}},
"3": {"class_type": "ImageBlur", "inputs": {"image": ["2", 0], "blur_radius": 1, "sigma": 1.0}},
"9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}}`

// templateDir is a folder with a workflow that uses a template, and one that is a script.
func templateDir(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"grow.js": grow, "flow.json": growFlow,
		"flow.js": `workflow(g => { g.SaveImage({ images: g.EmptyImage({ width: 64, height: 64 }), filename_prefix: "x" }); });`,
		"sized.ts": `workflow({ inputs: { size: { type: "INT", default: 64, min: 8, max: 512 } },
  expand(g: any, { size }: { size: number }) { g.SaveImage({ images: g.EmptyImage({ width: size, height: size * 2 }), filename_prefix: "x" }); } });`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var inProcess = Source{Scripts: script.Options{InProcess: true}}

func templatePlan(t *testing.T, text string) *Plan {
	t.Helper()
	p, findings := compileIn(t, templateDir(t), "version: 1\nendpoints: [preview]\n"+text, inProcess)
	if p == nil {
		t.Fatalf("%s\n%s", text, print(findings))
	}
	return p
}

func TestTemplates(t *testing.T) {
	p := templatePlan(t, "workflow: flow.json\ntemplates: [grow.js]\nset: {Grow.scale: 1.5}\nsweep: {matrix: {blur_radius: [1, 2]}}\n")
	j := job(t, p, 1)
	if got := inputs(t, j, "2.1")["scale_by"]; got != 1.5 || p.Len() != 2 {
		t.Errorf("scale_by is %v, %d renders", got, p.Len())
	}
	if got := inputs(t, j, "3"); got["blur_radius"] != 2.0 || got["image"].([]any)[0] != "2.1" {
		t.Errorf("the node behind the template: %v", got)
	}
}

func TestAxisFeedsTemplate(t *testing.T) {
	p := templatePlan(t, "workflow: flow.json\ntemplates: [grow.js]\nset: {2.times: 2}\nsweep: {matrix: {scale: [1, 1.5, 2], blur_radius: [1, 2]}}\n")
	if p.Len() != 6 {
		t.Fatalf("%d renders", p.Len())
	}
	if a := p.Axes()[0]; strings.Join(a.Addresses, " ") != "2.scale" {
		t.Errorf("the axis sets %v", a.Addresses)
	}
	for i := range p.Len() {
		at := p.Coordinate(p.CoordinatesOf(i)[0]).Values
		scale := []float64{1, 1.5, 2}[at[0]]
		j := job(t, p, i)
		if a, b := inputs(t, j, "2.1")["scale_by"], inputs(t, j, "2.2")["scale_by"]; a != scale || b != 2*scale {
			t.Errorf("render %d: %v and %v, want %v and twice that", i, a, b, scale)
		}
	}
	again := templatePlan(t, "workflow: flow.json\ntemplates: [grow.js]\nset: {2.times: 2}\nsweep: {matrix: {scale: [1.5, 3], blur_radius: [2]}}\n")
	if again.RenderID(0) != p.RenderID(3) {
		t.Error("a render with equal values has another id when the axis is edited")
	}
}

func TestWorkflowScripts(t *testing.T) {
	p := templatePlan(t, "workflow: flow.js\nset: {EmptyImage.width: 128}\nsweep: {matrix: {color: [1, 2]}}\n")
	if got := inputs(t, job(t, p, 1), "1"); got["width"] != 128.0 || got["color"] != 2.0 {
		t.Errorf("a workflow without inputs: %v", got)
	}
	p = templatePlan(t, "workflow: sized.ts\nsweep: {matrix: {size: [8, 16]}}\n")
	if got := inputs(t, job(t, p, 1), "main.1"); got["width"] != 16.0 || got["height"] != 32.0 {
		t.Errorf("a workflow with an input: %v", got)
	}
}

func TestTemplateFindings(t *testing.T) {
	dir := templateDir(t)
	for _, tc := range []struct{ text, want string }{
		{"workflow: flow.json\ntemplates: [grow.js]\nset: {Grow.scale: 9}\n",
			`batch.yaml:5:19: error: input "scale" of Grow is 9, bigger than its maximum of 4 [value_bigger_than_max]`},
		{"workflow: flow.json\ntemplates: [grow.js]\nsweep: {matrix: {scale: [1, 9]}}\n", `batch.yaml:5:29: error: input "scale" of Grow is 9`},
		{"workflow: flow.json\ntemplates: [grow.js]\nsweep: {matrix: {scale: [3, 4]}}\nset: {2.times: 3}\n",
			`grow.js:6:103: error: input "scale_by" of ImageScaleBy is bigger than its maximum of 8: 12`},
		{"workflow: flow.json\ntemplates: [grow.js]\nsweep: {matrix: {scale: [3, 4]}}\nset: {2.times: 3}\n", "from 0.01 to 8\nflow.json:2:1: note: node 2 uses template \"Grow\"\ngrow.js"},
		{"workflow: flow.json\ntemplates: [grow.js]\nsweep: {matrix: {2.times: [1, 2]}}\n",
			`batch.yaml:5:18: error: with other values of axis "2.times" the templates make other nodes or links`},
		{"workflow: flow.json\ntemplates: [none.js]\n", `batch.yaml:4:13: error: template: `},
		{"workflow: flow.json\n", `node 2 has an unknown class: "Grow"`},
		{"workflow: flow.js\nset: {EmptyImage.wdith: 8}\n", `EmptyImage (node 1) has no input "wdith"`},
	} {
		p, findings := compileIn(t, dir, "version: 1\nendpoints: [preview]\n"+tc.text, inProcess)
		if got := strings.ReplaceAll(print(findings), dir+"/", ""); p != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s\ngot\n%s\nwant %s", tc.text, got, tc.want)
		}
	}
}

func TestCheckScript(t *testing.T) {
	for _, tc := range []struct {
		text, want string
		outputs    int
	}{
		{`workflow(g => { g.SaveImage({ images: g.EmptyImage({ width: 64 }), filename_prefix: "x" }); });`, "", 1},
		{`workflow({ inputs: { w: { type: "INT", default: 64 } }, expand(g, { w }) { g.PreviewImage({ images: g.EmptyImage({ width: w }) }); } });`, "", 1},
		{`workflow(g => { g.SaveImage({ images: g.EmptyImage({ width: -4 }) }); });`, `t.js:1:61: error: input "width" of EmptyImage is smaller than its minimum of 1`, 0},
		{`workflow(g => { });`, "[prompt_no_outputs]", 0},
		{`template({ name: "A", expand(g) { g.Nothing({}); } });`, "", 0},
		{`template({ name: "A" });`, "[bad_template]", 0},
	} {
		file := source.NewFile("t.js", []byte(tc.text))
		r := Check(context.Background(), file, CheckOptions{Batch: inProcess})
		if got := print(r.Findings); !strings.Contains(got, tc.want) || r.Valid != (tc.want == "") || len(r.GoodOutputs) != tc.outputs {
			t.Errorf("%s\n%v %v\n%s\nwant %s", tc.text, r.Valid, r.GoodOutputs, got, tc.want)
		}
	}
}
