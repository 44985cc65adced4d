package graph

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

const truthDir = "../../../shared/truth/"

// snapshot loads the definitions of the server that gave the truth, or skips.
func snapshot(t testing.TB) *nodes.Catalogue {
	t.Helper()
	f, err := source.ReadFile(truthDir + "validation_object_info.json")
	if err != nil {
		t.Skipf("SKIPPED, no ground truth: %v", err)
	}
	cat, findings := nodes.LoadFile(f)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return cat
}

// truthCase is one line of validation.jsonl.
type truthCase struct {
	name string
	v    *source.Value
}

func truthCases(t testing.TB) []truthCase {
	t.Helper()
	data, err := os.ReadFile(truthDir + "validation.jsonl")
	if err != nil {
		t.Skipf("SKIPPED, no ground truth: %v", err)
	}
	var out []truthCase
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		text := lines.Bytes()
		for word, number := range map[string]string{"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"} {
			text = bytes.ReplaceAll(text, []byte(`{"__float__":"`+word+`"}`), []byte(number))
			text = bytes.ReplaceAll(text, []byte(`{"__float__": "`+word+`"}`), []byte(number))
		}
		v, err := source.ParseJSON(source.NewFile("case", bytes.Clone(text)), source.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, truthCase{v.Get("name").Str(), v})
	}
	return out
}

// TestTruth compares the verdict, the good outputs, the findings per node and the coerced values with the answers of a real server.
func TestTruth(t *testing.T) {
	cat := snapshot(t)
	groups := map[string][]string{}
	cases := truthCases(t)
	bad := 0
	for _, c := range cases {
		why, detail := compareCase(cat, c)
		if why == "" {
			continue
		}
		bad++
		groups[why] = append(groups[why], c.name+": "+detail)
	}
	t.Logf("%d of %d cases equal", len(cases)-bad, len(cases))
	var kinds []string
	for k := range groups {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	for _, k := range kinds {
		t.Errorf("%d cases differ in %s:\n\t%s", len(groups[k]), k, strings.Join(groups[k][:min(8, len(groups[k]))], "\n\t"))
	}
}

// compareCase says in which kind of thing a case differs, and how; "" if it does not.
func compareCase(cat *nodes.Catalogue, c truthCase) (kind, detail string) {
	g, got := Build(c.v.Get("prompt"), cat, Options{Targets: targets(c.v.Get("partial_execution_targets"))})
	want := c.v.Get("valid").Bool
	if got.Valid != want {
		return "the verdict", fmt.Sprintf("got %v, want %v; %s", got.Valid, want, strings.Join(typesOf(got.Findings), " "))
	}
	if c.v.Get("status").Text == "500" {
		if len(got.Findings) != 1 || got.Findings[0].Code != "malformed_prompt" {
			return "malformed_prompt", fmt.Sprint(typesOf(got.Findings))
		}
		return "", ""
	}
	if a, b := sortedCopy(got.GoodOutputs), strs(c.v.Get("good_outputs")); !slices.Equal(a, b) {
		return "the good outputs", fmt.Sprintf("got %v, want %v", a, b)
	}
	a, b := typesOf(got.Findings), wantedTypes(c.v.Get("response"))
	if !slices.Equal(a, b) {
		return "findings", fmt.Sprintf("\n\t\tgot  %v\n\t\twant %v", a, b)
	}
	if after := c.v.Get("prompt_after"); after != nil {
		return comparePrompts(g.Prompt(), after, got.Findings)
	}
	return "", ""
}

func targets(v *source.Value) []string {
	if v == nil || v.Kind == source.Null {
		return nil
	}
	out := []string{}
	for _, item := range v.Items {
		if item.Kind == source.String {
			out = append(out, item.Text)
		}
	}
	return out
}

// serverCodes are the types of errors that a server gives.
var serverCodes = strings.Fields(`required_input_missing bad_linked_input return_type_mismatch invalid_input_type value_smaller_than_min
	value_bigger_than_max value_not_in_list custom_validation_failed dependency_cycle exception_during_inner_validation
	exception_during_validation missing_node_type prompt_no_outputs no_prompt malformed_prompt`)

// typesOf lists "node type input" of what a server would say too.
func typesOf(findings []diag.Diagnostic) []string {
	var out []string
	for _, d := range findings {
		if slices.Contains(serverCodes, d.Code) {
			out = append(out, typeLine(d.Node, d.Code, d.Input))
		}
	}
	return compactSorted(out)
}

func typeLine(node, code, input string) string {
	if strings.HasPrefix(code, "exception") {
		input = ""
	}
	return strings.TrimRight(node+" "+code+" "+input, " ")
}

func wantedTypes(response *source.Value) []string {
	var out []string
	for _, m := range members(response.Get("node_errors")) {
		for _, e := range m.Value.Get("errors").Items {
			out = append(out, typeLine(m.Key, e.Get("type").Str(), e.Get("extra_info").Get("input_name").Str()))
		}
	}
	top := response.Get("error")
	if code := top.Get("type").Str(); code != "" && code != "prompt_outputs_failed_validation" {
		out = append(out, typeLine(top.Get("extra_info").Get("node_id").Str(), code, ""))
	}
	return compactSorted(out)
}

// comparePrompts compares what came of the literals; only nodes that the server visits are coerced there, so other differences would show too.
// Where the server's own code failed, it left off in the middle of a node, in an order that is not told.
func comparePrompts(got, want *source.Value, findings []diag.Diagnostic) (kind, detail string) {
	for _, m := range want.Members {
		if slices.ContainsFunc(findings, func(d diag.Diagnostic) bool { return d.Node == m.Key && strings.HasPrefix(d.Code, "exception") }) {
			continue
		}
		for _, in := range members(m.Value.Get("inputs")) {
			a := got.Get(m.Key).Get("inputs").Get(in.Key)
			if a == nil || !samePython(a, in.Value) {
				text := "nothing"
				if a != nil {
					text = string(a.AppendJSON(nil))
				}
				return "coerced values", fmt.Sprintf("%s.%s: got %s, want %s", m.Key, in.Key, text, in.Value.AppendJSON(nil))
			}
		}
		if a, b := len(members(got.Get(m.Key).Get("inputs"))), len(members(m.Value.Get("inputs"))); a != b {
			return "number of inputs", fmt.Sprintf("%s: got %d, want %d", m.Key, a, b)
		}
	}
	return "", ""
}

// samePython also tells 8 from 8.0 and true from 1.
func samePython(a, b *source.Value) bool {
	return string(appendRepr(nil, a)) == string(appendRepr(nil, b))
}

func strs(v *source.Value) []string {
	var out []string
	for _, item := range v.Items {
		out = append(out, item.Str())
	}
	return sortedCopy(out)
}

func sortedCopy(s []string) []string {
	out := append([]string{}, s...)
	slices.Sort(out)
	return out
}

func compactSorted(s []string) []string { return slices.Compact(sortedCopy(s)) }

func members(v *source.Value) []source.Member {
	if v == nil {
		return nil
	}
	return v.Members
}
