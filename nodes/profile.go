package nodes

import (
	"slices"
	"strings"
)

// Which model files a worker has cannot be asked for over a serverless API, so it is told from the image's name: the
// flavours of RunPod's worker are published with their files. All other images get theirs from a volume, and nothing
// is said about them.

// The kinds of models, which are also the folders in which ComfyUI keeps them, below models/.
const (
	Checkpoints      = "checkpoints"
	DiffusionModels  = "diffusion_models"
	TextEncoders     = "text_encoders"
	VAEs             = "vae"
	LoRAs            = "loras"
	ControlNets      = "controlnet"
	UpscaleModels    = "upscale_models"
	CLIPVision       = "clip_vision"
	StyleModels      = "style_models"
	Hypernetworks    = "hypernetworks"
	GLIGEN           = "gligen"
	Diffusers        = "diffusers"
	PhotoMaker       = "photomaker"
	ModelPatches     = "model_patches"
	AudioEncoders    = "audio_encoders"
	LatentUpscalers  = "latent_upscale_models"
	BackgroundModels = "background_removal"
)

// modelInputs names the inputs that take a model's file name, and the folder in which it is looked for.
var modelInputs = map[string]string{
	"ckpt_name":             Checkpoints,
	"unet_name":             DiffusionModels,
	"clip_name":             TextEncoders,
	"clip_name1":            TextEncoders,
	"clip_name2":            TextEncoders,
	"clip_name3":            TextEncoders,
	"clip_name4":            TextEncoders,
	"text_encoder":          TextEncoders,
	"vae_name":              VAEs,
	"lora_name":             LoRAs,
	"control_net_name":      ControlNets,
	"style_model_name":      StyleModels,
	"gligen_name":           GLIGEN,
	"hypernetwork_name":     Hypernetworks,
	"photomaker_model_name": PhotoMaker,
	"model_path":            Diffusers,
	"audio_encoder_name":    AudioEncoders,
	"bg_removal_name":       BackgroundModels,
}

// modelInputsOf overrides modelInputs for classes whose input has a general name.
var modelInputsOf = map[string]string{
	"CLIPVisionLoader.clip_name":          CLIPVision,
	"UpscaleModelLoader.model_name":       UpscaleModels,
	"LatentUpscaleModelLoader.model_name": LatentUpscalers,
	"ModelPatchLoader.name":               ModelPatches,
}

// ModelKind tells which kind of model an input of a class names; "" if it names none, or one that no profile lists.
func ModelKind(class, input string) string {
	if kind, ok := modelInputsOf[class+"."+input]; ok {
		return kind
	}
	return modelInputs[input]
}

// Profile is what is known of a worker image.
type Profile struct {
	Image string // as asked for
	// Form is the language of its input and output: worker-comfyui (5.0.0 and newer), worker-comfyui-4 (older), or novita (output_node_id).
	Form string
	// Models lists the model files by kind; nil if the image's tag does not tell them.
	Models map[string][]string
	// ImagesOnly says that files which are no pictures, and pictures that were only previewed, are dropped.
	ImagesOnly bool
}

// The forms of worker images.
const (
	FormWorkerComfyUI    = "worker-comfyui"
	FormWorkerComfyUIOld = "worker-comfyui-4"
	FormNovita           = "novita"
)

// fluxFiles are the files that the two FLUX.1 flavours share: everything but the diffusion model itself.
var fluxFiles = map[string][]string{
	VAEs:         {"ae.safetensors"},
	TextEncoders: {"clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"},
}

// workerModels lists what each flavour of runpod/worker-comfyui holds, by the end of its tag.
var workerModels = map[string]map[string][]string{
	"base":          {},
	"flux1-dev":     {DiffusionModels: {"flux1-dev.safetensors"}, VAEs: fluxFiles[VAEs], TextEncoders: fluxFiles[TextEncoders]},
	"flux1-dev-fp8": {Checkpoints: {"flux1-dev-fp8.safetensors"}},
	"flux1-schnell": {DiffusionModels: {"flux1-schnell.safetensors"}, VAEs: fluxFiles[VAEs], TextEncoders: fluxFiles[TextEncoders]},
	"sdxl":          {Checkpoints: {"sd_xl_base_1.0.safetensors"}, VAEs: {"sdxl_vae.safetensors", "sdxl-vae-fp16-fix.safetensors"}},
	"sd3":           {Checkpoints: {"sd3_medium_incl_clips_t5xxlfp8.safetensors"}},
}

// ProfileOf gives what is known of a worker image such as "runpod/worker-comfyui:5.5.0-flux1-dev"; false for an image that nothing is known of.
func ProfileOf(image string) (Profile, bool) {
	name, tag, _ := strings.Cut(strings.TrimPrefix(image, "docker.io/"), ":")
	switch name {
	// Both names are taken for the same worker. Its tags are VERSION-FLAVOUR; a flavour that is not in the table has
	// Models nil.
	case "runpod/worker-comfyui", "timpietruskyblibla/runpod-worker-comfy":
		version, flavour, _ := strings.Cut(tag, "-")
		p := Profile{Image: image, Form: FormWorkerComfyUI, Models: workerModels[flavour], ImagesOnly: true}
		if isBelow5(version) {
			p.Form = FormWorkerComfyUIOld
		}
		return p, true
	case "novitalabs/comfyui-worker":
		return Profile{Image: image, Form: FormNovita, ImagesOnly: true}, true
	}
	return Profile{}, false
}

// isBelow5 reads the first number of a version such as 5.5.0 or v4.1; what is no number ("latest", "") is taken as
// new. Below 5.0.0 a worker answers {"message": base64 or URL, "status"} instead of a list of images.
func isBelow5(version string) bool {
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	return len(major) == 1 && major >= "0" && major < "5"
}

// Lacks tells that the image is known not to hold a model. Names are compared whole, folders included. It is false where nothing can be
// said: for a kind that is "", for what needs no file, and for images of unknown or no models, which get theirs from a volume.
func (p Profile) Lacks(kind, name string) bool {
	if len(p.Models) == 0 || kind == "" || slices.Contains(notFiles, name) {
		return false
	}
	return !slices.Contains(p.Models[kind], name)
}
