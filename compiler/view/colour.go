package view

import (
	"fmt"
	"hash/fnv"
)

// typeColours are those of ComfyUI's links, made dark enough for white paper.
var typeColours = map[string]string{
	"MODEL": "#7c5ccc", "CLIP": "#b78a00", "VAE": "#d64545", "CONDITIONING": "#d97a1e", "LATENT": "#cc3fae", "IMAGE": "#2f80d0", "MASK": "#3c9a55",
	"CONTROL_NET": "#2a9d8f", "CLIP_VISION": "#5b8c85", "CLIP_VISION_OUTPUT": "#8c6d5b", "STYLE_MODEL": "#7fa321", "SIGMAS": "#5f9e6e", "SAMPLER": "#8f8f3f",
	"GUIDER": "#3aa0a0", "NOISE": "#7a7a7a", "AUDIO": "#b0563c", "VIDEO": "#4a6fa5", "INT": "#3f6c8f", "FLOAT": "#4d8c4a", "STRING": "#5d7f5d", "BOOLEAN": "#8a6f9e",
	"UPSCALE_MODEL": "#6f7fb5", "*": "#8a94a3",
}

// hues colour the other types, chosen by the hash of the type's name: a custom type has the same colour in
// every drawing.
var hues = []string{"#9a5fb4", "#c2634f", "#4f8fc2", "#6f9a3c", "#c2984f", "#4fa89a", "#b45f86", "#6a6fc4", "#8a7a52", "#5a8f6a"}

// colourOf gives the colour of what flows through a link as #rrggbb.
func colourOf(kind string) string {
	if c, ok := typeColours[kind]; ok {
		return c
	}
	h := fnv.New32a()
	h.Write([]byte(kind))
	return hues[h.Sum32()%uint32(len(hues))]
}

// tint mixes a colour with white; part is how much of the colour stays, 0 to 1.
func tint(colour string, part float64) string {
	var r, g, b int
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &r, &g, &b); err != nil {
		return "#ffffff"
	}
	mix := func(c int) int { return 255 - int(float64(255-c)*part+0.5) }
	return fmt.Sprintf("#%02x%02x%02x", mix(r), mix(g), mix(b))
}

// accent is the colour of a node: that of its first output; output nodes, which are where pictures leave,
// have one of their own, and nodes with an error are red.
func (n *Node) accent() string {
	switch {
	case n.Mark == Bad:
		return "#d32f2f"
	case n.Output && len(n.outs) == 0:
		return "#1f7a5a"
	case len(n.Slots) > 0:
		return colourOf(n.Slots[0].Type)
	}
	return "#8a94a3"
}
