package comfyui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// ID is the id under which the attempt with a token is sent, always the same for the same token: a UUID of the kind that is made by the
// application's own rule (RFC 9562, version 8), in the canonical form that the server insists on. The token cannot be read out of it.
func ID(token string) string {
	sum := sha256.Sum256([]byte("comfyc attempt\n" + token))
	b := sum[:16]
	// The upper four bits of byte 6 are the version, 8; the upper two of byte 8 the variant, binary 10.
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// canonical tells whether an id has the form of a UUID as the server writes it: lower-case hex with dashes. A server answers 400
// invalid_prompt_id to any other spelling.
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

// Find implements scheduler.Finder: the attempt's id is made of its token, so it is asked for like any other. What is not found is not there
// now: it never arrived, or the server was restarted since and it is gone as well. A server so old that it gave an id of its own cannot tell.
func (e *Endpoint) Find(ctx context.Context, token string) (scheduler.Found, error) {
	if token == "" {
		return scheduler.Found{}, nil
	}
	id := ID(token)
	st, err := e.status(ctx, "find", id)
	switch {
	case err != nil:
		return scheduler.Found{}, err
	case st.State != scheduler.Gone:
		return scheduler.Found{Arrival: scheduler.Arrived, Remote: id}, nil
	// Only a server that was seen to take an id of ours can be trusted to know it; ownIDs is learned with the first submission, so
	// right after a restart of this process an old server cannot tell either.
	case e.noJobs.Load() && !e.ownIDs.Load():
		return scheduler.Found{Arrival: scheduler.CannotTell}, nil
	}
	return scheduler.Found{Arrival: scheduler.NotFound}, nil
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
