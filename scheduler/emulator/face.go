package emulator

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// route is one line of a face's table.
type route struct {
	methods string // separated by blanks
	path    string // up to the job's id
	id      bool   // an id follows
	op      Op
	face    face
}

// queueRoutes are Novita's documented calls, which are RunPod's too.
// A route is methods, path, whether an id follows, what it counts as, and who answers. Cancel is open to GET and POST, since Novita documents
// the one and its SDK uses the other. purge-queue counts as a cancel for rates and faults.
var queueRoutes = []route{
	{"POST", "run", false, Submit, (*call).run},
	{"GET", "status", true, Status, (*call).status},
	{"GET POST", "cancel", true, Cancel, (*call).cancel},
	{"GET", "health", false, Stat, (*call).health},
	{"POST", "purge-queue", false, Cancel, (*call).purge},
}

var novitaRoutes = append([]route{
	{"GET", "stats", false, Stat, (*call).stats},
}, queueRoutes...)

var runpodRoutes = append([]route{
	{"POST", "runsync", false, Submit, (*call).runsync},
	{"GET POST", "status-sync", true, Status, (*call).statusSync},
	{"GET POST", "stream", true, Status, (*call).stream},
	{"POST", "retry", true, Submit, (*call).retry},
}, queueRoutes...)

// route finds what a request asks for. An unknown path has no face.
func (ep *endpoint) route(d Dialect, method, path string) (Op, face, string) {
	table := runpodRoutes
	switch d {
	case Novita:
		table = novitaRoutes
	case ComfyUI:
		return ep.nativeRoute(method, path)
	}
	first, id, _ := strings.Cut(path, "/")
	for _, r := range table {
		if r.path != first || r.id != (id != "") {
			continue
		}
		if !strings.Contains(r.methods, method) {
			return other, wrongMethod, ""
		}
		return r.op, d.bind(r.face), id
	}
	return other, nil, ""
}

// bind tells a face by which dialect it was called.
func (d Dialect) bind(f face) face {
	return func(c *call) *Response {
		c.dialect = d
		return f(c)
	}
}

func wrongMethod(c *call) *Response { return refuse(405, "method not allowed") }

// envelope is the body of a submit.
type envelope struct {
	Input   jsontext.Value `json:"input"`
	Webhook string         `json:"webhook"`
	Policy  struct {
		ExecutionTimeout float64 `json:"executionTimeout"` // ms
		TTL              float64 `json:"ttl"`              // ms
		LowPriority      bool    `json:"lowPriority"`
	} `json:"policy"`
	Bucket jsontext.Value `json:"s3Config"`
}

// lenient reads JSON as Python does: of two members of one name the last counts, and bytes that are no UTF-8 pass.
var lenient = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// run is the submit that does not wait.
func (c *call) run() *Response {
	j, refused := c.submit(false)
	if refused != nil {
		return refused
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	return answer(200, c.ep.brief(j, c.fault))
}

// brief is the answer to a submit: id and status. A job that was done at once still says that it waits, as the platforms do.
func (ep *endpoint) brief(j *job, f *Fault) []byte {
	if f != nil && f.Kind == WrongID || f != nil && f.Kind == UnknownStatus {
		return ep.status(j, f)
	}
	dst := make([]byte, 0, 96)
	dst = appendField(append(dst, '{'), "id", j.id, 0)
	return appendField(dst, "status", platforms[j.dialect].queueWord, '}')
}

// submit takes a job, or says why not.
func (c *call) submit(sync bool) (*job, *Response) {
	p := platforms[c.dialect]
	limit := orLimit(c.ep.JobBytes, p.runBytes)
	if sync && c.ep.JobBytes == 0 {
		limit = p.syncBytes
	}
	if limit > 0 && int64(len(c.Body)) > limit {
		return nil, refuse(413, "the request's body is larger than "+strconv.FormatInt(limit, 10)+" bytes")
	}
	var env envelope
	// Before the lock: large bodies are read in parallel. Input stays raw; its mistakes are the worker's to find, when the job runs.
	if err := jsonv2.Unmarshal(c.Body, &env, lenient); err != nil {
		return nil, refuse(400, "the request's body is not the JSON of a job")
	}
	if env.Input == nil {
		return nil, refuse(400, "the request's body has no input")
	}
	j := c.job(&env, sync)
	if c.ep.form == formEcho {
		j.echo = env.Input
	} else {
		j.work = c.ep.read(env.Input)
		j.work.bucket = readBucket(env.Bucket)
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	if full := c.ep.full(); full != nil {
		return nil, full
	}
	c.ep.accept(j)
	return j, nil
}

// job makes a job of a request.
func (c *call) job(env *envelope, sync bool) *job {
	p := platforms[c.dialect]
	j := &job{id: c.ep.em.ids.uuid(), dialect: c.dialect, base: c.Base, webhook: env.Webhook,
		executionTimeout: c.ep.ExecutionTimeout, ttl: c.ep.TTL, retention: orDuration(c.ep.Retention, p.retention)}
	// RunPod's ids look like "…-e1", and those of runsync begin with "sync-". Clients must take both for opaque.
	if c.dialect == RunPod {
		j.id += "-e1"
	}
	if sync {
		j.id = "sync-" + j.id
		j.retention = orDuration(c.ep.Retention, p.syncRetention)
	}
	if t := env.Policy.ExecutionTimeout; t > 0 {
		j.executionTimeout = millis(t)
	}
	j.patient = env.Policy.LowPriority
	if t := env.Policy.TTL; t > 0 {
		j.ttl = millis(t)
	}
	return j
}

// millis reads milliseconds, a week at most.
func millis(n float64) time.Duration {
	return time.Duration(min(n, 7*24*3600*1000)) * time.Millisecond
}

// full refuses a job when the queue is at its limit (429, Retry-After: 1) or the emulator is closed (503).
func (ep *endpoint) full() *Response {
	if ep.closed {
		return refuse(503, "the emulator is closed")
	}
	if ep.QueueLimit == 0 || len(ep.waiting) < ep.QueueLimit {
		return nil
	}
	ep.counters.RateLimited++
	r := refuse(429, "the queue is full")
	r.RetryAfter = time.Second
	return r
}

// known calls f with the job of the path under the lock; 404 if there is none.
func (c *call) known(f func(j *job) *Response) *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	if c.ep.closed {
		return refuse(503, "the emulator is closed")
	}
	j := c.ep.find(c.id)
	// An endpoint may speak several dialects, but a job is known to the one in which it came.
	if j == nil || j.dialect != c.dialect {
		return refuse(404, "job not found")
	}
	return f(j)
}

// status answers with the job as it stands. It may be repeated until the retention is over.
func (c *call) status() *Response {
	return c.known(func(j *job) *Response { return answer(200, c.ep.status(j, c.fault)) })
}

// cancel stops a job that is not final. The answer tells the state after it, so it may be repeated.
func (c *call) cancel() *Response {
	return c.known(func(j *job) *Response {
		c.ep.end(j, cancelled)
		dst := appendField([]byte{'{'}, "id", j.id, 0)
		return answer(200, appendField(dst, "status", j.state.word(platforms[j.dialect].queueWord), '}'))
	})
}

// purge cancels what waits; what runs goes on. On RunPod it has a limit of its own, which an endpoint without a limit of cancels has not.
func (c *call) purge() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	if c.dialect == RunPod && c.ep.CancelPer10s > 0 {
		c.ep.purges.limit = purgesPer10s
		if wait, ok := c.ep.purges.take(time.Now()); !ok {
			c.ep.counters.RateLimited++
			r := refuse(429, "too many requests")
			r.RetryAfter = time.Duration(wait) * time.Second
			return r
		}
	}
	dst := appendNumber([]byte{'{'}, "removed", int64(c.ep.purge()))
	return answer(200, appendField(dst, "status", "completed", '}'))
}

// health is RunPod's view of an endpoint, which Novita's has too.
func (c *call) health() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	n := &c.ep.counters
	idle, busy, starting := c.ep.pool.count()
	dst := []byte(`{"jobs":{`)
	dst = appendNumber(dst, "completed", int64(n.Completed))
	dst = appendNumber(dst, "failed", int64(n.Failed))
	dst = appendNumber(dst, "inProgress", int64(c.ep.running))
	dst = appendNumber(dst, "inQueue", int64(len(c.ep.waiting)))
	dst = append(appendNumber(dst, "retried", int64(n.Retried)), `},"workers":{`...)
	dst = appendNumber(dst, "idle", int64(idle))
	dst = appendNumber(dst, "initializing", int64(starting))
	dst = appendNumber(dst, "ready", int64(idle+busy))
	dst = appendNumber(dst, "running", int64(busy))
	dst = appendNumber(dst, "throttled", 0)
	dst = appendNumber(dst, "unhealthy", 0)
	return answer(200, append(dst, "}}"...))
}

// stats is Novita's view of an endpoint.
func (c *call) stats() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	_, busy, _ := c.ep.pool.count()
	dst := appendNumber([]byte{'{'}, "busy_workers", int64(busy))
	dst = appendField(dst, "endpoint", c.ep.Name, 0)
	dst = appendNumber(dst, "in_progress", int64(c.ep.running))
	dst = appendNumber(dst, "pending", int64(len(c.ep.waiting)))
	return answer(200, append(appendNumber(dst, "total_workers", int64(len(c.ep.pool.boxes))), '}'))
}

// param reads one query parameter, "" if it is not there.
func (c *call) param(name string) string {
	q, err := url.ParseQuery(c.Query)
	if err != nil {
		return ""
	}
	return q.Get(name)
}
