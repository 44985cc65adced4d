package sweep

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// loraEntries reads {lora: [names], strength: [numbers]}: every name with every strength, the strengths
// walking faster. Without strengths the workflow's own stay. {lora: [a, b], strength: "0.5-1 (+0.5)"} is
// a:0.5, a:1, b:0.5, b:1. A value becomes an object {lora, strength}, which sets the name and, where the
// loader has them, both strength_model and strength_clip.
func (b *builder) loraEntries(name string, v *source.Value, kind Kind) []entry {
	strengths := []entry{{}} // one strength that sets nothing
	if s := v.Get("strength"); s != nil {
		if strengths, _ = b.entries(name, s, Float); len(strengths) == 0 {
			return nil
		}
	}
	loras, _ := b.entries(name, v.Get("lora"), Any)
	if len(loras)*len(strengths) > MaxValues {
		b.errorf("too_many_values", diag.Of(v), "axis %q has more than %d values", name, MaxValues)
		return nil
	}
	var out []entry
	for _, l := range loras {
		if l.value.Kind != source.String {
			b.errorf("bad_axis", diag.Of(l.value), "axis %q: lora is a list of file names", name)
			return nil
		}
		for _, s := range strengths {
			out = append(out, loraEntry(l, s))
		}
	}
	return out
}

// loraEntry joins a name and a strength; the label is "name:0.8" without folder and extension, unless the
// name has a label of its own.
func loraEntry(lora, strength entry) entry {
	pair := source.NewObject(source.Member{Key: "lora", Value: lora.value})
	label := lora.label
	if !lora.made {
		label = label[strings.LastIndexAny(label, `/\`)+1:] // workers on Windows list their models with backslashes
		label = strings.TrimSuffix(label, ".safetensors")
	}
	if strength.value != nil {
		pair.Members = append(pair.Members, source.Member{Key: "strength", Value: strength.value})
		label += ":" + strength.label
	}
	return entry{value: pair.At(lora.value), label: label, made: true}
}
