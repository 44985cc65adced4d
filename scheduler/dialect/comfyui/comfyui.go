// Package comfyui speaks to a ComfyUI server as it is, without a platform in between.
//
// The server takes the id that we give a prompt. It is made of the attempt's token, so a submission whose answer was lost can be asked for,
// also by another process. [Endpoint.Watch] listens to the server's websocket; what it says are hints, and /api/jobs (on older servers /queue
// and /history) decides.
//
// Inputs are uploaded once per content and process, and not at all if the server has a file of that name and size: names hold the content's
// hash. [Endpoint.Prepare] uploads ahead, and holds a job against the server's own /object_info.
//
// Facts are from ComfyUI 0.26.0. Results are kept until the server ends or has forgotten them: 10,000 runs by default.
//
// An Endpoint may be used by any number of goroutines; uploads go one after the other.
package comfyui

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Base is where a ComfyUI server listens if nobody told it otherwise.
const Base = "http://127.0.0.1:8188"

// Limits of a server that configures none. It runs one prompt after the other, and refuses bodies above 100 MB.
var Limits = compiler.Limits{
	InFlight:     8,
	SubmitPer10s: 1000,
	StatusPer10s: 2000,
	JobBytes:     100_000_000,
	OutputBytes:  256 << 20,
	Retention:    24 * time.Hour,
}

// Endpoint implements scheduler.Endpoint, and scheduler's Stater, Checker, Preparer, Finder and Watcher.
// What it keeps is a convenience of one process: after a restart uploads are looked for on the server, progress is not told, and the reasons
// for nodes that were left out are lost. Nothing that decides about money is kept here.
type Endpoint struct {
	client     *call.Client
	properties scheduler.Properties
	options    worker.Options
	// Health is the path of a health check from the root of the host, asked before anything else by Check; "" if there is none. Set it before
	// the first call.
	Health  string
	uploads uploads
	classes classes
	noJobs  atomic.Bool // the server has no /api/jobs
	ownIDs  atomic.Bool // the server has taken an id of ours
	id      string      // of us as a client: the server tells a prompt's story to the client that sent it
	mu      sync.Mutex
	said    map[string][]string // what the server said about a prompt when it took it, by id
	sizes   map[string]int      // nodes of the prompts that were sent, by id
}

// New makes an Endpoint.
func New(client *call.Client, p scheduler.Properties, o worker.Options) *Endpoint {
	p.ByURL, p.Uploads = true, true
	return &Endpoint{client: client, properties: p, options: o, uploads: newUploads(), classes: newClasses(), id: strings.ToLower(rand.Text()),
		said: map[string][]string{}, sizes: map[string]int{}}
}

// Properties implements scheduler.Endpoint.
func (e *Endpoint) Properties() scheduler.Properties { return e.properties }

// Submit implements scheduler.Endpoint. Of the terms only the token counts: a server knows neither webhooks nor time-outs.
func (e *Endpoint) Submit(ctx context.Context, job *compiler.Job, terms scheduler.Terms) (string, error) {
	names, err := e.prepared(ctx, job)
	if err != nil {
		return "", err
	}
	// Without a token the id is still a fresh one: the same id twice would be taken twice, and run twice.
	id := ID(cmp.Or(terms.Token, rand.Text()))
	body, err := e.body(job, id, names)
	if err != nil {
		return "", err
	}
	return e.post(ctx, job, id, body)
}

// prepared uploads what is missing, once the size is known to be right, and gives the names that the server chose.
func (e *Endpoint) prepared(ctx context.Context, job *compiler.Job) (map[string]string, error) {
	// Written once for its size alone: an upload of minutes for a job that is refused in the end helps nobody.
	if _, err := e.body(job, "", nil); err != nil {
		return nil, err
	}
	return e.upload(ctx, job.Files)
}

// body writes what is posted, and holds it against the limit of a job's size. The workflow as its author drew it goes along, if there is one: the
// server writes it into its pictures, from which the editor opens it again.
func (e *Endpoint) body(job *compiler.Job, id string, names map[string]string) ([]byte, error) {
	prompt, err := worker.Rename(job.Prompt, e.options.Aliases)
	if err == nil {
		// A second pass and not one merged table: an alias may name a model like an input file.
		prompt, err = worker.Rename(prompt, names)
	}
	if err != nil {
		return nil, e.client.Fail("submit", scheduler.Rejected, "%s", err)
	}
	var drawing []byte
	// Without extra_pnginfo the PNG holds the prompt, but not the drawing that the editor opens.
	if job.Workflow != nil && id != "" {
		drawing = job.Workflow()
	}
	b := make([]byte, 0, len(prompt)+len(drawing)+160)
	b = append(append(append(b, `{"prompt_id":"`...), id...), `","client_id":"`...)
	b = append(append(append(b, e.id...), `","prompt":`...), prompt...)
	if len(drawing) > 0 {
		b = append(append(append(b, `,"extra_data":{"extra_pnginfo":{"workflow":`...), drawing...), "}}"...)
	}
	b = append(b, '}')
	if limit := e.properties.Limits.JobBytes; limit > 0 && int64(len(b)) > limit {
		return nil, e.client.Fail("submit", scheduler.Rejected, "the job has %d bytes, the endpoint takes %d", len(b), limit)
	}
	return b, nil
}

// promptAnswer is what POST /prompt says when it takes at least a part of the prompt.
type promptAnswer struct {
	ID         string                     `json:"prompt_id"`
	NodeErrors map[string]json.RawMessage `json:"node_errors"`
}

// post makes the paid call. An old server gives the prompt an id of its own; then that one counts.
func (e *Endpoint) post(ctx context.Context, job *compiler.Job, id string, body []byte) (string, error) {
	// A 200 may still be a partial success: outputs that the server refused are named in node_errors, and the rest runs.
	r := call.Request{Op: "submit", Method: http.MethodPost, Path: "/prompt", Body: body, Paid: true, Timeout: time.Minute}
	var a promptAnswer
	got, err := e.client.JSON(ctx, r, &a)
	if err != nil {
		return "", e.refused(job, got, err)
	}
	switch {
	case a.ID == "":
		return "", e.client.Senseless(r, "the answer to the submission holds no prompt id")
	// It will be put into paths and kept in the store, so it must be a UUID. Servers before prompt_id was taken draw one of their own.
	case a.ID != id && !canonical(a.ID):
		return "", e.client.Senseless(r, "the answer to the submission holds a prompt id that cannot be used")
	}
	e.ownIDs.Store(a.ID == id)
	e.note(a.ID, countNodes(job.Prompt), got.Body)
	return a.ID, nil
}

// invalidFile finds what the loaders' own validators say of a file that is not in the input folder: LoadImage, LoadVideo, LoadAudio, LoadLatent and
// Load3D, and nodes of packs in the same words.
var invalidFile = regexp.MustCompile(`Invalid [\w ]{1,20} file: `)

// refused reads why the server did not take a prompt. A file that was uploaded earlier may have been deleted since.
func (e *Endpoint) refused(job *compiler.Job, a call.Answer, err error) error {
	failed, ok := err.(*scheduler.Error)
	// The validation's verdict comes with 400 alone. A 500 is an exception of the server's, whose text names no node.
	if !ok || a.Status != http.StatusBadRequest {
		return err
	}
	why := worker.ReadRefusal(a.Body)
	if why.Message == "" {
		return err
	}
	failed.Kind, failed.Message, failed.NodeErrors = why.Kind, e.client.Clean(why.Message), e.clean(why.NodeErrors)
	// forget answers false if none of the files came from here: then the file is simply missing.
	if invalidFile.Match(a.Body) && e.uploads.forget(job.Files) {
		failed.Kind = scheduler.Transient
		failed.Message = "the server has lost an input that was uploaded before; it will be uploaded again: " + failed.Message
	}
	return failed
}

// clean makes a remote's texts fit to be shown.
func (e *Endpoint) clean(texts map[string]string) map[string]string {
	for key, text := range texts {
		texts[key] = e.client.Clean(text)
	}
	return texts
}

// maxNotes bounds the prompts of which something is kept in memory.
const maxNotes = 10_000

// note keeps how many nodes a prompt has, for its progress, and what the server said about nodes of a prompt that it took in part, to be told
// with the result. Should the process end before that, only the reason is lost: what is missing is seen by comparing with what is owed.
func (e *Endpoint) note(id string, nodes int, answer []byte) {
	var problems []string
	for node, text := range worker.ReadRefusal(answer).NodeErrors {
		problems = append(problems, "node "+node+" was left out: "+e.client.Clean(text))
	}
	slices.Sort(problems)
	e.mu.Lock()
	defer e.mu.Unlock()
	// Dropping all is simpler than dropping the oldest; what is lost is a progress bar, or why a node was left out.
	if len(e.sizes) >= maxNotes {
		clear(e.sizes)
		clear(e.said) // of prompts among those
	}
	e.sizes[id] = nodes
	if len(problems) > 0 {
		e.said[id] = problems
	}
}

// size gives the number of nodes of a prompt that was sent, 0 if it is not known.
func (e *Endpoint) size(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sizes[id]
}

// noted gives what was noted at the submission.
func (e *Endpoint) noted(id string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said[id]
}

// Cancel implements scheduler.Endpoint.
func (e *Endpoint) Cancel(ctx context.Context, remote string) error {
	r := call.Request{Op: "cancel", Method: http.MethodPost, Path: "/api/jobs/" + url.PathEscape(remote) + "/cancel", Timeout: 10 * time.Second}
	a, err := e.client.Do(ctx, r)
	switch a.Status {
	// Either the route is not there or the id is not known; the old way is right for both, and harmless for the second.
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return e.cancelOld(ctx, remote)
	case http.StatusBadRequest, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		return nil // there is nothing to cancel (any more)
	}
	return err
}

// cancelOld is for servers without /api/jobs: out of the queue, and interrupted if it is the one that runs. Old servers interrupt
// whatever runs, so that is asked first.
func (e *Endpoint) cancelOld(ctx context.Context, remote string) error {
	remove, err := json.Marshal(map[string][]string{"delete": {remote}})
	if err != nil {
		panic(err) // a string can always be written
	}
	r := call.Request{Op: "cancel", Method: http.MethodPost, Path: "/queue", Body: remove, Timeout: 10 * time.Second}
	if a, err := e.client.Do(ctx, r); a.Status == http.StatusNotFound {
		return nil
	} else if err != nil {
		return err
	}
	// Between this look and the interrupt the prompt may end and another begin. Servers that read prompt_id from the body are safe from
	// that; on older ones somebody else's run may be hit, which is why the look comes as late as possible.
	state, err := e.queued(ctx, "cancel", remote)
	if err != nil || state != scheduler.Running {
		return err
	}
	stop, err := json.Marshal(map[string]string{"prompt_id": remote})
	if err != nil {
		panic(err)
	}
	_, err = e.client.Do(ctx, call.Request{Op: "cancel", Method: http.MethodPost, Path: "/interrupt", Body: stop, Timeout: 10 * time.Second})
	return err
}

// Fetch implements scheduler.Endpoint. What lies on the server itself is fetched with the key.
func (e *Endpoint) Fetch(ctx context.Context, out scheduler.Output) (io.ReadCloser, error) {
	path, own := strings.CutPrefix(out.URL, e.client.Base()+viewPath)
	switch {
	case out.Problem != "":
		return nil, e.client.Fail("fetch", scheduler.Rejected, "%s", out.Problem)
	case own:
		return e.client.OpenFrom(ctx, viewPath+path, out.Resume)
	case out.URL != "":
		return e.client.FetchFrom(ctx, out.URL, out.Resume)
	case out.Base64 == "":
		return nil, e.client.Fail("fetch", scheduler.Lost, "the output is empty")
	}
	return e.client.Decode(out.Base64)
}

// Stats implements scheduler.Stater. A server runs one prompt at a time.
func (e *Endpoint) Stats(ctx context.Context) (scheduler.Stats, error) {
	remaining, err := e.remaining(ctx, "stats")
	if err != nil {
		return scheduler.Stats{}, err
	}
	// queue_remaining counts the one that runs as well.
	running := min(remaining, 1)
	return scheduler.Stats{Queued: remaining - running, Running: running, Workers: 1, Busy: running, Completed: -1, Failed: -1}, nil
}

// Check implements scheduler.Checker.
func (e *Endpoint) Check(ctx context.Context) error {
	if e.Health != "" {
		if _, err := e.client.Root().Do(ctx, call.Request{Op: "check", Path: e.Health, Timeout: 10 * time.Second}); err != nil {
			return err
		}
	}
	_, err := e.remaining(ctx, "check")
	return err
}

// remaining counts the prompts that wait or run. It is the cheapest call of all, and /queue would answer with whole prompts.
func (e *Endpoint) remaining(ctx context.Context, op string) (int, error) {
	var a struct {
		Info *struct {
			Remaining int `json:"queue_remaining"`
		} `json:"exec_info"`
	}
	if _, err := e.client.JSON(ctx, call.Request{Op: op, Path: "/prompt", Timeout: 10 * time.Second}, &a); err != nil {
		return 0, err
	}
	if a.Info == nil {
		return 0, e.client.Fail(op, scheduler.Rejected, "%s does not answer as a ComfyUI server does", e.client.Base())
	}
	return max(0, a.Info.Remaining), nil
}
