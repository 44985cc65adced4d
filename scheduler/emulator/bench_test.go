package emulator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// instant is an endpoint that answers without any work.
func instant() Config {
	return Config{Endpoints: []Endpoint{{Name: "ep", Worker: "echo", MinWorkers: 1, SubmitPer10s: -1, StatusPer10s: -1}}}
}

// BenchmarkCore is a submit and a poll per job, without HTTP.
func BenchmarkCore(b *testing.B) {
	e := start(b, instant())
	body := []byte(`{"input":{"prompt":"a red fox","seed":1}}`)
	b.ReportAllocs()
	for b.Loop() {
		r := e.Handle(context.Background(), &Request{Method: "POST", Path: "/v2/ep/run", Body: body})
		id := strings.Split(string(r.Body), `"`)[3]
		if r = e.Handle(context.Background(), &Request{Method: "GET", Path: "/v2/ep/status/" + id}); r.Status != 200 {
			b.Fatal(string(r.Body))
		}
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkTCP is the same over one keep-alive connection per goroutine; the client is counted too.
func BenchmarkTCP(b *testing.B) {
	e := start(b, instant())
	c := overTCP(b, e)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := c.run("/v2/ep/run", `{"prompt":"a red fox"}`)
			if r := c.do("GET", "/v2/ep/status/"+id, ""); r.status != 200 {
				b.Error(r.status, r.err)
			}
		}
	})
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkServe is the server's side nearly alone: the client pipelines ready-made submits on one connection.
func BenchmarkServe(b *testing.B) {
	e := start(b, instant())
	c := overTCP(b, e)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const body = `{"input":{"prompt":"a red fox","seed":1}}`
	request := fmt.Sprintf("POST /v2/ep/run HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	n := 0
	for b.Loop() {
		n++
		if n%64 == 0 {
			pipeline(b, conn, request, 64)
		}
	}
	b.ReportMetric(float64(n/64*64)/b.Elapsed().Seconds(), "requests/s")
}

func pipeline(b *testing.B, conn net.Conn, request string, n int) {
	if _, err := io.WriteString(conn, strings.Repeat(request, n)); err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for range n {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
