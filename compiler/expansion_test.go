package compiler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// scribe is an Asker that writes what it is told to, and keeps files in a folder.
type scribe struct {
	dir   string
	write func(q Question) ([]string, error)
	asked []string
}

// Ask implements Asker.
func (s *scribe) Ask(_ context.Context, questions []Question, answered func(int, []string, error)) {
	for i, q := range questions {
		s.asked = append(s.asked, q.Prompt)
		texts, err := s.write(q)
		answered(i, texts, err)
	}
}

// Keep implements Asker.
func (s *scribe) Keep(name string, data []byte) error {
	return os.WriteFile(filepath.Join(s.dir, name), data, 0o600)
}

// numbered writes as many texts as are asked for.
func numbered(q Question) (out []string, _ error) {
	for k := range q.Count {
		out = append(out, fmt.Sprintf("%s, {text|%d}", q.Prompt, k+1))
	}
	return out, nil
}

// expandDir is a folder with a workflow, an endpoints file, and a batch's place.
func expandDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	flow, err := os.ReadFile("testdata/bad/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "flow.json", string(flow))
	write(t, dir, EndpointsFileName, `endpoints:
  llm: {type: serverless, url: "http://127.0.0.1:1"}
  paid: {type: runpod, url: "https://api.runpod.ai/v2/x", gpu: rtx4090, worker: "runpod/worker-comfyui:5.5.0-flux1-dev"}
`)
	return dir
}

func positives(p *Plan) (out []string) {
	for i := range p.Coordinates() {
		out = append(out, p.Params(p.Coordinate(i).Render).Positive)
	}
	return out
}

const expandBatch = "version: 1\nworkflow: flow.json\nendpoints: [preview]\nset: {6.text: \"a {red|blue} fox\"}\nsweep: {matrix: {cfg: [3, 4]}}\n"

func TestExpansion(t *testing.T) {
	dir := expandDir(t)
	text := expandBatch + "prompts: {expand: {endpoint: llm, model: m, count: 2}}\n"
	p, findings := compileIn(t, dir, text, Source{})
	if p == nil || p.Len() != 8 || !strings.Contains(print(findings), "warning: 2 prompts are not expanded yet; placeholders stand for the 2 of each that m is to write [expansion_not_asked]") {
		t.Fatalf("without anybody to ask: %s", print(findings))
	}
	if got := positives(p)[1]; got != "a red fox (expansion 2 of 2, not asked yet)" {
		t.Errorf("a placeholder is %q", got)
	}
	if r := p.Report(ReportOptions{}).Expansion; r.Missing != 2 || r.Count != 2 || r.Prompts[1].Prompt != "a blue fox" {
		t.Errorf("%+v", r)
	}
	if p, findings = compileIn(t, dir, text, Source{Run: true, Asker: &scribe{dir: dir, write: func(Question) ([]string, error) { t.Error("a preview asks"); return nil, nil }}}); p == nil {
		t.Fatal(print(findings))
	}

	s := &scribe{dir: dir, write: numbered}
	p, findings = compileIn(t, dir, text, Source{Asker: s})
	if p == nil || len(s.asked) != 2 {
		t.Fatalf("%v %s", s.asked, print(findings))
	}
	want := []string{"a red fox, {text|1}", "a red fox, {text|2}", "a blue fox, {text|1}", "a blue fox, {text|2}"}
	if got := positives(p); !slices.Equal(got, append(want, want...)) {
		t.Errorf("%q", got)
	}
	if a := p.Axes()[1]; a.Name != "6.text#" || len(a.Values) != 4 || !strings.HasSuffix(a.Values[0].Value.File.Name, "batch.prompts.json") {
		t.Errorf("%+v", a)
	}
	again, findings := compileIn(t, dir, text, Source{Asker: s})
	if again == nil || again.Hash() != p.Hash() || len(s.asked) != 2 || len(findings) > 1 {
		t.Errorf("asked %v again: %s", s.asked, print(findings))
	}
	if stored, findings := compileIn(t, dir, text, Source{Run: true, Endpoints: []string{"preview"}}); stored == nil || stored.Hash() != p.Hash() {
		t.Error(print(findings))
	}
	r := p.Report(ReportOptions{})
	if text := r.Text(); !strings.Contains(text, "prompts: m of llm writes 2 texts for each of 2 prompts; stored in batch.prompts.json\n  \"a red fox\" → \"a red fox, {text|1}\"\n") || r.Expansion.Missing != 0 {
		t.Error(text)
	}
	// One more prompt: only it is asked for. Another seed asks anew.
	compileIn(t, dir, strings.Replace(text, "red|blue", "red|blue|white", 1), Source{Asker: s})
	if !slices.Equal(s.asked[2:], []string{"a white fox"}) {
		t.Errorf("asked %q", s.asked[2:])
	}
	if compileIn(t, dir, text+"seed: 3\n", Source{Asker: s}); len(s.asked) != 5 {
		t.Errorf("asked %q", s.asked)
	}
}

func TestExpansionForms(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		asked      int
		want       []string
	}{
		{"the axis that of names", "sweep: {matrix: {a: [x, y], b: [u]}}\nbind: {a: 6.text, b: 7.text}\nprompts: {expand: {endpoint: llm, model: m, of: a}}\n", 2, []string{"x, {text|1}", "y, {text|1}"}},
		{"the positive prompt", "sweep: {matrix: {a: [x], b: [u]}}\nbind: {a: 6.text, b: 7.text}\nprompts: {expand: {endpoint: llm, model: m}}\n", 1, []string{"x, {text|1}"}},
		{"the workflow's own prompt, kept", "prompts: {expand: {endpoint: llm, model: m, keep: true}}\n", 1, nil},
		{"dynamic braces", "set: {6.text: x}\nprompts: {expand: {endpoint: llm, model: m, of: 6.text, braces: dynamic}}\n", 1, []string{"x, text", "x, 1"}},
		{"draws", "set: {6.text: \"{x|y}\"}\nprompts: {mode: cycle, count: 2, expand: {endpoint: llm, model: m, count: 2}}\n", 2, []string{"x, {text|1}", "x, {text|2}", "y, {text|1}", "y, {text|2}"}},
	} {
		dir := expandDir(t)
		s := &scribe{dir: dir, write: numbered}
		p, findings := compileIn(t, dir, "version: 1\nworkflow: flow.json\nendpoints: [preview]\n"+tc.text, Source{Asker: s})
		if p == nil {
			t.Errorf("%s: %s", tc.name, print(findings))
			continue
		}
		if got := positives(p); tc.want != nil && !slices.Equal(got, tc.want) || len(s.asked) != tc.asked || tc.want == nil && (len(got) != 2 || got[1] != got[0]+", {text|1}") {
			t.Errorf("%s: asked %q, got %q", tc.name, s.asked, got)
		}
	}
}

func TestExpansionFindings(t *testing.T) {
	for _, tc := range []struct {
		expand, stored, want string
		write                func(Question) ([]string, error)
	}{
		{"{endpoint: lm, model: m}", "", `batch.yaml:6:30: error: there is no endpoint "lm" to expand prompts with [unknown_endpoint]`, numbered},
		{"{endpoint: paid, model: m}", "", `batch.yaml:6:30: error: endpoint "paid" is of type runpod; a language model is an endpoint of type serverless`, numbered},
		{"{endpoint: llm, model: m, of: cfg}", "", `batch.yaml:6:49: error: axis "cfg" sets no prompt, so there is nothing to expand`, numbered},
		{"{endpoint: llm, model: m, of: 3.seed}", "", `batch.yaml:6:49: error: 3.seed is no prompt`, numbered},
		{"{endpoint: llm, model: m, of: 99.text}", "", `batch.yaml:6:49: error: no node is called "99"`, numbered},
		{"{endpoint: llm, model: m, count: 51}", "", `batch.yaml:6:52: error: count: expected an integer from 1 to 50`, numbered},
		{"{endpoint: llm}", "", `batch.yaml:6:19: error: `, numbered},
		{"{endpoint: llm, model: m}", "", `batch.yaml:4:15: error: the model refused: "no" [expansion_refused]`,
			func(Question) ([]string, error) {
				return nil, &AskError{Code: "expansion_refused", Message: `the model refused: "no"`}
			}},
		{"{endpoint: llm, model: m}", "", "batch.yaml:6:30: note: m of llm was asked to expand this prompt", func(Question) ([]string, error) { return nil, nil }},
		{"{endpoint: llm, model: m}", `{"version": 1, "answers": {"x": {"texts": []}}}`, `batch.prompts.json:1:`, numbered},
		{"{endpoint: llm, model: m}", `{"version": 1, "answers": `, `batch.prompts.json:1:27: error: `, numbered},
	} {
		dir := expandDir(t)
		if tc.stored != "" {
			write(t, dir, "batch.prompts.json", tc.stored)
		}
		p, findings := compileIn(t, dir, expandBatch+"prompts: {expand: "+tc.expand+"}\n", Source{Asker: &scribe{dir: dir, write: tc.write}})
		if got := print(findings); p != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s\ngot\n%s\nwant %s", tc.expand, got, tc.want)
		}
	}
	// A run on endpoints that cost something does not go on with placeholders.
	p, findings := compileIn(t, expandDir(t), expandBatch+"prompts: {expand: {endpoint: llm, model: m}}\n", Source{Run: true, Endpoints: []string{"paid"}})
	if p != nil || !strings.Contains(print(findings), "error: 2 prompts are not expanded yet, and there is nobody here to ask [expansion_not_asked]") {
		t.Errorf("%s", print(findings))
	}
}

// What was answered is kept, also if another question fails.
func TestExpansionPartly(t *testing.T) {
	dir := expandDir(t)
	s := &scribe{dir: dir, write: func(q Question) ([]string, error) {
		if strings.Contains(q.Prompt, "blue") {
			return nil, fmt.Errorf("HTTP 500")
		}
		return numbered(q)
	}}
	text := expandBatch + "prompts: {expand: {endpoint: llm, model: m}}\n"
	p, findings := compileIn(t, dir, text, Source{Asker: s})
	if p != nil || !strings.Contains(print(findings), "llm could not be asked: HTTP 500 [expansion_failed]") {
		t.Error(print(findings))
	}
	s.write, s.asked = numbered, nil
	if p, findings := compileIn(t, dir, text, Source{Asker: s}); p == nil || !slices.Equal(s.asked, []string{"a blue fox"}) {
		t.Errorf("asked %q: %s", s.asked, print(findings))
	}
}
