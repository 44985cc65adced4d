package dialect_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// recordings lie beside the repository: what the real SDKs were answered, and what a real ComfyUI answered. The texts in the other
// tests of this package are taken from them.
const recordings = "../../../shared/wire"

func recording(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(recordings, name))
	if os.IsNotExist(err) {
		t.Skip("the recorded exchanges are not here: " + recordings)
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// recordedAnswer is how the recorder's server answered.
type recordedAnswer struct {
	Code    int               `json:"code"`
	JSON    json.RawMessage   `json:"json"`
	Raw     string            `json:"raw"`
	Headers map[string]string `json:"headers"`
	Kind    string            `json:"kind"`
	Delay   float64           `json:"delay"`
}

func (a recordedAnswer) serve(w http.ResponseWriter, r *http.Request) {
	body := a.Raw + string(a.JSON)
	switch a.Kind {
	case "reset", "close":
		cut(true, a.Kind == "reset", "")(w, r)
		return
	case "truncate":
		cut(true, false, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"+body[:len(body)/2])(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Code)
	io.WriteString(w, body)
}

// sensible tells whether an answer is a whole JSON object with the member.
func (a recordedAnswer) sensible(member string) bool {
	var object map[string]json.RawMessage
	return a.Kind != "truncate" && a.Kind != "reset" && a.Kind != "close" && a.Code/100 == 2 && json.Unmarshal(a.JSON, &object) == nil && (member == "" || object[member] != nil)
}

// call is a request of an SDK, and how the recorder's server answered it.
type call struct {
	Path     string         `json:"path"`
	Op       string         `json:"op"` // told by some recorders; else the path tells it
	Response recordedAnswer `json:"response"`
}

func (c *call) op() string {
	if parts := strings.Split(c.Path, "/"); c.Op == "" && len(parts) > 3 {
		return parts[3]
	}
	return c.Op
}

// transcriptOf reads the calls of each case. Recorders wrote them in three shapes.
func transcriptOf(t *testing.T, name string) map[string][]call {
	t.Helper()
	var top map[string]json.RawMessage
	recording(t, name, &top)
	if inner := top["cases"]; inner != nil {
		if err := json.Unmarshal(inner, &top); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string][]call{}
	for title, text := range top {
		var one struct {
			Requests []call `json:"requests"`
		}
		var calls []call
		if json.Unmarshal(text, &one) == nil {
			calls = one.Requests
		} else if json.Unmarshal(text, &calls) != nil {
			continue // notes of the recorder
		}
		for i := range calls {
			if calls[i].Response.Code == 0 {
				calls[i].Response.Code = 200
			}
		}
		out[title] = calls
	}
	return out
}

// TestRecordedSDK lets the dialects meet every answer that the real SDKs met. What was recorded over TLS has no bodies, only what the SDKs made of them.
func TestRecordedSDK(t *testing.T) {
	for _, file := range []struct {
		name  string
		queue int
		least int
	}{
		{"novita-sync", 0, 50}, {"runpod-sync", 1, 50}, {"runpod-async", 1, 40}, {"runpod-js", 1, 30}, {"runpod-comfy-sdk", 1, 3},
	} {
		met := 0
		for title, calls := range transcriptOf(t, file.name+".transcript.json") {
			for _, c := range calls {
				if c.Response.Delay > 0 {
					break
				}
				met++
				meet(t, queues()[file.queue], file.name+" "+title, c.op(), c.Response)
				if c.Response.Code == 200 && c.Response.Kind == "" {
					continue
				}
				break // the rest are the SDK's own repetitions
			}
		}
		if met < file.least {
			t.Errorf("%s: only %d answers were met", file.name, met)
		}
	}
}

func meet(t *testing.T, sub subject, title, op string, a recordedAnswer) {
	t.Helper()
	switch op {
	case "run", "runsync":
		_, ep := start(t, sub, "submit", a.serve)
		id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		// A redirect within the host is not followed by a paid call.
		if taken := a.sensible("id"); taken != (err == nil) || taken && id == "" {
			t.Errorf("%s: %q, %v", title, id, err)
		}
	case "status":
		_, ep := start(t, sub, "poll", a.serve)
		st, err := ep.Poll(deadline(t), "job-1")
		known := a.sensible("") || a.Code == 404
		if strings.Contains(string(a.JSON), `"id": 17`) || strings.Contains(title, "id_is_number") {
			return // the recorder's server named another job
		}
		if known != (err == nil) {
			t.Errorf("%s: %+v, %v", title, st, err)
		}
		checkState(t, title, a, st)
	case "cancel":
		_, ep := start(t, sub, "cancel", a.serve)
		if err := ep.Cancel(deadline(t), "job-1"); (err == nil) != (a.Code < 300 || a.Code == 404) {
			t.Errorf("%s: %v", title, err)
		}
	}
}

// checkState: only the known final words end a job, and what is COMPLETED without images has failed.
func checkState(t *testing.T, title string, a recordedAnswer, st scheduler.Status) {
	t.Helper()
	var told struct{ Status any }
	if json.Unmarshal(a.JSON, &told) != nil {
		return
	}
	final := map[any]scheduler.State{"COMPLETED": scheduler.Failed, "FAILED": scheduler.Failed, "CANCELLED": scheduler.Cancelled, "TIMED_OUT": scheduler.TimedOut}
	if want, ok := final[told.Status]; ok && a.sensible("") && st.State != want && st.State != scheduler.Completed {
		t.Errorf("%s: %v, want %v", title, st.State, want)
	} else if !ok && st.State.Final() && st.State != scheduler.Gone {
		t.Errorf("%s: %v ended the job", title, told.Status)
	}
}

// recordedComfy is one exchange with a real ComfyUI server.
type recordedComfy struct {
	Request struct {
		Path string `json:"path"`
	} `json:"request"`
	Response struct {
		Status int `json:"status"`
		Body   struct {
			JSON json.RawMessage `json:"json"`
			Text string          `json:"text"`
		} `json:"body"`
	} `json:"response"`
}

func replay(t *testing.T, name string, op string) (*recordedComfy, scheduler.Endpoint) {
	t.Helper()
	c := &recordedComfy{}
	recording(t, "comfyui/comfyui-"+name+".json", c)
	sub := nativeSubject("comfyui")
	if id, ok := strings.CutPrefix(c.Request.Path, "/api/jobs/"); ok {
		sub.remote = id
		sub.op = func(r *http.Request) string {
			if r.URL.Path == c.Request.Path {
				return op
			}
			return nativeOp(r)
		}
	}
	_, ep := start(t, sub, op, status(c.Response.Status, "", string(c.Response.Body.JSON)+c.Response.Body.Text))
	return c, ep
}

func TestRecordedComfyUI(t *testing.T) {
	polls := map[string]struct {
		state   scheduler.State
		outputs int
	}{
		"035-api-job":             {scheduler.Completed, 3},
		"036-api-job-unknown":     {scheduler.Gone, 0},
		"081-api-job-error":       {scheduler.Failed, 0},
		"110-api-job-interrupted": {scheduler.Cancelled, 0},
	}
	for name, want := range polls {
		c, ep := replay(t, name, "poll")
		st, err := ep.Poll(deadline(t), strings.TrimPrefix(c.Request.Path, "/api/jobs/"))
		if err != nil || st.State != want.state || len(st.Outputs) != want.outputs {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
		if want.state == scheduler.Failed && !strings.Contains(st.Err.NodeErrors["1"], "cannot identify image file") {
			t.Errorf("%s: %+v", name, st.Err)
		}
	}
	submits := map[string]struct {
		kind scheduler.Kind
		node string
	}{
		"053-post-prompt-invalid":       {rejected, "1"},
		"056-post-prompt-no-prompt":     {rejected, ""},
		"057-post-prompt-not-json":      {uncertain, ""},
		"061-post-prompt-prompt-empty":  {rejected, ""},
		"062-post-prompt-bad-prompt-id": {rejected, ""},
		"065-post-prompt-unknown-class": {scheduler.MissingModel, "1"},
		"070-post-prompt-cross-origin":  {unauthorized, ""},
	}
	for name, want := range submits {
		_, ep := replay(t, name, "submit")
		_, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		if err == nil || kindOf(t, err) != want.kind || want.node != "" && err.(*scheduler.Error).NodeErrors[want.node] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"111-job-cancel-pending", "112-job-cancel-running", "113-job-cancel-unknown"} {
		_, ep := replay(t, name, "cancel")
		if err := ep.Cancel(deadline(t), nativeID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"029-post-prompt-image", "054-post-prompt-partial-valid", "072-post-prompt-own-id"} {
		_, ep := replay(t, name, "submit")
		if id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); err != nil || len(id) != 36 {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
}
