package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// truthDir is where the recorded answers of a real ComfyUI lie, beside the project.
const truthDir = "../../../../shared/truth"

func needTruth(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(truthDir); err != nil {
		t.Skipf("%s is not here: the recorded answers of a real ComfyUI are not part of the project", truthDir)
	}
}

// command runs a command line in this process.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = Main(args, &Env{Stdout: &out, Stderr: &err, Getenv: func(string) string { return "" }, Now: time.Now})
	return out.String(), err.String(), code
}

// One `comfyc convert` over all UI workflows, compared by the reference's own script.
func TestTruthConvert(t *testing.T) {
	needTruth(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3, which runs the reference's compare.py, is not installed")
	}
	cases, err := filepath.Glob(filepath.Join(truthDir, "ui2api", "*.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	in, out := t.TempDir(), t.TempDir()
	args := []string{"convert", "--nodes", filepath.Join(truthDir, "object_info.json"), "-o", out}
	for _, name := range cases {
		args = append(args, extractWorkflow(t, name, in))
	}
	_, stderr, code := command(t, args...)
	if code != exitOK && code != exitInput { // the reference refuses some cases, and so do we
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	report, err := exec.Command(python, filepath.Join(truthDir, "compare.py"), filepath.Join(truthDir, "ui2api"), out).CombinedOutput()
	if err != nil {
		t.Fatalf("compare.py: %v\n%s", err, report)
	}
	t.Logf("%s", report)
}

// extractWorkflow takes the UI workflow out of a case.
func extractWorkflow(t *testing.T, name, dir string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Workflow json.RawMessage }
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(to, c.Workflow, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// validationCase is one line of validation.jsonl.
type validationCase struct {
	Name     string
	Prompt   json.RawMessage
	Targets  []any `json:"partial_execution_targets"`
	Status   int
	Response json.RawMessage
	Valid    bool
	Good     []string `json:"good_outputs"`
}

// reported is one line of `comfyc check --json`.
type reported struct {
	Valid       bool
	GoodOutputs []string `json:"good_outputs"`
	Diagnostics []struct{ Code, Severity, Node, Input string }
}

// `comfyc check --json` over all prompts that a real server judged: the same verdict, the same good outputs, the same types of errors at the same
// nodes and inputs.
func TestTruthCheck(t *testing.T) {
	needTruth(t)
	groups := map[string][]validationCase{}
	for _, c := range validationCases(t) {
		key, ok := targetsFlag(c.Targets)
		if !ok {
			continue // a target that is no string cannot be said on a command line; compiler/graph tests it
		}
		groups[key] = append(groups[key], c)
	}
	checked := 0
	for flag, cases := range groups {
		checked += checkGroup(t, flag, cases)
	}
	t.Logf("%d prompts checked", checked)
}

func checkGroup(t *testing.T, flag string, cases []validationCase) int {
	dir := t.TempDir()
	args := []string{"check", "--json", "--nodes", filepath.Join(truthDir, "validation_object_info.json")}
	if flag != "" {
		args = append(args, "--targets="+strings.TrimPrefix(flag, "="))
	}
	for i, c := range cases {
		name := filepath.Join(dir, fmt.Sprintf("%05d.json", i))
		prompt := bytes.ReplaceAll(c.Prompt, []byte(`{"__float__":"nan"}`), []byte("NaN"))
		if err := os.WriteFile(name, bytes.ReplaceAll(prompt, []byte(`{"__float__": "nan"}`), []byte("NaN")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	stdout, stderr, _ := command(t, args...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != len(cases) {
		t.Fatalf("%d lines for %d files\n%s", len(lines), len(cases), stderr)
	}
	for i, c := range cases {
		var r reported
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			t.Fatal(err)
		}
		compareVerdict(t, c, r)
	}
	return len(cases)
}

func compareVerdict(t *testing.T, c validationCase, r reported) {
	t.Helper()
	slices.Sort(r.GoodOutputs)
	slices.Sort(c.Good)
	if r.Valid != c.Valid || !slices.Equal(r.GoodOutputs, c.Good) {
		t.Errorf("%s: valid %v with outputs %v, the server says %v with %v", c.Name, r.Valid, r.GoodOutputs, c.Valid, c.Good)
	}
	got, want := map[string]bool{}, wantedErrors(c)
	for _, d := range r.Diagnostics {
		if d.Node != "" && serverTypes[d.Code] {
			got[errorKey(d.Node, d.Code, d.Input)] = true
		}
	}
	for key := range want {
		if !got[key] {
			t.Errorf("%s: %s is missing", c.Name, key)
		}
	}
	for key := range got {
		if !want[key] {
			t.Errorf("%s: %s should not be there", c.Name, key)
		}
	}
}

// serverTypes are the types of errors that the server reports of nodes.
var serverTypes = map[string]bool{
	"required_input_missing": true, "bad_linked_input": true, "return_type_mismatch": true, "invalid_input_type": true,
	"value_smaller_than_min": true, "value_bigger_than_max": true, "value_not_in_list": true, "custom_validation_failed": true,
	"dependency_cycle": true, "exception_during_inner_validation": true, "exception_during_validation": true,
}

// errorKey leaves the input out where the server names any one of several.
func errorKey(node, kind, input string) string {
	if strings.HasPrefix(kind, "exception_") {
		input = ""
	}
	return node + " " + kind + " " + input
}

func wantedErrors(c validationCase) map[string]bool {
	want := map[string]bool{}
	var response struct {
		Nodes map[string]struct {
			Errors []struct {
				Type  string
				Extra struct {
					Input string `json:"input_name"`
				} `json:"extra_info"`
			}
		} `json:"node_errors"`
	}
	if json.Unmarshal(c.Response, &response) != nil {
		return want // a plain text: status 500
	}
	for id, node := range response.Nodes {
		for _, e := range node.Errors {
			want[errorKey(id, e.Type, e.Extra.Input)] = true
		}
	}
	return want
}

func targetsFlag(targets []any) (flag string, ok bool) {
	if targets == nil {
		return "", true
	}
	var ids []string
	for _, id := range targets {
		s, ok := id.(string)
		if !ok {
			return "", false
		}
		ids = append(ids, s)
	}
	return "=" + strings.Join(ids, ","), true
}

func validationCases(t *testing.T) []validationCase {
	t.Helper()
	f, err := os.Open(filepath.Join(truthDir, "validation.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []validationCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var c validationCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if lines.Err() != nil || len(out) == 0 {
		t.Fatalf("no cases: %v", lines.Err())
	}
	return out
}
