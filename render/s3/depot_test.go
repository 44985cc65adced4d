package s3

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// TestDepot keeps files on a real server: what is there is not sent or loaded again, what changed is, what was damaged is told, and a folder goes
// without its neighbours.
func TestDepot(t *testing.T) {
	g := s3test.Start(t, nil)
	b := open(t, Config{URL: "s3://pictures/foxes", Endpoint: "http://" + g.Address, Style: "path"}, Options{Getenv: s3test.Getenv})
	ctx, dir := t.Context(), t.TempDir()
	var missing *scheduler.Error
	if err := b.Check(ctx); !errors.As(err, &missing) || !strings.Contains(err.Error(), "make it first") {
		t.Fatalf("without a bucket: %v", err)
	}
	if err := clientOf(t, b, nil).MakeBucket(ctx, "pictures", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(ctx); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "here.png")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, neighbour := b.Depot("works/a/out"), b.Depot("works/ab/out")
	write("one")
	for range 2 {
		if err := errors.Join(d.Put(ctx, "images/x y.png", file), neighbour.Put(ctx, "x.png", file)); err != nil {
			t.Fatal(err)
		}
	}
	there := filepath.Join(dir, "sub", "there.png")
	get := func(want string) {
		t.Helper()
		if err := d.Get(ctx, "images/x y.png", there); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(there); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	get("one")
	before, err := os.Stat(there)
	if err != nil {
		t.Fatal(err)
	}
	get("one")
	if after, err := os.Stat(there); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was loaded again: %v", err)
	}
	write("two, longer")
	if err := d.Put(ctx, "images/x y.png", file); err != nil {
		t.Fatal(err)
	}
	get("two, longer")
	if n, err := d.Size(ctx); err != nil || n != int64(len("two, longer")) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := d.Get(ctx, "images/none.png", there); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	// Somebody writes other bytes under our hash.
	_, err = clientOf(t, b, nil).PutObject(ctx, "pictures", "foxes/works/a/out/bad.png", bytes.NewReader([]byte("junk")), 4, minio.PutObjectOptions{UserMetadata: map[string]string{hashKey: strings.Repeat("0", 64)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Get(ctx, "bad.png", filepath.Join(dir, "bad.png")); err == nil || !strings.Contains(err.Error(), "not what was put there") {
		t.Errorf("damaged: %v", err)
	}
	if entries, err := filepath.Glob(filepath.Join(dir, "*bad*")); err != nil || len(entries) > 0 {
		t.Errorf("of the damaged one there is %v", entries)
	}
	for range 2 {
		if err := d.Remove(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Size(ctx); err != nil || n != 0 {
		t.Errorf("after the removal %d bytes, %v", n, err)
	}
	if n, err := neighbour.Size(ctx); err != nil || n != 3 {
		t.Errorf("the neighbour has %d bytes, %v", n, err)
	}
}

// A folder that leads elsewhere is a mistake of the program.
func TestDepotFolder(t *testing.T) {
	b := open(t, Config{URL: "s3://pictures"}, Options{Getenv: s3test.Getenv})
	for _, folder := range []string{"", ".", "../x", "a//b", "/a"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is taken", folder)
				}
			}()
			b.Depot(folder)
		}()
	}
}
