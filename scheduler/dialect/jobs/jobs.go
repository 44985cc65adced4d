// Package jobs is the job queue's language that RunPod defined and Novita follows: POST /run gives an id, GET /status/<id> tells its
// state and in the end its output. A platform is an [API], which holds what differs.
//
// What is documented and what was observed do not always agree, so: ids are opaque and may be numbers; only the final words that are
// known end a job, everything else means ask again; output before the end is progress and never a result; an answer about another
// job is no answer.
//
// An Endpoint holds nothing that changes and may be used by any number of goroutines.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// API is what differs between platforms.
type API struct {
	// CancelMethods are tried in this order: the next one when a method's answer is 404 or 405.
	CancelMethods []string
	// StatsPaths are tried in this order: the next one when a path is not there.
	StatsPaths []string
	// Webhooks and Policies say that `webhook`, and `policy` and `s3Config`, are taken beside `input`.
	Webhooks, Policies bool
}

// Endpoint implements scheduler.Endpoint, scheduler.Stater, scheduler.Checker and scheduler.Purger.
type Endpoint struct {
	api        API
	client     *call.Client
	properties scheduler.Properties
	options    worker.Options
	form       worker.Form
	bucket     *Bucket
}

// New makes an Endpoint. The limit of a job's size is that of the properties. A bucket is told with each job, where the platform takes one; nil
// means that the workers know by themselves where outputs go.
func New(api API, client *call.Client, p scheduler.Properties, o worker.Options, bucket *Bucket) *Endpoint {
	// Whoever plans asks the properties: a webhook for a platform that takes none would be waited for in vain.
	p.TakesWebhook, p.TakesTimeouts, p.TakesPriority = api.Webhooks, api.Policies, api.Policies
	// A bucket in the endpoint's own settings is not known here, so then the output's limit bounds the job though it need not.
	p.ByURL = api.Policies && bucket != nil
	return &Endpoint{api: api, client: client, properties: p, options: o, form: worker.Find(p.Worker), bucket: bucket}
}

// Properties implements scheduler.Endpoint.
func (e *Endpoint) Properties() scheduler.Properties { return e.properties }

// Submit implements scheduler.Endpoint.
func (e *Endpoint) Submit(ctx context.Context, job *compiler.Job, terms scheduler.Terms) (string, error) {
	body, err := e.Body(job, terms)
	if err != nil {
		return "", err
	}
	// A body of some megabytes takes its time on a home connection.
	r := call.Request{Op: "submit", Method: http.MethodPost, Path: "/run", Body: body, Paid: true, Timeout: time.Minute}
	var a answer
	if _, err := e.client.JSON(ctx, r, &a); err != nil {
		return "", hidden(err, terms)
	}
	id, err := e.accepted(r, a)
	return id, hidden(err, terms)
}

// Body writes what is posted for a job: its input, and beside it the terms that the platform takes. The error is Rejected: the job was not sent.
func (e *Endpoint) Body(job *compiler.Job, terms scheduler.Terms) ([]byte, error) {
	beside, o := e.siblings(terms), e.options
	if limit := e.properties.Limits.JobBytes; limit > 0 {
		// 1, not 0, when the terms alone fill the job: 0 would mean no limit.
		o.Limit = max(limit-int64(len(beside)), 1)
	}
	body, err := e.form.Body(job, o)
	if err != nil {
		failed := e.client.Fail("submit", scheduler.Rejected, "%s", err)
		failed.Err = err
		return nil, failed
	}
	// {"input":{…}} loses its last brace, gets what stands beside, and is closed again: the graph, maybe megabytes, is not parsed once more.
	return append(append(body[:len(body)-1], beside...), '}'), nil
}

// Sync makes the request of a synchronous call, which answers with the job's state and output. The id is "" if none was given, as a
// service does that keeps no jobs.
func (e *Endpoint) Sync(ctx context.Context, r call.Request) (id string, st scheduler.Status, err error) {
	var a answer
	if _, err := e.client.JSON(ctx, r, &a); err != nil {
		return "", scheduler.Status{}, err
	}
	st = e.Status(a.Answer())
	if id = a.id(); !st.State.Final() && !validID(id) {
		return "", st, e.client.Senseless(r, "the answer holds neither an end nor a job id that can be used")
	}
	return id, st, nil
}

// accepted reads the id out of run's answer. An answer without one leaves open whether the job was taken, unless it says no.
func (e *Endpoint) accepted(r call.Request, a answer) (string, error) {
	id := a.id()
	switch text := worker.Text(a.Error); {
	// A 200 that carries an error and neither id nor state is a refusal in other words: nothing was queued, nothing is paid for.
	case id == "" && text != "" && worker.Empty(a.Status):
		return "", e.failure("submit", worker.Classify(text, nil))
	case id == "":
		return "", e.client.Senseless(r, "the answer to the submission holds no job id")
	case !validID(id):
		return "", e.client.Senseless(r, "the answer to the submission holds a job id that cannot be used")
	}
	return id, nil
}

// validID bounds an opaque id: it becomes a part of a path, a row's key and a line on a terminal. "." and ".." would survive the escaping
// and then be resolved away by a proxy: /status/.. is the endpoint itself.
func validID(id string) bool {
	printable := strings.IndexFunc(id, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
	return id != "" && len(id) <= 256 && printable && id != "." && id != ".."
}

// Poll implements scheduler.Endpoint.
func (e *Endpoint) Poll(ctx context.Context, remote string) (scheduler.Status, error) {
	st, a, err := e.ask(ctx, call.Request{Op: "poll", Path: "/status/" + url.PathEscape(remote)}, remote)
	if err != nil {
		return e.unanswered(a, err)
	}
	return st, nil
}

// ask reads an answer about a job.
func (e *Endpoint) ask(ctx context.Context, r call.Request, remote string) (scheduler.Status, call.Answer, error) {
	r.Limit = answerLimit(e.properties.Limits)
	var a answer
	got, err := e.client.JSON(ctx, r, &a)
	if err != nil {
		return scheduler.Status{}, got, err
	}
	// An answer without an id is believed: derived services leave it out, and the path has named the job.
	if id := a.id(); id != "" && id != remote {
		return scheduler.Status{}, got, e.client.Senseless(r, "the answer is about the job %q, not about %q", short(id), remote)
	}
	return e.Status(a.Answer()), got, nil
}

// answerLimit leaves room above the platform's own limit, which is checked there.
func answerLimit(l compiler.Limits) int64 { return max(2*l.OutputBytes+1<<20, 16<<20) }

// unanswered makes a final state of what no further question can change: 404 and 410 in JSON (a proxy's HTML page is Transient) mean
// Gone; 501, 505 and an answer beyond the limit mean Failed. All else stays an error, and the loop asks again.
func (e *Endpoint) unanswered(a call.Answer, err error) (scheduler.Status, error) {
	failed, ok := err.(*scheduler.Error)
	if !ok || failed.Kind != scheduler.Rejected {
		return scheduler.Status{}, err
	}
	if a.Status == http.StatusNotFound || a.Status == http.StatusGone {
		gone := *failed
		gone.Kind = scheduler.Lost
		gone.Message = "the platform does not know the job (any more): " + failed.Message
		return scheduler.Status{State: scheduler.Gone, Err: &gone}, nil
	}
	return scheduler.Status{State: scheduler.Failed, Err: failed}, nil
}

// Cancel implements scheduler.Endpoint.
func (e *Endpoint) Cancel(ctx context.Context, remote string) error {
	var err error
	unknown := false
	// Cancelling twice does no harm, so trying the ways one after the other is safe, as it would not be for a submission.
	for _, method := range e.api.CancelMethods {
		var a call.Answer
		r := call.Request{Op: "cancel", Method: method, Path: "/cancel/" + url.PathEscape(remote), Timeout: 10 * time.Second}
		if a, err = e.client.Do(ctx, r); err == nil {
			return nil
		}
		if a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed {
			return over(a, err)
		}
		// A 404 for one method and 405 for the other: the path is there, and it is the job that is not.
		unknown = unknown || a.Status == http.StatusNotFound
	}
	if unknown {
		return nil
	}
	return err
}

// over turns the answers by which a platform says that there is nothing to cancel (any more) into success: the loop cancels what may
// have ended meanwhile, and what is final needs no second try. 401, 403, 429 and 5xx stay errors.
func over(a call.Answer, err error) error {
	switch a.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		return nil
	}
	return err
}

// Fetch implements scheduler.Endpoint.
func (e *Endpoint) Fetch(ctx context.Context, out scheduler.Output) (io.ReadCloser, error) {
	switch {
	// An output that the parser could not place; its siblings are collected all the same.
	case out.Problem != "":
		return nil, e.client.Fail("fetch", scheduler.Rejected, "%s", out.Problem)
	case out.URL != "":
		return e.client.FetchFrom(ctx, out.URL, out.Resume)
	case out.Base64 == "":
		return nil, e.client.Fail("fetch", scheduler.Lost, "the output is empty")
	}
	return e.client.Decode(out.Base64)
}

// answer of run and status. Every member may be missing, null or of another type, so each is kept raw and read on its own: one strange
// member does not spoil the others. delayTime and executionTime are milliseconds, the first in the queue, the second on the worker (paid).
type answer struct {
	ID        json.RawMessage `json:"id"`
	Status    json.RawMessage `json:"status"`
	Output    json.RawMessage `json:"output"`
	Error     json.RawMessage `json:"error"`
	Delay     json.RawMessage `json:"delayTime"`
	Execution json.RawMessage `json:"executionTime"`
	Worker    json.RawMessage `json:"workerId"`
}

// id is the job's, whether it came as text or as a number; "" if there is none.
// json.Number keeps the digits: a float64 would round ids above 2^53 to those of other jobs.
func (a answer) id() string {
	if text, ok := text(a.ID); ok {
		return text
	}
	var number json.Number
	if json.Unmarshal(a.ID, &number) == nil {
		return number.String()
	}
	return ""
}

// text reads a JSON text, or null as "". Every answer holds some, nearly always without escapes, and those need no decoder.
func text(raw json.RawMessage) (text string, ok bool) {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : n-1]), true
	}
	return text, json.Unmarshal(raw, &text) == nil
}

// short keeps a foreign id from filling a message.
func short(id string) string { return id[:min(len(id), 80)] }
