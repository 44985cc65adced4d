package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// truthDir holds prompts with the pictures that a real ComfyUI saved for them.
const truthDir = "../../../../shared/truth/pixels"

// furthest is the largest difference of a sample that is accepted, of 255.
const furthest = 2

// truth is one recorded case.
type truth struct {
	Name     string
	Prompt   json.RawMessage
	Pictures []string
	Error    string
}

// TestTruth runs every recorded case and reports the worst difference of each.
func TestTruth(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(truthDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("SKIPPED: no recorded pictures of a real ComfyUI in %s", truthDir)
	}
	checkCases(t, truthDir, files)
}

// TestFixtures does the same with the project's own cases.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/cases: %v", err)
	}
	checkCases(t, "testdata/cases", files)
}

// checkCases compares the pictures of cases whose inputs lie in dir.
func checkCases(t *testing.T, dir string, files []string) {
	exact := 0
	for _, file := range files {
		c := readCase(t, file)
		t.Run(c.Name, func(t *testing.T) {
			worst := compareCase(t, dir, c)
			if worst == 0 {
				exact++
			} else {
				t.Logf("worst difference %d of 255", worst)
			}
			if worst > furthest {
				t.Errorf("differs by %d of 255, at most %d is accepted", worst, furthest)
			}
		})
	}
	t.Logf("%d of %d cases are equal in every sample", exact, len(files))
}

// readCase reads one case.
func readCase(t *testing.T, file string) truth {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c truth
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

// fromDir gives uploaded files out of a folder.
func fromDir(dir string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if strings.ContainsAny(name, `/\`) {
			return nil, fmt.Errorf("no file %q", name)
		}
		return os.ReadFile(filepath.Join(dir, name))
	}
}

// compareCase runs a case and gives the largest difference of a sample.
func compareCase(t *testing.T, dir string, c truth) int {
	t.Helper()
	r, err := Run(context.Background(), c.Prompt, Options{Inputs: fromDir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Error != "" {
		if len(r.Errors) == 0 {
			t.Errorf("ran, where ComfyUI says: %s", c.Error)
		}
		return 0
	}
	for _, e := range r.Errors {
		t.Errorf("node %s %s: %s", e.Node, e.Class, e.Message)
	}
	if len(r.Files) != len(c.Pictures) {
		t.Fatalf("%d files, ComfyUI saved %d", len(r.Files), len(c.Pictures))
	}
	worst := 0
	for i, f := range r.Files {
		want, err := os.ReadFile(filepath.Join(dir, c.Pictures[i]))
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, distance(t, decoded(t, f.Data), decoded(t, want)))
	}
	return worst
}

// decoded reads a PNG.
func decoded(t *testing.T, data []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// distance is the largest difference of a sample between two pictures; 999 when
// they differ in size or in having an alpha channel.
func distance(t *testing.T, one, two image.Image) int {
	t.Helper()
	if one.Bounds() != two.Bounds() || one.ColorModel() != two.ColorModel() {
		t.Logf("%v %T, want %v %T", one.Bounds(), one, two.Bounds(), two)
		return 999
	}
	worst := 0
	b := one.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			p := color.NRGBAModel.Convert(one.At(x, y)).(color.NRGBA)
			q := color.NRGBAModel.Convert(two.At(x, y)).(color.NRGBA)
			for _, d := range [4]int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B), int(p.A) - int(q.A)} {
				worst = max(worst, d, -d)
			}
		}
	}
	return worst
}
