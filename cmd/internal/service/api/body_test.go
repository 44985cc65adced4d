package api

import (
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// What is left when files are taken out of a batch is the batch, at the places where it was.
func TestWithout(t *testing.T) {
	for name, text := range map[string]string{
		"first.json": `{"files": {"a": {"base64": ""}}, "x": 1}`,
		"last.json":  "{\"x\": 1,\n \"files\": {\"a\": {\"base64\": \"\"}}}",
		"alone.json": `{"files": {}}`,
		"mid.json":   `{"x": 1, "files": {"a": {"base64": ""}}, "y": [2]}`,
		"block.yaml": "x: 1\nfiles:\n  a: {base64: ''}\ny: 2\n",
		"last.yaml":  "x: 1\nfiles:\n  a: {base64: ''}\n",
		"flow.yaml":  "{x: 1, files: {}, y: 2}",
	} {
		root, rest := taken(t, name, text)
		for _, m := range root.Members {
			if m.Key == "files" {
				continue
			}
			got := rest.Member(m.Key)
			if got == nil || string(got.Value.AppendJSON(nil)) != string(m.Value.AppendJSON(nil)) {
				t.Errorf("%s: %s is lost: %s", name, m.Key, rest.AppendJSON(nil))
			} else if got.KeyStart != m.KeyStart && name != "flow.yaml" {
				t.Errorf("%s: %s has moved from %d to %d", name, m.Key, m.KeyStart, got.KeyStart)
			}
		}
		if rest.Get("files") != nil {
			t.Errorf("%s: files are still there", name)
		}
	}
}

func taken(t testing.TB, name, text string) (root, rest *source.Value) {
	t.Helper()
	f := source.NewFile(name, []byte(text))
	root, err := source.Parse(f, bodyLimits)
	if err != nil {
		t.Fatal(err)
	}
	out := without(f, root, root.Member("files"))
	rest, err = source.Parse(source.NewFile(name, out), bodyLimits)
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return root, rest
}

func FuzzWithout(f *testing.F) {
	f.Add(`{"files": {"a": {"base64": ""}}, "x": 1}`)
	f.Add(`{"x": {"files": 1}, "files" : [] }`)
	f.Fuzz(func(t *testing.T, text string) {
		file := source.NewFile("batch.json", []byte(text))
		root, err := source.Parse(file, bodyLimits)
		if err != nil || root.Member("files") == nil {
			return
		}
		keys := map[string]bool{}
		for _, m := range root.Members {
			if keys[m.Key] {
				return // a key that is there twice is refused elsewhere
			}
			keys[m.Key] = true
		}
		rest, err := source.Parse(source.NewFile("batch.json", without(file, root, root.Member("files"))), bodyLimits)
		if err != nil || rest.Get("files") != nil || len(rest.Members) != len(root.Members)-1 {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
