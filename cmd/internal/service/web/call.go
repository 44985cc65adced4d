package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Call is one request, past the gates.
// It must not be kept after the handler has returned: fasthttp uses its memory again.
type Call struct {
	*fasthttp.RequestCtx
	ID    string          // of the request, for the log
	Key   *keys.Key       // who asks; nil on routes that everybody may call
	CSRF  string          // of the browser's session, "" without one
	Ctx   context.Context // ends when the service stops
	Type  string          // media type of the body
	site  *Site
	route *Route
	span  *trace.Span // nil if the request is not traced
}

// Param gives a part of the route's path.
// Values come from the path as it was matched, decoded.
func (c *Call) Param(name string) string {
	v, _ := c.UserValue(name).(string)
	return v
}

// Query gives a parameter of the query, "" if there is none.
func (c *Call) Query(name string) string { return string(c.QueryArgs().Peek(name)) }

// Header gives a header field of the request.
// Names are not case-sensitive.
func (c *Call) Header(name string) string { return string(c.Request.Header.Peek(name)) }

// Body gives a copy of the request's body, which may be kept.
// Without the copy, it would be overwritten by the next request on the connection.
func (c *Call) Body() []byte { return bytes.Clone(c.PostBody()) }

// Secure tells whether the client came over TLS.
// A trusted proxy's word counts, see Guard.
func (c *Call) Secure() bool { return c.site.Guard.secure(c.RequestCtx) }

// Client gives the client's address.
// It is for the log alone: nothing is decided by it.
func (c *Call) Client() string { return c.site.Guard.client(c.RequestCtx) }

// Multipart gives the boundary of a multipart body, "" if it is none.
func (c *Call) Multipart() string {
	kind, params, err := mime.ParseMediaType(c.Header("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return ""
	}
	return params["boundary"]
}

// JSON answers with a value. What encoding/json cannot write is a bug.
func (c *Call) JSON(status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("an answer cannot be written: " + err.Error())
	}
	c.Text(status, "application/json", text)
}

// Text answers with bytes of a media type. A GET that succeeds gets an entity tag, and 304 if the client has it.
// The tag is over the body, so it is the same on every replica. "no-cache" means: keep it, but ask.
func (c *Call) Text(status int, kind string, body []byte) {
	c.SetContentType(kind)
	c.SetStatusCode(status)
	if (c.IsGet() || c.IsHead()) && status == fasthttp.StatusOK {
		sum := sha256.Sum256(body)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		c.Response.Header.Set("ETag", tag)
		if len(c.Response.Header.Peek("Cache-Control")) == 0 {
			c.Response.Header.Set("Cache-Control", "no-cache, private")
		}
		if matches(c.Header("If-None-Match"), tag) {
			c.SetStatusCode(fasthttp.StatusNotModified)
			c.Response.SkipBody = true // a 304 must not have a body
			return
		}
	}
	c.SetBody(body)
}

// matches tells whether an If-None-Match names a tag.
// Weak and strong tags compare alike, as is right for GET.
func matches(header, tag string) bool {
	if header == "*" {
		return true
	}
	for part := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(part), "W/") == tag {
			return true
		}
	}
	return false
}

// Problem is the body of an error (RFC 9457).
// Clients decide by Code; Detail is for people and may change.
type Problem struct {
	Type        string            `json:"type"` // about:blank: the status says what it is
	Title       string            `json:"title"`
	Status      int               `json:"status"`
	Detail      string            `json:"detail,omitempty"`
	Code        string            `json:"code"`                  // stable, in snake_case
	RequestID   string            `json:"request_id"`            // to be found in the log
	Diagnostics []json.RawMessage `json:"diagnostics,omitempty"` // findings, in the form of `comfyc check --json`
}

// Problem answers with an error. The findings are written as `comfyc check --json` writes them.
// It replaces a body that was set before.
func (c *Call) Problem(status int, code, detail string, findings ...diag.Diagnostic) {
	p := Problem{Type: "about:blank", Title: fasthttp.StatusMessage(status), Status: status, Detail: detail, Code: code, RequestID: c.ID, Diagnostics: Findings(findings)}
	text, err := json.Marshal(p)
	if err != nil {
		panic("a problem cannot be written: " + err.Error())
	}
	c.SetStatusCode(status)
	c.SetContentType("application/problem+json")
	c.SetBody(text)
}

// Findings writes findings as JSON.
// An empty list is [], never null.
func Findings(list []diag.Diagnostic) []json.RawMessage {
	out := make([]json.RawMessage, len(list))
	for i, d := range list {
		out[i] = JSONValue(d.ToValue())
	}
	return out
}

// JSONValue writes a tree as JSON that every reader takes: NaN and infinities, which Python writes, become null.
// A tree with such numbers in it becomes null as a whole.
func JSONValue(v *source.Value) json.RawMessage {
	text := v.AppendJSON(nil)
	if !json.Valid(text) {
		return json.RawMessage("null")
	}
	return text
}

// NotFound answers for what is not there, and for what belongs to somebody else.
// 404 in both cases, so that nobody learns which ids exist.
func (c *Call) NotFound() {
	c.Problem(404, "not_found", "there is no such thing, or it belongs to another key")
}

// Failed answers for trouble on our side, which is logged and not shown.
// 500, or 503 while the service stops, since most trouble then comes from that. The error goes to the log, as it may name
// files.
func (c *Call) Failed(err error) {
	if c.Ctx.Err() != nil {
		c.Problem(503, "stopping", "the service is stopping; try again")
		return
	}
	c.site.Log.Error("request failed", "request", c.ID, "error", err)
	c.Problem(500, "internal", "something went wrong here; the server's log has it under the request's id")
}

// RetryAfter sets the header in whole seconds, rounded up.
func (c *Call) RetryAfter(d time.Duration) {
	c.Response.Header.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// Audit notes who did what.
// Routes without a key, or services without keys, are noted without an actor.
func (c *Call) Audit(action, object, detail string) {
	if c.site.Audit != nil {
		c.site.Audit(c.Key, action, object, detail)
	}
}
