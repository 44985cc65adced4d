package graph

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

func parse(t testing.TB, name, text string) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile(name, []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestExplainedExamples builds the prompts that `comfyc explain` prints: the bad one has the finding, the good one has none.
func TestExplainedExamples(t *testing.T) {
	tried := 0
	profile, _ := nodes.ProfileOf("runpod/worker-comfyui:5.5.0-flux1-dev")
	flux := Worker{Endpoint: "mine", Profile: profile}
	onWorker := map[string]bool{"dropped_output": true, "missing_model": true}
	for _, code := range diag.Codes() {
		e, _ := diag.Explain(code)
		if !strings.Contains(e.Bad, "class_type") {
			continue
		}
		tried++
		t.Run(code, func(t *testing.T) {
			g, bad := Build(parse(t, "bad.json", e.Bad), nodes.BuiltIn(), Options{})
			if onWorker[code] {
				bad.Findings = CheckWorker(g, flux)
			}
			if !hasCode(bad.Findings, code) {
				t.Errorf("the bad example has %v", codesOf(bad.Findings))
			}
			g, good := Build(parse(t, "good.json", e.Good), nodes.BuiltIn(), Options{})
			if onWorker[code] {
				good.Findings = append(good.Findings, CheckWorker(g, flux)...)
			}
			for _, d := range good.Findings {
				if d.Code != "nothing_saved" || code == d.Code { // some examples only preview, to be short
					t.Errorf("the good example has %s: %s", d.Code, d.Message)
				}
			}
			if !good.Valid {
				t.Error("the good example is not valid")
			}
		})
	}
	if tried < 27 {
		t.Errorf("only %d examples were found", tried)
	}
}

// TestEveryCodeIsExplained holds that each code of this package stands in a table.
func TestEveryCodeIsExplained(t *testing.T) {
	for _, code := range append(serverCodes, "prompt_outputs_failed_validation", "invalid_prompt_id", "literal_on_link", "undeclared_input",
		"unknown_choice", "not_finite", "off_step", "path_outside_input", "path_outside_output", "secret_in_input", "unreachable_node",
		"partial_success", "nothing_saved", "equal_nodes", "replaced_class", "dropped_output", "missing_model", "bad_catalogue") {
		if e, ok := diag.Explain(code); !ok || e.Title == "" || e.Text == "" {
			t.Errorf("%s is not explained", code)
		}
	}
}

func hasCode(findings []diag.Diagnostic, code string) bool {
	for _, d := range findings {
		if d.Code == code {
			return true
		}
	}
	return false
}

func codesOf(findings []diag.Diagnostic) []string {
	var out []string
	for _, d := range findings {
		out = append(out, d.Code)
	}
	return out
}
