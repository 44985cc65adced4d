package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/schemas"
)

// Every code block of README.md and docs/ is run here, one document after the other in a folder of its own, which begins with a copy of
// examples/, the FLUX.1-dev workflow as workflow.json, and an endpoints file that has the usual names. A comment before a block says what
// its language does not:
//
//	<!-- doc: file=batch.yaml -->     the block becomes this file, for the blocks after it
//	<!-- doc: in=examples/flux-dev --> a batch, or commands, of that folder
//	<!-- doc: exit=3 -->              the last command of the block ends with this status
//	<!-- doc: schema=service -->       a configuration of another kind than batches and endpoints
//	<!-- doc: parse -->               commands that need what no test has: the command and its flags must be there
//	<!-- doc: elsewhere -->           commands of other programs, or files of theirs
//
// Go blocks are files: they are vetted as they stand.

// block is one fenced block of a document.
type block struct {
	lang  string
	text  string
	line  int // of the fence
	marks map[string]string
}

var docMark = regexp.MustCompile(`^<!-- doc: (.*) -->$`)

// blocks reads the fenced blocks of a document.
func blocks(text string) (out []block) {
	marks := map[string]string{}
	var open *block
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case open != nil && isFence:
			out, open = append(out, *open), nil
		case open != nil:
			open.text += line + "\n"
		case isFence:
			open = &block{lang: fence, line: i + 1, marks: marks}
			marks = map[string]string{}
		default:
			if m := docMark.FindStringSubmatch(line); m != nil {
				for _, word := range strings.Fields(m[1]) {
					key, value, _ := strings.Cut(word, "=")
					marks[key] = value
				}
			}
		}
	}
	return out
}

func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs all commands of the documents")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	documents, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	for _, path := range append(documents, filepath.Join(root, "README.md")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d := document{t: t, root: root, dir: docFolder(t, root)}
			for _, b := range blocks(string(text)) {
				if b.lang == "yaml" && filepath.Base(path) == "batch.md" {
					continue // package compiler compiles these, and holds that every key has one
				}
				d.run(b)
			}
		})
	}
}

// docFolder makes the folder that a document's blocks run in.
func docFolder(t *testing.T, root string) string {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	outs, _ := filepath.Glob(filepath.Join(dir, "examples", "*", "out"))
	for _, out := range outs {
		_ = os.RemoveAll(out)
	}
	flow, err := os.ReadFile(filepath.Join(root, "examples", "flux-dev", "workflow.json"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"workflow.json": string(flow), compiler.EndpointsFileName: docEndpoints, "models.txt": "flux1-dev.safetensors\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// docEndpoints are the endpoints that documents name.
const docEndpoints = `endpoints:
  novita-4090: {type: novita, url: "https://async.novita.ai/v1/abc", key_env: NOVITA_API_KEY, gpu: rtx4090, worker: "runpod/worker-comfyui:5.5.0-flux1-dev", price: {usd_per_second: 0.00031, as_of: 2026-08}}
  runpod-4090: {type: runpod, url: "https://api.runpod.ai/v2/abc", key_env: RUNPOD_API_KEY, gpu: rtx4090, worker: "runpod/worker-comfyui:5.5.0-flux1-dev"}
  h100: {type: runpod, url: "https://api.runpod.ai/v2/def", key_env: RUNPOD_API_KEY, gpu: h100, worker: "runpod/worker-comfyui:5.5.0-flux1-dev"}
  studio: {type: comfyui, url: "http://127.0.0.1:8188", price: {usd_per_second: 0, as_of: 2026-08}}
`

// document is one document that is being run.
type document struct {
	t         *testing.T
	root, dir string
}

func (d *document) run(b block) {
	fail := func(format string, args ...any) {
		d.t.Errorf("the %s block at line %d: %s", b.lang, b.line, fmt.Sprintf(format, args...))
	}
	if hasMark(b, "elsewhere") {
		return
	}
	if name := b.marks["file"]; name != "" {
		path := filepath.Join(d.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.text), 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	switch b.lang {
	case "yaml":
		d.yaml(b, fail)
	case "json":
		if _, err := source.ParseJSON(source.NewFile("block", []byte(b.text)), source.Limits{}); err != nil {
			fail("%v", err)
		}
	case "sh":
		d.shell(b, fail)
	case "go":
		d.golang(b, fail)
	case "js", "ts":
		d.script(b, fail)
	case "text", "mermaid":
	default:
		fail("what language is this? It cannot be run")
	}
}

// where is the folder of a block.
func (d *document) where(b block) string {
	return filepath.Join(d.dir, filepath.FromSlash(b.marks["in"]))
}

// yaml compiles batches and pieces of batches, and loads endpoints files.
func (d *document) yaml(b block, fail func(string, ...any)) {
	root, err := source.ParseYAML(source.NewFile("block", []byte(b.text)), source.Limits{})
	if err != nil {
		fail("%v", err)
		return
	}
	if name := b.marks["schema"]; name != "" {
		for _, wrong := range schemas.Check(name, root.Any()) {
			fail("%+v", wrong)
		}
		return
	}
	env := func(string) (string, bool) { return "x", true }
	if v := root.Get("endpoints"); v != nil && v.Kind == source.Object {
		_, findings := compiler.LoadEndpoints(source.NewFile(filepath.Join(d.where(b), "block.yaml"), []byte(b.text)), true, env)
		report(findings, fail)
		return
	}
	text := b.text
	if root.Get("workflow") == nil {
		text = "workflow: workflow.json\n" + text
	}
	if root.Get("version") == nil {
		text = "version: 1\n" + text
	}
	src := compiler.Source{File: source.NewFile("block", []byte(text)), Dir: d.where(b), Env: env}
	src.Scripts.InProcess = true
	_, findings := compiler.Compile(context.Background(), src)
	report(findings, fail)
}

// report fails on findings that are errors.
func report(findings []diag.Diagnostic, fail func(string, ...any)) {
	for _, f := range findings {
		if f.Severity == diag.Error {
			var b bytes.Buffer
			_ = diag.Print(&b, []diag.Diagnostic{f}, diag.Options{})
			fail("%s", &b)
		}
	}
}

// endless are commands that run until they are stopped, or need a server: that they parse is all that is held here.
var endless = []string{"serve", "work", "emulate", "doctor"}

// maxDocCommand bounds one command of a document.
const maxDocCommand = 5 * time.Minute

// shell runs the lines of a block. The commands of comfyc are run; go and make are known to be run elsewhere.
func (d *document) shell(b block, fail func(string, ...any)) {
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(b.text), "\\\n", " "), "\n")
	for i, line := range lines {
		line = strings.Replace(line, "go run ./cmd/comfyc ", "comfyc ", 1)
		words := strings.Fields(line)
		for len(words) > 1 && strings.Contains(words[0], "=") {
			words = words[1:] // variables for one command
		}
		switch {
		case len(words) == 0 || words[0] == "export" || strings.HasPrefix(words[0], "#"):
		case words[0] == "make":
			d.target(words[1], fail)
		case words[0] == "go" || words[0] == "git" || words[0] == "cd":
		case words[0] != "comfyc":
			fail("%s: not a command that a test runs; is the block to be marked elsewhere?", words[0])
		case hasMark(b, "parse") || slices.Contains(endless, words[1]):
			if err := parses(words[1:]); err != nil {
				fail("%s: %v", line, err)
			}
		default:
			want := "0"
			if i == len(lines)-1 && b.marks["exit"] != "" {
				want = b.marks["exit"]
			}
			d.command(line, want, d.where(b), fail)
		}
	}
}

func hasMark(b block, name string) bool {
	_, ok := b.marks[name]
	return ok
}

// command runs one line of the shell.
func (d *document) command(line, want, dir string, fail func(string, ...any)) {
	ctx, cancel := context.WithTimeout(context.Background(), maxDocCommand)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "HOME="+d.dir, "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"), "XDG_CACHE_HOME="+filepath.Join(d.dir, "cache"),
		"XDG_STATE_HOME="+filepath.Join(d.dir, "state"), "NOVITA_API_KEY=x", "RUNPOD_API_KEY=x", "HOOK_SECRET=x")
	out, err := cmd.CombinedOutput()
	if got := fmt.Sprint(cmd.ProcessState.ExitCode()); got != want {
		fail("%s: exit code %s, want %s (%v)\n%s", line, got, want, err, out)
	}
}

// target holds that make has a target.
func (d *document) target(name string, fail func(string, ...any)) {
	text, err := os.ReadFile(filepath.Join(d.root, "Makefile"))
	if err != nil || !strings.Contains(string(text), "\n"+name+":") {
		fail("make %s: there is no such target (%v)", name, err)
	}
}

// parses holds that a command and its flags are there, without running it.
func parses(args []string) error {
	if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "#") || a == "|" || a == ">" || a == "&" }); i >= 0 {
		args = args[:i]
	}
	cmd, rest, err := root(&Env{}).Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// golang vets a block as a file of its own package, within this module so that it may import it.
func (d *document) golang(b block, fail func(string, ...any)) {
	if !strings.HasPrefix(b.text, "package ") {
		fail("a Go block is a whole file; what is none is a text block")
		return
	}
	dir, err := os.MkdirTemp("testdata", "doc-")
	if err != nil {
		d.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "block.go"), []byte(b.text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", "./"+dir).CombinedOutput(); err != nil {
		fail("%s", out)
	}
}

// script checks a node template by itself.
func (d *document) script(b block, fail func(string, ...any)) {
	path := filepath.Join(d.dir, fmt.Sprintf("block-%d.%s", b.line, b.lang))
	if err := os.WriteFile(path, []byte(b.text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.command("comfyc nodes types "+filepath.Base(path), "0", d.dir, fail)
}
