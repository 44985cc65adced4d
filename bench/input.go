package bench

import (
	"fmt"
	"strings"
)

// promptOf writes an API prompt of about n nodes: samplers, decoders and savers over shared loaders, as merged renders are.
// Ids are short and values alike on purpose: text per node is then close to that of real prompts, about 150 bytes. The loaders
// are shared by all samplers, so checks that walk links without remembering would take quadratic time here.
func promptOf(n int) string {
	var b strings.Builder
	b.WriteString(`{"c":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a.safetensors"}},
"p":{"class_type":"CLIPTextEncode","inputs":{"text":"a red fox in the snow","clip":["c",1]}},
"l":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":512,"batch_size":1}}`)
	for i := 3; i+2 < n; i += 3 { // three nodes each round; the last ones are left out if they do not fit
		fmt.Fprintf(&b, `,
"k%d":{"class_type":"KSampler","inputs":{"seed":%d,"steps":20,"cfg":7.5,"sampler_name":"euler","scheduler":"normal","denoise":1,"model":["c",0],"positive":["p",0],"negative":["p",0],"latent_image":["l",0]}},
"v%d":{"class_type":"VAEDecode","inputs":{"samples":["k%d",0],"vae":["c",2]}},
"s%d":{"class_type":"SaveImage","inputs":{"filename_prefix":"fox%d","images":["v%d",0]}}`, i, i, i, i, i, i, i)
	}
	return b.String() + "}"
}

// flow is a prompt of 12 nodes, as most text-to-image graphs are.
// It has loaders, links in both directions of the ids, floats, integers and texts; nothing of it is missing in the built-in
// catalogue.
const flow = `{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a.safetensors"}},
"2":{"class_type":"LoraLoader","inputs":{"model":["1",0],"clip":["1",1],"lora_name":"b.safetensors","strength_model":1,"strength_clip":1}},
"5":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":512,"batch_size":1}},
"6":{"class_type":"CLIPTextEncode","inputs":{"text":"a red fox in a snowy forest at golden hour","clip":["2",1]}},
"7":{"class_type":"CLIPTextEncode","inputs":{"text":"text, watermark","clip":["2",1]}},
"3":{"class_type":"KSampler","inputs":{"seed":1,"steps":20,"cfg":7.5,"sampler_name":"euler","scheduler":"normal","denoise":1,"model":["2",0],"positive":["6",0],"negative":["7",0],"latent_image":["5",0]}},
"8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":["1",2]}},
"10":{"class_type":"ImageScaleBy","inputs":{"image":["8",0],"upscale_method":"lanczos","scale_by":2}},
"11":{"class_type":"ImageSharpen","inputs":{"image":["10",0],"sharpen_radius":1,"sigma":1,"alpha":1}},
"12":{"class_type":"ImageInvert","inputs":{"image":["11",0]}},
"13":{"class_type":"ImageInvert","inputs":{"image":["12",0]}},
"9":{"class_type":"SaveImage","inputs":{"filename_prefix":"fox","images":["13",0]}}}`

// sweepOf writes a batch of four axes over flow.
// The number of renders is the product of the four. samplers is at most 10, the length of names.
func sweepOf(workflow string, prompts, seeds, cfgs, samplers int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "workflow: %s\nsweep:\n  matrix:\n    prompt: [", workflow)
	// The list ends in a comma, which YAML allows.
	for i := range prompts {
		fmt.Fprintf(&b, "a red fox number %d in a snowy forest at golden hour, ", i)
	}
	names := []string{"euler", "heun", "dpm_2", "lms", "ddim", "dpmpp_2m", "dpmpp_sde", "uni_pc", "euler_ancestral", "dpm_fast"}
	fmt.Fprintf(&b, "]\n    KSampler.seed: {from: 1, count: %d}\n    cfg: {from: 1, count: %d, step: 0.5}\n    sampler_name: [%s]\nbind: {prompt: [6.text]}\n",
		seeds, cfgs, strings.Join(names[:samplers], ", "))
	return b.String()
}
