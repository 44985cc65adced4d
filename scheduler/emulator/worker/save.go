package worker

import (
	"encoding/json"
	"errors"
	"sort"
	"strings"
)

// Nodes that write files. They keep them in Result.Files; nothing touches a
// disk. Like ComfyUI's, they are output nodes, and the first ones pass their
// pictures on.

// saveImage writes PNG files into the output folder and passes the pictures on.
func saveImage(a *args) ([]value, error) {
	t, prefix := a.picture("images"), a.textOr("filename_prefix", "ComfyUI")
	if a.err != nil {
		return nil, a.err
	}
	return []value{picture{t}}, a.save(t, "output", prefix, "_.png", 8)
}

// previewImage writes PNG files into the temporary folder.
func previewImage(a *args) ([]value, error) {
	t := a.picture("images")
	if a.err != nil {
		return nil, a.err
	}
	return []value{picture{t}}, a.save(t, "temp", tempPrefix(a.node.id), "_.png", 8)
}

// maskPreview writes a mask as grey pictures into the temporary folder.
func maskPreview(a *args) ([]value, error) {
	out, err := maskToImage(a)
	if err != nil {
		return nil, err
	}
	t := keepMarks(out[0].(picture).tensor, a.mask("mask"))
	return []value{a.in["mask"]}, a.save(t, "temp", tempPrefix(a.node.id), "_.png", 8)
}

// imageCompare writes both sides into the temporary folder.
func imageCompare(a *args) ([]value, error) {
	for _, side := range []string{"a", "b"} {
		if !a.has("image_" + side) {
			continue
		}
		t := a.picture("image_" + side)
		if a.err != nil {
			return nil, a.err
		}
		prefix := "comfy.compare." + side + strings.TrimPrefix(tempPrefix(a.node.id), "ComfyUI")
		if err := a.save(t, "temp", prefix, "_.png", 8); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// saveImageAdvanced writes PNG files of 8 or 16 bits; EXR is not possible here.
func saveImageAdvanced(a *args) ([]value, error) {
	t, prefix := a.picture("images"), a.textOr("filename_prefix", "ComfyUI")
	format, depth := a.text("format"), a.textOr("format.bit_depth", "8-bit")
	if a.err == nil && format != "png" {
		a.err = errors.New("preview cannot write " + format + " files")
	}
	// FFmpeg writes these files, from RGB or RGBA only.
	if a.err == nil && t.c < 3 {
		a.err = errors.New("pictures of 3 or 4 channels can be saved, not " + t.shape())
	}
	if a.err != nil {
		return nil, a.err
	}
	bits := 8
	if depth == "16-bit" {
		bits = 16
	}
	return []value{picture{t}}, a.save(t, "output", prefix, ".png", bits)
}

// save writes every picture of a batch.
func (a *args) save(t *tensor, kind, prefix, ending string, depth int) error {
	// Pillow, through which ComfyUI saves, takes no array of one channel in the
	// third dimension; two are grey and alpha to it.
	if t.c == 1 || t.c > 4 {
		return errors.New("pictures of 2 to 4 channels can be saved, not " + t.shape())
	}
	p, err := a.env.placeFor(kind, prefix, t.w, t.h)
	if err != nil {
		return err
	}
	notes := a.env.notes(t.drawn)
	for i := range t.n {
		data, err := encodePNG(samplesOf(t.one(i), depth), t.w, t.h, t.c, depth, notes)
		if err != nil {
			return err
		}
		a.env.add(p, a.node.id, i, ending, data)
	}
	return nil
}

// samplesOf gives a picture's samples as bytes, truncated to the depth.
func samplesOf(pix []float32, depth int) []byte {
	if depth == 8 {
		return bytesOf(pix)
	}
	out := make([]byte, 2*len(pix))
	for i, v := range pix {
		s := uint16(min(max(v*65535, 0), 65535))
		out[2*i], out[2*i+1] = byte(s>>8), byte(s)
	}
	return out
}

// notes are the text chunks of a saved file: the prompt and the extra keys as
// ComfyUI writes them, and what the pixels stand in for.
func (e *env) notes(drawn string) []text {
	var out []text
	if !e.opt.NoMetadata {
		out = append(out, text{"prompt", dump(e.prompt)})
		keys := make([]string, 0, len(e.opt.Extra))
		for k := range e.opt.Extra {
			keys = append(keys, k)
		}
		// Go's maps have no order; ComfyUI writes the order of the request.
		sort.Strings(keys)
		for _, k := range keys {
			out = append(out, text{k, dump(e.opt.Extra[k])})
		}
	}
	if drawn != "" {
		// Also without metadata: nobody may take the picture for a render.
		out = append(out, text{"comfyc_preview", "PREVIEW " + drawn})
	}
	return out
}

// dump writes JSON in the form of Python's json.dumps: one line, a space after
// commas and colons, only ASCII. What is no JSON is kept as it is.
func dump(data json.RawMessage) string {
	out, ok := pythonJSON(data)
	if !ok {
		return string(data)
	}
	return out
}
