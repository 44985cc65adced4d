package serverless

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// open makes an endpoint of synchronous calls.
func open(t *testing.T, base string) *Endpoint {
	t.Helper()
	c, err := call.New(call.Options{Endpoint: "ep", Base: base + "/runsync"})
	if err != nil {
		t.Fatal(err)
	}
	return New(c, scheduler.Properties{Limits: Limits}, worker.Options{}, nil, "").(*Endpoint)
}

// A job that the service goes on with is cancelled there, also when the answer came in the moment of hanging up.
func TestCancelTooLate(t *testing.T) {
	for wanted, want := range map[bool][]string{true: {"/runsync", "/cancel/s1"}, false: {"/runsync"}} {
		var calls []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls = append(calls, r.URL.Path)
			io.WriteString(w, `{"id":"s1","status":"IN_PROGRESS"}`)
		}))
		e := open(t, s.URL)
		r := &run{cancel: func() {}, done: make(chan struct{}), wanted: wanted}
		err := e.call(t.Context(), r, call.Request{Op: "submit", Method: http.MethodPost, Path: suffix, Body: []byte("{}"), Paid: true})
		s.Close()
		if err != nil || !slices.Equal(calls, want) || r.remote != "s1" {
			t.Errorf("wanted %v: calls %v, want %v; %v", wanted, calls, want, err)
		}
	}
}

// What is not known (any more), and what has ended, needs no cancelling.
func TestCancelOfNothing(t *testing.T) {
	e := open(t, "http://127.0.0.1:1")
	e.runs["old"] = &run{ended: time.Now()}
	for _, id := range []string{"never", "old"} {
		if err := e.Cancel(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// Pictures are dropped a minute after they were handed over; addresses, and what nobody asked for, stay.
func TestPicturesAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, "http://127.0.0.1:1")
		for _, id := range []string{"asked", "waiting"} {
			e.runs[id] = &run{ended: time.Now(), status: scheduler.Status{State: scheduler.Completed, Outputs: []scheduler.Output{{Base64: "AAAA"}, {URL: "http://h/a.png"}}}}
		}
		first, err := e.Poll(t.Context(), "asked")
		time.Sleep(handed - time.Second)
		again, err2 := e.Poll(t.Context(), "asked")
		if err != nil || err2 != nil || again.Outputs[0].Base64 == "" {
			t.Errorf("%+v, %v, %v", again, err, err2)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		late, err := e.Poll(t.Context(), "asked")
		if err != nil || late.State != scheduler.Completed || late.Outputs[0].Base64 != "" || late.Outputs[1].URL == "" || first.Outputs[0].Base64 == "" {
			t.Errorf("%+v after %+v, %v", late, first, err)
		}
		if st, err := e.Poll(t.Context(), "waiting"); err != nil || st.Outputs[0].Base64 == "" {
			t.Errorf("%+v, %v", st, err)
		}
	})
}
