package native

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
)

// history is GET /history: the prompts that have ended, by the time of their end, the oldest first. max_items takes the newest of them, or, with
// an offset that is not negative, those from there on; so a real server does it. At most 1000, as an answer holds every prompt as it was sent.
func (f *Face) history(c *web.Call) {
	limit := maxHistory
	if n, err := strconv.Atoi(c.Query("max_items")); err == nil {
		limit = min(n, maxHistory)
	}
	var skip *int
	if n, err := strconv.Atoi(c.Query("offset")); err == nil && n >= 0 {
		skip = &n
	}
	var works []ledger.Work
	if limit > 0 {
		var err error
		if works, err = f.past(c, limit, skip); err != nil {
			c.Failed(err)
			return
		}
	}
	c.Text(200, web.JSON, f.entries(c, works))
}

// past lists this client's prompts that have ended, by the time of their end, the oldest first: the newest of them, or those after the first
// `skip`.
func (f *Face) past(c *web.Call, limit int, skip *int) ([]ledger.Work, error) {
	works, err := f.Ledger.Works(c.Ctx, ledger.Filter{History: true, Skip: skip, Owner: c.Key.ID, All: c.Key.May(keys.Admin), Pool: f.Pool, States: final, Limit: limit})
	if skip == nil { // the newest come first
		slices.Reverse(works)
	}
	return works, err
}

// entries writes prompts as an object in which they keep their order: clients take the last key for the newest.
func (f *Face) entries(c *web.Call, works []ledger.Work) []byte {
	out := []byte{'{'}
	for i, w := range works {
		if i > 0 {
			out = append(out, ',')
		}
		text, err := json.Marshal(f.entry(c, w))
		if err != nil {
			panic("a prompt cannot be written: " + err.Error())
		}
		out = append(append(strconv.AppendQuote(out, w.ID), ':'), text...)
	}
	return append(out, '}')
}

// historyOne is GET /history/{id}: {} if it has not ended, or is not known.
// Clients poll it until the id appears: so 200 and {} rather than 404.
func (f *Face) historyOne(c *web.Call) {
	out := map[string]any{}
	if w, ok := f.own(c, c.Param("id")); ok && w.State.Final() {
		out[w.ID] = f.entry(c, w)
	}
	c.JSON(200, out)
}

// picture is an output as ComfyUI names it.
// A client loads it by GET /view with these three.
type picture struct {
	Filename  string `json:"filename"`
	Subfolder string `json:"subfolder"`
	Type      string `json:"type"`
}

// saved gives the outputs of a job by node.
// The subfolder is the prompt's id, by which /view finds the job again.
func saved(w ledger.Work) map[string]map[string][]picture {
	out := map[string]map[string][]picture{}
	for _, file := range queue.ReadResult(w).Files {
		if out[file.Node] == nil {
			out[file.Node] = map[string][]picture{}
		}
		key := "images"
		if strings.HasPrefix(file.Type, "audio/") {
			key = "audio"
		}
		out[file.Node][key] = append(out[file.Node][key], picture{file.Filename, w.ID, "output"})
	}
	return out
}

// entry is a prompt as /history shows it.
// Times are in milliseconds. Which nodes ran or were cached on the remote is not known: the lists are empty.
func (f *Face) entry(c *web.Call, w ledger.Work) map[string]any {
	good := w.State == ledger.Done
	stamp := func(t time.Time) map[string]any { return map[string]any{"prompt_id": w.ID, "timestamp": t.UnixMilli()} }
	messages := [][]any{{"execution_start", stamp(w.Started)}}
	switch {
	case good:
		messages = append(messages, []any{"execution_cached", map[string]any{"nodes": []string{}, "prompt_id": w.ID, "timestamp": w.Finished.UnixMilli()}},
			[]any{"execution_success", stamp(w.Finished)})
	case w.State == ledger.Cancelled:
		messages = append(messages, []any{"execution_interrupted", stamp(w.Finished)})
	default:
		failure := stamp(w.Finished)
		failure["exception_message"], failure["exception_type"], failure["node_id"], failure["node_type"] = w.Error, "RemoteError", "", ""
		messages = append(messages, []any{"execution_error", failure})
	}
	return map[string]any{"prompt": f.tuple(c, w), "outputs": saved(w), "meta": map[string]any{},
		"status": map[string]any{"status_str": map[bool]string{true: "success", false: "error"}[good], "completed": good, "messages": messages}}
}
