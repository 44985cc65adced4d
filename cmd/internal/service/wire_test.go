package service

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
)

// filled puts something into the holes of a route's path.
func filled(path string) string {
	for _, hole := range []string{"{pool}", "{id}", "{class}", "{folder}", "{path:*}"} {
		with := map[string]string{"{pool}": "preview", "{id}": strings.Repeat("0", 32), "{class}": "KSampler", "{folder}": "loras", "{path:*}": "index.html"}[hole]
		path = strings.ReplaceAll(path, hole, with)
	}
	return path
}

// Every route of every listener looks at Host, Origin and Sec-Fetch-Site before anything else, and allows no other site anything: neither the
// route itself nor, by CORS, the reading of its answer.
func TestEveryRouteIsGuarded(t *testing.T) {
	c := comfyServer(t)
	main := *c
	main.base = c.main
	for name, x := range map[string]struct {
		client *client
		routes []web.Route
	}{"main": {&main, c.svc.site.Routes}, "native": {c, c.svc.natives[0].Site.Routes}} {
		if len(x.routes) < 20 {
			t.Errorf("%s: %d routes", name, len(x.routes))
		}
		for _, r := range x.routes {
			path := filled(r.Path)
			if strings.ContainsAny(path, "{}") {
				t.Errorf("%s %s has a hole that this test does not fill", r.Method, r.Path)
			}
			for what, h := range map[string]header{"host": {"Host": "evil.example.com"}, "origin": {"Origin": "https://evil.example.com"}, "null": {"Origin": "null"},
				"port": {"Origin": "http://127.0.0.1:1"}, "cross-site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "same-site": {"Sec-Fetch-Site": "same-site"}} {
				answer, text := x.client.do(r.Method, path, nil, h)
				if answer.StatusCode != 403 {
					t.Errorf("%s: %s %s with a bad %s: %d %.200s", name, r.Method, path, what, answer.StatusCode, text)
				}
				for field := range answer.Header {
					if strings.HasPrefix(field, "Access-Control-") {
						t.Errorf("%s: %s %s: %s: %s", name, r.Method, path, field, answer.Header.Get(field))
					}
				}
			}
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
				if r.Method == "GET" || strings.HasPrefix(kind, "multipart") && len(r.Bodies) > 0 && r.Bodies[len(r.Bodies)-1] == web.Multipart {
					continue
				}
				// As a form of a web page sends it: browsers say where it comes from, and the oldest ones only the type.
				answer, _ := x.client.do(r.Method, path, strings.NewReader("a=b"), header{"Content-Type": kind, "Sec-Fetch-Site": "none"})
				if r.Bodies != nil && answer.StatusCode != 415 && answer.StatusCode != 404 {
					t.Errorf("%s: %s %s as %s: %d", name, r.Method, path, kind, answer.StatusCode)
				}
			}
		}
	}
}

// CORS is off unless an origin is configured, and then it is for that one alone.
func TestCrossOriginsAreOff(t *testing.T) {
	ask := func(c *client, method, origin string) http.Header {
		answer, _ := c.do(method, "/api/v1/batches", nil, header{"Origin": origin, "Access-Control-Request-Method": "POST"})
		return answer.Header
	}
	const app = "https://app.example.com"
	closed, open := serve(t, Options{}), serve(t, Options{Config: Config{Origins: []string{app}}})
	for _, method := range []string{"OPTIONS", "GET"} {
		if h := ask(closed, method, app); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: open by default: %v", method, h)
		}
		if h := ask(open, method, "https://other.example.com"); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: open for others: %v", method, h)
		}
		if h := ask(open, method, app); h.Get("Access-Control-Allow-Origin") != app || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: for the app: %v", method, h)
		}
	}
}

// certificate writes a certificate for 127.0.0.1, and its key.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, roots = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(text)
	for name, data := range map[string][]byte{cert: text, key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, roots
}

func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	c := serve(t, Options{Listen: loopbackListen, Config: Config{Cert: cert, Key: key}})
	if !strings.HasPrefix(c.base, "https://127.0.0.1:") {
		t.Fatalf("base %s", c.base)
	}
	c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	c.want(200, "GET", "/readyz", nil, nil)
	text := c.addKey(keys.Limits{})
	if answer, _ := c.do("POST", "/api/v1/login", map[string]string{"key": text}, nil); !strings.Contains(answer.Header.Get("Set-Cookie"), "secure") {
		t.Errorf("over TLS: %s", answer.Header.Get("Set-Cookie"))
	}
	address := strings.TrimPrefix(c.base, "https://")
	if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if answer, err := http.Get("http://" + address + "/healthz"); err == nil {
		answer.Body.Close()
		t.Errorf("without TLS: %d", answer.StatusCode)
	}
	c.http.CloseIdleConnections()
	for name, bad := range map[string]Config{"no file": {Cert: cert + "x", Key: key}, "no key": {Cert: cert, Key: cert}} {
		s, err := Open(t.Context(), Options{Dir: t.TempDir(), Address: "127.0.0.1:0", Config: bad})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "tls") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// X-Forwarded-* count only if the connection comes from a proxy of the configuration.
func TestTrustedProxies(t *testing.T) {
	forwarded := header{"X-Forwarded-Host": "render.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7, 10.0.0.1"}
	for name, proxies := range map[string][]netip.Prefix{"none": nil, "another": {netip.MustParsePrefix("10.0.0.0/8")}, "this": {netip.MustParsePrefix("127.0.0.0/8")}} {
		var log lockedBuffer
		c := serve(t, Options{Listen: loopbackListen, Log: slog.New(slog.NewJSONHandler(&log, nil)), Config: Config{Proxies: proxies, Hosts: []string{"render.example.com"}}})
		text := c.addKey(keys.Limits{})
		answer, _ := c.do("POST", "/api/v1/login", map[string]string{"key": text}, forwarded)
		trusted := name == "this"
		if secure := strings.Contains(answer.Header.Get("Set-Cookie"), "secure"); answer.StatusCode != 204 || secure != trusted {
			t.Errorf("%s: login %d %q", name, answer.StatusCode, answer.Header.Get("Set-Cookie"))
		}
		c.stop()
		if told := strings.Contains(log.String(), `"client":"203.0.113.7"`); told != trusted {
			t.Errorf("%s: the client's address is believed: %t", name, told)
		}
	}
	c := serve(t, Options{Listen: loopbackListen, Config: Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if answer, _ := c.do("GET", "/healthz", nil, header{"X-Forwarded-Host": "evil.example.com"}); answer.StatusCode != 403 {
		t.Errorf("a name that a proxy forwards and nobody configured: %d", answer.StatusCode)
	}
}

// Answers have entity tags, and are compressed for those who want that; both together too.
func TestConditionalAndCompressed(t *testing.T) {
	c := serve(t, Options{})
	for i := range 4 {
		c.ended(c.want(202, "POST", "/api/v1/batches", small(fmt.Sprint("batch ", i), 1), nil)["id"].(string))
	}
	const path = "/api/v1/batches"
	plain, want := c.do("GET", path, nil, header{"Accept-Encoding": "identity"})
	tag := plain.Header.Get("ETag")
	if tag == "" || plain.Header.Get("Content-Encoding") != "" || len(want) < 1400 {
		t.Fatalf("plain: %v, %d bytes", plain.Header, len(want))
	}
	packed, text := c.do("GET", path, nil, header{"Accept-Encoding": "gzip"})
	if packed.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(packed.Header.Get("Vary"), "Accept-Encoding") || len(text) >= len(want) {
		t.Fatalf("packed: %v, %d of %d bytes", packed.Header, len(text), len(want))
	}
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(r); !bytes.Equal(got, want) {
		t.Errorf("unpacked: %.200s", got)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if answer, text := c.do("GET", path, nil, header{"If-None-Match": match, "Accept-Encoding": "gzip"}); answer.StatusCode != 304 || len(text) > 0 {
			t.Errorf("If-None-Match %s: %d, %d bytes", match, answer.StatusCode, len(text))
		}
	}
	if answer, _ := c.do("GET", path, nil, header{"If-None-Match": `"other"`}); answer.StatusCode != 200 {
		t.Errorf("another tag: %d", answer.StatusCode)
	}
	if answer, _ := c.do("POST", "/api/v1/check", fmt.Sprintf(emptyImage, 1), header{"If-None-Match": "*"}); answer.StatusCode != 200 {
		t.Errorf("a POST: %d", answer.StatusCode)
	}
}

func TestPagesOfBatches(t *testing.T) {
	c := serve(t, Options{})
	var want, got []string
	for i := range 7 {
		id := c.want(202, "POST", "/api/v1/batches", small(fmt.Sprint(i), 1), nil)["id"].(string)
		want = append([]string{id}, want...) // the newest first
		c.ended(id)
	}
	for next, pages := "/api/v1/batches?limit=3", 0; next != ""; pages++ {
		page := c.want(200, "GET", next, nil, nil)
		for _, b := range page["batches"].([]any) {
			got = append(got, b.(map[string]any)["id"].(string))
		}
		next, _ = page["next"].(string)
		if pages > 3 {
			t.Fatal("pages without an end")
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages %v, want %v", got, want)
	}
	for _, q := range []string{"limit=0", "limit=501", "limit=x", "limit=-1", "state=nothing"} {
		c.want(400, "GET", "/api/v1/batches?"+q, nil, nil)
	}
	for _, q := range []string{"limit=1001", "after=-2", "after=x"} {
		c.want(400, "GET", "/api/v1/batches/"+want[0]+"/renders?"+q, nil, nil)
	}
}

// The gallery of a batch that runs is there with what is done, and says that more will come.
func TestTheGalleryOfARunningBatch(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {hangs: {type: preview, limits: {in_flight: 1}, emulator: {execution_timeout: 10h, faults: [{kind: hang, at: [2]}]}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	batch := small("live", 2)
	batch["endpoints"], batch["schedule"] = []string{"hangs"}, map[string]any{"max-parallel": 1, "fuse": "off"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	at := "/api/v1/batches/" + id + "/gallery/"
	eventually(t, "the first picture is in the gallery", func() bool {
		answer, text := c.do("GET", at, nil, nil)
		return answer.StatusCode == 200 && bytes.Contains(text, []byte("images/"))
	})
	if state := c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"]; state != "running" {
		t.Fatalf("the batch is %v", state)
	}
	file = c.want(200, "GET", "/api/v1/batches/"+id+"/renders", nil, nil)["renders"].([]any)[0].(map[string]any)["files"].([]any)[0].(map[string]any)["path"].(string)
	if answer, picture := c.do("GET", at+file, nil, nil); answer.StatusCode != 200 || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("its picture: %d", answer.StatusCode)
	}
	if m := c.want(200, "GET", at+"manifest.json", nil, nil); m["running"] != true {
		t.Errorf("its manifest says running: %v", m["running"])
	}
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	c.ended(id)
}

// At a drain, what is under way is answered: a long poll tells how its job stands, a stream of events ends cleanly, and nobody new is let in.
func TestTheDrainAnswersWhatIsUnderWay(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, emulator: {execution: 10h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends, Listen: loopbackListen})
	batch := small("drained", 1)
	batch["endpoints"] = []string{"slow"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	job := c.jobs("slow", 1)[0]
	eventually(t, "the job runs", func() bool { return c.word("slow", job) == "IN_PROGRESS" })
	type result struct {
		what string
		code int
		text []byte
		err  error
	}
	results := make(chan result, 2)
	read := func(what, path string, begun chan<- struct{}) {
		answer, err := c.http.Do(c.request("GET", path, nil, nil))
		if err != nil {
			results <- result{what: what, err: err}
			return
		}
		defer answer.Body.Close()
		body := bufio.NewReader(answer.Body)
		if begun != nil {
			_, _ = body.Peek(1)
			close(begun)
		}
		text, err := io.ReadAll(body)
		results <- result{what, answer.StatusCode, text, err}
	}
	begun := make(chan struct{})
	go read("events", "/api/v1/batches/"+id+"/events", begun)
	<-begun
	go read("poll", "/v2/slow/status-sync/"+job+"?wait=300000", nil)
	eventually(t, "the long poll has arrived", func() bool {
		_, text := c.do("GET", "/metrics", nil, nil)
		return bytes.Contains(text, []byte(`comfyc_http_requests_in_flight{route="/v2/{pool}/status-sync/{id}"} 1`))
	})
	c.stop()
	for range 2 {
		r := <-results
		if r.err != nil || r.code != 200 || r.what == "poll" && !bytes.Contains(r.text, []byte(`"IN_PROGRESS"`)) {
			t.Errorf("%s: %d %v %.300s", r.what, r.code, r.err, r.text)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(c.base, "http://")); err == nil {
		conn.Close()
		t.Error("a connection is taken after the drain")
	}
}
