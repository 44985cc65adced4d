package compiler

import "strings"

// GPU is what is known of a GPU. Prices and speeds are published figures with a date; a configuration overrides them.
type GPU struct {
	Name string
	VRAM float64 // GB
	// RunPodUSD is RunPod's flex price per second, 0 if it is not known; PriceAsOf is its date.
	RunPodUSD float64
	PriceAsOf string
}

// GPUs lists the GPUs that are known.
var GPUs = []GPU{
	{"rtx4090", 24, 0.00031, "2026-08"},
	{"h100", 80, 0.00116, "2026-08"},
}

// FindGPU finds a GPU by its name; capital letters, blanks, hyphens and the vendor's name do not count ("NVIDIA RTX 4090", "H100 SXM").
func FindGPU(name string) (GPU, bool) {
	key := strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
	key = strings.TrimPrefix(strings.TrimPrefix(key, "nvidia"), "geforce")
	for _, g := range GPUs {
		if key == g.Name || key == strings.TrimPrefix(g.Name, "rtx") || strings.HasPrefix(key, g.Name) && len(key) <= len(g.Name)+5 && g.Name == "h100" {
			return g, true
		}
	}
	return GPU{}, false
}
