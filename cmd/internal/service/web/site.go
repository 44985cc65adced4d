package web

import (
	"bytes"
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
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
)

// The media types of bodies.
// YAML has several names; checkBody makes one of them.
const (
	JSON      = "application/json"
	YAML      = "application/yaml"
	Multipart = "multipart/form-data"
)

// Route is one thing that clients may ask for.
// Everything that can be refused without a handler is declared here, so that no handler can forget it.
type Route struct {
	Method, Path string      // the path as fasthttp/router reads it
	Scope        keys.Scope  // "" means that no key is needed
	Bodies       []string    // media types of a body; nil means that there is none
	MaxBody      int         // 0 means the site's
	Handle       func(*Call) // called once for each request that passed the gates
	// Plain errors are {"error": "text"}: the compatible faces' form. Others are problems.
	Plain bool
	// Lax takes bodies of any type from clients that are no browsers, as ComfyUI does.
	Lax bool
	// Quick requests are not logged when they succeed, as there are too many of them.
	Quick bool
	// NoHead keeps a GET from answering HEAD too: it waits, or streams, or changes something.
	NoHead bool
}

// Site serves routes.
// Exported fields are set before the first request and not changed after it.
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
	Tracer     *trace.Exporter // nil if requests are not traced
	Now        func() time.Time

	server *fasthttp.Server
	ctx    context.Context // ends when Shutdown begins
	end    context.CancelFunc
	once   sync.Once

	mu        sync.Mutex // of listeners
	listeners []net.Listener
}

// Bodies of strangers are held to smallBody until the key has been seen.
const (
	smallBody  = 64 << 10 // bytes of a body without a good key
	headerSize = 32 << 10 // bytes of all header lines together
	headerTime = 15 * time.Second
	bodyTime   = 5 * time.Minute  // for a whole body, which may be 64 MiB on a slow line
	idleTime   = 15 * time.Minute // the SDKs keep connections for long, and fail when one is closed under them
)

// start makes the router and the server, once.
// Calls from several goroutines wait for the first.
func (s *Site) start() {
	s.once.Do(func() {
		if s.MaxBody == 0 {
			s.MaxBody = 64 << 20
		}
		if s.HeaderTime == 0 {
			s.HeaderTime = headerTime
		}
		s.ctx, s.end = context.WithCancel(context.Background()) // of all streams and long polls
		r := router.New()
		// Clients are told that a path is not there, not led elsewhere.
		r.RedirectTrailingSlash, r.RedirectFixedPath, r.HandleOPTIONS = false, false, false
		for i := range s.Routes {
			route := &s.Routes[i]
			r.Handle(route.Method, route.Path, s.handler(route))
			if route.Method == fasthttp.MethodGet && !route.NoHead { // probes of load balancers, and caches, ask with HEAD
				r.Handle(fasthttp.MethodHead, route.Path, s.handler(route))
			}
		}
		missing := &Route{Path: "*", Handle: func(c *Call) {
			c.Problem(404, "no_route", "there is nothing at this address; /openapi.json lists what there is")
		}}
		// Unknown paths and methods go through the same gates, so a stranger cannot find out by them which routes there are.
		r.NotFound = s.handler(missing)
		wrong := &Route{Path: "*", Handle: func(c *Call) {
			c.Problem(405, "method_not_allowed", "this address knows other methods: see the Allow header")
		}}
		r.MethodNotAllowed = s.handler(wrong)
		// No write time-out: streams of events last for hours. MaxRequestBodySize is lowered for strangers in `received`.
		s.server = &fasthttp.Server{Handler: s.preflight(r.Handler), Name: "comfyc", ErrorHandler: s.unreadable, HeaderReceived: s.received, ReadBufferSize: headerSize,
			ReadTimeout: s.HeaderTime, IdleTimeout: idleTime, WriteTimeout: 0, MaxRequestBodySize: s.MaxBody, DisablePreParseMultipartForm: true,
			NoDefaultServerHeader: false, CloseOnShutdown: true, Concurrency: 256 << 10, ReduceMemoryUsage: true, Logger: quiet{}, StreamRequestBody: false}
	})
}

// quiet drops fasthttp's remarks about clients that went away.
// The library logs every broken connection, which clients cause all the time.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// Serve answers on a listener until Shutdown.
// It blocks. After Shutdown it returns nil.
func (s *Site) Serve(ln net.Listener) error {
	s.start()
	s.mu.Lock()
	s.listeners = append(s.listeners, ln)
	s.mu.Unlock()
	if s.ctx.Err() != nil { // Shutdown came before
		ln.Close()
		return nil
	}
	err := s.server.Serve(ln)
	if s.ctx.Err() != nil {
		return nil
	}
	return err
}

// Handler gives the way in, for listeners of the caller's own.
func (s *Site) Handler() fasthttp.RequestHandler {
	s.start()
	return s.server.Handler
}

// Stopping ends when Shutdown begins, for streams.
// Handlers get it as Call.Ctx.
func (s *Site) Stopping() context.Context {
	s.start()
	return s.ctx
}

// Shutdown ends streams and long polls, closes the listeners, and waits for the requests under way until ctx ends.
// Connections that are idle are closed; when ctx ends first, what is under way is cut off and its error given.
func (s *Site) Shutdown(ctx context.Context) error {
	s.start()
	s.end()
	err := s.server.ShutdownWithContext(ctx)
	// The server knows the listeners that it serves already. One whose Serve was only about to begin would accept for ever.
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ln := range s.listeners {
		ln.Close()
	}
	return err
}

// received bounds a body before it is read: strangers may send little.
// It is called when the header has been read. The key is looked up here and once more at the gate, which is cheap.
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
// Such requests have no route and no key; the connection is closed after the answer.
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
// 18 hex digits, enough to find a request in a log.
func newID() string {
	b := make([]byte, 9)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// preflight answers OPTIONS for allowed origins; there are none by default.
// Without it, browsers would send requests of other sites' pages only in the simple forms that the media types refuse.
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
		// The header stands on every answer to an allowed page, errors included, or its script could not read them.
		if allowed {
			ctx.Response.Header.Set("Access-Control-Allow-Origin", origin)
			ctx.Response.Header.Add("Vary", "Origin")
		}
	}
}

// handler puts the gates before a route.
// The order of the deferred calls matters: a panic becomes an answer before that is compressed, counted and logged.
func (s *Site) handler(route *Route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		began := s.Now()
		c := &Call{RequestCtx: ctx, ID: requestID(ctx), Ctx: s.ctx, site: s, route: route}
		defer s.finished(c, began)
		defer s.recover(c)
		h := &ctx.Response.Header
		// These headers are on every answer; pages have stricter ones besides.
		h.Set("X-Request-ID", c.ID)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		if no := s.admit(c); no != nil {
			c.refuse(no)
			return
		}
		if s.Metrics != nil {
			defer s.Metrics.begin(route)() // streams of events are not counted: their handler has returned by then
		}
		s.trace(c, began)
		route.Handle(c)
	}
}

// trace begins the span of a request that its client traces, or that changes something: looking is too frequent to be told unasked.
// A traceparent that asks for no sampling gives no span. The route's pattern is the name, never the path.
func (s *Site) trace(c *Call, began time.Time) {
	parent := trace.Parse(c.Header("traceparent"))
	if parent == trace.None && (c.IsGet() || c.IsHead()) {
		return
	}
	c.span = s.Tracer.Start(parent, trace.Server, c.route.Method+" "+c.route.Path, began)
	c.Ctx = trace.With(c.Ctx, c.span.Where())
}

// traced ends the span of a request.
// Only the service's own failures are failures of the span: a 404 is the client's.
func (c *Call) traced(at time.Time) {
	if c.span == nil {
		return
	}
	failed, status := "", c.Response.StatusCode()
	if status >= 500 {
		failed = fasthttp.StatusMessage(status)
	}
	c.span.Set("http.request.method", c.route.Method)
	c.span.Set("http.route", c.route.Path)
	c.span.Set("http.response.status_code", status)
	c.span.Set("comfyc.request", c.ID)
	if c.Key != nil {
		c.span.Set("comfyc.key", c.Key.ID)
	}
	c.span.End(at, failed)
}

// refuse answers in the form of the route.
// Compatible clients know "error" only.
func (c *Call) refuse(no *refusal) {
	if c.route != nil && c.route.Plain {
		c.JSON(no.status, map[string]string{"error": no.detail})
		return
	}
	c.Problem(no.status, no.code, no.detail)
}

// requestID takes the client's own id, if it is a sound one.
// 8 to 64 letters, digits, - and _: a log line cannot be broken by it.
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
// Every step may refuse, and nothing of the request has been looked at before the one that is about it.
func (s *Site) admit(c *Call) *refusal {
	if no := framed(&c.Request.Header); no != nil {
		c.Response.Header.SetConnectionClose()
		return no
	}
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

// framed refuses a body that comes in pieces and says its length as well: a proxy that believes the length would take what follows for the next
// request, of whomever that is. Other doubts about where a request ends are refused by fasthttp.
func framed(h *fasthttp.RequestHeader) *refusal {
	if h.ContentLength() != -1 { // it is not chunked
		return nil
	}
	for line := range bytes.Lines(h.RawHeaders()) {
		if name, _, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			return &refusal{400, "bad_request", "a body comes in pieces or has a length, not both"}
		}
	}
	return nil
}

// identify finds who asks, and holds the scope, the CSRF token and the rate.
// 401 without a good key, 403 for a scope or a CSRF token that is missing, 429 with Retry-After above the key's rate. A key in
// a header needs no CSRF token: a browser sends none by itself.
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
			unsafe := !c.IsGet() && !c.IsHead() // only these can change anything
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
// nil if the header is missing or holds no good key. The user name of basic authentication is not looked at.
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
// Schemes of authentication are not case-sensitive.
func cutFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

// checkBody holds the media type and the size. A body without a type, and one of a type that a form of any web page can send, is refused.
// 415 for a type or an encoding, 413 for the size. A form's type (urlencoded, text/plain) is what a page of another site could
// send without asking.
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
	if n > most { // less than the site's bound, which fasthttp has held
		return &refusal{413, "too_large", fmt.Sprintf("a body may have %d bytes here", most)}
	}
	kind, _, err := mime.ParseMediaType(string(h.ContentType()))
	if kind == "application/x-yaml" || kind == "text/yaml" || kind == "text/x-yaml" {
		kind = YAML
	}
	c.Type = kind
	// No body is fine where none is needed; some clients name JSON as its type all the same.
	if c.route.Bodies == nil || n == 0 && kind == "" || n == 0 && kind == JSON || c.IsGet() || c.IsHead() {
		return nil
	}
	if err == nil && slices.Contains(c.route.Bodies, kind) || c.route.Lax && !browser(h) {
		return nil
	}
	return &refusal{415, "media_type", "the Content-Type must be one of " + strings.Join(c.route.Bodies, ", ")}
}

// recover makes a handler's panic a 500.
// It only sees panics of this request's goroutine; the process goes on.
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
// About one network packet: below it there is nothing to gain.
const minGzip = 1400

// A writer has buffers of some hundreds of KB, so they are kept.
var packers = sync.Pool{New: func() any { w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return w }}

// finished compresses, counts and logs.
// Answers with a CSRF token in them are not compressed, since their length could be made to tell it (BREACH).
func (s *Site) finished(c *Call, began time.Time) {
	r := &c.Response
	if !r.IsBodyStream() && len(r.Body()) >= minGzip && c.CSRF == "" && packable(string(r.Header.ContentType())) {
		r.Header.Add("Vary", "Accept-Encoding") // of those that are not compressed too
		if takesGzip(c.Header("Accept-Encoding")) {
			pack(r)
		}
	}
	now, status := s.Now(), r.StatusCode()
	took := now.Sub(began)
	c.traced(now) // with the status that is sent
	if s.Metrics != nil {
		s.Metrics.request(c.route, status, took)
	}
	// Successful looks are left out of the log; the metrics have them.
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

// pack compresses an answer. Its entity tag becomes a weak one: the same tag on other bytes would let ranges of both be put together.
func pack(r *fasthttp.Response) {
	w := packers.Get().(*gzip.Writer)
	body := slices.Clone(r.Body())
	r.ResetBody()
	w.Reset(r.BodyWriter())
	w.Write(body)
	w.Close()
	packers.Put(w)
	r.Header.SetContentEncoding("gzip")
	if tag := string(r.Header.Peek("ETag")); strings.HasPrefix(tag, `"`) {
		r.Header.Set("ETag", "W/"+tag)
	}
}

// takesGzip reads an Accept-Encoding: gzip by name, else by "*", and neither with q=0.
func takesGzip(header string) bool {
	any := false
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		coding, params, _ := strings.Cut(part, ";")
		q, _ := strings.CutPrefix(strings.TrimSpace(params), "q=")
		good := q == "" || strings.Trim(q, "0. ") != ""
		switch strings.TrimSpace(coding) {
		case "gzip", "x-gzip":
			return good
		case "*":
			any = good
		}
	}
	return any
}

// packable tells the media types that become smaller.
// Pictures and videos are compressed already.
func packable(kind string) bool {
	return strings.HasPrefix(kind, "application/json") || strings.HasPrefix(kind, "application/problem+json") || strings.HasPrefix(kind, "text/")
}
