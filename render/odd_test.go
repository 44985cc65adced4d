package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// TestOddPictures sends each picture of testdata/odd (odd.py says what they are) through everything that is done with an output: it is
// kept, or reported as damaged, and whatever it is, the pictures after it are collected.
func TestOddPictures(t *testing.T) {
	recipe, err := post.ParseRecipe([]byte(`[{"resize": {"width": 8}}, "grayscale", {"pair": "row"}, {"format": "webp"}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	// What becomes of each: the type and size of what came, and a note on what is shown; or why it is asked for again.
	want := map[string]string{
		"cmyk.jpg": "image/jpeg 16×12", "progressive.jpg": "image/jpeg 16×12", "turned.jpg": "image/jpeg 12×16", "grey.jpg": "image/jpeg 16×12",
		"profile.png": "image/png 16×12: colour profile", "animated.gif": "image/gif 16×12", "animated.webp": "image/webp 16×12: no decoder",
		"animated.png": "image/png 16×12", "lossy.webp": "image/webp 16×12", "clear.webp": "image/webp 16×12", "grey16.png": "image/png 16×12: 16-bit",
		"one-bit.png": "image/png 16×12", "grey-alpha.png": "image/png 16×12", "rgb16.png": "image/png 4×2: 16-bit", "bad-index.png": "image/png 4×2",
		"no-palette.png": "damaged", "bomb.png": "image/png 30000×30000: too many pixels", "zero.png": "damaged", "short-pixels.png": "damaged",
		"text-bomb.png": "image/png 1×1", "frame-outside.gif": "damaged",
	}
	files, err := filepath.Glob("testdata/odd/*")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %d expectations, %v", len(files), len(want), err)
	}
	provenance := func(int) Provenance { return Provenance{Batch: "odd", Prompt: []byte(`{}`)} }
	plain := &Collector{Dir: t.TempDir(), Name: numbered, Provenance: provenance}
	made := &Collector{Dir: t.TempDir(), Name: numbered, Recipe: recipe, Provenance: provenance}
	give := func(col *Collector, i int, data []byte) scheduler.Collected {
		t.Helper()
		got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{i}, Owed: []compiler.Owed{owed(i, "9", "p")}},
			Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(data)}}})
		if err != nil {
			t.Errorf("%s: %v", files[i%100], err)
		}
		return got
	}
	for i, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		state, base := describe(give(plain, i, data)), filepath.Base(name)
		head, note, _ := strings.Cut(want[base], ": ")
		notes := state
		if got := give(made, i, data); len(got.Done) > 0 {
			notes += "; " + got.Done[0].Files[0].Note
		}
		if !strings.HasPrefix(state, head) || !strings.Contains(notes, note) {
			t.Errorf("%s: %s, want %s", base, notes, want[base])
		}
		// Cut anywhere, it comes to an end too.
		for _, part := range []int{len(data) / 3, len(data) * 2 / 3, len(data) - 1} {
			give(made, i+100, data[:part])
		}
	}
}

// describe says what a collection came to: type and size with the note, or the reason.
func describe(c scheduler.Collected) string {
	if len(c.Done) == 0 {
		_, reason, _ := strings.Cut(c.Missing[0].Reason, ": ")
		return reason
	}
	f := c.Done[0].Files[0]
	return fmt.Sprintf("%s %d×%d: %s", f.Type, f.Width, f.Height, f.Note)
}
