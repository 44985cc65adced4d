package emulator

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Websockets over [Emulator.RoundTripper]: the answer's body is the connection, with frames as RFC 6455 writes them, and without a socket or a
// goroutine behind it. So listeners too can be tested under testing/synctest.

// websocketFor answers a request for a websocket, nil if it is none.
func (d direct) websocketFor(req *http.Request, r *Request) *http.Response {
	if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		return nil
	}
	ep := d.e.websocket(r)
	if ep == nil {
		return nil
	}
	client := clientID(r.Query)
	if client == "" {
		client = d.e.ids.hex(32)
	}
	w := &wire{ep: ep, pongs: make(chan []byte, 16), closed: make(chan struct{})}
	ep.locked(func() { w.ear = ep.server.listen(client) })
	if w.ear == nil {
		return nil
	}
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Status: "101 Switching Protocols", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, Body: w, Request: req}
}

// wire is the client's end of a websocket. One goroutine may read, another write; both and more may close.
type wire struct {
	ep     *endpoint
	ear    *ear
	rest   []byte // of the frame that is being read
	sent   bytes.Buffer
	pongs  chan []byte
	once   sync.Once
	closed chan struct{}
}

// Read implements io.Reader: the next bytes of what the server says.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		select {
		case text, ok := <-w.ear.messages:
			if !ok {
				return 0, io.EOF
			}
			w.rest = frame(0x81, text)
		case data := <-w.pongs:
			w.rest = frame(0x8a, data)
		case <-w.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// Write implements io.Writer: what the client says, in any pieces.
func (w *wire) Write(p []byte) (int, error) {
	select {
	case <-w.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	w.sent.Write(p)
	for {
		op, data, ok := w.take()
		if !ok {
			return len(p), nil
		}
		switch op {
		case 1:
			w.ep.locked(func() { w.ep.server.hear(w.ear, data) })
		case 8:
			w.Close()
		case 9:
			select {
			case w.pongs <- data:
			default: // more pings than anybody waits for
			}
		}
	}
}

// Close implements io.Closer. It may be called again.
func (w *wire) Close() error {
	w.once.Do(func() {
		close(w.closed)
		w.ep.locked(func() { w.ep.server.deafen(w.ear) })
	})
	return nil
}

// take gives the next whole frame that the client sent; frames of a client are masked.
func (w *wire) take() (op byte, data []byte, ok bool) {
	b := w.sent.Bytes()
	if len(b) < 2 {
		return 0, nil, false
	}
	size, head := int(b[1]&0x7f), 2
	switch {
	case size == 126 && len(b) < 4:
		return 0, nil, false // the length itself is not there yet
	case size == 126:
		size, head = int(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127: // a length of 64 bits: a listener has nothing so long to say
		w.Close()
		return 0, nil, false
	}
	if len(b) < head+4+size {
		return 0, nil, false
	}
	mask := b[head : head+4]
	data = make([]byte, size)
	for i := range data {
		data[i] = b[head+4+i] ^ mask[i%4]
	}
	op = b[0] & 0x0f
	w.sent.Next(head + 4 + size)
	return op, data, true
}

// frame writes one of the server's frames, whole and without a mask.
func frame(first byte, data []byte) []byte {
	out := append(make([]byte, 0, len(data)+10), first)
	switch n := len(data); {
	case n < 126:
		out = append(out, byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 127), uint64(n))
	}
	return append(out, data...)
}
