package emulator

import (
	"encoding/json"
	"slices"

	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// comfyVersion is the server whose recorded answers the native dialect follows.
const comfyVersion = "0.26.0"

// systemStats has the recorded answer's form; memory sizes are invented.
func (c *call) systemStats() *Response {
	gpu := c.ep.GPU
	if gpu == "" {
		gpu = "emulated"
	}
	return native(200, map[string]any{
		"system": map[string]any{"os": "linux", "ram_total": 64 << 30, "ram_free": 48 << 30, "comfyui_version": comfyVersion,
			"python_version": "3.11.7", "pytorch_version": "2.15.0", "embedded_python": false, "argv": []string{"main.py"}},
		"devices": []any{map[string]any{"name": gpu, "type": "cuda", "index": 0, "vram_total": 24 << 30, "vram_free": 22 << 30,
			"torch_vram_total": 0, "torch_vram_free": 0}},
	})
}

func (c *call) features() *Response { return native(200, featureFlags) }

var featureFlags = map[string]any{"supports_preview_metadata": true, "max_upload_size": 100 << 20, "node_replacements": false, "assets": false}

var modelFolders = []string{"checkpoints", "clip_vision", "controlnet", "diffusion_models", "embeddings", "loras", "style_models", "text_encoders", "upscale_models", "vae"}

// modelList names the models of the configuration, whatever the folder.
func (c *call) modelList() *Response {
	if !slices.Contains(modelFolders, c.id) {
		return &Response{Status: 404}
	}
	names := c.ep.Models
	if names == nil {
		names = []string{}
	}
	return native(200, names)
}

// objectInfo gives the definitions of the classes that the worker runs, as far as the built-in catalogue knows them.
func (c *call) objectInfo() *Response {
	catalogue := nodes.BuiltIn()
	names := catalogue.Names()
	if c.id != "" {
		names = []string{c.id}
	}
	out := map[string]json.RawMessage{}
	for _, name := range names {
		class, ok := catalogue.Class(name)
		// An unknown class gives {} and 200, not 404.
		if !ok || worker.Supports(name) == worker.None {
			continue
		}
		// Models nil: every name exists.
		stocked := class.Stocked(func(*nodes.Input) ([]string, bool) { return c.ep.Models, c.ep.Models != nil })
		out[name] = raw(stocked.ObjectInfo())
	}
	return native(200, out)
}
