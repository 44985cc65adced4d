package nodes

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

var update = flag.Bool("update", false, "write core/catalogue.zst anew from ../shared/truth/object_info.json")

// truth reads a snapshot of a real server, or skips.
func truth(t testing.TB, name string) *source.Value {
	t.Helper()
	f, err := source.ReadFile("../../shared/truth/" + name)
	if err != nil {
		t.Skipf("SKIPPED, no ground truth: %v", err)
	}
	v, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBuiltInIsTheImportOfASnapshot(t *testing.T) {
	data, err := Import(truth(t, "object_info.json"), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("core/catalogue.zst", data, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(data, coreCatalogue) {
		t.Errorf("core/catalogue.zst (%d bytes) is not what an import gives (%d bytes); run the test with -update", len(coreCatalogue), len(data))
	}
}
