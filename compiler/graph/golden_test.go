package graph

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

var update = flag.Bool("update", false, "write the .golden files anew")

// TestGolden compares the printed findings of testdata/check/*.json with the .golden file beside each.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.json")
	if err != nil || len(files) < 20 {
		t.Fatal("the test data is missing", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			got := printed(t, file)
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// printed builds a file with the built-in catalogue; of input files there is only fox.png.
func printed(t *testing.T, file string) []byte {
	t.Helper()
	f, err := source.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = filepath.Base(file)
	v, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	_, verdict := Build(v, nodes.BuiltIn(), Options{Files: func(name string) bool { return name == "fox.png" }})
	var out bytes.Buffer
	fmt.Fprintf(&out, "valid: %v, good outputs: %v\n", verdict.Valid, verdict.GoodOutputs)
	if err := diag.Print(&out, verdict.Findings, diag.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
