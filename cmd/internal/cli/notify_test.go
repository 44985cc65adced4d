package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/webhook"
)

// TestNotify renders a batch that tells a receiver of its end: once, signed, with the summary.
func TestNotify(t *testing.T) {
	var got []*http.Request
	var bodies [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, bodies = append(got, r), append(bodies, body)
	}))
	defer server.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("flow.json", `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
		"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
	batch := write("batch.yaml", "version: 1\nworkflow: flow.json\nnotify: {webhook: \""+server.URL+"/hook\", secret_env: HOOK_SECRET}\n")
	secret := ""
	var stderr bytes.Buffer
	env := &Env{Stdout: io.Discard, Stderr: &stderr, Now: time.Now, Getenv: func(name string) string {
		if name == "HOOK_SECRET" {
			return secret
		}
		return ""
	}}
	if code := Main([]string{"render", batch}, env); code != exitInput || !strings.Contains(stderr.String(), "HOOK_SECRET is not set") {
		t.Errorf("without the secret: exit code %d, %s", code, &stderr)
	}
	secret = "whsec_" + "c2VjcmV0IGtleQ=="
	if code := Main([]string{"render", batch, "--allow-host", "127.0.0.1"}, env); code != exitOK {
		t.Fatalf("exit code %d, %s", code, &stderr)
	}
	if len(got) != 1 {
		t.Fatalf("%d calls", len(got))
	}
	h := got[0].Header
	if want := webhook.Sign([]byte("secret key"), h.Get("webhook-id"), h.Get("webhook-timestamp"), bodies[0]); h.Get("webhook-signature") != want {
		t.Errorf("signature %q, want %q", h.Get("webhook-signature"), want)
	}
	var message struct {
		Type string
		Data struct{ Renders, Done int }
	}
	if err := json.Unmarshal(bodies[0], &message); err != nil || message.Type != "batch.ended" || message.Data.Done != 1 {
		t.Errorf("%s, %v", bodies[0], err)
	}

	// A private address is not called unless it is allowed; the batch is done all the same.
	if code := Main([]string{"render", batch}, env); code != exitOK || len(got) != 1 || !strings.Contains(stderr.String(), "the webhook was not taken") {
		t.Errorf("exit code %d, %d calls, %s", code, len(got), &stderr)
	}
	if strings.Contains(stderr.String(), "/hook") {
		t.Error("the address is told")
	}
}
