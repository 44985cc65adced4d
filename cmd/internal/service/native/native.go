package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Face is one pool as a ComfyUI server. The exported fields are set before Routes is called.
type Face struct {
	Queue      *queue.Queue
	Ledger     *ledger.Ledger // for the lists of works
	Pool       string         // of the configuration
	Dir        string         // for uploads
	Address    string         // of its listener; "" takes part in nothing here
	Site       *web.Site
	Catalogue  *nodes.Catalogue // for checks; the same that ObjectInfo was read from
	ObjectInfo []byte           // sent as it is, if it is not nil
	Now        func() time.Time
	Log        *slog.Logger

	numbers atomic.Int64 // of prompts since this process began; shown as "number"
	ears    ears
	info    sync.Map // class name, or "" for all → JSON
	stocked sync.Once
	models  stock // of the pool's endpoints; see stock

	uploads sync.Mutex // of the folders' listings
}

// version is the server whose answers are followed.
// Clients look at it to decide what they may use.
const version = "0.26.0"

// Routes lists the face.
// Every route is there with and without /api, as ComfyUI's own clients use both. POST bodies of any type are taken from
// programs; browsers must send JSON.
func (f *Face) Routes() (out []web.Route) {
	add := func(method, at string, scope keys.Scope, handle func(*web.Call)) {
		for _, prefix := range []string{"", "/api"} {
			r := web.Route{Method: method, Path: prefix + at, Scope: scope, Handle: handle, Quick: true, NoHead: at == "/ws"}
			if method == "POST" {
				r.Bodies, r.Lax = []string{web.JSON}, true
				if strings.HasPrefix(at, "/upload") {
					r.Bodies, r.Lax = []string{web.Multipart}, false
				}
			}
			out = append(out, r)
		}
	}
	add("GET", "/prompt", keys.Read, f.remaining)
	add("POST", "/prompt", keys.Submit, f.prompt)
	add("GET", "/queue", keys.Read, f.queue)
	add("POST", "/queue", keys.Submit, f.changeQueue)
	add("GET", "/history", keys.Read, f.history)
	add("GET", "/history/{id}", keys.Read, f.historyOne)
	add("POST", "/history", keys.Submit, f.changeHistory)
	add("POST", "/interrupt", keys.Submit, f.interrupt)
	add("POST", "/free", keys.Submit, func(c *web.Call) {}) // nothing to free here
	add("GET", "/view", keys.Read, f.view)
	add("POST", "/upload/image", keys.Submit, f.upload)
	add("POST", "/upload/mask", keys.Submit, f.upload)
	add("GET", "/object_info", keys.Read, f.objectInfo)
	add("GET", "/object_info/{class}", keys.Read, f.objectInfo)
	add("GET", "/system_stats", keys.Read, f.systemStats)
	add("GET", "/features", keys.Read, func(c *web.Call) { c.JSON(200, features) })
	add("GET", "/embeddings", keys.Read, func(c *web.Call) { c.JSON(200, []string{}) })
	add("GET", "/extensions", keys.Read, func(c *web.Call) { c.JSON(200, []string{}) })
	add("GET", "/models", keys.Read, func(c *web.Call) { c.JSON(200, folders) })
	add("GET", "/models/{folder}", keys.Read, f.modelsOf)
	add("GET", "/ws", keys.Read, f.socket)
	return append(out, web.Route{Method: "GET", Path: "/", Scope: keys.Read, Handle: func(c *web.Call) {
		c.Text(200, "text/plain; charset=utf-8", []byte("The pool "+f.Pool+" of comfyc speaks ComfyUI's API here.\n"))
	}})
}

// As a server says it of itself; uploads are bounded by the site's MaxBody besides.
var features = map[string]any{"supports_preview_metadata": true, "max_upload_size": 100 << 20}

// limits of a prompt.
// Bytes are bounded by the site; this bounds what they become when they are parsed.
var limits = source.Limits{Depth: 128, Values: 1_000_000}

// The canonical form, lower case: ids become folder names and parts of URLs.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// newUUID makes a prompt's id out of one of ours.
// Version 4 in form; the time stays in front, so these ids sort as ours do.
func newUUID(id string) string {
	return id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-a" + id[17:20] + "-" + id[20:]
}

// trouble is the body of a refused prompt.
// Names are those of ComfyUI's own answer, so that clients show it as theirs.
type trouble struct {
	Type    string         `json:"type"`
	Message string         `json:"message"`
	Details string         `json:"details"`
	Extra   map[string]any `json:"extra_info"`
}

// nodeTrouble is what is wrong with one node.
// Dependent outputs are not worked out: the list is empty.
type nodeTrouble struct {
	Errors    []trouble `json:"errors"`
	Dependent []string  `json:"dependent_outputs"`
	Class     string    `json:"class_type"`
}

// refusePrompt is the 400 of a prompt of which nothing can run, in ComfyUI's form.
// kind is ComfyUI's type of error; nodes may be nil.
func refusePrompt(c *web.Call, kind, message string, nodes map[string]*nodeTrouble) {
	if nodes == nil {
		nodes = map[string]*nodeTrouble{}
	}
	c.JSON(400, map[string]any{"error": trouble{kind, message, message, map[string]any{}}, "node_errors": nodes})
}

// prompt is POST /prompt.
// 400 with node_errors for a prompt that cannot run, 200 with its id otherwise. The same prompt_id with the same prompt is
// answered with the job of then.
func (f *Face) prompt(c *web.Call) {
	text := source.NewFile("prompt.json", c.Body())
	root, err := source.ParseJSON(text, limits)
	if err != nil {
		refusePrompt(c, "invalid_prompt", err.Error(), nil)
		return
	}
	prompt := root.Get("prompt")
	if prompt == nil {
		refusePrompt(c, "no_prompt", "No prompt provided", nil)
		return
	}
	id := newUUID(queue.NewID(f.Now())) // in the form that ComfyUI's clients expect
	if given := root.Get("prompt_id"); given != nil && given.Kind != source.Null {
		if id = given.Str(); !uuid.MatchString(id) { // chosen by the client: uniqueness is held by the ledger
			refusePrompt(c, "invalid_prompt_id", "prompt_id must be a UUID in canonical lower-case form", nil)
			return
		}
	}
	images, err := f.used(c.Key, prompt)
	if err != nil {
		refusePrompt(c, "invalid_prompt", err.Error(), nil)
		return
	}
	number := f.numbers.Add(1)
	spec := queue.JobSpec{ID: id, Kind: ledger.Native, Pool: f.Pool, Text: text, Workflow: prompt, Images: images}
	// `front` goes before what else of this key waits here, with the negative number that a real server gives it; not before other keys' prompts.
	if front := root.Get("front"); front != nil && front.Bool {
		spec.Front, number = true, -number
	}
	spec.Job.Prompt, spec.Job.Number = prompt.AppendJSON(nil), number
	if extra := root.Get("extra_data"); extra != nil && extra.Kind == source.Object {
		spec.Secrets.ComfyOrgKey = extra.Get("api_key_comfy_org").Str()
		spec.Job.Extra = withoutSecrets(extra).AppendJSON(nil)
	}
	f.submit(c, spec, root.Get("client_id").Str())
}

// withoutSecrets drops what must not be stored in the clear.
// The key goes into the sealed secrets instead; the token of the web login is dropped.
func withoutSecrets(extra *source.Value) *source.Value {
	out := source.NewObject()
	for _, m := range extra.Members {
		if m.Key != "api_key_comfy_org" && m.Key != "auth_token_comfy_org" {
			out.Members = append(out.Members, m)
		}
	}
	return out
}

// submit checks a prompt, queues it, and begins to tell its story to the client's websocket.
// fresh is what begins the telling, so a repeated submit is not told twice.
func (f *Face) submit(c *web.Call, spec queue.JobSpec, client string) {
	// A prompt with mistakes is refused here, and leaves no job behind.
	if findings := f.Queue.CheckJob(&spec); len(findings) > 0 {
		f.refuseFindings(c, spec.Workflow, findings)
		return
	}
	w, fresh, _, err := f.Queue.SubmitJob(c.Ctx, c.Key, spec)
	var quota *queue.QuotaError
	switch {
	case errors.Is(err, ledger.ErrConflict):
		refusePrompt(c, "invalid_prompt_id", "this prompt_id was used for another prompt", nil)
		return
	case errors.As(err, &quota):
		refusePrompt(c, quota.Code, quota.Message, nil)
		return
	case errors.Is(err, queue.ErrClosing):
		c.Problem(503, "stopping", err.Error())
		return
	case err != nil:
		refusePrompt(c, "refused", err.Error(), nil)
		return
	}
	if fresh {
		go f.narrate(c.Ctx, w.ID, client, outputs(spec.Workflow)) // ends with the job, or with the service
	}
	c.JSON(200, map[string]any{"prompt_id": w.ID, "number": spec.Job.Number, "node_errors": map[string]any{}})
}

// refuseFindings writes findings as ComfyUI writes errors of nodes.
// Findings without a node become the answer's own error; the others are listed by node.
func (f *Face) refuseFindings(c *web.Call, prompt *source.Value, findings []diag.Diagnostic) {
	nodes := map[string]*nodeTrouble{}
	first := ""
	kind := "prompt_outputs_failed_validation"
	for _, d := range findings {
		if d.Severity != diag.Error {
			continue
		}
		if first == "" {
			first = d.Message
		}
		if d.Node == "" || d.Code == "missing_node_type" || d.Code == "prompt_no_outputs" {
			kind, first = d.Code, d.Message
			continue
		}
		n := nodes[d.Node]
		if n == nil {
			n = &nodeTrouble{Dependent: []string{}, Class: prompt.Get(d.Node).Get("class_type").Str()}
			nodes[d.Node] = n
		}
		n.Errors = append(n.Errors, trouble{d.Code, d.Message, d.Hint, map[string]any{"input_name": d.Input}})
	}
	refusePrompt(c, kind, first, nodes)
}

// outputs lists the nodes that save something, as far as their inputs show.
// PreviewImage saves too, without a prefix.
func outputs(prompt *source.Value) []string {
	out := []string{}
	for _, m := range prompt.Members {
		if m.Value.Get("inputs").Get("filename_prefix") != nil || m.Value.Get("class_type").Str() == "PreviewImage" {
			out = append(out, m.Key)
		}
	}
	return out
}

// mine lists this client's jobs of the pool, in the order in which they are run.
// Of an admin's key: all clients'. false means that the request was answered with 500.
func (f *Face) mine(c *web.Call, limit int, states ...ledger.State) ([]ledger.Work, bool) {
	works, err := f.Ledger.Works(c.Ctx, ledger.Filter{Kinds: []string{ledger.Native}, Owner: c.Key.ID, All: c.Key.May(keys.Admin), Pool: f.Pool, States: states, Limit: limit})
	if err != nil {
		c.Failed(err)
		return nil, false
	}
	slices.SortFunc(works, inLine)
	return works, true
}

// inLine compares prompts by when they are run: those that were sent with `front` before the others, the newest first, as each goes before those
// that are there.
func inLine(a, b ledger.Work) int {
	switch {
	case a.Front && b.Front:
		return b.Created.Compare(a.Created)
	case a.Front:
		return -1
	case b.Front:
		return 1
	}
	return a.Created.Compare(b.Created)
}

// maxHistory bounds an answer of /history, and of /queue.
// Each entry holds a whole prompt, so a longer answer could be hundreds of megabytes.
const maxHistory = 1000

// remaining is GET /prompt.
// The number is what the front end shows as its queue.
func (f *Face) remaining(c *web.Call) {
	c.JSON(200, map[string]any{"exec_info": map[string]int{"queue_remaining": f.left(c.Key)}})
}

// left counts the jobs that have not ended.
func (f *Face) left(k *keys.Key) int {
	h := f.Queue.Health(f.Pool, k.ID, k.May(keys.Admin))
	return h.Waiting + h.Running
}

// queue is GET /queue.
// Both lists are the oldest first, as a real queue runs them.
func (f *Face) queue(c *web.Call) {
	works, ok := f.mine(c, maxHistory, ledger.Waiting, ledger.Running)
	if !ok {
		return
	}
	lists := map[string][]any{"queue_running": {}, "queue_pending": {}}
	for _, w := range works {
		key := map[ledger.State]string{ledger.Waiting: "queue_pending", ledger.Running: "queue_running"}[w.State]
		lists[key] = append(lists[key], f.tuple(c, w))
	}
	c.JSON(200, lists)
}

// tuple is a prompt as /queue and /history show it: number, id, prompt, extra data, outputs.
// A job whose row cannot be read still has its place in the list, with empty parts.
func (f *Face) tuple(c *web.Call, w ledger.Work) []any {
	r, err := f.Queue.Stored(c.Ctx, w.ID)
	if err != nil || r.Job == nil {
		return []any{0, w.ID, map[string]any{}, map[string]any{}, []string{}}
	}
	extra := r.Job.Extra
	if len(extra) == 0 {
		extra = []byte("{}")
	}
	ids := []string{}
	if root, err := source.ParseJSON(source.NewFile("", r.Job.Prompt), limits); err == nil {
		ids = outputs(root)
	}
	return []any{r.Job.Number, w.ID, json.RawMessage(r.Job.Prompt), json.RawMessage(extra), ids}
}

// changeQueue is POST /queue: {"clear": true} or {"delete": [ids]}.
// Only what waits is removed, as in ComfyUI; running prompts are stopped by /interrupt. Jobs of the pool's other faces are not prompts, and stay.
func (f *Face) changeQueue(c *web.Call) {
	f.change(c, func() error {
		n, err := f.Queue.Purge(c.Ctx, f.Pool, c.Key.ID, c.Key.May(keys.Admin), ledger.Native)
		if n > 0 {
			c.Audit("purge", f.Pool, fmt.Sprintf("%d prompts", n))
		}
		return err
	}, func(w ledger.Work) error {
		if w.State != ledger.Waiting {
			return nil
		}
		return f.cancel(c, w.ID)
	})
}

// cancel ends a prompt, and notes who did.
func (f *Face) cancel(c *web.Call, id string) error {
	_, err := f.Queue.Cancel(c.Ctx, id)
	if err == nil {
		c.Audit("cancel", id, "prompt of "+f.Pool)
	}
	return err
}

// changeHistory is POST /history.
// Outputs go with it: after that, /view has nothing of it.
func (f *Face) changeHistory(c *web.Call) {
	forget := func(w ledger.Work) error {
		if !w.State.Final() {
			return nil
		}
		err := f.Queue.Forget(c.Ctx, w)
		if err == nil {
			c.Audit("delete", w.ID, "prompt of "+f.Pool)
		}
		return err
	}
	f.change(c, func() error {
		for { // in pieces, until nothing is left of what was there
			works, err := f.past(c, maxHistory, nil)
			if err != nil || len(works) == 0 {
				return err
			}
			for _, w := range works {
				if err := forget(w); err != nil {
					return err
				}
			}
		}
	}, forget)
}

// States in which a prompt is in the history.
var final = []ledger.State{ledger.Done, ledger.Incomplete, ledger.Failed, ledger.Cancelled, ledger.TimedOut}

// change does what /queue and /history have in common: an empty 200.
// Ids of others, or that are not there, are passed over. At most 1000 ids.
func (f *Face) change(c *web.Call, empty func() error, one func(ledger.Work) error) {
	var ask struct {
		Clear  bool     `json:"clear"`
		Delete []string `json:"delete"`
	}
	if err := json.Unmarshal(c.Body(), &ask); err != nil || len(ask.Delete) > maxHistory {
		c.Problem(400, "bad_body", `the body is {"clear": true} or {"delete": ["ID"]}`)
		return
	}
	var err error
	if ask.Clear {
		err = empty()
	}
	for _, id := range ask.Delete {
		w, ok := f.own(c, id)
		if ok && err == nil {
			err = one(w)
		}
	}
	if err != nil {
		c.Failed(err)
	}
}

// own gives a job of this client in this pool.
// An id that is no UUID is not looked for. Jobs of other faces are not there.
func (f *Face) own(c *web.Call, id string) (ledger.Work, bool) {
	if !uuid.MatchString(id) {
		return ledger.Work{}, false
	}
	w, err := f.Queue.Get(c.Ctx, id)
	return w, err == nil && w.Kind == ledger.Native && w.Pool == f.Pool && (w.Owner == c.Key.ID || c.Key.May(keys.Admin))
}

// interrupt is POST /interrupt: the prompt that is named, else all of this client's that run.
// Without a body ComfyUI stops what runs; here that is all of this client's prompts, on any endpoint.
func (f *Face) interrupt(c *web.Call) {
	var ask struct {
		ID string `json:"prompt_id"`
	}
	if body := c.Body(); len(body) > 0 {
		if err := json.Unmarshal(body, &ask); err != nil {
			c.Problem(400, "bad_body", `the body is {"prompt_id": "…"}, or empty`)
			return
		}
	}
	works, ok := f.mine(c, maxHistory, ledger.Running)
	if !ok {
		return
	}
	for _, w := range works {
		if ask.ID != "" && ask.ID != w.ID {
			continue
		}
		if err := f.cancel(c, w.ID); err != nil {
			c.Failed(err)
			return
		}
	}
}

// view is GET /view: a file that was uploaded or made.
// 404 for what is not there or not this client's; 400 for a name with a folder in it. type is "input" for uploads, else the
// output of a prompt whose id is the subfolder.
func (f *Face) view(c *web.Call) {
	name, sub, kind := c.Query("filename"), c.Query("subfolder"), c.Query("type")
	if name == "" {
		c.Problem(404, "not_found", "filename is missing")
		return
	}
	if path.Base(name) != name || strings.Contains(name, "..") || strings.ContainsAny(name, `/\`) {
		c.Problem(400, "bad_name", "filename must be the name of a file")
		return
	}
	if kind == "input" {
		dir := f.uploadDir(c.Key.ID)
		if sub != "" {
			name = sub + "/" + name
		}
		c.File(dir, name)
		return
	}
	w, ok := f.own(c, sub)
	if !ok {
		c.NotFound()
		return
	}
	for _, file := range queue.ReadResult(w).Files {
		if file.Filename == name {
			if err := f.Queue.Bring(c.Ctx, w.ID, file.Path); err != nil {
				c.Failed(err)
				return
			}
			c.Response.Header.Set("Content-Disposition", "filename="+strconv.QuoteToASCII(name))
			c.File(f.Queue.OutDir(w.ID), file.Path)
			return
		}
	}
	c.NotFound()
}
