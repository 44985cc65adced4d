package call

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// A websocket (RFC 6455), as far as a listener needs it: texts are read, pings are answered, the rest is passed over. It goes through the same
// transport as all calls, so what holds for them (proxy, TLS, key, in-memory servers) holds for it too.

// Bounds of a socket. A server that says nothing for a while is pinged; one that does not answer that either is gone.
const (
	maxMessage = 4 << 20  // bytes of one text
	maxBinary  = 64 << 20 // of a part of a picture, which is read past
	silence    = 30 * time.Second
	writeLimit = 125 // bytes of a control frame, the only ones that are sent
)

// Opcodes of frames.
const (
	opMore   = 0
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// Listen opens a websocket below Base and calls hear for every text until ctx is done, which is no error, or the connection is lost. opened is
// called once the connection is there. Both are called from the caller's goroutine; a timer's goroutine sends pings meanwhile.
func (c *Client) Listen(ctx context.Context, path string, opened func(), hear func(text []byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.upgrade(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	// Reads know no context: closing the connection is what wakes the reader up when ctx is done.
	s := &socket{conn: conn, r: bufio.NewReader(conn)}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s.timer = time.AfterFunc(silence, s.nudge)
	defer s.timer.Stop()
	opened()
	for {
		text, err := s.next()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return c.Fail("watch", scheduler.Transient, "the websocket was lost: %s", reason(err))
		}
		hear(text)
	}
}

// upgrade asks for the websocket.
func (c *Client) upgrade(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	// What opens late is given up, but an open connection lives on: so no deadline in the context.
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(c.options.Timeout, cancel)
	defer late.Stop()
	r := Request{Op: "watch"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+path, nil)
	if err != nil {
		return nil, c.Fail("watch", scheduler.Rejected, "the websocket's address cannot be read")
	}
	var key [16]byte
	// The server's answer to this nonce (Sec-WebSocket-Accept) guards browsers against caches; here TLS and the origin do, so it is not checked.
	rand.Read(key[:]) // never fails
	c.headers(request, r)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Version", "13")
	request.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	response, err := c.api.Do(request)
	if err != nil {
		return nil, c.lost(r, err, untraced)
	}
	if conn, ok := response.Body.(io.ReadWriteCloser); ok && response.StatusCode == http.StatusSwitchingProtocols {
		return conn, nil
	}
	defer response.Body.Close()
	a := Answer{Status: response.StatusCode, Header: response.Header}
	a.Body, _ = io.ReadAll(io.LimitReader(response.Body, 16<<10))
	if failed := c.refused(r, a); failed != nil {
		return nil, failed
	}
	return nil, c.Fail("watch", scheduler.Rejected, "the server opens no websocket (HTTP %d)", a.Status)
}

// socket is an open connection. next is called by one goroutine, nudge by the timer's.
type socket struct {
	conn  io.ReadWriteCloser
	r     *bufio.Reader
	mu    sync.Mutex // for what is sent
	timer *time.Timer
	asked bool // a ping was sent and nothing came since; guarded by mu
}

// nudge pings a silent server, and gives up on one that was pinged before.
func (s *socket) nudge() {
	s.mu.Lock()
	dead := s.asked
	s.asked = true
	s.mu.Unlock()
	if dead || s.send(opPing, nil) != nil {
		s.conn.Close()
		return
	}
	s.timer.Reset(silence)
}

// heard puts off the next nudge.
func (s *socket) heard() {
	s.mu.Lock()
	s.asked = false
	s.mu.Unlock()
	s.timer.Reset(silence)
}

// send writes a control frame; a client's frames are masked.
func (s *socket) send(op byte, data []byte) error {
	data = data[:min(len(data), writeLimit)]
	// One byte FIN and opcode, one byte mask bit and length (below 126, so no longer form is needed), four bytes of mask.
	frame := make([]byte, 6, 6+len(data))
	frame[0], frame[1] = 0x80|op, 0x80|byte(len(data))
	rand.Read(frame[2:6])
	for i, b := range data {
		frame = append(frame, b^frame[2+i%4])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(frame)
	return err
}

// next gives the next text, whole. Binary messages, such as previews, are read past.
func (s *socket) next() ([]byte, error) {
	var text []byte
	kind := byte(opText)
	for {
		last, op, size, err := s.head()
		if err != nil {
			return nil, err
		}
		s.heard()
		// Control frames may stand between the parts of a text (RFC 6455, 5.4), so they leave kind and text alone.
		if op >= opClose {
			if err := s.control(op, size); err != nil {
				return nil, err
			}
			continue
		}
		if op != opMore {
			kind, text = op, text[:0]
		}
		if text, err = s.payload(kind, text, size); err != nil {
			return nil, err
		}
		if last && kind == opText {
			return text, nil
		}
	}
}

// head reads a frame's head. Bits that need an extension, and masks, are a server's mistake.
func (s *socket) head() (last bool, op byte, size uint64, err error) {
	var h [8]byte
	if _, err = io.ReadFull(s.r, h[:2]); err != nil {
		return
	}
	last, op, size = h[0]&0x80 != 0, h[0]&0x0f, uint64(h[1]&0x7f)
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 || op > opBinary && op < opClose || op > opPong {
		return false, 0, 0, fmt.Errorf("a frame that no server may send")
	}
	switch size {
	case 126:
		_, err = io.ReadFull(s.r, h[:2])
		size = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(s.r, h[:8])
		size = binary.BigEndian.Uint64(h[:8])
	}
	return
}

// control answers a ping, and ends with a close.
func (s *socket) control(op byte, size uint64) error {
	if size > writeLimit {
		return fmt.Errorf("a control frame of %d bytes", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(s.r, data); err != nil {
		return err
	}
	switch op {
	case opPing:
		return s.send(opPong, data)
	case opClose:
		_ = s.send(opClose, data) // the connection ends in any case
		return fmt.Errorf("the server closed it")
	}
	return nil
}

// payload reads a frame's data onto a text, or past it.
func (s *socket) payload(kind byte, text []byte, size uint64) ([]byte, error) {
	// A picture's parts are thrown away as they come: 64 MiB bounds one frame, and no memory is taken for any of them.
	if kind != opText {
		if size > maxBinary {
			return nil, fmt.Errorf("a message of %d bytes", size)
		}
		_, err := io.CopyN(io.Discard, s.r, int64(size))
		return text, err
	}
	if size > maxMessage || uint64(len(text))+size > maxMessage {
		return nil, fmt.Errorf("a text of more than %s", Size(maxMessage))
	}
	at := len(text)
	text = append(text, make([]byte, size)...)
	_, err := io.ReadFull(s.r, text[at:])
	return text, err
}
