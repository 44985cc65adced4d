package call

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

const key = "sk_TESTKEY0123456789"

func client(t *testing.T, base string, o Options) *Client {
	t.Helper()
	o.Endpoint, o.Base, o.KeyName = "ep", base, "NOVITA_API_KEY"
	if o.Key == "" {
		o.Key = key
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func asError(t *testing.T, err error) *scheduler.Error {
	t.Helper()
	var e *scheduler.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *scheduler.Error", err, err)
	}
	if strings.Contains(e.Error(), key) {
		t.Fatalf("the key is in %q", e.Error())
	}
	return e
}

func TestBase(t *testing.T) {
	for _, base := range []string{"", "async.novita.ai/v1", "ftp://h/x", "https://u:p@h/x", "https://h/x?key=1", "https://h/x#f", "http://", "https://h:port/"} {
		if _, err := New(Options{Base: base}); err == nil {
			t.Errorf("New took %q", base)
		}
	}
}

// TestStatuses goes through the classes of answers, for the paid call and for one that may be repeated.
func TestStatuses(t *testing.T) {
	const (
		transient    = scheduler.Transient
		busy         = scheduler.Busy
		rejected     = scheduler.Rejected
		unauthorized = scheduler.Unauthorized
		uncertain    = scheduler.Uncertain
	)
	cases := []struct {
		status     int
		retryAfter string
		html       bool
		paid, poll scheduler.Kind
	}{
		{400, "", false, rejected, transient},
		{401, "", false, unauthorized, unauthorized},
		{403, "", false, unauthorized, unauthorized},
		{404, "", false, rejected, rejected},
		{404, "", true, rejected, transient},
		{405, "", false, rejected, transient},
		{408, "", false, busy, busy},
		{409, "", false, rejected, transient},
		{410, "", false, rejected, rejected},
		{413, "", false, rejected, transient},
		{413, "1", false, busy, busy},
		{422, "", false, rejected, transient},
		{425, "", false, busy, busy},
		{429, "", false, busy, busy},
		{500, "", false, uncertain, transient},
		{500, "5", false, uncertain, transient},
		{501, "", false, rejected, rejected},
		{502, "", true, uncertain, transient},
		{503, "", false, uncertain, transient},
		{503, "3", false, busy, busy},
		{504, "", false, uncertain, transient},
		{521, "", true, transient, transient},
		{522, "", true, uncertain, transient},
		{303, "", false, uncertain, transient},
		{307, "", false, rejected, transient},
	}
	for _, c := range cases {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.html {
				w.Header().Set("Content-Type", "text/html")
			}
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, `{"error":"no"}`)
		})
		cl := client(t, s.URL, Options{})
		for _, r := range []Request{{Op: "submit", Method: "POST", Path: "/run", Body: []byte("{}"), Paid: true}, {Op: "poll", Path: "/status/1"}} {
			_, err := cl.Do(t.Context(), r)
			e := asError(t, err)
			want := c.poll
			if r.Paid {
				want = c.paid
			}
			if e.Kind != want || e.Status != c.status || e.Op != r.Op {
				t.Errorf("%d on %s: got %v (%d), want %v", c.status, r.Op, e.Kind, e.Status, want)
			}
			if (c.retryAfter != "") != (e.RetryAfter > 0) {
				t.Errorf("%d on %s: RetryAfter is %v", c.status, r.Op, e.RetryAfter)
			}
		}
	}
}

// TestPhases is about what may have been sent when no answer comes.
func TestPhases(t *testing.T) {
	refused := "http://" + unused(t)
	resetEarly := raw(t, func(conn net.Conn) {
		conn.Read(make([]byte, 1))
		conn.(*net.TCPConn).SetLinger(0)
	})
	resetLate := raw(t, func(conn net.Conn) {
		http.ReadRequest(bufioReader(conn))
		conn.(*net.TCPConn).SetLinger(0)
	})
	silent := raw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	half := raw(t, func(conn net.Conn) {
		http.ReadRequest(bufioReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"id\":")
	})
	cases := []struct {
		name, base string
		paid, poll scheduler.Kind
	}{
		{"refused", refused, scheduler.Unreachable, scheduler.Unreachable},
		{"no such host", "http://nowhere.comfyc.invalid", scheduler.Unreachable, scheduler.Unreachable},
		{"no TLS there", strings.Replace(silentHTTP(t), "http:", "https:", 1), scheduler.Unreachable, scheduler.Unreachable},
		{"reset before the request was read", resetEarly, scheduler.Uncertain, scheduler.Transient},
		{"reset after", resetLate, scheduler.Uncertain, scheduler.Transient},
		{"no answer", silent, scheduler.Uncertain, scheduler.Transient},
		{"half an answer", half, scheduler.Uncertain, scheduler.Transient},
	}
	for _, c := range cases {
		timeout := 30 * time.Second
		if c.base == silent {
			timeout = 300 * time.Millisecond
		}
		cl := client(t, c.base, Options{Timeout: timeout})
		_, err := cl.Do(t.Context(), Request{Op: "submit", Method: "POST", Body: []byte("{}"), Paid: true})
		if e := asError(t, err); e.Kind != c.paid {
			t.Errorf("%s: submit is %v (%s), want %v", c.name, e.Kind, e.Message, c.paid)
		}
		_, err = cl.Do(t.Context(), Request{Op: "poll"})
		if e := asError(t, err); e.Kind != c.poll {
			t.Errorf("%s: poll is %v (%s), want %v", c.name, e.Kind, e.Message, c.poll)
		}
	}
}

// TestUntraced: a transport that tells nothing is not believed to have sent nothing.
func TestUntraced(t *testing.T) {
	cl := client(t, "http://h", Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("broken") })})
	_, err := cl.Do(t.Context(), Request{Op: "submit", Method: "POST", Paid: true})
	if e := asError(t, err); e.Kind != scheduler.Uncertain {
		t.Errorf("got %v, want uncertain", e.Kind)
	}
}

func TestSenselessAnswers(t *testing.T) {
	cases := []struct{ contentType, body, says string }{
		{"text/html", "<html><head><title>Sign in &amp; go</title></head><body>x</body></html>", "a web page came where JSON belongs: Sign in & go"},
		{"application/json", "", "an empty answer"},
		{"application/json", `{"id":"job-1","sta`, "not the JSON expected"},
		{"text/plain", "upstream Authorization: Bearer " + key, "[redacted]"},
		{"application/json", `[1]`, "not the JSON expected"},
	}
	for _, c := range cases {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.contentType)
			io.WriteString(w, c.body)
		})
		cl := client(t, s.URL, Options{})
		var v struct{ ID string }
		for paid, want := range map[bool]scheduler.Kind{true: scheduler.Uncertain, false: scheduler.Transient} {
			_, err := cl.JSON(t.Context(), Request{Op: "x", Paid: paid}, &v)
			e := asError(t, err)
			if e.Kind != want || !strings.Contains(e.Message, c.says) {
				t.Errorf("%q: got %v %q, want %v with %q", c.body, e.Kind, e.Message, want, c.says)
			}
		}
	}
}

// TestOversize: also an answer that is small on the wire and large when unpacked ends at the limit.
func TestOversize(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 64 {
			z.Write(zeros)
		}
		z.Close()
	})
	_, err := client(t, s.URL, Options{}).Do(t.Context(), Request{Op: "poll", Limit: 1 << 16})
	if e := asError(t, err); e.Kind != scheduler.Rejected || !strings.Contains(e.Message, "64 KiB") {
		t.Errorf("got %v %q", e.Kind, e.Message)
	}
}

// TestKeyStaysHome: redirects within the origin are followed with the key, those beyond it not at all, and outputs never see it.
func TestKeyStaysHome(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s reached another host with Authorization %q", r.URL, r.Header.Get("Authorization"))
	})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		authorized := r.Header.Get("Authorization") == "Bearer "+key
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/x", http.StatusTemporaryRedirect)
		case "/within":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/there":
			if !authorized {
				t.Error("the key was lost on the way")
			}
			io.WriteString(w, `{"ok":true}`)
		case "/file":
			if r.Header.Get("Authorization") != "" {
				t.Error("an output's address got the key")
			}
			io.WriteString(w, "content")
		}
	})
	cl := client(t, s.URL, Options{})
	if _, err := cl.Do(t.Context(), Request{Op: "poll", Path: "/within"}); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{"/away": other.URL, "/loop": "redirect"} {
		_, err := cl.Do(t.Context(), Request{Op: "poll", Path: path})
		if e := asError(t, err); e.Kind != scheduler.Transient || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v %q", path, e.Kind, e.Message)
		}
	}
	_, err := cl.Do(t.Context(), Request{Op: "submit", Method: "POST", Path: "/within", Paid: true})
	if e := asError(t, err); e.Kind != scheduler.Rejected {
		t.Errorf("a redirected submission is %v", e.Kind)
	}
	body, err := cl.Fetch(t.Context(), s.URL+"/file")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); string(text) != "content" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestFetchGuard(t *testing.T) {
	reached := false
	private := serve(t, func(w http.ResponseWriter, r *http.Request) { reached = true; io.WriteString(w, "x") })
	port := private.Listener.Addr().(*net.TCPAddr).Port
	hop := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, private.URL, http.StatusFound) })
	cl := client(t, hop.URL, Options{})
	local := func(host string) string { return "http://" + net.JoinHostPort(host, itoa(port)) }
	addresses := []string{private.URL, hop.URL, local("localhost"), local("0.0.0.0"), "http://169.254.169.254/latest", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/",
		"http://10.0.0.1/", "http://100.100.100.200/", "file:///etc/passwd", "gopher://h/", "http://user@example.com/", "http://2130706433:1/"}
	for _, address := range addresses {
		body, err := cl.Fetch(t.Context(), address)
		if err == nil {
			body.Close()
			t.Errorf("%s was opened", address)
			continue
		}
		asError(t, err)
	}
	if reached {
		t.Fatal("a private address was reached")
	}
	body, err := client(t, hop.URL, Options{AllowHosts: []string{"127.0.0.1"}}).Fetch(t.Context(), hop.URL)
	if err != nil || !reached {
		t.Fatalf("an allowed host was not reached: %v", err)
	}
	body.Close()
}

// TestAllowHosts: a host may be named with and without a port, and an IPv6 address in brackets or bare.
func TestAllowHosts(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }))
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	port := itoa(listener.Addr().(*net.TCPAddr).Port)
	for host, want := range map[string]bool{"::1": true, "[::1]": true, "[::1]:" + port: true, "[::1]:1": false, "::1]:" + port: false, "127.0.0.1": false} {
		body, err := client(t, "http://127.0.0.1:1", Options{AllowHosts: []string{host}}).Fetch(t.Context(), s.URL)
		if err == nil {
			body.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "100.64.0.1": true, "0.0.0.0": true,
		"224.0.0.1": true, "255.255.255.255": true, "198.18.0.1": true, "::1": true, "::": true, "fe80::1": true, "fd00:ec2::254": true,
		"::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "2002:a00:1::": true, "fe80::1%eth0": true,
		"8.8.8.8": false, "1.1.1.1": false, "2606:4700::1111": false, "172.15.0.1": false, "100.128.0.1": false,
	} {
		if got := Private(netip.MustParseAddr(text)); got != want {
			t.Errorf("Private(%s) is %v", text, got)
		}
	}
}

func TestFetchStatuses(t *testing.T) {
	for status, want := range map[int]scheduler.Kind{401: scheduler.Lost, 403: scheduler.Lost, 404: scheduler.Lost, 410: scheduler.Lost,
		429: scheduler.Busy, 500: scheduler.Transient, 503: scheduler.Transient, 206: scheduler.Transient} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<Error>https://h/x?X-Amz-Signature=deadbeef</Error>")
		})
		_, err := client(t, s.URL, Options{}).Fetch(t.Context(), s.URL+"/x?X-Amz-Signature=deadbeef")
		if e := asError(t, err); e.Kind != want || strings.Contains(e.Error(), "deadbeef") {
			t.Errorf("%d: got %v %q", status, e.Kind, e.Message)
		}
	}
	page := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<!DOCTYPE html><title>Log in</title>")
	})
	_, err := client(t, page.URL, Options{}).Fetch(t.Context(), page.URL)
	if e := asError(t, err); e.Kind != scheduler.Transient || !strings.Contains(e.Message, "Log in") {
		t.Errorf("a page: %v %q", e.Kind, e.Message)
	}
}

// TestStall: a body that stops coming ends, one that comes slowly does not.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &drip{pauses: []time.Duration{50 * time.Second, 50 * time.Second, 61 * time.Second}}
		cl := client(t, "http://h", Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body.ctx = r.Context()
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
		})})
		out, err := cl.Fetch(t.Context(), "http://h/x")
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		text, err := io.ReadAll(out)
		if e := asError(t, err); len(text) != 2 || e.Kind != scheduler.Transient || !strings.Contains(e.Message, "stopped coming") {
			t.Errorf("got %d bytes and %v", len(text), err)
		}
	})
}

// drip gives one byte after each pause.
type drip struct {
	pauses []time.Duration
	ctx    context.Context
}

func (d *drip) Read(b []byte) (int, error) {
	if len(d.pauses) == 0 {
		return 0, io.EOF
	}
	pause := d.pauses[0]
	d.pauses = d.pauses[1:]
	select {
	case <-time.After(pause):
		b[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d *drip) Close() error { return nil }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		header, date string
		want         time.Duration
	}{
		{"", "", 0}, {"5", "", 5 * time.Second}, {"0.5", "", 500 * time.Millisecond}, {" 7 ", "", 7 * time.Second}, {"-3", "", 0}, {"soon", "", 0},
		{"1e300", "", time.Hour}, {"NaN", "", 0}, {"+Inf", "", time.Hour}, {"99999999", "", time.Hour},
		{"Sat, 21 Nov 2026 12:00:30 GMT", "", 30 * time.Second}, {"Sat, 21 Nov 2026 11:00:00 GMT", "", 0},
		{"Sat, 21 Nov 2026 12:00:30 GMT", "Sat, 21 Nov 2026 12:00:20 GMT", 10 * time.Second},
	}
	for _, c := range cases {
		h := http.Header{"Retry-After": {c.header}, "Date": {c.date}}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%q: got %v, want %v", c.header, got, c.want)
		}
	}
}
