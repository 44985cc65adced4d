package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/cache"
)

// put stores a render of one file in the cache, and gives its key and that file.
func put(t testing.TB, c *cache.Cache, dir, content string) (cache.Key, cache.File) {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	f := cache.File{Output: "o", Ext: ".png", Type: "image/png", SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
	path := filepath.Join(dir, f.SHA256[:8]+".png")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.PutFile(t.Context(), path, f.SHA256, f.Bytes); err != nil {
		t.Fatal(err)
	}
	key := cache.KeyOf(compiler.RenderID(sum), "image w:1", nil)
	if err := c.Put(t.Context(), key, cache.Entry{Render: "r", Worker: "image w:1", Endpoint: "gpu", Seconds: 2, Files: []cache.File{f}}); err != nil {
		t.Fatal(err)
	}
	return key, f
}

// get reads a file of the cache.
func get(t testing.TB, c *cache.Cache, f cache.File) (string, error) {
	t.Helper()
	r, err := c.Open(t.Context(), f)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

// object is the path of the only object whose name ends so.
func object(t testing.TB, dir, suffix string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) && !d.IsDir() {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no %s in %s: %v", suffix, dir, err)
	}
	return found
}

func TestPutAndGet(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	c := cache.New(cache.Folder(dir))
	key, f := put(t, c, out, "a picture")
	e, err := c.Get(t.Context(), key)
	if err != nil || e.Endpoint != "gpu" || e.Seconds != 2 || e.Size() != 9 || e.Files[0] != f {
		t.Errorf("entry %+v, %v", e, err)
	}
	if text, err := get(t, c, f); text != "a picture" || err != nil {
		t.Errorf("file %q, %v", text, err)
	}
	// The run directory may go; the cache keeps its own.
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	if text, err := get(t, c, f); text != "a picture" || err != nil {
		t.Errorf("without the run directory: %q, %v", text, err)
	}
	other := cache.KeyOf(compiler.RenderID{1}, "image w:1", nil)
	if _, err := c.Get(t.Context(), other); !errors.Is(err, cache.ErrMissing) {
		t.Errorf("another key: %v", err)
	}
	for _, n := range []int{2, 200} { // asked one by one, and from a list
		keys := make([]cache.Key, n)
		keys[n-1] = key
		known, err := c.Known(t.Context(), keys)
		if err != nil || !known[n-1] || known[0] {
			t.Errorf("known among %d: %v, %v", n, known, err)
		}
	}
}

// TestKeys: what must not stand in for each other has different keys.
func TestKeys(t *testing.T) {
	id := compiler.RenderID{1}
	seen := map[cache.Key]string{}
	for name, key := range map[string]cache.Key{
		"a render":      cache.KeyOf(id, "w", nil),
		"another":       cache.KeyOf(compiler.RenderID{2}, "w", nil),
		"other worker":  cache.KeyOf(id, "v", nil),
		"a hash":        cache.KeyOf(id, "w", []string{"m has 1"}),
		"other hash":    cache.KeyOf(id, "w", []string{"m has 2"}),
		"two models":    cache.KeyOf(id, "w", []string{"m has 1", "n has 1"}),
		"joined models": cache.KeyOf(id, "w", []string{"m has 1n has 1"}),
		"worker+model":  cache.KeyOf(id, "wm has 1", nil),
	} {
		if before, there := seen[key]; there {
			t.Errorf("%s and %s have one key", name, before)
		}
		seen[key] = name
	}
	hashed := compiler.EndpointConfig{Aliases: map[string]string{"a": "x/a", "b": "b"}, ModelHashes: map[string]string{"x/a": "11", "b": "22", "c": "33"}}
	if got := fmt.Sprint(cache.Models(hashed, []string{"b", "a"})); got != "[a is x/a b has 22 x/a has 11]" {
		t.Errorf("models %s", got)
	}
	if _, ok := cache.Worker(compiler.EndpointConfig{Type: "preview", Worker: "image:1"}); ok {
		t.Error("previews are kept")
	}
}

// TestDamage: what is damaged is removed when it is read, and is there again when it is put again.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"changed": func(path string) error { return replace(path, "a picturE") },
		"longer":  func(path string) error { return replace(path, "a picture and more") },
		"shorter": func(path string) error { return replace(path, "a pict") },
		"empty":   func(path string) error { return replace(path, "") },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			dir, out := t.TempDir(), t.TempDir()
			c := cache.New(cache.Folder(dir))
			_, f := put(t, c, out, "a picture")
			path := object(t, dir, f.SHA256)
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if _, err := get(t, c, f); !errors.Is(err, cache.ErrMissing) {
				t.Errorf("error %v", err)
			}
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Error("the damaged file is still there")
			}
			put(t, c, out, "a picture")
			if text, err := get(t, c, f); text != "a picture" {
				t.Errorf("put again: %q, %v", text, err)
			}
		})
	}
}

// replace writes a file anew, so that other names of the old one stay as they are.
func replace(path, content string) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, []byte(content), 0o644))
}

// TestBadEntry: an entry that cannot be, is not known any more.
func TestBadEntry(t *testing.T) {
	dir := t.TempDir()
	c := cache.New(cache.Folder(dir))
	key, _ := put(t, c, t.TempDir(), "a picture")
	path := object(t, dir, ".json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":        "",
		"torn":         string(good[:len(good)/2]),
		"version":      strings.Replace(string(good), `"version":1`, `"version":2`, 1),
		"other key":    strings.Replace(string(good), key.String(), strings.Repeat("0", 64), 1),
		"a path":       strings.Replace(string(good), `".png"`, `"/../x.png"`, 1),
		"a bad hash":   strings.Replace(string(good), `"sha256":"`, `"sha256":"../`, 1),
		"no files":     strings.Replace(string(good), `"files":[`, `"files":[],"x":[`, 1),
		"negative":     strings.Replace(string(good), `"bytes":9`, `"bytes":-9`, 1),
		"much":         string(good) + strings.Repeat(" ", 1<<20),
		"not an entry": `[]`,
	} {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if e, err := c.Get(t.Context(), key); !errors.Is(err, cache.ErrMissing) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: it is still there", name)
		}
	}
}

func age(t testing.TB, path string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

// TestFolderModes: what a process puts into a cache may be read by whoever may read its other files.
func TestFolderModes(t *testing.T) {
	dir := t.TempDir()
	usual := filepath.Join(dir, "usual")
	f, err := os.OpenFile(usual, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	want, err := os.Stat(usual)
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(cache.Folder(filepath.Join(dir, "some", "cache") + "/"))
	path := filepath.Join(dir, "old")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	age(t, path, 24*time.Hour) // not linked, which would keep its own mode
	sum := sha256.Sum256([]byte("old"))
	if err := c.PutFile(t.Context(), path, hex.EncodeToString(sum[:]), 3); err != nil {
		t.Fatal(err)
	}
	key, _ := put(t, c, dir, "new")
	for _, name := range []string{hex.EncodeToString(sum[:]), key.String() + ".json"} {
		if info, err := os.Stat(object(t, filepath.Join(dir, "some"), name)); err != nil || info.Mode() != want.Mode() {
			t.Errorf("%s: %v, want %v; %v", name, info, want.Mode(), err)
		}
	}
}

// TestPutFileLeavesTimes: the user's own file keeps its time, and what is put is young, however old that file is; it is so too where it is put again.
func TestPutFileLeavesTimes(t *testing.T) {
	for _, old := range []time.Duration{time.Minute, 45 * time.Minute, 48 * time.Hour} {
		dir := t.TempDir()
		path, sum := filepath.Join(dir, "fox.png"), sha256.Sum256([]byte("fox"))
		if err := os.WriteFile(path, []byte("fox"), 0o644); err != nil {
			t.Fatal(err)
		}
		age(t, path, old)
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		c, name := cache.New(cache.Folder(filepath.Join(dir, "cache"))), hex.EncodeToString(sum[:])
		for again := range 2 {
			if again == 1 { // what lies there has become old: it must become young
				age(t, object(t, filepath.Join(dir, "cache"), name), 2*time.Hour)
				if before, err = os.Stat(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.PutFile(t.Context(), path, name, 3); err != nil {
				t.Fatal(err)
			}
			if after, err := os.Stat(path); err != nil || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("%v old: the time was %v, is %v; %v", old, before.ModTime(), after, err)
			}
			if s, err := c.Sweep(t.Context(), cache.SweepOptions{}); err != nil || s.KeptFiles != 1 {
				t.Errorf("%v old: swept %+v, %v", old, s, err)
			}
		}
	}
}

// TestPutTooLarge says why an entry cannot be kept.
func TestPutTooLarge(t *testing.T) {
	c := cache.New(cache.Folder(t.TempDir()))
	key, f := put(t, c, t.TempDir(), "fox")
	err := c.Put(t.Context(), key, cache.Entry{Batch: strings.Repeat("x", 1<<20), Files: []cache.File{f}})
	if err == nil || !strings.Contains(err.Error(), "1048576 are allowed") || strings.Contains(err.Error(), "nil") {
		t.Errorf("got %v", err)
	}
}

// TestSweep: what was used longest ago goes first; files that two entries share stay with the one that is kept; young files of nobody stay.
func TestSweep(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	c := cache.New(cache.Folder(dir))
	var keys []cache.Key
	for i := range 4 { // 10 bytes each; the first was used last
		key, f := put(t, c, out, fmt.Sprintf("picture %02d", i))
		keys = append(keys, key)
		age(t, object(t, dir, key.String()+".json"), time.Duration(i+1)*time.Hour)
		age(t, object(t, dir, f.SHA256), 10*time.Hour)
	}
	c.Used(t.Context(), keys[2])
	dry, err := c.Sweep(t.Context(), cache.SweepOptions{MaxBytes: 20, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Sweep(t.Context(), cache.SweepOptions{MaxBytes: 20})
	if err != nil || s != dry || s != (cache.Swept{Entries: 2, Files: 2, Bytes: 20, KeptEntries: 2, KeptFiles: 2, KeptBytes: 20}) {
		t.Errorf("swept %+v, dry %+v, %v", s, dry, err)
	}
	known, _ := c.Known(t.Context(), keys)
	if fmt.Sprint(known) != "[true false true false]" {
		t.Errorf("left: %v", known)
	}
	if s, err := c.Sweep(t.Context(), cache.SweepOptions{UnusedFor: 30 * time.Minute}); err != nil || s.Entries != 1 || s.KeptEntries != 1 {
		t.Errorf("by age: %+v, %v", s, err)
	}
	// A file without an entry: kept while it is young.
	_, f := put(t, c, out, "no entry")
	if err := c.Drop(t.Context(), cache.KeyOf(compiler.RenderID(sha256.Sum256([]byte("no entry"))), "image w:1", nil)); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Sweep(t.Context(), cache.SweepOptions{}); err != nil || s.Files != 0 {
		t.Errorf("young: %+v, %v", s, err)
	}
	age(t, object(t, dir, f.SHA256), 2*time.Hour)
	if s, err := c.Sweep(t.Context(), cache.SweepOptions{}); err != nil || s.Files != 1 {
		t.Errorf("old: %+v, %v", s, err)
	}
}

func TestTrim(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	c := cache.New(cache.Folder(dir))
	for i := range 10 {
		put(t, c, out, fmt.Sprintf("picture %02d", i))
	}
	count := func() (n int) {
		for range c.List(t.Context()) {
			n++
		}
		return n
	}
	if err := c.Trim(t.Context(), 100); err != nil || count() != 10 {
		t.Errorf("%d entries, %v", count(), err)
	}
	if err := c.Trim(t.Context(), 99); err != nil || count() != 8 {
		t.Errorf("%d entries, %v", count(), err)
	}
}

// TestSwept: foreign files in the folder stay, whatever is swept.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	c := cache.New(cache.Folder(dir))
	put(t, c, t.TempDir(), "a picture")
	mine := []string{"notes.txt", "files/notes.txt", "files/ab/notes.txt", "renders/notes.json", "files/zz/" + strings.Repeat("z", 64)}
	for _, name := range mine {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("mine"), 0o644)); err != nil {
			t.Fatal(err)
		}
		age(t, path, 1000*time.Hour)
	}
	if _, err := c.Sweep(t.Context(), cache.SweepOptions{MaxBytes: 1}); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Verify(t.Context()); err != nil || v.Entries+v.Files+len(v.Damaged) != 0 {
		t.Errorf("verified %+v, %v", v, err)
	}
	for _, name := range mine {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestVerify(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	c := cache.New(cache.Folder(dir))
	var keys []cache.Key
	var files []cache.File
	for i := range 5 {
		key, f := put(t, c, out, fmt.Sprintf("picture %02d", i))
		keys, files = append(keys, key), append(files, f)
	}
	if v, err := c.Verify(t.Context()); err != nil || v.Entries != 5 || v.Files != 5 || v.Bytes != 50 || len(v.Damaged) != 0 {
		t.Errorf("whole: %+v, %v", v, err)
	}
	if err := replace(object(t, dir, files[1].SHA256), "picture 99"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(object(t, dir, files[2].SHA256)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object(t, dir, keys[3].String()+".json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	v, err := c.Verify(t.Context())
	if err != nil || len(v.Damaged) != 4 { // one file, and the entries of both files and the damaged one
		t.Errorf("damaged: %+v, %v", v, err)
	}
	known, _ := c.Known(t.Context(), keys)
	if fmt.Sprint(known) != "[true false false false true]" {
		t.Errorf("left: %v", known)
	}
	if v, err := c.Verify(t.Context()); err != nil || len(v.Damaged) != 0 || v.Entries != 2 {
		t.Errorf("again: %+v, %v", v, err)
	}
}

// TestAtOnce: many writers, readers and sweepers on one folder, as several processes are. A reader sees a whole file or none.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			c, out := cache.New(cache.Folder(dir)), t.TempDir()
			for i := range 25 {
				content := fmt.Sprintf("picture %02d", i)
				_, f := put(t, c, out, content)
				if text, err := get(t, c, f); err != nil && !errors.Is(err, cache.ErrMissing) || err == nil && text != content {
					t.Errorf("%q, %v", text, err)
				}
				if w == 0 && i%5 == 0 {
					if _, err := c.Sweep(t.Context(), cache.SweepOptions{MaxBytes: 100}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if v, err := cache.New(cache.Folder(dir)).Verify(t.Context()); err != nil || v.Files == 0 {
		t.Errorf("%+v, %v", v, err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".new") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAbandoned: what a killed process was writing is removed after a day.
func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	c := cache.New(cache.Folder(dir))
	_, f := put(t, c, t.TempDir(), "a picture")
	folder := filepath.Dir(object(t, dir, f.SHA256))
	for name, old := range map[string]time.Duration{".new-1": 25 * time.Hour, ".new-2": time.Hour} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		age(t, path, old)
	}
	if _, err := c.Sweep(t.Context(), cache.SweepOptions{}); err != nil {
		t.Fatal(err)
	}
	_, gone := os.Stat(filepath.Join(folder, ".new-1"))
	_, there := os.Stat(filepath.Join(folder, ".new-2"))
	if !os.IsNotExist(gone) || there != nil {
		t.Errorf("old: %v, young: %v", gone, there)
	}
}

// stream is a place that is not a folder: what it gives are no files.
type stream struct{ cache.Folder }

func (s stream) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := s.Folder.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return io.NopCloser(bytes.NewReader(data)), err
}

// TestStream: from a place that is no folder, too, only whole files come.
func TestStream(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	c := cache.New(stream{cache.Folder(dir)})
	_, f := put(t, c, t.TempDir(), "a picture")
	if text, err := get(t, c, f); text != "a picture" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := replace(object(t, dir, f.SHA256), "a picturE"); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, c, f); !errors.Is(err, cache.ErrMissing) {
		t.Errorf("damaged: %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left in the temporary folder: %v", left)
	}
}

// FuzzEntry: an entry is a suspect; whatever it holds, reading it gives an entry of this key or none.
func FuzzEntry(f *testing.F) {
	dir := f.TempDir()
	c := cache.New(cache.Folder(dir))
	key, _ := put(f, c, f.TempDir(), "a picture")
	path := object(f, dir, ".json")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"key":"","files":[{"sha256":"../../x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := c.Get(t.Context(), key)
		if err != nil {
			return
		}
		if e.Key != key.String() || len(e.Files) == 0 {
			t.Fatalf("%+v", e)
		}
		for _, file := range e.Files {
			if r, err := c.Open(t.Context(), file); err == nil {
				r.Close()
			}
		}
	})
}
