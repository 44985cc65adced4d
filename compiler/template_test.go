package compiler

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		"many.js": `template({ name: "Grow", inputs: { image: "IMAGE", n: "INT" }, outputs: { image: "IMAGE" },
  expand(g, { image, n }) { for (let i = 0; i < n; i++) image = g.ImageInvert({ image }); return { image }; } });`,
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

var inProcess = Source{Scripts: script.Options{InProcess: true, Timeout: time.Minute}} // a busy machine is no mistake of the script

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

// An axis may decide which nodes a template makes: each different graph is a form of its own.
func TestForms(t *testing.T) {
	const batch = "workflow: flow.json\ntemplates: [grow.js]\nsweep: {matrix: {times: [0, 1, 3], scale: [1, 1.5], blur_radius: [1, 2]}}\noutput: {filename: \"%axis.times%/%Grow.scale%-%ImageBlur.blur_radius%-%2.1.scale_by%-%2.times%\"}\n"
	p := templatePlan(t, batch)
	if len(p.Graphs()) != 3 || p.Coordinates() != 12 || p.Len() != 10 { // without a step the scale changes nothing
		t.Fatalf("%d graphs, %d coordinates, %d renders", len(p.Graphs()), p.Coordinates(), p.Len())
	}
	for i, want := range map[int]string{0: "0/1-1-none-0", 5: "1/1-2-1.0-1", 11: "3/1.5-2-1.5-3"} {
		if got := p.FileName(i, Facts{}); got != want {
			t.Errorf("coordinate %d is called %q, want %q", i, got, want)
		}
	}
	for i := range p.Coordinates() {
		c := p.Coordinate(i)
		times, scale := []int{0, 1, 3}[c.Values[0]], []float64{1, 1.5}[c.Values[1]]
		j := job(t, p, c.Render)
		if got := strings.Count(string(j.Prompt), "ImageScaleBy"); got != times || p.Render(c.Render).Graph != c.Values[0] {
			t.Errorf("coordinate %d has %d steps and graph %d, want %d", i, got, p.Render(c.Render).Graph, times)
		}
		if times == 3 && (inputs(t, j, "2.3")["scale_by"] != 3*scale || inputs(t, j, "3")["image"].([]any)[0] != "2.3") {
			t.Errorf("coordinate %d: %s", i, j.Prompt)
		}
	}
	r := p.Report(ReportOptions{})
	if a := p.Axes(); strings.Join(a[0].Addresses, " ") != "2.times" || strings.Join(a[2].Addresses, " ") != "3.blur_radius" || r.Graphs != 3 {
		t.Errorf("addresses %v, report %+v", a, r)
	}
	again := templatePlan(t, strings.Replace(batch, "[0, 1, 3]", "[3, 2]", 1))
	if again.RenderID(0) != p.RenderID(p.Coordinate(8).Render) || again.Hash() == p.Hash() {
		t.Error("a render of equal graph has another id when the axis is edited")
	}
}

// One job may hold renders of several forms; what they have in common is there once.
func TestFusedForms(t *testing.T) {
	p := templatePlan(t, "workflow: flow.json\ntemplates: [grow.js]\nset: {Grow.scale: 2}\nsweep: {matrix: {times: [1, 2], blur_radius: [1, 2]}}\n")
	j := job(t, p, 0, 1, 2, 3)
	for class, want := range map[string]int{"LoadImage": 1, "ImageScaleBy": 2, "ImageBlur": 4, "SaveImage": 4} {
		if got := strings.Count(string(j.Prompt), `"class_type":"`+class+`"`); got != want {
			t.Errorf("%d %s, want %d: %s", got, class, want, j.Prompt)
		}
	}
	if len(j.Owed) != 4 || j.Origin["2"] != "2.1" {
		t.Errorf("%+v %v", j.Owed, j.Origin)
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
		{"workflow: flow.json\ntemplates: [many.js]\nsweep: {matrix: {2.n: \"1-300\"}}\n",
			`batch.yaml:5:18: error: with the values of axis "2.n" the templates make more than 256 different graphs`},
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

// A script that hangs ends the compilation at once, however many nodes use it and however many values feed it.
func TestRunaway(t *testing.T) {
	if testing.Short() {
		t.Skip("each script runs into its limit of 1.5 s")
	}
	for class, want := range map[string]string{"Loops": "templates.js:3:", "Allocates": "templates.js:6:"} {
		dir := t.TempDir()
		script, err := os.ReadFile("testdata/bad/templates.js")
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "templates.js", string(script))
		write(t, dir, "flow.json", strings.ReplaceAll(`{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
"2": {"class_type": "X", "inputs": {"image": ["1", 0]}}, "3": {"class_type": "X", "inputs": {"image": ["2", 0], "n": 7}}, "4": {"class_type": "X", "inputs": {"image": ["1", 0], "n": 8}},
"9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}}`, "X", class))
		p, findings := compileIn(t, dir, "version: 1\nworkflow: flow.json\ntemplates: [templates.js]\nsweep: {matrix: {2.n: \"1-100\"}}\n", Source{Scripts: inChild})
		got := print(findings)
		if p != nil || !strings.Contains(got, want) || strings.Count(got, "[script_time]")+strings.Count(got, "[script_memory]") != 1 {
			t.Errorf("%s: %s", class, got)
		}
	}
}
