package dialect_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// queues are the subjects with a job queue: what only they can get wrong.
func queues() []subject { return subjects[:2] }

// TestWrongID: an answer about another job is no answer, and an id that cannot be used is no id.
func TestWrongID(t *testing.T) {
	for _, sub := range queues() {
		_, ep := start(t, sub, "poll", status(200, "", `{"id":"job-2","status":"COMPLETED","output":{"images":[]}}`))
		if st, err := ep.Poll(deadline(t), sub.remote); err == nil || kindOf(t, err) != transient || !strings.Contains(err.Error(), "job-2") {
			t.Errorf("%s: %+v, %v", sub.name, st, err)
		}
		for _, answer := range []string{`{"status":"IN_QUEUE"}`, `{"id":null}`, `{"id":""}`, `{"id":["x"]}`, `{"id":"` + strings.Repeat("x", 300) + `"}`, `{"id":"a\nb"}`, `{"id":".."}`} {
			_, ep := start(t, sub, "submit", status(200, "", answer))
			if id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); err == nil || kindOf(t, err) != uncertain {
				t.Errorf("%s: %s gave %q, %v", sub.name, answer, id, err)
			}
		}
		_, ep = start(t, sub, "submit", status(200, "", `{"error":"quota exceeded"}`))
		if _, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); err == nil || kindOf(t, err) == uncertain {
			t.Errorf("%s: a plain no is %v", sub.name, err)
		}
	}
}

// TestNullBesideError: null, like nothing, does not hide what an error says.
func TestNullBesideError(t *testing.T) {
	for _, sub := range queues() {
		for _, empty := range []string{"null", "{}", "[]", `""`} {
			_, ep := start(t, sub, "poll", status(200, "", `{"id":"job-1","status":"COMPLETED","output":`+empty+`,"error":"CUDA out of memory"}`))
			if st, err := ep.Poll(deadline(t), "job-1"); err != nil || st.State != scheduler.Failed || st.Err.Kind != scheduler.OutOfMemory {
				t.Errorf("%s: output %s: %+v, %v", sub.name, empty, st, err)
			}
		}
		for _, body := range []string{`{"status":null,"error":"no such worker"}`, `{"status":"","error":"no such worker"}`, `{"id":null,"status":null,"error":{"message":"no such worker"}}`} {
			_, ep := start(t, sub, "submit", status(200, "", body))
			if _, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); kindOf(t, err) == uncertain || !strings.Contains(err.Error(), "no such worker") {
				t.Errorf("%s: %s is %v", sub.name, body, err)
			}
		}
	}
}

// TestOpaqueIDs: whatever an id looks like, it comes back as it was, in one segment of the path.
func TestOpaqueIDs(t *testing.T) {
	for _, sub := range queues() {
		for sent, want := range map[string]string{`"sync-abc-e1"`: "sync-abc-e1", `17`: "17", `"a/b?c#d%20 ü"`: "a/b?c#d%20 ü", `"../../run"`: "../../run"} {
			var got string
			_, ep := start(t, sub, "submit", status(201, "", `{"id":`+sent+`}`))
			id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
			if err != nil || id != want {
				t.Errorf("%s: %s: got %q, %v", sub.name, sent, id, err)
				continue
			}
			_, ep = start(t, sub, "poll", func(w http.ResponseWriter, r *http.Request) {
				got = strings.TrimPrefix(r.URL.Path, sub.path+"/status/")
				io.WriteString(w, `{"id":`+sent+`,"status":"IN_QUEUE"}`)
			})
			if st, err := ep.Poll(deadline(t), id); err != nil || st.State != scheduler.Queued || got != want {
				t.Errorf("%s: %s: polled %q: %+v, %v", sub.name, sent, got, st, err)
			}
		}
	}
}

// TestBody is what goes over the wire.
func TestBody(t *testing.T) {
	for _, sub := range queues() {
		var body, kind, method string
		_, ep := start(t, sub, "submit", func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			body, kind, method = string(b), r.Header.Get("Content-Type"), r.Method
			io.WriteString(w, `{"id":"x"}`)
		})
		if _, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); err != nil {
			t.Fatal(err)
		}
		if want := `{"input":{"workflow":` + string(testJob().Prompt) + `}}`; body != want || kind != "application/json" || method != "POST" {
			t.Errorf("%s: %s %s %s", sub.name, method, kind, body)
		}
	}
}

// TestCancelMethods: Novita documents GET and its SDK uses POST; RunPod has POST.
func TestCancelMethods(t *testing.T) {
	only := func(method string, refusal int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				w.WriteHeader(refusal)
			}
		}
	}
	cases := []struct {
		sub    subject
		method string
		want   []string
	}{
		{subjects[0], "GET", []string{"GET cancel"}},
		{subjects[0], "POST", []string{"GET cancel", "POST cancel"}},
		{subjects[1], "POST", []string{"POST cancel"}},
	}
	for _, c := range cases {
		for _, refusal := range []int{404, 405} {
			s, ep := start(t, c.sub, "cancel", only(c.method, refusal))
			err := ep.Cancel(deadline(t), c.sub.remote)
			s.Close()
			if err != nil || !slices.Equal(s.calls, c.want) {
				t.Errorf("%s with %s: calls %v, %v", c.sub.name, c.method, s.calls, err)
			}
		}
	}
	// A job that is gone, on a platform that knows one of the methods only.
	for _, known := range []string{"GET", "POST"} {
		_, ep := start(t, subjects[0], "cancel", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(map[bool]int{true: 404, false: 405}[r.Method == known])
		})
		if err := ep.Cancel(deadline(t), "job-1"); err != nil {
			t.Errorf("%s: a job that is gone: %v", known, err)
		}
	}
	_, ep := start(t, subjects[0], "cancel", status(405, "", ""))
	if err := ep.Cancel(deadline(t), "job-1"); err == nil {
		t.Error("nothing was cancelled, and no error")
	}
}

func TestStats(t *testing.T) {
	want := []scheduler.Stats{
		{Queued: 2, Running: 1, Workers: 3, Busy: 1, Completed: -1, Failed: -1},
		{Queued: 2, Running: 1, Workers: 3, Busy: 1, Completed: 9, Failed: 1},
	}
	for i, sub := range queues() {
		_, ep := start(t, sub, "", nil)
		if got, err := ep.(scheduler.Stater).Stats(deadline(t)); err != nil || got != want[i] {
			t.Errorf("%s: %+v, %v", sub.name, got, err)
		}
	}
	_, ep := start(t, subjects[1], "stats", status(200, "", `{}`))
	if got, err := ep.(scheduler.Stater).Stats(deadline(t)); err != nil || got.Queued != -1 || got.Workers != -1 {
		t.Errorf("nothing told: %+v, %v", got, err)
	}
}

// TestNoOutput: what cannot be fetched says why.
func TestNoOutput(t *testing.T) {
	_, ep := start(t, subjects[0], "", nil)
	for _, out := range []scheduler.Output{{}, {Problem: "a path"}, {Base64: "data:image/png,x"}, {URL: "http://10.0.0.1/x"}, {URL: "file:///etc/passwd"}} {
		file, err := ep.Fetch(deadline(t), out)
		if err == nil {
			file.Close()
			t.Errorf("%+v was opened", out)
			continue
		}
		kindOf(t, err)
	}
}
