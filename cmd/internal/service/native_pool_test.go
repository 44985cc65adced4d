package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
)

// withModel is a workflow that loads a checkpoint.
const withModel = `{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"mine/any.safetensors"}},
	"2":{"class_type":"CLIPTextEncode","inputs":{"text":"a fox","clip":["1",1]}},
	"3":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":64,"batch_size":1}},
	"4":{"class_type":"KSampler","inputs":{"model":["1",0],"positive":["2",0],"negative":["2",0],"latent_image":["3",0],"seed":1,"steps":2,"cfg":2,"sampler_name":"euler","scheduler":"normal","denoise":1}},
	"5":{"class_type":"VAEDecode","inputs":{"samples":["4",0],"vae":["1",2]}},
	"6":{"class_type":"SaveImage","inputs":{"images":["5",0],"filename_prefix":"fox"}}}`

// A service whose endpoint is the ComfyUI face of another one: our own dialect asks it which models it has before it submits, and takes a pool whose
// models nobody knows for one that may have any.
func TestOurDialectOnOurComfyUIFace(t *testing.T) {
	pool := comfyServer(t)
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {pool: {type: comfyui, url: \""+pool.base+"\"}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	b := c.want(202, "POST", "/api/v1/batches", map[string]any{"version": 1, "workflow": json.RawMessage(withModel), "endpoints": []string{"pool"}}, nil)
	if end := c.ended(b["id"].(string)); end["state"] != "done" {
		t.Errorf("a batch on the face of another service: %v", end)
	}
}

// What the pool's endpoints are known to have stands in the lists; a pool of which one endpoint may have any model has no list.
func TestAPoolShowsItsModels(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "models.txt"), []byte("own.safetensors\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, ends := slowEndpoint(t, dir, `endpoints:
  flux: {type: runpod, url: "https://api.runpod.ai/v2/flux", worker: "runpod/worker-comfyui:5.5.0-flux1-dev-fp8", gpu: h100}
  sdxl: {type: runpod, url: "https://api.runpod.ai/v2/sdxl", worker: "runpod/worker-comfyui:5.5.0-sdxl", gpu: {name: mine, vram_gb: 20}, aliases: {xl.safetensors: sd_xl_base_1.0.safetensors}}
  listed: {type: comfyui, url: "http://127.0.0.1:1", models: models.txt}
  any: {type: comfyui, url: "http://127.0.0.1:1"}
`)
	o := Options{EndpointsFile: file, Endpoints: ends, Getenv: func(name string) string { return map[string]string{"RUNPOD_API_KEY": "k"}[name] }}
	shown := func(pool []string) (list any, models []any, stats map[string]any) {
		t.Helper()
		o := o
		o.Config.Pools = []queue.Pool{{Name: "mine", Endpoints: pool}}
		c := comfyServerOf(t, "mine", o)
		defer c.stop()
		info := c.want(200, "GET", "/object_info/CheckpointLoaderSimple", nil, nil)["CheckpointLoaderSimple"].(map[string]any)
		_, text := c.do("GET", "/models/checkpoints", nil, nil)
		if err := json.Unmarshal(text, &models); err != nil {
			t.Fatal(err)
		}
		return info["input"].(map[string]any)["required"].(map[string]any)["ckpt_name"].([]any)[0], models, c.want(200, "GET", "/system_stats", nil, nil)
	}
	list, models, stats := shown([]string{"flux", "sdxl", "listed"})
	if want := "[flux1-dev-fp8.safetensors own.safetensors sd_xl_base_1.0.safetensors xl.safetensors]"; fmt.Sprint(list) != want || fmt.Sprint(models) != want {
		t.Errorf("list %v, models %v, want %s", list, models, want)
	}
	devices := stats["devices"].([]any)
	var memory []string
	for _, d := range devices {
		memory = append(memory, fmt.Sprintf("%v %.0f", d.(map[string]any)["name"], d.(map[string]any)["vram_total"].(float64)/(1<<30)))
	}
	if want := []string{"h100 80", "mine 20", "listed 0"}; !slices.Equal(memory, want) || stats["comfyc"].(map[string]any)["places"] == 0.0 {
		t.Errorf("devices %v, want %v; %v", memory, want, stats)
	}
	if list, models, _ := shown([]string{"sdxl", "any"}); list != "COMBO" || fmt.Sprint(models) != "[sd_xl_base_1.0.safetensors xl.safetensors]" {
		t.Errorf("a pool that may have any model: list %v, models %v", list, models)
	}
}

// stuckPool is a ComfyUI face of a pool with one place, whose jobs last for ever.
func stuckPool(t *testing.T) *client {
	t.Helper()
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {stuck: {type: preview, limits: {in_flight: 1}, emulator: {execution: 10h}}}\n")
	return comfyServerOf(t, "stuck", Options{EndpointsFile: file, Endpoints: ends})
}

// prompt sends one and gives its id.
func (c *client) prompt(color int, more string) string {
	c.t.Helper()
	return c.want(200, "POST", "/prompt", `{"prompt":`+fmt.Sprintf(emptyImage, color)+more+`}`, nil)["prompt_id"].(string)
}

// pending lists the prompts that wait, as this client sees them.
func (c *client) pending() (ids []string) {
	c.t.Helper()
	for _, item := range c.want(200, "GET", "/queue", nil, nil)["queue_pending"].([]any) {
		ids = append(ids, item.([]any)[1].(string))
	}
	return ids
}

// A prompt with `front` goes before its own key's others, and before nobody else's.
func TestFrontIsOfOneKey(t *testing.T) {
	c := stuckPool(t)
	one, other := c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{}))
	runs := one.prompt(0, "")
	eventually(t, "the one place is taken", func() bool { return len(one.pending()) == 0 })
	first, theirs := one.prompt(1, ""), other.prompt(2, "")
	front := one.prompt(3, `,"front":true`)
	again := one.prompt(4, `,"front":true`)
	if got, want := one.pending(), []string{again, front, first}; !slices.Equal(got, want) {
		t.Errorf("waits %v, want %v", got, want)
	}
	list := one.want(200, "GET", "/queue", nil, nil)["queue_pending"].([]any)
	if n := list[0].([]any)[0].(float64); n >= 0 {
		t.Errorf("the number of a prompt with front is %v", n)
	}
	// Whose turn it is: both keys have had none or one, so the other key's is among the next two, whatever stands in front of the first key's.
	one.want(200, "POST", "/interrupt", `{"prompt_id":"`+runs+`"}`, nil)
	eventually(t, "the next one runs", func() bool { return len(one.pending())+len(other.pending()) == 3 })
	for _, k := range []*client{one, other} {
		k.want(200, "POST", "/interrupt", nil, nil)
	}
	eventually(t, "the one after it runs", func() bool { return len(one.pending())+len(other.pending()) == 2 })
	if waits := other.pending(); len(waits) != 0 {
		t.Errorf("the other key's prompt %s still waits for two with front", theirs)
	}
}

// The history is by the time of the end, whatever the ids are; max_items takes the newest, an offset counts from the oldest.
func TestHistoryIsByTheEnd(t *testing.T) {
	c := comfyServer(t)
	var ids []string
	for i, id := range []string{"cccccccc-0000-4000-8000-000000000000", "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"} {
		ids = append(ids, c.prompt(i, `,"prompt_id":"`+id+`"`))
		eventually(t, "it is in the history", func() bool { return len(c.want(200, "GET", "/history/"+id, nil, nil)) == 1 })
	}
	for query, want := range map[string][]string{"": ids, "?max_items=2": ids[1:], "?max_items=1&offset=1": ids[1:2], "?offset=2": ids[2:], "?max_items=0": nil, "?max_items=2&offset=-1": ids[1:],
		"?offset=9": nil, "?max_items=x&offset=y": ids} {
		_, text := c.do("GET", "/history"+query, nil, nil)
		d := json.NewDecoder(bytes.NewReader(text))
		var got []string
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		for d.More() {
			key, err := d.Token()
			var entry struct{ Status struct{ Completed bool } }
			if err == nil {
				err = d.Decode(&entry)
			}
			if err != nil || !entry.Status.Completed {
				t.Fatalf("history%s: %v %.300s", query, err, text)
			}
			got = append(got, key.(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("history%s: %v, want %v", query, got, want)
		}
	}
}

// What is asked of a ComfyUI face is counted, and what changes something stands in the audit log.
func TestTheComfyUIFaceIsWatched(t *testing.T) {
	c := stuckPool(t)
	runs, waits := c.prompt(0, ""), c.prompt(1, "")
	gone := c.prompt(2, "")
	eventually(t, "one runs", func() bool { return len(c.pending()) == 2 })
	c.want(200, "POST", "/queue", `{"delete":["`+gone+`"]}`, nil)
	c.want(200, "POST", "/history", `{"delete":["`+gone+`"]}`, nil)
	c.want(200, "POST", "/interrupt", `{"prompt_id":"`+runs+`"}`, nil)
	c.want(200, "POST", "/queue", `{"clear":true}`, nil)
	main := *c
	main.base = c.main
	var log []string
	for _, line := range main.want(200, "GET", "/api/v1/audit", nil, nil)["audit"].([]any) {
		l := line.(map[string]any)
		log = append(log, fmt.Sprint(l["action"], " ", l["object"]))
	}
	for _, want := range []string{"cancel " + gone, "delete " + gone, "cancel " + runs} {
		if !slices.Contains(log, want) {
			t.Errorf("the audit log lacks %q: %q", want, log)
		}
	}
	_ = waits // is purged, unless it has begun to run by then
	_, text := main.do("GET", "/metrics", nil, nil)
	for _, want := range []string{`comfyc_http_requests_total{method="POST",route="/prompt",status="2xx"} 3`, `comfyc_http_requests_total{method="POST",route="/interrupt",status="2xx"} 1`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	c.do("GET", "/a-path-of-my-own", nil, nil)
	if _, text := main.do("GET", "/metrics", nil, nil); strings.Contains(string(text), "a-path-of-my-own") {
		t.Error("a client has made a label")
	}
}

// sendUpload uploads under a name, into a subfolder, and gives the status and the answer.
func (c *client) sendUpload(name, sub, overwrite string, data []byte) (int, string) {
	c.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	w, _ := m.CreateFormFile("image", name)
	w.Write(data)
	m.WriteField("subfolder", sub)
	m.WriteField("overwrite", overwrite)
	m.Close()
	answer, text := c.do("POST", "/upload/image", &body, header{"Content-Type": m.FormDataContentType()})
	return answer.StatusCode, string(text)
}

// Nothing that was uploaded is written over unless that is asked for, and neither names nor folders are without end.
func TestUploadsKeepApart(t *testing.T) {
	c := comfyServer(t)
	dir := filepath.Join(c.svc.Dir, "native", "preview", "anyone")
	if err := os.MkdirAll(filepath.Join(dir, "folder.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "folder.png", "inside.png"), nil, 0o600); err != nil { // or it would go as an empty folder
		t.Fatal(err)
	}
	for i := range 1000 { // all names that are tried
		name := "a.png"
		if i > 0 {
			name = fmt.Sprintf("a (%d).png", i)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint("content ", i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if status, text := c.sendUpload("a.png", "", "", []byte("new")); status != 403 || !strings.Contains(text, "too_many_uploads") {
		t.Errorf("the 1001st of a name: %d %s", status, text)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a (999).png")); err != nil || string(data) != "content 999" {
		t.Errorf("the last one holds %q, %v", data, err)
	}
	if status, text := c.sendUpload("a.png", "", "", []byte("content 7")); status != 200 || !strings.Contains(text, "a (7).png") {
		t.Errorf("content that is there: %d %s", status, text)
	}
	if status, text := c.sendUpload("a.png", "", "true", []byte("new")); status != 200 || !strings.Contains(text, `"a.png"`) {
		t.Errorf("overwrite: %d %s", status, text)
	}
	for _, x := range []struct {
		name, sub, overwrite string
		status               int
	}{
		{"folder.png", "", "", 200}, {"folder.png", "", "true", 400}, {"b.png", "a.png", "", 400}, {"b.png", "1/2/3/4/5/6/7/8", "", 200}, {"b.png", "1/2/3/4/5/6/7/8/9", "", 400},
		{"b.png", "../other", "", 400}, {"b.png", "a/./b", "", 400}, {".new", "", "", 400},
	} {
		if status, text := c.sendUpload(x.name, x.sub, x.overwrite, []byte("x")); status != x.status {
			t.Errorf("%s in %q, overwrite %q: %d %s, want %d", x.name, x.sub, x.overwrite, status, text, x.status)
		}
	}
	for i := range 1000 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint("sub", i)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("sub", i), "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if status, text := c.sendUpload("b.png", "one-more", "", []byte("x")); status != 403 || !strings.Contains(text, "folders") {
		t.Errorf("folder 1001: %d %s", status, text)
	}
	old := time.Now().Add(-365 * 24 * time.Hour)
	for i := range 1000 { // their time is over: they go, and their folders with them
		if err := os.Chtimes(filepath.Join(dir, fmt.Sprint("sub", i), "f"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if status, text := c.sendUpload("b.png", "one-more", "", []byte("x")); status != 200 {
		t.Errorf("after the old ones have gone: %d %s", status, text)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub1")); !os.IsNotExist(err) {
		t.Errorf("an empty folder: %v", err)
	}
}
