package render

import (
	"bytes"
	"cmp"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

func recipe(t *testing.T, text string) post.Recipe {
	t.Helper()
	r, err := post.ParseRecipe([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// collectOne collects one picture with a collector.
func collectOne(t *testing.T, col *Collector, data []byte) []scheduler.FileRecord {
	t.Helper()
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{3}, Owed: []compiler.Owed{owed(3, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(data)}}})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	return got.Done[0].Files
}

// TestCollectVariants makes two variants twice, with the original kept and removed.
func TestCollectVariants(t *testing.T) {
	const variants = `"variants": {"web": [{"resize": {"width": 20}}, {"label": "seed %seed%"}, {"format": "jpeg"}], "square": [{"crop": "1:1"}, {"metadata": "strip"}]}`
	for _, c := range []struct {
		recipe   string
		original string
		files    []string
	}{
		{`{` + variants + `}`, "originals/fox/3.png",
			[]string{"images/square/fox/3.png", "images/web/fox/3.jpg", "originals/fox/3.png", "thumbs/square/fox/3.jpg", "thumbs/web/fox/3.jpg"}},
		{`{` + variants + `, "originals": "drop"}`, "",
			[]string{"images/square/fox/3.png", "images/web/fox/3.jpg", "thumbs/square/fox/3.jpg", "thumbs/web/fox/3.jpg"}},
	} {
		dir := t.TempDir()
		var seeds []int
		col := &Collector{Dir: dir, Name: numbered, Recipe: recipe(t, c.recipe), Token: func(render int, f FileInfo, token string) (string, bool) {
			seeds = append(seeds, f.Width)
			return "42", token == "seed" && render == 3
		}}
		files := collectOne(t, col, sent(t, 3))
		if again := collectOne(t, col, sent(t, 3)); len(again) != 2 || again[0].SHA256 != files[0].SHA256 || again[1].Path != files[1].Path {
			t.Errorf("collected again: %+v", again)
		}
		if got := tree(t, dir); !slices.Equal(got, c.files) {
			t.Errorf("files %v", got)
		}
		web, square := files[0], files[1]
		if web.Variant != "web" || web.Width != 20 || web.Height <= 15 || web.Type != "image/jpeg" || web.Thumb != "thumbs/web/fox/3.jpg" || web.Original != c.original {
			t.Errorf("%+v", web)
		}
		if square.Variant != "square" || square.Width != 30 || square.Height != 30 || square.Note != "" || square.Original != c.original {
			t.Errorf("%+v", square)
		}
		if !slices.Equal(seeds, []int{40, 40}) {
			t.Errorf("the token was asked for with the widths %v", seeds)
		}
		if got := readMeta(t, filepath.Join(dir, web.Path), web.Type).Text; len(got) != 1 || got[0] != (post.Text{Key: "prompt", Value: "{3}"}) {
			t.Errorf("the JPEG carries %v", got)
		}
		if got := readMeta(t, filepath.Join(dir, square.Path), square.Type).Text; len(got) != 0 {
			t.Errorf("stripped, it carries %v", got)
		}
	}
}

func readMeta(t *testing.T, path, mime string) post.Meta {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return post.ReadMeta(bytes.NewReader(data), mime)
}

// TestCollectVariantFails leaves out the variant that does not fit, and keeps the original.
func TestCollectVariantFails(t *testing.T) {
	dir := t.TempDir()
	col := &Collector{Dir: dir, Name: numbered, Recipe: recipe(t, `{"variants": {"far": [{"crop": {"x": 900, "width": 5, "height": 5}}], "text": [{"label": "%axis.none%"}], "ok": ["grayscale"]}, "originals": "drop"}`)}
	files := collectOne(t, col, sent(t, 3))
	if len(files) != 1 || files[0].Variant != "ok" || files[0].Original != "originals/fox/3.png" {
		t.Fatalf("%+v", files)
	}
	for _, want := range []string{"variant far was not made", "outside the picture", "there is no value for %axis.none%"} {
		if !strings.Contains(files[0].Note, want) {
			t.Errorf("note %q, want %q", files[0].Note, want)
		}
	}
	// After a restart neither the variant's nor the original's name is given away.
	col = &Collector{Dir: dir, Name: func(int, FileInfo) (string, error) { return "fox/3", nil }}
	col.Claim(8, files)
	if f := collectOne(t, col, sent(t, 4))[0]; f.Path != "images/fox/3-r3.png" {
		t.Errorf("the original's name was given to another render: %s", f.Path)
	}
}

// TestCollectDeep says what 16 bits and a colour profile lost.
func TestCollectDeep(t *testing.T) {
	var deep bytes.Buffer
	if err := png.Encode(&deep, image.NewNRGBA64(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	data := slices.Concat(deep.Bytes()[:33], []byte(pngChunk("iCCP", "x\x00\x00")), deep.Bytes()[33:])
	for steps, want := range map[string]string{
		`["grayscale"]`: "16-bit samples were cut to 8 bits; the colour profile (ICC) was not carried over",
		`[]`:            "",
	} {
		dir := t.TempDir()
		f := collectOne(t, &Collector{Dir: dir, Name: numbered, Recipe: recipe(t, steps)}, data)[0]
		if f.Note != want {
			t.Errorf("%s: note %q, want %q", steps, f.Note, want)
		}
		kept := cmp.Or(f.Original, f.Path)
		if saved, err := os.ReadFile(filepath.Join(dir, kept)); err != nil || !bytes.Equal(saved, data) {
			t.Errorf("%s: the original %s is changed: %v", steps, kept, err)
		}
	}
}

// TestCollectTurned honours EXIF's orientation in the record, the thumbnail and the steps.
func TestCollectTurned(t *testing.T) {
	var flat bytes.Buffer
	if err := jpeg.Encode(&flat, landscape(40, 20, 100, 1, 1), nil); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
	data := slices.Concat([]byte("\xff\xd8\xff\xe1\x00"), []byte{byte(len(exif) + 2)}, []byte(exif), flat.Bytes()[2:])
	for _, steps := range []string{`[]`, `[{"resize": {"percent": 50}}]`} {
		dir := t.TempDir()
		f := collectOne(t, &Collector{Dir: dir, Name: numbered, Recipe: recipe(t, steps)}, data)[0]
		if f.Height != 2*f.Width {
			t.Errorf("%s: %d×%d", steps, f.Width, f.Height)
		}
		thumb, err := os.Open(filepath.Join(dir, f.Thumb))
		if err != nil {
			t.Fatal(err)
		}
		c, err := jpeg.DecodeConfig(thumb)
		thumb.Close()
		if err != nil || c.Height != 2*c.Width {
			t.Errorf("%s: the thumbnail is %d×%d, %v", steps, c.Width, c.Height, err)
		}
	}
}

func TestTokenText(t *testing.T) {
	axes := []compiler.Axis{{Name: "style", Values: []compiler.AxisValue{{Label: "oil"}, {Label: "ink"}}}, {Name: "extra", Values: []compiler.AxisValue{{Label: "x"}}}}
	co := compiler.Coordinate{Index: 7, Values: []int{1, -1}}
	p := compiler.Params{Positive: "a fox", Negative: "text", Seed: "18446744073709551615", Settings: []compiler.Param{{Name: "cfg", Value: "3.5"}}}
	f := FileInfo{Node: "9", Batch: 2, Width: 512, Height: 256}
	for token, want := range map[string]string{
		"axis.style": "ink", "axis.extra": "none", "prompt": "a fox", "negative": "text", "seed": "18446744073709551615", "cfg": "3.5",
		"index": "7", "batch": "2", "node": "9", "width": "512", "height": "256",
	} {
		if got, ok := TokenText(axes, co, p, f, token); !ok || got != want {
			t.Errorf("%s: %q, %v; want %q", token, got, ok, want)
		}
	}
	for _, token := range []string{"axis.none", "steps", ""} {
		if got, ok := TokenText(axes, co, p, f, token); ok {
			t.Errorf("%q has the value %q", token, got)
		}
	}
}
