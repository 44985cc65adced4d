package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/router"
	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
)

// The media types of bodies.
const (
	JSON      = "application/json"
	YAML      = "application/yaml"
	Multipart = "multipart/form-data"
)

// Route is one thing that clients may ask for.
type Route struct {
	Method, Path string     // the path as fasthttp/router reads it
	Scope        keys.Scope // "" means that no key is needed
	Bodies       []string   // media types of a body; nil means that there is none
	MaxBody      int        // 0 means the site's
	Handle       func(*Call)
	// Plain errors are {"error": "text"}: the compatible faces' form. Others are problems.
	Plain bool
	// Lax takes bodies of any type from clients that are no browsers, as ComfyUI does.
	Lax bool
	// Quick requests are not logged when they succeed, as there are too many of them.
	Quick bool
}

// Site serves routes.
type Site struct {
	Routes  []Route
	Guard   Guard
	Ring    *keys.Ring
	As      func() *keys.Key // who asks on a listener that asks for no key; nil means that keys are needed if there are some
	MaxBody int              // bytes; 0 means 64 MiB
	// HeaderTime is how long a request's header may take to come; 0 means 15 s.
	HeaderTime time.Duration
	Log        *slog.Logger
	Metrics    *Metrics
	Audit      func(k *keys.Key, action, object, detail string)
	Now        func() time.Time

	server *fasthttp.Server
	ctx    context.Context // ends when Shutdown begins
	end    context.CancelFunc
	once   sync.Once
}

const (
	smallBody  = 64 << 10
	headerSize = 32 << 10
	headerTime = 15 * time.Second
	bodyTime   = 5 * time.Minute
	idleTime   = 15 * time.Minute // the SDKs keep connections for long, and fail when one is closed under them
)

// start makes the router and the server, once.
func (s *Site) start() {
	s.once.Do(func() {
		if s.MaxBody == 0 {
			s.MaxBody = 64 << 20
		}
		if s.HeaderTime == 0 {
			s.HeaderTime = headerTime
		}
		s.ctx, s.end = context.WithCancel(context.Background())
		r := router.New()
		r.RedirectTrailingSlash, r.RedirectFixedPath, r.HandleOPTIONS = false, false, false
		for i := range s.Routes {
			r.Handle(s.Routes[i].Method, s.Routes[i].Path, s.handler(&s.Routes[i]))
		}
		missing := &Route{Path: "*", Handle: func(c *Call) {
			c.Problem(404, "no_route", "there is nothing at this address; /openapi.json lists what there is")
		}}
		r.NotFound = s.handler(missing)
		wrong := &Route{Path: "*", Handle: func(c *Call) {
			c.Problem(405, "method_not_allowed", "this address knows other methods: see the Allow header")
		}}
		r.MethodNotAllowed = s.handler(wrong)
		s.server = &fasthttp.Server{Handler: s.preflight(r.Handler), Name: "comfyc", ErrorHandler: s.unreadable, HeaderReceived: s.received, ReadBufferSize: headerSize,
			ReadTimeout: s.HeaderTime, IdleTimeout: idleTime, WriteTimeout: 0, MaxRequestBodySize: s.MaxBody, DisablePreParseMultipartForm: true,
			NoDefaultServerHeader: false, CloseOnShutdown: true, Concurrency: 256 << 10, ReduceMemoryUsage: true, Logger: quiet{}, StreamRequestBody: false}
	})
}

// quiet drops fasthttp's remarks about clients that went away.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// Serve answers on a listener until Shutdown.
func (s *Site) Serve(ln net.Listener) error {
	s.start()
	return s.server.Serve(ln)
}

// Handler gives the way in, for listeners of the caller's own.
func (s *Site) Handler() fasthttp.RequestHandler {
	s.start()
	return s.server.Handler
}

// Stopping ends when Shutdown begins, for streams.
func (s *Site) Stopping() context.Context {
	s.start()
	return s.ctx
}

// Shutdown ends streams and long polls, closes the listeners, and waits for the requests under way until ctx ends.
func (s *Site) Shutdown(ctx context.Context) error {
	s.start()
	s.end()
	return s.server.ShutdownWithContext(ctx)
}

// received bounds a body before it is read: strangers may send little.
func (s *Site) received(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	most := smallBody
	if s.As != nil || s.Ring.Empty(s.ctx) || s.keyOf(h) != nil {
		most = s.MaxBody
	} else if k, _ := s.Ring.Session(s.ctx, string(h.Cookie(keys.Cookie))); k != nil {
		most = s.MaxBody
	}
	return fasthttp.RequestConfig{ReadTimeout: bodyTime, MaxRequestBodySize: most}
}

// unreadable answers what fasthttp could not read.
func (s *Site) unreadable(ctx *fasthttp.RequestCtx, err error) {
	c := &Call{RequestCtx: ctx, ID: newID(), Ctx: s.ctx, site: s}
	var small *fasthttp.ErrSmallBuffer
	var slow net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		c.Problem(413, "too_large", "the body is larger than this service takes from this client")
	case errors.As(err, &small):
		c.Problem(431, "header_too_large", "the header is larger than this service reads")
	case errors.As(err, &slow) && slow.Timeout():
		c.Problem(408, "too_slow", "the request did not come in time")
	default:
		c.Problem(400, "bad_request", "this is no HTTP request that can be read")
	}
	ctx.Response.Header.SetConnectionClose()
}

// newID makes a request's id: 72 random bits.
func newID() string {
	b := make([]byte, 9)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// preflight answers OPTIONS for allowed origins; there are none by default.
func (s *Site) preflight(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		origin := string(ctx.Request.Header.Peek("Origin"))
		allowed := origin != "" && slices.Contains(s.Guard.Origins, origin)
		if ctx.IsOptions() && allowed && len(ctx.Request.Header.Peek("Access-Control-Request-Method")) > 0 {
			ctx.SetStatusCode(fasthttp.StatusNoContent)
			ctx.Response.Header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			ctx.Response.Header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Last-Event-ID")
			ctx.Response.Header.Set("Access-Control-Max-Age", "600")
		} else {
			next(ctx)
		}
		if allowed {
			ctx.Response.Header.Set("Access-Control-Allow-Origin", origin)
			ctx.Response.Header.Set("Vary", "Origin")
		}
	}
}

// handler puts the gates before a route.
func (s *Site) handler(route *Route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		began := s.Now()
		c := &Call{RequestCtx: ctx, ID: requestID(ctx), Ctx: s.ctx, site: s, route: route}
		defer s.finished(c, began)
		defer s.recover(c)
		h := &ctx.Response.Header
		h.Set("X-Request-ID", c.ID)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		if no := s.admit(c); no != nil {
			c.refuse(no)
			return
		}
		route.Handle(c)
	}
}

// refuse answers in the form of the route.
func (c *Call) refuse(no *refusal) {
	if c.route != nil && c.route.Plain {
		c.JSON(no.status, map[string]string{"error": no.detail})
		return
	}
	c.Problem(no.status, no.code, no.detail)
}

// requestID takes the client's own id, if it is a sound one.
func requestID(ctx *fasthttp.RequestCtx) string {
	id := string(ctx.Request.Header.Peek("X-Request-ID"))
	sound := len(id) >= 8 && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
	if sound {
		return id
	}
	return newID()
}

// admit is the gates, in order.
func (s *Site) admit(c *Call) *refusal {
	if no := s.Guard.check(c.RequestCtx); no != nil {
		return no
	}
	if c.route.Scope != "" {
		if no := s.identify(c); no != nil {
			return no
		}
	}
	return c.checkBody()
}

// identify finds who asks, and holds the scope, the CSRF token and the rate.
func (s *Site) identify(c *Call) *refusal {
	switch {
	case s.As != nil:
		c.Key = s.As()
	case s.Ring.Empty(c.Ctx):
		if !s.Guard.Loopback {
			return &refusal{401, "no_keys", "this service has no keys yet: make one with `comfyc keys add`"}
		}
		c.Key = keys.Anyone
	default:
		if c.Key = s.keyOf(&c.Request.Header); c.Key == nil {
			c.Key, c.CSRF = s.Ring.Session(c.Ctx, string(c.Request.Header.Cookie(keys.Cookie)))
			unsafe := !c.IsGet() && !c.IsHead()
			if c.Key != nil && unsafe && !keys.SameCSRF(c.Header("X-CSRF-Token"), c.CSRF) {
				return &refusal{403, "csrf", "a browser's session must send its token as X-CSRF-Token"}
			}
		}
	}
	if c.Key == nil {
		c.Response.Header.Set("WWW-Authenticate", `Bearer realm="comfyc"`)
		return &refusal{401, "unauthorized", "a good key is needed: Authorization: Bearer KEY"}
	}
	if !c.Key.May(c.route.Scope) {
		return &refusal{403, "scope", fmt.Sprintf("this key has not the scope %q", c.route.Scope)}
	}
	if ok, wait := c.Key.Allow(s.Now()); !ok {
		c.RetryAfter(wait)
		return &refusal{429, "rate", "this key asks more often than it may"}
	}
	return nil
}

// keyOf finds the key in a header: as a bearer token, bare (as some SDKs send it), or as the password of basic authentication.
func (s *Site) keyOf(h *fasthttp.RequestHeader) *keys.Key {
	text := string(h.Peek("Authorization"))
	if text == "" {
		return nil
	}
	if rest, ok := cutFold(text, "bearer "); ok {
		text = strings.TrimSpace(rest)
	} else if rest, ok := cutFold(text, "basic "); ok {
		pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return nil
		}
		_, text, _ = strings.Cut(string(pair), ":")
	}
	return s.Ring.Find(s.ctx, text)
}

// cutFold is strings.CutPrefix that does not look at capital letters.
func cutFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

// checkBody holds the media type and the size. A body without a type, and one of a type that a form of any web page can send, is refused.
func (c *Call) checkBody() *refusal {
	h := &c.Request.Header
	if encoding := string(h.ContentEncoding()); encoding != "" && encoding != "identity" {
		return &refusal{415, "encoding", "bodies must not be compressed"}
	}
	most := c.route.MaxBody
	if most == 0 {
		most = c.site.MaxBody
	}
	n := len(c.PostBody())
	if n > most {
		return &refusal{413, "too_large", fmt.Sprintf("a body may have %d bytes here", most)}
	}
	kind, _, err := mime.ParseMediaType(string(h.ContentType()))
	if kind == "application/x-yaml" || kind == "text/yaml" || kind == "text/x-yaml" {
		kind = YAML
	}
	c.Type = kind
	if c.route.Bodies == nil || n == 0 && kind == "" || n == 0 && kind == JSON || c.IsGet() || c.IsHead() {
		return nil
	}
	if err == nil && slices.Contains(c.route.Bodies, kind) || c.route.Lax && !browser(h) {
		return nil
	}
	return &refusal{415, "media_type", "the Content-Type must be one of " + strings.Join(c.route.Bodies, ", ")}
}

// recover makes a handler's panic a 500.
func (s *Site) recover(c *Call) {
	p := recover()
	if p == nil {
		return
	}
	s.Log.Error("a bug", "request", c.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.Response.ResetBody()
	c.Problem(500, "internal", "something went wrong here; the server's log has it under the request's id")
}

// minGzip is the size from which an answer is compressed.
const minGzip = 1400

var packers = sync.Pool{New: func() any { w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return w }}

// finished compresses, counts and logs.
func (s *Site) finished(c *Call, began time.Time) {
	r := &c.Response
	if !r.IsBodyStream() && len(r.Body()) >= minGzip && c.CSRF == "" && packable(string(r.Header.ContentType())) && c.Request.Header.HasAcceptEncoding("gzip") {
		w := packers.Get().(*gzip.Writer)
		body := slices.Clone(r.Body())
		r.ResetBody()
		w.Reset(r.BodyWriter())
		w.Write(body)
		w.Close()
		packers.Put(w)
		r.Header.SetContentEncoding("gzip")
		r.Header.Add("Vary", "Accept-Encoding")
	}
	took, status := s.Now().Sub(began), r.StatusCode()
	if s.Metrics != nil {
		s.Metrics.request(c.route, status, took)
	}
	if c.route.Quick && status < 400 {
		return
	}
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	owner := ""
	if c.Key != nil {
		owner = c.Key.ID
	}
	s.Log.LogAttrs(context.Background(), level, "request", slog.String("request", c.ID), slog.String("method", string(c.Method())), slog.String("route", c.route.Path),
		slog.Int("status", status), slog.Duration("took", took), slog.String("key", owner), slog.String("client", c.Client()), slog.Int("bytes", len(c.PostBody())))
}

// packable tells the media types that become smaller.
func packable(kind string) bool {
	return strings.HasPrefix(kind, "application/json") || strings.HasPrefix(kind, "application/problem+json") || strings.HasPrefix(kind, "text/")
}
