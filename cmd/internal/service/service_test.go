package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// TestMain lets this program be the process that runs templates.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "script-child" {
		if err := script.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "replica" {
		runReplica()
		return
	}
	os.Exit(m.Run())
}

// client talks to a service over an in-memory listener, or over loopback.
type client struct {
	t    testing.TB
	http *http.Client
	base string
	main string // of the main listener, if base is another one's
	key  string
	stop func()
	svc  *Service
	dir  string // its data folder, where a team sets it
}

// serve starts a service with the preview endpoint. The options that are zero get what a test needs.
func serve(t testing.TB, o Options) *client {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Log == nil && os.Getenv("COMFYC_TEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Scripts = script.Options{Command: []string{self, "script-child"}}
	c := &client{t: t}
	if o.Listen == nil {
		ln := fasthttputil.NewInmemoryListener()
		o.Listen = func(string, string) (net.Listener, error) { return ln, nil }
		c.http = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.Dial() }}}
		c.base = "http://127.0.0.1"
	} else {
		c.http = &http.Client{Transport: &http.Transport{}}
	}
	ready := make(chan string, 1)
	o.Ready = func(base string) { ready <- base }
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c.svc = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	select {
	case base := <-ready:
		if c.base == "" {
			c.base = base
		}
	case err := <-ended:
		t.Fatal(err)
	}
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		c.http.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(c.stop)
	return c
}

// loopbackListen serves on a real port.
func loopbackListen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

type header map[string]string

// do makes a request. A body that is no io.Reader is sent as JSON.
func (c *client) do(method, path string, body any, h header) (*http.Response, []byte) {
	c.t.Helper()
	r := c.request(method, path, body, h)
	answer, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer, text
}

func (c *client) request(method, path string, body any, h header) *http.Request {
	c.t.Helper()
	var reader io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case io.Reader:
		reader = b
	case string:
		reader, kind = strings.NewReader(b), "application/json"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		reader, kind = bytes.NewReader(text), "application/json"
	}
	r, err := http.NewRequest(method, c.base+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	for k, v := range h {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	return r
}

// want makes a request, holds its status, and reads the answer's JSON.
func (c *client) want(status int, method, path string, body any, h header) map[string]any {
	c.t.Helper()
	answer, text := c.do(method, path, body, h)
	if answer.StatusCode != status {
		c.t.Fatalf("%s %s: %d, want %d: %.600s", method, path, answer.StatusCode, status, text)
	}
	out := map[string]any{}
	if len(text) > 0 && strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(text, &out); err != nil {
			c.t.Fatalf("%s %s: %v: %.300s", method, path, err, text)
		}
	}
	return out
}

// addKey makes a key and waits until the service knows it.
func (c *client) addKey(limits keys.Limits) string {
	c.t.Helper()
	if limits.Scopes == nil {
		limits.Scopes = []keys.Scope{keys.Submit, keys.Read}
	}
	text, row, err := keys.New("test", limits, time.Now())
	if err == nil {
		err = c.svc.ledger.AddKey(c.t.Context(), row)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "the key is known", func() bool { return c.svc.Ring.Find(c.t.Context(), text) != nil })
	return text
}

// as gives the same client with another key.
func (c *client) as(key string) *client {
	other := *c
	other.key = key
	return &other
}

// eventually waits for something that other goroutines do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ended waits until a batch has ended and gives it.
func (c *client) ended(id string) map[string]any {
	c.t.Helper()
	var b map[string]any
	eventually(c.t, "batch "+id+" ends", func() bool {
		b = c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)
		return b["state"] != "waiting" && b["state"] != "running"
	})
	return b
}

// emptyImage is a workflow without models: a picture of one colour, saved.
const emptyImage = `{"1":{"class_type":"EmptyImage","inputs":{"width":64,"height":64,"batch_size":1,"color":%d}},
	"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"pic"}}}`

func flow(color int) json.RawMessage { return json.RawMessage(fmt.Sprintf(emptyImage, color)) }

// small is a batch of some renders.
func small(name string, renders int) map[string]any {
	return map[string]any{"version": 1, "name": name, "workflow": flow(0), "sweep": map[string]any{"matrix": map[string]any{"1.color": map[string]any{"from": 1, "count": renders}}}}
}

func TestABatchFromSubmitToGallery(t *testing.T) {
	c := serve(t, Options{})
	b := c.want(202, "POST", "/api/v1/batches", small("first", 3), header{"Idempotency-Key": "k1"})
	id := b["id"].(string)
	if b["renders"] != 3.0 || b["name"] != "first" {
		t.Errorf("accepted %v", b)
	}
	again := c.want(202, "POST", "/api/v1/batches", small("first", 3), header{"Idempotency-Key": "k1"})
	if fmt.Sprint(again) != fmt.Sprint(b) {
		t.Errorf("the same submit: %v, then %v", b, again)
	}
	c.want(409, "POST", "/api/v1/batches", small("first", 4), header{"Idempotency-Key": "k1"})
	end := c.ended(id)
	if end["state"] != "done" || end["result"].(map[string]any)["done"] != 3.0 {
		t.Fatalf("ended %v", end)
	}
	nameless := c.want(202, "POST", "/api/v1/batches", map[string]any{"version": 1, "workflow": flow(0)}, nil)
	if nameless["name"] != "batch" { // and not after the folder in which the server was started
		t.Errorf("a batch without a name is called %v", nameless["name"])
	}
	list := c.want(200, "GET", "/api/v1/batches/"+id+"/renders?limit=2", nil, nil)
	if n := len(list["renders"].([]any)); n != 2 || list["next"] == nil {
		t.Errorf("a page of %d renders, next %v", n, list["next"])
	}
	rest := c.want(200, "GET", list["next"].(string), nil, nil)
	if n := len(rest["renders"].([]any)); n != 1 || rest["next"] != nil {
		t.Errorf("the rest has %d renders, next %v", n, rest["next"])
	}
	file := list["renders"].([]any)[0].(map[string]any)["files"].([]any)[0].(map[string]any)["path"].(string)
	answer, picture := c.do("GET", "/api/v1/batches/"+id+"/gallery/"+file, nil, nil)
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "image/png" || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("picture: %d %v", answer.StatusCode, answer.Header)
	}
	part, some := c.do("GET", "/api/v1/batches/"+id+"/gallery/"+file, nil, header{"Range": "bytes=1-3"})
	if part.StatusCode != 206 || string(some) != "PNG" {
		t.Errorf("range: %d %q", part.StatusCode, some)
	}
	same, _ := c.do("GET", "/api/v1/batches/"+id+"/gallery/"+file, nil, header{"If-None-Match": answer.Header.Get("ETag")})
	if same.StatusCode != 304 {
		t.Errorf("conditional: %d", same.StatusCode)
	}
	page, text := c.do("GET", "/api/v1/batches/"+id+"/gallery/", nil, nil)
	if page.StatusCode != 200 || !strings.Contains(string(text), "first") {
		t.Errorf("gallery: %d", page.StatusCode)
	}
	c.want(200, "GET", "/api/v1/batches/"+id+"/plan", nil, nil)
	c.want(409, "POST", "/api/v1/batches", small("other", 3), header{"Idempotency-Key": "k1"})
	c.want(204, "DELETE", "/api/v1/batches/"+id+"?purge=true", nil, nil)
	c.want(404, "GET", "/api/v1/batches/"+id, nil, nil)
	if _, err := os.Stat(filepath.Join(c.svc.Dir, "works", id)); err == nil {
		t.Error("a deleted batch has left files")
	}
}

func TestMistakesAreAnsweredWithPlaces(t *testing.T) {
	c := serve(t, Options{})
	bad := strings.Replace(fmt.Sprintf(emptyImage, 0), `"width":64`, `"width":"wide"`, 1)
	p := c.want(422, "POST", "/api/v1/batches", `{"version":1,"workflow":`+bad+`}`, nil)
	list := p["diagnostics"].([]any)
	d := list[0].(map[string]any)
	if p["status"] != 422.0 || p["request_id"] == "" || d["line"] == nil || d["code"] == nil || d["node"] != "1" {
		t.Errorf("problem %v", p)
	}
	r := c.want(200, "POST", "/api/v1/check", bad, nil)
	if r["valid"] != false || len(r["diagnostics"].([]any)) == 0 {
		t.Errorf("check %v", r)
	}
	if r := c.want(200, "POST", "/api/v1/check", fmt.Sprintf(emptyImage, 0), nil); r["valid"] != true {
		t.Errorf("check of a good one %v", r)
	}
	c.want(422, "POST", "/api/v1/batches", `{"version":1,`, nil)
	c.want(422, "POST", "/api/v1/convert", `{"nodes":`, nil)
	if r := c.want(200, "POST", "/api/v1/convert", fmt.Sprintf(emptyImage, 0), nil); r["prompt"] == nil {
		t.Errorf("convert %v", r)
	}
	plan := c.want(200, "POST", "/api/v1/plan", small("x", 5), nil)
	if plan["plan"] == nil {
		t.Errorf("plan %v", plan)
	}
	for _, key := range []string{`"output":{"dir":"/tmp/x"}`, `"endpoints":[{"type":"comfyui","url":"http://10.0.0.1"}]`, `"endpoints":["nobody"]`} {
		c.want(422, "POST", "/api/v1/batches", `{"version":1,"workflow":`+fmt.Sprintf(emptyImage, 0)+`,`+key+`}`, nil)
	}
}

// dot is a small PNG.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

const loadImage = `{"1":{"class_type":"LoadImage","inputs":{"image":"a.png"}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"pic"}}}`

func TestFilesInlineAndMultipart(t *testing.T) {
	c := serve(t, Options{})
	inline := `{"version":1, "files": {"in/a.png": {"base64": "` + dot + `"}}, "workflow": ` + loadImage + `, "inputs": {"1.image": "in/a.png"}}`
	b := c.want(202, "POST", "/api/v1/batches", inline, nil)
	if end := c.ended(b["id"].(string)); end["state"] != "done" {
		t.Errorf("inline: %v", end)
	}
	yaml := "version: 1\nfiles:\n  in/a.png: {base64: " + dot + "}\nworkflow: flow.json\ninputs: {1.image: in/a.png}\n"
	c.want(422, "POST", "/api/v1/batches", strings.NewReader(yaml), header{"Content-Type": "application/yaml"}) // flow.json did not come along
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part := func(name, file string, text []byte) {
		w, err := m.CreateFormFile(name, file)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(text)
	}
	png, _ := base64.StdEncoding.DecodeString(dot)
	part("batch", "batch.yaml", []byte("version: 1\nworkflow: flow.json\ninputs: {1.image: photos/a.png}\n"))
	part("flow.json", "flow.json", []byte(loadImage))
	part("photos/a.png", "a.png", png)
	m.Close()
	b = c.want(202, "POST", "/api/v1/batches", &body, header{"Content-Type": m.FormDataContentType()})
	if end := c.ended(b["id"].(string)); end["state"] != "done" {
		t.Errorf("multipart: %v", end)
	}
	for _, name := range []string{"../a.png", "/etc/passwd", "a/../../b", `a\\b`, "c:x", ""} {
		c.want(400, "POST", "/api/v1/batches", `{"version":1,"files":{"`+name+`":{"base64":"`+dot+`"}},"workflow":`+loadImage+`}`, nil)
	}
}

// event is one server-sent event.
type event struct{ kind, id, data string }

// events reads a stream to its end.
func (c *client) events(id, last string) (out []event) {
	c.t.Helper()
	h := header{}
	if last != "" {
		h["Last-Event-ID"] = last
	}
	answer, err := c.http.Do(c.request("GET", "/api/v1/batches/"+id+"/events", nil, h))
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("events: %d %v", answer.StatusCode, answer.Header)
	}
	var e event
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.kind != "" {
				out = append(out, e)
			}
			e = event{}
		}
	}
	return out
}

func TestEventsCanBeGoneOnWith(t *testing.T) {
	c := serve(t, Options{})
	id := c.want(202, "POST", "/api/v1/batches", small("events", 4), nil)["id"].(string)
	live := c.events(id, "") // ends when the batch does
	var stored []event
	for _, e := range live {
		if e.id != "" {
			stored = append(stored, e)
		}
	}
	renders := 0
	for i, e := range stored {
		if e.id != fmt.Sprint(i+1) {
			t.Errorf("event %d has the id %s", i, e.id)
		}
		if e.kind == "render" {
			renders++
		}
	}
	if renders != 4 || stored[0].kind != "state" || !strings.Contains(stored[len(stored)-1].data, `"done"`) {
		t.Errorf("events %v", stored)
	}
	rest := c.events(id, "2")
	if fmt.Sprint(rest) != fmt.Sprint(stored[2:]) {
		t.Errorf("after 2: %v, want %v", rest, stored[2:])
	}
}

// slowEndpoint is a preview whose jobs take long.
func slowEndpoint(t testing.TB, dir, text string) (file string, ends []compiler.EndpointConfig) {
	t.Helper()
	file = filepath.Join(dir, "comfyc-endpoints.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, loadEndpoints(t, file)
}

func TestCancelAndRetry(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, emulator: {execution: 30s}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	batch := small("cancel me", 2)
	batch["endpoints"] = []string{"slow"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "it runs", func() bool { return c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"] == "running" })
	c.want(409, "POST", "/api/v1/batches/"+id+"/retry", nil, nil)
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	if end := c.ended(id); end["state"] != "cancelled" {
		t.Fatalf("ended %v", end)
	}
	c.want(202, "POST", "/api/v1/batches/"+id+"/retry", nil, nil)
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	c.ended(id)
	list := c.want(200, "GET", "/api/v1/batches?state=cancelled", nil, nil)
	if len(list["batches"].([]any)) != 1 {
		t.Errorf("list %v", list)
	}
}

func TestARestartGoesOn(t *testing.T) {
	dir := t.TempDir()
	file, ends := slowEndpoint(t, dir, "endpoints: {slow: {type: preview, emulator: {execution: 30s}}}\n")
	c := serve(t, Options{Dir: dir, EndpointsFile: file, Endpoints: ends})
	batch := small("survivor", 2)
	batch["endpoints"] = []string{"slow"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "it runs", func() bool { return c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"] == "running" })
	c.stop()
	file, ends = slowEndpoint(t, dir, "endpoints: {slow: {type: preview}}\n")
	c = serve(t, Options{Dir: dir, EndpointsFile: file, Endpoints: ends})
	if end := c.ended(id); end["state"] != "done" {
		t.Errorf("after the restart: %v", end)
	}
}

func loadEndpoints(t testing.TB, file string) []compiler.EndpointConfig {
	t.Helper()
	text, err := source.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ends, findings := compiler.LoadEndpoints(text, true, nil)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return ends
}

// idOf reads the id of an answer. It may be called from any goroutine.
func idOf(t testing.TB, body io.Reader) string {
	var a struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(body).Decode(&a); err != nil {
		t.Error(err)
	}
	return a.ID
}
