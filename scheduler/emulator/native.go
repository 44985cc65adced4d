package emulator

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

// server is what an endpoint that speaks the native dialect has besides: folders, history, listeners. The endpoint's lock guards it.
type server struct {
	ep      *endpoint
	numbers int              // of prompts so far; the next one's place in the queue
	folders map[string]*blob // "type/subfolder/name"
	history []*job           // oldest first
	ears    []*ear
	running []*job // prompts on workers
}

// nativeJob is what a prompt has besides a job.
// prompt and extra are kept as trees: /queue and /history give them back as they came, their numbers included.
type nativeJob struct {
	number   float64       // its place in the queue: lower ones first
	client   string        // client_id: whose websocket is told; "" for nobody
	front    bool          // before all that wait
	extra    *source.Value // extra_data, with create_time
	outputs  []string      // the output nodes that will run
	order    []string      // of the nodes, as they run
	prompt   *source.Value
	created  time.Time // when it was sent
	saved    []saved   // files, once it has run
	messages []message // for /history, in the order in which they were told
}

// message is one line of a run's story: what the websocket says and the history keeps.
type message struct {
	name string
	data json.RawMessage
}

// keepHistory is how many finished prompts ComfyUI remembers.
const keepHistory = 10_000

func newServer(ep *endpoint) *server {
	return &server{ep: ep, folders: map[string]*blob{}}
}

// nativeRoutes are the calls of a ComfyUI server; each but the ones under api/ works with and without the prefix /api.
var nativeRoutes = []route{
	{"POST", "prompt", false, Submit, (*call).prompt},
	{"GET", "prompt", false, Stat, (*call).remaining},
	{"GET", "queue", false, Status, (*call).queue},
	{"POST", "queue", false, Cancel, (*call).changeQueue},
	{"GET", "history", false, Status, (*call).historyAll},
	{"GET", "history", true, Status, (*call).historyOne},
	{"POST", "history", false, Cancel, (*call).changeHistory},
	{"GET", "view", false, Fetch, (*call).view},
	{"HEAD", "view", false, Fetch, (*call).view},
	{"POST", "upload/image", false, Upload, (*call).upload},
	{"POST", "upload/mask", false, Upload, (*call).upload},
	{"POST", "interrupt", false, Cancel, (*call).interrupt},
	{"POST", "free", false, other, func(*call) *Response { return &Response{Status: 200} }},
	{"GET", "object_info", false, Stat, (*call).objectInfo},
	{"GET", "object_info", true, Stat, (*call).objectInfo},
	{"GET", "system_stats", false, Stat, (*call).systemStats},
	{"GET", "features", false, Stat, (*call).features},
	{"GET", "embeddings", false, other, func(*call) *Response { return native(200, []string{}) }},
	{"GET", "models", false, Stat, func(*call) *Response { return native(200, modelFolders) }},
	{"GET", "models", true, Stat, (*call).modelList},
	{"GET", "api/jobs", false, Status, (*call).jobList},
	{"GET", "api/jobs", true, Status, (*call).jobOne},
	{"POST", "api/jobs/cancel", false, Cancel, (*call).jobsCancel},
	{"POST", "api/jobs", true, Cancel, (*call).jobCancel},
}

// nativeRoute finds a native call. The server's jobs are under /api only; unknown paths get an empty 404.
func (ep *endpoint) nativeRoute(method, path string) (Op, face, string) {
	path = strings.TrimSuffix(path, "/")
	// The frontend calls everything under /api; API clients mostly do not.
	if rest, ok := strings.CutPrefix(path, "api/"); ok && !strings.HasPrefix(rest, "jobs") {
		path = rest
	}
	for _, r := range nativeRoutes {
		if r.methods != method {
			continue
		}
		if rest, ok := strings.CutPrefix(path, r.path); ok && (rest != "") == r.id && (rest == "" || rest[0] == '/') {
			return r.op, sameOrigin(ComfyUI.bind(r.face)), strings.TrimPrefix(rest, "/")
		}
	}
	return other, func(*call) *Response { return &Response{Status: 404} }, ""
}

// sameOrigin refuses what a page of another site sends, as ComfyUI does.
func sameOrigin(f face) face {
	return func(c *call) *Response {
		// Against pages of other sites that post to a server on localhost; programs send no Origin.
		if c.Origin != "" && c.Host != "" && !strings.HasSuffix(c.Origin, "//"+c.Host) {
			return &Response{Status: 403}
		}
		return f(c)
	}
}

// native is a JSON answer of a ComfyUI server.
func native(status int, v any) *Response {
	body, err := json.Marshal(v)
	if err != nil { // the values here can always be written
		panic(err)
	}
	return &Response{Status: status, Type: jsonType + "; charset=utf-8", Body: body}
}

// crash is what the server answers when its own code fails on a request.
func crash() *Response {
	return &Response{Status: 500, Type: "text/plain; charset=utf-8", Body: []byte("500 Internal Server Error\n\nServer got itself in trouble")}
}

// raw writes a tree for use inside of values that encoding/json writes.
func raw(v *source.Value) json.RawMessage { return v.AppendJSON(nil) }

// started tells that a prompt begins.
func (s *server) started(j *job) {
	n := j.native
	s.status()
	s.tell(j, true, "execution_start", map[string]any{"prompt_id": j.id, "timestamp": stamp()})
	if n.created.IsZero() {
		n.created = j.accepted
	}
}

// stamp is the time as messages carry it: ms since 1970.
func stamp() int64 { return time.Now().UnixMilli() }

// ended closes the story of a prompt, puts it into the history, and tells everybody how long the queue is.
func (s *server) ended(j *job) {
	n := j.native
	// So a prompt that is cancelled while it waits is 404 afterwards, as on the real server.
	if j.started.IsZero() {
		delete(s.ep.jobs, j.id) // it was deleted from the queue: there is no trace of it
		s.status()
		return
	}
	switch {
	case j.state == completed:
		s.tell(j, true, "execution_success", map[string]any{"prompt_id": j.id, "timestamp": stamp()})
	case j.state == cancelled:
		// What finished before the interruption is on the disk, but not in the history.
		n.saved = nil
		node := ""
		if len(n.order) > 0 {
			node = n.order[0]
		}
		s.tell(j, true, "execution_interrupted", map[string]any{"prompt_id": j.id, "node_id": node,
			"node_type": n.prompt.Get(node).Get("class_type").Str(), "executed": []string{}, "timestamp": stamp()})
	default:
		if len(j.fails) == 0 {
			n.saved = nil
		}
		s.tell(j, true, "execution_error", s.failure(j))
	}
	s.history = append(s.history, j)
	if len(s.history) > keepHistory {
		s.ep.forget(s.history[0])
	}
	s.status()
	// Last of all: a client that hears this finds the prompt in the history.
	s.tell(j, false, "executing", map[string]any{"node": nil, "prompt_id": j.id})
}

// failure is the data of execution_error.
func (s *server) failure(j *job) map[string]any {
	node, class, text := "", "", j.err
	if len(j.fails) > 0 {
		node, class, text = j.fails[0].Node, j.fails[0].Class, j.fails[0].Message
	} else if order := j.native.order; len(order) > 0 {
		node = order[len(order)-1]
		class = j.native.prompt.Get(node).Get("class_type").Str()
	}
	return map[string]any{"prompt_id": j.id, "node_id": node, "node_type": class, "executed": []string{}, "exception_message": text,
		"exception_type": "RuntimeError", "traceback": []string{}, "current_inputs": map[string]any{}, "current_outputs": j.native.outputs, "timestamp": stamp()}
}

// forget drops a prompt from the history: at once if it is the oldest, which most are, else by a look at all of them.
func (s *server) forget(j *job) {
	if len(s.history) > 0 && s.history[0] == j {
		s.history[0] = nil // the list's memory is used again, and must not hold it
		s.history = s.history[1:]
		return
	}
	if at := slices.Index(s.history, j); at >= 0 {
		s.history = slices.Delete(s.history, at, at+1)
	}
}

// shut closes the listeners' channels, which ends their connections.
func (s *server) shut() {
	for _, e := range s.ears {
		close(e.messages)
	}
	s.ears = nil
}
