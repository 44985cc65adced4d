package service

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
)

// connections is how many clients ask at once.
const connections = 64

// busy is a service on loopback whose batches wait: what is measured is taking requests, not rendering.
func busy(b testing.TB) *client {
	file, ends := slowEndpoint(b, b.TempDir(), "endpoints: {slow: {type: preview, emulator: {execution: 10h}}}\n")
	c := serve(b, Options{EndpointsFile: file, Endpoints: ends, Listen: loopbackListen, Config: Config{MaxBatches: 1}})
	c.want(202, "POST", "/api/v1/batches", slowBatch(), nil) // takes the one turn
	return c
}

func slowBatch() map[string]any {
	batch := small("load", 1)
	batch["endpoints"] = []string{"slow"}
	return batch
}

// load makes b.N requests from many connections, holds their status, and reports requests a second and how long the slowest hundredth took.
func load(b *testing.B, base, method, path string, body []byte, want int) {
	b.Helper()
	host := &fasthttp.HostClient{Addr: strings.TrimPrefix(base, "http://"), MaxConns: connections, ReadTimeout: time.Minute}
	b.SetParallelism(connections / runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var times []time.Duration
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		request, answer := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		var mine []time.Duration
		for pb.Next() {
			began := time.Now()
			request.Header.SetMethod(method)
			request.SetRequestURI(base + path)
			if body != nil {
				request.Header.SetContentType("application/json")
				request.SetBody(body)
			}
			if err := host.Do(request, answer); err != nil || answer.StatusCode() != want {
				b.Errorf("%d %v %.300s", answer.StatusCode(), err, answer.Body())
				return
			}
			mine = append(mine, time.Since(began))
		}
		mu.Lock()
		defer mu.Unlock()
		times = append(times, mine...)
	})
	b.StopTimer()
	slices.Sort(times)
	if len(times) > 0 {
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	host.CloseIdleConnections()
}

// BenchmarkSubmit is POST /api/v1/batches of a small batch: checked, durable, answered.
func BenchmarkSubmit(b *testing.B) {
	c := busy(b)
	body, err := json.Marshal(slowBatch())
	if err != nil {
		b.Fatal(err)
	}
	load(b, c.base, "POST", "/api/v1/batches", body, 202)
}

// BenchmarkBare is what Submit is held against: a bare handler that writes the same row, with the same group commit.
func BenchmarkBare(b *testing.B) {
	l, err := ledger.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	body, err := json.Marshal(slowBatch())
	if err != nil {
		b.Fatal(err)
	}
	var row atomic.Int64
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		o := &ledger.Order{Work: ledger.Work{ID: fmt.Sprintf("%032d", row.Add(1)), Kind: ledger.Batch, State: ledger.Waiting, Created: time.Now()}, Request: append([]byte(nil), ctx.PostBody()...)}
		if _, _, err := l.AddWork(ctx, o); err != nil {
			ctx.Error(err.Error(), 500)
			return
		}
		ctx.SetStatusCode(202)
		ctx.SetContentType("application/json")
		fmt.Fprintf(ctx, `{"id":%q}`, o.ID)
	}}
	go s.Serve(ln)
	defer s.Shutdown()
	load(b, "http://"+ln.Addr().String(), "POST", "/", body, 202)
}

// BenchmarkJob is POST /v2/slow/run.
func BenchmarkJob(b *testing.B) {
	c := busy(b)
	body, err := json.Marshal(map[string]any{"input": map[string]any{"workflow": flow(1)}})
	if err != nil {
		b.Fatal(err)
	}
	load(b, c.base, "POST", "/v2/slow/run", body, 200)
}

// BenchmarkStatus is GET /api/v1/batches/ID of a batch that runs.
func BenchmarkStatus(b *testing.B) {
	c := busy(b)
	id := c.want(200, "GET", "/api/v1/batches", nil, nil)["batches"].([]any)[0].(map[string]any)["id"].(string)
	load(b, c.base, "GET", "/api/v1/batches/"+id, nil, 200)
}

// BenchmarkEvents is GET /api/v1/batches/ID/events of a batch that has ended: opened, told, closed.
func BenchmarkEvents(b *testing.B) {
	c := serve(b, Options{Listen: loopbackListen})
	id := c.want(202, "POST", "/api/v1/batches", small("events", 3), nil)["id"].(string)
	c.ended(id)
	load(b, c.base, "GET", "/api/v1/batches/"+id+"/events", nil, 200)
}

// mix is the requests of the soak: mostly looks, of every face; checks and conversions of texts that were never seen; submits of jobs, which are
// cancelled while they wait; submits that are known; and mistakes of all kinds.
type mix struct {
	base          string
	running, done string // batches
	host          *fasthttp.HostClient
}

// looks are what most requests are.
func (m *mix) looks() []string {
	return []string{"/api/v1/batches/" + m.running, "/api/v1/batches?limit=5", "/healthz", "/v2/slow/health", "/v1/slow/stats", "/api/v1/status", "/v2/slow/status/none", "/ui/app.js", "/api/v1/batches/" + m.done + "/renders",
		"/api/v1/batches/" + m.done + "/gallery/manifest.json", "/api/v1/batches/" + m.done + "/events", "/metrics", "/openapi.json"}
}

// step makes request i, and counts those that it needs besides.
func (m *mix) step(i int64, request *fasthttp.Request, answer *fasthttp.Response) (more int64, err error) {
	request.Reset()
	answer.Reset()
	ask := func(method, path, body string) error {
		request.Header.SetMethod(method)
		request.SetRequestURI(m.base + path)
		if body != "" {
			request.Header.SetContentType("application/json")
			request.SetBodyString(body)
		}
		return m.host.Do(request, answer)
	}
	unseen := fmt.Sprintf(emptyImage, i%16777216)
	switch i % 20 {
	case 0:
		return 0, ask("POST", "/api/v1/check", unseen)
	case 1:
		return 0, ask("POST", "/api/v1/convert", unseen)
	case 2:
		if err := ask("POST", "/v2/stuck/run", `{"input":{"workflow":`+unseen+`}}`); err != nil {
			return 0, err
		}
		var job struct{ ID string }
		if err := json.Unmarshal(answer.Body(), &job); err != nil || job.ID == "" {
			return 0, fmt.Errorf("run: %d %.300s", answer.StatusCode(), answer.Body())
		}
		return 1, ask("POST", "/v2/stuck/cancel/"+job.ID, "")
	case 3:
		request.Header.Set("Idempotency-Key", "the one")
		return 0, ask("POST", "/v2/stuck/run", `{"input":{"workflow":`+fmt.Sprintf(emptyImage, 1)+`}}`)
	case 4:
		return 0, ask("POST", "/api/v1/batches", `{"version":1,`)
	case 5:
		return 0, ask("DELETE", "/api/v1/batches/"+fmt.Sprintf("%032d", i), "")
	case 6:
		request.Header.Set("Origin", "https://evil.example.com")
		return 0, ask("POST", "/api/v1/login", `{"key":"cmfy_a_b"}`)
	}
	looks := m.looks()
	return 0, ask("GET", looks[i%int64(len(looks))], "")
}

// BenchmarkSoak makes mixed requests and reports what stays: the heap at the end against that after a tenth of them, and the goroutines that
// are more than then.
func BenchmarkSoak(b *testing.B) {
	file, ends := slowEndpoint(b, b.TempDir(), "endpoints: {fast: {type: preview}, slow: {type: preview, emulator: {execution: 10h}}, stuck: {type: preview, limits: {in_flight: 1}, emulator: {execution: 10h}}}\n")
	c := serve(b, Options{EndpointsFile: file, Endpoints: ends, Listen: loopbackListen})
	m := &mix{base: c.base, host: &fasthttp.HostClient{Addr: strings.TrimPrefix(c.base, "http://"), MaxConns: connections, ReadTimeout: time.Minute}}
	m.running = c.want(202, "POST", "/api/v1/batches", slowBatch(), nil)["id"].(string)
	m.done = c.want(202, "POST", "/api/v1/batches", small("done", 3), nil)["id"].(string)
	c.ended(m.done)
	holds := c.jobs("stuck", 1)[0]
	eventually(b, "the one place is taken", func() bool { return c.word("stuck", holds) == "IN_PROGRESS" })
	c.http.CloseIdleConnections()
	var n atomic.Int64
	stays := func() (heap float64, goroutines int) {
		m.host.CloseIdleConnections()
		// The server keeps the goroutines of closed connections for 10 s, for new ones: those are no leak. What is left is of the works that run.
		goroutines = runtime.NumGoroutine()
		for range 120 {
			time.Sleep(250 * time.Millisecond)
			goroutines = min(goroutines, runtime.NumGoroutine())
		}
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc), goroutines
	}
	round := func(requests int) {
		n.Store(0)
		var clients sync.WaitGroup
		for range connections {
			clients.Go(func() {
				request, answer := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				for i := n.Add(1); i <= int64(requests); i = n.Add(1) {
					more, err := m.step(i, request, answer)
					if err != nil || answer.StatusCode() >= 500 {
						b.Errorf("request %d: %d %v", i, answer.StatusCode(), err)
						return
					}
					n.Add(more)
				}
			})
		}
		clients.Wait()
	}
	round(b.N / 10)
	heap, goroutines := stays()
	round(b.N - b.N/10)
	heapEnd, goroutinesEnd := stays()
	b.ReportMetric(heapEnd/heap, "heap-end/heap-tenth")
	b.ReportMetric(float64(goroutinesEnd-goroutines), "goroutines-more")
}

// BenchmarkJudge is what the check of a batch that is known costs.
func BenchmarkJudge(b *testing.B) {
	c := busy(b)
	body, err := json.Marshal(slowBatch())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if v := c.svc.Queue.Judge(b.Context(), &queue.Request{Name: "batch.json", Body: body}); !v.OK {
			b.Fatal(v.Findings)
		}
	}
}

// BenchmarkPeer is POST /run of the runpod SDK's own server (--rp_serve_api), whose handler does nothing, if the SDK is installed.
func BenchmarkPeer(b *testing.B) {
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Skip(err)
	}
	python := filepath.Join(cache, "comfyc-tests", "sdk-python", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		b.Skip("SKIPPED: the runpod SDK is not installed; TestPythonSDKs installs it")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := ln.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	ln.Close()
	script := filepath.Join(b.TempDir(), "handler.py")
	if err := os.WriteFile(script, []byte("import runpod\nrunpod.serverless.start({'handler': lambda job: {'ok': 1}})\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(python, script, "--rp_serve_api", "--rp_api_host", "127.0.0.1", "--rp_api_port", port)
	cmd.Dir = b.TempDir()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	eventually(b, "the SDK's server listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	load(b, "http://"+address, "POST", "/run", []byte(`{"input":{"workflow":{}}}`), 200)
}
