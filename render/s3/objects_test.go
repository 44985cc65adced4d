package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// TestCache keeps finished renders in a bucket of a real server: what is put comes back whole, what was damaged there is noticed, and a sweep
// removes what is too much and nothing else.
func TestCache(t *testing.T) {
	g := s3test.Start(t, nil)
	b := open(t, Config{URL: "s3://renders/team", Endpoint: "http://" + g.Address, Style: "path"}, Options{Getenv: s3test.Getenv})
	if err := clientOf(t, b, nil).MakeBucket(t.Context(), "renders", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := clientOf(t, b, nil).PutObject(t.Context(), "renders", "team/mine.txt", strings.NewReader("mine"), 4, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	c := cache.New(Objects{b})
	var keys []cache.Key
	var files []cache.File
	for i := range 3 {
		content := fmt.Sprintf("picture %02d", i)
		sum := sha256.Sum256([]byte(content))
		f := cache.File{Output: "o", Ext: ".png", SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
		path := filepath.Join(t.TempDir(), "x.png")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		key := cache.KeyOf(compiler.RenderID(sum), "w", nil)
		for range 2 { // the second time nothing is sent
			if err := errors.Join(c.PutFile(t.Context(), path, f.SHA256, f.Bytes), c.Put(t.Context(), key, cache.Entry{Files: []cache.File{f}})); err != nil {
				t.Fatal(err)
			}
		}
		keys, files = append(keys, key), append(files, f)
	}
	read := func(f cache.File) string {
		r, err := c.Open(t.Context(), f)
		if err != nil {
			return err.Error()
		}
		defer r.Close()
		data, _ := io.ReadAll(r)
		return string(data)
	}
	if got := read(files[1]); got != "picture 01" {
		t.Errorf("read %q", got)
	}
	name := "files/" + files[1].SHA256[:2] + "/" + files[1].SHA256
	if err := (Objects{b}).Put(t.Context(), name, []byte("picture 99")); err != nil {
		t.Fatal(err)
	}
	if got := read(files[1]); got != cache.ErrMissing.Error() {
		t.Errorf("the damaged one: %q", got)
	}
	if v, err := c.Verify(t.Context()); err != nil || len(v.Damaged) != 1 || v.Files != 2 { // the entry whose file is gone
		t.Errorf("verified %+v, %v", v, err)
	}
	c.Used(t.Context(), keys[0])
	known, err := c.Known(t.Context(), append(make([]cache.Key, 100), keys...))
	if err != nil || !known[100] || known[101] || !known[102] {
		t.Errorf("known %v, %v", known[100:], err)
	}
	if s, err := c.Sweep(t.Context(), cache.SweepOptions{MaxBytes: 1}); err != nil || s.Entries != 2 || s.Files != 2 {
		t.Errorf("swept %+v, %v", s, err)
	}
	left := 0
	for info := range clientOf(t, b, nil).ListObjects(t.Context(), "renders", minio.ListObjectsOptions{Recursive: true}) {
		left++
		if info.Key != "team/mine.txt" {
			t.Errorf("left: %s, %v", info.Key, info.Err)
		}
	}
	if left != 1 {
		t.Errorf("%d objects left", left)
	}
}
