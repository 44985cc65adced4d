package compiler

import (
	"regexp"
	"strings"
)

// GPU is what is known of a GPU. Prices and speeds are published figures with a date; a configuration
// overrides them. A GPU that is not in the list can be used all the same, with vram_gb and price written
// out.
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

// variant is what may follow the name of an H100: its form, memory and kind of memory, as nvidia-smi and
// the platforms write them.
var variant = regexp.MustCompile(`^(sxm5?|pcie|nvl|80gb|94gb|96gb|hbm2e|hbm3)*$`)

// FindGPU finds a GPU by its name; capital letters, blanks, hyphens and the vendor's name do not count
// ("NVIDIA RTX 4090", "NVIDIA H100 80GB HBM3"). A 4090 is told exactly, as "4090 D" is another card.
func FindGPU(name string) (GPU, bool) {
	key := strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
	key = strings.TrimPrefix(strings.TrimPrefix(key, "nvidia"), "geforce")
	for _, g := range GPUs {
		rest, is := strings.CutPrefix(key, g.Name)
		if key == strings.TrimPrefix(g.Name, "rtx") || is && (rest == "" || g.Name == "h100" && variant.MatchString(rest)) {
			return g, true
		}
	}
	return GPU{}, false
}
