package service

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	imagepng "image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// noise is a PNG of more than the megabyte that a work's row takes.
func noise(t *testing.T) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 640, 640))
	r := rand.NewPCG(1, 2)
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint64())
	}
	var b bytes.Buffer
	if err := imagepng.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withBucket lets each replica have a folder of its own; the files of works are in a bucket.
func (m *team) withBucket() {
	address := s3test.Start(m.t, []string{"team"}).Address
	m.files = &s3.Config{URL: "s3://team/comfyc", Endpoint: "http://" + address, Style: "path"}
	m.getenv = s3test.Getenv
}

// Two replicas share a database and a bucket, and no folder: each shows what the other has made, a third that begins with nothing shows all, and what is
// deleted is gone from the bucket.
func TestReplicasWithABucket(t *testing.T) {
	m := newTeam(t, 6)
	m.withBucket()
	a := m.join()
	a = m.use(a, keys.Limits{})
	b := m.join()
	m.remote.gate(true)
	photo := noise(t)
	batch := map[string]any{"version": 1, "name": "photo", "endpoints": []string{"cloud"}, "schedule": map[string]any{"fuse": "off"},
		"workflow": map[string]any{"1": map[string]any{"class_type": "LoadImage", "inputs": map[string]any{"image": "a.png"}},
			"2": map[string]any{"class_type": "ImageScale", "inputs": map[string]any{"image": []any{"1", 0}, "upscale_method": "nearest-exact", "width": 64, "height": 64, "crop": "disabled"}},
			"9": map[string]any{"class_type": "SaveImage", "inputs": map[string]any{"images": []any{"2", 0}, "filename_prefix": "pic"}}},
		"sweep":  map[string]any{"matrix": map[string]any{"2.width": map[string]any{"from": 16, "count": 40}}},
		"inputs": map[string]any{"LoadImage.image": "photo.png"},
		"files":  map[string]any{"photo.png": map[string]any{"base64": base64.StdEncoding.EncodeToString(photo)}}}
	id := a.submit(batch, nil)
	if end := b.ended(id); end["state"] != "done" {
		t.Fatalf("ended %v", end)
	}
	c := m.join()
	for name, r := range map[string]*client{"the first": a, "the second": b, "one that came after": c} {
		gallery := "/api/v1/batches/" + id + "/gallery/"
		cells := r.want(200, "GET", gallery+"manifest.json", nil, nil)["cells"].([]any)
		if len(cells) != 40 {
			t.Fatalf("%s has %d cells", name, len(cells))
		}
		for _, cell := range cells {
			file := cell.(map[string]any)["files"].([]any)[0].(map[string]any)
			for _, path := range []string{file["path"].(string), file["thumb"].(string)} {
				if answer, data := r.do("GET", gallery+path, nil, nil); answer.StatusCode != 200 || len(data) == 0 {
					t.Errorf("%s answers for %s: %d", name, path, answer.StatusCode)
				}
			}
		}
		for _, page := range []string{"index.html", "contact-sheet.png"} {
			if answer, data := r.do("GET", gallery+page, nil, nil); answer.StatusCode != 200 || len(data) == 0 {
				t.Errorf("%s answers for %s: %d", name, page, answer.StatusCode)
			}
		}
		r.want(404, "GET", gallery+"images/none.png", nil, nil)
	}
	job := a.want(200, "POST", "/v2/cloud/runsync", map[string]any{"input": map[string]any{"workflow": flow(1)}}, nil)
	told := c.want(200, "GET", "/v2/cloud/status/"+job["id"].(string), nil, nil)
	if job["status"] != "COMPLETED" || fmt.Sprint(told["output"]) != fmt.Sprint(job["output"]) {
		t.Errorf("another replica tells of the job %.300v, not %.300v", told, job)
	}
	if got := a.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["bytes"].(float64); got < float64(len(photo)) {
		t.Errorf("the batch has %v bytes, and its input alone has %d", got, len(photo))
	}
	bucket, err := s3.Open(*m.files, s3.Options{Getenv: m.getenv})
	if err != nil {
		t.Fatal(err)
	}
	c.want(204, "DELETE", "/api/v1/batches/"+id+"?purge=true", nil, nil)
	if n, err := bucket.Depot("works/" + id).Size(t.Context()); err != nil || n != 0 {
		t.Errorf("%d bytes of it are left in the bucket, %v", n, err)
	}
}

// A bucket that is not there, or whose key is wrong, ends the start.
func TestBucketIsAskedAtTheStart(t *testing.T) {
	m := &team{t: t}
	m.withBucket()
	for name, change := range map[string]func(*Options){
		"no such bucket": func(o *Options) {
			o.Config.Files = &s3.Config{URL: "s3://nobody", Endpoint: m.files.Endpoint, Style: "path"}
		},
		"a wrong key": func(o *Options) {
			o.Getenv = func(name string) string {
				return map[string]string{"BUCKET_ACCESS_KEY_ID": s3test.Key, "BUCKET_SECRET_ACCESS_KEY": "wrong-s3cr3t"}[name]
			}
		},
		"no key": func(o *Options) { o.Getenv = func(string) string { return "" } },
	} {
		o := Options{Dir: t.TempDir(), Address: "127.0.0.1:0", Getenv: m.getenv, Config: Config{Files: m.files}}
		change(&o)
		s, err := Open(t.Context(), o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "files: ") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A copy of a work that another replica deleted goes; what is young, or of a work that is not over, stays.
func TestCopiesAreDropped(t *testing.T) {
	m := newTeam(t, 1)
	m.withBucket()
	c := m.join()
	young, old := filepath.Join(c.dir, "works", "0a"), filepath.Join(c.dir, "works", "0b")
	for _, dir := range []string{young, old} {
		if err := os.MkdirAll(filepath.Join(dir, "out"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	past := c.svc.Now().AddDate(0, 0, -2)
	for _, dir := range []string{filepath.Join(old, "out"), old} {
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	c.svc.Queue.DropCopies(t.Context())
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old one: %v", err)
	}
}
