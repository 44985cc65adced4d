package service

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
)

// What a web page of another site can send never reaches a handler.
func TestOtherSitesAreRefused(t *testing.T) {
	c := serve(t, Options{Config: Config{Origins: []string{"https://app.example.com"}}})
	for name, x := range map[string]struct {
		h    header
		want int
	}{
		"a program":              {header{}, 200},
		"localhost":              {header{"Host": "localhost:8188"}, 200},
		"IPv6":                   {header{"Host": "[::1]:8188"}, 200},
		"a rebound name":         {header{"Host": "evil.example.com"}, 403},
		"a rebound name, port":   {header{"Host": "evil.example.com:8188"}, 403},
		"looks like localhost":   {header{"Host": "localhost.evil.example.com"}, 403},
		"a private address":      {header{"Host": "10.0.0.1"}, 403},
		"another origin":         {header{"Origin": "https://evil.example.com"}, 403},
		"null":                   {header{"Origin": "null"}, 403},
		"same name, other port":  {header{"Origin": "http://127.0.0.1:9999"}, 403},
		"itself":                 {header{"Origin": "http://127.0.0.1"}, 200},
		"allowed":                {header{"Origin": "https://app.example.com"}, 200},
		"cross-site fetch":       {header{"Sec-Fetch-Site": "cross-site"}, 403},
		"same-site fetch":        {header{"Sec-Fetch-Site": "same-site"}, 403},
		"cross-site navigation":  {header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403},
		"typed into the browser": {header{"Sec-Fetch-Site": "none"}, 200},
		"Node's fetch":           {header{"Sec-Fetch-Mode": "cors"}, 200},
	} {
		for _, path := range []string{"/api/v1/batches", "/v2/preview/health", "/v1/preview/stats"} {
			if answer, text := c.do("GET", path, nil, x.h); answer.StatusCode != x.want {
				t.Errorf("%s: GET %s: %d, want %d: %s", name, path, answer.StatusCode, x.want, text)
			}
		}
	}
	if answer, _ := c.do("GET", "/", nil, header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}); answer.StatusCode != 200 {
		t.Errorf("a link to the page: %d", answer.StatusCode)
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "", "application/octet-stream", "application/json-seq"} {
		for _, path := range []string{"/api/v1/batches", "/v2/preview/run", "/v2/preview/purge-queue"} {
			if answer, _ := c.do("POST", path, strings.NewReader(`{"input":{}}`), header{"Content-Type": kind}); answer.StatusCode != 415 {
				t.Errorf("POST %s as %q: %d", path, kind, answer.StatusCode)
			}
		}
	}
	answer, _ := c.do("OPTIONS", "/api/v1/batches", nil, header{"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"})
	if answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS for a stranger")
	}
}

func TestKeysScopesAndOtherPeoplesWorks(t *testing.T) {
	c := serve(t, Options{})
	mine, theirs := c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{}))
	reader, boss := c.as(c.addKey(keys.Limits{Scopes: []keys.Scope{keys.Read}})), c.as(c.addKey(keys.Limits{Scopes: []keys.Scope{keys.Admin}}))
	c.want(401, "GET", "/api/v1/batches", nil, nil)
	c.want(401, "POST", "/v2/preview/run", `{"input":{}}`, nil)
	c.want(401, "GET", "/metrics", nil, nil)
	c.want(200, "GET", "/healthz", nil, nil)
	c.want(401, "GET", "/api/v1/batches", nil, header{"Authorization": "Bearer cmfy_aaaaaaaaaa_bbbb"})
	reader.want(403, "POST", "/api/v1/batches", small("x", 1), nil)
	id := mine.want(202, "POST", "/api/v1/batches", small("mine", 1), nil)["id"].(string)
	mine.ended(id)
	job := mine.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(9)}}, nil)["id"].(string)
	for _, path := range []string{"", "/renders", "/plan", "/events", "/deliveries", "/gallery/", "/gallery/manifest.json"} {
		theirs.want(404, "GET", "/api/v1/batches/"+id+path, nil, nil)
		if answer, _ := boss.do("GET", "/api/v1/batches/"+id+path, nil, nil); answer.StatusCode != 200 {
			t.Errorf("admin: GET %s: %d", path, answer.StatusCode)
		}
	}
	theirs.want(404, "DELETE", "/api/v1/batches/"+id, nil, nil)
	theirs.want(404, "POST", "/api/v1/batches/"+id+"/retry", nil, nil)
	for _, path := range []string{"status/", "status-sync/", "stream/", "cancel/"} {
		theirs.want(404, "GET", "/v2/preview/"+path+job, nil, nil)
	}
	theirs.want(404, "POST", "/v2/preview/retry/"+job, nil, nil)
	mine.want(404, "GET", "/v1/preview/status/"+job, nil, nil) // another face
	if n := len(theirs.want(200, "GET", "/api/v1/batches", nil, nil)["batches"].([]any)); n != 0 {
		t.Errorf("another key sees %d batches", n)
	}
	mine.want(403, "GET", "/api/v1/audit", nil, nil)
	if log := boss.want(200, "GET", "/api/v1/audit", nil, nil)["audit"].([]any); len(log) == 0 {
		t.Error("the audit log is empty")
	}
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + mine.key))
	c.want(200, "GET", "/api/v1/batches", nil, header{"Authorization": "Basic " + basic})
	c.want(200, "GET", "/api/v1/batches", nil, header{"Authorization": mine.key})
}

func TestABrowsersSession(t *testing.T) {
	c := serve(t, Options{})
	key := c.addKey(keys.Limits{})
	c.want(401, "POST", "/api/v1/login", map[string]string{"key": key + "x"}, nil)
	answer, _ := c.do("POST", "/api/v1/login", map[string]string{"key": key}, nil)
	set := answer.Header.Get("Set-Cookie")
	if answer.StatusCode != 204 || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || strings.Contains(set, key) {
		t.Fatalf("login: %d %s", answer.StatusCode, set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	s := c.want(200, "GET", "/api/v1/session", nil, header{"Cookie": cookie})
	csrf := s["csrf"].(string)
	c.want(403, "POST", "/api/v1/batches", small("x", 1), header{"Cookie": cookie})
	c.want(403, "POST", "/api/v1/batches", small("x", 1), header{"Cookie": cookie, "X-CSRF-Token": "x" + csrf})
	c.want(202, "POST", "/api/v1/batches", small("x", 1), header{"Cookie": cookie, "X-CSRF-Token": csrf})
	large := strings.NewReader(strings.Repeat(" ", 100<<10))
	if answer, _ := c.do("POST", "/api/v1/check", large, header{"Cookie": cookie, "X-CSRF-Token": csrf, "Content-Type": "application/json"}); answer.StatusCode == 413 {
		t.Error("a session's 100 KiB were refused")
	}
	if !strings.HasPrefix(s["webhook_secret"].(string), "whsec_") {
		t.Errorf("session %v", s)
	}
}

func TestLimitsOfKeys(t *testing.T) {
	c := serve(t, Options{})
	c.addKey(keys.Limits{})
	slow := c.as(c.addKey(keys.Limits{Rate: 1, Scopes: []keys.Scope{keys.Read}}))
	last := 0
	for range 5 {
		answer, _ := slow.do("GET", "/api/v1/batches", nil, nil)
		if last = answer.StatusCode; last == 429 && answer.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if last != 429 {
		t.Errorf("the fifth request at once: %d", last)
	}
	full := c.as(c.addKey(keys.Limits{DiskBytes: 1000}))
	id := full.want(202, "POST", "/api/v1/batches", small("a", 1), nil)["id"].(string)
	full.ended(id)
	if p := full.want(403, "POST", "/api/v1/batches", small("b", 1), nil); p["code"] != "disk_full" {
		t.Errorf("problem %v", p)
	}
}

// Only loopback is served without keys.
func TestAnOpenAddressNeedsKeys(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:80", "example.com:80"} {
		if s, err := Open(t.Context(), Options{Dir: t.TempDir(), Address: address}); err == nil {
			s.Close()
			t.Errorf("%s was opened without keys", address)
		}
	}
}

func TestSecretsOfClients(t *testing.T) {
	dir := t.TempDir()
	c := serve(t, Options{Dir: dir})
	job := func(extra string) string {
		return `{"input":{"workflow":` + fmt.Sprintf(emptyImage, 1) + `,"x":1` + extra
	}
	for _, body := range []string{job(`,"comfy_org_api_key":"comfyui-s3cr3t"}}`), job(`},"webhook":"https://example.com/x?token=s3cr3t"}`),
		job(`},"s3Config":{"accessId":"a","accessSecret":"s3cr3t","bucketName":"b","endpointUrl":"https://s3.example.com"}}`)} {
		c.want(400, "POST", "/v2/preview/run", body, nil)
	}
	c.stop()
	c = serve(t, Options{Dir: dir, Getenv: func(name string) string {
		return map[string]string{seal.Variable: strings.Repeat("k", 40)}[name]
	}})
	for _, body := range []string{job(`,"comfy_org_api_key":"comfyui-s3cr3t"}}`), job(`},"webhook":"https://192.0.2.1/x?token=s3cr3t"}`)} {
		id := c.want(200, "POST", "/v2/preview/run", body, nil)["id"].(string)
		if s := c.want(200, "GET", "/v2/preview/status-sync/"+id, nil, nil); s["status"] != "COMPLETED" {
			t.Errorf("status %v", s["status"])
		}
	}
	c.stop()
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if data, _ := os.ReadFile(path); bytes.Contains(data, []byte("s3cr3t")) {
			t.Errorf("%s holds a secret", path)
		}
		return nil
	})
}

func TestPathTricks(t *testing.T) {
	dir := t.TempDir()
	c := serve(t, Options{Dir: dir, Listen: loopbackListen})
	id := c.want(202, "POST", "/api/v1/batches", small("x", 1), nil)["id"].(string)
	c.ended(id)
	out := c.svc.Queue.OutDir(id)
	os.WriteFile(filepath.Join(dir, "works", id, "outside.txt"), []byte("outside"), 0o600)
	if err := os.Symlink("../outside.txt", filepath.Join(out, "link.txt")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../outside.txt", "..%2foutside.txt", "%2e%2e/outside.txt", "..%5coutside.txt", "....//outside.txt", "images/../../outside.txt", "/etc/passwd", "%2fetc%2fpasswd",
		".comfyc/state.db", ".comfyc%2fstate.db", "link.txt", "images", "images/", "index.html%00.png", "index.html/", "./index.html", "//index.html", "C:%5cwindows", "%c0%ae%c0%ae/outside.txt"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /api/v1/batches/%s/gallery/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", id, name)
		text, _ := io.ReadAll(conn)
		conn.Close()
		if bytes.HasPrefix(text, []byte("HTTP/1.1 200")) || bytes.Contains(text, []byte("outside\n")) || bytes.Contains(text, []byte("SQLite")) {
			t.Errorf("%s: %.200s", name, text)
		}
	}
}

func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: bodies of megabytes")
	}
	c := serve(t, Options{Config: Config{MaxBody: 4 << 20}})
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(make([]byte, 64<<20))
	w.Close()
	c.want(415, "POST", "/api/v1/check", &packed, header{"Content-Type": "application/json", "Content-Encoding": "gzip"})
	deep := strings.Repeat("[", 500_000)
	wide := "[" + strings.Repeat("1,", 1_500_000) + "1]"
	aliases := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		aliases += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, x := range map[string][2]string{"deep": {deep, "application/json"}, "wide": {wide, "application/json"}, "aliases": {aliases, "application/yaml"},
		"number": {`{"version":1e100000000,"files":{}}`, "application/json"}, "long number": {`{"version":` + strings.Repeat("9", 1<<20) + `}`, "application/json"}} {
		for _, path := range []string{"/api/v1/batches", "/api/v1/check", "/api/v1/convert"} {
			answer, text := c.do("POST", path, strings.NewReader(x[0]), header{"Content-Type": x[1]})
			if answer.StatusCode >= 500 || answer.StatusCode == 202 {
				t.Errorf("%s: POST %s: %d %.200s", name, path, answer.StatusCode, text)
			}
		}
	}
	answer, _ := c.do("POST", "/v2/preview/run", `{"input":`+deep, nil)
	if answer.StatusCode != 400 {
		t.Errorf("a deep job: %d", answer.StatusCode)
	}
	// The server answers and closes while the client still sends, so the answer may be lost with the connection.
	large := c.request("POST", "/api/v1/check", strings.NewReader(strings.Repeat(" ", 5<<20)), header{"Content-Type": "application/json"})
	if answer, err := c.http.Do(large); err == nil {
		answer.Body.Close()
		if answer.StatusCode != 413 {
			t.Errorf("a large body: %d", answer.StatusCode)
		}
	} else if !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

// A body of 100 MB is refused by its announced length, before it is read.
func TestAHugeBodyIsNotRead(t *testing.T) {
	c := serve(t, Options{Listen: loopbackListen})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != 413 {
		t.Fatalf("%v %v", answer, err)
	}
}

// Strangers may send little, even where a key could send a lot.
func TestStrangersSendLittle(t *testing.T) {
	c := serve(t, Options{})
	key := c.addKey(keys.Limits{})
	body := strings.Repeat(" ", 100<<10)
	if answer, _ := c.do("POST", "/api/v1/check", strings.NewReader(body), header{"Content-Type": "application/json"}); answer.StatusCode != 413 {
		t.Errorf("a stranger's 100 KiB: %d", answer.StatusCode)
	}
	if answer, _ := c.as(key).do("POST", "/api/v1/check", strings.NewReader(body), header{"Content-Type": "application/json"}); answer.StatusCode == 413 {
		t.Error("a key's 100 KiB were refused")
	}
}

func TestSlowloris(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s.site.HeaderTime = 300 * time.Millisecond
	ln := fasthttputil.NewInmemoryListener()
	s.Listen = func(string, string) (net.Listener, error) { return ln, nil }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	conn, err := ln.Dial()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
	text, _ := io.ReadAll(conn) // ends when the server has had enough
	if len(text) > 0 && !bytes.Contains(text, []byte(" 408 ")) && !bytes.Contains(text, []byte(" 400 ")) {
		t.Errorf("answered %.200s", text)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestIdleConnectionsAndListeners(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: 10,000 connections")
	}
	ln := fasthttputil.NewInmemoryListener()
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, emulator: {execution: 1h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends, Listen: func(string, string) (net.Listener, error) { return ln, nil }})
	dial := func() net.Conn {
		conn, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	c.base, c.http = "http://127.0.0.1", &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.Dial() }}}
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range 10_000 {
		conn := dial()
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	c.want(200, "GET", "/readyz", nil, nil)
	batch := small("watched", 1)
	batch["endpoints"] = []string{"slow"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "it runs", func() bool { return c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"] == "running" })
	var heard sync.WaitGroup
	for _, conn := range conns[:1000] {
		fmt.Fprintf(conn, "GET /api/v1/batches/%s/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id)
		heard.Go(func() {
			lines := bufio.NewScanner(conn)
			for lines.Scan() {
				if strings.Contains(lines.Text(), `"cancelled"`) {
					return
				}
			}
			t.Error("a listener did not hear the end")
		})
	}
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	heard.Wait()
	for _, conn := range conns {
		conn.Close()
	}
	c.http.CloseIdleConnections()
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() < before+100 })
}

func TestHeaderInjection(t *testing.T) {
	c := serve(t, Options{})
	for _, id := range []string{"abc\r\nSet-Cookie: x=1", "short", strings.Repeat("a", 100), "with blank", "<script>alert(1)"} {
		r := c.request("GET", "/healthz", nil, nil)
		r.Header["X-Request-Id"] = []string{strings.ReplaceAll(strings.ReplaceAll(id, "\r", ""), "\n", "")}
		answer, err := c.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.Header.Get("X-Request-Id") == id || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q came back", id)
		}
	}
	batch := small("evil\r\nX-Injected: 1", 1)
	answer, text := c.do("POST", "/api/v1/batches", batch, header{"Idempotency-Key": "a b;c"})
	if answer.Header.Get("X-Injected") != "" || answer.StatusCode >= 500 {
		t.Errorf("%d %v %s", answer.StatusCode, answer.Header, text)
	}
	if answer, _ := c.do("GET", "/api/v1/batches?before=x%0d%0aX-Injected:%201", nil, nil); answer.Header.Get("X-Injected") != "" {
		t.Error("a query became a header")
	}
}

func TestTheDrainKeepsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	c := serve(t, Options{Dir: dir})
	id := c.want(202, "POST", "/api/v1/batches", small("x", 2), nil)["id"].(string)
	c.stop()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := l.Work(t.Context(), id)
	if err != nil || w.State == ledger.Failed {
		t.Errorf("after the drain: %+v, %v", w, err)
	}
}

func TestCompatibleJobs(t *testing.T) {
	c := serve(t, Options{})
	run := func(path string, body any) map[string]any { return c.want(200, "POST", path, body, nil) }
	s := run("/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": flow(1)}})
	image := s["output"].(map[string]any)["images"].([]any)[0].(map[string]any)
	if s["status"] != "COMPLETED" || image["filename"] != "pic_00001_.png" || image["type"] != "base64" || !strings.HasPrefix(image["data"].(string), "iVBOR") {
		t.Errorf("runsync %v", s["status"])
	}
	if s := run("/v1/preview/run", map[string]any{"input": map[string]any{"workflow": flow(2)}}); s["status"] != "PENDING" {
		t.Errorf("Novita's first answer %v", s)
	}
	loaded := map[string]any{"workflow": json.RawMessage(loadImage), "images": []any{map[string]any{"name": "a.png", "image": "data:image/png;base64," + dot}}}
	if s := run("/v2/preview/runsync", map[string]any{"input": map[string]any{"input": loaded}}); s["status"] != "COMPLETED" {
		t.Errorf("an image, wrapped twice: %v", s)
	}
	s = run("/v2/preview/run", `{"input":{"workflow":{"1":{"class_type":"EmptyImage","inputs":{"width":"wide"}}}}}`)
	if s["status"] != "FAILED" || !strings.Contains(s["error"].(string), "request.json:1:") || !strings.Contains(s["error"].(string), "[") {
		t.Errorf("a bad one: %v", s)
	}
	for _, bad := range []string{`{`, `[]`, `{}`, `{"input":[]}`, `{"input":null}`, `{"input":{"workflow":{},"images":[{"name":"../x","image":"` + dot + `"}]}}`, `{"input":{"images":7}}`} {
		c.want(400, "POST", "/v2/preview/run", bad, nil)
	}
	if s := run("/v2/preview/run", `{"input":{}}`); s["status"] != "FAILED" {
		t.Errorf("no workflow: %v", s)
	}
	c.want(404, "POST", "/v2/nobody/run", `{"input":{}}`, nil)
	c.want(404, "GET", "/v2/preview/status/0123", nil, nil)
	h := c.want(200, "GET", "/v2/preview/health", nil, nil)
	if h["jobs"].(map[string]any)["completed"].(float64) < 2 {
		t.Errorf("health %v", h)
	}
	same := header{"Idempotency-Key": "once"}
	a := c.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(3)}}, same)
	b := c.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(3)}}, same)
	if a["id"] != b["id"] {
		t.Errorf("two jobs for one key: %v %v", a["id"], b["id"])
	}
	c.want(409, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(4)}}, same)
}
