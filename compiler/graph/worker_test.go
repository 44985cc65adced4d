package graph

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

const fluxPrompt = `{"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"}},
 "2": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
 "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
 "3": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["2", 0]}},
 "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "a"}},
 "6": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
 "7": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}`

func TestCheckWorker(t *testing.T) {
	g, v := Build(parse(t, "flux.json", fluxPrompt), nodes.BuiltIn(), Options{})
	if !v.Valid {
		t.Fatal(v.Findings)
	}
	profile := func(image string) nodes.Profile { p, _ := nodes.ProfileOf(image); return p }
	snapshot, _ := nodes.LoadFile(source.NewFile("s.json", []byte(`{"VAELoader": {"input": {"required": {"vae_name": [["ae2.safetensors"]]}}, "output": ["VAE"]},
	 "VAEDecode": {"input": {}}, "SaveImage": {"input": {}}, "EmptyLatentImage": {"input": {}}, "PreviewImage": {"input": {}}, "PreviewAny": {"input": {}}}`)))
	for _, tc := range []struct {
		name   string
		worker Worker
		want   string
	}{
		{"nothing known", Worker{}, ""},
		{"it has all", Worker{Profile: profile("runpod/worker-comfyui:5.5.0-flux1-dev")}, "warning dropped_output 6, warning dropped_output 7"},
		{"another model", Worker{Profile: profile("runpod/worker-comfyui:5.5.0-flux1-schnell")},
			"error missing_model 1, warning dropped_output 6, warning dropped_output 7"},
		{"its own list", Worker{Models: []string{"ae.safetensors"}}, "error missing_model 1"},
		{"an alias", Worker{Models: []string{"ae.safetensors", "flux/dev.safetensors"}, Aliases: map[string]string{"flux1-dev.safetensors": "flux/dev.safetensors"}}, ""},
		{"a snapshot", Worker{Classes: snapshot}, "error missing_model 2, error missing_node_type 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.worker.Endpoint = "mine"
			var got []string
			for _, d := range CheckWorker(g, tc.worker) {
				got = append(got, d.Severity.String()+" "+d.Code+" "+d.Node)
			}
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got %s", strings.Join(got, ", "))
			}
		})
	}
}

// TestNothingComesBack holds that a graph of which the worker drops all outputs cannot run there.
func TestNothingComesBack(t *testing.T) {
	g, _ := Build(parse(t, "p.json", `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
	 "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}`), nodes.BuiltIn(), Options{})
	p, _ := nodes.ProfileOf("runpod/worker-comfyui:5.5.0-base")
	got := CheckWorker(g, Worker{Endpoint: "mine", Profile: p})
	if len(got) != 1 || got[0].Severity != diag.Error || got[0].Hint != "replace PreviewImage by SaveImage" {
		t.Errorf("got %+v", got)
	}
}
