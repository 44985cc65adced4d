package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/compiler"
)

// notifyPauses are the times between the tries to tell that a batch has ended.
// Four tries in all, within about half a minute: the command waits for them, and a person may wait for the command.
var notifyPauses = []time.Duration{time.Second, 5 * time.Second, 25 * time.Second}

// notification is a webhook that is ready to be sent when the batch has ended.
type notification struct {
	url    string
	secret []byte   // of the variable that notify.secret_env names; never logged
	hosts  []string // private ones that may be called
}

// notification reads what the batch says of its webhook, before anything is submitted; nil if it has none.
// Exit code 1 if the address cannot be called or the secret is missing: an unsigned message could be anybody's.
func (e *Env) notification(n compiler.Notify, allowHosts []string) (*notification, error) {
	if n.Webhook == "" {
		return nil, nil
	}
	if _, err := webhook.CheckURL(n.Webhook); err != nil {
		return nil, exitf(exitInput, "notify.webhook: %v", err)
	}
	text := e.Getenv(n.SecretEnv)
	if text == "" {
		return nil, exitf(exitInput, "notify.secret_env: the environment variable %s is not set; it holds the secret that signs the webhook", n.SecretEnv)
	}
	secret, err := webhook.ParseSecret(text)
	if err != nil {
		return nil, exitf(exitInput, "notify.secret_env: %s: %v", n.SecretEnv, err)
	}
	return &notification{n.Webhook, secret, allowHosts}, nil
}

// send tells that the batch has ended. That nobody could be told is no failure of the batch.
// The id is the same for all tries, the timestamp is that of the try. A receiver that got one twice can tell. It blocks for as
// long as the tries last.
func (n *notification) send(ctx context.Context, e *Env, summary map[string]any) {
	now := e.Now().UTC()
	body, err := json.Marshal(map[string]any{"type": "batch.ended", "timestamp": now.Format(time.RFC3339), "data": summary})
	if err != nil {
		fmt.Fprintf(e.Stderr, "comfyc: the webhook's message cannot be written: %v\n", err)
		return
	}
	client := webhook.NewClient(n.hosts) // refuses private addresses, also after redirects, except allowed hosts
	m := webhook.Message{ID: "msg_" + rand.Text(), URL: n.url, Secret: n.secret, Body: body}
	for try := 0; ; try++ {
		_, err = webhook.Post(ctx, client, m, e.Now())
		if err == nil {
			return
		}
		if try == len(notifyPauses) || webhook.Final(err) || !pause(ctx, notifyPauses[try]) { // no later try mends it: 410, or a private address
			break
		}
	}
	fmt.Fprintf(e.Stderr, "comfyc: the webhook was not taken: %v\n", err)
}

// pause waits; false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
