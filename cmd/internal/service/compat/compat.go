package compat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
)

// Face is both faces. Queue is needed.
// It keeps one thing between requests, in memory: what /stream has given. After a restart, or on another replica, pieces may
// come again.
type Face struct {
	Queue *queue.Queue

	mu       sync.Mutex     // of streamed
	streamed map[string]int // files that /stream has given, by job
}

// The times that answers are held back for.
// Clients hold connections that long; proxies in front must allow it.
const (
	syncWait   = 90 * time.Second // of runsync and status-sync, if the client names none
	maxWait    = 5 * time.Minute  // what ?wait= may ask for at most
	streamWait = 2 * time.Second  // the JavaScript client gives up after 3
)

// Routes lists the faces.
// Both platforms' routes are the same but for the word of a waiting job; errors are {"error": text} (Plain).
func (f *Face) Routes() (out []web.Route) {
	for _, base := range []string{"/v2/{pool}", "/v1/{pool}"} {
		kind := map[string]string{"/v2/{pool}": ledger.RunPod, "/v1/{pool}": ledger.Novita}[base]
		add := func(methods, path string, scope keys.Scope, handle func(*call)) {
			for _, m := range strings.Fields(methods) {
				r := web.Route{Method: m, Path: base + path, Scope: scope, Plain: true, Quick: true, NoHead: true, Handle: f.bind(kind, handle)}
				if m == "POST" {
					r.Bodies = []string{web.JSON}
				}
				out = append(out, r)
			}
		}
		add("POST", "/run", keys.Submit, (*call).run)
		add("POST", "/runsync", keys.Submit, (*call).runsync)
		add("GET", "/status/{id}", keys.Read, (*call).status)
		add("GET", "/status-sync/{id}", keys.Read, (*call).statusSync)
		add("GET", "/stream/{id}", keys.Read, (*call).stream)
		add("GET POST", "/cancel/{id}", keys.Submit, (*call).cancel)
		add("POST", "/retry/{id}", keys.Submit, (*call).retry)
		add("GET", "/health", keys.Read, (*call).health)
		add("POST", "/purge-queue", keys.Submit, (*call).purge)
		add("GET", "/stats", keys.Read, (*call).stats)
	}
	return out
}

// call is one request of a pool that exists.
// It lives as long as the request.
type call struct {
	*web.Call
	face *Face
	kind string // ledger.RunPod or ledger.Novita
	pool string // exists: bind has looked
}

// bind makes a handler of a face's method. A pool that does not exist is 404 in the platforms' form, not ours.
func (f *Face) bind(kind string, handle func(*call)) func(*web.Call) {
	return func(c *web.Call) {
		pool := c.Param("pool")
		if f.Queue.Pool(pool) == nil {
			c.JSON(404, map[string]string{"error": "there is no endpoint of this name"})
			return
		}
		handle(&call{c, f, kind, pool})
	}
}

// Status is a job as clients of the platforms know it.
// Names are the platforms'. What is zero is left out, as they do it.
type Status struct {
	ID            string `json:"id"`                      // as /run gave it
	Status        string `json:"status"`                  // IN_QUEUE or PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELLED, TIMED_OUT
	DelayTime     int64  `json:"delayTime,omitempty"`     // ms in the queue
	ExecutionTime int64  `json:"executionTime,omitempty"` // ms on the worker
	WorkerID      string `json:"workerId,omitempty"`
	Output        any    `json:"output,omitempty"` // Output, or {"details": […]} of a job that could not run
	Error         string `json:"error,omitempty"`
}

// word gives a state's name on a platform.
// Every state that is none of these is FAILED: clients know no others.
func word(kind string, s ledger.State) string {
	switch s {
	case ledger.Waiting:
		if kind == ledger.Novita {
			return "PENDING"
		}
		return "IN_QUEUE"
	case ledger.Running:
		return "IN_PROGRESS"
	case ledger.Done:
		return "COMPLETED"
	case ledger.Cancelled:
		return "CANCELLED"
	case ledger.TimedOut:
		return "TIMED_OUT"
	}
	return "FAILED"
}

// Image is one output, in the form of worker-comfyui.
type Image struct {
	Filename string `json:"filename"`
	Type     string `json:"type"` // base64 or s3_url
	Data     string `json:"data"`
}

// Output is what a finished job gives.
// One key, as worker-comfyui since 5.0 has it.
type Output struct {
	Images []Image `json:"images"`
}

// describe makes a job's status. The error is for outputs that cannot be read.
// It reads the pictures of a job that is done, so it costs their size. DelayTime is until its first turn.
func (f *Face) describe(w ledger.Work) (Status, error) {
	s := Status{ID: w.ID, Status: word(w.Kind, w.State), Error: w.Error}
	result := queue.ReadResult(w)
	if !w.Started.IsZero() {
		s.DelayTime = w.Started.Sub(w.Created).Milliseconds()
	}
	if !w.State.Final() {
		return s, nil
	}
	s.WorkerID, s.ExecutionTime = result.Worker, int64(result.Seconds*1000)
	if s.ExecutionTime == 0 && !w.Started.IsZero() { // the endpoint did not tell: time on our clock
		s.ExecutionTime = w.Finished.Sub(w.Started).Milliseconds()
	}
	switch {
	case w.State == ledger.Done:
		images, err := f.images(w, result.Files)
		if err != nil {
			return s, err
		}
		s.Output = Output{images}
	case len(result.Details) > 0:
		s.Output = map[string]any{"details": result.Details}
	}
	return s, nil
}

// images reads outputs from disk and writes them as base64, which is a third more: an answer is as large as its pictures.
// Outputs that went to the client's bucket are told by their link.
func (f *Face) images(w ledger.Work, files []queue.JobFile) ([]Image, error) {
	out := make([]Image, 0, len(files))
	for _, file := range files {
		if file.URL != "" {
			out = append(out, Image{file.Filename, "s3_url", file.URL})
			continue
		}
		if err := f.Queue.Bring(context.Background(), w.ID, file.Path); err != nil {
			return nil, fmt.Errorf("read an output of job %s: %w", w.ID, err)
		}
		data, err := os.ReadFile(filepath.Join(f.Queue.OutDir(w.ID), filepath.FromSlash(file.Path)))
		if err != nil {
			return nil, fmt.Errorf("read an output of job %s: %w", w.ID, err)
		}
		out = append(out, Image{file.Filename, "base64", base64.StdEncoding.EncodeToString(data)})
	}
	return out, nil
}

// Payload is the body of a job's webhook: its status.
// It is called by the queue, outside of a request; nil for works of other faces.
func (f *Face) Payload(w ledger.Work) []byte {
	if w.Kind != ledger.RunPod && w.Kind != ledger.Novita {
		return nil
	}
	s, err := f.describe(w)
	if err != nil {
		s.Error = "the output cannot be read"
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic("a status cannot be written: " + err.Error())
	}
	return text
}

// answer sends a job's status.
// Always 200, also for jobs that failed: SDKs raise on other statuses.
func (c *call) answer(w ledger.Work) {
	s, err := c.face.describe(w)
	if err != nil {
		c.failed(err)
		return
	}
	c.JSON(200, s)
}

// failed answers for trouble on our side, in the platforms' form. An output that is gone is none: the job is being swept.
// Clients wait for jobs whose time is over, so that is a plain 404.
func (c *call) failed(err error) {
	if errors.Is(err, fs.ErrNotExist) {
		c.refuse(404, "there is no such job any more: its time is over")
		return
	}
	c.Call.Failed(err) // logs
	c.JSON(c.Response.StatusCode(), map[string]string{"error": "something went wrong in the service"})
}

// refuse answers with an error in the platforms' form.
func (c *call) refuse(status int, text string) { c.JSON(status, map[string]string{"error": text}) }

// job finds the job of a request; ok is false if it was answered with 404.
// Jobs of other pools, faces and keys are not there.
func (c *call) job() (w ledger.Work, ok bool) {
	id := c.Param("id")
	if len(id) > 64 { // ids are 32 letters; longer ones were never ours
		c.refuse(404, "there is no such job")
		return w, false
	}
	w, err := c.face.Queue.Get(c.Ctx, id)
	switch {
	case err != nil && !errors.Is(err, ledger.ErrNone):
		c.failed(err)
		return w, false
	case err != nil, w.Pool != c.pool, w.Kind != c.kind, w.Owner != c.Key.ID && !c.Key.May(keys.Admin):
		c.refuse(404, "there is no such job")
		return w, false
	}
	return w, true
}

// run is POST /run.
// 200 with an id also for a workflow with mistakes: the job is FAILED from the start, with the findings as its error.
func (c *call) run() {
	if w, ok := c.submit(); ok {
		s := Status{ID: w.ID, Status: word(c.kind, w.State), Error: w.Error}
		c.JSON(200, s)
	}
}

// runsync is POST /runsync: /run and /status-sync in one.
// If the time is over before the job, the answer is its status as of then, and the client goes on asking.
func (c *call) runsync() {
	if w, ok := c.submit(); ok {
		c.await(w)
	}
}

// submit takes a job; ok is false if it was answered with an error.
// 400 for a body that cannot be read, for images that cannot be loaded and for secrets that cannot be kept; 403 for a quota,
// 409 for an Idempotency-Key with another body, 503 while the service stops.
func (c *call) submit() (w ledger.Work, ok bool) {
	spec, err := c.read()
	if err != nil {
		c.refuse(400, err.Error())
		return w, false
	}
	w, _, _, err = c.face.Queue.SubmitJob(c.Ctx, c.Key, spec)
	var quota *queue.QuotaError
	switch {
	case errors.As(err, &quota):
		c.refuse(403, quota.Message)
	case errors.Is(err, seal.ErrNoKey), err != nil && strings.HasPrefix(err.Error(), "webhook:"), err != nil && strings.HasPrefix(err.Error(), "s3Config"):
		c.refuse(400, err.Error())
	case errors.Is(err, ledger.ErrConflict):
		c.refuse(409, err.Error())
	case errors.Is(err, queue.ErrClosing):
		c.RetryAfter(5 * time.Second)
		c.refuse(503, err.Error())
	case err != nil:
		c.failed(err)
	}
	return w, err == nil
}

// status is GET /status/ID.
func (c *call) status() {
	if w, ok := c.job(); ok {
		c.answer(w)
	}
}

// statusSync is GET /status-sync/ID: held back until the job has ended, or the time is over.
func (c *call) statusSync() {
	if w, ok := c.job(); ok {
		c.await(w)
	}
}

// await holds the answer back for as long as the client asks, at most maxWait. Of the work, only its id is used.
// ?wait= is in milliseconds. The wait also ends when the service stops, with the status of then.
func (c *call) await(w ledger.Work) {
	wait := syncWait
	if ms, err := strconv.Atoi(c.Query("wait")); err == nil && ms >= 0 {
		wait = min(time.Duration(ms)*time.Millisecond, maxWait)
	}
	w, err := c.face.Queue.Await(c.Ctx, w.ID, wait)
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(w)
}

// stream is GET /stream/ID: a piece for each output, each given once. It is held back while there is nothing to tell.
// Pieces are images, one each; a job that failed has none.
func (c *call) stream() {
	w, ok := c.job()
	if !ok {
		return
	}
	w, err := c.face.Queue.Await(c.Ctx, w.ID, streamWait)
	if err != nil {
		c.failed(err)
		return
	}
	pieces := []any{} // never null: the JavaScript client iterates it
	if w.State == ledger.Done {
		files := c.face.undelivered(w.ID, queue.ReadResult(w).Files)
		images, err := c.face.images(w, files)
		if err != nil {
			c.failed(err)
			return
		}
		for _, image := range images {
			pieces = append(pieces, map[string]any{"output": Output{[]Image{image}}})
		}
	}
	c.JSON(200, map[string]any{"id": w.ID, "status": word(c.kind, w.State), "stream": pieces})
}

// maxStreamed bounds the jobs of which it is known what was streamed; those that are forgotten would be given once more.
const maxStreamed = 10_000

// undelivered gives the files that no answer of stream has had, and notes that this one has them.
// Two streams of one job at the same time share its pieces.
func (f *Face) undelivered(id string, files []queue.JobFile) []queue.JobFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streamed == nil || len(f.streamed) >= maxStreamed { // forgets all at once; see maxStreamed
		f.streamed = map[string]int{}
	}
	n := min(f.streamed[id], len(files))
	f.streamed[id] = len(files)
	return files[n:]
}

// cancel is GET or POST /cancel/ID.
// A job that has ended stays as it is and is told as it is. The answer says CANCELLED at once, though the remote is told after
// it.
func (c *call) cancel() {
	w, ok := c.job()
	if !ok {
		return
	}
	running := w.State == ledger.Running
	w, err := c.face.Queue.Cancel(c.Ctx, w.ID)
	if err != nil {
		c.failed(err)
		return
	}
	c.Audit("cancel", w.ID, "job of "+c.pool)
	if running && !w.State.Final() { // it stops as soon as its remote has been told
		c.JSON(200, Status{ID: w.ID, Status: "CANCELLED"})
		return
	}
	c.JSON(200, Status{ID: w.ID, Status: word(c.kind, w.State)})
}

// retry is POST /retry/ID, for jobs that failed or took too long.
// Jobs that were done or cancelled cannot be retried (400). Lost submissions are sent again too, since the client asks for the
// job as a whole.
func (c *call) retry() {
	w, ok := c.job()
	if !ok {
		return
	}
	if s := word(c.kind, w.State); s != "FAILED" && s != "TIMED_OUT" {
		c.refuse(400, "only a job that FAILED or TIMED_OUT can be tried again; this one is "+s)
		return
	}
	w, ok, err := c.face.Queue.Retry(c.Ctx, w.ID, true)
	switch {
	case err != nil:
		c.failed(err)
	case !ok:
		c.refuse(409, "the job has not ended")
	default:
		c.Audit("retry", w.ID, "job of "+c.pool)
		c.JSON(200, Status{ID: w.ID, Status: word(c.kind, w.State)})
	}
}

// health is GET /health.
// Workers are the places of the pool's endpoints: those that works hold are running, the rest is idle.
func (c *call) health() {
	h := c.face.Queue.Health(c.pool, c.Key.ID, c.Key.May(keys.Admin))
	unhealthy := 0
	if !h.Usable {
		unhealthy = h.Places
	}
	c.JSON(200, map[string]any{
		"jobs":    map[string]int{"completed": h.Done, "failed": h.Failed, "inProgress": h.Running, "inQueue": h.Waiting, "retried": h.Retried},
		"workers": map[string]int{"idle": h.Places - h.Busy, "initializing": 0, "ready": h.Places - h.Busy, "running": h.Busy, "throttled": 0, "unhealthy": unhealthy},
	})
}

// stats is GET /stats, Novita's.
// Counts are of this key's jobs, workers are everybody's.
func (c *call) stats() {
	h := c.face.Queue.Health(c.pool, c.Key.ID, c.Key.May(keys.Admin))
	c.JSON(200, map[string]any{"busy_workers": h.Busy, "endpoint": c.pool, "in_progress": h.Running, "pending": h.Waiting, "total_workers": h.Places})
}

// purge is POST /purge-queue: cancels what waits, of this key alone.
// An admin's key purges everybody's. Jobs that run are not touched.
func (c *call) purge() {
	n, err := c.face.Queue.Purge(c.Ctx, c.pool, c.Key.ID, c.Key.May(keys.Admin), ledger.RunPod, ledger.Novita, ledger.Native)
	if err != nil {
		c.failed(err)
		return
	}
	c.Audit("purge", c.pool, fmt.Sprintf("%d jobs", n))
	c.JSON(200, map[string]any{"removed": n, "status": "completed"})
}
