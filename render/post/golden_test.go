package post

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// openGolden opens a file of testdata/golden.
func openGolden(name string) (io.ReadSeekCloser, error) {
	return os.Open(filepath.Join("testdata", "golden", filepath.Base(name)))
}

func goldenPicture(t *testing.T, name string) *image.NRGBA {
	t.Helper()
	f, err := openGolden(name + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	pix, err := Convert(img)
	if err != nil {
		t.Fatal(err)
	}
	return pix
}

// TestGolden compares the steps with pictures that Pillow made (testdata/golden.py says
// how, and how far they may differ). What is compared is what a decoder sees of the
// written file.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Source string
		Steps        json.RawMessage
		Worst, Inner int
		Mean         float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 30 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			recipe, err := ParseRecipe(c.Steps, openGolden)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Run(goldenPicture(t, c.Source), recipe.Variants[0].Steps)
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := p.Encode(&file); err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(&file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Convert(img)
			if err != nil {
				t.Fatal(err)
			}
			worst, mean := difference(t, got, goldenPicture(t, c.Name), c.Inner)
			if worst > c.Worst || mean > c.Mean {
				t.Errorf("differs by up to %d, %.2f on average; %d and %.2f are allowed", worst, mean, c.Worst, c.Mean)
			}
		})
	}
}

// difference compares samples; colours under clear pixels do not count.
func difference(t *testing.T, a, b *image.NRGBA, inner int) (worst int, mean float64) {
	t.Helper()
	if a.Rect != b.Rect {
		t.Fatalf("size %v, want %v", a.Rect.Size(), b.Rect.Size())
	}
	n, sum := 0, 0
	r := a.Rect.Inset(inner)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			i := a.PixOffset(x, y)
			alpha := int(b.Pix[i+3])
			for k := range 4 {
				d := int(a.Pix[i+k]) - int(b.Pix[i+k])
				if k < 3 {
					d = d * alpha / 255
				}
				d = max(d, -d)
				worst, sum, n = max(worst, d), sum+d, n+1
			}
		}
	}
	return worst, float64(sum) / float64(max(1, n))
}
