package script

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// heavy gives a script of n bytes that JSON writes with six bytes for each: a comment of control characters.
func heavy(i, n int) *source.File {
	text := append([]byte("/*"), bytes.Repeat([]byte{1}, n-4)...)
	return source.NewFile(fmt.Sprintf("%03d.js", i), append(text, "*/"...))
}

// TestAllThatIsAllowedArrives sends a child the largest set of scripts in the form that is the longest as JSON.
func TestAllThatIsAllowedArrives(t *testing.T) {
	if testing.Short() {
		t.Skip("100 MB of requests")
	}
	calm(t)
	files := []*source.File{source.NewFile("t.js", []byte(one("return g.EmptyImage({});")))}
	left := maxSource - len(files[0].Name) - len(files[0].Data)
	for i := 0; left > 100; i++ {
		files = append(files, heavy(i, min(maxFile, left-len("000.js"))))
		left -= len("000.js") + len(files[len(files)-1].Data)
	}
	s, findings := Load(context.Background(), files, nil, Options{Command: childOptions.Command, Timeout: 10 * calmTimeout, MemoryMiB: 1024})
	if s == nil {
		t.Fatal(printed(findings))
	}
	defer s.Close()
	if e, findings := s.Expand(context.Background(), prompt(t, useOne)); e == nil {
		t.Error(printed(findings))
	}
}

func TestTooMuch(t *testing.T) {
	var files []*source.File
	for i := range 1 + maxSource/maxFile {
		files = append(files, heavy(i, maxFile-6))
	}
	_, findings := Load(context.Background(), files, nil, Options{InProcess: true})
	if got := printed(findings); !strings.Contains(got, "17 files of templates have 17825792 bytes together; at most 16777216 are read [bad_template]") {
		t.Errorf("scripts: %s", got)
	}
	text := `template({ name: "T", inputs: { a: "STRING" }, outputs: { image: "IMAGE" }, expand(g) { return g.EmptyImage({}); } });`
	s := load(t, Options{InProcess: true, Timeout: calmTimeout}, "t.js", text)
	p := prompt(t, `{"5": {"class_type": "T", "inputs": {"a": "`+strings.Repeat("x", maxArgs)+`"}}}`)
	if _, findings = s.Expand(context.Background(), p); !strings.Contains(printed(findings), "T is given 16777223 bytes; at most 16777216 are taken [bad_argument]") {
		t.Errorf("values: %s", printed(findings))
	}
	many := strings.Repeat("template({ name: 'A' + n++, expand() {} });", maxTemplates)
	files = nil
	for i := range 1 + maxDeclared/maxTemplates {
		files = append(files, source.NewFile(fmt.Sprint(i, ".js"), []byte(fmt.Sprintf("let n = %d;%s", i*maxTemplates, many))))
	}
	_, findings = Load(context.Background(), files, nil, Options{InProcess: true, Timeout: calmTimeout})
	if !strings.Contains(printed(findings), "the files register 11000 templates; at most 10000 are taken") {
		t.Errorf("templates: %.300s", printed(findings))
	}
}

// TestTotal is about what all expansions of a prompt make together.
func TestTotal(t *testing.T) {
	text := `template({ name: "Part", inputs: { a: "INT" }, outputs: { image: "IMAGE" }, expand(g, { a }) { return g.Big({ text: "x".repeat(3e6) + a }); } });
template({ name: "T", outputs: { image: "IMAGE" }, expand(g) { let p; for (let i = 0; i < 30; i++) p = g.Part({ a: i }); return p; } });`
	s := load(t, Options{InProcess: true, Timeout: calmTimeout}, "t.js", text)
	_, findings := s.Expand(context.Background(), prompt(t, useOne))
	if got := printed(findings); !strings.Contains(got, "the templates make more than 67108864 bytes for one workflow [script_output]") || strings.Count(got, "script_output") != 1 {
		t.Errorf("%.2000s", got)
	}
	if s.kept > maxKept {
		t.Errorf("%d bytes are remembered", s.kept)
	}
}

// TestManyFindings holds that a script which makes a thousand mistakes does not keep the compiler busy with all of them.
func TestManyFindings(t *testing.T) {
	s := load(t, Options{InProcess: true, Timeout: calmTimeout}, "t.js", one("for (let i = 0; i < 9000; i++) g.EmptyImaeg({}); return g.EmptyImage({});"))
	_, findings := s.Expand(context.Background(), prompt(t, useOne))
	if len(findings) != maxFindings || findings[0].Hint == "" || findings[maxFindings-1].Hint != "" {
		t.Errorf("%d findings: %.300s", len(findings), printed(findings))
	}
}
