package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// run runs a prompt without uploaded files.
func run(t *testing.T, prompt string, opt Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), []byte(prompt), opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// saved lists the files of a run as type:folder/name@node.
func saved(r *Result) string {
	var out []string
	for _, f := range r.Files {
		out = append(out, fmt.Sprintf("%s:%s/%s@%s", f.Type, f.Subfolder, f.Filename, f.Node))
	}
	return strings.Join(out, " ")
}

// failures lists the errors of a run as node class: message.
func failures(r *Result) string {
	var out []string
	for _, e := range r.Errors {
		out = append(out, fmt.Sprintf("%s %s: %s", e.Node, e.Class, e.Message))
	}
	return strings.Join(out, "\n")
}

// empty is an EmptyImage node of 8 × 6.
const empty = `{"class_type":"EmptyImage","inputs":{"width":8,"height":6,"batch_size":1,"color":255}}`

// saveOf is a SaveImage node for output 0 of a node.
func saveOf(node, prefix string) string {
	return fmt.Sprintf(`{"class_type":"SaveImage","inputs":{"images":["%s",0],"filename_prefix":%q}}`, node, prefix)
}

func TestRunNodeOnce(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":`+saveOf("1", "a")+`,"3":`+saveOf("1", "a")+`,"4":`+empty+`}`, Options{})
	if r.Executed != 3 {
		t.Errorf("%d nodes ran, want 3: one picture for both, and not the dangling one", r.Executed)
	}
	if got, want := saved(r), "output:/a_00001_.png@2 output:/a_00002_.png@3"; got != want {
		t.Errorf("saved %s, want %s", got, want)
	}
}

func TestFailingBranchLeavesOthers(t *testing.T) {
	bad := `{"class_type":"ImageScale","inputs":{"image":["1",0],"upscale_method":"worst","width":4,"height":4,"crop":"disabled"}}`
	r := run(t, `{"1":`+empty+`,"2":`+bad+`,"3":`+saveOf("2", "a")+`,"4":`+saveOf("2", "b")+`,"5":`+saveOf("1", "c")+`}`, Options{})
	if got, want := saved(r), "output:/c_00001_.png@5"; got != want {
		t.Errorf("saved %s, want %s", got, want)
	}
	if got, want := failures(r), `2 ImageScale: no scaling method is called "worst"`; got != want {
		t.Errorf("errors %s, want %s", got, want)
	}
}

func TestNodeErrors(t *testing.T) {
	tests := []struct{ name, nodes, want string }{
		{"unknown class", `"1":{"class_type":"Gloriosa","inputs":{}},"9":` + saveOf("1", "a"), "1 Gloriosa: preview cannot run Gloriosa"},
		{"unknown sink", `"1":{"class_type":"Gloriosa","inputs":{}}`, "1 Gloriosa: preview cannot run Gloriosa"},
		{"known sink", `"1":` + empty + `,"2":{"class_type":"SaveWEBM","inputs":{"images":["1",0]}}`, "2 SaveWEBM: preview cannot run SaveWEBM"},
		{"no class", `"1":{"inputs":{}},"9":` + saveOf("1", "a"), "1 : preview cannot run a node without class_type"},
		{"missing input", `"9":{"class_type":"SaveImage","inputs":{"filename_prefix":"a"}}`, "9 SaveImage: required input is missing: images"},
		{"missing node", `"9":` + saveOf("7", "a"), `9 SaveImage: input images is linked to node "7", which is not there`},
		{"missing slot", `"1":` + empty + `,"9":{"class_type":"PreviewImage","inputs":{"images":["1",3]}}`, `9 PreviewImage: input images is linked to output 3 of node "1", which is not there`},
		{"wrong type", `"1":{"class_type":"SolidMask","inputs":{"value":1,"width":4,"height":4}},"9":` + saveOf("1", "a"), "9 SaveImage: input images has the wrong type: MASK"},
		{"no upload", `"1":{"class_type":"LoadImage","inputs":{"image":"a.png"}},"9":` + saveOf("1", "a"), "1 LoadImage: invalid image file: a.png (no file was uploaded)"},
		{"too large", `"1":{"class_type":"EmptyImage","inputs":{"width":16384,"height":16384,"batch_size":1,"color":0}},"9":` + saveOf("1", "a"), "1 EmptyImage: 1 pictures of 16384 × 16384 pixels are more than the 67108864 pixels of this preview"},
		{"escape", `"1":` + empty + `,"9":` + saveOf("1", "../a"), "9 SaveImage: saving outside the output folder is not allowed: ../a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, "{"+tt.nodes+"}", Options{})
			if got := failures(r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if len(r.Files) > 0 {
				t.Errorf("saved %s", saved(r))
			}
		})
	}
}

func TestCycle(t *testing.T) {
	invert := func(from string) string {
		return `{"class_type":"ImageInvert","inputs":{"image":["` + from + `",0]}}`
	}
	r := run(t, `{"1":`+invert("2")+`,"2":`+invert("1")+`,"9":`+saveOf("1", "a")+`}`, Options{})
	if got, want := failures(r), "1 ImageInvert: the node depends on itself"; got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
}

func TestPromptErrors(t *testing.T) {
	for name, prompt := range map[string]string{
		"empty": ``, "list": `[]`, "no outputs": `{"1":` + empty + `}`, "cut": `{"1":{"class_type":"SaveImage"`,
		"more": `{} {}`, "node is text": `{"1":"SaveImage"}`, "inputs is a list": `{"1":{"class_type":"A","inputs":[]}}`,
	} {
		if r, err := Run(context.Background(), []byte(prompt), Options{}); err == nil {
			t.Errorf("%s: no error, %s %s", name, saved(r), failures(r))
		}
	}
	_, err := Run(context.Background(), []byte(`{"1":`+empty+`}`), Options{Targets: []string{"7"}})
	if err == nil || !strings.Contains(err.Error(), `no node "7"`) {
		t.Errorf("unknown target: %v", err)
	}
}

func TestTargets(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":`+saveOf("1", "a")+`,"3":`+saveOf("1", "b")+`}`, Options{Targets: []string{"3"}})
	if got, want := saved(r), "output:/b_00001_.png@3"; got != want {
		t.Errorf("saved %s, want %s", got, want)
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := Run(ctx, []byte(`{"1":`+empty+`,"2":`+saveOf("1", "a")+`}`), Options{})
	if !errors.Is(err, context.Canceled) || len(r.Files) != 0 {
		t.Errorf("got %v and %s", err, saved(r))
	}
}

func TestPanicIsNodeError(t *testing.T) {
	c := real(func(*args) ([]value, error) { panic("out of paint") })
	_, err := guarded(c, nil)
	if err == nil || err.Error() != "the preview failed: out of paint" {
		t.Errorf("got %v", err)
	}
}

// TestMemoryBound makes pictures that fit one by one but not together.
func TestMemoryBound(t *testing.T) {
	prompt := `{"0":` + empty
	batch := ""
	for i := range 6 {
		prompt += fmt.Sprintf(`,"a%d":{"class_type":"EmptyImage","inputs":{"width":10,"height":10,"batch_size":1,"color":%d}}`, i, i)
		batch += fmt.Sprintf(`,"images.image%d":["a%d",0]`, i, i)
	}
	prompt += `,"8":{"class_type":"BatchImagesNode","inputs":{` + batch[1:] + `}},"9":` + saveOf("8", "a") + `}`
	r := run(t, prompt, Options{MaxPixels: 100})
	if got := failures(r); !strings.Contains(got, "more memory than a preview may use") {
		t.Errorf("errors %q", got)
	}
}

// TestFailedBranchesForget runs branches that fail, each over a picture that fills a quarter of what may be alive, and one that does not.
// Pictures must go whatever becomes of those who wanted them: one that ran and failed, one that never ran since the node behind it
// failed first, and one on the side of a switch that is off.
func TestFailedBranchesForget(t *testing.T) {
	full := `{"class_type":"EmptyImage","inputs":{"width":10,"height":10,"batch_size":1,"color":3}}`
	scale := func(from, method string) string {
		return `{"class_type":"ImageScale","inputs":{"image":["` + from + `",0],"upscale_method":"` + method + `","width":4,"height":4,"crop":"disabled"}}`
	}
	branches := map[string]func(i int) string{
		"failing": func(i int) string {
			return fmt.Sprintf(`"a%d":%s,"b%d":%s,"c%d":%s`, i, full, i, scale(fmt.Sprint("a", i), "worst"), i, saveOf(fmt.Sprint("b", i), "a"))
		},
		"never run": func(i int) string {
			return fmt.Sprintf(`"a%d":%s,"b%d":%s,"c%d":%s,"d%d":%s,"e%d":{"class_type":"ImageBatch","inputs":{"image1":["c%d",0],"image2":["b%d",0]}},"f%d":%s`,
				i, full, i, scale(fmt.Sprint("a", i), "area"), i, scale("none", "area"), i, saveOf(fmt.Sprint("a", i), "d"), i, i, i, i, saveOf(fmt.Sprint("e", i), "a"))
		},
		"switched off": func(i int) string {
			return fmt.Sprintf(`"a%d":%s,"b%d":%s,"d%d":%s,"e%d":{"class_type":"ComfySwitchNode","inputs":{"switch":true,"on_false":["b%d",0],"on_true":["0",0]}},"f%d":%s`,
				i, full, i, scale(fmt.Sprint("a", i), "area"), i, saveOf(fmt.Sprint("a", i), "d"), i, i, i, saveOf(fmt.Sprint("e", i), "a"))
		},
	}
	for name, branch := range branches {
		t.Run(name, func(t *testing.T) {
			prompt := `{"0":{"class_type":"EmptyImage","inputs":{"width":1,"height":1,"batch_size":1,"color":3}}`
			for i := range 5 {
				prompt += "," + branch(i)
			}
			r := run(t, prompt+`,"x":`+full+`,"y":`+saveOf("x", "last")+`}`, Options{MaxPixels: 100})
			if got := saved(r); !strings.HasSuffix(got, "output:/last_00001_.png@y") {
				t.Errorf("saved %s; %s", got, failures(r))
			}
			if strings.Contains(failures(r), "memory") {
				t.Errorf("errors %s", failures(r))
			}
		})
	}
}

// TestForgetsPictures runs a chain whose pictures together are over the bound.
func TestForgetsPictures(t *testing.T) {
	prompt := `{"0":{"class_type":"EmptyImage","inputs":{"width":10,"height":10,"batch_size":1,"color":3}}`
	for i := range 20 {
		prompt += fmt.Sprintf(`,"%d":{"class_type":"ImageInvert","inputs":{"image":["%d",0]}}`, i+1, i)
	}
	r := run(t, prompt+`,"99":`+saveOf("20", "a")+`}`, Options{MaxPixels: 100})
	if len(r.Errors) > 0 || len(r.Files) != 1 {
		t.Errorf("%s %s", saved(r), failures(r))
	}
}

func TestLists(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":{"class_type":"RepeatImageBatch","inputs":{"image":["1",0],"amount":5}},
		"3":{"class_type":"RebatchImages","inputs":{"images":["2",0],"batch_size":2}},
		"4":{"class_type":"GetImageSize","inputs":{"image":["3",0]}},
		"5":{"class_type":"EmptyImage","inputs":{"width":4,"height":4,"batch_size":["4",2],"color":0}},
		"9":`+saveOf("5", "a")+`}`, Options{})
	if len(r.Files) != 5 || len(r.Errors) > 0 {
		t.Errorf("%d files, want 2 + 2 + 1: %s", len(r.Files), failures(r))
	}
}

// TestSwitchIsLazy leaves the side that is off alone, even when it cannot run.
func TestSwitchIsLazy(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":{"class_type":"Gloriosa","inputs":{}},"3":{"class_type":"PrimitiveBoolean","inputs":{"value":true}},
		"4":{"class_type":"ComfySwitchNode","inputs":{"switch":["3",0],"on_false":["2",0],"on_true":["1",0]}},
		"9":`+saveOf("4", "a")+`}`, Options{})
	if len(r.Files) != 1 || len(r.Errors) > 0 {
		t.Errorf("%s %s", saved(r), failures(r))
	}
}

func TestScalars(t *testing.T) {
	tests := []struct{ name, class, inputs, want string }{
		{"int of text", "PrimitiveInt", `"value":" 12 "`, "12"},
		{"int with underscores", "PrimitiveInt", `"value":"1_000"`, "1000"},
		{"int cuts", "PrimitiveInt", `"value":7.9`, "7"},
		{"float", "PrimitiveFloat", `"value":3`, "3.0"},
		{"float with underscores", "PrimitiveFloat", `"value":"1_0.5e1_0"`, "105000000000.0"},
		{"large float", "PrimitiveFloat", `"value":123456789`, "123456789.0"},
		{"larger float", "PrimitiveFloat", `"value":1e16`, "1e+16"},
		{"small float", "PrimitiveFloat", `"value":0.0001`, "0.0001"},
		{"smaller float", "PrimitiveFloat", `"value":0.00001`, "1e-05"},
		{"text of a float", "PrimitiveString", `"value":1.0`, "1.0"},
		{"text of an exponent", "PrimitiveString", `"value":1e3`, "1000.0"},
		{"text of an infinity", "PrimitiveString", `"value":-1e999`, "-inf"},
		{"text of an integer", "PrimitiveString", `"value":12`, "12"},
		{"text of a boolean", "PrimitiveString", `"value":true`, "True"},
		{"boolean", "PrimitiveBoolean", `"value":"x"`, "True"},
		{"seed", "SeedNode", `"seed":18446744073709551615`, "18446744073709551615"},
		{"not", "ComfyNotNode", `"value":0`, "True"},
		{"and", "ComfyAndNode", `"values.value0":true,"values.value1":""`, "False"},
		{"or", "ComfyOrNode", `"values.value0":false,"values.value1":"a"`, "True"},
		{"number", "ComfyNumberConvert", `"value":"2.5"`, "2.5"},
		{"concatenate", "StringConcatenate", `"string_a":"a","string_b":"b","delimiter":"-"`, "a-b"},
		{"substring", "StringSubstring", `"string":"größe","start":1,"end":-1`, "röß"},
		{"backwards", "StringSubstring", `"string":"abc","start":2,"end":1`, ""},
		{"length", "StringLength", `"string":"größe"`, "5"},
		{"upper", "CaseConverter", `"string":"a b","mode":"UPPERCASE"`, "A B"},
		{"title", "CaseConverter", `"string":"it's ONE day","mode":"Title Case"`, "It'S One Day"},
		{"capital", "CaseConverter", `"string":"ONE day","mode":"Capitalize"`, "One day"},
		{"trim", "StringTrim", `"string":"  a ","mode":"Left"`, "a "},
		{"replace", "StringReplace", `"string":"a.a","find":"a","replace":"b"`, "b.b"},
		{"contains", "StringContains", `"string":"ABC","substring":"b","case_sensitive":false`, "True"},
		{"compare", "StringCompare", `"string_a":"abc","string_b":"bc","mode":"Ends With"`, "True"},
		{"resolution", "ResolutionSelector", `"aspect_ratio":"16:9 (Widescreen)","megapixels":1.0,"multiple":8`, "1368"},
		{"array", "ComfyNotNode", `"value":{"__value__":[]}`, "True"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := decodeGraph([]byte(`{"1":{"class_type":"` + tt.class + `","inputs":{` + tt.inputs + `}}}`))
			if err != nil {
				t.Fatal(err)
			}
			e := &env{graph: g, done: map[string]*outcome{}, limit: 100}
			e.count([]string{"1"})
			e.uses["1"] = 1
			o := e.execute(context.Background(), "1", 0)
			if o.failed || len(o.slots) == 0 {
				t.Fatalf("failed: %v", e.result.Errors)
			}
			if got := asText(o.slots[0][0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTextOfLinkedFloat: a FLOAT that comes over a link is the same text as one that stands in the prompt.
func TestTextOfLinkedFloat(t *testing.T) {
	for v, want := range map[float64]string{1: "1.0", 0.5: "0.5", 123456789: "123456789.0"} {
		a := &args{in: map[string]value{"string": v}}
		if got := a.text("string"); got != want || got != asText(v) {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// TestNoNumbers are texts that Python's int() and float() refuse.
func TestNoNumbers(t *testing.T) {
	for _, s := range []string{"1__0", "_1", "1_", "0x10", "1_e5", "", " "} {
		if n, err := asInt(s); err == nil {
			t.Errorf("%q is the integer %d", s, n)
		}
		if f, err := asFloat(s); err == nil {
			t.Errorf("%q is the number %g", s, f)
		}
	}
}

// TestCompositeChannels never reads a picture of one channel as if it had three.
func TestCompositeChannels(t *testing.T) {
	_, err := composite(filled(1, 4, 4, 3, 0), filled(1, 4, 4, 1, 1), filled(1, 4, 4, 1, 1), 0, 0, false)
	if err == nil || !strings.Contains(err.Error(), "3 and 1 channels") {
		t.Errorf("got %v", err)
	}
}

// TestChannelsOfFiles: Pillow, by which SaveImage writes, takes grey with alpha; FFmpeg, by which SaveImageAdvanced does, takes RGB and RGBA.
func TestChannelsOfFiles(t *testing.T) {
	for c, want := range map[int]string{1: "none", 2: "SaveImage", 3: "both", 4: "both", 5: "none"} {
		in := map[string]value{"images": picture{newTensor(1, 2, 2, c)}, "format": "png"}
		ok := map[string]bool{}
		for name, run := range map[string]func(*args) ([]value, error){"SaveImage": saveImage, "SaveImageAdvanced": saveImageAdvanced} {
			e := &env{next: map[string]int{}, opt: Options{NoMetadata: true}}
			_, err := run(&args{env: e, node: &node{id: "1"}, in: in})
			ok[name] = err == nil
		}
		got := "none"
		if ok["SaveImage"] && ok["SaveImageAdvanced"] {
			got = "both"
		} else if ok["SaveImage"] {
			got = "SaveImage"
		} else if ok["SaveImageAdvanced"] {
			got = "SaveImageAdvanced"
		}
		if got != want {
			t.Errorf("%d channels: %s, want %s", c, got, want)
		}
	}
}

func TestSupports(t *testing.T) {
	for name, want := range map[string]Support{
		"ImageScale": Real, "SaveImage": Real, "Canny": Real, "KSampler": Drawn, "FluxGuidance": Drawn,
		"SamplerCustomAdvanced": Drawn, "SaveVideo": None, "RemoveBackground": None, "Gloriosa": None, "": None,
	} {
		if got := Supports(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	for name, c := range pixelClasses {
		if _, twice := modelClasses[name]; twice || c.support != Real || c.run == nil || outputOnly[name] {
			t.Errorf("%s: in two tables, not real, or without a function", name)
		}
	}
	for name, c := range modelClasses {
		if c.support != Drawn || c.run == nil || outputOnly[name] {
			t.Errorf("%s: not drawn, or without a function", name)
		}
	}
}
