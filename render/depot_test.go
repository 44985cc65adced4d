package render

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// shelf is a depot in memory.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
	order []string // in which they came
	err   error    // of each Put
}

func (s *shelf) Put(_ context.Context, path, file string) error {
	data, err := os.ReadFile(file)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err = errors.Join(err, s.err); err == nil {
		s.files[path] = data
		s.order = append(s.order, path)
	}
	return err
}

func (s *shelf) Get(_ context.Context, path, file string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.files[path]
	if !ok {
		return fs.ErrNotExist
	}
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644))
}

// A render is done when the depot has its files, and not before; trouble with the depot is trouble of the sink.
func TestCollectIntoDepot(t *testing.T) {
	d := &shelf{files: map[string][]byte{}, err: errors.New("the bucket is away")}
	c := &Collector{Dir: t.TempDir(), Name: numbered, Depot: d}
	r := scheduler.Result{Job: &compiler.Job{Renders: []int{3}, Owed: []compiler.Owed{owed(3, "9", "a")}},
		Outputs: []scheduler.Output{{Node: "9", Filename: "a_00001_.png", Base64: b64(sent(t, 3))}}}
	if got, err := c.Collect(t.Context(), r); !errors.Is(err, d.err) || len(got.Done) > 0 {
		t.Fatalf("without the depot: %+v, %v", got, err)
	}
	d.err = nil
	got, err := c.Collect(t.Context(), r)
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	f := got.Done[0].Files[0]
	for _, path := range []string{f.Path, f.Thumb} {
		here, err := os.ReadFile(filepath.Join(c.Dir, filepath.FromSlash(path)))
		if err != nil || !bytes.Equal(here, d.files[path]) {
			t.Errorf("%s: %v", path, err)
		}
	}
	// Another machine shows it: the thumbnail comes, what nobody has is passed over.
	m := &Manifest{Version: 1, Name: "x", Cells: []Cell{{ID: "1", State: "done", Files: []File{{Path: f.Path, Thumb: f.Thumb, Kind: KindImage}}}, {ID: "2", State: "failed"}}}
	if thumbs := m.SheetThumbs(); !slices.Equal(thumbs, []string{f.Thumb}) {
		t.Errorf("the contact sheet opens %v", thumbs)
	}
	other := t.TempDir()
	if err := errors.Join(Fetch(t.Context(), d, other, []string{f.Thumb, "thumbs/gone.jpg"}), m.WriteRun(other, GalleryOptions{})); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(other, filepath.FromSlash(f.Thumb))); err != nil {
		t.Error(err)
	}
	if err := Deposit(t.Context(), d, other); err != nil {
		t.Fatal(err)
	}
	if last := d.order[len(d.order)-1]; last != ManifestPath || d.files["index.html"] == nil || d.files["contact-sheet.png"] == nil {
		t.Errorf("the page came as %v", d.order)
	}
}
