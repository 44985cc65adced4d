package comfyui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// maxTimes bounds how often one prompt is sent to a server that remembers it.
const maxTimes = 64

// ID is the id under which a prompt is sent for the n-th time, from 0: a UUID of the kind that is made by the application's own rule
// (RFC 9562, version 8), in the canonical form that the server insists on.
func ID(prompt []byte, n int) string {
	h := sha256.New()
	h.Write([]byte("comfyc prompt " + strconv.Itoa(n) + "\n"))
	h.Write(prompt)
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// canonical tells whether an id has the form of a UUID as the server writes it.
func canonical(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// Find tells whether a job whose submission's answer was lost has arrived: its id, or "" if the server certainly does not have it. The
// last time that it was sent counts, whatever became of it. It may be repeated.
func (e *Endpoint) Find(ctx context.Context, job *compiler.Job) (remote string, err error) {
	for n := range maxTimes {
		id := ID(job.Prompt, n)
		st, err := e.status(ctx, "find", id)
		if err != nil {
			return "", err
		}
		if st.State == scheduler.Gone {
			break
		}
		remote = id
	}
	return remote, nil
}

// place finds the id under which a job is to be sent. found means that the server has it already, waiting or running.
func (e *Endpoint) place(ctx context.Context, job *compiler.Job) (id string, found bool, err error) {
	for n := range maxTimes {
		id = ID(job.Prompt, n)
		st, err := e.status(ctx, "find", id)
		if err != nil {
			return "", false, err
		}
		if !st.State.Final() {
			return id, true, nil
		}
		if st.State == scheduler.Gone {
			return id, false, nil
		}
	}
	return "", false, e.client.Fail("submit", scheduler.Rejected, "the prompt was sent %d times already", maxTimes)
}

// queued looks for a prompt in /queue: Queued, Running, or Gone.
func (e *Endpoint) queued(ctx context.Context, op, remote string) (scheduler.State, error) {
	var a struct {
		Running []json.RawMessage `json:"queue_running"`
		Pending []json.RawMessage `json:"queue_pending"`
	}
	if _, err := e.client.JSON(ctx, call.Request{Op: op, Path: "/queue", Limit: queueLimit}, &a); err != nil {
		return scheduler.Unknown, err
	}
	switch {
	case lists(a.Running, remote):
		return scheduler.Running, nil
	case lists(a.Pending, remote):
		return scheduler.Queued, nil
	}
	return scheduler.Gone, nil
}

// queueLimit bounds /queue's answer in bytes: it holds whole prompts.
const queueLimit = 128 << 20

// lists tells whether an entry [number, id, …] is the prompt's.
func lists(entries []json.RawMessage, remote string) bool {
	for _, raw := range entries {
		var entry []json.RawMessage
		var id string
		if json.Unmarshal(raw, &entry) == nil && len(entry) > 1 && json.Unmarshal(entry[1], &id) == nil && id == remote {
			return true
		}
	}
	return false
}
