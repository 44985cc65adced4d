package view

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t testing.TB, file string) *View {
	t.Helper()
	f, err := source.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return viewOf(t, f)
}

func viewOf(t testing.TB, f *source.File) *View {
	t.Helper()
	f.Name = filepath.Base(f.Name)
	prompt, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	g, verdict := graph.Build(prompt, nodes.BuiltIn(), graph.Options{})
	return New(g, verdict, f.Name)
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is written now (go test -update writes it anew). Got:\n%s", file, got)
	}
}

// Each file of testdata/graph is written in each format.
func TestFormats(t *testing.T) {
	files, err := filepath.Glob("testdata/graph/*.json")
	if err != nil || len(files) < 4 {
		t.Fatal("the test data is missing", err)
	}
	for _, file := range files {
		for _, f := range Formats {
			t.Run(filepath.Base(file)+"/"+f.Name, func(t *testing.T) {
				v := load(t, file)
				got := f.Write(v)
				if again := f.Write(load(t, file)); !bytes.Equal(got, again) {
					t.Error("a second time it is written differently")
				}
				if bytes.Contains(got, []byte("sk-abc")) {
					t.Errorf("a secret is shown:\n%s", got)
				}
				if f.Name == "svg" {
					wellFormed(t, got)
				}
				golden(t, "testdata/golden/"+strings.TrimSuffix(filepath.Base(file), ".json")+"."+f.Name, got)
			})
		}
	}
}

// wellFormed reads an SVG and holds it to what makes it stand alone.
func wellFormed(t testing.TB, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the SVG is not well-formed: %v\n%.2000s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "svg", "title", "style", "rect", "text", "path", "circle", "g":
		default:
			t.Errorf("an element <%s> in the SVG", e.Name.Local)
		}
		for _, a := range e.Attr {
			if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "url(") || strings.Contains(a.Value, "NaN") {
				t.Errorf("<%s %s=%q>", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

// Each pair of files of testdata/diff is compared, as text, as JSON, and the other way round.
func TestDiffs(t *testing.T) {
	files, err := filepath.Glob("testdata/diff/*.a.json")
	if err != nil || len(files) < 2 {
		t.Fatal("the test data is missing", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".a.json")
		t.Run(filepath.Base(base), func(t *testing.T) {
			a, b := load(t, file), load(t, base+".b.json")
			var text bytes.Buffer
			for _, c := range []*Changes{Diff(a, b, DiffOptions{}), Diff(b, a, DiffOptions{Strict: true})} {
				if err := c.Print(&text); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, "testdata/golden/"+filepath.Base(base)+".diff.txt", text.Bytes())
			golden(t, "testdata/golden/"+filepath.Base(base)+".diff.json", Diff(a, b, DiffOptions{}).ToValue().Indent())
		})
	}
}
