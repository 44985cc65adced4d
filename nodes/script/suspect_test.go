package script

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// liar gives a set whose child says the given lines, whatever it is asked; a child that takes the place of a killed one goes on behind them.
func liar(lines []byte) *Set {
	s := newSet([]*source.File{source.NewFile("t.js", []byte(one("return g.EmptyImage({ width: 8 });")))}, nodes.BuiltIn(), Options{Command: []string{"liar"}, Timeout: calmTimeout})
	p := newChild(s.opt, s.shape)
	said := bufio.NewReader(bytes.NewReader(lines))
	p.open = func() (*talk, error) {
		if _, err := said.Peek(1); err != nil {
			return nil, errors.New("there are no more children")
		}
		return &talk{in: nowhere{}, out: said, kill: func() {}, last: func() string { return "" }}, nil
	}
	s.runner = p
	return s
}

// nowhere takes what the parent says.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

var _ io.WriteCloser = nowhere{}

const (
	helloLine = `{"ready":true}` + "\n"
	loadLine  = `{"load":{"declared":[{"at":{"file":0,"line":1,"column":9},"def":{"name":"T","inputs":{"a":{"type":"INT","default":1},"image":{"type":"IMAGE","optional":true}},` +
		`"outputs":{"image":"IMAGE"}}}]}}` + "\n"
	goodLine = `{"expand":{"nodes":[{"class":"EmptyImage","at":{"file":0,"line":6,"column":20},"inputs":[{"name":"width","lit":8}]}],"outputs":[{"name":"","node":1,"slot":-1}],"single":true}}` + "\n"
)

// lies are answers that once made the parent panic, or could; each comes after a hello and, if it is not about loading, a good load.
var lies = []struct{ name, line, want string }{
	{"a template in another file", `{"load":{"declared":[{"at":{"file":7},"def":{"name":"T"}}]}}`, "a template in file 7 of 1 [script_failed]"},
	{"a template in a file below 0", `{"load":{"declared":[{"at":{"file":-1},"def":{"name":"T"}}]}}`, "a template in file -1 of 1"},
	{"trouble in a file below 0", `{"load":{"trouble":[{"at":{"file":-1,"line":3},"code":"script_failed","message":"no"}]}}`, ": no [script_failed]"},
	{"trouble without end", `{"load":{"trouble":[{},{}]}}`, "trouble with 2 files of 1"},
	{"a code that does not exist", `{"load":{"trouble":[{"code":"nonsense","message":"no"}]}}`, ": no [script_failed]"},
	{"too many templates", `{"load":{"declared":[` + strings.Repeat(`{"at":{}},`, maxTemplates) + `{"at":{}}]}}`, "more than 1000 templates"},
	{"no definition", `{"load":{"declared":[{"at":{"file":0,"line":-5,"column":-9223372036854775808}}]}}`, "the definition cannot be read"},
	{"a definition that is a number", `{"load":{"declared":[{"at":{"file":0},"def":3}]}}`, "the template has no name"},
	{"nothing", `null`, "gave no answer"},
	{"a list", `[]`, "an answer that cannot be: json"},
	{"no JSON", `{`, "an answer that cannot be: unexpected end"},
	{"a node in another file", `{"expand":{"nodes":[{"class":"EmptyImage","at":{"file":9}}]}}`, "t.js:2:9: the process that runs scripts gave an answer that cannot be: node 1 in file 9 of 1"},
	{"a node in a file below 0", `{"expand":{"nodes":[{"class":"EmptyImage","at":{"file":-9}}]}}`, "node 1 in file -9 of 1"},
	{"a handle that is not there", `{"expand":{"single":true}}`, "0 outputs (single is true)"},
	{"trouble elsewhere", `{"expand":{"trouble":{"at":{"file":-1,"line":1},"code":"bad_output","message":"no"}}}`, ": no [bad_output]"},
	{"a node that is not there", `{"expand":{"outputs":[{"name":"image","node":1}]}}`, "an output with a link to node 1, when there are 0"},
	{"a node below 0", `{"expand":{"outputs":[{"name":"image","node":-1}]}}`, "a link to node -1"},
	{"a link to itself", `{"expand":{"nodes":[{"class":"ImageInvert","inputs":[{"name":"image","node":1}]}],"outputs":[{"name":"image","node":1}]}}`, "node 1 has a link to node 1, when there are 0"},
	{"a link to a later node", `{"expand":{"nodes":[{"class":"ImageInvert","inputs":[{"name":"image","node":2}]},{"class":"T"}]}}`, "node 1 has a link to node 2, when there are 0"},
	{"a link that was not given", `{"expand":{"outputs":[{"name":"image","link":1}]}}`, "link 1 of 0"},
	{"an output below the whole", `{"expand":{"nodes":[{"class":"Nobody"}],"outputs":[{"name":"image","node":1,"slot":-2}]}}`, "output -2"},
	{"a huge output", `{"expand":{"nodes":[{"class":"Nobody"}],"outputs":[{"name":"image","node":1,"slot":4611686018427387904}]}}`, "output 4611686018427387904"},
	{"nothing and everything", `{"expand":{"outputs":[{"name":"image"}]}}`, "a value that is 0 things"},
	{"two things", `{"expand":{"nodes":[{"class":"EmptyImage"}],"outputs":[{"name":"image","lit":1,"node":1}]}}`, "a value that is 2 things"},
	{"a class without end", `{"expand":{"nodes":[{"class":"` + strings.Repeat("x", 300) + `"}]}}`, "a class of 300 bytes"},
	{"inputs without end", `{"expand":{"nodes":[{"class":"X","inputs":[` + strings.Repeat(`{"lit":1},`, maxInputs) + `{"lit":1}]}]}}`, "and 2001 inputs"},
	{"values without end", `{"expand":{"nodes":[` + strings.Repeat(`{"class":"X","inputs":[`+strings.Repeat(`{"lit":1},`, maxInputs-1)+`{"lit":1}]},`, 101) + `{}]}}`, "202000 values"},
	{"outputs without end", `{"expand":{"outputs":[` + strings.Repeat(`{"lit":1},`, maxPorts) + `{"lit":1}]}}`, "201 outputs"},
	{"a number without end", `{"expand":{"outputs":[{"name":"image","lit":` + strings.Repeat("7", 5000) + `}]}}`, "a value cannot be read"},
	{"the last word of a child that goes on", `{"last":true}`, "gave no answer"},
}

// TestLies holds that each such answer is a finding, and that the next child works.
func TestLies(t *testing.T) {
	for _, tc := range lies {
		t.Run(tc.name, func(t *testing.T) {
			talk := helloLine
			loading := strings.HasPrefix(tc.line, `{"load"`)
			if !loading {
				talk += loadLine
			}
			s := liar([]byte(talk + tc.line + "\n" + helloLine + loadLine + goodLine))
			findings := s.read(context.Background())
			if !loading {
				if len(findings) > 0 {
					t.Fatalf("not loaded:\n%s", printed(findings))
				}
				_, findings = s.Expand(context.Background(), prompt(t, useOne))
			}
			if !strings.Contains(printed(findings), tc.want) {
				t.Errorf("got %swant %s", printed(findings), tc.want)
			}
			if loading || strings.Contains(tc.want, "a value cannot be read") { // such an answer is remembered
				return
			}
			if p := s.runner.(*process); p.talk != nil && !strings.Contains(tc.line, "trouble") {
				t.Error("the child that lied goes on")
			} else if p.talk != nil {
				p.end()
			}
			if e, findings := s.Expand(context.Background(), prompt(t, useOne)); e == nil {
				t.Errorf("afterwards nothing works:\n%s", printed(findings))
			}
		})
	}
}

// TestLastWordOnLoading is about a child that takes the place of another one and gives up while it loads what was loaded before.
func TestLastWordOnLoading(t *testing.T) {
	s := liar([]byte(helloLine + loadLine + `{"last":true,"expand":{"trouble":{"code":"script_time","message":"too long"}}}` + "\n" +
		helloLine + `{"last":true,"load":{"trouble":[{"code":"script_time","message":"too long again"}]}}` + "\n"))
	if findings := s.read(context.Background()); len(findings) > 0 {
		t.Fatal(printed(findings))
	}
	for _, want := range []string{"too long [script_time]", "too long again [script_time]", "no more children"} {
		if _, findings := s.Expand(context.Background(), prompt(t, useOne)); !strings.Contains(printed(findings), want) {
			t.Errorf("got %swant %s", printed(findings), want)
		}
	}
}

// FuzzReplies lets a child say anything. The parent must not panic, and whatever it makes of the answers is a finding, or a prompt whose links
// lead somewhere.
func FuzzReplies(f *testing.F) {
	for _, tc := range lies {
		if len(tc.line) > 2000 {
			continue
		}
		talk := helloLine
		if !strings.HasPrefix(tc.line, `{"load"`) {
			talk += loadLine
		}
		f.Add([]byte(talk + tc.line + "\n" + helloLine + loadLine + goodLine))
	}
	f.Add([]byte(helloLine + loadLine + `{"ask":"EmptyImage"}` + "\n" + goodLine + goodLine))
	f.Add([]byte(helloLine + `{"load":{"declared":[{"at":{},"def":{"name":"T","inputs":{"a":["x",1],"b":{"type":"COMFY_AUTOGROW_V3","default":{}}},"outputs":{"image":"IMAGE","i":"INT"}}},` +
		`{"at":{},"workflow":true,"def":{"inputs":{"s":{"type":"STRING","default":"","min":"a"}}}}]}}` + "\n" +
		`{"expand":{"nodes":[{"class":"main","inputs":[{"name":"s","lit":"x"}]},{"class":"T","inputs":[{"name":"a","node":1}]}],"outputs":[{"name":"image","node":2,"slot":-1},{"name":"i","lit":[1]}]}}` + "\n" +
		`{"expand":{}}` + "\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		s := liar(lines)
		if findings := s.read(context.Background()); failed(t, findings) {
			return
		}
		p := prompt(t, `{"5": {"class_type": "T", "inputs": {"a": 3}}, "6": {"class_type": "T", "inputs": {"image": ["5", 0]}}, "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}}}`)
		e, findings := s.Expand(context.Background(), p)
		if failed(t, findings) != (e == nil) {
			t.Fatalf("an expansion: %v, with\n%s", e != nil, printed(findings))
		}
		if e != nil {
			lead(t, e.Prompt, s)
		}
		if v, findings := s.ExpandWorkflow(context.Background()); failed(t, findings) != (v == nil) {
			t.Fatalf("a workflow: %v, with\n%s", v != nil, printed(findings))
		}
		_ = s.MainPrompt()
	})
}

// failed tells whether there is an error among findings, each of which must be one that can be shown.
func failed(t *testing.T, findings []diag.Diagnostic) bool {
	t.Helper()
	is := false
	for _, d := range findings {
		if _, known := diag.Explain(d.Code); !known {
			t.Fatalf("code %q", d.Code)
		}
		if at := d.Place; at.File != nil && (at.Start < 0 || at.End < at.Start || at.End > len(at.File.Data)) {
			t.Fatalf("%s stands at %d to %d of %d", d.Message, at.Start, at.End, len(at.File.Data))
		}
		is = is || d.Severity == diag.Error
	}
	return is
}

// lead holds that no node uses a template any more, and that every link leads to a node that is there.
func lead(t *testing.T, p *source.Value, s *Set) {
	t.Helper()
	for _, node := range p.Members {
		if s.byName[node.Value.Get("class_type").Str()] != nil {
			t.Fatalf("node %s still uses a template: %s", node.Key, p.AppendJSON(nil))
		}
		for _, in := range members(node.Value.Get("inputs")) {
			if isLink(in.Value) && p.Get(in.Value.Items[0].Text) == nil {
				t.Fatalf("%s.%s leads nowhere: %s", node.Key, in.Key, p.AppendJSON(nil))
			}
		}
	}
}
