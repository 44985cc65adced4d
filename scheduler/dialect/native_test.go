package dialect_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/dialect/comfyui"
)

const nativeID = "12345678-1234-4234-8234-123456789abc"

// nativeSubject is a ComfyUI server.
func nativeSubject(kind string) subject {
	job := func(rest string) string {
		return `{"id":"` + nativeID + `","create_time":1000,"execution_start_time":2000,"execution_end_time":4500,` + rest + `}`
	}
	image := `"outputs":{"9":{"images":[{"filename":"a_00001_.png","subfolder":"sub","type":"output"}],"animated":[false]}}`
	pixels, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		panic(err)
	}
	return subject{
		name:   kind,
		remote: nativeID,
		op:     nativeOp,
		well: map[string]string{
			"submit": `{"prompt_id":"` + comfyui.ID("x") + `","number":1,"node_errors":{}}`,
			"poll":   job(`"status":"in_progress"`), "cancel": `{"cancelled":true}`, "stats": `{"exec_info":{"queue_remaining":3}}`,
			"find": `{"error":"Job not found"}`, "view": string(pixels)},
		status: map[string]int{"find": 404},
		done:   job(`"status":"completed",` + image),
		states: map[string]scheduler.State{
			job(`"status":"pending"`):     scheduler.Queued,
			job(`"status":"in_progress"`): scheduler.Running,
			job(`"status":"cancelled"`):   scheduler.Cancelled,
			job(`"status":"completed"`):   scheduler.Completed,
			job(`"status":"waiting"`):     scheduler.Unknown,
		},
		kinds: map[string]scheduler.Kind{
			job(`"status":"failed"`): scheduler.WorkerFailed,
			job(`"status":"failed","execution_error":{"node_id":"3","node_type":"KSampler","exception_type":"torch.OutOfMemoryError","exception_message":"Allocation on device"}`): scheduler.OutOfMemory,
			job(`"status":"failed","execution_error":{"node_id":"1","node_type":"LoadImage","exception_type":"PIL.UnidentifiedImageError","exception_message":"cannot identify"}`): scheduler.WorkerFailed,
		},
	}
}

func nativeOp(r *http.Request) string {
	switch {
	case r.Method == "POST" && r.URL.Path == "/prompt":
		return "submit"
	case r.URL.Path == "/prompt":
		return "stats"
	case strings.HasSuffix(r.URL.Path, "/cancel"), r.Method == "POST" && r.URL.Path == "/queue":
		return "cancel"
	case r.URL.Path == "/view":
		return "view"
	case r.URL.Path == "/api/jobs/"+nativeID, r.URL.Path == "/history/"+nativeID:
		return "poll"
	case strings.HasPrefix(r.URL.Path, "/api/jobs/"):
		return "find"
	}
	return ""
}

// comfyServer is a small ComfyUI: what it was sent it knows, and it says of it what it is told to say.
type comfyServer struct {
	t       *testing.T
	old     bool              // no /api/jobs, and prompt ids of its own
	missing string            // what is said of a route that is not there
	hidden  bool              // nor is there /queue
	jobs    map[string]string // id → status
	answer  string            // to POST /prompt, "" for the usual
	status  int
	posts   []string          // bodies of POST /prompt
	uploads []string          // names
	inputs  map[string]int    // files that lie there from earlier: name → size
	info    map[string]string // class → what it says of its inputs
	calls   []string
}

func (s *comfyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	id := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/jobs/"), "/history/"), "/cancel")
	switch path := r.URL.Path; {
	case path == "/prompt":
		s.prompt(w, r)
	case path == "/view" && r.Method == "HEAD":
		size, ok := s.inputs[r.URL.Query().Get("filename")]
		if !ok {
			w.WriteHeader(404)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
	case strings.HasPrefix(path, "/object_info/"):
		name := strings.TrimPrefix(path, "/object_info/")
		if s.info[name] == "" {
			io.WriteString(w, "{}")
			return
		}
		io.WriteString(w, `{"`+name+`":{"input":`+s.info[name]+`}}`)
	case path == "/upload/image":
		file, header, err := r.FormFile("image")
		if err != nil {
			s.t.Error(err)
			return
		}
		content, _ := io.ReadAll(file)
		s.uploads = append(s.uploads, header.Filename+"="+string(content))
		io.WriteString(w, `{"name":"`+strings.Replace(header.Filename, "taken", "taken (1)", 1)+`","subfolder":"","type":"input"}`)
	case s.old && strings.HasPrefix(path, "/api/jobs/"), s.hidden:
		w.WriteHeader(404)
		io.WriteString(w, s.missing)
	case strings.HasSuffix(path, "/cancel"):
		s.jobs[id] = "cancelled"
		io.WriteString(w, `{"cancelled":true}`)
	case strings.HasPrefix(path, "/api/jobs/") && s.jobs[id] == "":
		w.WriteHeader(404)
		io.WriteString(w, `{"error":"Job not found"}`)
	case strings.HasPrefix(path, "/api/jobs/"):
		io.WriteString(w, `{"id":"`+id+`","status":"`+s.jobs[id]+`"}`)
	case path == "/queue" && r.Method == "GET":
		s.queue(w)
	case strings.HasPrefix(path, "/history/"):
		s.history(w, id)
	}
}

func (s *comfyServer) prompt(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.posts = append(s.posts, string(body))
	var p struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		s.t.Error(err)
	}
	if s.answer != "" {
		w.WriteHeader(s.status)
		io.WriteString(w, s.answer)
		return
	}
	if s.old {
		p.ID = nativeID
	}
	s.jobs[p.ID] = "pending"
	io.WriteString(w, `{"prompt_id":"`+p.ID+`","number":1,"node_errors":{}}`)
}

func (s *comfyServer) queue(w http.ResponseWriter) {
	entries := map[string]string{"in_progress": "", "pending": ""}
	for id, state := range s.jobs {
		if _, ok := entries[state]; ok {
			entries[state] = `[1,"` + id + `",{},{},[]]`
		}
	}
	io.WriteString(w, `{"queue_running":[`+entries["in_progress"]+`],"queue_pending":[`+entries["pending"]+`]}`)
}

func (s *comfyServer) history(w http.ResponseWriter, id string) {
	word := map[string]string{"completed": "success", "failed": "error", "cancelled": "error"}[s.jobs[id]]
	if word == "" {
		io.WriteString(w, "{}")
		return
	}
	last := map[string]string{"success": `["execution_success",{"timestamp":4500}]`, "error": `["execution_error",{"node_id":"3","node_type":"KSampler","exception_message":"CUDA out of memory","timestamp":4500}]`}[word]
	if s.jobs[id] == "cancelled" {
		last = `["execution_interrupted",{"timestamp":4500}]`
	}
	outputs := ""
	if word == "success" {
		outputs = `"9":{"images":[{"filename":"a.png","subfolder":"","type":"output"}]},"2":{"text":["7"]}`
	}
	io.WriteString(w, `{"`+id+`":{"outputs":{`+outputs+`},"status":{"status_str":"`+word+`","messages":[["execution_start",{"timestamp":2000}],`+last+`]}}}`)
}

func startComfy(t *testing.T, s *comfyServer) *comfyui.Endpoint {
	t.Helper()
	s.t = t
	if s.jobs == nil {
		s.jobs = map[string]string{}
	}
	read := func(path string) ([]byte, error) { return []byte(path), nil }
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: serve(t, s)}, dialect.Deps{ReadFile: read})
	if err != nil {
		t.Fatal(err)
	}
	return ep.(*comfyui.Endpoint)
}

// TestFind: what was submitted under a token is found by it, by any process, and what was not is not.
func TestFind(t *testing.T) {
	s := &comfyServer{}
	ep, other := startComfy(t, s), startComfy(t, s)
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{Token: "attempt-1"})
	if err != nil || id != comfyui.ID("attempt-1") || strings.Contains(s.posts[0], "attempt-1") {
		t.Fatalf("%q, %v after %s", id, err, s.posts)
	}
	for _, state := range []string{"pending", "in_progress", "completed", "failed", "cancelled"} {
		s.jobs[id] = state
		if got, err := other.Find(deadline(t), "attempt-1"); err != nil || got != (scheduler.Found{Arrival: scheduler.Arrived, Remote: id}) {
			t.Errorf("%s: %+v, %v", state, got, err)
		}
	}
	if got, err := other.Find(deadline(t), "attempt-2"); err != nil || got.Arrival != scheduler.NotFound {
		t.Errorf("what was never sent: %+v, %v", got, err)
	}
	if got, err := other.Find(deadline(t), ""); err != nil || got.Arrival != scheduler.CannotTell {
		t.Errorf("without a token: %+v, %v", got, err)
	}
	if first, second := submitted(t, ep), submitted(t, ep); first == second {
		t.Errorf("two attempts without a token share the id %s", first)
	}
}

func submitted(t *testing.T, ep scheduler.Endpoint) string {
	t.Helper()
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestPromptBody is what goes over the wire, with the drawing for the editor if there is one.
func TestPromptBody(t *testing.T) {
	s := &comfyServer{}
	ep := startComfy(t, s)
	job := testJob()
	job.Workflow = func() []byte { return []byte(`{"nodes":[]}`) }
	if _, err := ep.Submit(deadline(t), job, scheduler.Terms{Token: "a"}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID     string          `json:"prompt_id"`
		Client string          `json:"client_id"`
		Prompt json.RawMessage `json:"prompt"`
		Extra  json.RawMessage `json:"extra_data"`
	}
	if err := json.Unmarshal([]byte(s.posts[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != comfyui.ID("a") || got.Client == "" || string(got.Prompt) != string(job.Prompt) || string(got.Extra) != `{"extra_pnginfo":{"workflow":{"nodes":[]}}}` {
		t.Errorf("sent %s", s.posts[0])
	}
}

func TestIDForm(t *testing.T) {
	seen := map[string]bool{}
	for n := range 100 {
		id := comfyui.ID(strconv.Itoa(n))
		if len(id) != 36 || id[14] != '8' || !strings.Contains("89ab", id[19:20]) || strings.ToLower(id) != id || seen[id] {
			t.Errorf("bad id %s", id)
		}
		seen[id] = true
	}
}

// TestRefusals: what ComfyUI says about nodes reaches the user.
func TestRefusals(t *testing.T) {
	s := &comfyServer{status: 400, answer: `{"error":{"type":"prompt_outputs_failed_validation","message":"Prompt outputs failed validation","details":""},
		"node_errors":{"4":{"errors":[{"type":"value_not_in_list","message":"Value not in list","details":"ckpt_name: 'a.safetensors' not in []"}],"class_type":"C"}}}`}
	ep := startComfy(t, s)
	_, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if kindOf(t, err) != scheduler.MissingModel || err.(*scheduler.Error).NodeErrors["4"] == "" {
		t.Errorf("got %v", err)
	}
	s.answer = `{"error":{"type":"prompt_no_outputs","message":"Prompt has no outputs"},"node_errors":{}}`
	if _, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); kindOf(t, err) != rejected || !strings.Contains(err.Error(), "no outputs") {
		t.Errorf("got %v", err)
	}
}

// TestPartlyTaken: 200 with node_errors is a job that lacks something, and the reason is told with its result.
func TestPartlyTaken(t *testing.T) {
	s := &comfyServer{status: 200, answer: `{"prompt_id":"` + nativeID + `","number":1,"node_errors":{"5":{"errors":[{"type":"required_input_missing","message":"Required input is missing","details":"images"}]}}}`,
		jobs: map[string]string{nativeID: "completed"}}
	ep := startComfy(t, s)
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil || id != nativeID {
		t.Fatalf("%q, %v", id, err)
	}
	st, err := ep.Poll(deadline(t), id)
	if err != nil || st.State != scheduler.Completed || len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "node 5") || !strings.Contains(st.Problems[0], "required_input_missing") {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestUploads(t *testing.T) {
	s := &comfyServer{}
	ep := startComfy(t, s)
	file := func(name, content string) compiler.InputFile {
		sum := sha256.Sum256([]byte(content))
		return compiler.InputFile{Name: name, Path: content, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	}
	submit := func(n int, files ...compiler.InputFile) error {
		job := &compiler.Job{Prompt: []byte(`{"` + string(rune('a'+n)) + `":{"inputs":{"image":"taken.png"}}}`), Files: files}
		_, err := ep.Submit(deadline(t), job, scheduler.Terms{})
		return err
	}
	for n := range 3 {
		if err := submit(n, file("a.png", "A"), file("taken.png", "B")); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a.png=A", "taken.png=B"}; !slices.Equal(s.uploads, want) {
		t.Errorf("uploaded %q, want %q", s.uploads, want)
	}
	if !strings.Contains(s.posts[2], `"image":"taken (1).png"`) {
		t.Errorf("the server's own name is not in %s", s.posts[2])
	}
	s.status, s.answer = 400, `{"error":{"type":"x","message":"m"},"node_errors":{"1":{"errors":[{"type":"custom_validation_failed","message":"m","details":"image - Invalid image file: a.png"}]}}}`
	if err := submit(4, file("a.png", "A")); kindOf(t, err) != transient {
		t.Errorf("a deleted input: %v", err)
	}
	if err := submit(5, file("a.png", "A")); kindOf(t, err) != rejected && len(s.uploads) != 3 {
		t.Errorf("not uploaded again: %v, %q", err, s.uploads)
	}
	if err := submit(6, compiler.InputFile{Name: "../x.png", Path: "x"}); kindOf(t, err) != rejected {
		t.Errorf("a path as name: %v", err)
	}
}

// TestUploadedBefore: a file that the server has from an earlier process is not sent again, if its name tells its content and its size is right.
func TestUploadedBefore(t *testing.T) {
	sum := sha256.Sum256([]byte("A"))
	hash := hex.EncodeToString(sum[:])
	named := "comfyc-" + hash[:16] + ".png"
	for name, c := range map[string]struct {
		inputs map[string]int
		name   string
		sent   int
	}{
		"there":              {map[string]int{named: 1}, named, 0},
		"cut off":            {map[string]int{named: 0}, named, 1},
		"not there":          {nil, named, 1},
		"a name of no worth": {map[string]int{"a.png": 1}, "a.png", 1},
	} {
		s := &comfyServer{inputs: c.inputs}
		ep := startComfy(t, s)
		job := testJob()
		job.Files = []compiler.InputFile{{Name: c.name, Path: "A", SHA256: hash, Size: 1}}
		if err := ep.Prepare(deadline(t), job); err == nil || !strings.Contains(err.Error(), "no node class SaveImage") {
			t.Errorf("%s: nothing is known there: %v", name, err)
		}
		s.info = map[string]string{"SaveImage": `{}`}
		for range 2 {
			if err := ep.Prepare(deadline(t), job); err != nil || len(s.uploads) != c.sent {
				t.Errorf("%s: %d uploads, %v; want %d", name, len(s.uploads), err, c.sent)
			}
		}
	}
}

// TestPrepareModels: a model that the server does not list is seen before anything is sent; values of other kinds are its own matter.
func TestPrepareModels(t *testing.T) {
	s := &comfyServer{info: map[string]string{
		"CheckpointLoaderSimple": `{"required":{"ckpt_name":[["a.safetensors","sub\\b.safetensors"],{}]}}`,
		"UNETLoader":             `{"required":{"unet_name":["COMBO",{"options":["u.safetensors"]}],"dtype":[["default"]]}}`,
		"LoadImage":              `{"required":{"image":[["x.png"],{"image_upload":true}]}}`,
	}}
	ep := startComfy(t, s)
	for prompt, want := range map[string]string{
		`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a.safetensors"}}}`:            "",
		`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"sub/b.safetensors"}}}`:        "",
		`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"c.safetensors"}}}`:            "lacks the model c.safetensors (ckpt_name of CheckpointLoaderSimple)",
		`{"1":{"class_type":"UNETLoader","inputs":{"unet_name":"u.safetensors","dtype":"other"}}}`:        "",
		`{"1":{"class_type":"UNETLoader","inputs":{"unet_name":"v.safetensors"}}}`:                        "lacks the model v.safetensors",
		`{"1":{"class_type":"UNETLoader","inputs":{"unet_name":["2",0]}},"2":{"class_type":"LoadImage"}}`: "",
		`{"1":{"class_type":"LoadImage","inputs":{"image":"model.pt"}}}`:                                  "",
		`{"1":{"class_type":"Gone","inputs":{}}}`:                                                         "no node class Gone",
	} {
		err := ep.Prepare(deadline(t), &compiler.Job{Prompt: []byte(prompt)})
		if want == "" && err != nil || want != "" && (err == nil || kindOf(t, err) != scheduler.MissingModel || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v; want %q", prompt, err, want)
		}
	}
	s.info["CheckpointLoaderSimple"] = `{"required":{"ckpt_name":[["c.safetensors"],{}]}}`
	job := &compiler.Job{Prompt: []byte(`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"c.safetensors"}}}`)}
	if err := ep.Prepare(deadline(t), job); err != nil {
		t.Errorf("a model that came later: %v", err)
	}
}

// TestOldServer has no /api/jobs and gives ids of its own.
func TestOldServer(t *testing.T) {
	s := &comfyServer{old: true}
	ep := startComfy(t, s)
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil || id != nativeID {
		t.Fatalf("%q, %v", id, err)
	}
	if got, err := ep.Find(deadline(t), "never sent"); err != nil || got.Arrival != scheduler.CannotTell {
		t.Errorf("a server with ids of its own: %+v, %v", got, err)
	}
	for word, want := range map[string]scheduler.State{"pending": scheduler.Queued, "in_progress": scheduler.Running, "completed": scheduler.Completed,
		"failed": scheduler.Failed, "cancelled": scheduler.Cancelled, "": scheduler.Gone} {
		s.jobs[id] = word
		st, err := ep.Poll(deadline(t), id)
		if err != nil || st.State != want {
			t.Errorf("%q: %+v, %v", word, st, err)
		}
		switch want {
		case scheduler.Completed:
			if len(st.Outputs) != 2 || st.Outputs[0].Node != "2" || st.Outputs[0].Base64 != "Nw==" || st.Outputs[1].Filename != "a.png" || st.Execution != 2500*time.Millisecond {
				t.Errorf("%+v", st)
			}
		case scheduler.Failed:
			if st.Err.Kind != scheduler.OutOfMemory || st.Err.NodeErrors["3"] == "" {
				t.Errorf("%+v", st.Err)
			}
		}
	}
	for word, interrupted := range map[string]bool{"in_progress": true, "pending": false} {
		s.jobs[id], s.calls = word, nil
		if err := ep.Cancel(deadline(t), id); err != nil || slices.Contains(s.calls, "POST /interrupt") != interrupted {
			t.Errorf("%s: %v after %v", word, err, s.calls)
		}
	}
}

// TestUnknownRoute: that a proxy does not know /api/jobs says nothing about the job, in whatever form it says so.
func TestUnknownRoute(t *testing.T) {
	for name, body := range map[string]string{"text": "404: Not Found", "JSON": `{"error":"route not found","status":404}`, "a list": `[]`, "detail": `{"detail":"Not Found"}`} {
		s := &comfyServer{old: true, missing: body, jobs: map[string]string{nativeID: "in_progress"}}
		if st, err := startComfy(t, s).Poll(deadline(t), nativeID); err != nil || st.State != scheduler.Running {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
		s.hidden = true
		if st, err := startComfy(t, s).Poll(deadline(t), nativeID); kindOf(t, err) != transient {
			t.Errorf("%s, no /queue either: %+v, %v", name, st, err)
		}
	}
}

// TestLostInputs: whatever loader misses its file, it is uploaded again.
func TestLostInputs(t *testing.T) {
	sum := sha256.Sum256([]byte("A"))
	hash := hex.EncodeToString(sum[:])
	for _, says := range []string{"image - Invalid image file: a.png", "file - Invalid video file: a.mp4", "audio - Invalid audio file: a.mp3", "latent - Invalid latent file: a.latent", "model_file - Invalid 3D model file: a.glb"} {
		s := &comfyServer{}
		ep := startComfy(t, s)
		job := testJob()
		job.Files = []compiler.InputFile{{Name: "a", Path: "A", SHA256: hash, Size: 1}}
		if _, err := ep.Submit(deadline(t), job, scheduler.Terms{}); err != nil {
			t.Fatal(err)
		}
		s.status, s.answer = 400, `{"error":{"type":"x","message":"m"},"node_errors":{"1":{"errors":[{"type":"custom_validation_failed","message":"m","details":"`+says+`"}]}}}`
		if _, err := ep.Submit(deadline(t), job, scheduler.Terms{}); kindOf(t, err) != transient {
			t.Errorf("%s: %v", says, err)
		}
		s.answer = ""
		if _, err := ep.Submit(deadline(t), job, scheduler.Terms{}); err != nil || len(s.uploads) != 2 {
			t.Errorf("%s: not uploaded again: %v, %q", says, err, s.uploads)
		}
	}
}

// TestBadNodesOfOneClass: the server is asked once for a class, however many nodes of it lack something.
func TestBadNodesOfOneClass(t *testing.T) {
	s := &comfyServer{}
	ep := startComfy(t, s)
	job := &compiler.Job{Prompt: []byte(`{"1":{"class_type":"No","inputs":{}},"2":{"class_type":"No","inputs":{}},"3":{"class_type":"No","inputs":{}}}`)}
	for n := 1; n <= 2; n++ {
		if err := ep.Prepare(deadline(t), job); kindOf(t, err) != scheduler.MissingModel || len(s.calls) != n {
			t.Errorf("%d calls, %v; want %d", len(s.calls), err, n)
		}
	}
}

func TestNativeStats(t *testing.T) {
	_, ep := start(t, nativeSubject("comfyui"), "", nil)
	if got, err := ep.(scheduler.Stater).Stats(deadline(t)); err != nil || got.Queued != 2 || got.Running != 1 || got.Workers != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	_, ep = start(t, nativeSubject("comfyui"), "stats", status(200, "", `{"hello":1}`))
	if err := ep.(scheduler.Checker).Check(deadline(t)); kindOf(t, err) != rejected {
		t.Errorf("another service: %v", err)
	}
}
