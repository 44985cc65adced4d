package script

import (
	"context"
	"strings"
	"testing"
)

const upscale = `// two nodes of one
template({
  name: "Upscale",
  inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 1.5, min: 1, max: 4 }, method: ["lanczos", "area"] },
  outputs: { image: "IMAGE", seed: "INT" },
  expand(g, { image, scale, method }) {
    const up = g.ImageScaleBy({ image, upscale_method: method, scale_by: scale }, { title: "up" });
    return { image: g.ImageInvert({ image: up.IMAGE }), seed: 18446744073709551615n };
  },
});
`

func TestExpand(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "up.js", upscale)
		for _, tc := range []struct{ name, in, want string }{
			{"links are rewired, outputs may be values",
				`{"9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "seed": ["5", 1]}},
				  "5": {"class_type": "Upscale", "inputs": {"image": ["1", 0], "method": "area"}},
				  "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}`,
				`{"9":{"class_type":"SaveImage","inputs":{"images":["5.2",0],"seed":18446744073709551615}},` +
					`"5.1":{"inputs":{"image":["1",0],"upscale_method":"area","scale_by":1.5},"class_type":"ImageScaleBy","_meta":{"title":"up"}},` +
					`"5.2":{"inputs":{"image":["5.1",0]},"class_type":"ImageInvert"},` +
					`"1":{"class_type":"LoadImage","inputs":{"image":"a.png"}}}`},
			{"one use after another, written backwards",
				`{"b": {"class_type": "Upscale", "inputs": {"image": ["a", 0], "method": "area", "scale": 2}},
				  "a": {"class_type": "Upscale", "inputs": {"image": ["1", 0], "method": "lanczos"}}}`,
				`{"b.1":{"inputs":{"image":["a.2",0],"upscale_method":"area","scale_by":2},"class_type":"ImageScaleBy","_meta":{"title":"up"}},` +
					`"b.2":{"inputs":{"image":["b.1",0]},"class_type":"ImageInvert"},` +
					`"a.1":{"inputs":{"image":["1",0],"upscale_method":"lanczos","scale_by":1.5},"class_type":"ImageScaleBy","_meta":{"title":"up"}},` +
					`"a.2":{"inputs":{"image":["a.1",0]},"class_type":"ImageInvert"}}`},
			{"no use", `{"1":{"class_type":"LoadImage","inputs":{"image":"a.png"}}}`, `{"1":{"class_type":"LoadImage","inputs":{"image":"a.png"}}}`},
		} {
			e, findings := s.Expand(context.Background(), prompt(t, tc.in))
			if len(findings) > 0 {
				t.Fatalf("%s:\n%s", tc.name, printed(findings))
			}
			if got := string(e.Prompt.AppendJSON(nil)); got != tc.want {
				t.Errorf("%s: got\n%s\nwant\n%s", tc.name, got, tc.want)
			}
		}
	})
}

func TestUseFindings(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "up.js", upscale)
		for _, tc := range []struct{ inputs, want string }{
			{`"image": ["1", 0], "method": "area", "scale": 9`, `flow.json:1:90: input "scale" of Upscale is 9, bigger than its maximum of 4 [value_bigger_than_max]`},
			{`"image": ["1", 0], "method": "lanczso"`, `input "method" of Upscale is not in the list: "lanczso" [value_not_in_list] (did you mean "lanczos"?)`},
			{`"image": ["1", 0], "method": "area", "scael": 2`, `input "scael" of Upscale does not exist [undeclared_input] (did you mean "scale"?)`},
			{`"method": "area"`, `Upscale lacks the required input "image" [required_input_missing]`},
			{`"image": ["1", 1], "method": "area"`, `input "image" of Upscale takes IMAGE but is linked to MASK [return_type_mismatch]`},
			{`"image": "a.png", "method": "area"`, `input "image" of Upscale takes a link of type IMAGE, not "a.png" [bad_linked_input]`},
			{`"image": ["1", 0], "method": "area", "scale": "2"`, `takes FLOAT, not "2" [invalid_input_type]`},
			{`"image": ["5", 0], "method": "area"`, `nodes wait for each other: 5 → 5 [dependency_cycle]`},
			{`"image": ["5", 7], "method": "area"`, `template "Upscale" has no output 7; it has 2 [unknown_output]`},
		} {
			e, findings := s.Expand(context.Background(), prompt(t,
				`{"5": {"class_type": "Upscale", "inputs": {`+tc.inputs+`}}, "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}`))
			if e != nil || !strings.Contains(printed(findings), tc.want) {
				t.Errorf("%s: got\n%swant %s", tc.inputs, printed(findings), tc.want)
			}
		}
	})
}

// one makes a template out of a body, used by node 5; its input is named a.
func one(body string) string {
	return "template({\n  name: \"T\",\n  inputs: { a: { type: \"INT\", default: 1, max: 18446744073709551615n }, image: { type: \"IMAGE\", optional: true } },\n" +
		"  outputs: { image: \"IMAGE\" },\n  expand(g, { a, image }) {\n" + body + "\n  },\n});\n"
}

const useOne = `{"5": {"class_type": "T", "inputs": {}}, "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}}}`

func TestScriptFindings(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		for _, tc := range []struct{ name, body, want string }{
			{"unknown class", "    return { image: g.EmptyImaeg({}) };",
				`t.js:6:23: there is no node class "EmptyImaeg" [missing_node_type] (did you mean "EmptyImage"?) | flow.json:1:2: node 5 uses template "T"`},
			{"unknown input", "    return { image: g.EmptyImage({ width: 8,\n      hieght: 8 }) };",
				`t.js:7:7: input "hieght" of EmptyImage does not exist [undeclared_input] (did you mean "height"?) | flow.json:1:2`},
			{"unknown output", "    const n = g.EmptyImage({});\n    return { image: n.IMGAE };", `t.js:7:`},
			{"no output", "    g.EmptyImage({});", `t.js:4:21: expand did not return output "image" [bad_output] | flow.json`},
			{"more outputs", "    const i = g.EmptyImage({}); return { image: i, imag: i };", `an output "imag", which the template does not declare [bad_output] (did you mean "image"?)`},
			{"wrong type", "    return { image: g.EmptyLatentImage({ width: 8 }) };", `t.js:4:21: output "image" is declared as IMAGE, and expand returned LATENT [bad_output]`},
			{"a number for an image", "    return { image: 4 };", `output "image" is declared as IMAGE, and expand returned 4 [bad_output]`},
			{"a text", "    return \"x\";", `expand returned a text, not its outputs [bad_output]`},
			{"a function", "    return { image: g.EmptyImage({ width: () => 3 }) };", `t.js:6:33: input "width" of g.EmptyImage is a function`},
			{"not a number", "    return { image: g.EmptyImage({ width: 0 / 0 }) };", `input "width" of g.EmptyImage is NaN, not a number that can be sent [bad_argument]`},
			{"no object", "    return g.EmptyImage(3);", `t.js:6:24: g.EmptyImage takes an object of inputs, not a number [bad_argument]`},
			{"thrown", "    if (a < 2) throw new RangeError(`a is ${a}`);", `t.js:6:22: the script threw RangeError: a is 1 [script_failed] | flow.json:1:2`},
			{"a typing mistake", "    return { image: h.EmptyImage({}) };", `t.js:6:21: the script threw ReferenceError: h is not defined`},
			{"counting with a link", "    return { image: g.EmptyImage({ width: g.EmptyImage({}) * 2 }) };", `a link is used as a value: what comes from another node is known only when the workflow runs [bad_argument]`},
			{"the clock", "    return { image: g.EmptyImage({ width: Date.now() }) };", `there is no clock in a template`},
			{"dice", "    return { image: g.EmptyImage({ width: Math.random() }) };", `t.js:6:43: the script threw TypeError: there is no Math.random in a template`},
			{"require", "    require('fs');", `ReferenceError: require is not defined`},
			{"itself", "    return g.T({});", `t.js:6:14: templates use each other without end: T → T [template_cycle] | flow.json:1:2: node 5 uses template "T"`},
			{"which output", "    return { image: g.ImageInvert({ image: g.CheckpointLoaderSimple({ ckpt_name: 'a' }) }) };",
				`CheckpointLoaderSimple has 3 outputs, and it is not clear which one is meant [unknown_output]`},
		} {
			s := load(t, opt, "t.js", one(tc.body))
			e, findings := s.Expand(context.Background(), prompt(t, useOne))
			if e != nil || !strings.Contains(printed(findings), tc.want) {
				t.Errorf("%s: got\n%swant %s", tc.name, printed(findings), tc.want)
			}
		}
	})
}

func TestHandles(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "t.js", one(`
    const [model, clip] = g.CheckpointLoaderSimple({ ckpt_name: "a" });
    const { VAE, model: again } = g["CheckpointLoaderSimple"]({ ckpt_name: "b", nothing: undefined });
    g.CLIPTextEncode({ text: "x", clip });
    g.ModelMergeSimple({ model1: model, model2: again, ratio: a / 2 });
    const list = g.VAEDecode({ samples: g.EmptyLatentImage({}), vae: VAE });
    return image ?? list[0];`))
		e, findings := s.Expand(context.Background(), prompt(t, useOne))
		if e == nil {
			t.Fatal(printed(findings))
		}
		want := `{"5.1":{"inputs":{"ckpt_name":"a"},"class_type":"CheckpointLoaderSimple"},"5.2":{"inputs":{"ckpt_name":"b"},"class_type":"CheckpointLoaderSimple"},` +
			`"5.3":{"inputs":{"text":"x","clip":["5.1",1]},"class_type":"CLIPTextEncode"},` +
			`"5.4":{"inputs":{"model1":["5.1",0],"model2":["5.2",0],"ratio":0.5},"class_type":"ModelMergeSimple"},` +
			`"5.5":{"inputs":{"width":512,"height":512,"batch_size":1},"class_type":"EmptyLatentImage"},"5.6":{"inputs":{"samples":["5.5",0],"vae":["5.2",2]},"class_type":"VAEDecode"},` +
			`"9":{"class_type":"SaveImage","inputs":{"images":["5.6",0],"filename_prefix":"x"}}}`
		if got := string(e.Prompt.AppendJSON(nil)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		through, findings := s.Expand(context.Background(), prompt(t, strings.Replace(useOne, `"inputs": {}`, `"inputs": {"image": ["7", 0]}`, 1)))
		if through == nil || through.Prompt.Get("9").Get("inputs").Get("images").Index(0).Str() != "7" {
			t.Errorf("a link that is passed through is lost: %s", printed(findings))
		}
	})
}

// TestNodesMadeInGetters: a value that makes nodes while it is read stays whole, and so do they.
func TestNodesMadeInGetters(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "t.js", one(`
    const early = g.EmptyImage({ width: 111, height: 222 });
    g.CLIPTextEncode({ text: { first: "before", get second() { g.EmptyImage({ width: 333, height: 444 }); return "between"; }, third: "after" } });
    return early;`))
		e, findings := s.Expand(context.Background(), prompt(t, useOne))
		if e == nil {
			t.Fatal(printed(findings))
		}
		text := string(e.Prompt.AppendJSON(nil))
		for _, want := range []string{`"width":111,"height":222`, `"width":333,"height":444`, `"text":{"first":"before","second":"between","third":"after"}`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is not in %s", want, text)
			}
		}
	})
}

func TestPlacesAndSeeds(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "t.js", one("    return g.EmptyImage({ width: 8, height: a, color: Math.floor(random() * 1e6) });"))
		get := func(seed string) (*Expansion, string) {
			e, findings := s.Expand(context.Background(), prompt(t, strings.Replace(useOne, `"inputs": {}`, `"inputs": {"a": `+seed+`}`, 1)))
			if e == nil {
				t.Fatal(printed(findings))
			}
			return e, string(e.Prompt.Get("5.1").Get("inputs").AppendJSON(nil))
		}
		e, big := get("18446744073709551615")
		if !strings.Contains(big, `"height":18446744073709551615`) {
			t.Errorf("the seed is not kept: %s", big)
		}
		m := e.Prompt.Get("5.1").Get("inputs").Member("height")
		if text := string(m.Value.File.Data); text[m.KeyStart:m.KeyEnd] != "height" || text[m.Value.Start:m.Value.End] != "a" {
			t.Errorf("places: %q, %q", text[m.KeyStart:m.KeyEnd], text[m.Value.Start:m.Value.End])
		}
		if _, again := get("18446744073709551615"); again != big {
			t.Errorf("the same inputs give %s and %s", big, again)
		}
		if _, other := get("18446744073709551614"); strings.TrimPrefix(other, `{"width":8,"height":18446744073709551614`) == strings.TrimPrefix(big, `{"width":8,"height":18446744073709551615`) {
			t.Errorf("random() is the same for other inputs: %s", other)
		}
	})
}
