package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// Fetch opens a URL that came from outside, without the key. The caller bounds what it reads, and closes. Kinds: Lost for an address
// that has expired or is gone, Rejected for one that must not be opened, Busy and Transient.
func (c *Client) Fetch(ctx context.Context, address string) (io.ReadCloser, error) {
	return c.stream(ctx, address, c.outputs, false)
}

// stream opens an address through a client of ours. own says that the key may go along.
func (c *Client) stream(ctx context.Context, address string, client *http.Client, own bool) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, c.Fail("fetch", scheduler.Rejected, "the output's address cannot be read")
	}
	request.Header.Set("User-Agent", "comfyc")
	if own {
		c.authorize(request)
	}
	body := newPatient(cancel, c.options.Stall)
	response, err := client.Do(request)
	if err != nil {
		body.Close()
		return nil, c.unfetched(body.reason(err))
	}
	body.ReadCloser = response.Body
	if err := c.fetchRefused(response); err != nil {
		body.Close()
		return nil, err
	}
	return &fetched{patient: body, client: c}, nil
}

// onward follows an output's redirects, each of them through the guard, never from https down to http.
func (c *Client) onward(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if request.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
		return errors.New("a redirect from https to http is not followed")
	}
	request.Header.Del("Referer") // it would carry the signed query to another host
	return nil
}

// unfetched classes an output that could not be opened or read.
func (c *Client) unfetched(err error) error {
	kind := scheduler.Transient
	var private *PrivateError
	switch {
	case errors.As(err, &private):
		kind = scheduler.Rejected
	case isDial(err):
		kind = scheduler.Unreachable
	}
	failed := c.Fail("fetch", kind, "%s", reason(err))
	failed.Err = cause(err)
	return failed
}

// fetchRefused classes the status of an output's answer. Storages answer 403 for an address whose time has run out.
func (c *Client) fetchRefused(response *http.Response) error {
	a := Answer{Status: response.StatusCode, Header: response.Header}
	ok := a.Status == http.StatusOK
	if ok && !isHTML(a) {
		return nil
	}
	a.Body, _ = io.ReadAll(io.LimitReader(response.Body, 16<<10))
	kind, text := scheduler.Transient, fmt.Sprintf("HTTP %d", a.Status)
	switch s := a.Status; {
	case ok:
		text = "a web page came where a file belongs"
	case s == 401 || s == 403 || s == 404 || s == 410:
		kind = scheduler.Lost
		text += ": the output is gone, or its address has expired"
	case s == 429, s == 503 && a.Header.Get("Retry-After") != "":
		kind = scheduler.Busy
	}
	failed := c.Fail("fetch", kind, "%s (%s)", text, said(a))
	failed.Status, failed.RetryAfter = a.Status, retryAfter(a.Header, time.Now())
	return failed
}

// errStalled ends an output that stopped coming.
var errStalled = errors.New("the output stopped coming")

// patient is a body that is given up when nothing came for a while. Read and Close are called by one goroutine, the timer's is
// another.
type patient struct {
	io.ReadCloser // nil until the answer's head is there
	cancel        context.CancelFunc
	timer         *time.Timer
	stall         time.Duration
	stalled       atomic.Bool
	once          sync.Once
}

// newPatient begins to wait at once, so that the answer's head must come in time too.
func newPatient(cancel context.CancelFunc, stall time.Duration) *patient {
	p := &patient{cancel: cancel, stall: stall}
	p.timer = time.AfterFunc(stall, func() {
		p.stalled.Store(true)
		cancel()
	})
	return p
}

// reason tells a stall from other ends.
func (p *patient) reason(err error) error {
	if p.stalled.Load() {
		return errStalled
	}
	return err
}

// Read gives the body another while.
func (p *patient) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if n > 0 {
		p.timer.Reset(p.stall)
	}
	return n, err
}

// Close may be called more than once.
func (p *patient) Close() (err error) {
	p.once.Do(func() {
		p.timer.Stop()
		p.cancel()
		if p.ReadCloser != nil {
			err = p.ReadCloser.Close()
		}
	})
	return err
}

// fetched classes the errors of reading.
type fetched struct {
	*patient
	client *Client
}

// Read implements io.Reader; its errors are *scheduler.Error.
func (f *fetched) Read(b []byte) (int, error) {
	n, err := f.patient.Read(b)
	if err != nil && err != io.EOF {
		err = f.client.unfetched(f.reason(err))
	}
	return n, err
}
