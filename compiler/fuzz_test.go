package compiler

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// FuzzCheck checks any bytes as a workflow, a picture with one, or a batch: it must end with findings that have places and codes, the same each
// time, and take no more than 64 MiB and a hundred times the file. Nothing is read from the disk.
func FuzzCheck(f *testing.F) {
	for _, pattern := range []string{"lower/testdata/*.json", "testdata/*.json", "../examples/*.json"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			file, err := source.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(file.Data, false)
			if v, err := source.ParseJSON(file, source.Limits{}); err == nil && v.Get("workflow") != nil {
				f.Add(v.Get("workflow").AppendJSON(nil), false)
			}
		}
	}
	f.Add([]byte("workflow: {\"1\": {class_type: SaveImage, inputs: {images: [\"2\", 0]}}}\nsweep: {matrix: {cfg: \"1-5\"}}\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		name := "f.json"
		if yaml {
			name = "f.yaml"
		}
		opt := CheckOptions{Batch: Source{FS: fstest.MapFS{}, Env: func(string) (string, bool) { return "", false }}}
		var first, second Report
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		first = Check(context.Background(), source.NewFile(name, data), opt)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+100*uint64(len(data)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(data), used)
		}
		for _, d := range first.Findings {
			if _, known := diag.Explain(d.Code); !known || d.Message == "" {
				t.Errorf("a finding that cannot be explained: %+v", d)
			}
			if d.Place.File != nil && (d.Place.Start < 0 || d.Place.End < d.Place.Start || d.Place.Start > len(d.Place.File.Data)) {
				t.Errorf("a place outside of the file: %+v", d)
			}
		}
		second = Check(context.Background(), source.NewFile(name, data), opt)
		if a, b := first.ToValue().AppendJSON(nil), second.ToValue().AppendJSON(nil); string(a) != string(b) {
			t.Errorf("two checks of one file differ:\n%s\n%s", a, b)
		}
	})
}
