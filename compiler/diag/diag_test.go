package diag

import (
	"errors"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

func parse(t *testing.T, name, text string) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile(name, []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPrint(t *testing.T) {
	v := parse(t, "sweep.json", "{\n      \"sampler_name\": \"eulr\"\n}")
	batch := parse(t, "batch.json", `["x"]`)
	var list List
	list.Add(Warnf("step", Of(v), "later in no file order, but first by place"))
	list.Add(Errorf("value_not_in_list", Of(v.Get("sampler_name")), "input %q of KSampler is not in the list: %q", "sampler_name", "eulr").
		Hinted(Suggest("eulr", []string{"heun", "euler"})).
		Noted(Of(batch.Items[0]), "value set by axis %q", "sampler"))
	var out strings.Builder
	if err := Print(&out, list.Sorted(), Options{}); err != nil {
		t.Fatal(err)
	}
	want := `sweep.json:1:1: warning: later in no file order, but first by place [step]
    1 | {
      | ^
sweep.json:2:23: error: input "sampler_name" of KSampler is not in the list: "eulr" [value_not_in_list]
    2 |       "sampler_name": "eulr"
      |                       ^~~~~~ did you mean "euler"?
batch.json:1:2: note: value set by axis "sampler"
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if !list.Failed() || list.Errors() != 1 || list.Len() != 2 {
		t.Errorf("counts are wrong: %d of %d", list.Errors(), list.Len())
	}
}

func TestPrintCutsLongLinesAndControlCharacters(t *testing.T) {
	v := parse(t, "a.json", `{"k": "`+strings.Repeat("é", 500)+`", "bad": "x"}`)
	var out strings.Builder
	if err := Print(&out, []Diagnostic{Errorf("syntax", Of(v.Get("bad")), "esc \x1b[31m")}, Options{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if strings.Contains(out.String(), "\x1b") {
		t.Error("an escape sequence of the input reached the terminal")
	}
	excerpt, caret := []rune(lines[1]), []rune(lines[2])
	if at := len(caret) - len([]rune(strings.TrimLeft(strings.TrimPrefix(lines[2], "      |"), " "))); string(excerpt[at:at+3]) != `"x"` {
		t.Errorf("the caret is not under the place:\n%s\n%s", lines[1], lines[2])
	}
}

func TestJSON(t *testing.T) {
	v := parse(t, "a.json", `{"k": 1}`)
	d := Errorf("value_smaller_than_min", Of(v.Get("k")), "m").About("3", "k").Hinted("h").Noted(Place{}, "n")
	got := string(AppendJSON(nil, []Diagnostic{d}))
	want := `[{"code":"value_smaller_than_min","severity":"error","message":"m","file":"a.json","line":1,"column":7,"node":"3","input":"k","hint":"h","notes":[{"message":"n"}]}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"KSampler", "KSamplerAdvanced", "SaveImage", "euler", "euler_ancestral", "FLUX1/flux1-dev.safetensors"}
	for _, tc := range []struct{ in, want string }{
		{"KSamplr", "KSampler"}, {"ksampler", "KSampler"}, {"SaevImage", "SaveImage"}, {"eulr", "euler"},
		{"flux1-dev.safetensors", "FLUX1/flux1-dev.safetensors"}, {"nothing like it", ""}, {"", ""},
	} {
		if got := Nearest(tc.in, names); got != tc.want {
			t.Errorf("Nearest(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestFromError(t *testing.T) {
	_, err := source.ParseJSON(source.NewFile("a.json", []byte(`{"a":1,"a":2}`)), source.Limits{})
	d := FromError(err, "a.json")
	if d.Code != "duplicate_key" || len(d.Notes) != 1 || Where(d.Notes[0].Place) != "a.json:1:2" {
		t.Errorf("got %+v", d)
	}
	d = FromError(errors.New("open x: no such file or directory"), "x")
	if d.Code != "unreadable_file" || Where(d.Place) != "x" {
		t.Errorf("got %+v", d)
	}
}

// Every code is explained once, and what is said of it is whole.
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range Codes() {
		if seen[code] {
			t.Errorf("code %s is there twice", code)
		}
		seen[code] = true
		if e, ok := Explain(code); !ok || e.Title == "" || e.Text == "" {
			t.Errorf("code %s is not explained", code)
		}
	}
	if _, ok := Explain("no_such_code"); ok {
		t.Error("an unknown code is explained")
	}
}
