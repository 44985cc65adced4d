package emulator

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// asked is the body of POST /queue, /history, /interrupt and /api/jobs/cancel.
type asked struct {
	Clear    bool     `json:"clear"`
	Delete   []string `json:"delete"`
	PromptID string   `json:"prompt_id"`
	JobIDs   []string `json:"job_ids"`
}

// read takes the body; an empty one asks for nothing.
func (c *call) asked() (a asked, ok bool) {
	if len(c.Body) == 0 {
		return a, true
	}
	return a, json.Unmarshal(c.Body, &a) == nil
}

// entry is a prompt as the queue and the history show it.
func (j *job) entry() []any {
	n := j.native
	return []any{n.number, j.id, raw(n.prompt), raw(n.extra), n.outputs}
}

// remaining is GET /prompt.
func (c *call) remaining() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	return native(200, c.ep.server.execInfo())
}

// execInfo counts the prompts that are not done.
func (s *server) execInfo() map[string]any {
	return map[string]any{"exec_info": map[string]int{"queue_remaining": len(s.ep.waiting) + s.ep.running}}
}

// live lists the prompts on workers and in the queue, in their order.
func (s *server) live() (running, pending []*job) {
	running = slices.Clone(s.running)
	slices.SortFunc(running, func(a, b *job) int { return a.number - b.number })
	for _, j := range s.ep.waiting {
		if j.native != nil {
			pending = append(pending, j)
		}
	}
	return running, pending
}

// queue shows what runs and what waits.
func (c *call) queue() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	running, pending := c.ep.server.live()
	return native(200, map[string]any{"queue_running": entries(running), "queue_pending": entries(pending)})
}

func entries(jobs []*job) [][]any {
	out := [][]any{}
	for _, j := range jobs {
		out = append(out, j.entry())
	}
	return out
}

// changeQueue deletes what waits; what runs is left alone.
func (c *call) changeQueue() *Response {
	a, ok := c.asked()
	if !ok {
		return crash()
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	_, pending := c.ep.server.live()
	for _, j := range slices.Backward(pending) { // from the queue's end, where taking a job out moves no other
		if a.Clear || slices.Contains(a.Delete, j.id) {
			c.ep.end(j, cancelled)
		}
	}
	return &Response{Status: 200}
}

// record is a finished prompt as the history shows it.
func (s *server) record(j *job) map[string]any {
	outputs := s.outputs(j)
	meta := map[string]any{}
	for id := range outputs {
		meta[id] = map[string]any{"node_id": id, "display_node": id, "parent_node": nil, "real_node_id": id}
	}
	return map[string]any{"prompt": j.entry(), "outputs": outputs, "status": j.execStatus(), "meta": meta}
}

// execStatus is the story of a prompt as the history keeps it. An interrupted one counts as an error there.
func (j *job) execStatus() map[string]any {
	word := "error"
	if j.state == completed {
		word = "success"
	}
	messages := [][]any{}
	for _, m := range j.native.messages {
		messages = append(messages, []any{m.name, m.data})
	}
	return map[string]any{"status_str": word, "completed": j.state == completed, "messages": messages}
}

// picture is a file as the outputs name it.
type picture struct {
	Filename  string `json:"filename"`
	Subfolder string `json:"subfolder"`
	Type      string `json:"type"`
}

// outputs gives the files of each node.
func (s *server) outputs(j *job) map[string]map[string][]picture {
	out := map[string]map[string][]picture{}
	for _, f := range j.native.saved {
		if out[f.node] == nil {
			out[f.node] = map[string][]picture{}
		}
		out[f.node]["images"] = append(out[f.node]["images"], picture{f.filename, f.subfolder, f.folder})
	}
	return out
}

// historyAll gives the finished prompts, of which max_items takes the youngest.
func (c *call) historyAll() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	jobs := c.ep.server.history
	// offset counts from the oldest, and is applied before max_items.
	if n, err := strconv.Atoi(c.param("offset")); err == nil && n > 0 {
		jobs = jobs[min(n, len(jobs)):]
	}
	if n, err := strconv.Atoi(c.param("max_items")); err == nil && n >= 0 {
		jobs = jobs[max(len(jobs)-n, 0):]
	}
	out := map[string]any{}
	for _, j := range jobs {
		out[j.id] = c.ep.server.record(j)
	}
	return native(200, out)
}

// wrongNative is the id of a job that never was.
const wrongNative = "00000000-0000-4000-8000-000000000000"

// historyOne gives one finished prompt, or an empty object.
func (c *call) historyOne() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	out := map[string]any{}
	// Unknown and unfinished look the same: 200 and {}.
	if j := c.ep.find(c.id); j != nil && j.native != nil && j.state.final() {
		id := j.id
		if c.fault != nil && c.fault.Kind == WrongID {
			id = wrongNative
		}
		out[id] = c.ep.server.record(j)
	}
	return native(200, out)
}

// changeHistory forgets finished prompts.
func (c *call) changeHistory() *Response {
	a, ok := c.asked()
	if !ok {
		return crash()
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	for _, j := range slices.Clone(c.ep.server.history) {
		if a.Clear || slices.Contains(a.Delete, j.id) {
			c.ep.forget(j)
		}
	}
	return &Response{Status: 200}
}

// interrupt stops the named prompt if it runs, or whatever runs.
func (c *call) interrupt() *Response {
	a, ok := c.asked()
	if !ok {
		a = asked{}
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	running, _ := c.ep.server.live()
	for _, j := range running {
		// A bare interrupt stops whoever's prompt is running.
		if a.PromptID == "" || a.PromptID == j.id {
			c.ep.end(j, cancelled)
		}
	}
	return &Response{Status: 200}
}

var jobWords = []string{"pending", "in_progress", "completed", "failed", "cancelled"}

// jobWord is the state's word under /api/jobs.
func (j *job) jobWord() string {
	return [...]string{"pending", "in_progress", "completed", "failed", "cancelled", "failed"}[j.state]
}

// jobList lists prompts in all states, the youngest first.
func (c *call) jobList() *Response {
	var want, bad []string
	if s := c.param("status"); s != "" {
		for _, w := range strings.Split(s, ",") {
			if want = append(want, w); !slices.Contains(jobWords, w) {
				bad = append(bad, w)
			}
		}
	}
	if bad != nil {
		return native(400, map[string]any{"error": "Invalid status value(s): " + strings.Join(bad, ", ") + ". Valid values: " + strings.Join(jobWords, ", ")})
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	running, pending := c.ep.server.live()
	all := slices.Concat(c.ep.server.history, running, pending)
	slices.SortStableFunc(all, func(a, b *job) int { return b.number - a.number })
	list := []map[string]any{}
	for _, j := range all {
		if want == nil || slices.Contains(want, j.jobWord()) {
			list = append(list, c.ep.server.summary(j))
		}
	}
	return native(200, map[string]any{"jobs": list,
		"pagination": map[string]any{"offset": 0, "limit": nil, "total": len(list), "has_more": false}})
}

// summary is a job as /api/jobs lists it.
func (s *server) summary(j *job) map[string]any {
	n := j.native
	out := map[string]any{"id": j.id, "status": j.jobWord(), "priority": n.number, "create_time": n.created.UnixMilli(), "outputs_count": 0}
	if !j.state.final() {
		return out
	}
	out["execution_start_time"], out["execution_end_time"] = j.started.UnixMilli(), j.finished.UnixMilli()
	out["outputs_count"] = len(n.saved)
	if j.state == failed {
		out["execution_error"] = s.failure(j)
	}
	for _, f := range n.saved {
		if _, have := out["preview_output"]; !have || f.folder == "output" {
			out["preview_output"] = map[string]string{"filename": f.filename, "subfolder": f.subfolder, "type": f.folder, "nodeId": f.node, "mediaType": "images"}
			if f.folder == "output" {
				break
			}
		}
	}
	return out
}

// jobOne tells all of one prompt.
func (c *call) jobOne() *Response {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	j := c.ep.find(c.id)
	if j == nil || j.native == nil {
		return native(404, map[string]string{"error": "Job not found"})
	}
	out := c.ep.server.summary(j)
	out["workflow"] = map[string]any{"prompt": raw(j.native.prompt), "extra_data": raw(j.native.extra)}
	if j.state.final() {
		out["outputs"] = c.ep.server.outputs(j)
		out["execution_status"] = j.execStatus()
	}
	if c.fault != nil && c.fault.Kind == WrongID {
		out["id"] = wrongNative
	}
	if c.fault != nil && c.fault.Kind == UnknownStatus {
		out["status"] = "thinking"
	}
	return native(200, out)
}

// jobCancel stops one prompt whether it waits or runs. An unknown one is no error.
func (c *call) jobCancel() *Response {
	id, ok := strings.CutSuffix(c.id, "/cancel")
	if !ok {
		return &Response{Status: 404}
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	j := c.ep.find(id)
	done := j != nil && j.native != nil && c.ep.end(j, cancelled)
	return native(200, map[string]bool{"cancelled": done})
}

// jobsCancel stops several; ids that are no UUIDs are refused as a whole.
func (c *call) jobsCancel() *Response {
	a, ok := c.asked()
	if !ok {
		return native(400, map[string]any{"error": "the body is no JSON"})
	}
	var bad []string
	for _, id := range a.JobIDs {
		if !canonicalUUID.MatchString(id) {
			bad = append(bad, id)
		}
	}
	if bad != nil {
		return native(400, map[string]any{"error": "job_ids contains invalid id(s)", "invalid_ids": bad})
	}
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	// What is unknown or over is passed over: the answer says only whether anything was stopped.
	n := 0
	for _, id := range a.JobIDs {
		if j := c.ep.find(id); j != nil && j.native != nil && c.ep.end(j, cancelled) {
			n++
		}
	}
	return native(200, map[string]any{"cancelled": n > 0})
}
