package emulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

func TestRefusals(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "locked", Key: "secret", Dialects: []Dialect{RunPod}}, {Name: "open", Worker: "echo", JobBytes: 100}}})
	c := direct1(t, e)
	for _, tc := range []struct {
		method, path, body, key string
		status                  int
		text                    string
	}{
		{"POST", "/v2/locked/run", `{"input":{}}`, "", 401, `{"error":"unauthorized"}`},
		{"POST", "/v2/locked/run", `{"input":{}}`, "wrong", 401, `{"error":"unauthorized"}`},
		{"GET", "/v2/locked/health", ``, "secret", 200, ``},
		{"POST", "/v1/locked/run", `{"input":{}}`, "secret", 404, `{"error":"endpoint not found"}`},
		{"POST", "/v2/nobody/run", `{"input":{}}`, "", 404, `{"error":"endpoint not found"}`},
		{"GET", "/v2/open/run", ``, "", 405, `{"error":"method not allowed"}`},
		{"GET", "/v2/open/status", ``, "", 404, ``},
		{"GET", "/v2/open/status/nope", ``, "", 404, `{"error":"job not found"}`},
		{"POST", "/v2/open/cancel/nope", ``, "", 404, `{"error":"job not found"}`},
		{"GET", "/v1/open/stream/x", ``, "", 404, ``},
		{"POST", "/v2/open/run", `{"input"`, "", 400, ``},
		{"POST", "/v2/open/run", ``, "", 400, ``},
		{"POST", "/v2/open/run", `[]`, "", 400, ``},
		{"POST", "/v2/open/run", `{"prompt":"x"}`, "", 400, ``},
		{"POST", "/v2/open/run", `{"input":"` + strings.Repeat("x", 100) + `"}`, "", 413, ``},
		{"GET", "/_emulator/nope", ``, "", 404, ``},
		{"GET", "/files/nope", ``, "", 403, ``},
	} {
		c.key = tc.key
		r := c.do(tc.method, tc.path, tc.body)
		if r.status != tc.status || tc.text != "" && r.text != tc.text {
			t.Errorf("%s %s %s: %d %s, want %d %s", tc.method, tc.path, clip(tc.body), r.status, clip(r.text), tc.status, tc.text)
		}
	}
}

func TestIDs(t *testing.T) {
	c := direct1(t, start(t, Config{Seed: 5, Endpoints: []Endpoint{{Name: "ep", Worker: "echo"}}}))
	d := direct1(t, start(t, Config{Seed: 5, Endpoints: []Endpoint{{Name: "ep", Worker: "echo"}}}))
	for _, path := range []string{"/v1/ep/run", "/v2/ep/run", "/v2/ep/runsync"} {
		a, b := c.run(path, `{}`), d.run(path, `{}`)
		plain := strings.TrimSuffix(strings.TrimPrefix(a, "sync-"), "-e1")
		if a != b || !canonicalUUID.MatchString(plain) || strings.HasPrefix(a, "sync-") != strings.HasSuffix(path, "sync") || strings.HasSuffix(a, "-e1") != strings.HasPrefix(path, "/v2") {
			t.Errorf("%s: ids %s and %s with one seed", path, a, b)
		}
	}
}

func TestCancelAndRetry(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", MaxWorkers: 1, Execution: ExecutionTime{Fixed: 10 * time.Second}, Faults: []Fault{{Kind: Failed, At: []int{3}}}}, func(t *testing.T, e *Emulator, c *client) {
		ids := []string{c.run("/v2/ep/run", `1`), c.run("/v2/ep/run", `2`), c.run("/v2/ep/run", `3`)}
		for i, method := range []string{"GET", "POST"} {
			if r := c.do(method, "/v2/ep/cancel/"+ids[i], ""); r.text != fmt.Sprintf(`{"id":%q,"status":"CANCELLED"}`, ids[i]) {
				t.Errorf("cancel by %s: %d %s", method, r.status, r.text)
			}
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s := c.state("/v2/ep/status/" + ids[2]); s.Get("status").Str() != "FAILED" {
			t.Errorf("third: %s", s.AppendJSON(nil))
		}
		if r := c.do("POST", "/v2/ep/cancel/"+ids[2], ""); !strings.Contains(r.text, `"FAILED"`) {
			t.Errorf("a final job was cancelled: %s", r.text)
		}
		if r := c.do("POST", "/v2/ep/retry/"+ids[0], ""); r.status != 400 {
			t.Errorf("retry of a cancelled job: %d", r.status)
		}
		if r := c.do("POST", "/v2/ep/retry/"+ids[2], ""); r.status != 200 || !strings.Contains(r.text, `"IN_QUEUE"`) {
			t.Errorf("retry: %d %s", r.status, r.text)
		}
		s := e.Stats().Endpoint("ep")
		if s.Executed != 4 || s.Cancelled != 2 || s.Failed != 1 || s.Retried != 1 || s.Running != 1 || s.Queued != 0 {
			t.Errorf("counted %+v", s)
		}
		if h := c.do("GET", "/v2/ep/health", ""); !strings.HasPrefix(h.text, `{"jobs":{"completed":0,"failed":1,"inProgress":1,"inQueue":0,"retried":1},"workers":{`) {
			t.Errorf("health: %s", h.text)
		}
	})
}

// TestWaiting holds how long the waiting calls wait, and that a stream is drained.
func TestWaiting(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", Execution: ExecutionTime{Fixed: 100 * time.Second}}, func(t *testing.T, e *Emulator, c *client) {
		begin := time.Now()
		lap := func() time.Duration { d := time.Since(begin); begin = time.Now(); return d }
		r := c.do("POST", "/v2/ep/runsync", `{"input":{"x":1}}`)
		id := r.value(t).Get("id").Str()
		if d := lap(); d != 90*time.Second || !strings.Contains(r.text, `"IN_PROGRESS"`) {
			t.Errorf("runsync: %v %s", d, r.text)
		}
		c.state("/v2/ep/status-sync/" + id + "?wait=2000")
		if d := lap(); d != 2*time.Second {
			t.Errorf("status-sync?wait=2000: %v", d)
		}
		if s := c.state("/v2/ep/stream/" + id); len(s.Get("stream").Items) != 0 || s.Get("status").Str() != "IN_PROGRESS" || lap() != time.Second {
			t.Errorf("stream while it runs: %s", s.AppendJSON(nil))
		}
		if s := c.state("/v2/ep/status-sync/" + id); s.Get("status").Str() != "COMPLETED" || lap() != 7*time.Second {
			t.Errorf("status-sync: %s", s.AppendJSON(nil))
		}
		for i, want := range []string{`[{"output":{"x":1}}]`, `[]`} {
			if s := c.state("/v2/ep/stream/" + id); string(s.Get("stream").AppendJSON(nil)) != want || s.Get("status").Str() != "COMPLETED" {
				t.Errorf("stream, time %d: %s", i+1, s.AppendJSON(nil))
			}
		}
	})
}

func TestForms(t *testing.T) {
	both := `{"workflow":{"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":1}},
		"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"a"}},"3":{"class_type":"PreviewImage","inputs":{"images":["1",0]}},
		"4":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"b"}}},"output_node_id":"2"}`
	for _, tc := range []struct {
		worker  string
		outputs Delivery
		want    string // with U for a URL
	}{
		{"", Base64, `{"images":[{"filename":"a_00001_.png","type":"base64","data":"cGljdHVyZSBvZiAy"},{"filename":"b_00001_.png","type":"base64","data":"cGljdHVyZSBvZiA0"}]}`},
		{"runpod/worker-comfyui:5.5.0-flux1-dev", URL, `{"images":[{"filename":"a_00001_.png","type":"s3_url","data":"U"},{"filename":"b_00001_.png","type":"s3_url","data":"U"}]}`},
		{"", Path, `{"images":[{"filename":"a_00001_.png","type":"s3_url","data":"simulated_uploaded/a_00001_.png"},{"filename":"b_00001_.png","type":"s3_url","data":"simulated_uploaded/b_00001_.png"}]}`},
		{"runpod/worker-comfyui:4.1.0-sdxl", Base64, `{"message":"cGljdHVyZSBvZiA0","status":"success"}`},
		{"runpod/worker-comfyui:3.6.0-base", URL, `{"message":"U","status":"success"}`},
		{"novitalabs/comfyui-worker:v0.0.1", "", `{"images":[{"filename":"a_00001_.png","url":"U"}]}`},
	} {
		timed(t, Endpoint{Worker: tc.worker, Outputs: tc.outputs}, func(t *testing.T, e *Emulator, c *client) {
			r := c.do("POST", "/v2/ep/runsync", `{"input":`+both+`}`)
			have := string(r.value(t).Get("output").AppendJSON(nil))
			last := ""
			for {
				at := strings.Index(have, "http://emulator.test/files/")
				if at < 0 {
					break
				}
				url, rest, _ := strings.Cut(have[at:], `"`)
				checkURL(t, c, url)
				last = strings.TrimPrefix(url, c.base)
				have = have[:at] + `U"` + rest
			}
			if have != tc.want {
				t.Errorf("%s, %s:\n have %s\n want %s", tc.worker, tc.outputs, have, tc.want)
			}
			time.Sleep(8 * 24 * time.Hour)
			if r := c.do("GET", last, ""); last != "" && r.status != 403 {
				t.Errorf("GET after a week: %d", r.status)
			}
		})
	}
}

// checkURL holds that a presigned address works as it was signed and in no other way.
func checkURL(t *testing.T, c *client, url string) {
	t.Helper()
	bare, _, _ := strings.Cut(url, "?")
	path := strings.TrimPrefix(url, c.base)
	if r := c.do("GET", path, ""); r.status != 200 || !strings.HasPrefix(r.text, "picture of ") || r.header.Get("Content-Type") != "image/png" {
		t.Errorf("GET %s: %d %s", url, r.status, clip(r.text))
	}
	if r := c.do("HEAD", path, ""); r.status != 403 {
		t.Errorf("HEAD: %d", r.status)
	}
	if r := c.do("GET", strings.TrimPrefix(bare, c.base), ""); r.status != 403 {
		t.Errorf("GET without a signature: %d", r.status)
	}
	signed := *c
	signed.key = "key"
	if r := signed.do("GET", path, ""); r.status != 400 {
		t.Errorf("GET with a key: %d", r.status)
	}
}

func TestOutputLimitAndMemory(t *testing.T) {
	timed(t, Endpoint{OutputBytes: 100}, func(t *testing.T, e *Emulator, c *client) {
		r := c.do("POST", "/v2/ep/runsync", `{"input":`+input(1, "a", "b")+`}`)
		if v := r.value(t); v.Get("status").Str() != "COMPLETED" || v.Get("output") != nil {
			t.Errorf("an output over the limit: %s", r.text)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		e := start(t, Config{Memory: 10_000, Endpoints: []Endpoint{{Name: "ep", Worker: "echo"}}})
		c := direct1(t, e)
		var ids []string
		for range 20 {
			ids = append(ids, c.run("/v2/ep/run", `"`+strings.Repeat("x", 1000)+`"`))
		}
		kept := 0
		for i, id := range ids {
			if c.do("GET", "/v2/ep/status/"+id, "").status == 200 {
				kept++
			} else if i >= 11 {
				t.Errorf("job %d of 20 was dropped, it is not among the oldest", i+1)
			}
		}
		if kept != 9 {
			t.Errorf("%d results of 1 kB are kept in 10 kB", kept)
		}
		e.Close()
	})
}

// TestCache holds that an identical prompt gives the same files, and another one the next numbers.
func TestCache(t *testing.T) {
	timed(t, Endpoint{}, func(t *testing.T, e *Emulator, c *client) {
		var names []string
		for _, color := range []int{1, 1, 2, 1} {
			v := c.do("POST", "/v2/ep/runsync", `{"input":`+input(color, "x")+`}`).value(t)
			names = append(names, v.Get("output").Get("images").Index(0).Get("filename").Str())
		}
		if have := strings.Join(names, " "); have != "x_00001_.png x_00001_.png x_00002_.png x_00001_.png" {
			t.Errorf("files %s", have)
		}
		c.do("POST", "/v2/ep/runsync", `{"input":`+input(1, "y")+`}`)
		s := e.Stats().Endpoint("ep")
		if s.Executed != 5 || s.Cached != 2 || len(s.Prompts) != 2 || s.Prompts[0].Executed+s.Prompts[1].Executed != 5 {
			t.Errorf("%d runs, %d cached, %v", s.Executed, s.Cached, s.Prompts)
		}
		if len(s.Prefixes) != 2 || s.Prefixes[0] != (PrefixCount{"x", 4}) || s.Prefixes[1] != (PrefixCount{"y", 1}) {
			t.Errorf("prefixes %v", s.Prefixes)
		}
	})
}

func TestUploads(t *testing.T) {
	load := `{"workflow":{"1":{"class_type":"LoadImage","inputs":{"image":"in.png"}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"a"}}},"images":%s}`
	const pixel = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAIAAAB/FOjAAAAAFElEQVR4nGP4z8BAEiJN9agGIhEAJMZ/gd5KfaIAAAAASUVORK5CYII="
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep"}}}) // with the real worker
	c := direct1(t, e)
	for _, tc := range []struct{ images, want string }{
		{`[{"name":"in.png","image":"` + pixel + `"}]`, "COMPLETED"},
		{`[{"name":"in.png","image":"data:image/png;base64,` + pixel + `"}]`, "COMPLETED"},
		{`[{"name":"other.png","image":"` + pixel + `"}]`, "Workflow validation failed:"},
		{`[{"name":"in.png","image":"` + pixel + `"},{"name":"in.png","image":"` + pixel + `"}]`, "Failed to upload one or more input images"},
		{`[{"name":"../in.png","image":"` + pixel + `"}]`, "Failed to upload one or more input images"},
		{`[{"name":"a/in.png","image":"` + pixel + `"}]`, "Failed to upload one or more input images"},
		{`[{"name":"in.png","image":"aGVsbG8="}]`, "Job processing failed"},
	} {
		r := c.do("POST", "/v2/ep/runsync", `{"input":`+fmt.Sprintf(load, tc.images)+`}`)
		if !strings.Contains(r.text, tc.want) {
			t.Errorf("%s: %s", clip(tc.images), clip(r.text))
		}
		if tc.want == "COMPLETED" {
			v := r.value(t).Get("output").Get("images").Index(0)
			if len(v.Get("data").Str()) < 50 {
				t.Errorf("%s: %s", clip(tc.images), clip(r.text))
			}
		}
	}
}

// TestPartialFailure holds what becomes of a job one branch of which fails: before it runs, silently; while it runs, with a word.
func TestPartialFailure(t *testing.T) {
	good := `"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":1}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"good"}}`
	bad := `"3":{"class_type":"LoadImage","inputs":{"image":"bad.png"}},"4":{"class_type":"SaveImage","inputs":{"images":["3",0],"filename_prefix":"bad"}}`
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "ep"}}}))
	ask := func(workflow, images string) *source.Value {
		return c.do("POST", "/v2/ep/runsync", `{"input":{"workflow":{`+workflow+`},"images":`+images+`}}`).value(t)
	}
	upload := `[{"name":"bad.png","image":"aGVsbG8="}]`
	if v := ask(good+","+bad, `[]`); v.Get("status").Str() != "COMPLETED" || len(v.Get("output").Get("images").Items) != 1 || v.Get("output").Get("errors") != nil {
		t.Errorf("a branch that is refused: %s", clip(string(v.AppendJSON(nil))))
	}
	v := ask(good+","+bad, upload)
	if v.Get("status").Str() != "COMPLETED" || len(v.Get("output").Get("images").Items) != 1 ||
		!strings.HasPrefix(v.Get("output").Get("errors").Index(0).Str(), "Workflow execution error: Node Type: LoadImage, Node ID: 3, Message: ") {
		t.Errorf("a branch that fails: %s", clip(string(v.AppendJSON(nil))))
	}
	v = ask(bad, upload)
	if v.Get("status").Str() != "FAILED" || v.Get("error").Str() != "Job processing failed" || len(v.Get("output").Get("details").Items) != 1 {
		t.Errorf("all that fails: %s", clip(string(v.AppendJSON(nil))))
	}
}

func TestWebhook(t *testing.T) {
	got := make(chan string, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1000)
		n, _ := r.Body.Read(body)
		got <- string(body[:n])
	}))
	defer server.Close()
	for _, allowed := range []bool{true, false} {
		transport := &http.Transport{}
		e := start(t, Config{Webhooks: allowed, Transport: transport, Endpoints: []Endpoint{{Name: "ep", Worker: "echo"}}})
		c := direct1(t, e)
		if r := c.do("POST", "/v2/ep/run", `{"input":7,"webhook":"`+server.URL+`"}`); r.status != 200 {
			t.Fatal(r.text)
		}
		if allowed {
			if text := <-got; !strings.Contains(text, `"output":7`) || !strings.Contains(text, `"COMPLETED"`) {
				t.Errorf("webhook: %s", text)
			}
		}
		e.Close()
		transport.CloseIdleConnections()
	}
	if len(got) != 0 {
		t.Error("a webhook was called that is not allowed")
	}
}
