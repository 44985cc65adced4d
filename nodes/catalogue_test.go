package nodes

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

func TestBuiltInClasses(t *testing.T) {
	c := BuiltIn()
	if c.Len() < 800 || c.Literal() || !slices.IsSorted(c.Names()) {
		t.Fatalf("%d classes, literal %v", c.Len(), c.Literal())
	}
	k, ok := c.Class("KSampler")
	if !ok || !slices.Equal(k.InputNames(), []string{"model", "seed", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image", "denoise"}) {
		t.Fatalf("KSampler has inputs %v", k.InputNames())
	}
	if seed := k.Input("seed"); seed.Type != TypeInt || seed.Spec.Get("max").Text != "18446744073709551615" || !seed.Flag("control_after_generate") {
		t.Errorf("seed is %+v, %s", seed, seed.Spec.AppendJSON(nil))
	}
	if s := k.Input("sampler_name"); !s.OldList || s.Open || !slices.Contains(s.OptionNames(), "euler") {
		t.Errorf("sampler_name is %+v", s)
	}
	if o := k.Outputs[0]; o.Name != "LATENT" || o.Type != "LATENT" || o.OldList {
		t.Errorf("outputs are %+v", k.Outputs)
	}
	if save, _ := c.Class("SaveImage"); !save.OutputNode || save.Input("prompt").Group != Hidden {
		t.Errorf("SaveImage is %+v", save)
	}
	if _, ok := c.Class("NoSuchClass"); ok || c.Has("NoSuchClass") {
		t.Error("a class that does not exist was found")
	}
}

// TestOpenLists holds which lists of the built-in catalogue take any name, and that no other does.
func TestOpenLists(t *testing.T) {
	for _, tc := range []struct {
		class, input string
		open         bool
	}{
		{"CheckpointLoaderSimple", "ckpt_name", true}, {"VAELoader", "vae_name", true}, {"UNETLoader", "unet_name", true},
		{"UNETLoader", "weight_dtype", false}, {"LoadImage", "image", true}, {"LoadImageOutput", "image", true}, {"LoadVideo", "file", true},
		{"Load3D", "model_file", true}, {"CheckpointLoader", "config_name", false}, {"CLIPLoader", "type", false}, {"CLIPLoader", "device", false},
		{"KSampler", "scheduler", false}, {"UpscaleModelLoader", "model_name", true},
	} {
		class, _ := BuiltIn().Class(tc.class)
		if in := class.Input(tc.input); in.Open != tc.open {
			t.Errorf("%s.%s: open is %v, want %v", tc.class, tc.input, in.Open, tc.open)
		}
	}
}

// TestImportKeepsFacts compares every class of the built-in catalogue with the snapshot that it was made of.
func TestImportKeepsFacts(t *testing.T) {
	snapshot, findings := Load(truth(t, "object_info.json"))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if !snapshot.Literal() || !slices.Equal(snapshot.Names(), BuiltIn().Names()) {
		t.Fatal("the names differ")
	}
	for _, name := range snapshot.Names() {
		a, _ := snapshot.Class(name)
		b, _ := BuiltIn().Class(name)
		if got, want := describeClass(b), describeClass(a); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
}

// describeClass prints what a compiler reads of a class, without the marks for open lists.
func describeClass(c *Class) string {
	var b strings.Builder
	b.WriteString(strings.Join([]string{c.Name, c.DisplayName, c.Category, c.Module}, "|"))
	for _, flag := range []bool{c.OutputNode, c.InputList, c.Deprecated, c.Experimental, c.APINode, c.V3} {
		b.WriteString(map[bool]string{true: " 1", false: " 0"}[flag])
	}
	describeInputs(&b, c.Inputs)
	for _, o := range c.Outputs {
		b.WriteString(" -> " + o.Name + ":" + o.Type + ":" + o.Match)
		if o.List {
			b.WriteString("[]")
		}
	}
	return b.String()
}

func describeInputs(b *strings.Builder, inputs []Input) {
	for _, in := range inputs {
		b.WriteString("\n " + in.Group.String() + " " + in.Name + " " + in.Type + " ")
		for _, o := range in.Options {
			b.Write(o.AppendJSON(nil))
		}
		for _, m := range in.Spec.Members {
			if m.Key != "open" && m.Key != "options" && m.Key != "template" {
				b.WriteString(" " + m.Key + "=" + string(m.Value.AppendJSON(nil)))
			}
		}
		for _, choice := range in.Choices {
			b.WriteString("\n key " + choice.Key.Text)
			describeInputs(b, choice.Inputs)
		}
		if in.Grow != nil {
			b.WriteString("\n grows " + strings.Join(in.Grow.Names, ","))
			describeInputs(b, []Input{in.Grow.Input})
		}
	}
}

func TestDynamicInputs(t *testing.T) {
	class, _ := BuiltIn().Class("SaveVideo")
	format := class.Input("format")
	if format.Type != TypeDynamicCombo || !slices.Contains(format.OptionNames(), "mp4") {
		t.Fatalf("format is %+v", format)
	}
	codec := format.Choices[0].Inputs[0]
	if codec.Name != "codec" || len(codec.Choices) == 0 {
		t.Errorf("codec is %+v", codec)
	}
	batch, _ := BuiltIn().Class("BatchImagesNode")
	grow := batch.Input("images").Grow
	if grow == nil || grow.Min != 1 || len(grow.Names) != 50 || grow.Names[49] != "image49" || grow.Input.Type != "IMAGE" {
		t.Errorf("images grows as %+v", grow)
	}
}

func TestLoadFindings(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"list", `[]`, "this is a list"},
		{"empty", `{}`, "this is empty"},
		{"a prompt instead", `{"3": {"class_type": "KSampler", "inputs": {}}}`, "no class definition"},
		{"one broken entry", `{"A": {"input": {}}, "B": 7}`, `"B" is no class definition`},
		{"broken JSON", `{`, "ends too early"},
		{"broken compression", "\x28\xb5\x2f\xfdxyz", "decompress a catalogue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, findings := LoadFile(source.NewFile("s.json", []byte(tc.in)))
			if len(findings) != 1 || !strings.Contains(findings[0].Message, tc.want) {
				t.Errorf("findings %v, want %q", findings, tc.want)
			}
		})
	}
}

// TestDecodeSuspects feeds definitions that no server sends.
func TestDecodeSuspects(t *testing.T) {
	f := source.NewFile("s.json", []byte(`{"A": {"input": {"required": {"a": 7, "b": [], "c": [[], 3], "d": ["INT", null], "e": ["COMFY_AUTOGROW_V3", {"template": {"max": 1e9}}],
		"f": ["COMFY_DYNAMICCOMBO_V3", {"options": 3}], "g": "INT"}, "optional": [], "hidden": null}, "input_order": {"required": ["g", "g", "zz", 4]},
		"output": [["x"], 3, "IMAGE"], "output_name": null, "output_node": "yes"}}`))
	c, findings := LoadFile(f)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	a, _ := c.Class("A")
	if got := strings.Join(a.InputNames(), ""); got != "gabcdef" {
		t.Errorf("inputs %s", got)
	}
	if len(a.Outputs) != 3 || a.Outputs[0].Type != TypeCombo || a.Outputs[2].Name != "IMAGE" || a.OutputNode {
		t.Errorf("outputs %+v", a.Outputs)
	}
	if a.Input("b").Type != TypeAny || a.Input("d").Spec == nil || a.Input("e").Grow != nil {
		t.Errorf("inputs %+v", a.Inputs)
	}
}

func TestImportOptions(t *testing.T) {
	in := `{"B": {"input": {"required": {"m": [[], {"tooltip": "a sentence", "open": true}]}}, "description": "another", "output": ["X"], "output_name": ["X"]}, "A": {"input": {}}}`
	v, err := source.ParseJSON(source.NewFile("s.json", []byte(in)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, closed := range []bool{false, true} {
		data, err := Import(v, ImportOptions{Closed: closed})
		if err != nil {
			t.Fatal(err)
		}
		c, findings := LoadFile(source.NewFile("c.zst", data))
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		b, _ := c.Class("B")
		if m := b.Input("m"); m.Open == closed || m.Spec.Get("tooltip") != nil || c.Literal() {
			t.Errorf("closed %v: %+v", closed, m)
		}
	}
}

func TestClassFromManyGoroutines(t *testing.T) {
	c, err := unpack(coreCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	got := make([]*Class, 8)
	for i := range got {
		wg.Go(func() { got[i], _ = c.Class("KSampler") })
	}
	wg.Wait()
	for _, class := range got {
		if class == nil || class != got[0] {
			t.Fatal("a class was decoded twice")
		}
	}
}

func TestProfiles(t *testing.T) {
	p, ok := ProfileOf("runpod/worker-comfyui:5.5.0-flux1-dev")
	if !ok || p.Form != FormWorkerComfyUI || p.Lacks(ModelKind("UNETLoader", "unet_name"), "flux1-dev.safetensors") || !p.Lacks(VAEs, "sdxl_vae.safetensors") {
		t.Errorf("flux1-dev is %+v", p)
	}
	if p.Lacks(ModelKind("KSampler", "seed"), "1") || p.Lacks(VAEs, "pixel_space") {
		t.Error("what is no model file is said to lack")
	}
	if old, _ := ProfileOf("runpod/worker-comfyui:4.1.0-sdxl"); old.Form != FormWorkerComfyUIOld {
		t.Errorf("4.1.0 has the form %s", old.Form)
	}
	if base, ok := ProfileOf("runpod/worker-comfyui:5.5.0-base"); !ok || base.Lacks(Checkpoints, "x.safetensors") {
		t.Error("an image without models gets them from a volume")
	}
	if novita, _ := ProfileOf("novitalabs/comfyui-worker:v0.0.1"); novita.Form != FormNovita {
		t.Errorf("novita's worker is %+v", novita)
	}
	if _, ok := ProfileOf("me/mine:1"); ok {
		t.Error("an unknown image has a profile")
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add([]byte(`{"A": {"input": {"required": {"a": ["INT", {}]}}, "output": ["X"]}}`))
	f.Add([]byte(packHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, findings := LoadFile(source.NewFile("f", data))
		if c == nil {
			if len(findings) == 0 {
				t.Error("no catalogue and no finding")
			}
			return
		}
		for _, name := range c.Names() {
			c.Class(name)
		}
		if tree, err := source.ParseJSON(source.NewFile("f", data), source.Limits{}); err == nil {
			if _, err := Import(tree, ImportOptions{}); err != nil {
				t.Log(err)
			}
		}
	})
}

func BenchmarkCatalogueLoad(b *testing.B) {
	for b.Loop() {
		if _, err := unpack(coreCatalogue); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCatalogueAllClasses(b *testing.B) {
	for b.Loop() {
		c, _ := unpack(coreCatalogue)
		for _, name := range c.Names() {
			c.Class(name)
		}
	}
}
