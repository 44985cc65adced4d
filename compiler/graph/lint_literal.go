package graph

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// linkTypes are the types whose values only another node can make, of ComfyUI's own nodes. Types of custom
// nodes are left out: their widgets may take literals.
var linkTypes = map[string]bool{
	"MODEL": true, "CLIP": true, "VAE": true, "CONDITIONING": true, "LATENT": true, "IMAGE": true, "MASK": true, "AUDIO": true, "VIDEO": true,
	"CONTROL_NET": true, "CLIP_VISION": true, "CLIP_VISION_OUTPUT": true, "STYLE_MODEL": true, "GLIGEN": true, "UPSCALE_MODEL": true,
	"LATENT_UPSCALE_MODEL": true, "SAMPLER": true, "SIGMAS": true, "GUIDER": true, "NOISE": true, "HOOKS": true, "HOOK_KEYFRAMES": true,
	"PHOTOMAKER": true, "MODEL_PATCH": true, "MESH": true, "VOXEL": true, "AUDIO_ENCODER": true, "AUDIO_ENCODER_OUTPUT": true,
	"LATENT_OPERATION": true, "TIMESTEPS_RANGE": true, "LORA_MODEL": true, "LOSS_MAP": true, "SVG": true,
}

// lintLiteral finds a literal on an input that only a link can feed. The server accepts it, and the node fails when it runs.
func lintLiteral(l *linter, n *Node) {
	for i := range n.Inputs {
		in := &n.Inputs[i]
		if in.Def == nil || in.Value.Kind == source.Array || !isLinkType(in.Def.Type) {
			continue
		}
		if in.Value.Kind == source.Null && in.Def.Group != nodes.Required {
			continue // None, as if it were not given
		}
		l.warn("literal_on_link", diag.Of(in.Value), n, in.Name, `write a link: ["node id", slot]`,
			"%s takes %s, which only another node can give, not %s", n.of(in.Name), in.Def.Type, show(in.Value))
	}
}

// isLinkType tells whether all types of a comma list are made by nodes only.
func isLinkType(kind string) bool {
	for part := range strings.SplitSeq(kind, ",") {
		if !linkTypes[strings.TrimSpace(part)] {
			return false
		}
	}
	return true
}
