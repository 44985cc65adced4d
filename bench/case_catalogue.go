package bench

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Both go through the loader that --nodes uses; the built-in catalogue is only compressed and made ahead.
var catalogueCases = []Case{
	{Name: "CatalogueLoad", What: "the built-in catalogue from its compressed bytes, ready to be asked", Run: loadCatalogue,
		Goals: []Goal{{Unit: "ns/op", Most: 10e6, Meaning: "under 10 ms"}}},
	{Name: "SnapshotLoad", What: "a server's /object_info answer of 1 MB, read as text", Run: loadSnapshot,
		Skip: func(e *Env) error { return e.needShared("truth/object_info.json") }},
}

func loadCatalogue(e *Env, b *testing.B) error {
	return loadFile(b, filepath.Join(e.Root, "nodes", "core", "catalogue.zst"))
}

func loadSnapshot(e *Env, b *testing.B) error { return loadFile(b, e.shared("truth/object_info.json")) }

// loadFile reads the file before the clock starts: only parsing and indexing count.
func loadFile(b *testing.B, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for b.Loop() {
		// A catalogue that is nearly empty would be fast for the wrong reason.
		if c, _ := nodes.LoadFile(source.NewFile("catalogue", data)); c == nil || c.Len() < 100 {
			return errors.New("the catalogue cannot be read")
		}
	}
	return nil
}
