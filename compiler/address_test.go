package compiler

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

const addressed = `{
  "3": {"class_type": "KSampler", "inputs": {"seed": 1, "cfg": 2, "positive": ["6", 0], "text": ["6", 0]}},
  "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["4", 1]}, "_meta": {"title": "Positive Prompt"}},
  "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["4", 1]}, "_meta": {"title": "v1.5 negative"}},
  "57:27": {"class_type": "My.Node", "inputs": {"format": "png", "format.codec": "x", "inputs.y": 1}, "_meta": {"title": "3"}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["57:27", 0], "only": 1}}
}`

func addressedGraph(t testing.TB) *graph.Graph {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile("w.json", []byte(addressed)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	g, _ := graph.Build(v, nodes.BuiltIn(), graph.Options{NoLints: true})
	return g
}

func TestResolveAddress(t *testing.T) {
	g := addressedGraph(t)
	for text, want := range map[string]string{
		"6.text":                  "6.text",
		"6.inputs.text":           "6.text",
		"3.seed":                  "3.seed", // an id wins over the title "3"
		"@3.format":               "57:27.format",
		"KSampler.seed":           "3.seed",
		"KSampler.steps":          "3.steps", // declared, not given
		"Positive Prompt.text":    "6.text",
		"@Positive Prompt.text":   "6.text",
		`"Positive Prompt".text`:  "6.text",
		`@"Positive Prompt".text`: "6.text",
		"v1.5 negative.text":      "7.text",
		"57/27.format":            "57:27.format",
		"57:27.format.codec":      "57:27.format.codec",
		"My.Node.format.codec":    "57:27.format.codec",
		`My.Node."format.codec"`:  "57:27.format.codec",
		"57:27.inputs.y":          "57:27.inputs.y",
		"format.codec":            "57:27.format.codec",
		"cfg":                     "3.cfg",
		"only":                    "9.only",
		"filename_prefix":         "9.filename_prefix",
		"CLIPTextEncode.text":     `!"CLIPTextEncode.text" fits 2 nodes`,
		"text":                    `!2 nodes have an input "text"`,
		"KSampler.sed":            "!KSampler (node 3) has no input \"sed\" did you mean \"seed\"?",
		"Positve Prompt.text":     "!no node is called \"Positve Prompt\" did you mean \"Positive Prompt\"?",
		"nosuch":                  "!no node has an input \"nosuch\"",
		`"Positive Prompt`:        "!\"\\\"Positive Prompt\" is not an address: a quote or an input's name is missing",
		`"Positive Prompt"`:       `!"\"Positive Prompt\"" names a node, but no input of it`,
		"@":                       "!\"@\" is not an address: a quote or an input's name is missing",
		"":                        "!\"\" is not an address: a quote or an input's name is missing",
	} {
		got := ""
		target, err := resolveAddress(g, text)
		if err != nil {
			got = "!" + err.message
			if strings.HasPrefix(err.hint, "did you mean") {
				got += " " + err.hint
			}
		} else {
			got = target.address(g)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func FuzzResolveAddress(f *testing.F) {
	for _, s := range []string{"6.text", "@Positive Prompt.text", `"a".b`, "cfg", "57/27.format.codec", "..", "@.", `""`} {
		f.Add(s)
	}
	g := addressedGraph(f)
	f.Fuzz(func(t *testing.T, text string) {
		target, err := resolveAddress(g, text)
		switch {
		case err != nil && err.message == "":
			t.Fatalf("%q: an error without a message", text)
		case err == nil && !has(&g.Nodes[target.node], target.input):
			t.Fatalf("%q names %s, which does not exist", text, target.address(g))
		}
	})
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"workflow: flow.json\nsweep: {matrix: {cfg: [1, 2]}}",
		"workflow: flow.json\nset: {6.text: \"${a}\"}\nsweep: {matrix: {a: [x, {value: y, matrix: {cfg: \"1-2\"}}]}, include: [{a: z}], exclude: [{cfg: 1}]}",
		"workflow: flow.json\nsweep: {zip: {cfg: [1], KSampler.seed: {random: 1}}, sample: {count: 3}}\noutput: {filename: \"%axis.cfg%\"}",
		"workflow: flow.json\nendpoints: [{type: runpod, url: \"https://x/y\", key_env: A}]\nschedule: {budget: {usd: 1}}",
		"workflow: {\"1\": {class_type: EmptyImage, inputs: {}}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/") || len(text) > 2000 {
			return // no files but those of the folder, no slow products
		}
		p, findings := compileIn(t, "testdata/bad", text, Source{})
		if p == nil {
			if len(findings) == 0 {
				t.Fatalf("%q: neither a plan nor a finding", text)
			}
			return
		}
		for r := range min(p.Len(), 3) {
			if _, err := p.Job(r); err != nil {
				t.Fatal(err)
			}
			p.FileName(p.firstOf(r), Facts{})
			p.Params(r)
		}
	})
}
