package schemas

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func decode(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		text, ok := Text(name)
		if !ok || !strings.Contains(text, `"$schema": "https://json-schema.org/draft/2020-12/schema"`) {
			t.Errorf("%s: no schema of draft 2020-12", name)
		}
	}
	if _, ok := Text("nosuch"); ok {
		t.Error("a schema that does not exist has a text")
	}
}

// A schema that is printed stands alone, so what two share is in both; the two copies must be one.
func TestSharedDefinitions(t *testing.T) {
	defs := func(name string) map[string]any {
		text, _ := Text(name)
		return decode(t, text).(map[string]any)["$defs"].(map[string]any)
	}
	batch := defs("batch")
	for name, def := range defs("endpoints") {
		if !reflect.DeepEqual(def, batch[name]) {
			t.Errorf("$defs/%s of endpoints and batch differ", name)
		}
	}
}

const good = `{"version": 1, "name": "x", "workflow": "w.json", "seed": 18446744073709551615,
	"inputs": {"LoadImage.image": "a.png"}, "set": {"KSampler.steps": 20, "6.text": "${a}", "x": null},
	"sweep": {"matrix": {"a": ["x", {"value": "y", "label": "why", "matrix": {"b": [1]}}], "seed": {"random": 4}, "cfg": "1-5 (+0.5)",
		"i": {"from": 1, "count": 8}, "p": {"files": "p/*.png"}, "r": {"replace": ["a", "b"]}, "l": {"lora": ["a"], "strength": "0.5-1 (+0.25)"},
		"c": {"csv": {"file": "a.csv", "column": "c"}}, "n": 7},
		"zip": [{"s": ["a"], "t": ["b"]}], "include": [{"a": "z"}], "exclude": [{"a": "x", "n": 7}], "sample": {"count": 5, "seed": 7}},
	"bind": {"a": ["6.text", "7.text"], "s": "9.style"},
	"endpoints": ["one", {"type": "runpod", "endpoint": {"id": "abc"}, "limits": {"job_bytes": "4MiB", "retention": "6h"}, "gpu": {"name": "l4", "vram_gb": 24}}],
	"schedule": {"objective": "fastest", "deadline": "1h30m", "budget": {"usd": 5}, "fuse": 4, "retries": 0, "hedge": "off", "max-parallel": 64, "fail-fast": true},
	"output": {"dir": "out", "filename": "%index%", "post": ["grayscale", {"resize": {"width": 1024, "filter": "lanczos"}}, {"format": {"type": "jpeg", "quality": 90}}]},
	"gallery": {"title": "T", "rows": "a"}}`

func TestGoodBatch(t *testing.T) {
	if got := Check("batch", decode(t, good)); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// Each wrong batch has exactly the violations that stand beside it, as pointer: message.
func TestBadBatch(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                  `: "workflow" is missing`,
		`[]`:                                  `: expected comfyc batch, found a list`,
		`{"workflow": 5}`:                     `/workflow: expected a text or an object, found the number 5`,
		`{"workflow": ""}`:                    `/workflow: this is empty or too short`,
		`{"workflow": "w", "version": 2}`:     `/version: expected 1, found the number 2`,
		`{"workflow": "w", "sweeps": {}}`:     `/sweeps: unknown key "sweeps"`,
		`{"workflow": "w", "a/b": 1}`:         `/a~1b: unknown key "a/b"`,
		`{"workflow": "w", "seed": -1}`:       `/seed: expected an integer from 0 to 18446744073709551615, found the number -1`,
		`{"workflow": "w", "seed": 1.5}`:      `/seed: expected an integer, found the number 1.5`,
		`{"workflow": "w", "set": {"a": []}}`: `/set/a: expected a text, a number, true, false or null, found a list`,
		`{"workflow": "w", "sweep": {"matrix": {"a b": {"randm": 4}}}}`:                        ``,
		`{"workflow": "w", "sweep": {"matrix": {"a b%": {"random": "4"}}}}`:                    `/sweep/matrix/a b%/random: expected an integer, found the text "4"`,
		`{"workflow": "w", "sweep": {"matrix": {"a": [[1]]}}}`:                                 `/sweep/matrix/a/0: expected a text, a number, or {value: …, label: …}, found a list`,
		`{"workflow": "w", "sweep": {"matrix": {"a": {"lora": "x"}}}}`:                         `/sweep/matrix/a/lora: expected a list, found the text "x"`,
		`{"workflow": "w", "sweep": {"matrix": [1]}}`:                                          `/sweep/matrix: expected an object, found a list`,
		`{"workflow": "w", "sweep": {"sample": {"seed": 1}}}`:                                  `/sweep/sample: "count" is missing`,
		`{"workflow": "w", "schedule": {"fuse": "on"}}`:                                        `/schedule/fuse: expected auto or off, found the text "on"`,
		`{"workflow": "w", "schedule": {"fuse": []}}`:                                          `/schedule/fuse: expected auto, off or a number, found a list`,
		`{"workflow": "w", "schedule": {"deadline": "2 hours"}}`:                               `/schedule/deadline: expected a duration such as 90s, 30m, 2h or 1h30m, found the text "2 hours"`,
		`{"workflow": "w", "schedule": {"objective": "cheap"}}`:                                `/schedule/objective: expected cheapest, fastest or balanced, found the text "cheap"`,
		`{"workflow": "w", "schedule": {"budget": {"usd": 0}}}`:                                `/schedule/budget/usd: expected a number above 0, found the number 0`,
		`{"workflow": "w", "endpoints": [{"type": "runpd"}]}`:                                  `/endpoints/0/type: expected novita, runpod, comfyui, serverless or preview, found the text "runpd"`,
		`{"workflow": "w", "endpoints": [{"type": "runpod", "key": "sk-1"}]}`:                  `/endpoints/0/key: unknown key "key"`,
		`{"workflow": "w", "endpoints": [{"type": "runpod", "limits": {"job_bytes": "4 M"}}]}`: `/endpoints/0/limits/job_bytes: expected a size such as 4MiB or 10MB, found the text "4 M"`,
		`{"workflow": "w", "output": {"post": [{"resize": {"widht": 5}}]}}`:                    `/output/post/0/resize/widht: unknown key "widht"`,
		`{"workflow": "w", "output": {"post": [{"blur": {}}]}}`:                                ``,
		`{"workflow": "w", "bind": {"a": 5}}`:                                                  `/bind/a: expected an address or a list of them, found the number 5`,
		`{"workflow": "w", "colour": {"webhook": "x"}, "watch": []}`:                           `/colour: unknown key "colour"|/watch: unknown key "watch"`,
		`{"workflow": "w", "seed": 1e100000000}`:                                               `/seed: this number is out of every range`,
	} {
		var got []string
		for _, v := range Check("batch", decode(t, text)) {
			got = append(got, v.Pointer+": "+v.Message)
			if v.KeywordLocation == "" && v.Message != "this number is out of every range" {
				t.Errorf("%s: no keyword is named", text)
			}
		}
		slices.Sort(got)
		if want == "" { // several forms are near; only that something understandable is said once
			if len(got) == 0 || len(got) > 2 {
				t.Errorf("%s: %q", text, got)
			}
			continue
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, strings.Join(got, "|"), want)
		}
	}
}

func TestAllowed(t *testing.T) {
	got := Check("batch", decode(t, `{"workflow": "w", "gallery": {"row": "a"}, "schedule": {"hedge": "on"}}`))
	for _, v := range got {
		switch v.Kind {
		case UnknownKey:
			if v.Key != "row" || !slices.Equal(v.Allowed, []string{"cols", "contact-sheet", "pages", "rows", "theme", "title"}) {
				t.Errorf("%+v", v)
			}
		case NotAllowed:
			if v.Found != "on" || !slices.Equal(v.Allowed, []string{"off", "auto"}) {
				t.Errorf("%+v", v)
			}
		default:
			t.Errorf("%+v", v)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d violations", len(got))
	}
}

func TestOtherSchemas(t *testing.T) {
	for _, c := range []struct{ schema, text, want string }{
		{"endpoints", `{"endpoints": {"a": {"type": "novita", "url": "https://x/v1/y"}}}`, ""},
		{"endpoints", `{"endpoints": {"a": {"url": "https://x"}}}`, `"type" is missing`},
		{"endpoints", `{"endpoints": {"a": {"type": "novita", "url": "ftp://x"}}}`, `expected a URL that begins with https:// or http://, found the text "ftp://x"`},
		{"object_info", `{"KSampler": {"input": {"required": {}}, "output": ["LATENT"]}}`, ""},
		{"object_info", `{"KSampler": {"output": []}}`, `"input" is missing`},
		{"manifest", `{"version": 1, "name": "x", "axes": [], "totals": {}, "cells": []}`, ""},
		{"manifest", `{"version": 1, "name": "x", "axes": [], "totals": {}, "cells": [{"id": "a"}]}`, `"index" is missing`},
		{"diagnostic", `{"file": "a", "valid": false, "diagnostics": [{"code": "x", "severity": "error", "message": "m", "file": "a", "line": 1, "column": 1}]}`, ""},
	} {
		got := Check(c.schema, decode(t, c.text))
		if len(got) == 0 != (c.want == "") || len(got) > 0 && got[0].Message != c.want {
			t.Errorf("%s %s: %+v", c.schema, c.text, got)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(good)
	f.Add(`{"workflow": "w", "seed": 1e999}`)
	f.Fuzz(func(t *testing.T, text string) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) != nil {
			return
		}
		for _, violation := range Check("batch", v) {
			if violation.Message == "" || strings.Contains(violation.Message, "cannot be checked") {
				t.Fatalf("%s: %+v", text, violation)
			}
		}
	})
}
