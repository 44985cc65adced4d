package compiler

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// env is the environment of all tests: one key is there.
func env(name string) (string, bool) {
	v, ok := map[string]string{"RUNPOD_API_KEY": "secret-runpod-key"}[name]
	return v, ok
}

// TestBad compiles every batch in testdata/bad and compares what is printed with the .golden file beside it. UPDATE_GOLDEN=1 writes them anew.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		if filepath.Base(name) == EndpointsFileName {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := source.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			plan, findings := Compile(context.Background(), Source{File: file, Env: env, Run: true, Scripts: inChild})
			if plan != nil {
				t.Error("a plan was made")
			}
			var out bytes.Buffer
			if err := diag.Print(&out, findings, diag.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, d := range findings {
				if _, ok := diag.Explain(d.Code); !ok && d.Severity == diag.Error {
					t.Errorf("the code %s is not explained", d.Code)
				}
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".golden", strings.ReplaceAll(out.String(), "\\", "/"))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", name, got, want)
	}
	if strings.Contains(got, "secret-runpod-key") {
		t.Error("a key's value is printed")
	}
}
