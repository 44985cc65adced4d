package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// recordedNative are the recorded exchanges whose answers do not depend on what went before, and the keys of theirs that are not the emulator's.
var recordedNative = []string{"003", "004", "005", "006", "009", "011", "013", "014", "024", "025", "036", "037", "043", "044", "045", "046", "047", "053", "056", "057",
	"058", "059", "060", "061", "062", "063", "064", "065", "066", "067", "068", "069", "070", "071", "104", "105", "106", "107", "113", "114", "115", "122", "123", "124", "125"}

// TestNativeRecorded sends what was sent to a real ComfyUI server and holds code, type and body.
func TestNativeRecorded(t *testing.T) {
	dir := shared(t, "wire/comfyui")
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "ep", Dialects: []Dialect{ComfyUI}}}}))
	for _, name := range names {
		number := strings.Split(filepath.Base(name), "-")[1]
		if !slices.Contains(recordedNative, number) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := source.ParseJSON(source.NewFile(name, text), source.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		compared++
		exchange(t, c, filepath.Base(name), v)
	}
	if compared != len(recordedNative) {
		t.Errorf("%d exchanges were compared, of %d", compared, len(recordedNative))
	}
}

func exchange(t *testing.T, c *client, name string, v *source.Value) {
	r := v.Get("request")
	body := r.Get("data").Str()
	if j := r.Get("json"); j != nil {
		body = string(j.AppendJSON(nil))
	}
	req, err := http.NewRequest(r.Get("method").Str(), "http://127.0.0.1:8188"+r.Get("path").Str(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range r.Get("headers").Members {
		req.Header.Set(h.Key, h.Value.Str())
	}
	got := c.send(req)
	want := v.Get("response")
	if code, _ := want.Get("status").Int(); got.status != code {
		t.Errorf("%s: %d %s, want %d", name, got.status, clip(got.text), code)
		return
	}
	j := want.Get("body").Get("json")
	switch {
	case j == nil && want.Get("body").Get("text") != nil:
		if got.text != want.Get("body").Get("text").Str() {
			t.Errorf("%s: %q", name, got.text)
		}
	case j == nil:
		if got.text != "" {
			t.Errorf("%s: %q, want an empty body", name, got.text)
		}
	default:
		if ct := got.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", name, ct)
		}
		if have, want := canonical(got.value(t)), canonical(j); have != want {
			t.Errorf("%s:\n have %s\n want %s", name, have, want)
		}
	}
}

// canonical prints a value with sorted keys, without tracebacks and definitions.
func canonical(v *source.Value) string {
	var any any
	if err := json.Unmarshal(v.AppendJSON(nil), &any); err != nil {
		return err.Error()
	}
	strip(any)
	text, _ := json.Marshal(any)
	return string(text)
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "traceback")
		if v["type"] == "prompt_outputs_failed_validation" {
			delete(v, "details")
		}
		for _, inner := range v {
			strip(inner)
		}
	case []any:
		for _, inner := range v {
			strip(inner)
		}
	}
}

// keys lists the keys of a value and of those in it, by pointer; list items and ids as "*".
func keys(v *source.Value, at string, ids map[string]bool, out map[string]bool) {
	for _, m := range v.Members {
		name := m.Key
		if ids[name] {
			name = "*"
		}
		out[at+"/"+name] = true
		keys(m.Value, at+"/"+name, ids, out)
	}
	for _, item := range v.Items {
		keys(item, at+"/*", ids, out)
	}
}

// TestNativeRun follows one prompt through queue, history, jobs and view, and holds the keys of the recorded answers.
func TestNativeRun(t *testing.T) {
	timed(t, Endpoint{Dialects: []Dialect{ComfyUI}, Execution: ExecutionTime{Fixed: time.Minute}}, func(t *testing.T, e *Emulator, c *client) {
		prompt := strings.TrimSuffix(workflow(1, "a"), "}") + `,"6":{"class_type":"PreviewImage","inputs":{"images":["1",0]}}}`
		first := c.do("POST", "/prompt", `{"prompt":`+prompt+`,"client_id":"me","prompt_id":"12345678-1234-4234-8234-123456789abc"}`)
		second := c.do("POST", "/prompt", `{"prompt":`+workflow(2, "b")+`}`).value(t).Get("prompt_id").Str()
		front := c.do("POST", "/prompt", `{"prompt":`+workflow(3, "c")+`,"front":true,"client_id":"me"}`).value(t)
		if first.text != `{"node_errors":{},"number":0,"prompt_id":"12345678-1234-4234-8234-123456789abc"}` || front.Get("number").Text != "-2" {
			t.Errorf("%s, then %s", first.text, front.AppendJSON(nil))
		}
		if q := c.state("/queue"); len(q.Get("queue_running").Items) != 1 || q.Get("queue_pending").Index(0).Index(1).Str() != front.Get("prompt_id").Str() {
			t.Errorf("queue: %s", q.AppendJSON(nil))
		}
		if p := c.do("GET", "/prompt", ""); p.text != `{"exec_info":{"queue_remaining":3}}` {
			t.Errorf("remaining: %s", p.text)
		}
		c.do("POST", "/queue", `{"delete":["`+second+`"]}`)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		c.do("POST", "/interrupt", ``)
		id := "12345678-1234-4234-8234-123456789abc"
		for path, file := range map[string]string{"/history/" + id: "031-history-id", "/api/jobs/" + id: "035-api-job", "/history/" + front.Get("prompt_id").Str(): "109-history-interrupted"} {
			sameKeys(t, c, path, file)
		}
		if v := c.do("GET", "/view?filename=a_00001_.png&type=output&subfolder=", ""); v.status != 200 || v.text != "picture of 2" || v.header.Get("Content-Disposition") != `filename="a_00001_.png"` {
			t.Errorf("view: %d %s %v", v.status, v.text, v.header)
		}
		if j := c.state("/api/jobs?status=cancelled,completed"); len(j.Get("jobs").Items) != 2 || j.Get("jobs").Index(0).Get("status").Str() != "cancelled" {
			t.Errorf("jobs: %s", j.AppendJSON(nil))
		}
		if r := c.do("GET", "/api/jobs/"+second, ""); r.status != 404 {
			t.Errorf("a deleted prompt: %d", r.status)
		}
	})
}

// sameKeys compares the keys of an answer with those of a recorded one.
func sameKeys(t *testing.T, c *client, path, file string) {
	t.Helper()
	text, err := os.ReadFile(shared(t, "wire/comfyui/comfyui-"+file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := source.ParseJSON(source.NewFile(file, text), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want, have := map[string]bool{}, map[string]bool{}
	body, got := v.Get("response").Get("body").Get("json"), c.state(path)
	keys(body, "", idsIn(body), want)
	keys(got, "", idsIn(got), have)
	for key := range want {
		if !have[key] && !strings.Contains(key, "/inputs") {
			t.Errorf("%s has no %s", path, key)
		}
	}
	for key := range have {
		if !want[key] && !strings.Contains(key, "/inputs") {
			t.Errorf("%s has %s, which the recorded answer has not", path, key)
		}
	}
}

// idsIn lists the keys that are ids of nodes and prompts.
func idsIn(v *source.Value) map[string]bool {
	out := map[string]bool{}
	found := map[string]bool{}
	keys(v, "", nil, found)
	for pointer := range found {
		for _, part := range strings.Split(pointer, "/") {
			if canonicalUUID.MatchString(part) || len(part) < 3 {
				out[part] = true
			}
		}
	}
	return out
}

func TestNativePartial(t *testing.T) {
	c := direct1(t, start(t, Config{Runner: stub(0)}))
	r := c.do("POST", "/native/preview/prompt", `{"prompt":{"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":1}},
		"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"a"}},"5":{"class_type":"SaveImage","inputs":{"filename_prefix":"a"}}}}`)
	v := r.value(t)
	if r.status != 200 || v.Get("node_errors").Get("5").Get("errors").Index(0).Get("type").Str() != "required_input_missing" {
		t.Errorf("%d %s", r.status, r.text)
	}
	for targets, want := range map[string]string{`["2"]`: `{}`, `[]`: "prompt_no_outputs", `["5"]`: "prompt_outputs_failed_validation"} {
		r := c.do("POST", "/prompt", `{"prompt":`+workflow(1, "x", "y", "z")+`,"partial_execution_targets":`+targets+`}`)
		if want == `{}` && r.value(t).Get("node_errors") == nil || want == "prompt_no_outputs" && r.value(t).Get("error").Get("type").Str() != want {
			t.Errorf("targets %s: %d %s", targets, r.status, r.text)
		}
	}
}

func TestNativeUpload(t *testing.T) {
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "ep", Dialects: []Dialect{ComfyUI}}}}))
	for _, tc := range []struct {
		name, data string
		fields     map[string]string
		want       string
	}{
		{"up.png", "one", nil, `200 {"name":"up.png","subfolder":"","type":"input"}`},
		{"up.png", "one", nil, `200 {"name":"up.png","subfolder":"","type":"input"}`},
		{"up.png", "two", nil, `200 {"name":"up (1).png","subfolder":"","type":"input"}`},
		{"up.png", "two", map[string]string{"overwrite": "true"}, `200 {"name":"up.png","subfolder":"","type":"input"}`},
		{"up.png", "one", map[string]string{"subfolder": "a/b", "type": "input"}, `200 {"name":"up.png","subfolder":"a/b","type":"input"}`},
		{"up.png", "one", map[string]string{"type": "temp"}, `200 {"name":"up.png","subfolder":"","type":"temp"}`},
		{"up.png", "one", map[string]string{"subfolder": "../../x"}, `400 `},
		{"up.png", "one", map[string]string{"type": "zzz"}, "500 500 Internal Server Error\n\nServer got itself in trouble"},
		{"a/up.png", "one", nil, "500 500 Internal Server Error\n\nServer got itself in trouble"},
		{"..up.png", "one", nil, `400 `},
		{"", "one", nil, `400 `},
	} {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if tc.name != "" {
			part, err := w.CreateFormFile("image", tc.name)
			if err != nil {
				t.Fatal(err)
			}
			part.Write([]byte(tc.data))
		}
		for k, v := range tc.fields {
			w.WriteField(k, v)
		}
		w.Close()
		req, _ := http.NewRequest("POST", "http://ep/upload/image", &body)
		req.Header.Set("Content-Type", w.FormDataContentType())
		r := c.send(req)
		if have := fmt.Sprint(r.status, " ", r.text); have != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.name, tc.fields, have, tc.want)
		}
	}
	if r := c.do("GET", "/view?filename=up+(1).png&type=input", ""); r.text != "two" {
		t.Errorf("view of an upload: %d %s", r.status, r.text)
	}
	// What was uploaded can be loaded, by both ways of naming it.
	for _, name := range []string{"up.png", "up.png [input]", "a/b/up.png", "up.png [temp]"} {
		r := c.do("POST", "/prompt", `{"prompt":{"1":{"class_type":"LoadImage","inputs":{"image":"`+name+`"}},"2":{"class_type":"PreviewImage","inputs":{"images":["1",0]}}}}`)
		if r.status != 200 {
			t.Errorf("load %q: %d %s", name, r.status, clip(r.text))
		}
	}
}

// TestWebsocket holds the order of messages that was recorded, over real sockets in memory.
func TestWebsocket(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", Dialects: []Dialect{ComfyUI}}}, Runner: stub(0)})
	transport, base, stop := e.Listen()
	defer stop()
	dial := websocket.Dialer{NetDialContext: transport.(*http.Transport).DialContext}
	ear := func(id string) *websocket.Conn {
		ws, _, err := dial.Dial(strings.Replace(base, "http", "ws", 1)+"/ws?clientId="+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ws
	}
	mine, other := ear("me"), ear("")
	defer mine.Close()
	defer other.Close()
	if first := next(t, mine); first != `status sid` {
		t.Errorf("greeting %s", first)
	}
	if err := mine.WriteMessage(websocket.TextMessage, []byte(`{"type":"feature_flags","data":{"supports_preview_metadata":true}}`)); err != nil {
		t.Fatal(err)
	}
	if flags := next(t, mine); flags != "feature_flags" {
		t.Errorf("flags are answered by %s", flags)
	}
	c := &client{t: t, http: http.Client{Transport: transport}, base: base}
	for round, want := range []string{
		"status execution_start execution_cached executing:1 executing:2 executed:2 execution_success status executing:",
		"status execution_start execution_cached executed:2 execution_success status executing:",
	} {
		c.do("POST", "/prompt", `{"client_id":"me","prompt":`+workflow(1, "a")+`}`)
		var have []string
		for len(have) == 0 || have[len(have)-1] != "executing:" {
			if m := next(t, mine); m != "progress_state" && !(m == "status" && len(have) == 1) {
				have = append(have, m)
			}
		}
		if strings.Join(have, " ") != want {
			t.Errorf("run %d: %s", round+1, strings.Join(have, " "))
		}
	}
	other.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range 5 {
		if m := next(t, other); !strings.HasPrefix(m, "status") {
			t.Errorf("a bystander heard %s", m)
		}
	}
}

// next gives a message's type, and its node if it is about one.
func next(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, text, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	v, err := source.ParseJSON(source.NewFile("message", text), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	name, data := v.Get("type").Str(), v.Get("data")
	if data.Get("sid") != nil {
		name += " sid"
	}
	if name == "executing" || name == "executed" {
		name += ":" + data.Get("node").Str()
	}
	return name
}

func TestObjectInfo(t *testing.T) {
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "ep", Dialects: []Dialect{ComfyUI}, Models: []string{"m.safetensors"}}}}))
	all := c.state("/object_info")
	if len(all.Members) < 50 || all.Get("KSampler").Get("input").Get("required").Get("steps").Index(0).Str() != "INT" {
		t.Errorf("%d classes", len(all.Members))
	}
	one := c.state("/api/object_info/CheckpointLoaderSimple")
	if got := string(one.Get("CheckpointLoaderSimple").Get("input").Get("required").Get("ckpt_name").Index(0).AppendJSON(nil)); got != `["m.safetensors"]` {
		t.Errorf("models %s", got)
	}
	if one.Get("CheckpointLoaderSimple").Get("output").Index(0).Str() != "MODEL" {
		t.Errorf("%s", one.AppendJSON(nil))
	}
}

// Where every model exists, no list says otherwise: not the older form's, nor the newer one's.
func TestObjectInfoOfAllModels(t *testing.T) {
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "ep", Dialects: []Dialect{ComfyUI}}}}))
	open := 0
	for _, m := range c.state("/object_info").Members {
		class, _ := nodes.BuiltIn().Class(m.Key)
		for i := range class.Inputs {
			in := &class.Inputs[i]
			if !in.Open {
				continue
			}
			open++
			if spec := m.Value.Get("input").Get(in.Group.String()).Get(in.Name); spec.Index(0).Str() != "COMBO" || spec.Index(1).Get("options") != nil {
				t.Errorf("%s of %s: %s", in.Name, m.Key, spec.AppendJSON(nil))
			}
		}
	}
	if open < 5 {
		t.Errorf("%d inputs are open", open)
	}
}

// TestQueueStates: what /queue shows follows prompts from their beginning to each kind of end.
func TestQueueStates(t *testing.T) {
	timed(t, Endpoint{Dialects: []Dialect{ComfyUI}, Execution: ExecutionTime{Fixed: time.Minute}}, func(t *testing.T, e *Emulator, c *client) {
		ep := e.byName["ep"]
		check := func(running, pending int) {
			t.Helper()
			ep.locked(func() {
				if r, p := ep.server.live(); len(r) != running || len(p) != pending {
					t.Errorf("%d run and %d wait, want %d and %d", len(r), len(p), running, pending)
				}
			})
		}
		for range 4 {
			if r := c.do("POST", "/native/ep/prompt", `{"prompt":{"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":0}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"a"}}}}`); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.text)
			}
		}
		check(1, 3)
		time.Sleep(90 * time.Second) // the first is done
		check(1, 2)
		c.do("POST", "/native/ep/interrupt", "")
		check(1, 1)
		c.do("POST", "/native/ep/queue", `{"clear":true}`)
		check(1, 0)
		time.Sleep(2 * time.Minute)
		check(0, 0)
	})
}

// TestFramePieces: a client's frame may come byte by byte, whatever form its length has.
func TestFramePieces(t *testing.T) {
	for _, size := range []int{0, 5, 125, 126, 300, 1 << 15} {
		w := &wire{closed: make(chan struct{})}
		text := bytes.Repeat([]byte("x"), size)
		sent := frame(0x89, text)
		at := len(sent) - size // a client's frame has a mask before its text; this one changes nothing
		sent = slices.Concat(sent[:at], make([]byte, 4), text)
		sent[1] |= 0x80
		w.pongs = make(chan []byte, 1)
		for i := range sent {
			if n, err := w.Write(sent[i : i+1]); n != 1 || err != nil {
				t.Fatalf("%d bytes, at %d: %v", size, i, err)
			}
		}
		if got := <-w.pongs; !bytes.Equal(got, text) {
			t.Errorf("%d bytes came as %d", size, len(got))
		}
	}
}
