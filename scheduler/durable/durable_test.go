package durable_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/comfyc/comfyc/scheduler/durable"
)

// text fills a file.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// holds checks what is in a file, and that nothing else is in its folder.
func holds(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", filepath.Base(name), got, err, want)
	}
	list, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(list) != 1 {
		t.Errorf("%d files are in the folder: %v, %v", len(list), list, err)
	}
}

func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.json")
	for _, s := range []string{"first", "", strings.Repeat("second", 1<<16)} {
		if err := durable.WriteFile(name, 0o644, text(s)); err != nil {
			t.Fatal(err)
		}
		holds(t, name, s)
	}
	if runtime.GOOS == "windows" {
		return // has other rights
	}
	for _, mode := range []os.FileMode{0o600, 0o644} {
		if err := durable.WriteFile(name, mode, text("x")); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%v, %v; want %v", info.Mode(), err, mode)
		}
	}
}

// While a file is written, the old one is there; after an error it still is, and nothing else.
func TestWriteFileFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.json")
	if err := durable.WriteFile(name, 0o644, text("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := durable.WriteFile(name, 0o644, func(w io.Writer) error {
		if err := text("half of")(w); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != "old" {
			t.Errorf("meanwhile: %q, %v", got, err)
		}
		return full
	})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "a.json") {
		t.Error(err)
	}
	holds(t, name, "old")
	dir := filepath.Join(t.TempDir(), "sub")
	if err := os.MkdirAll(filepath.Join(dir, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(dir, 0o644, text("x")); err == nil { // a folder with something in it has the name
		t.Error("a folder was replaced")
	}
	if list, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "missing", "a"), 0o644, text("x")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Of several writers one wins, and who reads meanwhile sees one of the files, whole.
func TestWriteFileAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	whole := func(b byte) []byte { return bytes.Repeat([]byte{b}, 1<<16) }
	var all sync.WaitGroup
	for b := byte('a'); b < 'e'; b++ {
		all.Go(func() {
			for range 10 {
				if err := durable.WriteFile(name, 0o644, text(string(whole(b)))); err != nil && runtime.GOOS != "windows" {
					t.Error(err)
				}
				if got, err := os.ReadFile(name); err == nil && !bytes.Equal(got, whole(got[0])) {
					t.Errorf("%d bytes, mixed", len(got))
				}
			}
		})
	}
	all.Wait()
	got, err := os.ReadFile(name)
	if err != nil || len(got) == 0 {
		t.Fatal(err)
	}
	holds(t, name, string(whole(got[0])))
}

func TestSyncDir(t *testing.T) {
	if err := durable.SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := durable.SyncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
