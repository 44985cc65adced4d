package worker

import (
	"context"
	"fmt"
	"image"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzRun runs prompts that may be anything, within small bounds: no panic may
// come out, and every file must have a name inside its folder.
func FuzzRun(f *testing.F) {
	f.Add([]byte(`{"1":` + empty + `,"2":` + saveOf("1", "a/%width%") + `}`))
	f.Add([]byte(sampling(`"width":256,"height":192`, `"width":32,"height":24`)))
	f.Add([]byte(`{"1":{"class_type":"LoadImage","inputs":{"image":"a"}},"2":{"class_type":"ImageStitch","inputs":{"image1":["1",0],"image2":["1",0],
		"direction":"up","match_image_size":false,"spacing_width":3,"spacing_color":"red"}},"3":{"class_type":"PreviewImage","inputs":{"images":["2",0]}}}`))
	f.Add([]byte(`{"1":{"class_type":"LoadImage","inputs":{"image":"a"}},"2":{"class_type":"ImageGrid","inputs":{"images":["1",0],"columns":2,
		"cell_width":32,"cell_height":32,"padding":1}},"3":{"class_type":"MaskPreview","inputs":{"mask":["1",1]}},"4":` + saveOf("2", "x") + `}`))
	f.Add([]byte(`{"1":{"class_type":"ImageInvert","inputs":{"image":["1",0]}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0]}}}`))
	pixels := image.NewNRGBA(image.Rect(0, 0, 9, 7))
	f.Fuzz(func(t *testing.T, prompt []byte) {
		upload := func(string) ([]byte, error) { return pngOf(t, pixels), nil }
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r, err := Run(ctx, prompt, Options{Inputs: upload, MaxPixels: 1 << 14})
		if err != nil {
			return
		}
		for _, file := range r.Files {
			if len(file.Data) == 0 || file.Filename == "" || file.Type != "output" && file.Type != "temp" {
				t.Errorf("file %q of type %q with %d bytes", file.Filename, file.Type, len(file.Data))
			}
		}
	})
}

// FuzzDecode loads files that may be anything.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := decodeFile(data, 1<<14)
		if err == nil && (l.colour.pixels() == 0 || l.colour.pixels() > 1<<14) {
			t.Errorf("%s from %d bytes", l.colour.shape(), len(data))
		}
	})
}

// inputNames are the inputs that a random node is given all of.
var inputNames = strings.Fields(`image images image1 image2 pixels destination source samples samples1 samples2 samples_to samples_from
	latent_image latent mask masks alpha source_alpha destination_alpha input model clip vae conditioning positive negative cond sampler sigmas
	noise guider upscale_model width height x y left right top bottom feathering feather blur_radius sigma alpha sharpen_radius colors
	factor mean std seed noise_seed steps cfg denoise amount batch_index length batch_size columns cell_width cell_height padding
	tile_width tile_height overlap final_width final_height image_list scale_by megapixels resolution_steps largest_size target_width
	target_height multiple low_threshold high_threshold kernel_size expand value color blend_factor strength similarity_threshold
	spacing_width output_width output_height longer_edge shorter_edge images.image0 images.image1 masks.mask0 latents.latent0 inputs.input0
	resize_type.multiplier resize_type.width resize_type.height resize_type.longer_size resize_type.shorter_size resize_type.megapixels
	resize_type.match resize_type.multiple bboxes crop_region Y U V switch on_true on_false string start end image_a`)

// choiceInputs are inputs with a word to choose.
var choiceInputs = map[string][]string{
	"upscale_method": {"lanczos", "area", "bicubic", "bilinear", "nearest-exact"}, "scale_method": {"lanczos", "area", "bicubic"},
	"interpolation": {"area", "lanczos"}, "crop": {"center", "disabled"}, "resize_type.crop": {"center", "disabled"},
	"resize_type": {"scale by multiplier", "scale dimensions", "scale longer dimension", "scale shorter dimension", "scale width",
		"scale height", "scale total pixels", "match size", "scale to multiple"},
	"direction": {"right", "down", "left", "up"}, "spacing_color": {"red", "white"}, "blend_mode": {"overlay", "soft_light"},
	"dither": {"none", "floyd-steinberg", "bayer-4"}, "channel": {"red", "alpha"}, "operation": {"add", "xor", "open", "gradient"},
	"mode": {"SRC_OVER", "XOR", "Both"}, "rotation": {"90 degrees", "none"}, "flip_method": {"x-axis", "y-axis"},
	"padding_color": {"white"}, "keep_aspect": {"pad", "stretch"}, "text": {"a red fox", ""}, "sampler_name": {"euler"},
	"scheduler": {"normal"}, "filename_prefix": {"px"}, "ckpt_name": {"a"}, "model_name": {"x4"}, "tapered_corners": {""},
	"match_image_size": {"", "yes"}, "resize_source": {"", "yes"},
}

// sources are links of the right type for some inputs, by words that the name
// holds; the first that fits counts.
var sources = []struct{ words, links string }{
	{"mask alpha", `["0",1] ["4",0]`},
	{"image pixels destination source input match Y U V", `["0",0] ["3",0]`},
	{"latent samples", `["1",0]`},
	{"model clip vae", `["2",0] ["2",1]`},
	{"conditioning positive negative cond", `["5",0]`},
	{"sampler", `["6",0]`}, {"sigmas", `["7",0]`},
}

// sourceOf picks a link for an input, or nothing for what is a number.
func sourceOf(name string, d *dice) string {
	for _, s := range sources {
		for _, word := range strings.Fields(s.words) {
			if strings.Contains(name, word) {
				links := strings.Fields(s.links)
				return links[d.next()%uint64(len(links))]
			}
		}
	}
	return ""
}

// randomGraph makes a prompt of some nodes, each linked to earlier ones.
func randomGraph(seed uint64) string {
	d := newDice(seed, 0)
	pick := func(from []string) string { return from[d.next()%uint64(len(from))] }
	var names []string
	for name := range pixelClasses {
		names = append(names, name)
	}
	for name := range modelClasses {
		names = append(names, name)
	}
	slices.Sort(names)
	nodes := []string{`"0":{"class_type":"LoadImage","inputs":{"image":"a"}}`, `"1":{"class_type":"EmptyLatentImage","inputs":{"width":24,"height":16,"batch_size":2}}`,
		`"2":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a"}}`, `"3":{"class_type":"VAEDecode","inputs":{"samples":["1",0]}}`,
		`"4":{"class_type":"ImageToMask","inputs":{"image":["3",0],"channel":"red"}}`,
		`"5":{"class_type":"CLIPTextEncode","inputs":{"clip":["2",1],"text":"a red fox"}}`,
		`"6":{"class_type":"KSamplerSelect","inputs":{"sampler_name":"euler"}}`,
		`"7":{"class_type":"ManualSigmas","inputs":{"sigmas":"3, 2, 1, 0"}}`}
	choices := slices.Sorted(maps.Keys(choiceInputs))
	for i := range 6 {
		var inputs []string
		for _, name := range inputNames {
			v := fmt.Sprint([]any{0, 1, 2, 3, 7, 16, 64, 0.5, -1, 300}[d.next()%10])
			if link := sourceOf(name, &d); link != "" {
				v = link
			}
			if d.next()%12 == 0 {
				v = fmt.Sprintf(`["%d",%d]`, d.next()%uint64(len(nodes)), d.next()%3/2)
			}
			inputs = append(inputs, fmt.Sprintf("%q:%s", name, v))
		}
		for _, name := range choices {
			inputs = append(inputs, fmt.Sprintf("%q:%q", name, pick(choiceInputs[name])))
		}
		nodes = append(nodes, fmt.Sprintf(`"%d":{"class_type":%q,"inputs":{%s}}`, 8+i, pick(names), strings.Join(inputs, ",")))
	}
	for i := range nodes {
		nodes = append(nodes, fmt.Sprintf(`"s%d":%s`, i, saveOf(fmt.Sprint(i), "px")))
	}
	return "{" + strings.Join(nodes, ",") + "}"
}

// TestRandomGraphs runs graphs of random nodes: a node may refuse its inputs,
// but must not fall over them.
func TestRandomGraphs(t *testing.T) {
	pixels := image.NewNRGBA(image.Rect(0, 0, 13, 9))
	upload := func(string) ([]byte, error) { return pngOf(t, pixels), nil }
	ran := 0
	for seed := range uint64(150) {
		prompt := randomGraph(seed)
		r, err := Run(context.Background(), []byte(prompt), Options{Inputs: upload, MaxPixels: 1 << 13})
		if err != nil {
			t.Fatal(err)
		}
		ran += r.Executed
		for _, e := range r.Errors {
			if strings.HasPrefix(e.Message, "the preview failed") {
				t.Errorf("seed %d: node %s %s: %s", seed, e.Node, e.Class, e.Message)
			}
		}
	}
	if ran < 1200 {
		t.Errorf("only %d nodes ran", ran)
	}
	t.Logf("%d nodes ran", ran)
}
