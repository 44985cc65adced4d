package native

import (
	"encoding/json"
	"runtime"
	"slices"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler/source"
)

// objectInfo is GET /object_info[/{class}]: the snapshot that the service was given, else what the built-in catalogue knows, with the models
// of the pool in its lists. Where an endpoint of the pool may have any model, the input has no list, so that clients take what the graph names.
// The answer of each class is written once and kept.
func (f *Face) objectInfo(c *web.Call) {
	class := c.Param("class")
	text, ok := f.info.Load(class)
	if !ok {
		var err error
		if text, err = f.describe(class); err != nil {
			c.Failed(err)
			return
		}
		if class == "" || f.Catalogue.Has(class) { // bounded by what there is
			f.info.Store(class, text)
		}
	}
	c.Text(200, web.JSON, text.([]byte))
}

// describe writes the definitions; a class that is not known gives {}, as a real server does.
// It parses the whole snapshot for one class, which is why the result is kept.
func (f *Face) describe(class string) ([]byte, error) {
	if f.ObjectInfo == nil {
		names := f.Catalogue.Names()
		if class != "" {
			names = []string{class}
		}
		out := source.NewObject()
		for _, name := range names {
			if c, ok := f.Catalogue.Class(name); ok {
				out.Members = append(out.Members, source.Member{Key: name, Value: f.stock().stocked(c).ObjectInfo()})
			}
		}
		return out.AppendJSON(nil), nil
	}
	if class == "" {
		return f.ObjectInfo, nil
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(f.ObjectInfo, &all); err != nil {
		return nil, err
	}
	one := map[string]json.RawMessage{}
	if raw := all[class]; raw != nil {
		one[class] = raw
	}
	return json.Marshal(one)
}

// stock is what the pool's endpoints have, read once.
func (f *Face) stock() stock {
	f.stocked.Do(func() {
		f.models = newStock(f.Queue.EndpointsOf(f.Pool))
	})
	return f.models
}

// The folders that clients ask for.
var folders = []string{"checkpoints", "clip_vision", "controlnet", "diffusion_models", "embeddings", "loras", "style_models", "text_encoders", "upscale_models", "vae"}

// modelsOf is GET /models/{folder}: the names that are known; an endpoint may have others.
// An endpoint's own list does not say which kind its models are, so it stands in every folder.
func (f *Face) modelsOf(c *web.Call) {
	folder := c.Param("folder")
	if !slices.Contains(folders, folder) {
		c.SetStatusCode(404)
		return
	}
	names, _ := f.stock().names("", "", folder)
	c.JSON(200, append([]string{}, names...))
}

// systemStats is GET /system_stats: the endpoints of the pool as its devices, with the GPU and memory that the configuration tells.
// 0 stands for what is not known: free memory, the memory of GPUs that nobody has named, and that of machines of which there is no one.
// "comfyc" is what a real server has not: how many prompts the pool runs at one time, and how busy it is.
func (f *Face) systemStats(c *web.Call) {
	devices := []any{}
	for _, e := range f.Queue.EndpointsOf(f.Pool) {
		name := e.GPU
		if name == "" {
			name = e.Name
		}
		devices = append(devices, map[string]any{"name": name, "type": "remote", "index": len(devices), "vram_total": int64(e.VRAM * (1 << 30)), "vram_free": 0,
			"torch_vram_total": 0, "torch_vram_free": 0, "endpoint": e.Name})
	}
	h := f.Queue.Health(f.Pool, c.Key.ID, c.Key.May(keys.Admin))
	c.JSON(200, map[string]any{"system": map[string]any{"os": runtime.GOOS, "ram_total": 0, "ram_free": 0, "comfyui_version": version, "python_version": "",
		"pytorch_version": "", "embedded_python": false, "argv": []string{"comfyc", "serve"}}, "devices": devices,
		"comfyc": map[string]any{"pool": f.Pool, "places": h.Places, "busy": h.Busy, "waiting": h.Waiting, "running": h.Running}})
}
