package dialect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/dialect/comfyui"
)

// The tests here need a ComfyUI server, of version 0.26 or so; one on a CPU and without any model will do (main.py --cpu). Its history is cleared.
//
//	COMFYC_COMFYUI_URL=http://127.0.0.1:8188 go test -run RealComfyUI ./scheduler/dialect

// realComfyUI opens an endpoint on the server.
func realComfyUI(t *testing.T, files map[string][]byte) (*comfyui.Endpoint, string) {
	t.Helper()
	url := os.Getenv("COMFYC_COMFYUI_URL")
	if url == "" {
		t.Skip("COMFYC_COMFYUI_URL is not set: no ComfyUI server to test with")
	}
	read := os.ReadFile
	if files != nil {
		read = func(path string) ([]byte, error) { return files[path], nil }
	}
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: url}, dialect.Deps{ReadFile: read})
	if err != nil {
		t.Fatal(err)
	}
	return ep.(*comfyui.Endpoint), url
}

// TestRealComfyUI takes a job through a real server: checked, uploaded, submitted under our own id, found by its token, watched node by node, collected.
func TestRealComfyUI(t *testing.T) {
	pixels := noise(t, 64, time.Now().UnixNano()) // new to the server
	ep, _ := realComfyUI(t, map[string][]byte{"in.png": pixels})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	job := emulated(pixels)
	var heard ears
	begun := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go ep.Watch(watching, func(h scheduler.Hint) {
		heard.hear(h)
		select {
		case begun <- struct{}{}:
		default:
		}
	})
	<-begun
	if err := ep.Prepare(ctx, job); err != nil {
		t.Fatal(err)
	}
	missing := &compiler.Job{Prompt: []byte(`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"none-of-that-name.safetensors"}}}`)}
	if err := ep.Prepare(ctx, missing); err == nil || kindOf(t, err) != scheduler.MissingModel {
		t.Errorf("a missing model: %v", err)
	}
	token := "real-" + time.Now().String()
	if got, err := ep.Find(ctx, token); err != nil || got.Arrival != scheduler.NotFound {
		t.Errorf("before: %+v, %v", got, err)
	}
	job.Workflow = func() []byte { return []byte(`{"nodes":[],"version":0.4}`) }
	id, err := ep.Submit(ctx, job, scheduler.Terms{Token: token})
	if err != nil || id != comfyui.ID(token) {
		t.Fatalf("%q, %v", id, err)
	}
	if got, err := ep.Find(ctx, token); err != nil || got != (scheduler.Found{Arrival: scheduler.Arrived, Remote: id}) {
		t.Errorf("after: %+v, %v", got, err)
	}
	st := untilEnd(ctx, t, ep, id)
	if st.State != scheduler.Completed || len(st.Outputs) != 1 || st.Execution <= 0 {
		t.Fatalf("%+v %v", st, st.Err)
	}
	content := fetched(ctx, t, ep, st.Outputs[0])
	if !bytes.Contains(content, []byte(`workflow`)) || !bytes.Contains(content, []byte(`"version": 0.4`)) {
		t.Error("the picture does not hold the drawing")
	}
	if picture, err := png.Decode(bytes.NewReader(content)); err != nil || picture.Bounds().Dx() != 64 {
		t.Error(err)
	}
	checkRealStory(t, heard.of(id))
	other, _ := realComfyUI(t, map[string][]byte{"in.png": nil}) // a process that knows nothing, and could not upload
	if err := other.Prepare(ctx, job); err != nil {
		t.Errorf("what was uploaded is not found again: %v", err)
	}
}

// checkRealStory: every node was named, and the end was told.
func checkRealStory(t *testing.T, story []scheduler.Hint) {
	t.Helper()
	nodes := map[string]bool{}
	for _, h := range story {
		nodes[h.Node] = true
	}
	if !nodes["1"] || !nodes["2"] || !nodes["9"] || story[len(story)-1].State != scheduler.Completed {
		t.Errorf("%+v", story)
	}
}

func untilEnd(ctx context.Context, t *testing.T, ep scheduler.Endpoint, id string) scheduler.Status {
	t.Helper()
	for {
		st, err := ep.Poll(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Final() {
			return st
		}
		select {
		case <-ctx.Done():
			t.Fatalf("still %v", st.State)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func fetched(ctx context.Context, t *testing.T, ep scheduler.Endpoint, out scheduler.Output) []byte {
	t.Helper()
	file, err := ep.Fetch(ctx, out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestRealComfyUICancel: what runs is interrupted, what waits leaves the queue, and nothing else is touched.
func TestRealComfyUICancel(t *testing.T) {
	ep, _ := realComfyUI(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ids []string
	for n := range 3 {
		prompt := strings.ReplaceAll(slow, "COLOR", strconv.Itoa(rand.IntN(1<<24)))
		id, err := ep.Submit(ctx, &compiler.Job{Prompt: []byte(prompt)}, scheduler.Terms{Token: fmt.Sprint("cancel", n, rand.Uint64())})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, id := range []string{ids[2], ids[0]} { // one that waits, one that runs
		for range 2 {
			if err := ep.Cancel(ctx, id); err != nil {
				t.Error(err)
			}
		}
	}
	want := []scheduler.State{scheduler.Cancelled, scheduler.Completed, scheduler.Gone}
	for i, id := range ids {
		if st := untilEnd(ctx, t, ep, id); st.State != want[i] {
			t.Errorf("job %d: %v, want %v", i+1, st.State, want[i])
		}
	}
}

// slow takes a while on a CPU.
const slow = `{"1":{"class_type":"EmptyImage","inputs":{"width":768,"height":768,"batch_size":1,"color":COLOR}},
	"2":{"class_type":"ImageBlur","inputs":{"image":["1",0],"blur_radius":15,"sigma":9}},"3":{"class_type":"ImageBlur","inputs":{"image":["2",0],"blur_radius":15,"sigma":8}},
	"4":{"class_type":"ImageBlur","inputs":{"image":["3",0],"blur_radius":15,"sigma":7}},"9":{"class_type":"SaveImage","inputs":{"images":["4",0],"filename_prefix":"slow"}}}`

// fusible is a batch of twelve pictures that share their first nodes.
const fusible = `
version: 1
name: fusible
workflow: {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
  "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "width": 512, "height": 512, "crop": "disabled"}},
  "3": {"class_type": "ImageBlur", "inputs": {"image": ["2", 0], "blur_radius": 5, "sigma": 1.0}},
  "4": {"class_type": "ImageSharpen", "inputs": {"image": ["3", 0], "sharpen_radius": 2, "sigma": 1.0, "alpha": 0.5}},
  "5": {"class_type": "ImageScale", "inputs": {"image": ["4", 0], "upscale_method": "area", "width": 256, "height": 256, "crop": "disabled"}},
  "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}}}
inputs: {LoadImage.image: a.png}
sweep: {matrix: {ImageSharpen.alpha: [0.2, 0.5, 1.0, 2.0], ImageBlur.sigma: [1.0, 2.0, 3.0]}}
`

// TestRealComfyUIFused: renders merged into one job give the same pixels as apart, for fewer nodes and less time. What the server itself remembers of the
// prompt before counts for both.
func TestRealComfyUIFused(t *testing.T) {
	ep, url := realComfyUI(t, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.png"), noise(t, 256, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := compilePlan(t, "batch.yaml", dir, fusible)
	pixels := map[int]map[int][32]byte{}
	executed := map[int]int{}
	for _, k := range []int{1, 3, 12} {
		forget(t, url)
		begun := time.Now()
		out := renderOn(t, plan, ep, scheduler.Options{Fuse: k})
		wall := time.Since(begun)
		pixels[k], executed[k] = out.pixels, executedNodes(t, url)
		t.Logf("%2d renders a job: %2d jobs, %2d nodes executed, %.2f s", k, out.Attempts, executed[k], wall.Seconds())
	}
	for _, k := range []int{3, 12} {
		if !maps.Equal(pixels[1], pixels[k]) || len(pixels[k]) != plan.Len() {
			t.Errorf("%d renders a job give other pixels", k)
		}
	}
	if executed[12] >= executed[1] {
		t.Errorf("%d nodes apart, %d merged", executed[1], executed[12])
	}
}

// forget empties the server's history and caches.
func forget(t *testing.T, url string) {
	t.Helper()
	for path, body := range map[string]string{"/history": `{"clear":true}`, "/free": `{"unload_models":true,"free_memory":true}`} {
		resp, err := http.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	time.Sleep(2 * time.Second) // the server frees when its queue has been empty for a moment
}

// executedNodes counts the nodes of all prompts in the history that did not come from the cache.
func executedNodes(t *testing.T, url string) (n int) {
	t.Helper()
	resp, err := http.Get(url + "/history")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var history map[string]struct {
		Prompt []json.RawMessage `json:"prompt"`
		Status struct {
			Messages [][]json.RawMessage `json:"messages"`
		} `json:"status"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&history); err != nil {
		t.Fatal(err)
	}
	for _, h := range history {
		var nodes map[string]json.RawMessage
		if err := json.Unmarshal(h.Prompt[2], &nodes); err != nil {
			t.Fatal(err)
		}
		n += len(nodes)
		for _, m := range h.Status.Messages {
			var cached struct {
				Nodes []string `json:"nodes"`
			}
			if string(m[0]) == `"execution_cached"` && json.Unmarshal(m[1], &cached) == nil {
				n -= len(cached.Nodes)
			}
		}
	}
	return n
}

// noise is a picture that compresses badly and is the same for the same seed.
func noise(t *testing.T, size int, seed int64) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.SetNRGBA(x, y, color.NRGBA{uint8(rng.Uint32()), uint8(rng.Uint32()), uint8(rng.Uint32()), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
