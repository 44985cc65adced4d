package emulator

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/comfyc/comfyc/compiler/source"
)

// TestSDKRecorded replays what the real SDKs sent in each of their calls (method, path, header, body), and holds that every answer has the
// keys, or the code and the kind of text, of the one that they were recorded with.
func TestSDKRecorded(t *testing.T) {
	for _, name := range []string{"novita-sync", "runpod-sync", "runpod-async", "runpod-js"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(shared(t, "wire/"+name+".transcript.json"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := source.ParseJSON(source.NewFile(name, text), source.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if v.Get("cases") != nil {
				v = v.Get("cases")
			}
			synctest.Test(t, func(t *testing.T) { replay(t, v) })
		})
	}
}

// replay sends the first request of every case to an endpoint of its own that misbehaves as the recorded server did.
func replay(t *testing.T, cases *source.Value) {
	compared := map[string]int{}
	for _, m := range cases.Members {
		requests := m.Value.Get("requests")
		if requests == nil || len(requests.Items) == 0 {
			continue
		}
		r := requests.Items[0]
		want := r.Get("response")
		parts := strings.Split(strings.Split(r.Get("path").Str(), "?")[0], "/")
		fault, ok := faultFor(want)
		if !ok || m.Key == "run.5MB" { // its body was cut when it was recorded
			continue
		}
		e := start(t, Config{Endpoints: []Endpoint{{Name: parts[2], Worker: "echo", Dialects: []Dialect{RunPod, Novita}, Faults: fault, Outputs: Base64}}})
		c := direct1(t, e)
		path := strings.Replace(r.Get("path").Str(), "job-1", jobIn(c, parts[1]+"/"+parts[2], want), 1)
		req, err := http.NewRequest(r.Get("method").Str(), c.base+path, strings.NewReader(r.Get("body").Str()))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Get("headers").Items {
			req.Header.Add(h.Index(0).Str(), h.Index(1).Str())
		}
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		compared[parts[3]]++
		compare(t, m.Key, want, c.send(req))
		e.Close()
	}
	t.Log(compared)
	if compared["run"] < 10 || compared["status"] < 10 || compared["cancel"] == 0 || compared["health"] == 0 || compared["purge-queue"] == 0 {
		t.Errorf("too little was compared: %v", compared)
	}
}

// faultFor makes an endpoint answer as the recorded server did; false for answers that no platform gives.
func faultFor(want *source.Value) ([]Fault, bool) {
	code, _ := want.Get("code").Int()
	ctype := want.Get("headers").Get("Content-Type").Str()
	switch {
	case want.Get("kind").Str() == "reset":
		return []Fault{{Kind: Reset, Rate: 1}}, true
	case want.Get("kind").Str() == "close":
		return []Fault{{Kind: LostAnswer, Rate: 1}, {Kind: LostAnswer, On: Status, Rate: 1}}, true
	case want.Get("kind").Str() == "truncate":
		return []Fault{{Kind: Truncated, Rate: 1}}, true
	case code == 302:
		return []Fault{{Kind: Redirect, Rate: 1, Location: want.Get("headers").Get("Location").Str()}}, true
	case ctype == "text/html":
		return []Fault{{Kind: HTML, Status: code, Rate: 1}}, true
	case code >= 400 && code != 404 && code != 405 && want.Get("json") != nil && want.Get("json").Get("status") == nil:
		return []Fault{{Kind: HTTPStatus, Status: code, Rate: 1}}, true
	case code < 300 && want.Get("json").Get("status").Str() == "FAILED":
		return []Fault{{Kind: Failed, Rate: 1, Message: "boom"}}, true
	}
	return nil, (code == 200 || code == 0) && platformShape(want.Get("json"))
}

// platformShape tells whether a recorded answer is one that a platform gives, not one that tried what the SDKs can bear.
func platformShape(v *source.Value) bool {
	if v.Get("jobs") != nil || v.Get("removed") != nil {
		return true
	}
	words := []string{"COMPLETED", "CANCELLED", "FAILED", "IN_QUEUE", "IN_PROGRESS", "PENDING", "TIMED_OUT"}
	return v.Get("id") != nil && slices.Contains(words, v.Get("status").Str())
}

// jobIn puts a job of the recorded state into an endpoint and gives its id.
func jobIn(c *client, prefix string, want *source.Value) string {
	r := c.do("POST", "/"+prefix+"/run", `{"input":{"x":1}}`)
	if r.status != 200 || r.err != nil || !strings.HasPrefix(r.text, "{") || !strings.HasSuffix(r.text, "}") {
		return "job-1"
	}
	return r.value(c.t).Get("id").Str()
}

// compare holds the shape of an answer.
func compare(t *testing.T, name string, want *source.Value, got reply) {
	t.Helper()
	code, _ := want.Get("code").Int()
	kind := want.Get("kind").Str()
	switch {
	case kind == "reset" || kind == "close" || kind == "truncate":
		if got.err == nil {
			t.Errorf("%s: the connection was to break, got %d %q", name, got.status, clip(got.text))
		}
		return
	case got.err != nil:
		t.Errorf("%s: %v", name, got.err)
		return
	case name == "run.unwrapped": // the JavaScript client never wraps, and the platform wants an input
		if got.status != 400 {
			t.Errorf("%s: code %d, want 400", name, got.status)
		}
		return
	case got.status != max(code, 200):
		t.Errorf("%s: code %d, want %d (%s)", name, got.status, code, clip(got.text))
		return
	case code == 302 && got.header.Get("Location") != want.Get("headers").Get("Location").Str():
		t.Errorf("%s: Location %q", name, got.header.Get("Location"))
		return
	case want.Get("json") == nil:
		if strings.HasPrefix(want.Get("headers").Get("Content-Type").Str(), "text/html") && !strings.Contains(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: Content-Type %q", name, got.header.Get("Content-Type"))
		}
		return
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("%s: Content-Type %q", name, ct)
	}
	have := got.value(t)
	for _, m := range want.Get("json").Members {
		if optional := map[string]bool{"output": true, "error": max(code, 200) == 200, "delayTime": true, "executionTime": true}; have.Get(m.Key) == nil && !optional[m.Key] {
			t.Errorf("%s: the answer %s has no %q", name, clip(got.text), m.Key)
		}
	}
}
