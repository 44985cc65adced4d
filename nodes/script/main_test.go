package script

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// TestMain lets the test's own binary be the child process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "script-child" {
		if len(os.Environ()) > 0 {
			fmt.Fprintln(os.Stderr, "the child has an environment:", os.Environ())
			os.Exit(9)
		}
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var childOptions = Options{Command: []string{os.Args[0], "script-child"}}

// both runs a test in process and with a child.
func both(t *testing.T, f func(*testing.T, Options)) {
	t.Run("in process", func(t *testing.T) { f(t, Options{InProcess: true, Timeout: calmTimeout}) })
	t.Run("child", func(t *testing.T) { f(t, Options{Command: childOptions.Command, Timeout: calmTimeout}) })
}

// load loads one script, which must be good.
func load(t testing.TB, opt Options, name, text string) *Set {
	t.Helper()
	s, findings := Load(context.Background(), []*source.File{source.NewFile(name, []byte(text))}, nodes.BuiltIn(), opt)
	if s == nil {
		t.Fatalf("not loaded:\n%s", printed(findings))
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func prompt(t testing.TB, text string) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile("flow.json", []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// printed gives findings as `place: message [code] (hint) | note`, one a line.
func printed(findings []diag.Diagnostic) string {
	out := ""
	for _, d := range findings {
		out += fmt.Sprintf("%s: %s [%s]", diag.Where(d.Place), d.Message, d.Code)
		if d.Hint != "" {
			out += " (" + d.Hint + ")"
		}
		for _, n := range d.Notes {
			out += fmt.Sprintf(" | %s: %s", diag.Where(n.Place), n.Message)
		}
		out += "\n"
	}
	return out
}
