// Downloads of outputs. They are large, come from anywhere, and may be repeated, so they differ from calls of the API: no key beyond the
// own origin, no bound on the total time but one on silence (Options.Stall, 60 s), and they can go on from a byte (HTTP Range).

package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// Fetch opens a URL that came from outside, without the key. The caller bounds what it reads, and closes. Kinds: Lost for an address
// that has expired or is gone, Rejected for one that must not be opened, Busy and Transient.
func (c *Client) Fetch(ctx context.Context, address string) (io.ReadCloser, error) {
	return c.FetchFrom(ctx, address, scheduler.Resume{})
}

// OpenFrom makes a GET below Base and hands its body over to be read; the key is sent. It goes on from a byte if the server can, as
// [Client.FetchFrom] does. The caller closes and bounds it.
func (c *Client) OpenFrom(ctx context.Context, path string, from scheduler.Resume) (io.ReadCloser, error) {
	return c.stream(ctx, c.base.String()+path, c.api, true, from)
}

// FetchFrom is Fetch that goes on from a byte, if the remote still has the same version of the file and can give a part of it; otherwise
// it gives the whole. The reader is a scheduler.Resumable and says which.
func (c *Client) FetchFrom(ctx context.Context, address string, from scheduler.Resume) (io.ReadCloser, error) {
	return c.stream(ctx, address, c.outputs, false, from)
}

// stream opens an address through a client of ours. own says that the key may go along.
func (c *Client) stream(ctx context.Context, address string, client *http.Client, own bool, from scheduler.Resume) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, c.Fail("fetch", scheduler.Rejected, "the output's address cannot be read")
	}
	request.Header.Set("User-Agent", "comfyc")
	request.Header.Set("Accept-Encoding", "identity") // bytes must be counted as they lie there
	askFrom(request, from)
	if own {
		c.authorize(request)
	}
	body := newPatient(cancel, c.options.Stall)
	// From here on the stall timer runs; every way out closes body, which stops it and frees the context.
	response, err := client.Do(request)
	if err != nil {
		body.Close()
		return nil, c.unfetched(body.reason(err))
	}
	body.ReadCloser = response.Body
	at, ok := partOf(response, from)
	if !ok {
		body.Close()
		return nil, c.Fail("fetch", scheduler.Transient, "another part of the output came than the one asked for")
	}
	if err := c.fetchRefused(response); err != nil {
		body.Close()
		return nil, err
	}
	return &fetched{patient: body, client: c, at: at}, nil
}

// askFrom asks for the rest of a file. Without a version to compare, the rest could be that of another file.
func askFrom(request *http.Request, from scheduler.Resume) {
	if from.From > 0 && from.Match != "" {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from.From))
		request.Header.Set("If-Range", from.Match)
	}
}

// partOf says where an answer begins and how to ask for the rest of it. ok is false if it is a part that was not asked for. A part that
// is right becomes a 200 for whoever looks at the status next.
func partOf(response *http.Response, asked scheduler.Resume) (at scheduler.Resume, ok bool) {
	// A weak ETag (W/"…") says "as good as", not "the same bytes", and If-Range ignores it by RFC 9110. A date is second best.
	if etag := response.Header.Get("ETag"); etag != "" && !strings.HasPrefix(etag, "W/") {
		at.Match = etag
	} else {
		at.Match = response.Header.Get("Last-Modified")
	}
	if response.StatusCode != http.StatusPartialContent || asked.From == 0 || asked.Match == "" {
		return at, true
	}
	// A server that ignores If-Range or counts differently would splice two files into one; better to begin anew.
	if !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", asked.From)) {
		return at, false
	}
	at.From, response.StatusCode = asked.From, http.StatusOK
	return at, true
}

// onward follows an output's redirects, each of them through the guard, never from https down to http.
func (c *Client) onward(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	// Signed addresses are as good as a key for their file; what left encrypted does not go on in clear.
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
	// Login pages and captive portals answer 200. No output is HTML: ComfyUI serves saved .html under /view as a download too.
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
	// Only bytes count as a sign of life; a Read of nothing would let a stuck connection live for ever.
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
	at     scheduler.Resume
}

// Resume implements scheduler.Resumable.
func (f *fetched) Resume() scheduler.Resume { return f.at }

// Read implements io.Reader; its errors are *scheduler.Error.
func (f *fetched) Read(b []byte) (int, error) {
	n, err := f.patient.Read(b)
	if err != nil && err != io.EOF {
		err = f.client.unfetched(f.reason(err))
	}
	return n, err
}
