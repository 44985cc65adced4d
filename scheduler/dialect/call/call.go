// Package call speaks HTTP for the dialects: one call at a time, bounded in time and size, and every trouble classed as a
// *scheduler.Error by what is known about it. It never repeats a call and never sleeps; repeating belongs to the loop.
//
// What matters most is whether a paid call may have reached the remote. A connection that was never made is Unreachable, and
// nothing was sent; once the first byte of a paid request may be on its way, a lost answer is Uncertain.
//
// The key goes to the origin (scheme, host and port) of the endpoint's own URL and nowhere else: not to redirects, not to the URLs
// that workers return. Those URLs come from outside, so they are opened through a dialer that refuses private addresses.
//
// A Client may be used by any number of goroutines. It starts none of its own besides those of net/http.
package call

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Options of a Client. Only Base is required.
type Options struct {
	Endpoint   string   // the endpoint's name, for errors
	Base       string   // URL of the endpoint; every path of a call is below it
	Key        string   // sent as a bearer token to Base's origin; "" sends none
	KeyName    string   // where the key came from, for errors
	Secrets    []string // what else must not show in errors, such as a bucket's keys
	AllowHosts []string // hosts ("name" or "name:port") that outputs may come from though their addresses are private
	// Transport makes the calls of the API, and opens the outputs that lie on Base's own origin. nil makes one that honours
	// HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
	Transport http.RoundTripper
	InFlight  int // calls that are made at once: so many idle connections are kept. At least 16.
	// Timeout bounds one call that names none of its own, 30 s if 0. Stall is how long an output may send nothing, 60 s if 0.
	Timeout, Stall time.Duration
}

// Client calls one endpoint.
// api speaks to Base's origin and carries the key; outputs opens what workers point to and never carries it. Both share one transport for
// what lies on Base's origin, so outputs there ride on the connections of the calls.
type Client struct {
	options Options
	base    *url.URL
	api     *http.Client
	outputs *http.Client
}

// New makes a Client. The error says what is wrong with Base.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.Base, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("the url %q is no http or https address", Redact(o.Base))
	}
	// A password in a URL would show in every error, and a query would swallow the paths that are appended to it.
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the url %q must not hold a name, a password, a query or a fragment", Redact(o.Base))
	}
	if o.Transport == nil {
		o.Transport = NewTransport(max(o.InFlight, 16))
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	c := &Client{options: o, base: base}
	c.api = &http.Client{Transport: o.Transport, CheckRedirect: c.sameOrigin}
	c.outputs = &http.Client{Transport: newGuard(base, o.Transport, o.AllowHosts), CheckRedirect: c.onward}
	return c, nil
}

// Request is one call of an endpoint's API.
type Request struct {
	Op      string // submit, poll, cancel, stats, check, upload, find or fetch, for errors and to class answers
	Method  string // GET if ""
	Path    string // below Base, escaped; may have a query
	Body    []byte
	Type    string        // of the body, application/json if ""
	Limit   int64         // bytes of the answer, 1 MiB if 0
	Timeout time.Duration // of the whole call, Options.Timeout if 0
	// Paid marks the call that costs money: no redirect is followed, and a lost or senseless answer is Uncertain.
	Paid bool
	// Written is called when the whole request is on its way, from a goroutine of the transport's; more than once if it had to be
	// written anew. May be nil.
	Written func()
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes one call. The error is a *scheduler.Error for everything but a 2xx answer that was read to its end; the Answer holds what
// came all the same.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	limit := r.Limit
	if limit == 0 {
		limit = 1 << 20
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = c.options.Timeout
	}
	// A deadline that has passed already must not make a paid call Uncertain: that it was never begun is certain.
	if err := ctx.Err(); err != nil {
		return Answer{}, c.lost(r, err, connected) // nothing was sent
	}
	// The loop's calls have deadlines of their own: a second timer is made only where this one comes first.
	if until, ok := ctx.Deadline(); !ok || time.Until(until) > timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	response, step, err := c.send(ctx, r)
	if err != nil {
		if step == writing && ctx.Err() != nil {
			// The way there may be dead without a word. What goes next goes over a new connection: so it is known not to have been sent if there is none.
			c.api.CloseIdleConnections()
		}
		return Answer{}, c.lost(r, err, step)
	}
	defer response.Body.Close()
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	// The status is looked at before the body's own trouble: a 429 whose text broke off is still a 429.
	answer.Body, err = readBody(response, limit)
	if failed := c.refused(r, answer); failed != nil {
		return answer, failed
	}
	if err != nil {
		return answer, c.lost(r, err, writing)
	}
	// readBody reads one byte beyond the limit: that is how "exactly at the limit" is told from "more".
	if int64(len(answer.Body)) > limit {
		return answer, c.oversize(r, limit)
	}
	return answer, nil
}

// readBody reads at most one byte more than the limit. A length that the remote names, if it is below the limit, saves growing the buffer.
func readBody(response *http.Response, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= limit {
		b.Grow(int(n) + bytes.MinRead) // ReadFrom wants room to see the end
	}
	_, err := b.ReadFrom(io.LimitReader(response.Body, limit+1))
	return b.Bytes(), err
}

// JSON is Do for an answer that holds one JSON value, which is decoded into v.
func (c *Client) JSON(ctx context.Context, r Request, v any) (Answer, error) {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Body, v); err != nil {
		return answer, c.senseless(r, answer, err)
	}
	return answer, nil
}

// Up gives a client for the same origin, with the same key, whose paths are below the parent of Base's last segment: from
// https://api.runpod.ai/v2/abc/runsync to https://api.runpod.ai/v2/abc. The connections are shared.
func (c *Client) Up() *Client {
	up := *c
	base := *c.base
	base.Path, base.RawPath = strings.TrimRight(path.Dir(base.Path), "/"), "" // at the root Dir leaves a slash, and paths bring their own
	up.base = &base
	return &up
}

// Root gives a client for the same origin, with the same key, whose paths are below the origin's root.
func (c *Client) Root() *Client {
	root := *c
	root.base = &url.URL{Scheme: c.base.Scheme, Host: c.base.Host}
	return &root
}

// Base is the endpoint's URL without a slash at its end.
func (c *Client) Base() string { return c.base.String() }

// send makes the request and says how far it got.
func (c *Client) send(ctx context.Context, r Request) (*http.Response, step, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	traced, progress := trace(ctx, r.Written)
	var body io.Reader
	// A POST without a body goes out with Content-Length: 0, as the platforms' SDKs send /cancel and /purge-queue.
	if len(r.Body) > 0 {
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(traced, method, c.base.String()+r.Path, body)
	if err != nil {
		return nil, connecting, err
	}
	c.headers(request, r)
	response, err := c.api.Do(request)
	return response, progress.step(), err
}

// headers of an API call. The platforms' clients send a JSON content type even without a body, and some servers insist.
func (c *Client) headers(request *http.Request, r Request) {
	contentType := r.Type
	if contentType == "" {
		contentType = "application/json"
	}
	request.Header.Set("Content-Type", contentType)
	// The second half is for ComfyUI's own routes, some of which answer with plain text or nothing at all.
	request.Header.Set("Accept", "application/json, */*;q=0.5")
	request.Header.Set("User-Agent", "comfyc")
	c.authorize(request)
}

// authorize adds the key if the request goes to the endpoint's own origin.
func (c *Client) authorize(request *http.Request) {
	// Checked per request and not once per client: OpenFrom builds its address by appending, and a path cannot be trusted to stay one.
	if c.options.Key != "" && origin(request.URL) == origin(c.base) {
		request.Header.Set("Authorization", "Bearer "+c.options.Key)
	}
}

// sameOrigin follows a redirect of a repeatable call within the endpoint's origin. All others end the call with the 3xx answer.
func (c *Client) sameOrigin(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || via[0].Method != http.MethodGet || origin(request.URL) != origin(c.base) {
		return http.ErrUseLastResponse
	}
	return nil
}

// maxRedirects bounds how many redirects are followed in a row.
const maxRedirects = 5

// origin is what the key belongs to: scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
