package render

import "slices"

// ManifestPath is the record's path below the run directory.
const ManifestPath = "manifest.json"

// PagePaths are what is made of the manifest, besides thumbnails.
var PagePaths = []string{"index.html", "index.csv", "contact-sheet.png"}

// IsPage tells whether a path is the manifest's or the page's: what is written anew as a batch goes on. All other files of a run directory stay as
// they are.
func IsPage(path string) bool { return path == ManifestPath || slices.Contains(PagePaths, path) }

// Paths lists the files that the manifest names, each once, sorted: pictures and other outputs, thumbnails, workflows, and if wanted the
// originals. They are relative to the run directory, with forward slashes.
func (m *Manifest) Paths(originals bool) []string {
	var paths []string
	add := func(p string) {
		if p != "" {
			paths = append(paths, p)
		}
	}
	for i := range m.Cells {
		add(m.Cells[i].Workflow)
		for _, f := range m.Cells[i].Files {
			add(f.Path)
			add(f.Thumb)
			if originals {
				add(f.Original)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
