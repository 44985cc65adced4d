package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// overTCP serves an emulator on a loopback port.
func overTCP(t testing.TB, e *Emulator) *client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback port: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(ln) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		e.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &client{t: t, http: http.Client{Transport: transport}, base: "http://" + ln.Addr().String()}
}

// TestTCP holds that faults look the same through a socket as through RoundTripper.
func TestTCP(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", Worker: "echo", SubmitPer10s: -1, Faults: []Fault{
		{Kind: LostAnswer, At: []int{1}}, {Kind: Reset, On: Submit, At: []int{2}}, {Kind: Truncated, On: Submit, At: []int{3}},
		{Kind: HTTPStatus, On: Submit, At: []int{4}, Status: 429, RetryAfter: 3 * time.Second}, {Kind: SlowBody, On: Submit, At: []int{5}, Delay: 20 * time.Millisecond},
		{Kind: HTML, On: Submit, At: []int{6}, Status: 502}, {Kind: Redirect, On: Submit, At: []int{7}, Location: "/_emulator/stats"},
	}}}})
	c := overTCP(t, e)
	for i, check := range []func(r reply) bool{
		func(r reply) bool { return errors.Is(r.err, io.EOF) },
		func(r reply) bool { return errors.Is(r.err, syscall.ECONNRESET) },
		func(r reply) bool { return errors.Is(r.err, io.ErrUnexpectedEOF) && r.text != "" },
		func(r reply) bool { return r.status == 429 && r.header.Get("Retry-After") == "3" },
		func(r reply) bool {
			return r.status == 200 && strings.Contains(r.text, "IN_QUEUE") && r.header.Get("Content-Type") == "application/json"
		},
		func(r reply) bool { return r.status == 502 && r.header.Get("Content-Type") == "text/html" },
		func(r reply) bool { return strings.Contains(r.text, `"endpoints"`) },
		func(r reply) bool { return r.status == 200 && r.header.Get("Content-Type") == "application/json" },
	} {
		if r := c.do("POST", "/v2/ep/run", `{"input":{}}`); !check(r) {
			t.Errorf("submit %d: %d %q %v %v", i+1, r.status, clip(r.text), r.header, r.err)
		}
	}
	if s := e.Stats().Endpoint("ep"); s.Accepted != 4 || s.Submits != 8 {
		t.Errorf("%d jobs of %d submits", s.Accepted, s.Submits)
	}
	big := c.do("POST", "/v2/ep/run", `{"input":"`+strings.Repeat("x", 11<<20)+`"}`)
	if big.status != 413 {
		t.Errorf("11 MiB: %d %v", big.status, big.err)
	}
}

// TestListen renders with the real worker over the in-memory listener, and fetches by URL.
func TestListen(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", Outputs: URL}}})
	transport, base, stop := e.Listen()
	defer stop()
	c := &client{t: t, http: http.Client{Transport: transport}, base: base}
	v := c.do("POST", "/v2/ep/runsync", `{"input":`+input(255, "a")+`}`).value(t)
	url := v.Get("output").Get("images").Index(0).Get("data").Str()
	r := c.do("GET", strings.TrimPrefix(url, base), "")
	if r.status != 200 || !strings.HasPrefix(url, base+"/files/") {
		t.Fatalf("%s: %d %s", url, r.status, clip(r.text))
	}
	if img := decodePNG(t, r.text); img.Bounds().Dx() != 16 || img.Bounds().Dy() != 8 {
		t.Errorf("the picture is %v", img.Bounds())
	}
}

// TestCloseWhileBusy closes an emulator in the middle of everything; goleak holds that nothing remains.
func TestCloseWhileBusy(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", MaxWorkers: 4, SubmitPer10s: -1, StatusPer10s: -1}}, Runner: stub(time.Hour)})
	c := overTCP(t, e)
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = c.run("/v2/ep/run", input(i, "a"))
	}
	var asking sync.WaitGroup
	for _, id := range ids {
		asking.Add(1)
		go func() {
			defer asking.Done()
			c.do("GET", "/v2/ep/status-sync/"+id, "")
		}()
	}
	for e.Stats().Endpoint("ep").Polls < len(ids) {
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	e.Close()
	asking.Wait()
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("Close took %v", d)
	}
	if r := direct1(t, e).do("POST", "/v2/ep/run", `{"input":{}}`); r.status != 503 {
		t.Errorf("a submit after Close: %d %s", r.status, r.text)
	}
	e.Close()
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	base := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Config{}, "127.0.0.1:0", func(b string) { base <- b }) }()
	c := &client{t: t, http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	select {
	case c.base = <-base:
	case err := <-done:
		t.Skipf("no loopback port: %v", err)
	}
	if r := c.do("GET", "/v2/preview/health", ""); r.status != 200 {
		t.Errorf("%d %v", r.status, r.err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Run(ctx, Config{Endpoints: []Endpoint{{Name: "a b"}}}, "", nil); err == nil {
		t.Error("a bad configuration was taken")
	}
	lines, err := Config{}.Places("http://h:1")
	if want := "[preview runpod http://h:1/v2/preview preview novita http://h:1/v1/preview preview comfyui http://h:1/native/preview]"; err != nil || fmt.Sprint(lines) != want {
		t.Errorf("%v %v", lines, err)
	}
}

// TestManyAtOnce submits from many goroutines and counts.
func TestManyAtOnce(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", MaxWorkers: 8, SubmitPer10s: -1, StatusPer10s: -1, Faults: []Fault{{Kind: Reset, On: Submit, Rate: 0.1}}}}, Runner: stub(0)})
	c := direct1(t, e)
	var all sync.WaitGroup
	for g := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 50 {
				r := c.do("POST", "/v2/ep/runsync", `{"input":`+input(g*1000+i, fmt.Sprint("p", g, "-", i))+`}`)
				if r.err == nil && !strings.Contains(r.text, `"COMPLETED"`) {
					t.Errorf("%d %s", r.status, clip(r.text))
				}
			}
		}()
	}
	all.Wait()
	s := e.Stats().Endpoint("ep")
	if s.Submits != 400 || s.Accepted+s.Faults != 400 || s.Completed != s.Accepted || s.Executed != s.Accepted || len(s.Prefixes) != s.Accepted || s.Faults < 15 || s.Faults > 80 {
		t.Errorf("%+v, %d prefixes", s.Counters, len(s.Prefixes))
	}
}
