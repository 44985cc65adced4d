package dialect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

const secretKey = "sk_CONFORMANCE0123456789"

// subject is a dialect under test: how its remote answers when all is well, and which of its requests is which.
type subject struct {
	name   string
	remote string                       // id of the job that polls are about
	path   string                       // of the endpoint, appended to the server's URL
	op     func(r *http.Request) string // submit, poll, cancel, stats, or "" for others
	well   map[string]string            // op → answer; "" is the answer to others
	status map[string]int               // op → status of the good answer if not 200
	done   string                       // poll's answer of a finished job with one output
	states map[string]scheduler.State   // poll's other answers
	kinds  map[string]scheduler.Kind    // poll's answers of failed jobs
}

// subjects are all dialects that a server can stand in for.
var subjects = []subject{
	queueSubject("novita", "PENDING", `{"busy_workers":1,"endpoint":"e","in_progress":1,"pending":2,"total_workers":3}`),
	queueSubject("runpod", "IN_QUEUE", `{"jobs":{"completed":9,"failed":1,"inProgress":1,"inQueue":2,"retried":0},"workers":{"idle":2,"running":1}}`),
	nativeSubject("comfyui"),
	nativeSubject("serverless"), // a ComfyUI server behind an app name
}

const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"

// queueSubject is a platform with a job queue.
func queueSubject(name, first, stats string) subject {
	job := func(rest string) string {
		return `{"id":"job-1","delayTime":1500,"executionTime":2500,"workerId":"w1",` + rest + `}`
	}
	return subject{
		name:   name,
		remote: "job-1",
		path:   "/v1/ep",
		op: func(r *http.Request) string {
			for part, op := range map[string]string{"/run": "submit", "/status/": "poll", "/cancel/": "cancel", "/stats": "stats", "/health": "stats"} {
				if strings.HasPrefix(r.URL.Path, "/v1/ep"+part) {
					return op
				}
			}
			return ""
		},
		well: map[string]string{"submit": `{"id":"job-1","status":"` + first + `"}`, "poll": job(`"status":"IN_PROGRESS","output":{"images":["progress only"]}`),
			"cancel": `{"id":"job-1","status":"CANCELLED"}`, "stats": stats},
		done: job(`"status":"COMPLETED","output":{"images":[{"filename":"a_00001_.png","type":"base64","data":"` + pixel + `"}]}`),
		states: map[string]scheduler.State{
			job(`"status":"IN_QUEUE"`):                             scheduler.Queued,
			job(`"status":"PENDING"`):                              scheduler.Queued,
			job(`"status":"IN_PROGRESS","output":"` + pixel + `"`): scheduler.Running,
			job(`"status":"CANCELLED"`):                            scheduler.Cancelled,
			job(`"status":"TIMED_OUT"`):                            scheduler.TimedOut,
			job(`"status":"EXPIRED"`):                              scheduler.Unknown,
			job(`"status":"completed","output":{"images":[]}`):     scheduler.Unknown,
			job(`"status":null`):                                   scheduler.Unknown,
			job(`"status":7`):                                      scheduler.Unknown,
			`{"id":"job-1"}`:                                       scheduler.Unknown,
			`{"status":"IN_QUEUE"}`:                                scheduler.Queued,
			`{"id":null,"status":"IN_QUEUE","delayTime":"x"}`:      scheduler.Queued,
		},
		kinds: map[string]scheduler.Kind{
			job(`"status":"COMPLETED"`):                                    scheduler.Lost,
			job(`"status":"COMPLETED","output":null`):                      scheduler.Lost,
			job(`"status":"COMPLETED","output":{"error":"out of memory"}`): scheduler.OutOfMemory,
			job(`"status":"COMPLETED","error":"boom"`):                     scheduler.WorkerFailed,
			job(`"status":"FAILED","error":"boom","executionTime":3`):      scheduler.WorkerFailed,
			job(`"status":"FAILED"`):                                       scheduler.WorkerFailed,
			job(`"status":"FAILED","output":{"details":["CUDA out of memory"]},"error":"Job processing failed"`): scheduler.OutOfMemory,
			job(`"status":"FAILED","error":["a",{"message":"not found in history"}]`):                            scheduler.Lost,
			job(`"status":"FAILED","output":"ComfyUI is not reachable after 500 tries"`):                         scheduler.Transient,
		},
	}
}

// remoteServer answers well, but for one op.
type remoteServer struct {
	*httptest.Server
	subject subject
	op      string
	fault   http.HandlerFunc
	quiet   bool     // calls are not counted
	calls   []string // op and method of each
}

func (s *remoteServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := s.subject.op(r)
	if !s.quiet {
		s.calls = append(s.calls, r.Method+" "+op)
	}
	if op == s.op && s.fault != nil {
		s.fault(w, r)
		return
	}
	if got := r.Header.Get("Authorization"); got != "Bearer "+secretKey {
		http.Error(w, `{"error":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if status := s.subject.status[op]; status != 0 {
		w.WriteHeader(status)
	}
	io.WriteString(w, s.subject.well[op])
}

// start gives a server and an endpoint that talks to it.
func start(t *testing.T, sub subject, op string, fault http.HandlerFunc) (*remoteServer, scheduler.Endpoint) {
	t.Helper()
	s := &remoteServer{subject: sub, op: op, fault: fault}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s, open(t, sub, s.URL)
}

func open(t *testing.T, sub subject, base string) scheduler.Endpoint {
	t.Helper()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: sub.name, URL: base + sub.path, KeyEnv: "KEY", FromUser: true, Limits: compiler.Limits{JobBytes: 1 << 20}},
		dialect.Deps{Getenv: func(string) string { return secretKey }})
	if err != nil {
		t.Fatal(err)
	}
	return ep
}

func testJob() *compiler.Job {
	return &compiler.Job{Prompt: []byte(`{"9":{"class_type":"SaveImage","inputs":{"filename_prefix":"a"}}}`), OutputNode: "9"}
}

// deadline is for one call of a test, and far away.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func eachSubject(t *testing.T, test func(t *testing.T, sub subject)) {
	for _, sub := range subjects {
		t.Run(sub.name, func(t *testing.T) { test(t, sub) })
	}
}

func kindOf(t *testing.T, err error) scheduler.Kind {
	t.Helper()
	var e *scheduler.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *scheduler.Error", err, err)
	}
	if e.Endpoint != "ep" || e.Op == "" || e.Message == "" || strings.Contains(fmt.Sprint(e, e.Err, e.NodeErrors), secretKey) {
		t.Fatalf("a bad error: %+v", e)
	}
	return e.Kind
}

// TestWell is a job without trouble.
func TestWell(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		_, ep := start(t, sub, "", nil)
		id, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		if err != nil || id == "" {
			t.Fatalf("submit: %q, %v", id, err)
		}
		if err := ep.(scheduler.Checker).Check(deadline(t)); err != nil {
			t.Errorf("check: %v", err)
		}
		st, err := ep.Poll(deadline(t), sub.remote)
		if err != nil || st.State != scheduler.Running || len(st.Outputs) != 0 {
			t.Errorf("poll: %+v, %v", st, err)
		}
		if err := ep.Cancel(deadline(t), sub.remote); err != nil {
			t.Errorf("cancel: %v", err)
		}
		if p := ep.Properties(); p.Name != "ep" || p.Type != sub.name || p.Limits.InFlight == 0 || p.Limits.Retention == 0 || p.Limits.OutputBytes == 0 {
			t.Errorf("properties: %+v", p)
		}
	})
}

// TestPollAnswers reads every answer about a job that a remote is known to give.
func TestPollAnswers(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		var body string
		_, ep := start(t, sub, "poll", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		for answer, want := range sub.states {
			body = answer
			if st, err := ep.Poll(deadline(t), sub.remote); err != nil || st.State != want || len(st.Outputs) > 0 {
				t.Errorf("%s: got %v with %d outputs, %v; want %v", answer, st.State, len(st.Outputs), err, want)
			}
		}
		for answer, want := range sub.kinds {
			body = answer
			st, err := ep.Poll(deadline(t), sub.remote)
			if err != nil || st.State != scheduler.Failed || st.Err == nil {
				t.Errorf("%s: got %v, %v; want failed", answer, st.State, err)
			} else if got := kindOf(t, st.Err); got != want {
				t.Errorf("%s: got %v (%s), want %v", answer, got, st.Err.Message, want)
			}
		}
		body = sub.done
		st, err := ep.Poll(deadline(t), sub.remote)
		if err != nil || st.State != scheduler.Completed || len(st.Outputs) != 1 || st.Execution != 2500*time.Millisecond {
			t.Fatalf("done: %+v, %v", st, err)
		}
		checkFetch(t, ep, st.Outputs[0])
	})
}

func checkFetch(t *testing.T, ep scheduler.Endpoint, out scheduler.Output) {
	t.Helper()
	for range 2 { // it may be repeated
		file, err := ep.Fetch(deadline(t), out)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		file.Close()
		if err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
			t.Errorf("got %q, %v", content, err)
		}
	}
}

func TestTroubles(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		for _, trouble := range troubles {
			t.Run(trouble.name, func(t *testing.T) {
				t.Parallel()
				checkSubmit(t, sub, trouble)
				checkPoll(t, sub, trouble)
				checkCancel(t, sub, trouble)
			})
		}
	})
}

// checkSubmit also counts: whatever happens, the paid call is made once.
func checkSubmit(t *testing.T, sub subject, tr trouble) {
	ctx, serve := tr.strike(t)
	s, ep := start(t, sub, "submit", serve)
	id, err := ep.Submit(ctx, testJob(), scheduler.Terms{})
	if err == nil {
		t.Fatalf("submit gave %q", id)
	}
	if got := kindOf(t, err); got != tr.submit {
		t.Errorf("submit: %v (%v), want %v", got, err, tr.submit)
	}
	s.Close()
	paid := 0
	for _, call := range s.calls {
		if strings.HasSuffix(call, " submit") {
			paid++
		}
	}
	if paid != 1 {
		t.Errorf("the paid call was made %d times: %v", paid, s.calls)
	}
}

func checkPoll(t *testing.T, sub subject, tr trouble) {
	ctx, serve := tr.strike(t)
	_, ep := start(t, sub, "poll", serve)
	st, err := ep.Poll(ctx, sub.remote)
	if tr.gone {
		if err != nil || st.State != scheduler.Gone || st.Err == nil || st.Err.Kind != scheduler.Lost {
			t.Errorf("poll: %+v, %v; want gone", st, err)
		}
		return
	}
	if err == nil {
		t.Fatalf("poll gave %+v", st)
	}
	if got := kindOf(t, err); got != tr.poll {
		t.Errorf("poll: %v (%v), want %v", got, err, tr.poll)
	}
}

// checkCancel: a job that is gone or final is no error, all the rest is.
func checkCancel(t *testing.T, sub subject, tr trouble) {
	ctx, serve := tr.strike(t)
	_, ep := start(t, sub, "cancel", serve)
	err := ep.Cancel(ctx, sub.remote)
	switch tr.name {
	case "400", "404", "404 of a proxy", "410", "422", "a page", "truncated JSON", "nothing", "204", "a list":
		if err != nil {
			t.Errorf("cancel: %v", err)
		}
	default:
		if err == nil {
			t.Error("cancel says that it succeeded")
		} else {
			kindOf(t, err)
		}
	}
}

func TestRetryAfterIsTold(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		_, ep := start(t, sub, "submit", status(429, "Retry-After: 7", ""))
		_, err := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		var e *scheduler.Error
		if !errors.As(err, &e) || e.RetryAfter != 7*time.Second || e.Status != 429 {
			t.Errorf("got %+v", err)
		}
	})
}

// TestOversize: an answer that nobody can want ends the attempt, for it would come again.
func TestOversize(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		huge := func(w http.ResponseWriter, r *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 70 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
		ctx := deadline(t)
		_, ep := start(t, sub, "poll", huge)
		st, err := ep.Poll(ctx, sub.remote)
		if err != nil || st.State != scheduler.Failed || st.Err.Kind != scheduler.Rejected || !strings.Contains(st.Err.Message, "larger than") {
			t.Errorf("poll: %+v, %v", st, err)
		}
		_, ep = start(t, sub, "submit", huge)
		if _, err := ep.Submit(ctx, testJob(), scheduler.Terms{}); kindOf(t, err) != scheduler.Uncertain {
			t.Errorf("submit: %v", err)
		}
	})
}

func TestUnreachable(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		ep := open(t, sub, "http://"+l.Addr().String())
		_, submit := ep.Submit(deadline(t), testJob(), scheduler.Terms{})
		_, poll := ep.Poll(deadline(t), sub.remote)
		for _, err := range []error{submit, poll, ep.(scheduler.Checker).Check(deadline(t))} {
			if kindOf(t, err) != scheduler.Unreachable {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestInterrupted: a caller that gives up in the midst of a submission does not know.
func TestInterrupted(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		arrived := make(chan struct{})
		_, ep := start(t, sub, "submit", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			close(arrived)
			<-r.Context().Done()
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		if _, err := ep.Submit(ctx, testJob(), scheduler.Terms{}); kindOf(t, err) != uncertain || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		_, err := ep.Submit(ctx, testJob(), scheduler.Terms{})
		if got := kindOf(t, err); got == uncertain {
			t.Errorf("nothing was sent, got %v", err)
		}
	})
}

func TestJobTooLarge(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		s, ep := start(t, sub, "", nil)
		job := testJob()
		job.Prompt = []byte(`{"1":"` + strings.Repeat("x", int(ep.Properties().Limits.JobBytes)) + `"}`)
		_, err := ep.Submit(deadline(t), job, scheduler.Terms{})
		if kindOf(t, err) != rejected || len(s.calls) != 0 || !strings.Contains(err.Error(), "bytes") {
			t.Errorf("got %v after the calls %v", err, s.calls)
		}
	})
}

func TestCheck(t *testing.T) {
	eachSubject(t, func(t *testing.T, sub subject) {
		for want, serve := range map[scheduler.Kind]http.HandlerFunc{
			rejected: status(404, "", `{"error":"not found"}`), unauthorized: status(401, "", ""), transient: status(500, "", ""), busy: status(429, "", "")} {
			_, ep := start(t, sub, "stats", serve)
			if err := ep.(scheduler.Checker).Check(deadline(t)); err == nil || kindOf(t, err) != want {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}
