package emulator

import (
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

// websocket tells which endpoint's native websocket a request asks for, nil if none.
func (e *Emulator) websocket(r *Request) *endpoint {
	path := strings.TrimPrefix(r.Path, "/")
	ep := e.root
	if rest, ok := strings.CutPrefix(path, "native/"); ok {
		name, after, _ := strings.Cut(rest, "/")
		ep, path = e.byName[name], after
	}
	if path != "ws" && path != "api/ws" || ep == nil || ep.server == nil || ep.Key != "" && r.Authorization != "Bearer "+ep.Key {
		return nil
	}
	return ep
}

var upgrader = websocket.FastHTTPUpgrader{HandshakeTimeout: 10 * time.Second}

// upgrade talks to one listener until it leaves.
func (s *frontend) upgrade(ctx *fasthttp.RequestCtx, ep *endpoint) {
	client := clientID(string(ctx.URI().QueryString()))
	if client == "" {
		client = s.e.ids.hex(32)
	}
	s.open.Add(1)
	done := sync.OnceFunc(s.open.Done)
	if t, ok := ctx.Conn().(tracked); ok {
		*t.unused = done
	}
	err := upgrader.Upgrade(ctx, func(c *websocket.Conn) {
		defer done()
		s.talk(c, ep, client)
	})
	if err != nil { // the upgrader has answered
		done()
	}
}

func clientID(query string) string {
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return q.Get("clientId")
}

// talk writes what the server says, and reads in a second goroutine, which ends with the connection.
func (s *frontend) talk(c *websocket.Conn, ep *endpoint, client string) {
	var e *ear
	ep.locked(func() { e = ep.server.listen(client) })
	if e == nil { // the emulator is closed
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.SetReadLimit(1 << 20)
		for {
			_, text, err := c.ReadMessage()
			if err != nil {
				ep.locked(func() { ep.server.deafen(e) })
				return
			}
			ep.locked(func() { ep.server.hear(e, text) })
		}
	}()
	for text := range e.messages {
		c.SetWriteDeadline(time.Now().Add(writeTimeout))
		if c.WriteMessage(websocket.TextMessage, text) != nil {
			break
		}
	}
	c.NetConn().Close()
	c.SetReadDeadline(time.Now())
	<-done
}
