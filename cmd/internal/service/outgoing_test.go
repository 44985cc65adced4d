package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// sealing is an environment with a key for secrets.
func sealing(name string) string {
	return map[string]string{seal.Variable: strings.Repeat("k", 40)}[name]
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// holdsSecret tells the files below a folder that hold a text.
func holdsSecret(t *testing.T, dir, secret string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// platform is a RunPod endpoint of the emulator, behind a server that notes the bodies of submits.
func platform(t *testing.T) (url string, submits func() []string) {
	t.Helper()
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "ep", Dialects: []emulator.Dialect{emulator.RunPod}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	var mu sync.Mutex
	var bodies []string
	proxy := &httputil.ReverseProxy{Transport: e.RoundTripper(), Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "emulator" }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/run") {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			mu.Lock()
			bodies = append(bodies, string(body))
			mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v2/ep", func() []string { mu.Lock(); defer mu.Unlock(); return bodies }
}

// A comfy.org key goes to the endpoint in the form that its worker reads, and is nowhere else: not in the data folder, not in the log, not in
// an answer.
func TestAComfyOrgKeyIsForwardedAndKeptSecret(t *testing.T) {
	url, submits := platform(t)
	dir := t.TempDir()
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {ep: {type: runpod, url: "+url+", worker: \"runpod/worker-comfyui:5.5.0-base\"}}\n")
	var log lockedBuffer
	c := serve(t, Options{Dir: dir, EndpointsFile: file, Endpoints: ends, Getenv: sealing, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	const secret = "comfyui-s3cr3t"
	s := c.want(200, "POST", "/v2/ep/runsync", map[string]any{"input": map[string]any{"workflow": flow(1), "comfy_org_api_key": secret}}, nil)
	if s["status"] != "COMPLETED" || strings.Contains(fmt.Sprint(s), secret) {
		t.Fatalf("runsync: %v", s)
	}
	all := submits()
	var sent struct{ Input map[string]any }
	if len(all) != 1 || json.Unmarshal([]byte(all[0]), &sent) != nil || sent.Input["comfy_org_api_key"] != secret || sent.Input["workflow"] == nil {
		t.Errorf("submitted %.500s", all)
	}
	c.want(200, "POST", "/v2/ep/runsync", map[string]any{"input": map[string]any{"workflow": flow(2)}}, nil)
	if all = submits(); len(all) != 2 || strings.Contains(all[1], secret) {
		t.Errorf("another job was sent with the key: %.500s", all[len(all)-1])
	}
	c.stop()
	if files := holdsSecret(t, dir, secret); len(files) > 0 || strings.Contains(log.String(), secret) {
		t.Errorf("the key is in %v, in the log: %t", files, strings.Contains(log.String(), secret))
	}
}

// Images may come by their address, through the guarded dialer: what is private is refused, by redirect too, and so is what is too large.
func TestImagesByTheirAddress(t *testing.T) {
	png, _ := base64.StdEncoding.DecodeString(dot)
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(png) }))
	defer inside.Close()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a.png":
			w.Write(png)
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/endless":
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer outside.Close()
	c := serve(t, Options{Config: Config{AllowHosts: []string{outside.Listener.Addr().String()}}})
	ask := func(status int, images ...string) map[string]any {
		list := []any{}
		for i, address := range images {
			list = append(list, map[string]any{"name": fmt.Sprintf("%c.png", 'a'+i), "image": address})
		}
		return c.want(status, "POST", "/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": json.RawMessage(loadImage), "images": list}}, nil)
	}
	if s := ask(200, outside.URL+"/a.png"); s["status"] != "COMPLETED" {
		t.Errorf("by its address: %v", s)
	}
	for _, bad := range []string{inside.URL, outside.URL + "/inside", outside.URL + "/nothing", outside.URL + "/endless", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://2130706433/",
		"http://user:pass@" + outside.Listener.Addr().String() + "/a.png"} {
		if p := ask(400, bad); !strings.Contains(p["error"].(string), "a.png") || strings.Contains(p["error"].(string), "pass@") {
			t.Errorf("%s: %v", bad, p)
		}
	}
}

// hook is a receiver of webhooks.
type hook struct {
	*httptest.Server
	mu  sync.Mutex
	got []http.Header
	all []string
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.got, h.all = append(h.got, r.Header), append(h.all, string(body))
		h.mu.Unlock()
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) calls() ([]http.Header, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got, h.all
}

// The webhook of a job is its status, in its platform's words, signed with the secret that its key's session shows; that of a batch is its
// result. Each is told once, and the log of deliveries says so.
func TestWebhooksOfJobsAndBatches(t *testing.T) {
	h := newHook(t)
	c := serve(t, Options{Config: Config{AllowHosts: []string{h.Listener.Addr().String()}}})
	k := c.as(c.addKey(keys.Limits{}))
	secret, err := webhook.ParseSecret(k.want(200, "GET", "/api/v1/session", nil, nil)["webhook_secret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	job := k.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(1)}, "webhook": h.URL + "/job"}, nil)["id"]
	bad := k.want(200, "POST", "/v1/preview/run", map[string]any{"input": map[string]any{"workflow": map[string]any{}}, "webhook": h.URL + "/bad"}, nil)["id"]
	batch := small("told", 2)
	batch["notify"] = map[string]any{"webhook": h.URL + "/batch"}
	id := k.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "three calls", func() bool { heads, _ := h.calls(); return len(heads) >= 3 })
	heads, bodies := h.calls()
	said := map[any]map[string]any{}
	for i, body := range bodies {
		var m map[string]any
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
		if want := webhook.Sign(secret, heads[i].Get("webhook-id"), heads[i].Get("webhook-timestamp"), []byte(body)); heads[i].Get("webhook-signature") != want {
			t.Errorf("signature %s, want %s", heads[i].Get("webhook-signature"), want)
		}
		key := m["id"]
		if data, ok := m["data"].(map[string]any); ok {
			key = data["id"]
		}
		said[key] = m
	}
	if s := said[job]; s["status"] != "COMPLETED" || s["output"] == nil {
		t.Errorf("the job's: %.300v", s)
	}
	if s := said[bad]; s["status"] != "FAILED" || s["error"] == "" {
		t.Errorf("the bad job's: %v", s)
	}
	if s := said[id]; s["type"] != "batch.done" || s["data"].(map[string]any)["result"] == nil {
		t.Errorf("the batch's: %v", s)
	}
	eventually(t, "the log says delivered", func() bool {
		list := k.want(200, "GET", "/api/v1/batches/"+id+"/deliveries", nil, nil)["deliveries"].([]any)
		return len(list) == 1 && list[0].(map[string]any)["state"] == "delivered" && list[0].(map[string]any)["tries"] == 1.0
	})
}

// A webhook to a private address is given up at once, and the log says why; nothing of the address but its host is shown.
func TestAPrivateWebhookIsGivenUp(t *testing.T) {
	h := newHook(t)
	c := serve(t, Options{Getenv: sealing})
	for _, address := range []string{h.URL + "/x?token=s3cr3t", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest", "http://0x7f000001:1/", "http://2130706433:1/"} {
		batch := small("told", 1)
		batch["notify"] = map[string]any{"webhook": address}
		id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
		var d map[string]any
		eventually(t, "it was tried", func() bool {
			list := c.want(200, "GET", "/api/v1/batches/"+id+"/deliveries", nil, nil)["deliveries"].([]any)
			if len(list) == 1 {
				d = list[0].(map[string]any)
			}
			return d != nil && d["tries"] != 0.0
		})
		named := strings.Contains(address, "x7f0") || strings.Contains(address, "2130") // names that some resolvers take for addresses, and others do not know
		if strings.Contains(fmt.Sprint(d), "s3cr3t") || d["error"] == "" || d["state"] == "delivered" || d["state"] != "given-up" && !named {
			t.Errorf("%s: %v", address, d)
		}
	}
	if heads, _ := h.calls(); len(heads) > 0 {
		t.Errorf("%d calls reached a private address", len(heads))
	}
	for _, bad := range []string{"ftp://example.com/", "gopher://127.0.0.1:6379/_x", "https://user:pass@example.com/", "//example.com", "https://example.com/\r\nX-Injected: 1"} {
		batch := small("told", 1)
		batch["notify"] = map[string]any{"webhook": bad}
		c.want(422, "POST", "/api/v1/batches", batch, nil)
		c.want(400, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(1)}, "webhook": bad}, nil)
	}
}

// With s3Config the outputs of a job go into the client's bucket, and its answer holds links that can be followed.
func TestOutputsGoToTheClientsBucket(t *testing.T) {
	address := s3test.Start(t, []string{"renders"}).Address
	dir := t.TempDir()
	c := serve(t, Options{Dir: dir, Getenv: sealing, Config: Config{AllowHosts: []string{address}}})
	ask := func(secret, bucket, endpoint string) map[string]any {
		return c.want(200, "POST", "/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": flow(1)},
			"s3Config": map[string]string{"accessId": s3test.Key, "accessSecret": secret, "bucketName": bucket, "endpointUrl": endpoint}}, nil)
	}
	s := ask(s3test.Secret, "renders", "http://"+address)
	if s["status"] != "COMPLETED" {
		t.Fatalf("runsync: %v", s)
	}
	image := s["output"].(map[string]any)["images"].([]any)[0].(map[string]any)
	if image["type"] != "s3_url" || !strings.HasPrefix(image["data"].(string), "http://"+address+"/renders/"+s["id"].(string)+"/pic_00001_.png?") {
		t.Fatalf("output %v", image)
	}
	answer, err := http.Get(image["data"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if data, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("the link: %d %.200s", answer.StatusCode, data)
	}
	for name, s := range map[string]map[string]any{"a wrong secret": ask("wrong-s3cr3t", "renders", "http://"+address), "no such bucket": ask(s3test.Secret, "nobody", "http://"+address),
		"a private address": ask(s3test.Secret, "renders", "http://127.0.0.1:1")} {
		if s["status"] != "FAILED" || s["error"] == "" || strings.Contains(fmt.Sprint(s), "s3cr3t") || strings.Contains(fmt.Sprint(s), s3test.Secret) {
			t.Errorf("%s: %v", name, s)
		}
	}
	c.stop()
	if files := append(holdsSecret(t, dir, s3test.Secret), holdsSecret(t, dir, "wrong-s3cr3t")...); len(files) > 0 {
		t.Errorf("the bucket's secret is in %v", files)
	}
}
