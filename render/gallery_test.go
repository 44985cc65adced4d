package render

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func page1(t *testing.T, m *Manifest, opt GalleryOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Gallery(&b, m, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// between is the text of the first element that begins with open.
func between(t *testing.T, s, open, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, open)
	text, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the page has no %s", open)
	}
	return text
}

// TestGalleryPage checks what makes the page safe: one policy that names exactly its
// own style and script, data that cannot end its element, no address of another host.
func TestGalleryPage(t *testing.T) {
	s := page1(t, small(), GalleryOptions{})
	if s != page1(t, small(), GalleryOptions{}) {
		t.Error("two pages of one manifest differ")
	}
	csp := between(t, s, `http-equiv="Content-Security-Policy" content="`, `"`)
	csp = strings.ReplaceAll(strings.ReplaceAll(csp, "&#39;", "'"), "&#43;", "+")
	for name, text := range map[string]string{"style-src": between(t, s, "<style>", "</style>"), "script-src": between(t, s, "<script>", "</script>")} {
		if want := name + " '" + sourceHash(text) + "';"; !strings.Contains(csp, want) {
			t.Errorf("the policy %s\nlacks %s", csp, want)
		}
	}
	if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %s", csp)
	}
	if n := strings.Count(s, "</script>"); n != 2 {
		t.Errorf("%d script ends", n)
	}
	data := between(t, s, `<script type="application/json" id="data">`, "</script>")
	var m Manifest
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		t.Fatal(err)
	}
	if m.Cells[0].Prompt != small().Cells[1].Prompt || m.Cells[0].Seed != "18446744073709551615" {
		t.Errorf("the data of the page is not the manifest's: %+v", m.Cells[0])
	}
	if strings.Contains(data, "\u2028") || strings.ContainsAny(data, "<>&") {
		t.Error("the data holds characters that a page may take for its own")
	}
	if got := between(t, s, "<title>", "</title>"); got != "Foxes &lt;/script&gt;&lt;b&gt;&amp;" {
		t.Errorf("title %q", got)
	}
	if hosts := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`).FindAllString(s, -1); len(hosts) > 0 {
		t.Errorf("the page names other hosts: %v", hosts)
	}
	if strings.Contains(pageJS(), "innerHTML") || strings.Contains(pageJS(), "insertAdjacentHTML") || strings.Contains(pageJS(), "eval(") {
		t.Error("the script makes elements of text")
	}
	if len(pageJS()) > 64_000 {
		t.Errorf("the script has %d bytes, over 64,000", len(pageJS()))
	}
}

// TestViewsOnlyRead: whoever writes a manifest, from several goroutines at once too, gives the cells in order and leaves them as they lie.
func TestViewsOnlyRead(t *testing.T) {
	m := small()
	slices.SortFunc(m.Cells, func(a, b Cell) int { return b.Index - a.Index })
	before := slices.Clone(m.Cells)
	views := []func(w io.Writer) error{m.Write, m.WriteCSV, func(w io.Writer) error { return Gallery(w, m, GalleryOptions{}) }}
	var wg sync.WaitGroup
	out := make([]bytes.Buffer, len(views))
	for i, write := range views {
		wg.Go(func() {
			if err := write(&out[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !reflect.DeepEqual(m.Cells, before) {
		t.Error("the caller's cells were moved")
	}
	slices.SortFunc(m.Cells, func(a, b Cell) int { return a.Index - b.Index })
	for i, write := range views {
		var want bytes.Buffer
		if err := write(&want); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out[i].Bytes(), want.Bytes()) {
			t.Errorf("view %d depends on the order in which the cells lie", i)
		}
	}
}

func TestDefaultLayout(t *testing.T) {
	axis := func(name string, n int) Axis { return Axis{Name: name, Values: make([]AxisValue, n)} }
	for _, c := range []struct {
		axes       []Axis
		rows, cols string
	}{
		{nil, "", ""},
		{[]Axis{axis("a", 5)}, "", ""},
		{[]Axis{axis("a", 5), axis("b", 1)}, "", ""},
		{[]Axis{axis("a", 5), axis("b", 2)}, "a", "b"},
		{[]Axis{axis("a", 5), axis("b", 2), axis("c", 3)}, "a", "c"},
		{[]Axis{axis("a", 5), axis("b", 200)}, "b", "a"},
		{[]Axis{axis("a", 50), axis("b", 200)}, "a", ""},
	} {
		if got := DefaultLayout(c.axes); got.Rows != c.rows || got.Cols != c.cols {
			t.Errorf("%v: %+v", c.axes, got)
		}
	}
	m := &Manifest{Name: "n", Axes: []Axis{axis("a", 5), axis("b", 2)}}
	if got := m.layout(); got != (Layout{Title: "n", Rows: "a", Cols: "b"}) {
		t.Errorf("%+v", got)
	}
	m.Gallery.Pages = "a"
	if got := m.layout(); got != (Layout{Title: "n", Pages: "a"}) {
		t.Errorf("a chosen layout became %+v", got)
	}
}

func TestWriteGallery(t *testing.T) {
	dir := t.TempDir()
	if err := WriteGallery(dir, GalleryOptions{}); err == nil {
		t.Error("a gallery of nothing")
	}
	if err := small().WriteRun(dir, GalleryOptions{}); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, dir)
	if err := WriteGallery(dir, GalleryOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, data := range readAll(t, dir) {
		if before[name] != data {
			t.Errorf("%s differs when it is made again", name)
		}
	}
	golden(t, "index.csv", []byte(before["index.csv"]))
	if err := WriteGallery(dir, GalleryOptions{Title: "Other"}); err != nil {
		t.Fatal(err)
	}
	if s := readAll(t, dir)["index.html"]; !strings.Contains(s, "<title>Other</title>") {
		t.Error("the title was not replaced")
	}
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, name := range tree(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	if len(out) != 4 {
		t.Fatalf("files %v", tree(t, dir))
	}
	return out
}
