package lower

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// noon is the time that the cases of testdata are converted at.
var noon = time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)

// TestCases converts the files of testdata, which each show one thing, and compares the whole prompt, the order of its keys too, and the
// findings: "severity code node input". Null is a prompt that the frontend refuses.
func TestCases(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	if len(files) < 30 {
		t.Fatalf("%d cases", len(files))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) {
			c := parseFile(t, f)
			prompt, findings, ok := Lower(c.Get("workflow"), nodes.BuiltIn(), Options{Now: noon})
			if ok != (prompt != nil) {
				t.Errorf("ok is %v, the prompt %s", ok, show(prompt))
			}
			got, want := "null", show(c.Get("prompt"))
			if ok {
				got = show(prompt)
			}
			if got != want {
				t.Errorf("%s:\n got %s\nwant %s", c.Get("about").Str(), got, want)
			}
			if got, want := show(source.NewArray(told(findings)...)), show(c.Get("findings")); got != want {
				t.Errorf("%s: findings\n got %s\nwant %s", c.Get("about").Str(), got, want)
			}
		})
	}
}

func told(findings []diag.Diagnostic) []*source.Value {
	var out []*source.Value
	for _, d := range findings {
		out = append(out, source.NewString(strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.Severity, d.Code, d.Node, d.Input))))
	}
	return out
}

// TestCodes holds that each code of the conversion is explained, with the same severity of wording everywhere, and met by a case.
func TestCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "diag", "code_convert.go"))
	if err != nil {
		t.Fatal(err)
	}
	met := []string{"not_a_workflow", "expansion_too_large"} // by the reader of files, and by TestLimits
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	for _, f := range files {
		for _, line := range parseFile(t, f).Get("findings").Items {
			met = append(met, strings.Fields(line.Text)[1])
		}
	}
	var table []string
	for _, m := range regexp.MustCompile(`Code: "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		table = append(table, m[1])
		if e, ok := diag.Explain(m[1]); !ok || e.Title == "" || len(e.Text) < 60 {
			t.Errorf("%s is not explained", m[1])
		}
		if !slices.Contains(met, m[1]) {
			t.Errorf("no case shows %s", m[1])
		}
	}
	for _, code := range met {
		if !slices.Contains(table, code) {
			t.Errorf("%s is not in the table", code)
		}
	}
}
