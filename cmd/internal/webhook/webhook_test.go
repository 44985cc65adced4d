package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/webhook"
)

// TestSign is the example of the Standard Webhooks specification's reference libraries.
func TestSign(t *testing.T) {
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if webhook.SecretText(secret) != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Error(webhook.SecretText(secret))
	}
}

func TestParseSecret(t *testing.T) {
	if s, err := webhook.ParseSecret("plain words"); err != nil || string(s) != "plain words" {
		t.Error(s, err)
	}
	if _, err := webhook.ParseSecret("whsec_***"); err == nil {
		t.Error("broken base64 passes")
	}
}

func TestPost(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	body := []byte(`{"type":"batch.ended"}`)
	for _, tt := range []struct {
		status int
		final  bool
		err    string
	}{{200, false, ""}, {204, false, ""}, {500, false, "HTTP 500"}, {410, true, "410"}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, _ := io.ReadAll(r.Body)
			want := webhook.Sign([]byte("key"), "id-1", "1772600767", body)
			if !bytes.Equal(got, body) || r.Header.Get("webhook-id") != "id-1" || r.Header.Get("webhook-timestamp") != "1772600767" || r.Header.Get("webhook-signature") != want {
				t.Errorf("%s, %v", got, r.Header)
			}
			w.WriteHeader(tt.status)
		}))
		client := webhook.NewClient([]string{"127.0.0.1"})
		status, err := webhook.Post(t.Context(), client, webhook.Message{ID: "id-1", URL: server.URL + "/secret-path", Secret: []byte("key"), Body: body}, now)
		if status != tt.status || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || err != nil && webhook.Final(err) != tt.final {
			t.Errorf("%d: %d, %v", tt.status, status, err)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}

// TestGuard: a private address is not called, by a redirect neither, and no error tells the address.
func TestGuard(t *testing.T) {
	called := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer server.Close()
	_, err := webhook.Post(t.Context(), webhook.NewClient(nil), webhook.Message{URL: server.URL + "/token"}, time.Now())
	if err == nil || called || !webhook.Final(err) || strings.Contains(err.Error(), "token") {
		t.Errorf("called %v, %v", called, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := webhook.Post(ctx, webhook.NewClient([]string{"127.0.0.1"}), webhook.Message{URL: server.URL + "/token"}, time.Now()); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "token") {
		t.Error(err)
	}
}

// TestMoved: a redirect that would drop the body is no delivery; one that keeps it is followed.
func TestMoved(t *testing.T) {
	for status, want := range map[int]bool{301: false, 302: false, 303: false, 307: true, 308: true} {
		delivered := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/old" {
				http.Redirect(w, r, "/new", status)
				return
			}
			body, _ := io.ReadAll(r.Body)
			delivered = r.Method == "POST" && string(body) == "{}"
		}))
		_, err := webhook.Post(t.Context(), webhook.NewClient([]string{"127.0.0.1"}), webhook.Message{URL: server.URL + "/old", Body: []byte("{}")}, time.Now())
		if delivered != want || (err == nil) != want {
			t.Errorf("%d: delivered %v, %v", status, delivered, err)
		}
		server.Close()
	}
}

func TestCheckURL(t *testing.T) {
	for _, bad := range []string{"", "ftp://x/", "http:///x", "https://user:pw@host/", "http://x/" + strings.Repeat("a", 3000), "::"} {
		if _, err := webhook.CheckURL(bad); err == nil {
			t.Errorf("%.40q passes", bad)
		}
	}
	if _, err := webhook.CheckURL("https://example.com/hook?x=1"); err != nil {
		t.Error(err)
	}
}
