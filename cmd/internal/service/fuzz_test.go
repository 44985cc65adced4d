package service

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"
)

// target is a service to which anything may be sent: its jobs wait for a worker that never has time.
type target struct {
	ln *fasthttputil.InmemoryListener
	t  testing.TB
}

func newTarget(t testing.TB) *target {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, limits: {in_flight: 1}, emulator: {execution: 10h}}}\n")
	ln := fasthttputil.NewInmemoryListener()
	serve(t, Options{EndpointsFile: file, Endpoints: ends, Config: Config{MaxBatches: 1, MaxRenders: 100}, Listen: func(string, string) (net.Listener, error) { return ln, nil }})
	return &target{ln, t}
}

// send writes bytes to a connection of its own and reads the first answer to them; nil if there was none.
func (g *target) send(t *testing.T, text []byte) (*http.Response, []byte) {
	conn, err := g.ln.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute)) // only bounds a hang
	written := make(chan struct{})
	go func() { defer close(written); _, _ = conn.Write(text) }()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		conn.Close()
		<-written
		return nil, nil
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	conn.Close()
	<-written
	return answer, body
}

// sound holds what is true of each answer.
func sound(t *testing.T, sent []byte, answer *http.Response, body []byte) {
	if answer == nil {
		return // a connection that is closed is an answer, too
	}
	if answer.StatusCode >= 500 {
		t.Fatalf("%d to %.2000q: %.1000s", answer.StatusCode, sent, body)
	}
	for name := range answer.Header {
		if strings.Contains(name, "Injected") || name == "Set-Cookie" {
			t.Fatalf("%.2000q put %s into the answer", sent, name)
		}
	}
	if bytes.Contains(body, []byte("goroutine ")) {
		t.Fatalf("%.2000q: a stack is shown: %.1000s", sent, body)
	}
}

// bodyRoutes are those that read bodies.
var bodyRoutes = []string{"/api/v1/batches", "/api/v1/check", "/api/v1/convert", "/api/v1/plan", "/v2/slow/run", "/v1/slow/run", "/api/v1/login", "/api/v1/batches/00000000000000000000000000000000/retry"}

var bodyKinds = []string{"application/json", "application/yaml", "multipart/form-data; boundary=b"}

// FuzzBody sends any body to the routes that read one: no answer is a 5xx.
func FuzzBody(f *testing.F) {
	form := "--b\r\nContent-Disposition: form-data; name=\"batch\"; filename=\"batch.yaml\"\r\n\r\nversion: 1\nworkflow: w.json\n\r\n--b\r\nContent-Disposition: form-data; name=\"w.json\"\r\n\r\n" + fmt.Sprintf(emptyImage, 1) + "\r\n--b--\r\n"
	for i, seed := range []string{`{"version":1,"workflow":` + fmt.Sprintf(emptyImage, 1) + `,"sweep":{"matrix":{"1.color":[1,2]}}}`, fmt.Sprintf(emptyImage, 1), `{"nodes":[],"links":[]}`, "version: 1\nfiles: {a.json: {base64: e30=}}\nworkflow: a.json\n",
		`{"input":{"workflow":` + fmt.Sprintf(emptyImage, 1) + `,"images":[{"name":"a.png","image":"` + dot + `"}]},"policy":{"ttl":1},"webhook":"http://10.0.0.1/"}`,
		`{"input":{"input":{"prompt":{}}},"s3Config":{"endpointUrl":"http://[::1]/"}}`, `{"key":"cmfy_a_b"}`, `{"resubmit_uncertain":true}`, form} {
		for k := range bodyKinds {
			f.Add(uint8(i), uint8(k), []byte(seed))
		}
	}
	g := newTarget(f)
	f.Fuzz(func(t *testing.T, route, kind uint8, body []byte) {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", bodyRoutes[int(route)%len(bodyRoutes)], bodyKinds[int(kind)%len(bodyKinds)], len(body))
		text := append([]byte(head), body...)
		answer, said := g.send(t, text)
		if answer == nil {
			t.Fatalf("no answer to %.2000q", text)
		}
		sound(t, text, answer, said)
	})
}

// FuzzHeader sends any request line and field: no answer is a 5xx, and nothing that was sent becomes a field of the answer.
func FuzzHeader(f *testing.F) {
	for _, seed := range [][3]string{{"GET /", "X-Request-ID", "abcdefgh\r\nX-Injected: 1"}, {"GET /api/v1/batches?before=%0d%0aX-Injected:1", "Range", "bytes=0-"}, {"GET /ui/app.js", "If-None-Match", "*"},
		{"GET /api/v1/batches/00000000000000000000000000000000/gallery/..%2f..%2fservice.db", "Accept-Encoding", "gzip;q=0, *"}, {"OPTIONS /api/v1/batches", "Origin", "null"}, {"GET /openapi.json", "Host", "localhost:\x00"},
		{"GET /v2/slow/status/x", "Authorization", "Basic Og=="}, {"GET /api/v1/session", "Cookie", "comfyc_session=a.9999999999.b.c"}, {"POST /api/v1/login", "Content-Type", "application/json;\x80"},
		{"POST /v2/slow/run", "Transfer-Encoding", "chunked, identity"}, {"GET /metrics", "Content-Length", "-1"}, {"HEAD /", "Expect", "100-continue"}, {"GET http://127.0.0.1/", "X-Forwarded-For", "::::"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	g := newTarget(f)
	f.Fuzz(func(t *testing.T, line, name, value string) {
		if strings.Contains(line, "/events") || strings.Contains(line, "-sync") || strings.Contains(line, "stream") {
			return // they hold answers back
		}
		text := []byte(line + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + name + ": " + value + "\r\n\r\n")
		answer, said := g.send(t, text)
		sound(t, text, answer, said)
	})
}
