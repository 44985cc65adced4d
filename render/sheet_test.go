package render

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSheet draws the sample batch: a section for each page, the pictures in their places, words where there are none.
func TestSheet(t *testing.T) {
	dir := t.TempDir()
	m := sampleManifest(t, dir)
	s := m.sheet(thumbsIn(dir))
	if len(s.Sections) != 3 || s.Sections[0].Heading != "prompt: red fox at dawn" || strings.Join(s.Sections[0].Rows, " ") != "1 3.5 5" || s.Sections[0].Sub != 2 || s.Footer != "" || s.Cell != 256 {
		t.Fatalf("%+v", s)
	}
	if err := m.WriteSheet(dir); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "contact-sheet.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := s.Size(); err != nil || img.Bounds().Size() != size || size.X < 6*256 || size.Y < 9*256 {
		t.Errorf("%v, %v, %v", img.Bounds(), size, err)
	}
	// The first picture's sky is brown; the fourth cell failed, so its square has a word on grey.
	seen := map[string]int{}
	for y := 0; y < img.Bounds().Dy(); y += 8 {
		for x := 0; x < img.Bounds().Dx(); x += 8 {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[fmt.Sprintf("%x%x%x", r>>8, g>>8, b>>8)]++
		}
	}
	if seen["e8e8e4"] < 3*25*25/2 { // three cells without a picture
		t.Errorf("%d grey points", seen["e8e8e4"])
	}
	if shots := os.Getenv("COMFYC_SHOTS"); shots != "" {
		data, _ := os.ReadFile(f.Name())
		_ = os.WriteFile(filepath.Join(shots, "sheet.png"), data, 0o644)
	}
}

// TestSheetBounds: a large batch is cut and says so, an odd one does no harm.
func TestSheetBounds(t *testing.T) {
	m := &Manifest{Version: 1, Name: "large", Axes: []Axis{{Name: "row"}, {Name: "col", Values: []AxisValue{{Label: "c"}}}}, Gallery: Layout{Rows: "row", Cols: "col"}}
	for i := range 30_000 {
		label := fmt.Sprint(i)
		m.Axes[0].Values = append(m.Axes[0].Values, AxisValue{Label: label})
		m.Cells = append(m.Cells, Cell{ID: label, Index: i, Render: label, Coordinates: map[string]string{"row": label, "col": "c"}, State: StateWaiting,
			Files: []File{{Path: "images/x.png", Thumb: "thumbs/none.jpg"}}})
	}
	s := m.sheet(thumbsIn(t.TempDir()))
	size, err := s.Size()
	if err != nil || len(s.Sections[0].Rows) != maxSheetCells || !strings.Contains(s.Footer, "30000") || size.X*size.Y > 100_000_000 || s.Cell < minSheetCell {
		t.Errorf("%d rows, %q, %v, %d, %v", len(s.Sections[0].Rows), s.Footer, size, s.Cell, err)
	}
	empty := &Manifest{Version: 1}
	if dir := t.TempDir(); empty.WriteSheet(dir) != nil || len(tree(t, dir)) != 0 {
		t.Error("a manifest without cells has a sheet")
	}
	flow := small()
	flow.Axes, flow.Gallery = flow.Axes[:1], Layout{}
	dir := t.TempDir()
	if err := flow.WriteSheet(dir); err != nil || len(tree(t, dir)) != 1 {
		t.Errorf("%v, %v", err, tree(t, dir))
	}
}
