package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

const sd15 = `{
 "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "fox", "images": ["8", 0]}, "_meta": {"title": "Save it"}},
 "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", -1]}},
 "3": {"class_type": "KSampler", "inputs": {"seed": 18446744073709551615, "steps": "20", "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
  "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
 "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "any.safetensors"}},
 "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
 "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
 "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad", "clip": ["4", 1]}}
}`

// TestGraph holds what other passes build on: edges, order, coerced values, definitions, places.
func TestGraph(t *testing.T) {
	g, v := Build(parse(t, "sd.json", sd15), nodes.BuiltIn(), Options{})
	if !v.Valid || !slices.Equal(v.GoodOutputs, []string{"9"}) || len(v.Findings) > 0 {
		t.Fatalf("verdict %+v", v)
	}
	if got := order(g); got != "4 6 7 5 3 8 9" {
		t.Errorf("order %s", got)
	}
	if g.Nodes[g.Outputs[0]].Title != "Save it" || g.Find("nope") != -1 {
		t.Error("the output is not the node that saves")
	}
	sampler := &g.Nodes[g.Find("3")]
	steps := sampler.Inputs[sampler.Input("steps")]
	if string(steps.Value.AppendJSON(nil)) != "20" || steps.Def.Type != "INT" || steps.Linked() {
		t.Errorf("steps is %s, %+v", steps.Value.AppendJSON(nil), steps.Def)
	}
	if seed := sampler.Inputs[sampler.Input("seed")].Value; seed.Text != "18446744073709551615" {
		t.Errorf("the seed became %s", seed.Text)
	}
	decode := &g.Nodes[g.Find("8")]
	if vae := decode.Inputs[decode.Input("vae")]; vae.From != g.Find("4") || vae.Slot != 2 {
		t.Errorf("slot -1 leads to %d.%d", vae.From, vae.Slot)
	}
	line, column := steps.Value.File.Position(steps.Value.Start)
	if line != 4 || column != 84 {
		t.Errorf("steps stands at %d:%d", line, column)
	}
	if sampler.Input("nope") != -1 {
		t.Error("an input that is not there was found")
	}
}

func order(g *Graph) string {
	var ids []string
	for _, i := range g.Order {
		ids = append(ids, g.Nodes[i].ID)
	}
	return strings.Join(ids, " ")
}

// TestPrompt holds that the prompt that is written back is the one that was read, but for coerced values.
func TestPrompt(t *testing.T) {
	in := parse(t, "sd.json", sd15)
	g, _ := Build(in, nodes.BuiltIn(), Options{})
	want := strings.NewReplacer(`"steps":"20"`, `"steps":20`, `"cfg":8,`, `"cfg":8.0,`, `"denoise":1,`, `"denoise":1.0,`).Replace(string(in.AppendJSON(nil)))
	if got := string(g.Prompt().AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const twoOutputs = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
 "3": {"class_type": "SaveImage", "inputs": {"filename_prefix": "b"}}}`

func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		name    string
		targets []string
		valid   bool
		good    string
		codes   string
	}{
		{"all", nil, true, "2", "partial_success required_input_missing"},
		{"the good one", []string{"2"}, true, "2", ""},
		{"the bad one", []string{"3"}, false, "", "required_input_missing"},
		{"none", []string{}, false, "", "prompt_no_outputs"},
		{"no output", []string{"1"}, false, "", "prompt_no_outputs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, v := Build(parse(t, "t.json", twoOutputs), nodes.BuiltIn(), Options{Targets: tc.targets})
			codes := codesOf(v.Findings)
			slices.Sort(codes)
			if v.Valid != tc.valid || strings.Join(v.GoodOutputs, " ") != tc.good || strings.Join(codes, " ") != tc.codes {
				t.Errorf("valid %v, good %v, findings %v", v.Valid, v.GoodOutputs, codes)
			}
			if len(g.Outputs) != len(v.GoodOutputs) || !tc.valid && len(g.Order) > 0 {
				t.Errorf("outputs %v, order %v", g.Outputs, g.Order)
			}
		})
	}
}

// TestPartialSuccessHasNoErrors holds the contract of --json: valid means that no finding is an error.
func TestPartialSuccessHasNoErrors(t *testing.T) {
	_, v := Build(parse(t, "t.json", twoOutputs), nodes.BuiltIn(), Options{})
	for _, d := range v.Findings {
		if d.Severity == 0 {
			t.Errorf("%s is an error in a valid prompt", d.Code)
		}
	}
}

func TestNoLints(t *testing.T) {
	_, v := Build(parse(t, "t.json", `{"1": {"class_type": "LoadImage", "inputs": {"image": "/etc/passwd"}}, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}`),
		nodes.BuiltIn(), Options{NoLints: true})
	if len(v.Findings) > 0 || !v.Valid {
		t.Errorf("findings %v", codesOf(v.Findings))
	}
}

func TestNoPrompt(t *testing.T) {
	for _, tc := range []struct{ in, code string }{
		{`null`, "malformed_prompt"}, {`5`, "malformed_prompt"}, {`"x"`, "malformed_prompt"}, {`[1]`, "malformed_prompt"}, {`[]`, "prompt_no_outputs"}, {`{}`, "prompt_no_outputs"},
	} {
		if _, v := Build(parse(t, "t.json", tc.in), nodes.BuiltIn(), Options{}); v.Valid || len(v.Findings) != 1 || v.Findings[0].Code != tc.code {
			t.Errorf("%s: %v", tc.in, codesOf(v.Findings))
		}
	}
	if g, v := Build(nil, nodes.BuiltIn(), Options{}); g == nil || v.Valid || v.Findings[0].Code != "no_prompt" {
		t.Errorf("nothing: %+v", v)
	}
}

// TestMade builds a prompt that a program made, of which nothing has a place.
func TestMade(t *testing.T) {
	member := func(k string, v *source.Value) source.Member { return source.Member{Key: k, Value: v} }
	node := source.NewObject(member("class_type", source.NewString("SaveImage")), member("inputs", source.NewObject(member("images", source.NewInt(3)))))
	_, v := Build(source.NewObject(member("1", node)), nodes.BuiltIn(), Options{})
	if v.Valid || !hasCode(v.Findings, "required_input_missing") {
		t.Errorf("findings %v", codesOf(v.Findings))
	}
}

// TestFiles holds which names of files pass, by what is known of the input folder.
func TestFiles(t *testing.T) {
	literal, findings := nodes.LoadFile(source.NewFile("s.json", []byte(`{
	 "LoadImage": {"input": {"required": {"image": [["b.png", "sub/c.png"], {"image_upload": true}]}}, "output": ["IMAGE", "MASK"]},
	 "Load3D": {"input": {"required": {"model_file": ["COMBO", {"options": ["none", "3d/x.glb"]}]}}, "output": ["IMAGE"], "output_matchtypes": null},
	 "SaveImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": true}}`)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	given := func(name string) bool { return name == "b.png" || name == "sub/c.png" }
	for _, tc := range []struct {
		file                  string
		literal, given, known bool
	}{
		{"b.png", true, true, true}, {"q.png", false, false, true}, {"sub/c.png", true, true, true}, {"./b.png", true, true, true}, {"", true, true, true},
		{"sub/../b.png", true, false, true}, {"nope/../b.png", false, false, true}, {"b.png/", false, false, true}, {"3d", true, false, true}, {"3d/x.glb", true, false, true},
		{"b.png [input]", true, true, true}, {"b.png [output]", false, false, true}, {"b.png [temp]", false, false, true}, {"b.png[input]", false, false, true},
		{"[input]", true, true, true}, {"../x", true, true, true}, {"/etc/passwd", true, true, true}, {"../input/b.png", true, true, true}, {"../input/q.png", false, false, true},
		{"b.png\x00", false, false, false}, {"b.png ", false, false, true}, {"none", false, false, true},
	} {
		prompt := parse(t, "t.json", `{"1": {"class_type": "LoadImage", "inputs": {"image": `+string(source.AppendQuoted(nil, tc.file))+`}},
		 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}}}`)
		for name, c := range map[string]struct {
			cat  *nodes.Catalogue
			opt  Options
			want bool
		}{"a snapshot": {literal, Options{}, tc.literal}, "files given": {nodes.BuiltIn(), Options{Files: given}, tc.given}, "nothing known": {nodes.BuiltIn(), Options{}, tc.known}} {
			if _, v := Build(prompt, c.cat, c.opt); v.Valid != c.want {
				t.Errorf("%q with %s: valid is %v, want %v", tc.file, name, v.Valid, c.want)
			}
		}
	}
}

// TestReplaced holds that a node of an old class is rewritten as a server does.
func TestReplaced(t *testing.T) {
	cat, _ := nodes.LoadFile(source.NewFile("s.json", []byte(`{
	 "ImageScaleToMaxDimension": {"input": {"required": {"image": ["IMAGE"], "largest_size": ["INT", {}], "upscale_method": [["lanczos"]]}}, "output": ["IMAGE"]},
	 "EmptyImage": {"input": {}, "output": ["IMAGE"]},
	 "SaveImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": true}}`)))
	g, v := Build(parse(t, "t.json", `{"1": {"class_type": "EmptyImage", "inputs": {}},
	 "2": {"class_type": "ResizeImagesByLongerEdge", "inputs": {"images": ["1", 0], "longer_edge": "64", "more": 1}, "_meta": {"title": "Resize"}},
	 "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}}}`), cat, Options{})
	if !v.Valid || !hasCode(v.Findings, "replaced_class") {
		t.Fatalf("findings %v", v.Findings)
	}
	want := `{"class_type":"ImageScaleToMaxDimension","inputs":{"image":["1",0],"largest_size":64,"upscale_method":"lanczos"},"_meta":{"title":"Resize"}}`
	if got := string(g.Prompt().Get("2").AppendJSON(nil)); got != want {
		t.Errorf("got %s", got)
	}
}

// TestOldListOutputs holds the rules for outputs and inputs whose type is a list of options.
func TestOldListOutputs(t *testing.T) {
	cat, _ := nodes.LoadFile(source.NewFile("s.json", []byte(`{
	 "L": {"input": {}, "output": [["a", "b"], "COMBO", "STRING", "*", "A,B", "COMFY_MATCHTYPE_V3"]},
	 "S": {"input": {"optional": {"list": [["a", "b"]], "other": [["a"]], "combo": ["COMBO", {}], "string": ["STRING", {}], "any": ["*"], "bc": ["B, C"], "match": ["COMFY_MATCHTYPE_V3"]}}, "output": [], "output_node": true}}`)))
	want := map[string]string{"list": "035", "other": "35", "combo": "0135", "string": "235", "any": "012345", "bc": "345", "match": "012345"}
	for input, slots := range want {
		for slot := range 6 {
			prompt := `{"1": {"class_type": "L", "inputs": {}}, "2": {"class_type": "S", "inputs": {"` + input + `": ["1", ` + string(rune('0'+slot)) + `]}}}`
			_, v := Build(parse(t, "t.json", prompt), cat, Options{})
			if got, fits := v.Valid, strings.ContainsRune(slots, rune('0'+slot)); got != fits {
				t.Errorf("slot %d into %q: %v, want %v", slot, input, got, fits)
			}
		}
	}
}
