// Sizes and numbers of pictures, foretold where that is safe. The scheduler waits for as many files as a
// job owes, so a number that is too high would hold a finished job back; one that is too low costs
// nothing.

package compiler

import "slices"

// shape is what is known of the pictures of an output before they are rendered.
type shape struct {
	images        int // at least; 1 if it is not known
	width, height int // pixels, 0 if not known
}

// makers make pictures or latents of a size that their inputs say.
var makers = []string{
	"EmptyLatentImage", "EmptySD3LatentImage", "EmptyImage", "EmptyFlux2LatentImage", "EmptyHunyuanImageLatent", "EmptyChromaRadianceLatentImage",
}

// keepers hand pictures or latents on with their number and size; the input is where they come from.
var keepers = map[string]string{
	"KSampler": "latent_image", "KSamplerAdvanced": "latent_image", "SamplerCustom": "latent_image", "SamplerCustomAdvanced": "latent_image",
	"VAEDecode": "samples", "VAEDecodeTiled": "samples", "ImageInvert": "image", "ImageSharpen": "image", "ImageBlur": "image",
	"ImageQuantize": "image", "SaveImage": "images", "PreviewImage": "images",
}

// scalers keep the number of pictures and change their size.
var scalers = map[string]string{"ImageScale": "image", "ImageScaleBy": "image", "ImageCrop": "image"}

// shape walks back from an output to where its pictures are made. It knows a few classes well and gives
// up at any other: an owed picture that never comes would be waited for. The walk is bounded, as a graph
// that is not checked yet may have cycles.
func (f *form) shape(node int, at []int) shape {
	s := shape{images: 1}
	sized := true // no class on the way has changed the size
	for range 100 {
		n := &f.graph.Nodes[node]
		input, keeps := keepers[n.Class]
		if !keeps {
			input = scalers[n.Class]
		}
		if slices.Contains(makers, n.Class) {
			s.images = max(1, f.number(node, "batch_size", at))
			if sized {
				s.width, s.height = f.number(node, "width", at), f.number(node, "height", at)
			}
			return s
		}
		k := n.Input(input)
		if input == "" && f.outputOf(node) != nil {
			k = n.Input("images")
		}
		if k < 0 || !n.Inputs[k].Linked() {
			return s
		}
		if sized && !keeps && (n.Class == "ImageScale" || n.Class == "ImageCrop") {
			s.width, s.height = f.number(node, "width", at), f.number(node, "height", at)
		}
		sized = sized && (keeps || f.outputOf(node) != nil)
		node = n.Inputs[k].From
	}
	return s
}

// number reads an integer of a node, 0 if it is none.
func (f *form) number(node int, input string, at []int) int {
	k := f.graph.Nodes[node].Input(input)
	if k < 0 {
		return 0
	}
	n, _ := f.input(node, k, at).Int()
	return n
}
