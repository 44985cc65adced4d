package emulator

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

var canonicalUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// prompt is POST /prompt. The order of the checks is ComfyUI's.
func (c *call) prompt() *Response {
	if limit := orLimit(c.ep.JobBytes, platforms[ComfyUI].runBytes); limit > 0 && int64(len(c.Body)) > limit {
		return &Response{Status: 413, Type: "text/plain; charset=utf-8", Body: []byte("Maximum request body size exceeded")}
	}
	// Cloned, as the tree points into its text and outlives the request.
	body, err := source.ParseJSON(source.NewFile("prompt", slices.Clone(c.Body)), promptLimits)
	if err != nil {
		return crash()
	}
	prompt := body.Get("prompt")
	if prompt == nil {
		return refusePrompt(promptFail{kind: "no_prompt", message: "No prompt provided", details: "No prompt provided"}, nil)
	}
	id, bad := c.promptID(body.Get("prompt_id"))
	if bad != nil {
		return bad
	}
	number := body.Get("number")
	extra := body.Get("extra_data")
	// Python would raise on float(number), and aiohttp answers 500 with plain text.
	if number != nil && number.Kind != source.Number || extra != nil && extra.Kind != source.Object {
		return crash()
	}
	j := &job{id: id, dialect: ComfyUI, base: c.Base, retention: orDuration(c.ep.Retention, platforms[ComfyUI].retention), work: &work{prompt: raw(prompt)}}
	n := &nativeJob{prompt: prompt, front: flag(body.Get("front")), client: body.Get("client_id").Str(), extra: extra}
	j.native = n
	c.ep.mu.Lock()
	// The lock is held for the files only: validating a large prompt takes milliseconds, in which others may go on.
	c.ep.server.inputs(j.work, prompt)
	c.ep.mu.Unlock()
	v := j.work.check(prompt, partial(body.Get("partial_execution_targets")), c.ep.Models)
	if v.broken {
		return crash()
	}
	if v.whole != nil {
		return refusePrompt(*v.whole, v.nodes)
	}
	n.outputs, n.order = v.good, runOrder(prompt, v.good)
	j.work.extra = pngInfo(extra)
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	if full := c.ep.full(); full != nil {
		return full
	}
	c.ep.server.enter(j, number)
	return native(200, map[string]any{"prompt_id": j.id, "number": n.number, "node_errors": raw(nodeErrors(v.nodes))})
}

// promptID takes the client's own id, or makes one.
func (c *call) promptID(v *source.Value) (string, *Response) {
	if v == nil {
		return c.ep.em.ids.uuid(), nil
	}
	if v.Kind != source.String || !canonicalUUID.MatchString(v.Text) {
		return "", refusePrompt(promptFail{kind: "invalid_prompt_id", message: "prompt_id must be a valid UUID",
			details: "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one"}, nil)
	}
	return v.Text, nil
}

func flag(v *source.Value) bool { return v != nil && v.Kind == source.Bool && v.Bool }

// partial reads the wanted outputs; nil means all. An empty list is not the same: it wants none, and so gives prompt_no_outputs.
func partial(v *source.Value) []string {
	if v == nil || v.Kind != source.Array {
		return nil
	}
	targets := []string{}
	for _, item := range v.Items {
		targets = append(targets, item.Str())
	}
	return targets
}

// refusePrompt is the 400 for a prompt of which nothing can run.
func refusePrompt(f promptFail, nodes []nodeFail) *Response {
	return native(400, map[string]any{"error": raw(f.json()), "node_errors": raw(nodeErrors(nodes))})
}

// pngInfo gives what goes into the pictures' metadata.
func pngInfo(extra *source.Value) map[string]json.RawMessage {
	info := extra.Get("extra_pnginfo")
	if info == nil || info.Kind != source.Object {
		return nil
	}
	out := map[string]json.RawMessage{}
	for _, m := range info.Members {
		out[m.Key] = raw(m.Value)
	}
	return out
}

// inputs finds the uploaded files that a prompt loads.
func (s *server) inputs(w *work, prompt *source.Value) {
	w.inputs = map[string]*content{}
	for _, m := range prompt.Members {
		in := m.Value.Get("inputs")
		if in == nil {
			continue
		}
		for _, given := range in.Members {
			if given.Value.Kind != source.String || given.Value.Text == "" || !strings.HasPrefix(m.Value.Get("class_type").Str(), "LoadImage") {
				continue
			}
			folder, name := place(given.Value.Text)
			if data, ok := s.ep.em.vault.get(s.folders[folder+"/"+name]); ok {
				w.inputs[strings.TrimSuffix(given.Value.Text, " [input]")] = s.ep.em.contents.intern(data)
			}
		}
	}
}

// place splits "a/b.png [temp]" into the folder's type and "a/b.png".
func place(text string) (folder, name string) {
	for _, folder := range []string{"input", "output", "temp"} {
		if name, ok := strings.CutSuffix(text, " ["+folder+"]"); ok {
			return folder, slashed(name)
		}
	}
	return "input", slashed(text)
}

// slashed writes a name as the folders know it: with its subfolder, which may be empty.
func slashed(name string) string {
	if !strings.Contains(name, "/") {
		return "/" + name
	}
	return name
}

// enter gives a prompt its number and puts it into the queue, by that number.
func (s *server) enter(j *job, number *source.Value) {
	n := j.native
	n.created = time.Now()
	if f, ok := number.Float(); ok {
		n.number = f
	} else {
		// Ascending numbers give the queue's order; `front` turns the sign, which puts a prompt before all that wait, the last such one first.
		n.number = float64(s.numbers)
		if n.front {
			n.number = -n.number
		}
		s.numbers++
	}
	n.extra = withCreated(n.extra, n.client, n.created)
	s.ep.accept(j)
	if j.state == queued {
		s.status()
	}
}

// withCreated adds what the server notes in extra_data.
func withCreated(extra *source.Value, client string, at time.Time) *source.Value {
	made := object("client_id", source.NewString(client), "create_time", source.NewNumber(strconv.FormatInt(at.UnixMilli(), 10)))
	if client == "" {
		made.Members = made.Members[1:]
	}
	if extra != nil {
		made.Members = append(slices.Clone(extra.Members), made.Members...)
	}
	return made
}

// runOrder lists the nodes that outputs need, what is needed first.
func runOrder(prompt *source.Value, outputs []string) (order []string) {
	nodes := map[string]*source.Value{}
	for _, m := range prompt.Members {
		nodes[m.Key] = m.Value
	}
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		if seen[id] || nodes[id] == nil {
			return
		}
		seen[id] = true
		if in := nodes[id].Get("inputs"); in != nil {
			for _, m := range in.Members {
				// The first item of a link [id, slot]; of anything else it is "", which names no node.
				visit(m.Value.Index(0).Str())
			}
		}
		order = append(order, id)
	}
	for _, id := range outputs {
		visit(id)
	}
	return order
}
