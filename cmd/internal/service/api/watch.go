package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/valyala/fasthttp"
)

// Render is one render as clients see it.
// It is a row of the batch's state; money is in USD and estimated, seconds are of execution.
type Render struct {
	Index    int                    `json:"index"` // place in the plan, from 0
	ID       string                 `json:"id"`    // hash of the resolved graph: equal renders of other batches have the same
	State    scheduler.RenderState  `json:"state"`
	Files    []scheduler.FileRecord `json:"files,omitempty"`    // paths, sizes and hashes of the pictures
	Reason   string                 `json:"reason,omitempty"`   // why it failed or is held
	Endpoint string                 `json:"endpoint,omitempty"` // the endpoint that did it, or tried last
	GPU      string                 `json:"gpu,omitempty"`
	Worker   string                 `json:"worker,omitempty"`
	Attempts int                    `json:"attempts,omitempty"` // submissions so far
	Seconds  float64                `json:"seconds,omitempty"`
	CostUSD  *float64               `json:"cost_usd,omitempty"` // null or absent: the price is not known
}

// renders is GET /batches/{id}/renders: those that have left waiting, by index, `limit` of them, `after` an index. The paths of files are
// below the gallery.
// A page is 100 by default and 1000 at most; "next" is there if more have left waiting. All rows before the page are read over,
// so deep pages cost more.
func (a *API) renders(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	limit, ok1 := number(c, "limit", 100, 1, 1000)
	if !ok1 {
		return
	}
	after, ok2 := number(c, "after", -1, -1, 1<<30) // -1 begins with render 0
	if !ok2 {
		return
	}
	out := struct {
		Renders []Render `json:"renders"`
		Next    string   `json:"next,omitempty"`
	}{Renders: []Render{}}
	// No state yet means that it still waits: an empty list, not an error.
	st, err := a.Queue.State(w)
	if errors.Is(err, os.ErrNotExist) {
		c.JSON(200, out)
		return
	} else if err != nil {
		c.Failed(err)
		return
	}
	defer st.Close()
	for r, err := range st.Records(c.Ctx) {
		if err != nil {
			c.Failed(err)
			return
		}
		if r.Render <= after {
			continue
		}
		if len(out.Renders) == limit {
			out.Next = fmt.Sprintf("%s/batches/%s/renders?limit=%d&after=%d", Base, w.ID, limit, out.Renders[limit-1].Index)
			break
		}
		out.Renders = append(out.Renders, Render{r.Render, r.ID.String(), r.State, r.Files, r.Reason, r.Endpoint, r.GPU, r.Worker, r.Attempts, r.Seconds, r.CostUSD})
	}
	c.JSON(200, out)
}

// gallery is GET /batches/{id}/gallery/…: the run directory without its state.
// "" is index.html. Only what a gallery shows is served: c.File refuses the state in .comfyc and links that lead out.
func (a *API) gallery(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	name := strings.TrimPrefix(c.Param("path"), "/")
	if name == "" {
		name = "index.html"
	}
	if path.Clean(name) != name { // "..", "//" and the like are not repaired, they are not there
		c.NotFound()
		return
	}
	if err := a.Queue.Bring(c.Ctx, w.ID, name); err != nil {
		c.Failed(err)
		return
	}
	c.File(a.Queue.OutDir(w.ID), name)
}

const (
	heartbeat    = 15 * time.Second // below the 30 to 60 s after which proxies close idle connections
	maxListeners = 10_000           // for the whole process; more are answered with 429
)

// events is GET /batches/{id}/events: server-sent events. Stored ones have an id, and a client that comes again with Last-Event-ID gets what
// it missed.
func (a *API) events(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	after, err := strconv.ParseInt(c.Header("Last-Event-ID"), 10, 64) // what is no number begins at the first event
	if err != nil || after < 0 {
		after = 0
	}
	// Counted before the stream begins and taken back when it ends, so that a refused client leaves no trace.
	if a.listeners.Add(1) > maxListeners {
		a.listeners.Add(-1)
		c.RetryAfter(10 * time.Second)
		c.Problem(429, "too_many_listeners", "too many clients listen to events")
		return
	}
	c.SetContentType("text/event-stream")
	c.Response.Header.Set("Cache-Control", "no-store")
	c.Response.Header.Set("X-Accel-Buffering", "no") // or proxies would hold events back
	id, ctx := w.ID, c.Ctx
	c.SetBodyStreamWriter(func(out *bufio.Writer) {
		defer a.listeners.Add(-1)
		fmt.Fprintf(out, "retry: 2000\n\n") // milliseconds until a browser comes again after a break
		// A client that has gone shows at a flush only: hence the heartbeat.
		_ = a.Queue.Follow(ctx, id, after, heartbeat, func(e *ledger.Event) error { return writeEvent(out, e) })
	})
}

// writeEvent writes one event, or a heartbeat for none. Data is one line of JSON.
// A passing event has no id: a client that comes again must not skip stored ones because of it. Flush finds out whether the
// client is still there.
func writeEvent(out *bufio.Writer, e *ledger.Event) error {
	switch {
	case e == nil:
		out.WriteString(": still here\n\n")
	case e.Seq > 0:
		fmt.Fprintf(out, "event: %s\nid: %d\ndata: %s\n\n", e.Kind, e.Seq, e.Data)
	default:
		fmt.Fprintf(out, "event: %s\ndata: %s\n\n", e.Kind, e.Data)
	}
	return out.Flush()
}

// session is GET /session: who asks, and what it may do.
// The answer holds the key's webhook secret and the CSRF token, hence no-store. Without keys it is the key of everybody, with
// no id.
func (a *API) session(c *web.Call) {
	out := map[string]any{"key": c.Key.Name, "scopes": c.Key.Scopes, "keys_needed": !a.Ring.Empty(c.Ctx)}
	if c.CSRF != "" {
		out["csrf"] = c.CSRF
	}
	if c.Key.ID != "" {
		out["id"], out["limits"], out["webhook_secret"] = c.Key.ID, c.Key.Limits, webhook.SecretText(a.Ring.WebhookSecret(c.Key.ID))
	}
	c.Response.Header.Set("Cache-Control", "no-store")
	c.JSON(200, out)
}

// login is POST /login: a key becomes a browser's session.
// 204 with a cookie, or 401. The key itself is not in the cookie; a revoked key ends its sessions. No CSRF token is needed,
// since nobody is logged in yet.
func (a *API) login(c *web.Call) {
	var ask struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(c.Body(), &ask); err != nil {
		c.Problem(400, "bad_body", `the body is {"key": "…"}`)
		return
	}
	k := a.Ring.Find(c.Ctx, ask.Key) // compares hashes
	if k == nil {
		c.Problem(401, "unauthorized", "this is no good key")
		return
	}
	setCookie(c, a.Ring.Login(k), int(keys.SessionTime/time.Second))
	c.SetStatusCode(204)
}

// logout is POST /logout: the browser forgets its session.
// 204 also without a session: the end is the same.
func (a *API) logout(c *web.Call) {
	setCookie(c, "", -1)
	c.SetStatusCode(204)
}

// setCookie gives the browser its session, or takes it away.
// HttpOnly keeps scripts from it, SameSite=Strict keeps other sites from sending it; Secure is set where the request came over
// TLS, also through a trusted proxy.
func setCookie(c *web.Call, value string, seconds int) {
	var cookie fasthttp.Cookie
	cookie.SetKey(keys.Cookie)
	cookie.SetValue(value)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	cookie.SetSecure(c.Secure())
	if seconds < 0 {
		cookie.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		cookie.SetMaxAge(seconds)
	}
	c.Response.Header.SetCookie(&cookie)
	c.Response.Header.Set("Cache-Control", "no-store")
}
