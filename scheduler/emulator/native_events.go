package emulator

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// ear is one websocket listener. Its channel is closed when the server does not want it any more, also because it is too slow.
type ear struct {
	client   string
	messages chan []byte
}

// earDepth is how many messages wait for a slow listener.
const earDepth = 1024

// listen adds a listener and greets it.
func (s *server) listen(client string) *ear {
	e := &ear{client: client, messages: make(chan []byte, earDepth)}
	// A second listener with the same id gets everything too; ComfyUI would replace the first.
	s.ears = append(s.ears, e)
	s.say(e, "status", map[string]any{"status": s.execInfo(), "sid": client})
	return e
}

// deafen removes a listener.
func (s *server) deafen(e *ear) {
	if i := slices.Index(s.ears, e); i >= 0 {
		s.ears = slices.Delete(s.ears, i, i+1)
		close(e.messages)
	}
}

// say sends one message to one listener, and gives up on a listener that does not listen.
func (s *server) say(e *ear, name string, data any) {
	text, err := json.Marshal(map[string]any{"type": name, "data": data})
	if err != nil { // the values here can always be written
		panic(err)
	}
	select {
	case e.messages <- text:
	// The lock is held while messages are sent, so a listener must never be waited for.
	default:
		s.deafen(e)
	}
}

// status tells everybody how long the queue is.
func (s *server) status() {
	for _, e := range slices.Clone(s.ears) {
		s.say(e, "status", map[string]any{"status": s.execInfo()})
	}
}

// tell says something of a job to the client that sent it, and notes it for the history.
func (s *server) tell(j *job, note bool, name string, data map[string]any) {
	if note {
		text, err := json.Marshal(data)
		if err != nil { // the values here can always be written
			panic(err)
		}
		// What is noted is told again by /history, under status.messages.
		j.native.messages = append(j.native.messages, message{name, text})
	}
	for _, e := range slices.Clone(s.ears) {
		if e.client == j.native.client && e.client != "" {
			s.say(e, name, data)
		}
	}
}

// rendered takes what a run gave, and tells the story of its nodes over the time that is left.
func (s *server) rendered(j *job, o outcome, rest time.Duration) {
	n := j.native
	if j.has(Partial) != nil && len(o.saved) > 0 {
		o.saved = o.saved[:len(o.saved)-1]
	}
	n.saved = o.saved
	s.keep(o.saved)
	cachedNodes := []string{}
	if o.cached {
		cachedNodes = n.order
	}
	s.tell(j, true, "execution_cached", map[string]any{"nodes": cachedNodes, "prompt_id": j.id, "timestamp": stamp()})
	steps := s.steps(j, o)
	for i, step := range steps {
		// The rendering itself is over by now. The story of its nodes is spread evenly over the time that the job still seems to take.
		at := rest * time.Duration(i) / time.Duration(max(len(steps), 1))
		if at <= 0 {
			step()
			continue
		}
		run := j.runs
		j.alarms = append(j.alarms, time.AfterFunc(at, func() {
			s.ep.locked(func() {
				if j.state == inProgress && j.runs == run {
					step()
				}
			})
		}))
	}
}

// maxSteps bounds the steps of a sampler that are told one by one.
const maxSteps = 100

// steps lists what is told of each node, in order. Of a cached run only the files are told.
func (s *server) steps(j *job, o outcome) (out []func()) {
	states := map[string]any{}
	files := s.outputs(j)
	for _, id := range j.native.order {
		if slices.ContainsFunc(o.fails, func(f worker.NodeError) bool { return f.Node == id }) {
			return append(out, func() { s.executing(j, id, states, 0, 1) })
		}
		if !o.cached {
			count, _ := j.native.prompt.Get(id).Get("inputs").Get("steps").Int()
			count = min(max(count, 1), maxSteps)
			out = append(out, func() { s.executing(j, id, states, 0, count) })
			for k := 1; k <= count && count > 1; k++ {
				out = append(out, func() { s.progress(j, id, states, k, count) })
			}
		}
		out = append(out, func() { s.executed(j, id, states, files[id]) })
	}
	return out
}

// nodeState is a node's part of progress_state.
func nodeState(j *job, id, word string, value, most int) map[string]any {
	return map[string]any{"value": value, "max": most, "state": word, "node_id": id, "prompt_id": j.id,
		"display_node_id": id, "parent_node_id": nil, "real_node_id": id}
}

// executing tells that a node begins.
func (s *server) executing(j *job, id string, states map[string]any, value, most int) {
	states[id] = nodeState(j, id, "running", value, most)
	s.tell(j, false, "progress_state", map[string]any{"prompt_id": j.id, "nodes": states})
	s.tell(j, false, "executing", map[string]any{"node": id, "display_node": id, "prompt_id": j.id})
}

// progress tells a sampler's step.
func (s *server) progress(j *job, id string, states map[string]any, value, most int) {
	states[id] = nodeState(j, id, "running", value, most)
	s.tell(j, false, "progress_state", map[string]any{"prompt_id": j.id, "nodes": states})
	s.tell(j, false, "progress", map[string]any{"value": value, "max": most, "prompt_id": j.id, "node": id})
}

// executed tells that a node is done, with its files if it saved any.
func (s *server) executed(j *job, id string, states map[string]any, files map[string][]picture) {
	if files != nil {
		s.tell(j, false, "executed", map[string]any{"node": id, "display_node": id, "output": files, "prompt_id": j.id})
	}
	states[id] = nodeState(j, id, "finished", 1, 1)
	s.tell(j, false, "progress_state", map[string]any{"prompt_id": j.id, "nodes": states})
}

// hear answers what a listener sends: its feature flags.
func (s *server) hear(e *ear, text []byte) {
	v, err := source.ParseJSON(source.NewFile("message", text), source.Limits{Depth: 16, Values: 1000})
	if err == nil && v.Get("type").Str() == "feature_flags" && slices.Contains(s.ears, e) {
		s.say(e, "feature_flags", featureFlags)
	}
}
