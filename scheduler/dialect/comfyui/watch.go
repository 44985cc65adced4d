// The server's websocket. For one prompt it says: execution_start, execution_cached, then for each node progress_state, executing, progress,
// executed, in the end execution_success, a status, and `executing` with a null node. The last is what counts as the end: only then is the
// run in the history, and a poll that comes earlier would not see it.

package comfyui

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/comfyc/comfyc/scheduler"
)

// Watch implements scheduler.Watcher over the server's websocket. The server tells the story of a prompt to the client that sent it, so only
// prompts that this Endpoint sent are told of; the length of the queue is told to all. The end of a prompt is told when the server has put it into
// its history, so that a poll sees it.
func (e *Endpoint) Watch(ctx context.Context, tell func(scheduler.Hint)) error {
	name := e.properties.Name
	w := watcher{sizes: e.size, tell: func(h scheduler.Hint) { h.Endpoint = name; tell(h) }, stories: map[string]*story{}}
	return e.client.Listen(ctx, "/ws?clientId="+e.id, func() { w.tell(scheduler.Hint{}) }, w.hear)
}

// maxStories bounds the prompts that are followed at one time.
const maxStories = 10_000

// watcher turns messages into hints. It belongs to one goroutine.
type watcher struct {
	sizes   func(id string) int // nodes of a prompt, 0 if not known
	tell    func(scheduler.Hint)
	stories map[string]*story // of prompts that have begun and not ended
}

// story is what was told of a prompt so far.
type story struct {
	nodes int
	done  map[string]bool // nodes that are through, cached ones too
	end   scheduler.State // as announced; told when it is in the history
}

// event is a message of any kind; each has some of the members.
type event struct {
	Type string `json:"type"`
	Data struct {
		Prompt string          `json:"prompt_id"`
		Node   *string         `json:"node"`
		Value  float64         `json:"value"`
		Max    float64         `json:"max"`
		Nodes  json.RawMessage `json:"nodes"`
		Status struct {
			Info struct {
				Remaining *int `json:"queue_remaining"`
			} `json:"exec_info"`
		} `json:"status"`
	} `json:"data"`
}

// nodeState is a node's part of progress_state.
type nodeState struct {
	Value float64 `json:"value"`
	Max   float64 `json:"max"`
	State string  `json:"state"`
}

// endings are the messages that announce a prompt's end.
var endings = map[string]scheduler.State{
	"execution_success":     scheduler.Completed,
	"execution_error":       scheduler.Failed,
	"execution_interrupted": scheduler.Cancelled,
}

// hear reads one message. What is not known is passed over.
func (w *watcher) hear(text []byte) {
	var m event
	if json.Unmarshal(text, &m) != nil {
		return
	}
	if m.Type == "status" {
		if n := m.Data.Status.Info.Remaining; n != nil {
			w.tell(scheduler.Hint{Queue: max(*n, 0), Idle: *n <= 0})
		}
		return
	}
	// Messages about no prompt (logs, feature flags, those of custom nodes) share the socket.
	if !canonical(m.Data.Prompt) {
		return
	}
	s := w.story(m.Data.Prompt)
	if end, ok := endings[m.Type]; ok {
		s.end = end
		return
	}
	switch m.Type {
	case "execution_start":
		w.tell(scheduler.Hint{Remote: m.Data.Prompt, State: scheduler.Running})
	case "execution_cached":
		var cached []string
		if json.Unmarshal(m.Data.Nodes, &cached) == nil {
			for _, node := range cached {
				s.through(node)
			}
		}
		w.news(m, s, 0)
	case "executing":
		if m.Data.Node == nil {
			w.ended(m.Data.Prompt, s)
			return
		}
		w.news(m, s, 0)
	case "progress":
		w.news(m, s, fraction(m.Data.Value, m.Data.Max))
	// Sent by nodes with something to show, such as SaveImage, also in a run that was cached from end to end.
	case "executed":
		if m.Data.Node != nil {
			s.through(*m.Data.Node)
		}
		w.news(m, s, 0)
	case "progress_state":
		w.states(m, s)
	}
}

// story finds what is known of a prompt, or begins it.
func (w *watcher) story(id string) *story {
	s := w.stories[id]
	if s == nil {
		if len(w.stories) >= maxStories {
			clear(w.stories) // prompts of which no end was ever told; progress begins anew
		}
		s = &story{done: map[string]bool{}}
		w.stories[id] = s
	}
	if s.nodes == 0 { // the first messages may come before the answer to the submit
		s.nodes = w.sizes(id)
	}
	return s
}

// through notes a node that is done.
func (s *story) through(node string) {
	// Expansions make new node ids while a prompt runs; a server that never ends one must not fill the memory.
	if len(s.done) < 1<<16 {
		s.done[node] = true
	}
}

// states reads progress_state, which tells all nodes that have begun. Nodes of subgraphs and expansions are told too, so the share is a guess.
func (w *watcher) states(m event, s *story) {
	var nodes map[string]nodeState
	if json.Unmarshal(m.Data.Nodes, &nodes) != nil {
		return
	}
	running := 0.0
	for id, n := range nodes {
		if n.State == "finished" {
			s.through(id)
		} else {
			running += fraction(n.Value, n.Max)
		}
	}
	w.news(m, s, running)
}

// news tells how far a prompt is: nodes done and a part of the one that runs.
func (w *watcher) news(m event, s *story, running float64) {
	h := scheduler.Hint{Remote: m.Data.Prompt, State: scheduler.Running, Progress: s.progress(running)}
	if m.Data.Node != nil {
		h.Node = shortID(*m.Data.Node)
	}
	// A remote's number may be huge, and int() of it is then undefined.
	if m.Data.Max >= 1 && m.Data.Max < 1e9 && m.Data.Value >= 0 && m.Data.Value <= m.Data.Max {
		h.Step, h.Steps = int(m.Data.Value), int(m.Data.Max)
	}
	w.tell(h)
}

// progress is below 1 until the prompt has ended: nodes from expansions count as done without being among s.nodes, so the sum may pass it.
func (s *story) progress(running float64) float64 {
	if s.nodes == 0 {
		return 0
	}
	return min((float64(len(s.done))+running)/float64(s.nodes), 0.99)
}

// ended tells the end that was announced, Unknown if none was.
func (w *watcher) ended(id string, s *story) {
	delete(w.stories, id)
	w.tell(scheduler.Hint{Remote: id, State: s.end})
}

// fraction is a part of 1.
func fraction(value, most float64) float64 {
	if !(most > 0) || !(value > 0) {
		return 0
	}
	return min(value/most, 1)
}

// shortID bounds a foreign id.
func shortID(id string) string { return id[:min(len(id), 200)] }

// countNodes counts the nodes of a prompt that we wrote: each has one such key, and in a text its quotes would be escaped.
func countNodes(prompt []byte) int { return bytes.Count(prompt, []byte(`"class_type":`)) }
