package render

import (
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/comfyc/comfyc/render/post"
)

// Bounds of contact-sheet.png.
const (
	// sheetPixels is the area that its squares shall take together: it takes about a second to draw and write.
	sheetPixels = 8_000_000
	// maxSheetCells is how many cells are drawn; what is over is counted below the sheet.
	maxSheetCells            = 2000
	minSheetCell, sheetCell  = 48, 256 // a square's side in pixels: the least, and the usual
	maxSheetSub, flowColumns = 8, 8    // pictures side by side in one cell, and in a row where there are no axes
)

// WriteSheet writes dir/contact-sheet.png: the small pictures of the manifest's layout under the axes' names, a section for each page. It
// opens nothing but thumbnails. A manifest without any cell gives no file.
func (m *Manifest) WriteSheet(dir string) error {
	if len(m.Cells) == 0 {
		return nil
	}
	sheet := m.sheet(thumbsIn(dir))
	return writeFile(filepath.Join(dir, "contact-sheet.png"), sheet.Encode)
}

// SheetThumbs lists the thumbnails that WriteSheet opens.
func (m *Manifest) SheetThumbs() (paths []string) {
	sheet := m.sheet(func(c *Cell) (image.Image, string) {
		if i := c.shown(); i >= 0 {
			paths = append(paths, c.Files[i].Thumb)
		}
		return nil, ""
	})
	for _, s := range sheet.Sections {
		for r := range s.Rows {
			for c := range s.Cols {
				for k := range max(1, s.Sub) {
					s.Picture(r, c, k)
				}
			}
		}
	}
	return paths
}

// sheet lays the cells out. picture is asked for each of them, when the sheet is drawn.
func (m *Manifest) sheet(picture func(*Cell) (image.Image, string)) post.Sheet {
	l := m.layout()
	s := post.Sheet{Title: l.Title}
	rows, cols, pages := m.labels(l.Rows), m.labels(l.Cols), m.labels(l.Pages)
	// By page, row and column label, "" where the side has no axis; cells that differ in other axes share a
	// place.
	groups := map[[3]string][]*Cell{}
	most := 1
	for _, c := range m.inOrder() {
		at := [3]string{c.Coordinates[l.Pages], c.Coordinates[l.Rows], c.Coordinates[l.Cols]}
		groups[at] = append(groups[at], c)
		most = max(most, len(groups[at]))
	}
	if l.Rows == "" && l.Cols == "" {
		most = 1 // they flow
	}
	shown := 0
	for _, page := range pages {
		section := post.SheetSection{RowAxis: l.Rows, ColAxis: l.Cols, Rows: rows, Cols: cols, Sub: min(most, maxSheetSub)}
		if l.Pages != "" {
			section.Heading = l.Pages + ": " + page
		}
		if l.Rows == "" && l.Cols == "" {
			flow(&section, groups[[3]string{page}], picture)
		} else {
			section.Picture = func(r, c, k int) (image.Image, string) {
				return pictureAt(groups[[3]string{page, rows[r], cols[c]}], k, picture)
			}
		}
		// Whole rows only: a row that ends in the middle would look as if renders were missing.
		if fit := (maxSheetCells - shown) / max(1, len(section.Cols)*section.Sub); fit < len(section.Rows) {
			section.Rows = section.Rows[:max(0, fit)]
		}
		if len(section.Rows) == 0 {
			break
		}
		shown += len(section.Rows) * len(section.Cols) * section.Sub
		s.Sections = append(s.Sections, section)
	}
	// As large as sheetPixels allows for that many squares.
	s.Cell = min(sheetCell, max(minSheetCell, int(math.Sqrt(sheetPixels/float64(max(1, shown))))))
	if shown+flowColumns > maxSheetCells || most > maxSheetSub {
		s.Footer = fmt.Sprintf("not all of the %d cells are shown here; the gallery has them", len(m.Cells))
	}
	return s
}

// labels are an axis's labels that cells have, in the order of the sweep; a side without an axis has one empty label.
func (m *Manifest) labels(axis string) (labels []string) {
	used := map[string]bool{}
	for i := range m.Cells {
		used[m.Cells[i].Coordinates[axis]] = true
	}
	for _, a := range m.Axes {
		if a.Name != axis {
			continue
		}
		for _, v := range a.Values {
			if used[v.Label] {
				labels = append(labels, v.Label)
			}
		}
	}
	if used[""] || len(labels) == 0 {
		labels = append(labels, "")
	}
	return labels
}

// flow fills rows one after the other.
func flow(s *post.SheetSection, cells []*Cell, picture func(*Cell) (image.Image, string)) {
	wide := min(flowColumns, max(1, len(cells)))
	s.Sub, s.Cols, s.Rows = 1, make([]string, wide), make([]string, (len(cells)+wide-1)/wide)
	s.Picture = func(r, c, _ int) (image.Image, string) { return pictureAt(cells, r*wide+c, picture) }
}

// pictureAt is the k-th cell's picture; a square without a cell stays empty.
func pictureAt(cells []*Cell, k int, picture func(*Cell) (image.Image, string)) (image.Image, string) {
	if k >= len(cells) {
		return nil, ""
	}
	return picture(cells[k])
}

// shown is the index of the file that stands for the cell; -1 if none has a thumbnail.
func (c *Cell) shown() int {
	return slices.IndexFunc(c.Files, func(f File) bool { return f.Thumb != "" })
}

// thumbsIn opens the thumbnails of a run directory.
func thumbsIn(dir string) func(*Cell) (image.Image, string) {
	return func(c *Cell) (image.Image, string) { return sheetPicture(dir, c) }
}

// sheetPicture is a cell's thumbnail, or the word for its state.
func sheetPicture(dir string, c *Cell) (image.Image, string) {
	i := c.shown()
	if i < 0 {
		if len(c.Files) > 0 {
			return nil, string(c.Files[0].Kind)
		}
		return nil, string(c.State)
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(c.Files[i].Thumb)))
	if err != nil {
		return nil, "no picture"
	}
	defer f.Close()
	img, _, err := DecodePicture(io.ReadSeeker(f), "image/jpeg")
	if err != nil {
		return nil, "no picture"
	}
	return img, ""
}
