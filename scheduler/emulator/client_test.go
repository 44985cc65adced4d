package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start makes an emulator that ends with the test.
func start(t testing.TB, c Config) *Emulator {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// client asks an emulator.
type client struct {
	t    testing.TB
	http http.Client
	base string
	key  string
}

func direct1(t testing.TB, e *Emulator) *client {
	return &client{t: t, http: http.Client{Transport: e.RoundTripper()}, base: "http://emulator.test"}
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	text   string
	err    error
}

func (r reply) value(t testing.TB) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile("answer", []byte(r.text)), source.Limits{})
	if err != nil {
		t.Fatalf("answer %d %q is no JSON: %v", r.status, clip(r.text), err)
	}
	return v
}

func clip(s string) string { return s[:min(len(s), 300)] }

func (c *client) do(method, path, body string) reply {
	req, err := http.NewRequestWithContext(context.Background(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("Content-Type", "application/json")
	return c.send(req)
}

func (c *client) send(req *http.Request) reply {
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text), err}
}

// run submits an input and gives the job's id.
func (c *client) run(path, input string) string {
	c.t.Helper()
	r := c.do("POST", path, `{"input":`+input+`}`)
	if r.status != 200 {
		c.t.Fatalf("submit: %d %s %v", r.status, clip(r.text), r.err)
	}
	return r.value(c.t).Get("id").Str()
}

func (c *client) state(path string) *source.Value {
	c.t.Helper()
	r := c.do("GET", path, "")
	if r.status != 200 {
		c.t.Fatalf("%s: %d %s %v", path, r.status, clip(r.text), r.err)
	}
	return r.value(c.t)
}

// stub is a runner that saves one tiny picture per saving node, after d.
func stub(d time.Duration) Runner {
	return func(ctx context.Context, prompt []byte, o worker.Options) (*worker.Result, error) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var nodes map[string]struct {
			Class  string `json:"class_type"`
			Inputs map[string]any
		}
		if err := json.Unmarshal(prompt, &nodes); err != nil {
			return nil, err
		}
		r := &worker.Result{Executed: len(nodes)}
		for _, id := range o.Targets {
			prefix := fmt.Sprint(nodes[id].Inputs["filename_prefix"])
			folder := "output"
			if nodes[id].Class == "PreviewImage" {
				prefix, folder = "ComfyUI_temp", "temp"
			}
			r.Files = append(r.Files, worker.File{Node: id, Filename: fmt.Sprintf("%s_%05d_.png", prefix, o.Counter(prefix)), Type: folder, Data: []byte("picture of " + id)})
		}
		return r, nil
	}
}

// workflow is a small prompt with one saved picture per prefix.
func workflow(color int, prefixes ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"1":{"class_type":"EmptyImage","inputs":{"width":16,"height":8,"batch_size":1,"color":%d}}`, color)
	for i, p := range prefixes {
		fmt.Fprintf(&b, `,"%d":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":%q}}`, i+2, p)
	}
	return b.String() + "}"
}

// input is the workflow as worker-comfyui takes it.
func input(color int, prefixes ...string) string {
	return `{"workflow":` + workflow(color, prefixes...) + `}`
}

// shared finds the recorded exchanges beside the repository.
func shared(t testing.TB, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found := filepath.Join(dir, "shared", path)
		if _, err := os.Stat(found); err == nil {
			return found
		}
	}
	t.Skipf("there is no shared/%s beside the repository", path)
	return ""
}

func decodePNG(t *testing.T, data string) image.Image {
	t.Helper()
	img, err := png.Decode(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}
