package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/render"
)

// A gallery needs nothing but a manifest, which may come from anywhere: here it is written by hand, two cells of one axis.
func ExampleGallery() {
	done := func(i int, label string) render.Cell {
		return render.Cell{ID: fmt.Sprint("c", i), Index: i, Render: fmt.Sprint("r", i), Coordinates: map[string]string{"cfg": label}, State: render.StateDone,
			Files: []render.File{{Path: "images/" + label + ".png", Type: "image/png", Kind: render.KindImage, Width: 64, Height: 64, Bytes: 120,
				SHA256: strings.Repeat("0", 64)}}}
	}
	m := &render.Manifest{Version: render.ManifestVersion, Name: "foxes", Created: "2026-01-01T00:00:00Z", Updated: "2026-01-01T00:00:00Z",
		Axes:  []render.Axis{{Name: "cfg", Values: []render.AxisValue{{Label: "3.5"}, {Label: "4"}}}},
		Cells: []render.Cell{done(0, "3.5"), done(1, "4")}}
	m.Tally()
	fmt.Println(m.Totals.Done, m.Check(), m.Paths(false))

	dir, err := os.MkdirTemp("", "gallery")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := m.WriteRun(dir, render.GalleryOptions{NoSheet: true}); err != nil {
		fmt.Println(err)
		return
	}
	again, err := render.ReadManifestFile(filepath.Join(dir, render.ManifestPath))
	fmt.Println(again.Name, len(again.Cells), err)
	// Output:
	// 2 <nil> [images/3.5.png images/4.png]
	// foxes 2 <nil>
}
