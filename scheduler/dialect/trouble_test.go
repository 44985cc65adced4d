package dialect_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// trouble is an answer that no remote should give, or none.
type trouble struct {
	name   string
	serve  http.HandlerFunc
	submit scheduler.Kind
	poll   scheduler.Kind
	gone   bool // the poll is answered with Gone
	slow   func(lost func()) http.HandlerFunc
}

// strike gives a context for one call that meets the trouble, and the trouble.
func (tr trouble) strike(t *testing.T) (context.Context, http.HandlerFunc) {
	ctx, cancel := context.WithCancel(deadline(t))
	t.Cleanup(cancel)
	if tr.slow != nil {
		return ctx, tr.slow(cancel)
	}
	return ctx, tr.serve
}

func status(code int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// cut ends the connection: reset or closed, before or after half an answer.
func cut(read, reset bool, half string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if read {
			io.Copy(io.Discard, r.Body)
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, half)
		if reset {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
	}
}

// hang never ends its answer. What it waits for is the caller's patience, which ends once the request has arrived.
func hang(begin string) func(lost func()) http.HandlerFunc {
	return func(lost func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if begin != "" {
				io.WriteString(w, begin)
				w.(http.Flusher).Flush()
			}
			lost()
			<-r.Context().Done()
		}
	}
}

const (
	transient    = scheduler.Transient
	busy         = scheduler.Busy
	rejected     = scheduler.Rejected
	unauthorized = scheduler.Unauthorized
	uncertain    = scheduler.Uncertain
)

// troubles is the list of faults, the same for all dialects.
var troubles = []trouble{
	{"500", status(500, "", `{"error":"x"}`), uncertain, transient, false, nil},
	{"502 with a page", status(502, "Content-Type: text/html", "<html>bad gateway</html>"), uncertain, transient, false, nil},
	{"503", status(503, "", "{}"), uncertain, transient, false, nil},
	{"503 with Retry-After", status(503, "Retry-After: 2", "{}"), busy, busy, false, nil},
	{"504", status(504, "", ""), uncertain, transient, false, nil},
	{"429", status(429, "", `{"error":"slow down"}`), busy, busy, false, nil},
	{"429 with Retry-After", status(429, "Retry-After: 7", ""), busy, busy, false, nil},
	{"408", status(408, "", ""), busy, busy, false, nil},
	{"401", status(401, "", ""), unauthorized, unauthorized, false, nil},
	{"403", status(403, "", `{"error":"other team"}`), unauthorized, unauthorized, false, nil},
	{"400", status(400, "", `{"error":"bad"}`), rejected, transient, false, nil},
	{"404", status(404, "", `{"error":"job not found"}`), rejected, transient, true, nil},
	{"404 of a proxy", status(404, "Content-Type: text/html", "<!DOCTYPE html><title>Not here</title>"), rejected, transient, false, nil},
	{"410", status(410, "", ""), rejected, transient, true, nil},
	{"413", status(413, "", `{"error":"too large"}`), rejected, transient, false, nil},
	{"422", status(422, "", `{"detail":[]}`), rejected, transient, false, nil},
	{"reset before the request was read", cut(false, true, ""), uncertain, transient, false, nil},
	{"reset after", cut(true, true, ""), uncertain, transient, false, nil},
	{"closed without an answer", cut(true, false, ""), uncertain, transient, false, nil},
	{"half an answer", cut(true, false, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{\"id\":\"job-1\","), uncertain, transient, false, nil},
	{"a page", status(200, "Content-Type: text/html", "<html/>"), uncertain, transient, false, nil},
	{"truncated JSON", status(200, "", `{"id":"job-1","sta`), uncertain, transient, false, nil},
	{"nothing", status(200, "", ""), uncertain, transient, false, nil},
	{"204", status(204, "", ""), uncertain, transient, false, nil},
	{"a list", status(200, "", `[1]`), uncertain, transient, false, nil},
	{"slow headers", nil, uncertain, transient, false, hang("")},
	{"slow body", nil, uncertain, transient, false, hang(`{"id":"job-1",`)},
	{"redirect to elsewhere", status(307, "Location: http://elsewhere.comfyc.invalid/x", ""), rejected, transient, false, nil},
	{"redirect to the metadata service", status(302, "Location: http://169.254.169.254/latest", ""), rejected, transient, false, nil},
}
