package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Bounds of a manifest that is read.
const (
	MaxManifestBytes = 512 << 20 // of the file
	MaxCells         = 1 << 20   // coordinates of a sweep
	maxManifestItems = 32 << 20  // commas, so elements of all lists together
	maxManifestNodes = 4 << 20   // objects
	maxManifestDepth = 16        // brackets within brackets; a manifest needs 6
)

// ReadManifest reads and checks a manifest. Unknown keys are passed over, so that a
// later writer may add some. Everything it returns is within the bounds above, and
// every path in it is relative and stays below the run directory.
func ReadManifest(r io.Reader) (*Manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("manifest: larger than %d bytes", MaxManifestBytes)
	}
	if err := scanManifest(data); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// ReadManifestFile reads the manifest at the path name.
func ReadManifestFile(name string) (*Manifest, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadManifest(f)
}

// scanManifest bounds what decoding may allocate before anything is decoded: a list
// of empty objects or nulls is a hundred times larger in memory than in the file.
func scanManifest(data []byte) error {
	var open [maxManifestDepth]byte
	depth, items, nodes, element := 0, 0, 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			if i = skipString(data, i); i < 0 {
				return errors.New("a string does not end")
			}
		case '{', '[':
			if depth == maxManifestDepth {
				return fmt.Errorf("nested deeper than %d", maxManifestDepth)
			}
			if c == '{' {
				nodes++
			}
			open[depth], depth = c, depth+1
		case '}', ']':
			depth = max(0, depth-1)
		case ',':
			items++
		case 'n':
			if element {
				return errors.New("null in a list")
			}
		}
		if items > maxManifestItems || nodes > maxManifestNodes {
			return errors.New("too many elements")
		}
		// Whether the next value would be an element of a list: null is refused there, as it would become
		// an empty struct.
		element = (c == '[' || c == ',') && depth > 0 && open[depth-1] == '['
	}
	return nil
}

// skipString returns the index of the quote that ends the string begun at i, or -1.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// Check reports the first thing that no gallery could be made from.
func (m *Manifest) Check() error {
	if m.Version != ManifestVersion {
		return fmt.Errorf("version %d, only %d is known", m.Version, ManifestVersion)
	}
	if len(m.Cells) > MaxCells {
		return fmt.Errorf("%d cells, at most %d are allowed", len(m.Cells), MaxCells)
	}
	names := make(map[string]bool, len(m.Axes))
	for _, a := range m.Axes {
		if a.Name == "" || names[a.Name] {
			return fmt.Errorf("axis name %q is empty or used twice", a.Name)
		}
		names[a.Name] = true
	}
	for i := range m.Cells {
		if err := m.Cells[i].check(names); err != nil {
			return fmt.Errorf("cell %d: %w", i, err)
		}
	}
	return nil
}

// check holds what a gallery does with a cell: it looks labels up by axis names and makes links of paths.
func (c *Cell) check(axes map[string]bool) error {
	for name := range c.Coordinates {
		if !axes[name] {
			return fmt.Errorf("there is no axis %q", name)
		}
	}
	if c.Workflow != "" && !safePath(c.Workflow) {
		return fmt.Errorf("path %q leaves the run directory", c.Workflow)
	}
	for _, f := range c.Files {
		for i, p := range []string{f.Path, f.Thumb, f.Original} {
			if (i == 0 || p != "") && !safePath(p) {
				return fmt.Errorf("path %q leaves the run directory", p)
			}
		}
	}
	return nil
}

// safePath reports whether p is a clean relative path, with forward slashes, to a file
// below the directory it is relative to, on every system.
func safePath(p string) bool {
	return p != "" && p != "." && !path.IsAbs(p) && path.Clean(p) == p &&
		p != ".." && !strings.HasPrefix(p, "../") && !strings.ContainsAny(p, "\\:\x00")
}
