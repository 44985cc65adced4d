package native

import (
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
)

// history is GET /history: the newest max_items.
// max_items is bounded to 1 to 1000; an answer holds every prompt as it was sent.
func (f *Face) history(c *web.Call) {
	limit := maxHistory
	if n, err := strconv.Atoi(c.Query("max_items")); err == nil && n >= 0 {
		limit = max(1, min(n, maxHistory))
	}
	works, ok := f.mine(c, limit, final...)
	if !ok {
		return
	}
	out := map[string]any{}
	for _, w := range works {
		out[w.ID] = f.entry(c, w)
	}
	c.JSON(200, out)
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
