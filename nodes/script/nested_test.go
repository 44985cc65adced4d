package script

import (
	"context"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

const outer = `
template({ name: "Twice", inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 2 } }, outputs: { image: "IMAGE", note: "STRING" },
  expand(g, { image, scale }) {
    const first = g.Upscale({ image, scale, method: "area" });
    return { image: g.Upscale({ image: first.image, method: "lanczos" })[0], note: "twice" };
  } });
template({ name: "A", outputs: { image: "IMAGE" }, expand(g) { return g.B({}); } });
template({ name: "B", outputs: { image: "IMAGE" }, expand(g) { return g.A({}); } });
`

func TestTemplatesInTemplates(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		files := []*source.File{source.NewFile("twice.js", []byte(outer)), source.NewFile("up.js", []byte(upscale))}
		s, findings := Load(context.Background(), files, nil, opt)
		if s == nil {
			t.Fatal(printed(findings))
		}
		defer s.Close()
		use := func(inputs string) string {
			return `{"5": {"class_type": "Twice", "inputs": {"image": ["1", 0]` + inputs + `}}, "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
			"9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": ["5", 1]}}}`
		}
		e, findings := s.Expand(context.Background(), prompt(t, use("")))
		if e == nil {
			t.Fatal(printed(findings))
		}
		var ids []string
		for _, m := range e.Prompt.Members {
			ids = append(ids, m.Key)
		}
		if got := strings.Join(ids, " "); got != "5.1.1 5.1.2 5.2.1 5.2.2 1 9" {
			t.Errorf("ids: %s", got)
		}
		if got := string(e.Prompt.Get("9").Get("inputs").AppendJSON(nil)); got != `{"images":["5.2.2",0],"filename_prefix":"twice"}` {
			t.Errorf("outputs: %s", got)
		}
		if got := string(e.Prompt.Get("5.2.1").Get("inputs").Get("image").AppendJSON(nil)); got != `["5.1.2",0]` {
			t.Errorf("between the two: %s", got)
		}
		noted := e.Noted([]diag.Diagnostic{diag.Errorf("x", diag.Place{}, "m").About("5.2.1", "")})
		if got := printed(noted); !strings.Contains(got, `| flow.json:1:2: node 5 uses template "Twice" | twice.js:5:23: node 5.2 uses template "Upscale"`) {
			t.Errorf("notes: %s", got)
		}
		_, findings = s.Expand(context.Background(), prompt(t, use(`, "scale": 8`)))
		if got := printed(findings); !strings.Contains(got, `twice.js:4:38: input "scale" of Upscale is 8, bigger than its maximum of 4 [value_bigger_than_max] | flow.json:1:2: node 5 uses template "Twice"`) {
			t.Errorf("a value out of range: %s", got)
		}
		_, findings = s.Expand(context.Background(), prompt(t, `{"5": {"class_type": "A", "inputs": {}}}`))
		if got := printed(findings); !strings.Contains(got, `templates use each other without end: A → B → A [template_cycle]`) {
			t.Errorf("a cycle: %s", got)
		}
	})
}

func TestWorkflow(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "flow.js", "workflow(g => {\n  g.SaveImage({ images: g.EmptyImage({ width: 64 }), filename_prefix: 'x' });\n});")
		p, findings := s.ExpandWorkflow(context.Background())
		if want := `{"1":{"inputs":{"width":64,"height":512,"batch_size":1,"color":0},"class_type":"EmptyImage"},"2":{"inputs":{"images":["1",0],"filename_prefix":"x"},"class_type":"SaveImage"}}`; p == nil ||
			string(p.AppendJSON(nil)) != want {
			t.Errorf("got %s\n%s", p.AppendJSON(nil), printed(findings))
		}
		if s.MainPrompt() != nil {
			t.Error("a workflow without inputs has no prompt of its own")
		}
		s = load(t, opt, "flow.js", "workflow({ inputs: { width: { type: 'INT', default: 64 } },\n expand(g, { width }) { g.PreviewImage({ images: g.EmptyImage({ width }) }); } });")
		e, findings := s.Expand(context.Background(), s.MainPrompt())
		if e == nil || string(e.Prompt.AppendJSON(nil)) !=
			`{"main.1":{"inputs":{"width":64,"height":512,"batch_size":1,"color":0},"class_type":"EmptyImage"},"main.2":{"inputs":{"images":["main.1",0]},"class_type":"PreviewImage"}}` {
			t.Errorf("got %s", printed(findings))
		}
		s = load(t, opt, "up.js", upscale)
		if _, findings = s.ExpandWorkflow(context.Background()); !strings.Contains(printed(findings), "the script registers no workflow") {
			t.Errorf("got %s", printed(findings))
		}
	})
}
