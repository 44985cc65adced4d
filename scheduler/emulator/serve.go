package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// Serve answers on a listener until it is closed, or the emulator is. It closes the listener. Faults break connections for real here.
func (e *Emulator) Serve(ln net.Listener) error {
	s := &frontend{e: e, ln: ln, conns: map[net.Conn]bool{}}
	s.http = &fasthttp.Server{
		Handler: s.handle, Name: "comfyc-emulator", NoDefaultDate: true, NoDefaultContentType: true,
		// No read timeout: idle keep-alive connections stay open, as the SDKs count on.
		MaxRequestBodySize: maxBody, Concurrency: 1 << 20, ReadBufferSize: 16 << 10, ErrorHandler: tooLarge,
		Logger: quiet{},
	}
	e.work.Add(1)
	defer e.work.Done()
	stop := context.AfterFunc(e.ctx, s.shut)
	defer stop()
	err := s.accept()
	s.shut()
	s.open.Wait()
	if errors.Is(err, net.ErrClosed) || e.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("accept connections: %w", err)
}

// quiet drops fasthttp's remarks about clients that went away.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// tooLarge answers what fasthttp could not read.
func tooLarge(ctx *fasthttp.RequestCtx, err error) {
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		ctx.Error(`{"error":"the request's body is too large"}`, fasthttp.StatusRequestEntityTooLarge)
		return
	}
	ctx.Error(`{"error":"bad request"}`, fasthttp.StatusBadRequest)
}

// frontend is one listener. It accepts by itself, so that it knows when all its connections have ended.
type frontend struct {
	e    *Emulator
	ln   net.Listener
	http *fasthttp.Server
	open sync.WaitGroup // connections, hijacked ones too

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

// accept serves each connection in a goroutine of its own until the listener is closed; the error is that of Accept, never nil.
func (s *frontend) accept() error {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return err
		}
		if !s.enter(c) {
			c.Close()
			continue
		}
		go func() {
			defer s.open.Done()
			t := tracked{c, s, new(func())}
			if s.http.ServeConn(t) != nil && *t.unused != nil { // what goes wrong with one connection is the client's to see
				(*t.unused)()
			}
		}()
	}
}

// enter notes a connection, unless the listener is being closed.
func (s *frontend) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = true
	s.open.Add(1)
	return true
}

// shut closes the listener and all connections.
func (s *frontend) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.ln.Close()
	for c := range s.conns {
		c.Close()
	}
}

// tracked is a connection that takes itself off the list when it is closed.
type tracked struct {
	net.Conn
	s *frontend
	// unused is what is to be done if the connection was to be handed to a websocket and broke before.
	unused *func()
}

// Close implements net.Conn.
func (t tracked) Close() error {
	t.s.mu.Lock()
	delete(t.s.conns, t.Conn)
	t.s.mu.Unlock()
	return t.Conn.Close()
}

// handle is the way from fasthttp to the core and back.
func (s *frontend) handle(ctx *fasthttp.RequestCtx) {
	r := &Request{
		Method: string(ctx.Method()), Path: string(ctx.Path()), Query: string(ctx.URI().QueryString()), Host: string(ctx.Host()), Body: ctx.PostBody(),
		Authorization: string(ctx.Request.Header.Peek("Authorization")), ContentType: string(ctx.Request.Header.ContentType()),
		Origin: string(ctx.Request.Header.Peek("Origin")), Range: string(ctx.Request.Header.Peek("Range")), IfRange: string(ctx.Request.Header.Peek("If-Range")),
	}
	r.Base = "http://" + r.Host
	if ep := s.e.websocket(r); ep != nil {
		s.upgrade(ctx, ep)
		return
	}
	// fasthttp does not tell that a client has gone, so a held answer ends with its own time or the emulator.
	resp := s.e.Handle(s.e.ctx, r)
	// A server cannot break its own answer half-way, so the bytes are written by hand.
	if resp.Drop != Whole || resp.BodyDelay > 0 {
		s.hijack(ctx, func(c net.Conn) { s.breakOff(c, resp) })
		return
	}
	ctx.SetStatusCode(resp.Status)
	h := &ctx.Response.Header
	for _, field := range resp.fields() {
		h.Set(field[0], field[1])
	}
	ctx.Response.SetBodyRaw(resp.Body)
}

// fields are the header of an answer.
func (r *Response) fields() (out [][2]string) {
	for _, f := range [][2]string{{"Content-Type", r.Type}, {"Location", r.Location}, {"Content-Disposition", r.Disposition}, {"ETag", r.ETag}, {"Content-Range", r.Span}} {
		if f[1] != "" {
			out = append(out, f)
		}
	}
	if r.RetryAfter > 0 {
		out = append(out, [2]string{"Retry-After", r.retryAfter()})
	}
	return out
}

// hijack takes the connection out of fasthttp's hands.
func (s *frontend) hijack(ctx *fasthttp.RequestCtx, f func(c net.Conn)) {
	s.open.Add(1)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		defer s.open.Done()
		f(c)
	})
}

// breakOff ends a connection as a fault wants it.
func (s *frontend) breakOff(c net.Conn, r *Response) {
	if r.Drop == DropReset {
		linger(c)
	}
	if r.Drop == DropClose || r.Drop == DropReset {
		return // closed by the caller
	}
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n", r.Status, fasthttp.StatusMessage(r.Status), len(r.Body))
	for _, field := range r.fields() {
		fmt.Fprintf(&head, "%s: %s\r\n", field[0], field[1])
	}
	head.WriteString("\r\n")
	if _, err := c.Write([]byte(head.String())); err != nil {
		return
	}
	if r.Drop == DropHalf {
		c.Write(r.Body[:len(r.Body)/2]) // it is to fail
		return
	}
	if s.e.pause(r.BodyDelay) {
		c.Write(r.Body)
	}
}

// linger makes the close of a TCP connection a reset.
func linger(c net.Conn) {
	for {
		switch inner := c.(type) {
		case *net.TCPConn:
			// Close then sends RST and throws away what was not sent.
			inner.SetLinger(0)
			return
		case tracked:
			c = inner.Conn
		case interface{ UnsafeConn() net.Conn }:
			c = inner.UnsafeConn()
		default:
			return
		}
	}
}

// Shown by the client side of a reset.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// Run listens on an address, says where through ready, and serves until ctx is done. It is what `comfyc emulate` calls.
func Run(ctx context.Context, c Config, address string, ready func(base string)) error {
	e, err := New(c)
	if err != nil {
		return err
	}
	defer e.Close()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("start the emulator: %w", err)
	}
	if ready != nil {
		ready("http://" + ln.Addr().String())
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(ln) }()
	select {
	case err = <-served:
		return err
	case <-ctx.Done():
		e.Close()
		return <-served
	}
}

// Places lists where a client finds each endpoint under a base address: one line per dialect, "NAME DIALECT URL".
func (c Config) Places(base string) ([]string, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, ep := range c.Endpoints {
		for _, d := range ep.Dialects {
			path := map[Dialect]string{Novita: "/v1/", RunPod: "/v2/", ComfyUI: "/native/"}[d]
			out = append(out, fmt.Sprintf("%s %s %s%s%s", ep.Name, d, base, path, ep.Name))
		}
	}
	return out, nil
}

// writeTimeout bounds one message to a listener.
const writeTimeout = 10 * time.Second
