package emulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"
)

// RoundTripper answers requests from the core itself, without sockets and goroutines, so that it works under testing/synctest. The host of the URL
// does not matter; it comes back in the URLs of answers. Requests to other paths than the emulator's get a 404.
func (e *Emulator) RoundTripper() http.RoundTripper { return direct{e} }

type direct struct{ e *Emulator }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	r := &Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Host: req.Host,
		Authorization: req.Header.Get("Authorization"), ContentType: req.Header.Get("Content-Type"), Origin: req.Header.Get("Origin"),
		Range: req.Header.Get("Range"), IfRange: req.Header.Get("If-Range"),
		Base: req.URL.Scheme + "://" + req.URL.Host}
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if req.Body != nil {
		// One byte more than allowed, so that the size limits refuse it and do not take a part for the whole.
		body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
		req.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
		r.Body = body
	}
	if socket := d.websocketFor(req, r); socket != nil {
		return socket, nil
	}
	wrote(req.Context())
	resp := d.e.Handle(req.Context(), r)
	// The client has hung up. What was asked for is done all the same, as on a real server.
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return resp.http(req)
}

// wrote tells a client that traces its requests that this one is on its way: without it every lost answer would count as "was it sent at all?".
func wrote(ctx context.Context) {
	if t := httptrace.ContextClientTrace(ctx); t != nil {
		if t.WroteHeaders != nil {
			t.WroteHeaders()
		}
		if t.WroteRequest != nil {
			t.WroteRequest(httptrace.WroteRequestInfo{})
		}
	}
}

// http turns an answer into what a client sees of it.
func (r *Response) http(req *http.Request) (*http.Response, error) {
	switch r.Drop {
	case DropClose:
		return nil, io.EOF
	case DropReset:
		return nil, errReset
	}
	out := &http.Response{
		StatusCode: r.Status, Status: strconv.Itoa(r.Status) + " " + http.StatusText(r.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, ContentLength: int64(len(r.Body)), Request: req,
	}
	for _, f := range r.fields() {
		out.Header.Set(f[0], f[1])
	}
	body := io.Reader(bytes.NewReader(r.Body))
	if req.Method == "HEAD" {
		out.Header.Set("Content-Length", strconv.Itoa(len(r.Body)))
		body = bytes.NewReader(nil)
	}
	if r.Drop == DropHalf {
		body = io.MultiReader(bytes.NewReader(r.Body[:len(r.Body)/2]), broken{})
	}
	if r.BodyDelay > 0 {
		body = &late{ctx: req.Context(), delay: r.BodyDelay, body: body}
	}
	out.Body = io.NopCloser(body)
	return out, nil
}

// broken is the end of a body that was cut off.
type broken struct{}

// Read implements io.Reader.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// late is a body that comes some time after its header.
type late struct {
	ctx   context.Context
	delay time.Duration
	body  io.Reader
}

// Read implements io.Reader.
func (l *late) Read(p []byte) (int, error) {
	if l.delay > 0 {
		t := time.NewTimer(l.delay)
		defer t.Stop()
		select {
		case <-t.C:
			l.delay = 0
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
	return l.body.Read(p)
}

// Listen serves on an in-memory listener: real HTTP, without the machine's network. It gives a client transport that dials it whatever the host, the
// base address to put before paths, and what ends both. The transport is an *http.Transport, whose DialContext serves websockets too.
func (e *Emulator) Listen() (client http.RoundTripper, base string, stop func()) {
	ln := fasthttputil.NewInmemoryListener()
	served := make(chan struct{})
	go func() {
		defer close(served)
		e.Serve(ln) // ends when it is closed, by stop or by Close
	}()
	t := &http.Transport{
		DialContext:         func(context.Context, string, string) (net.Conn, error) { return ln.Dial() },
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
	}
	return t, "http://emulator.internal", func() {
		ln.Close()
		t.CloseIdleConnections()
		<-served
	}
}
