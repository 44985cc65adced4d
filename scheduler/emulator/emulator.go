package emulator

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// Emulator is a set of emulated endpoints. All methods may be called from several goroutines.
type Emulator struct {
	config    Config
	endpoints []*endpoint
	byName    map[string]*endpoint
	root      *endpoint // that speaks the native dialect at the root, nil if none does
	vault     vault
	files     files
	contents  contents
	ids       ids
	slots     chan struct{} // one per rendering that may go on

	ctx   context.Context
	stop  context.CancelFunc
	close sync.Once
	work  sync.WaitGroup // renderings, webhooks, listeners
}

// New makes an emulator. It is at work at once, through [Emulator.Handle] and [Emulator.RoundTripper], and needs [Emulator.Close] at the end.
func New(c Config) (*Emulator, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure the emulator: %w", err)
	}
	if c.Runner == nil {
		c.Runner = worker.Run
	}
	e := &Emulator{config: c, byName: map[string]*endpoint{}, vault: vault{limit: c.Memory, fetched: c.Fetched}, ids: newIDs(c.Seed), slots: make(chan struct{}, c.Parallel)}
	e.files = newFiles(e)
	e.ctx, e.stop = context.WithCancel(context.Background())
	for _, settings := range c.Endpoints {
		ep := e.open(settings)
		e.endpoints = append(e.endpoints, ep)
		e.byName[ep.Name] = ep
		if ep.server != nil && e.root == nil {
			e.root = ep
		}
	}
	return e, nil
}

// open makes an endpoint of its settings, with the workers that are always on. Nobody else knows it yet, so no lock is taken.
func (e *Emulator) open(settings Endpoint) *endpoint {
	f, _ := formOf(settings.Worker) // was checked with the configuration
	ep := &endpoint{Endpoint: settings, em: e, form: f, jobs: map[string]*job{}, requests: map[Op]int{}}
	ep.dice = newDice(e.config.Seed, ep.Name, ep.Faults)
	ep.submits.limit, ep.polls.limit, ep.cancels.limit = ep.SubmitPer10s, ep.StatusPer10s, ep.CancelPer10s
	ep.pool.ep = ep
	if ep.speaks(ComfyUI) {
		ep.server = newServer(ep)
	}
	ep.pool.open(time.Now())
	return ep
}

func (ep *endpoint) speaks(d Dialect) bool {
	for _, have := range ep.Dialects {
		if have == d {
			return true
		}
	}
	return false
}

// Close stops all jobs and listeners and waits until nothing of the emulator runs any more. It may be called again.
func (e *Emulator) Close() error {
	// First the context, so that renderings and held answers end; then the clocks, so that nothing begins anew; then all is waited for.
	e.close.Do(func() {
		e.stop()
		for _, ep := range e.endpoints {
			ep.shut()
		}
	})
	e.work.Wait()
	return nil
}

// call is one request on its way through a face.
type call struct {
	*Request
	ctx     context.Context
	ep      *endpoint
	id      string // of the job, from the path
	fault   *Fault // that strikes the answer, nil if none
	dialect Dialect
}

// Handle answers one request. It blocks as a long poll or a slow answer does, until ctx or the emulator ends.
func (e *Emulator) Handle(ctx context.Context, r *Request) *Response {
	// The dialect is in the first part of the path, as the real services' versions are: a client is pointed here by its base URL alone.
	switch first, rest, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); first {
	case "v1", "v2", "native":
		dialect := map[string]Dialect{"v1": Novita, "v2": RunPod, "native": ComfyUI}[first]
		name, rest, _ := strings.Cut(rest, "/")
		ep := e.byName[name]
		if ep == nil || !ep.speaks(dialect) {
			return refuse(404, "endpoint not found")
		}
		return ep.handle(ctx, r, dialect, rest)
	case "files":
		return e.files.handle(r)
	case "_emulator":
		return e.admin(r, rest)
	}
	if e.root != nil {
		return e.root.handle(ctx, r, ComfyUI, strings.TrimPrefix(r.Path, "/"))
	}
	return refuse(404, "not found: paths begin with /v1/NAME, /v2/NAME or /native/NAME")
}

// face answers the requests of one dialect.
type face func(c *call) *Response

// handle finds the operation, counts, checks key and limits, and lets faults strike.
func (ep *endpoint) handle(ctx context.Context, r *Request, d Dialect, path string) *Response {
	op, f, id := ep.route(d, r.Method, path)
	c := &call{Request: r, ctx: ctx, ep: ep, id: id}
	if ep.Key != "" && r.Authorization != "Bearer "+ep.Key {
		return refuse(401, "unauthorized")
	}
	// The key comes first, as no platform counts what it does not let in. Then the rates, then faults: a fault never strikes what was refused.
	fault, wait := ep.admit(op, len(r.Body))
	c.fault = fault
	var resp *Response
	switch {
	case wait > 0:
		resp = refuse(429, "too many requests")
		resp.RetryAfter = time.Duration(wait) * time.Second
		return ep.sent(resp)
	// Nothing is carried out: to the job this request never happened.
	case fault != nil && !fault.handled():
		return ep.sent(fault.answer())
	case f == nil:
		resp = refuse(404, "not found")
	default:
		resp = f(c)
	}
	if fault != nil {
		resp = fault.spoil(c, resp)
	}
	return ep.sent(resp)
}

// admit counts a request. wait > 0 means that it came too early, by so many seconds.
func (ep *endpoint) admit(op Op, body int) (fault *Fault, wait int) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.counters.request(op)
	ep.counters.BytesIn += body
	if limit := map[Op]*rate{Submit: &ep.submits, Status: &ep.polls, Cancel: &ep.cancels}[op]; limit != nil {
		wait, _ = limit.take(time.Now())
	}
	if wait > 0 {
		ep.counters.RateLimited++
		return nil, wait
	}
	if op == other || len(ep.Faults) == 0 {
		return nil, 0
	}
	// Refused requests have no number: fault rules count what got through, so that At: [3] strikes the third whatever the rates do.
	ep.requests[op]++
	if fault = ep.dice.request(op, ep.requests[op]); fault != nil {
		ep.counters.Faults++
	}
	return fault, 0
}

// sent counts an answer's bytes.
func (ep *endpoint) sent(r *Response) *Response {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.counters.BytesOut += len(r.Body)
	return r
}

// answer is what a fault that does nothing gives.
func (f *Fault) answer() *Response {
	switch f.Kind {
	case Reset:
		return &Response{Drop: DropReset}
	case Redirect:
		return &Response{Status: 302, Location: f.Location}
	case HTML:
		return &Response{Status: orStatus(f.Status, 200), Type: "text/html", Body: []byte("<html><body>bad gateway</body></html>")}
	}
	resp := refuse(orStatus(f.Status, 500), orText(f.Message, "the emulator was told to fail"))
	resp.RetryAfter = f.RetryAfter
	return resp
}

// spoil lets a fault strike an answer.
func (f *Fault) spoil(c *call, r *Response) *Response {
	switch f.Kind {
	// The job was taken, and the client cannot know: the case for which paid submissions must not be repeated.
	case LostAnswer:
		return &Response{Drop: DropClose}
	case Reset, HTTPStatus, HTML:
		return f.answer()
	case Truncated:
		r.Drop = DropHalf
	case Slow:
		c.sleep(f.Delay)
	case SlowBody:
		r.BodyDelay = f.Delay
	// Blanks before the last brace: still JSON, but longer than any client should read.
	case Oversize:
		if n := len(r.Body); n > 0 {
			r.Body = append(append(append([]byte(nil), r.Body[:n-1]...), bytes.Repeat([]byte(" "), 64<<20)...), r.Body[n-1])
		}
	}
	return r
}

// sleep waits, or until the client or the emulator ends.
func (c *call) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	case <-c.ep.em.ctx.Done():
	}
}

// orStatus takes a fault's status, or the usual one of its kind if the rule names none.
func orStatus(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

func orText(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}
