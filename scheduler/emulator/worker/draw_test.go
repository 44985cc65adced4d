package worker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// sampling builds a text-to-image prompt; changes replace parts of it.
func sampling(changes ...string) string {
	prompt := `{
		"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"sd_xl_base_1.0.safetensors"}},
		"2":{"class_type":"EmptyLatentImage","inputs":{"width":256,"height":192,"batch_size":1}},
		"3":{"class_type":"CLIPTextEncode","inputs":{"text":"a red fox","clip":["1",1]}},
		"4":{"class_type":"CLIPTextEncode","inputs":{"text":"blurry","clip":["1",1]}},
		"5":{"class_type":"KSampler","inputs":{"seed":7,"steps":20,"cfg":6.5,"sampler_name":"euler","scheduler":"normal","denoise":1.0,
			"model":["1",0],"positive":["3",0],"negative":["4",0],"latent_image":["2",0]}},
		"6":{"class_type":"VAEDecode","inputs":{"samples":["5",0],"vae":["1",2]}},
		"7":` + saveOf("6", "px") + `}`
	return strings.NewReplacer(changes...).Replace(prompt)
}

// drawing runs a prompt and gives its only picture.
func drawing(t *testing.T, prompt string) File {
	t.Helper()
	r := run(t, prompt, Options{})
	if len(r.Files) != 1 || len(r.Errors) > 0 {
		t.Fatalf("%d files; %s", len(r.Files), failures(r))
	}
	return r.Files[0]
}

// apart is the mean difference of two pictures' samples above the strip, of 255.
func apart(t *testing.T, one, two File) float64 {
	t.Helper()
	x, y := decoded(t, one.Data), decoded(t, two.Data)
	if x.Bounds() != y.Bounds() {
		t.Fatalf("sizes differ: %v and %v", x.Bounds(), y.Bounds())
	}
	p, q := flat(x), flat(y)
	p, q = p[:len(p)*4/5], q[:len(q)*4/5]
	sum := 0
	for i := range p {
		d := int(p[i]) - int(q[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(len(p)*3/4)
}

func TestDrawingIsRepeatable(t *testing.T) {
	one, two := drawing(t, sampling()), drawing(t, sampling())
	if !bytes.Equal(one.Data, two.Data) {
		t.Error("the same prompt gave different bytes")
	}
}

// TestDrawingFollowsSettings changes one thing at a time.
func TestDrawingFollowsSettings(t *testing.T) {
	base := drawing(t, sampling())
	tests := []struct {
		name     string
		from, to string
		least    float64
	}{
		{"seed", `"seed":7`, `"seed":8`, 8},
		{"large seed", `"seed":7`, `"seed":18446744073709551615`, 8},
		{"prompt", "a red fox", "a blue whale in the sea", 8},
		{"cfg", `"cfg":6.5`, `"cfg":1.5`, 2},
		{"steps", `"steps":20`, `"steps":2`, 0.5},
		{"sampler", `"euler"`, `"dpmpp_2m"`, 0.05},
		{"model", "sd_xl_base_1.0", "other", 0},
	}
	for _, tt := range tests {
		got := apart(t, base, drawing(t, sampling(tt.from, tt.to)))
		t.Logf("%s: %.2f", tt.name, got)
		if got < tt.least {
			t.Errorf("%s: pictures are %.2f apart, want %.2f and more", tt.name, got, tt.least)
		}
	}
}

// TestPalette looks for the colour that the prompt names.
func TestPalette(t *testing.T) {
	for prompt, want := range map[string]int{"a red fox": 0, "an emerald green lizard": 1, "a blue bird": 2} {
		sums := [3]int{}
		for seed := range 4 {
			f := drawing(t, sampling("a red fox", prompt, `"seed":7`, fmt.Sprintf(`"seed":%d`, seed)))
			for i, v := range flat(decoded(t, f.Data)) {
				if i%4 < 3 {
					sums[i%4] += int(v)
				}
			}
		}
		for k := range sums {
			if k != want && sums[k] >= sums[want] {
				t.Errorf("%s: channel sums %v, want channel %d to be the strongest", prompt, sums, want)
			}
		}
	}
}

// TestStrip finds the strip: dark, with light letters, at the lower edge, and
// high enough to be read at a width of 256.
func TestStrip(t *testing.T) {
	for _, size := range [][2]int{{1024, 1024}, {512, 768}, {256, 192}, {2048, 512}} {
		f := drawing(t, sampling(`"width":256,"height":192`, fmt.Sprintf(`"width":%d,"height":%d`, size[0], size[1]), "a red fox", "white snow"))
		img := decoded(t, f.Data)
		pix, w, h := flat(img), img.Bounds().Dx(), img.Bounds().Dy()
		if w != size[0] || h != size[1] {
			t.Fatalf("%d × %d, want %v", w, h, size)
		}
		ink := 0 // rows in which letters are found at the left
		for y := range h {
			light := 0
			for x := range w / 4 {
				if pix[(y*w+x)*4] > 240 && y > h/2 {
					light++
				}
			}
			if light > 1 && pix[(y*w+w-1)*4] < 90 {
				ink++
			}
		}
		if need := max(w, h) * 7 / 256; ink < need {
			t.Errorf("%v: letters are %d pixels high, want %d", size, ink, need)
		}
	}
}

// TestPreviewNote looks for the mark in the metadata, also after other nodes
// have worked on the picture, and only there.
func TestPreviewNote(t *testing.T) {
	r := run(t, strings.TrimSuffix(sampling(), "}")+`,
		"8":{"class_type":"ImageScaleBy","inputs":{"image":["6",0],"upscale_method":"lanczos","scale_by":0.5}},
		"9":{"class_type":"ImageToMask","inputs":{"image":["8",0],"channel":"red"}},
		"10":{"class_type":"MaskToImage","inputs":{"mask":["9",0]}},
		"11":`+saveOf("10", "mask")+`,"12":`+empty+`,"13":`+saveOf("12", "real")+`}`, Options{NoMetadata: true})
	if len(r.Files) != 3 {
		t.Fatalf("%s; %s", saved(r), failures(r))
	}
	for _, f := range r.Files {
		_, texts := chunks(t, f.Data)
		note, ok := texts["comfyc_preview"]
		if f.Node == "13" {
			if ok {
				t.Errorf("a real picture says %q", note)
			}
			continue
		}
		for _, part := range []string{"PREVIEW ", "seed 7", "20 steps", "sd_xl_base_1.0", "a red fox"} {
			if !strings.Contains(note, part) {
				t.Errorf("node %s: the note %q lacks %q", f.Node, note, part)
			}
		}
	}
}

func TestBatchDiffers(t *testing.T) {
	r := run(t, sampling(`"batch_size":1`, `"batch_size":3`), Options{})
	if len(r.Files) != 3 {
		t.Fatalf("%s; %s", saved(r), failures(r))
	}
	if d := apart(t, r.Files[0], r.Files[1]); d < 8 {
		t.Errorf("pictures of a batch are %.2f apart", d)
	}
	one := drawing(t, sampling())
	if d := apart(t, one, r.Files[0]); d > 0 {
		t.Errorf("the first of a batch is %.2f from the single one", d)
	}
	picked := drawing(t, strings.TrimSuffix(sampling(`"batch_size":1`, `"batch_size":3`, `["2",0]`, `["8",0]`), "}")+`,
		"8":{"class_type":"LatentFromBatch","inputs":{"samples":["2",0],"batch_index":1,"length":1}}}`)
	if d := apart(t, picked, r.Files[1]); d > 0 {
		t.Errorf("the second of a batch, picked, is %.2f from itself", d)
	}
}

// TestImageToImage keeps more of the source the smaller denoise is.
func TestImageToImage(t *testing.T) {
	at := func(denoise string) File {
		return drawing(t, strings.TrimSuffix(sampling(`["2",0]`, `["9",0]`, `"denoise":1.0`, `"denoise":`+denoise), "}")+`,
			"8":{"class_type":"EmptyImage","inputs":{"width":259,"height":197,"batch_size":1,"color":65280}},
			"9":{"class_type":"VAEEncode","inputs":{"pixels":["8",0],"vae":["1",2]}}}`)
	}
	full, half, little := at("1.0"), at("0.5"), at("0.1")
	if size := decoded(t, full.Data).Bounds().Size(); size.X != 256 || size.Y != 192 {
		t.Errorf("259 × 197 encodes to %v, want multiples of 8", size)
	}
	if a, b := apart(t, full, half), apart(t, full, little); a < 5 || b < a*1.4 {
		t.Errorf("denoise 0.5 is %.2f from 1, and 0.1 is %.2f", a, b)
	}
}

// TestInpaint leaves alone what the mask does not cover.
func TestInpaint(t *testing.T) {
	f := drawing(t, strings.TrimSuffix(sampling(`["2",0]`, `["11",0]`), "}")+`,
		"8":{"class_type":"EmptyImage","inputs":{"width":256,"height":192,"batch_size":1,"color":65280}},
		"9":{"class_type":"SolidMask","inputs":{"value":0,"width":256,"height":192}},
		"10":{"class_type":"VAEEncode","inputs":{"pixels":["8",0],"vae":["1",2]}},
		"11":{"class_type":"SetLatentNoiseMask","inputs":{"samples":["10",0],"mask":["9",0]}}}`)
	if pix := flat(decoded(t, f.Data)); pix[0] != 0 || pix[1] != 255 {
		t.Errorf("outside of the mask the picture is %v", pix[:3])
	}
}

// TestHighResFix keeps the composition when a latent is enlarged and sampled on.
func TestHighResFix(t *testing.T) {
	f := drawing(t, strings.TrimSuffix(sampling(`"samples":["5",0]`, `"samples":["9",0]`), "}")+`,
		"8":{"class_type":"LatentUpscaleBy","inputs":{"samples":["5",0],"upscale_method":"bislerp","scale_by":1.5}},
		"9":{"class_type":"KSampler","inputs":{"seed":99,"steps":12,"cfg":6.5,"sampler_name":"euler","scheduler":"normal","denoise":0.5,
			"model":["1",0],"positive":["3",0],"negative":["4",0],"latent_image":["8",0]}}}`)
	img := decoded(t, f.Data)
	if img.Bounds().Dx() != 384 || img.Bounds().Dy() != 288 {
		t.Fatalf("size %v", img.Bounds())
	}
	direct := drawing(t, sampling(`"width":256,"height":192`, `"width":384,"height":288`))
	if d := apart(t, f, direct); d > 6 {
		t.Errorf("the enlarged picture is %.2f from one drawn in its size", d)
	}
}

// TestFluxGraph runs the nodes of a FLUX.1 workflow with values for sampler,
// noise, guider and sigmas, a LoRA and a control image.
func TestFluxGraph(t *testing.T) {
	prompt := `{
		"1":{"class_type":"UNETLoader","inputs":{"unet_name":"flux1-dev.safetensors","weight_dtype":"default"}},
		"2":{"class_type":"DualCLIPLoader","inputs":{"clip_name1":"t5xxl.safetensors","clip_name2":"clip_l.safetensors","type":"flux"}},
		"3":{"class_type":"LoraLoader","inputs":{"model":["1",0],"clip":["2",0],"lora_name":"ink.safetensors","strength_model":0.8,"strength_clip":0.8}},
		"4":{"class_type":"ModelSamplingFlux","inputs":{"model":["3",0],"max_shift":1.15,"base_shift":0.5,"width":320,"height":256}},
		"5":{"class_type":"CLIPTextEncodeFlux","inputs":{"clip":["3",1],"clip_l":"golden hills","t5xxl":"golden hills","guidance":3.5}},
		"6":{"class_type":"ControlNetLoader","inputs":{"control_net_name":"canny.safetensors"}},
		"7":` + empty + `,
		"8":{"class_type":"ControlNetApplyAdvanced","inputs":{"positive":["5",0],"negative":["9",0],"control_net":["6",0],"image":["7",0],"strength":1.0,"start_percent":0,"end_percent":1}},
		"9":{"class_type":"ConditioningZeroOut","inputs":{"conditioning":["5",0]}},
		"10":{"class_type":"BasicGuider","inputs":{"model":["4",0],"conditioning":["8",0]}},
		"11":{"class_type":"RandomNoise","inputs":{"noise_seed":12345678901234567890}},
		"12":{"class_type":"KSamplerSelect","inputs":{"sampler_name":"euler"}},
		"13":{"class_type":"BasicScheduler","inputs":{"model":["4",0],"scheduler":"simple","steps":20,"denoise":1.0}},
		"14":{"class_type":"EmptySD3LatentImage","inputs":{"width":320,"height":256,"batch_size":1}},
		"15":{"class_type":"SamplerCustomAdvanced","inputs":{"noise":["11",0],"guider":["10",0],"sampler":["12",0],"sigmas":["13",0],"latent_image":["14",0]}},
		"16":{"class_type":"VAELoader","inputs":{"vae_name":"ae.safetensors"}},
		"17":{"class_type":"VAEDecodeTiled","inputs":{"samples":["15",1],"vae":["16",0],"tile_size":512,"overlap":64}},
		"18":{"class_type":"UpscaleModelLoader","inputs":{"model_name":"RealESRGAN_x2.pth"}},
		"19":{"class_type":"ImageUpscaleWithModel","inputs":{"upscale_model":["18",0],"image":["17",0]}},
		"20":` + saveOf("19", "flux") + `}`
	f := drawing(t, prompt)
	if size := decoded(t, f.Data).Bounds().Size(); size.X != 640 || size.Y != 512 {
		t.Errorf("size %v, want 640 × 512", size)
	}
	_, texts := chunks(t, f.Data)
	want := "PREVIEW seed 12345678901234567890 · 20 steps · guidance 3.5 · euler/simple; flux1-dev.safetensors + ink.safetensors:0.8; golden hills; upscale by RealESRGAN_x2.pth"
	if got := texts["comfyc_preview"]; got != latin1(want) {
		t.Errorf("note %q, want %q", got, want)
	}
}

// TestLatentSizes decodes latents that were made or changed in many ways.
func TestLatentSizes(t *testing.T) {
	tests := []struct{ nodes, want string }{
		{`"2":{"class_type":"EmptyLatentImage","inputs":{"width":133,"height":70,"batch_size":2}}`, "2 of 128×64"},
		{`"2":{"class_type":"EmptyFlux2LatentImage","inputs":{"width":133,"height":70,"batch_size":1}}`, "1 of 128×64"},
		{`"2":{"class_type":"EmptyHunyuanLatentVideo","inputs":{"width":64,"height":64,"length":10,"batch_size":1}}`, "9 of 64×64"},
		{`"1":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":128,"batch_size":1}},
		  "2":{"class_type":"LatentUpscale","inputs":{"samples":["1",0],"upscale_method":"bilinear","width":0,"height":256,"crop":"disabled"}}`, "1 of 128×256"},
		{`"1":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":128,"batch_size":3}},
		  "3":{"class_type":"LatentRotate","inputs":{"samples":["1",0],"rotation":"90 degrees"}},
		  "4":{"class_type":"LatentCrop","inputs":{"samples":["3",0],"width":80,"height":40,"x":8,"y":8}},
		  "2":{"class_type":"LatentFromBatch","inputs":{"samples":["4",0],"batch_index":-1,"length":4}}`, "1 of 80×40"},
		{`"1":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":128,"batch_size":1}},
		  "3":{"class_type":"RepeatLatentBatch","inputs":{"samples":["1",0],"amount":4}},
		  "2":{"class_type":"LatentBatch","inputs":{"samples1":["3",0],"samples2":["1",0]}}`, "5 of 64×128"},
	}
	for _, tt := range tests {
		r := run(t, `{`+tt.nodes+`,"8":{"class_type":"VAEDecode","inputs":{"samples":["2",0],"vae":null}},"9":`+saveOf("8", "a")+`}`, Options{})
		if len(r.Files) == 0 {
			t.Errorf("%s: %s", tt.want, failures(r))
			continue
		}
		size := decoded(t, r.Files[0].Data).Bounds().Size()
		if got := fmt.Sprintf("%d of %d×%d", len(r.Files), size.X, size.Y); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

func TestFactorOf(t *testing.T) {
	for name, want := range map[string]int{"RealESRGAN_x4plus.pth": 4, "2x-Anime.pth": 2, "foo": 4, "8x_NMKD.pt": 8,
		"4x-then-1x": 4, "net_x16_gan": 16, "12x": 12, "x1_512x512": 1, "0x": 4, "extra_99999999999999999999x": 4} {
		if got := factorOf(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// TestTinyPictures draws the smallest ones.
func TestTinyPictures(t *testing.T) {
	for _, size := range []string{`"width":16,"height":16`, `"width":8,"height":512`, `"width":512,"height":8`} {
		drawing(t, sampling(`"width":256,"height":192`, size))
	}
}
