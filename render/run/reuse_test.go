package run_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// painter is an endpoint that gives each owed output a picture made of its prefix, and counts the renders that it was sent.
type painter struct {
	name, worker string
	down         bool

	mu   sync.Mutex
	jobs []*compiler.Job
	sent int
}

func (p *painter) Properties() scheduler.Properties {
	usd := 0.001
	return scheduler.Properties{Name: p.name, Type: "runpod", GPU: "rtx4090", Worker: p.worker, Price: &usd,
		Limits: compiler.Limits{InFlight: 20, SubmitPer10s: 1000, StatusPer10s: 2000, JobBytes: 4 << 20, OutputBytes: 4 << 20, Retention: 30 * 60 * 1e9}}
}

func (p *painter) Check(context.Context) error {
	if p.down {
		return &scheduler.Error{Kind: scheduler.Unreachable, Endpoint: p.name, Op: "check", Message: "nobody answers"}
	}
	return nil
}

func (p *painter) Submit(_ context.Context, job *compiler.Job, _ scheduler.Terms) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs = append(p.jobs, job)
	p.sent += len(job.Renders)
	return fmt.Sprint(len(p.jobs) - 1), nil
}

func (p *painter) Poll(_ context.Context, remote string) (scheduler.Status, error) {
	var n int
	fmt.Sscan(remote, &n)
	p.mu.Lock()
	defer p.mu.Unlock()
	st := scheduler.Status{State: scheduler.Completed, Execution: 2e9}
	for _, o := range p.jobs[n].Owed {
		for k := range max(1, o.Images) {
			st.Outputs = append(st.Outputs, scheduler.Output{Filename: fmt.Sprintf("%s_%05d_.png", o.Prefix, k+1), Base64: paint(o.Prefix, k)})
		}
	}
	return st, nil
}

func (p *painter) Cancel(context.Context, string) error { return nil }
func (p *painter) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return nil, errors.New("there is nothing to fetch")
}

// paint makes a picture of a text.
func paint(text string, k int) string {
	img := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	for i, b := range sha256.Sum256([]byte(fmt.Sprint(text, k))) {
		img.Set(i%16, i/16, color.NRGBA{b, ^b, b, 255})
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img)
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// once runs a batch in a directory, in virtual time, and gives the summary.
func once(t *testing.T, plan *compiler.Plan, opts run.Options) (sum scheduler.Summary) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if sum, err = try(t, plan, opts); err != nil {
			t.Error(err)
		}
	})
	return sum
}

// try is once in real time; the error is the run's, or the cache's.
func try(t *testing.T, plan *compiler.Plan, opts run.Options) (scheduler.Summary, error) {
	t.Helper()
	if opts.Store == nil {
		opts.Store = &store.Memory{}
	}
	b, err := run.Open(plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	sum, err := b.Run(t.Context(), b.Options())
	return sum, errors.Join(err, b.CacheTrouble())
}

const eight = "sweep: {matrix: {EmptyImage.color: \"1-8\"}}\noutput: {filename: \"%axis.EmptyImage.color%\"}\nschedule: {fuse: off}\n"

// TestReuse runs a batch, then another one that has half of its renders, in another directory: only the new half is rendered, and the files of
// the other half are equal.
func TestReuse(t *testing.T) {
	dir := t.TempDir()
	gpu := &painter{name: "gpu", worker: "runpod/worker-comfyui:5.5.0-base"}
	c := cache.New(cache.Folder(filepath.Join(dir, "cache")))
	opts := run.Options{Dir: filepath.Join(dir, "a"), Endpoints: []scheduler.Endpoint{gpu}, Cache: c}
	if sum := once(t, compile(t, dir, eight), opts); !sum.AllDone() || sum.Reused != 0 || gpu.sent != 8 {
		t.Fatalf("the first run: %+v, %d sent", sum, gpu.sent)
	}
	plan := compile(t, dir, "sweep: {matrix: {EmptyImage.color: \"5-12\"}}\noutput: {filename: \"%axis.EmptyImage.color%\"}\nschedule: {fuse: off}\n")
	// Another endpoint with the same image: what the first one made stands in.
	other := &painter{name: "other", worker: gpu.worker}
	opts.Dir, opts.Endpoints, opts.Store = filepath.Join(dir, "b"), []scheduler.Endpoint{other}, &store.Memory{}
	sum := once(t, plan, opts)
	if !sum.AllDone() || sum.Reused != 4 || other.sent != 4 || sum.SpentUSD < 0.007 || sum.SpentUSD > 0.009 {
		t.Fatalf("the second run: %+v, %d sent", sum, other.sent)
	}
	for _, name := range []string{"5", "8"} {
		a, b := pixels(t, filepath.Join(dir, "a/images", name+".png")), pixels(t, filepath.Join(dir, "b/images", name+".png"))
		if a != b {
			t.Errorf("picture %s differs", name)
		}
	}
	b, err := run.Open(plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := b.Manifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range m.Cells {
		reused := cell.Index < 4
		if (cell.Reused != nil) != reused || reused && (*cell.CostUSD != 0 || cell.Endpoint != "gpu" || cell.Reused.Seconds != 2 || cell.Reused.Batch != "t" || cell.Attempts != 0) {
			t.Errorf("cell %d: %+v, reused %+v", cell.Index, cell, cell.Reused)
		}
	}
}

func pixels(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for y := range 16 {
		for x := range 16 {
			fmt.Fprint(sum, img.At(x, y))
		}
	}
	return string(sum.Sum(nil))
}

// TestStandIn: what may stand in for what.
func TestStandIn(t *testing.T) {
	const image = "runpod/worker-comfyui:5.5.0-base"
	for name, test := range map[string]struct {
		first, second *painter
		noReuse       bool
		reused        int
	}{
		"the same endpoint":                {&painter{name: "a"}, &painter{name: "a"}, false, 8},
		"another endpoint, same image":     {&painter{name: "a", worker: image}, &painter{name: "b", worker: image}, false, 8},
		"unknown images":                   {&painter{name: "a"}, &painter{name: "b"}, false, 0},
		"another image":                    {&painter{name: "a", worker: image}, &painter{name: "b", worker: image + "2"}, false, 0},
		"an image without a tag":           {&painter{name: "a", worker: "me/worker"}, &painter{name: "b", worker: "me/worker"}, false, 0},
		"a tag that moves":                 {&painter{name: "a", worker: "me/worker:latest"}, &painter{name: "b", worker: "me/worker:latest"}, false, 0},
		"a port is no tag":                 {&painter{name: "a", worker: "host:5000/worker"}, &painter{name: "b", worker: "host:5000/worker"}, false, 0},
		"a digest":                         {&painter{name: "a", worker: "w@sha256:ab"}, &painter{name: "b", worker: "w@sha256:ab"}, false, 8},
		"not wanted":                       {&painter{name: "a"}, &painter{name: "a"}, true, 0},
		"the second endpoint is not there": {&painter{name: "a"}, &painter{name: "a", down: true}, false, 8},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plan := compile(t, dir, eight)
			opts := run.Options{Dir: filepath.Join(dir, "a"), Endpoints: []scheduler.Endpoint{test.first}, Cache: cache.New(cache.Folder(filepath.Join(dir, "cache")))}
			once(t, plan, opts)
			opts.Dir, opts.Endpoints, opts.NoReuse = filepath.Join(dir, "b"), []scheduler.Endpoint{test.second}, test.noReuse
			if sum := once(t, plan, opts); !sum.AllDone() || sum.Reused != test.reused || test.second.sent != 8-test.reused {
				t.Errorf("%d reused, %d sent, want %d reused: %+v", sum.Reused, test.second.sent, test.reused, sum)
			}
		})
	}
}

// TestReuseDamaged: a damaged, cut, missing or foreign file in the cache is noticed, and its render is rendered again, once.
func TestReuseDamaged(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"a changed byte": func(path string) error {
			data, err := os.ReadFile(path)
			data[len(data)/2] ^= 1
			return errors.Join(err, os.Remove(path), os.WriteFile(path, data, 0o644))
		},
		"cut off":   func(path string) error { return os.Truncate(path, 20) },
		"gone":      os.Remove,
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"bad entry": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plan := compile(t, dir, eight)
			gpu := &painter{name: "gpu"}
			opts := run.Options{Dir: filepath.Join(dir, "a"), Endpoints: []scheduler.Endpoint{gpu}, Cache: cache.New(cache.Folder(filepath.Join(dir, "cache")))}
			once(t, plan, opts)
			kind, n := "files", 0
			if damage == nil {
				kind, damage = "renders", func(path string) error { return os.WriteFile(path, []byte(`{"version": 1}`), 0o644) }
			}
			err := filepath.WalkDir(filepath.Join(dir, "cache", kind), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || n == 3 {
					return err
				}
				n++
				return damage(path)
			})
			if err != nil {
				t.Fatal(err)
			}
			opts.Dir = filepath.Join(dir, "b")
			synctest.Test(t, func(t *testing.T) {
				sum, err := try(t, plan, opts)
				if !sum.AllDone() || sum.Reused != 5 || gpu.sent != 11 || err != nil && name != "a folder" {
					t.Errorf("%d reused, %d sent in all: %+v, %v", sum.Reused, gpu.sent, sum, err)
				}
			})
			if name == "a folder" {
				return // nothing can be put there
			}
			opts.Dir = filepath.Join(dir, "c")
			if sum := once(t, plan, opts); sum.Reused != 8 {
				t.Errorf("what was rendered again is not in the cache: %+v", sum)
			}
		})
	}
}

// TestReusePost: the cache has what the endpoint gave, so another output.post is applied to it; what it had been made into before does not matter.
func TestReusePost(t *testing.T) {
	dir := t.TempDir()
	gpu := &painter{name: "gpu"}
	opts := run.Options{Dir: filepath.Join(dir, "a"), Endpoints: []scheduler.Endpoint{gpu}, Cache: cache.New(cache.Folder(filepath.Join(dir, "cache")))}
	once(t, compile(t, dir, strings.Replace(eight, "output: {", "output: {post: [{resize: {width: 4}}, {format: {type: jpeg}}], ", 1)), opts)
	opts.Dir = filepath.Join(dir, "b")
	sum := once(t, compile(t, dir, strings.Replace(eight, "output: {", "output: {post: [{resize: {width: 8}}], ", 1)), opts)
	if sum.Reused != 8 || gpu.sent != 8 {
		t.Fatalf("%+v", sum)
	}
	for path, width := range map[string]int{"a/images/3.jpg": 4, "a/originals/3.png": 16, "b/images/3.png": 8, "b/originals/3.png": 16} {
		f, err := os.Open(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := image.DecodeConfig(f)
		f.Close()
		if err != nil || c.Width != width {
			t.Errorf("%s: %d pixels wide, want %d, %v", path, c.Width, width, err)
		}
	}
}

// TestReuseNoRoom: a cache that cannot be written, as on a full or read-only disk, costs a batch nothing but the reuse.
func TestReuseNoRoom(t *testing.T) {
	dir := t.TempDir()
	gpu := &painter{name: "gpu"}
	where := filepath.Join(dir, "cache")
	if err := os.WriteFile(where, []byte("no folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	plan := compile(t, dir, eight)
	opts := run.Options{Dir: filepath.Join(dir, "a"), Endpoints: []scheduler.Endpoint{gpu}, Cache: cache.New(cache.Folder(where))}
	synctest.Test(t, func(t *testing.T) {
		sum, err := try(t, plan, opts)
		if !sum.AllDone() || gpu.sent != 8 || err == nil || !strings.Contains(err.Error(), "cache") {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}
