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
type Render struct {
	Index    int                    `json:"index"`
	ID       string                 `json:"id"`
	State    scheduler.RenderState  `json:"state"`
	Files    []scheduler.FileRecord `json:"files,omitempty"`
	Reason   string                 `json:"reason,omitempty"`
	Endpoint string                 `json:"endpoint,omitempty"`
	GPU      string                 `json:"gpu,omitempty"`
	Worker   string                 `json:"worker,omitempty"`
	Attempts int                    `json:"attempts,omitempty"`
	Seconds  float64                `json:"seconds,omitempty"`
	CostUSD  *float64               `json:"cost_usd,omitempty"`
}

// renders is GET /batches/{id}/renders: those that have left waiting, by index, `limit` of them, `after` an index. The paths of files are
// below the gallery.
func (a *API) renders(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	limit, ok1 := number(c, "limit", 100, 1, 1000)
	if !ok1 {
		return
	}
	after, ok2 := number(c, "after", -1, -1, 1<<30)
	if !ok2 {
		return
	}
	out := struct {
		Renders []Render `json:"renders"`
		Next    string   `json:"next,omitempty"`
	}{Renders: []Render{}}
	st, err := a.Queue.State(c.Ctx, w)
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
func (a *API) gallery(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	name := strings.TrimPrefix(c.Param("path"), "/")
	if name == "" {
		name = "index.html"
	}
	if path.Clean(name) != name {
		c.NotFound()
		return
	}
	c.File(a.Queue.OutDir(w.ID), name)
}

const (
	heartbeat    = 15 * time.Second
	maxListeners = 10_000
)

// events is GET /batches/{id}/events: server-sent events. Stored ones have an id, and a client that comes again with Last-Event-ID gets what
// it missed.
func (a *API) events(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	after, err := strconv.ParseInt(c.Header("Last-Event-ID"), 10, 64)
	if err != nil || after < 0 {
		after = 0
	}
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
		fmt.Fprintf(out, "retry: 2000\n\n")
		// A client that has gone shows at a flush only: hence the heartbeat.
		_ = a.Queue.Follow(ctx, id, after, heartbeat, func(e *ledger.Event) error { return writeEvent(out, e) })
	})
}

// writeEvent writes one event, or a heartbeat for none. Data is one line of JSON.
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
func (a *API) login(c *web.Call) {
	var ask struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(c.Body(), &ask); err != nil {
		c.Problem(400, "bad_body", `the body is {"key": "…"}`)
		return
	}
	k := a.Ring.Find(c.Ctx, ask.Key)
	if k == nil {
		c.Problem(401, "unauthorized", "this is no good key")
		return
	}
	setCookie(c, a.Ring.Login(k), int(keys.SessionTime/time.Second))
	c.SetStatusCode(204)
}

// logout is POST /logout: the browser forgets its session.
func (a *API) logout(c *web.Call) {
	setCookie(c, "", -1)
	c.SetStatusCode(204)
}

// setCookie gives the browser its session, or takes it away.
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
