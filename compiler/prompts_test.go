package compiler

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler/source"
)

// promptFlow has two texts of its own, one of them dynamic.
const promptFlow = `{
  "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
  "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a {red|blue} fox", "clip": ["1", 1]}},
  "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
  "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
  "5": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 2, "cfg": 1, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}},
  "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "p"}}}`

var promptFiles = fstest.MapFS{
	"w.json":             {Data: []byte(promptFlow)},
	"wild/colors.txt":    {Data: []byte("red\ngreen\nblue\n")},
	"wild/loop.txt":      {Data: []byte("__loop__\n")},
	"wild/deep/more.txt": {Data: []byte("{oil|ink} on __colors__\n")},
}

// promptPlan compiles a batch against these files.
func promptPlan(t testing.TB, files fs.FS, text string) (*Plan, string) {
	t.Helper()
	p, findings := compileIn(t, ".", "workflow: w.json\n"+text, Source{FS: files})
	return p, print(findings)
}

// sent lists the texts of both prompts of every render, with seeds other than 1.
func sent(t testing.TB, p *Plan) (out []string) {
	t.Helper()
	for i := range p.Coordinates() {
		j := job(t, p, p.Coordinate(i).Render)
		line := fmt.Sprint(inputs(t, j, "2")["text"], "/", inputs(t, j, "3")["text"])
		if seed := fmt.Sprint(inputs(t, j, "5")["seed"]); seed != "1" {
			line += "/" + seed
		}
		out = append(out, strings.TrimSuffix(line, "/blurry"))
	}
	return out
}

// A prompt that is nothing but a comment is sent as it is read, and said.
func TestPromptEmpty(t *testing.T) {
	for text, want := range map[string]bool{`"#1 prize"`: true, `"/* x */"`: true, `"\\\\#1 prize"`: false, `"a # b"`: false, `""`: false, `"  "`: false} {
		_, said := promptPlan(t, promptFiles, `set: {2.text: `+text+`}`+"\nprompts: {}")
		if strings.Contains(said, "prompt_empty") != want {
			t.Errorf("%s: %s", text, said)
		}
	}
}

func TestPrompts(t *testing.T) {
	for _, c := range []struct{ name, batch, want string }{
		{"braces are text without prompts", ``, "a {red|blue} fox"},
		{"the workflow's own text", `prompts: {}`, "a red fox;a blue fox"},
		{"set", `{set: {2.text: "{a|b}"}, prompts: {mode: all}}`, "a;b"},
		{"plain texts have no axis", `{set: {2.text: "a"}, prompts: {mode: random, count: 3}}`, "a"},
		{"the first ones", `{set: {2.text: "{a|b|c}{1|2|3}"}, prompts: {count: 4}}`, "a1;a2;a3;b1"},
		{"times the sweep, as the fastest", `{sweep: {matrix: {KSampler.seed: [7, 8]}}, prompts: {}}`, "a red fox/blurry/7;a blue fox/blurry/7;a red fox/blurry/8;a blue fox/blurry/8"},
		{"an axis with other numbers of variants", `{sweep: {matrix: {prompt: ["x {1|2}", "y", "z {1-2$$+$$p|q}"]}}, bind: {prompt: 2.text}, prompts: {}}`, "x 1;x 2;y;z p;z q;z p+q;z q+p"},
		{"an axis's value is put in first", `{set: {2.text: "{${style}|plain} fox"}, sweep: {matrix: {style: ["oil|ink", "wax"]}}, prompts: {}}`, "oil fox;ink fox;plain fox;wax fox;plain fox"},
		{"two inputs with one text have one variant", `{sweep: {matrix: {prompt: ["{a|b}"]}}, bind: {prompt: [2.text, 3.text]}, prompts: {}}`, "a/a;b/b"},
		{"two texts multiply", `{set: {2.text: "{a|b}", 3.text: "{c|d}"}, prompts: {}}`, "a/c;a/d;b/c;b/d"},
		{"two texts walk in step", `{set: {2.text: "{a|b}", 3.text: "{c|d|e}"}, prompts: {mode: cycle, count: 4}}`, "a/c;b/d;a/e;b/c"},
		{"cycles end where they begin again", `{set: {2.text: "{a|b}"}, prompts: {mode: cycle, count: 9}}`, "a;b"},
		{"random draws differ while they can", `{set: {2.text: "{a|a|a}{1}"}, prompts: {mode: random, count: 9}}`, "a1"},
		{"variables and escapes", `{set: {2.text: "${v=!{a|b}}${v}${v} $${cfg} \\{x\\}"}, sweep: {matrix: {cfg: [1]}}, prompts: {}}`, "aa ${cfg} {x};bb ${cfg} {x}"},
		{"wildcards", `{set: {2.text: "__deep/*__"}, prompts: {wildcards: wild/, count: 4}}`, "oil on red;oil on green;oil on blue;ink on red"},
		{"equal variants are one", `{set: {2.text: "{a|a|b}"}, prompts: {}}`, "a;b"},
		{"search and replace come first", `{sweep: {matrix: {s: {replace: [red, "red|green"]}}}, bind: {s: 2.text}, prompts: {}}`, "a red fox;a blue fox;a red fox;a green fox;a blue fox"},
		{"values from include", `{set: {2.text: "{a|b} ${x}"}, sweep: {include: [{x: 1}, {x: "{p|q}"}]}, prompts: {}}`, "a 1;b 1;a p;a q;b p;b q"},
		{"what is left of a sample", `{sweep: {matrix: {KSampler.seed: {from: 2, count: 50}}, sample: {count: 1}}, prompts: {}}`, "*2"},
	} {
		text := c.batch
		if strings.HasPrefix(text, "{") {
			text = strings.TrimPrefix(text, "{")
			text = "{workflow: w.json, " + text
			p, findings := compileIn(t, ".", text, Source{FS: promptFiles})
			checkPrompts(t, c.name, p, print(findings), c.want)
			continue
		}
		p, findings := promptPlan(t, promptFiles, text)
		checkPrompts(t, c.name, p, findings, c.want)
	}
}

func checkPrompts(t *testing.T, name string, p *Plan, findings, want string) {
	t.Helper()
	if p == nil {
		t.Errorf("%s: %s", name, findings)
		return
	}
	if n, ok := strings.CutPrefix(want, "*"); ok {
		if fmt.Sprint(p.Coordinates()) != n {
			t.Errorf("%s: %d coordinates", name, p.Coordinates())
		}
		return
	}
	if got := strings.Join(sent(t, p), ";"); got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

func TestPromptsFindings(t *testing.T) {
	for _, c := range []struct{ batch, want string }{
		{`set: {2.text: "a {b"}` + "\nprompts: {}", `batch.yaml:2:18: error: a brace is not closed by } [prompt_unclosed]`},
		{`set: {2.text: "${cfg=!a}"}` + "\nsweep: {matrix: {cfg: [1]}}\nprompts: {}", `the variable "cfg" is named as an axis [prompt_variable]`},
		{`set: {2.text: "${cgf}"}` + "\nsweep: {matrix: {cfg: [1]}}\nprompts: {}", `no variable is called "cgf"`},
		{`set: {2.text: "${cgf}"}` + "\nsweep: {matrix: {cfg: [1]}}", `no axis is called "cgf"`},
		{`set: {2.text: "__colour__"}` + "\nprompts: {wildcards: wild}", `did you mean "colors"?`},
		{`set: {2.text: "__loop__"}` + "\nprompts: {wildcards: wild}", `wild/loop.txt:1:1: error: a wildcard leads back to itself`},
		{"prompts: {wildcards: none}", `batch.yaml:2:22: error: wildcards: `},
		{`set: {2.text: "` + strings.Repeat("{1|2|3|4|5|6|7|8|9|0}", 12) + `"}` + "\nprompts: {}", `this prompt stands for 1000000000000 texts; at most 1000000 are made`},
		{`set: {2.text: "` + strings.Repeat("{1|2|3|4|5|6|7|8|9|0}", 5) + `"}` + "\nsweep: {matrix: {KSampler.seed: {from: 1, count: 1000}}}\nprompts: {}", `the prompts stand for 100000000 renders`},
		{"prompts: {mode: some}", `batch.yaml:2:17: error:`},
		{"gallery: {rows: 2.text, pages: 3.text#}\nprompts: {}", `gallery.rows names an axis "2.text"`},
		{"gallery: {rows: 2.text#, pages: 3.text#}\nprompts: {}", `gallery.pages names "3.text#", and no prompt has variants under that name`},
	} {
		if p, got := promptPlan(t, promptFiles, c.batch); p != nil || !strings.Contains(got, c.want) {
			t.Errorf("%.200s: no %q in\n%s", c.batch, c.want, got)
		}
	}
}

// TestPromptsReport holds what `plan` says, and that names and galleries can use the variants.
func TestPromptsReport(t *testing.T) {
	p, findings := promptPlan(t, promptFiles, `
sweep: {matrix: {prompt: ["a {red|blue} fox", "a cat"], KSampler.seed: [1, 2]}}
bind: {prompt: 2.text}
prompts: {mode: all}
gallery: {rows: "prompt#"}
output: {filename: "%axis.prompt#% %seed%"}
`)
	if p == nil {
		t.Fatal(findings)
	}
	r := p.Report(ReportOptions{})
	if text := r.Text(); r.Renders != 6 || !strings.Contains(text, "axis prompt#: 3 values (a red fox, a blue fox, a cat), sets 2.text") {
		t.Errorf("%s", text)
	}
	if name := p.FileName(1, Facts{}); name != "a red fox 2" && name != "a blue fox 1" {
		t.Errorf("a file is called %q", name)
	}
	if p.Params(0).Positive != "a red fox" {
		t.Errorf("the prompt is shown as %q", p.Params(0).Positive)
	}
}

// TestPromptsKeepIDs holds that an edit keeps the coordinates and renders of all texts that stay.
func TestPromptsKeepIDs(t *testing.T) {
	ids := func(text string) (coordinates, renders []string) {
		p, findings := promptPlan(t, promptFiles, "set: {2.text: \""+text+"\"}\nprompts: {}")
		if p == nil {
			t.Fatal(findings)
		}
		for i := range p.Coordinates() {
			c := p.Coordinate(i)
			coordinates, renders = append(coordinates, c.ID), append(renders, p.RenderID(c.Render).String())
		}
		return coordinates, renders
	}
	c1, r1 := ids("{red|blue} fox")
	c2, r2 := ids("{green|blue|red|} fox")
	for k, want := range []int{2, 1} {
		if c1[k] != c2[want] || r1[k] != r2[want] {
			t.Errorf("variant %d has another id after the edit", k)
		}
	}
	if slices.Contains(c1, c2[0]) {
		t.Error("another text has the same id")
	}
}

// TestPromptsAreReproducible holds that equal files and seeds give equal plans, and another seed other draws.
func TestPromptsAreReproducible(t *testing.T) {
	text := "set: {2.text: \"{1|2|3|4|5|6|7|8|9} __colors__ {a|b|c|d}\"}\nprompts: {mode: random, count: 5, wildcards: wild}\n"
	one, findings := promptPlan(t, promptFiles, text)
	if one == nil {
		t.Fatal(findings)
	}
	two, _ := promptPlan(t, promptFiles, text)
	other, _ := promptPlan(t, promptFiles, text+"seed: 1\n")
	if one.Hash() != two.Hash() || one.Hash() == other.Hash() || one.Len() != 5 {
		t.Error(one.Len(), one.Hash(), two.Hash(), other.Hash())
	}
	longer, _ := promptPlan(t, promptFiles, strings.Replace(text, "count: 5", "count: 7", 1))
	if got := sent(t, longer); !slices.Equal(got[:5], sent(t, one)) {
		t.Error("a larger count does not keep the draws", got)
	}
}

// BenchmarkPlanPrompts is a plan of 100,000 renders: 10 prompts with 100 variants each, times 100 seeds.
func BenchmarkPlanPrompts(b *testing.B) {
	text := "sweep: {matrix: {prompt: ["
	for i := range 10 {
		text += fmt.Sprintf(`"%d {0|1|2|3|4|5|6|7|8|9} {0|1|2|3|4|5|6|7|8|9}", `, i)
	}
	text += "], KSampler.seed: {from: 1, count: 100}}}\nbind: {prompt: 2.text}\nprompts: {}\n"
	file := source.NewFile("batch.yaml", []byte("workflow: w.json\n"+text))
	b.ReportAllocs()
	for b.Loop() {
		p, findings := Compile(b.Context(), Source{File: file, FS: promptFiles})
		if p == nil || p.Len() != 100_000 {
			b.Fatal(print(findings))
		}
	}
}
