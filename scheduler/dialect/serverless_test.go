package dialect_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// serve starts a server and gives its URL.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func openSync(t *testing.T, h http.HandlerFunc) scheduler.Endpoint {
	t.Helper()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "serverless", URL: serve(t, h) + "/v2/ep/runsync"}, dialect.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return ep
}

// settle polls until the call has ended.
func settle(t *testing.T, ep scheduler.Endpoint, id string) scheduler.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		st, err := ep.Poll(ctx, id)
		if err != nil || st.State.Final() {
			if err != nil {
				t.Error(err)
			}
			return st
		}
		runtime.Gosched() // the call's goroutine has its turn
	}
	t.Fatal("the call did not end")
	return scheduler.Status{}
}

// TestSync: the submission returns while the call goes on, and the polls see its end.
func TestSync(t *testing.T) {
	finish := make(chan struct{})
	ep := openSync(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := `{"input":{"workflow":` + string(testJob().Prompt) + `}}`; r.URL.Path != "/v2/ep/runsync" || string(body) != want {
			t.Errorf("%s %s", r.URL.Path, body)
		}
		<-finish
		io.WriteString(w, `{"id":"sync-1","status":"COMPLETED","executionTime":2500,"output":{"images":[{"filename":"a.png","type":"base64","data":"`+pixel+`"}]}}`)
	})
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := ep.Poll(deadline(t), id); err != nil || st.State != scheduler.Running {
		t.Errorf("%+v, %v", st, err)
	}
	close(finish)
	st := settle(t, ep, id)
	if st.State != scheduler.Completed || len(st.Outputs) != 1 || st.Execution != 2500*time.Millisecond {
		t.Fatalf("%+v", st)
	}
	checkFetch(t, ep, st.Outputs[0])
	if st, err := ep.Poll(deadline(t), "unknown"); err != nil || st.State != scheduler.Gone {
		t.Errorf("another process's job: %+v, %v", st, err)
	}
}

// TestSyncGoesOn: an answer without an end comes with an id to ask for.
func TestSyncGoesOn(t *testing.T) {
	ep := openSync(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/ep/runsync":
			io.WriteString(w, `{"id":"sync-1","status":"IN_QUEUE"}`)
		case "/v2/ep/status/sync-1":
			io.WriteString(w, `{"id":"sync-1","status":"FAILED","error":"CUDA out of memory"}`)
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
	})
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	if st := settle(t, ep, id); st.State != scheduler.Failed || st.Err.Kind != scheduler.OutOfMemory {
		t.Errorf("%+v", st)
	}
}

// TestSyncTroubles: once the request is on its way, trouble is the job's.
func TestSyncTroubles(t *testing.T) {
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  scheduler.Kind
	}{
		"500":                    {status(500, "", `{"error":"x"}`), scheduler.Lost},
		"429":                    {status(429, "Retry-After: 3", ""), busy},
		"401":                    {status(401, "", ""), unauthorized},
		"reset":                  {cut(true, true, ""), scheduler.Lost},
		"half an answer":         {cut(true, false, "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), scheduler.Lost},
		"neither end nor id":     {status(200, "", `{"status":"IN_QUEUE"}`), scheduler.Lost},
		"COMPLETED, no output":   {status(200, "", `{"id":"1","status":"COMPLETED"}`), scheduler.Lost},
		"a page":                 {status(200, "Content-Type: text/html", "<html/>"), scheduler.Lost},
		"redirect to elsewhere":  {status(307, "Location: http://elsewhere.comfyc.invalid/", ""), rejected},
		"the job failed at once": {status(200, "", `{"id":"1","status":"FAILED","error":"boom"}`), scheduler.WorkerFailed},
	} {
		ep := openSync(t, c.serve)
		id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		if err != nil { // it ended before the submission returned
			if got := kindOf(t, err); got != c.want && !(got == uncertain && c.want == scheduler.Lost) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if st := settle(t, ep, id); st.State != scheduler.Failed || kindOf(t, st.Err) != c.want {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// TestSyncAllTroubles: a synchronous call meets the faults of all dialects. What may have been carried out is Lost, as nobody can ask for it; what was
// refused is of its kind; what never answers can be cancelled.
func TestSyncAllTroubles(t *testing.T) {
	for _, tr := range troubles {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			_, answer := tr.strike(t)
			ep := openSync(t, answer)
			id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
			if err != nil {
				if got := kindOf(t, err); got != tr.submit {
					t.Errorf("%v, want %v", err, tr.submit)
				}
				return
			}
			if tr.slow != nil {
				if err := ep.Cancel(deadline(t), id); err != nil || settle(t, ep, id).State != scheduler.Cancelled {
					t.Errorf("cancel: %v", err)
				}
				return
			}
			want := tr.submit
			if want == uncertain {
				want = scheduler.Lost
			}
			if st := settle(t, ep, id); st.State != scheduler.Failed || kindOf(t, st.Err) != want {
				t.Errorf("%+v, want %v", st, want)
			}
		})
	}
}

// TestSyncPollWait: who waits is told at once, and not before.
func TestSyncPollWait(t *testing.T) {
	finish := make(chan struct{})
	ep := openSync(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-finish
		io.WriteString(w, `{"id":"sync-1","status":"FAILED","error":"boom"}`)
	})
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	long := ep.(scheduler.LongPoller)
	if st, err := long.PollWait(deadline(t), id, time.Millisecond); err != nil || st.State != scheduler.Running {
		t.Errorf("%+v, %v", st, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := long.PollWait(gone, id, time.Minute); err == nil {
		t.Error("waited for nobody")
	}
	close(finish)
	if st, err := long.PollWait(deadline(t), id, time.Minute); err != nil || st.State != scheduler.Failed {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err := long.PollWait(deadline(t), "unknown", time.Minute); err != nil || st.State != scheduler.Gone {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestHealth: a health check that is configured is asked at the root of the host, whatever lies behind it.
func TestHealth(t *testing.T) {
	for _, path := range []string{"/v2/ep/runsync", ""} {
		for code, want := range map[int]string{200: "", 503: "503"} {
			var asked []string
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				if r.URL.Path == "/prompt" {
					io.WriteString(w, `{"exec_info":{"queue_remaining":0}}`)
					return
				}
				w.WriteHeader(code)
			}))
			ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "serverless", URL: url + path, Health: "/health/live"}, dialect.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			err = ep.(scheduler.Checker).Check(deadline(t))
			if asked[0] != "/health/live" || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q, %d: asked %v, %v", path, code, asked, err)
			}
		}
	}
}

func TestSyncCancel(t *testing.T) {
	began, gone := make(chan struct{}), make(chan struct{})
	ep := openSync(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(began)
		<-r.Context().Done()
		close(gone)
	})
	id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	<-began // before that the server would not hear of the job at all
	for range 2 {
		if err := ep.Cancel(deadline(t), id); err != nil {
			t.Error(err)
		}
	}
	<-gone
	if st := settle(t, ep, id); st.State != scheduler.Cancelled {
		t.Errorf("%+v", st)
	}
}

// TestSyncUnreachable: nothing was sent, and the submission says so.
func TestSyncUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "serverless", URL: s.URL + "/runsync"}, dialect.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); kindOf(t, err) != scheduler.Unreachable {
		t.Errorf("got %v", err)
	}
	if err := ep.(scheduler.Checker).Check(deadline(t)); kindOf(t, err) != scheduler.Unreachable {
		t.Errorf("got %v", err)
	}
}

// TestServerlessComfyUI: without /runsync at its end, the URL is a ComfyUI server's.
func TestServerlessComfyUI(t *testing.T) {
	s := &comfyServer{t: t, jobs: map[string]string{}}
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "serverless", URL: serve(t, s)}, dialect.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{}); err != nil || s.jobs[id] != "pending" || !strings.Contains(s.posts[0], id) {
		t.Errorf("%q, %v", id, err)
	}
}
