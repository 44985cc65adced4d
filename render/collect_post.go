package render

import (
	"os"
	"strings"

	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// process makes the variants of a picture, whose record tells of the file below
// originals/, and gives the records of what came out, in the order of the recipe. A
// variant whose steps do not fit the picture is left out; if none is left, the original
// is shown. The original is removed, if that was asked for, when all variants are safe.
func (c *Collector) process(original scheduler.FileRecord, got *received, name string, p place, recipe post.Recipe) ([]scheduler.FileRecord, error) {
	info := FileInfo{Node: p.owed.Node, Batch: p.batch, Width: got.pixels.X, Height: got.pixels.Y}
	source := post.Source{Img: got.img, Meta: got.meta, Lookup: func(token string) (string, bool) {
		if c.Token == nil {
			return "", false
		}
		return c.Token(p.owed.Render, info, token)
	}}
	var out []scheduler.FileRecord
	var trouble []string
	for _, v := range recipe.Variants {
		rec, problem, err := c.variant(original, source, v, c.variantName(p, v, name))
		switch {
		case err != nil:
			return nil, err
		case problem != "":
			trouble = append(trouble, problem)
		default:
			out = append(out, rec)
		}
	}
	if len(out) == 0 {
		original.Note = note(original.Note, trouble...)
		err := c.thumb(&original, got.img, name)
		return []scheduler.FileRecord{original}, err
	}
	out[0].Note = note(out[0].Note, trouble...)
	// A picture of which a variant is missing keeps its original, so that it can be made later.
	if recipe.DropOriginals && len(trouble) == 0 {
		if err := os.Remove(c.path(original.Path)); err != nil {
			return nil, err
		}
		for i := range out {
			out[i].Original = ""
		}
	}
	return out, nil
}

// variantName is the path of a variant below images/, without its extension.
func (c *Collector) variantName(p place, v post.Variant, name string) string {
	if v.Name == "" {
		return name
	}
	return c.claim(p.owed.Render, v.Name+"/"+name)
}

// variant writes one variant and its thumbnail. What is wrong with the picture is told in
// words, err is for this machine.
func (c *Collector) variant(original scheduler.FileRecord, source post.Source, v post.Variant, name string) (rec scheduler.FileRecord, problem string, err error) {
	failed := "not post-processed: "
	if v.Name != "" {
		failed = "variant " + v.Name + " was not made: "
	}
	pic, err := source.Run(v.Steps)
	if err != nil {
		return rec, failed + err.Error(), nil
	}
	// What is not set anew here (node, title, preview mark, metadata) is said of the picture as it came.
	rec = original
	rec.Original, rec.Variant, rec.Path = original.Path, v.Name, ImagesDir+"/"+name+pic.Format.Ext()
	rec.SHA256, rec.Bytes, err = writeHashed(c.path(rec.Path), pic.Encode)
	if err != nil {
		return rec, failed + err.Error(), diskTrouble(err)
	}
	rec.Type, rec.Width, rec.Height = pic.Format.MIME(), pic.Pix.Rect.Dx(), pic.Pix.Rect.Dy()
	rec.Note = note(rec.Note, pic.Notes...)
	return rec, "", c.thumb(&rec, pic.Pix, name)
}

// note joins notes to one line. first may be "".
func note(first string, more ...string) string {
	if first != "" {
		more = append([]string{first}, more...)
	}
	return strings.Join(more, "; ")
}
