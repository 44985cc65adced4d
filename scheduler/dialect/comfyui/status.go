package comfyui

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Poll implements scheduler.Endpoint.
func (e *Endpoint) Poll(ctx context.Context, remote string) (scheduler.Status, error) {
	st, err := e.status(ctx, "poll", remote)
	// Asking again would bring the same: an answer over its limit, or a server that does not speak the method.
	if failed, ok := err.(*scheduler.Error); ok && failed.Kind == scheduler.Rejected {
		return scheduler.Status{State: scheduler.Failed, Err: failed}, nil
	}
	// What was left out at the submission explains the outputs that will be found missing.
	if err == nil && st.State == scheduler.Completed {
		st.Problems = append(st.Problems, e.noted(remote)...)
	}
	return st, err
}

// status asks /api/jobs, or where that is not there /queue and /history.
func (e *Endpoint) status(ctx context.Context, op, remote string) (scheduler.Status, error) {
	if e.noJobs.Load() {
		return e.oldStatus(ctx, op, remote)
	}
	var j job
	a, err := e.client.JSON(ctx, call.Request{Op: op, Path: "/api/jobs/" + url.PathEscape(remote), Limit: answerLimit}, &j)
	switch {
	case err == nil:
		if j.ID != remote {
			return scheduler.Status{}, e.client.Fail(op, scheduler.Transient, "the answer is about another job than %q", remote)
		}
		return e.read(j), nil
	case a.Status == http.StatusGone, a.Status == http.StatusNotFound && unknownJob(a.Body):
		return e.gone(op), nil
	case a.Status == http.StatusNotFound:
		// The server has no such route, or a proxy says so. /queue has to show which.
		st, err := e.oldStatus(ctx, op, remote)
		if err == nil {
			e.noJobs.Store(true)
		}
		// Neither is there: that is a proxy without its server, and no word about the job.
		if failed, ok := err.(*scheduler.Error); ok && failed.Status == http.StatusNotFound {
			failed.Kind = scheduler.Transient
		}
		return st, err
	}
	return scheduler.Status{}, err
}

// unknownJob tells whether a 404 is the route's own: {"error": "Job not found"}. A server without the route answers "404: Not Found" as plain text,
// and a proxy in front of one may say the same in JSON.
func unknownJob(body []byte) bool {
	var a struct {
		Error string `json:"error"`
	}
	return json.Unmarshal(body, &a) == nil && strings.EqualFold(a.Error, "job not found")
}

// answerLimit bounds the answer about one job.
const answerLimit = 64 << 20 // bytes; the answer holds the whole prompt

// gone is the state of a job that is neither queued nor remembered.
func (e *Endpoint) gone(op string) scheduler.Status {
	return scheduler.Status{State: scheduler.Gone, Err: e.client.Fail(op, scheduler.Lost, "the server does not know the job (any more); it may have been restarted")}
}

// job is what /api/jobs/<id> tells. Outputs holds what nodes showed, by node id and kind (images, text, …); a run that was cached from end to end
// has them like any other.
type job struct {
	ID      string                     `json:"id"`
	Status  string                     `json:"status"`
	Created float64                    `json:"create_time"` // milliseconds of the server's clock
	Started float64                    `json:"execution_start_time"`
	Ended   float64                    `json:"execution_end_time"`
	Error   *executionError            `json:"execution_error"`
	Outputs map[string]json.RawMessage `json:"outputs"`
}

// executionError is why a run failed, and at which node.
type executionError struct {
	Node    string `json:"node_id"`
	Class   string `json:"node_type"`
	Type    string `json:"exception_type"`
	Message string `json:"exception_message"`
}

// states are the server's words.
var states = map[string]scheduler.State{
	"pending":     scheduler.Queued,
	"in_progress": scheduler.Running,
	"completed":   scheduler.Completed,
	"failed":      scheduler.Failed,
	"cancelled":   scheduler.Cancelled,
}

// read makes a status of a job. One that failed after some outputs were saved is Completed with problems, as those can be collected.
func (e *Endpoint) read(j job) scheduler.Status {
	st := scheduler.Status{State: states[j.Status], Delay: between(j.Created, j.Started), Execution: between(j.Started, j.Ended)}
	switch st.State {
	case scheduler.Completed:
		st.Outputs = e.outputs(j.Outputs)
	// One branch may have been saved before another broke: what is there was paid for.
	case scheduler.Failed:
		st.Err = e.failure(j.Error)
		if st.Outputs = e.outputs(j.Outputs); len(st.Outputs) > 0 {
			st.State = scheduler.Completed
			st.Problems = []string{st.Err.Message}
		}
	}
	return st
}

// failure classes why a run failed and blames the node.
func (e *Endpoint) failure(x *executionError) *scheduler.Error {
	if x == nil {
		return e.client.Fail("poll", scheduler.WorkerFailed, "the run failed and the server does not say why")
	}
	f := worker.Classify(x.Type+": "+strings.TrimSpace(x.Message), nil)
	failed := e.client.Fail("poll", f.Kind, "node %s (%s): %s", x.Node, x.Class, f.Message)
	failed.NodeErrors = map[string]string{e.client.Clean(x.Node): e.client.Clean(x.Class + ": " + x.Message)}
	return failed
}

// between is the time between two instants of the server's clock; 0 if one of them is not told.
func between(from, to float64) time.Duration {
	// Beyond a week the clock was set while the job ran.
	if from <= 0 || to <= from || to-from > 7*24*3600*1000 {
		return 0
	}
	return time.Duration((to - from) * float64(time.Millisecond))
}

// oldStatus asks /queue first: a job that moves on in between is then in /history. The other way round it could be missed in both, and a paid
// run would count as lost.
func (e *Endpoint) oldStatus(ctx context.Context, op, remote string) (scheduler.Status, error) {
	state, err := e.queued(ctx, op, remote)
	if err != nil || state != scheduler.Gone {
		return scheduler.Status{State: state}, err
	}
	var a map[string]struct {
		Outputs map[string]json.RawMessage `json:"outputs"`
		Status  struct {
			Word     string            `json:"status_str"`
			Messages []json.RawMessage `json:"messages"`
		} `json:"status"`
	}
	if _, err := e.client.JSON(ctx, call.Request{Op: op, Path: "/history/" + url.PathEscape(remote), Limit: answerLimit}, &a); err != nil {
		return scheduler.Status{}, err
	}
	entry, ok := a[remote]
	if !ok {
		return e.gone(op), nil
	}
	j := job{Status: map[string]string{"success": "completed", "error": "failed"}[entry.Status.Word], Outputs: entry.Outputs}
	for _, message := range entry.Status.Messages {
		j.hear(message)
	}
	return e.read(j), nil
}

// hear takes what one of the history's messages [name, data] tells.
func (j *job) hear(raw json.RawMessage) {
	var message []json.RawMessage
	var name string
	if json.Unmarshal(raw, &message) != nil || len(message) != 2 || json.Unmarshal(message[0], &name) != nil {
		return
	}
	var at struct {
		Timestamp float64 `json:"timestamp"`
	}
	_ = json.Unmarshal(message[1], &at) // without a time the duration is not told
	switch name {
	case "execution_start":
		j.Started = at.Timestamp
	// /history calls an interrupted run an "error"; only this message tells that somebody stopped it.
	case "execution_interrupted":
		j.Status = "cancelled"
	case "execution_error":
		j.Error = &executionError{}
		_ = json.Unmarshal(message[1], j.Error) // an empty one is an error all the same
	}
	j.Ended = max(j.Ended, at.Timestamp)
}

// Outputs are viewed below this path.
const (
	viewPath   = "/view?"
	maxOutputs = 4096
)

// outputs lists files and texts: nodes by id, the files of a node as they came.
func (e *Endpoint) outputs(nodes map[string]json.RawMessage) (list []scheduler.Output) {
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		var kinds map[string][]json.RawMessage
		if json.Unmarshal(nodes[node], &kinds) != nil {
			continue // a node may show anything
		}
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			for i, raw := range kinds[kind] {
				if out, ok := e.output(node, kind, i, raw); ok && len(list) < maxOutputs {
					list = append(list, out)
				}
			}
		}
	}
	return list
}

// output reads one entry: a file {filename, subfolder, type}, or a text. All else, such as the flags of animations, is neither.
func (e *Endpoint) output(node, kind string, i int, raw json.RawMessage) (scheduler.Output, bool) {
	var file struct {
		Filename  string `json:"filename"`
		Subfolder string `json:"subfolder"`
		Type      string `json:"type"`
	}
	if json.Unmarshal(raw, &file) == nil && file.Filename != "" {
		// The address is composed here and escaped, never taken from the answer; so a file's name cannot lead to another host.
		query := url.Values{"filename": {file.Filename}, "subfolder": {file.Subfolder}, "type": {file.Type}}
		return scheduler.Output{Filename: file.Filename, Node: node, URL: e.client.Base() + viewPath + query.Encode()}, true
	}
	var text string
	if kind != "text" || json.Unmarshal(raw, &text) != nil || text == "" {
		return scheduler.Output{}, false
	}
	return scheduler.Output{Filename: fmt.Sprintf("text_%s_%d.txt", node, i), Node: node, Base64: base64.StdEncoding.EncodeToString([]byte(text))}, true
}
