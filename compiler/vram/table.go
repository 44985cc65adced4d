package vram

import (
	"strings"

	"github.com/comfyc/comfyc/nodes"
)

// family is a model architecture.
type family struct {
	name string
	// factor scales the room that a step of the sampler needs: factor × 0.01 MiB × bytes per number × latent positions (ComfyUI 0.26 plans
	// with it: memory_usage_factor of its supported models).
	factor float64
	params float64 // of the diffusion model, in 10^9; for files whose size is not in the table
	extra  float64 // of the text encoders and the VAE in a whole checkpoint
	size   int     // pixels of a side that it was made for
	video  bool
	parts  []string // pieces of file names by which it is told, the surest first
}

// families in the order in which names are compared. Parameters are those of the model cards.
var families = []family{
	{name: "FLUX.1", factor: 3.1, params: 11.9, extra: 4.97, size: 1024, parts: []string{"flux1", "flux.1", "flux-dev", "flux_dev", "flux-schnell", "fluxmania"}},
	{name: "Wan 2 14B", factor: 2.3, params: 14.3, size: 832, video: true, parts: []string{"wan2.1_t2v_14b", "wan2.2_t2v", "wan2.2_i2v"}},
	{name: "HunyuanVideo", factor: 1.8, params: 12.8, size: 848, video: true, parts: []string{"hunyuan_video"}},
	{name: "Qwen-Image", factor: 1.8, params: 20.4, size: 1328, parts: []string{"qwen_image", "qwen-image"}},
	{name: "Z-Image", factor: 2.8, params: 6.15, size: 1024, parts: []string{"z_image", "z-image"}},
	{name: "Chroma", factor: 3.2, params: 8.9, size: 1024, parts: []string{"chroma"}},
	{name: "SD3.5 Large", factor: 1.6, params: 8.06, extra: 0.9, size: 1024, parts: []string{"sd3.5_large"}},
	{name: "SD3 Medium", factor: 1.6, params: 2.09, extra: 0.9, size: 1024, parts: []string{"sd3_medium", "sd3.5_medium"}},
	{name: "SDXL refiner", factor: 1.0, params: 2.27, extra: 0.77, size: 1024, parts: []string{"xl_refiner"}},
	{name: "SDXL", factor: 0.8, params: 2.57, extra: 0.9, size: 1024, parts: []string{"sd_xl", "sdxl", "xl_base", "_xl", "-xl", "xl-", "pony", "illustrious", "noobai"}},
	{name: "SD2", factor: 1.0, params: 0.87, extra: 0.42, size: 768, parts: []string{"v2-1", "sd2"}},
	{name: "SD1.5", factor: 1.0, params: 0.86, extra: 0.21, size: 512, parts: []string{"v1-5", "sd15", "sd1.5", "sd_1.5"}},
}

func familyNamed(name string) *family {
	for i := range families {
		if families[i].name == name {
			return &families[i]
		}
	}
	return nil
}

// file is a model file by its size in 10^9 bytes as it is stored; a checkpoint is told apart into its parts.
type file struct {
	name             string
	kind             string
	family           string
	model, text, vae float64
	bits             float64 // of a stored weight
}

// files are well-known ones. Unless a line says otherwise, sizes are those of ComfyUI-Manager's model-list.json (2026), and the parts of a checkpoint
// are its text encoders' and VAE's own sizes taken from the whole: clip_l 0.246, clip_g 1.39, t5xxl 4.89 (fp8) or 9.79 (fp16), VAE 0.167 (fp16).
var files = []file{
	{"flux1-dev.safetensors", nodes.DiffusionModels, "FLUX.1", 23.8, 0, 0, 16},
	{"flux1-schnell.safetensors", nodes.DiffusionModels, "FLUX.1", 23.8, 0, 0, 16},
	{"flux1-dev-fp8.safetensors", nodes.DiffusionModels, "FLUX.1", 11.9, 0, 0, 8},
	{"flux1-schnell-fp8.safetensors", nodes.DiffusionModels, "FLUX.1", 11.9, 0, 0, 8},
	{"flux_dev_fp8_scaled_diffusion_model.safetensors", nodes.DiffusionModels, "FLUX.1", 11.9, 0, 0, 8},
	{"flux1-dev-fp8.safetensors", nodes.Checkpoints, "FLUX.1", 11.9, 5.13, 0.167, 8},     // 17.2 in all: fp8 model and T5, 16-bit clip_l and VAE
	{"flux1-schnell-fp8.safetensors", nodes.Checkpoints, "FLUX.1", 11.9, 5.13, 0.167, 8}, // likewise
	{"sd_xl_base_1.0.safetensors", nodes.Checkpoints, "SDXL", 5.14, 1.63, 0.167, 16},     // 6.94 in all
	{"sd_xl_base_1.0_0.9vae.safetensors", nodes.Checkpoints, "SDXL", 5.14, 1.63, 0.167, 16},
	{"sd_xl_turbo_1.0_fp16.safetensors", nodes.Checkpoints, "SDXL", 5.14, 1.63, 0.167, 16},
	{"sd_xl_turbo_1.0.safetensors", nodes.Checkpoints, "SDXL", 10.3, 3.27, 0.335, 32},
	{"sd_xl_refiner_1.0.safetensors", nodes.Checkpoints, "SDXL refiner", 4.52, 1.39, 0.167, 16}, // 6.08 in all
	// stabilityai/stable-diffusion-3-medium: 5.97 with both CLIPs, 10.9 with T5 in fp8, 15.8 in fp16 (5.5 and 10.1 GiB in ComfyUI's examples for SD3).
	{"sd3_medium.safetensors", nodes.Checkpoints, "SD3 Medium", 4.17, 0, 0.167, 16},
	{"sd3_medium_incl_clips.safetensors", nodes.Checkpoints, "SD3 Medium", 4.17, 1.63, 0.167, 16},
	{"sd3_medium_incl_clips_t5xxlfp8.safetensors", nodes.Checkpoints, "SD3 Medium", 4.17, 6.53, 0.167, 16},
	{"sd3_medium_incl_clips_t5xxlfp16.safetensors", nodes.Checkpoints, "SD3 Medium", 4.17, 11.4, 0.167, 16},
	{"sd3.5_large_fp8_scaled.safetensors", nodes.Checkpoints, "SD3.5 Large", 8.2, 6.53, 0.167, 8}, // Comfy-Org/stable-diffusion-3.5-fp8: 13.9 GiB
	{"v1-5-pruned-emaonly.safetensors", nodes.Checkpoints, "SD1.5", 3.44, 0.492, 0.335, 32},       // 4.27 in all
	{"v1-5-pruned-emaonly.ckpt", nodes.Checkpoints, "SD1.5", 3.44, 0.492, 0.335, 32},
	{"v1-5-pruned-emaonly-fp16.safetensors", nodes.Checkpoints, "SD1.5", 1.72, 0.246, 0.167, 16}, // 2.13 in all
	{"v2-1_768-ema-pruned.safetensors", nodes.Checkpoints, "SD2", 3.46, 1.41, 0.335, 32},         // 5.21 in all
	{"hunyuan_video_t2v_720p_bf16.safetensors", nodes.DiffusionModels, "HunyuanVideo", 25.6, 0, 0, 16},
	{"wan2.1_t2v_14b_fp16.safetensors", nodes.DiffusionModels, "Wan 2 14B", 28.6, 0, 0, 16},
	{"wan2.1_t2v_14b_fp8_scaled.safetensors", nodes.DiffusionModels, "Wan 2 14B", 14.3, 0, 0, 8},
	{"wan2.2_t2v_high_noise_14b_fp8_scaled.safetensors", nodes.DiffusionModels, "Wan 2 14B", 14.3, 0, 0, 8},
	{"wan2.2_t2v_low_noise_14b_fp8_scaled.safetensors", nodes.DiffusionModels, "Wan 2 14B", 14.3, 0, 0, 8},
	{"z_image_turbo_bf16.safetensors", nodes.DiffusionModels, "Z-Image", 12.3, 0, 0, 16}, // Comfy-Org/z_image_turbo: 11.46 GiB
	// Qwen-Image has 20.4 × 10^9 parameters (its model card); the list's sizes for it are those of another model.
	{"qwen_image_bf16.safetensors", nodes.DiffusionModels, "Qwen-Image", 40.9, 0, 0, 16},
	{"qwen_image_fp8_e4m3fn.safetensors", nodes.DiffusionModels, "Qwen-Image", 20.4, 0, 0, 8},

	{"t5xxl_fp16.safetensors", nodes.TextEncoders, "", 0, 9.79, 0, 16},
	{"t5xxl_fp8_e4m3fn.safetensors", nodes.TextEncoders, "", 0, 4.89, 0, 8},
	{"t5xxl_fp8_e4m3fn_scaled.safetensors", nodes.TextEncoders, "", 0, 5.16, 0, 8},
	{"umt5_xxl_fp16.safetensors", nodes.TextEncoders, "", 0, 11.4, 0, 16},
	{"umt5_xxl_fp8_e4m3fn_scaled.safetensors", nodes.TextEncoders, "", 0, 6.74, 0, 8},
	{"clip_l.safetensors", nodes.TextEncoders, "", 0, 0.246, 0, 16},
	{"clip_g.safetensors", nodes.TextEncoders, "", 0, 1.39, 0, 16},
	{"llava_llama3_fp8_scaled.safetensors", nodes.TextEncoders, "", 0, 9.09, 0, 8},
	{"llava_llama3_fp16.safetensors", nodes.TextEncoders, "", 0, 16.1, 0, 16},
	{"qwen_3_4b.safetensors", nodes.TextEncoders, "", 0, 8.04, 0, 16},                // 4.02 × 10^9 parameters (its model card)
	{"qwen_2.5_vl_7b_fp8_scaled.safetensors", nodes.TextEncoders, "", 0, 9.38, 0, 8}, // 8.3 × 10^9 parameters, some of 16 bits

	{"ae.safetensors", nodes.VAEs, "", 0, 0, 0.335, 32},
	{"sdxl_vae.safetensors", nodes.VAEs, "", 0, 0, 0.335, 32},
	{"sdxl-vae-fp16-fix.safetensors", nodes.VAEs, "", 0, 0, 0.167, 16},
	{"vae-ft-mse-840000-ema-pruned.safetensors", nodes.VAEs, "", 0, 0, 0.335, 32},
	{"qwen_image_vae.safetensors", nodes.VAEs, "", 0, 0, 0.254, 16},
	{"wan_2.1_vae.safetensors", nodes.VAEs, "", 0, 0, 0.254, 16},
	{"hunyuan_video_vae_bf16.safetensors", nodes.VAEs, "", 0, 0, 0.493, 16},
}

// find gives what is known of a file. Folders and capitals do not count. If the name is not in the table, a family that it names says the size, by
// its parameters and the precision in the name; sure is false then. It is nil if nothing is known.
func find(kind, name string) (f *file, sure bool) {
	base := strings.ToLower(name[strings.LastIndexAny(name, `/\`)+1:])
	for i := range files {
		if files[i].kind == kind && files[i].name == base {
			return &files[i], true
		}
	}
	if kind != nodes.Checkpoints && kind != nodes.DiffusionModels {
		return nil, false
	}
	for i := range families {
		fam := &families[i]
		for _, part := range fam.parts {
			if strings.Contains(base, part) {
				return fam.guess(kind, base), false
			}
		}
	}
	return nil, false
}

// guess makes up a file of a family from the precision in its name.
func (fam *family) guess(kind, base string) *file {
	bits := bitsOf(base)
	f := &file{name: base, kind: kind, family: fam.name, model: fam.params * bits / 8, bits: bits}
	if kind == nodes.Checkpoints && fam.extra > 0 {
		f.text, f.vae = (fam.extra-0.084)*bits/8, 0.084*bits/8
	}
	return f
}

// precisions are the marks of a precision in a file's name, with the bits of a weight; blocks of GGUF files carry a scale each.
var precisions = []struct {
	mark string
	bits float64
}{
	{"fp32", 32}, {"f32", 32}, {"nvfp4", 4.5}, {"fp4", 4.5}, {"nf4", 4.5}, {"fp8", 8}, {"e4m3", 8}, {"e5m2", 8}, {"int8", 8},
	{"q8_0", 8.5}, {"q6_k", 6.6}, {"q5_", 5.5}, {"q4_", 4.5}, {"q3_", 3.5}, {"q2_", 2.7},
}

// bitsOf reads the precision in a name; 16 where none is named.
func bitsOf(base string) float64 {
	for _, p := range precisions {
		if strings.Contains(base, p.mark) {
			return p.bits
		}
	}
	return 16
}

// loaded gives stored bytes as they lie on the GPU: files of 32 bits are run in 16.
func (f *file) loaded(stored float64) float64 {
	if f.bits == 32 {
		stored /= 2
	}
	return stored * 1e9
}
