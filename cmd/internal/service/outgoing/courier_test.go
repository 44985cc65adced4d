package outgoing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.at = c.at.Add(d)
	c.mu.Unlock()
}

func courier(t *testing.T, allow ...string) (*Courier, *clock) {
	t.Helper()
	l, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at := &clock{at: time.Unix(1785585600, 0)}
	c := &Courier{Ledger: l, Secret: func(string) []byte { return []byte("secret") }, Log: slog.New(slog.DiscardHandler), Now: at.now}
	c.Start(allow)
	return c, at
}

// tryAll makes the calls that are due now.
func tryAll(t *testing.T, c *Courier) []ledger.Delivery {
	t.Helper()
	due, err := c.Ledger.TakeDeliveries(t.Context(), c.Now(), c.Now().Add(time.Minute), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		c.try(t.Context(), d)
	}
	out, err := c.Ledger.Deliveries(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWebhookIsSignedAndRepeated(t *testing.T) {
	answers := []int{500, 302, 204}
	var got []http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		if want := webhook.Sign([]byte("secret"), h.Get("webhook-id"), h.Get("webhook-timestamp"), body); h.Get("webhook-signature") != want || string(body) != `{"a":1}` {
			t.Errorf("body %s, signature %s, want %s", body, h.Get("webhook-signature"), want)
		}
		w.WriteHeader(answers[len(got)])
		got = append(got, h)
	}))
	defer s.Close()
	c, at := courier(t, "127.0.0.1")
	if err := c.Owe(t.Context(), Hook{ID: "msg_1", Work: "w", Event: "done", URL: s.URL + "/hook", Body: []byte(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"due", "due", "delivered"} {
		log := tryAll(t, c)
		if len(log) != 1 || log[0].State != want || log[0].Tries != i+1 {
			t.Fatalf("after try %d: %+v", i+1, log)
		}
		at.add(Pauses[i])
	}
	if got[0].Get("webhook-id") != got[2].Get("webhook-id") || got[0].Get("webhook-timestamp") == got[2].Get("webhook-timestamp") {
		t.Errorf("ids %v", got)
	}
}

func TestWebhookIsGivenUp(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer s.Close()
	c, at := courier(t, "127.0.0.1")
	c.Owe(t.Context(), Hook{ID: "m", Work: "w", URL: s.URL})
	var log []ledger.Delivery
	for range len(Pauses) + 5 {
		log = tryAll(t, c)
		at.add(24 * time.Hour)
	}
	if log[0].State != "given-up" || log[0].Tries != len(Pauses)+1 || log[0].Status != 503 {
		t.Errorf("%+v", log[0])
	}
}

// The ways around a filter of names: none of them reaches a private address.
func TestPrivateAddressesAreRefused(t *testing.T) {
	reached := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c, _ := courier(t)
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]",
		"[0:0:0:0:0:ffff:7f00:1]", "[::]", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fe80::1]", "[64:ff9b::7f00:1]"} {
		_, err := c.Fetch(t.Context(), "http://"+host+":"+port+"/", 1000)
		if err == nil || reached {
			t.Errorf("%s was reached", host)
		}
	}
}

// A name that resolves to a public address when it is looked at and to a private one when it is dialed gets nowhere, as the address that
// is dialed is the one that is judged.
func TestRebinding(t *testing.T) {
	var reached atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	var asked atomic.Int64
	old := net.DefaultResolver
	defer func() { net.DefaultResolver = old }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go nameServer(server, &asked)
		return client, nil
	}}
	c, _ := courier(t)
	for range 4 {
		if _, err := c.Fetch(t.Context(), "http://rebind.example.com:"+port+"/", 1000); err == nil || reached.Load() {
			t.Fatal("a rebound name was reached")
		}
	}
	if asked.Load() == 0 {
		t.Error("the test's name server was not asked")
	}
}

// nameServer answers one question over a stream: loopback, whatever is asked.
func nameServer(conn net.Conn, asked *atomic.Int64) {
	defer conn.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	q := make([]byte, int(head[0])<<8|int(head[1]))
	if _, err := io.ReadFull(conn, q); err != nil {
		return
	}
	asked.Add(1)
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	answer := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, q[12:end]...)
	if q[end-3] == 1 { // A
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	} else {
		answer[7] = 0
	}
	conn.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...))
}

func TestRedirectsAreGuardedToo(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metadata") }))
	defer inside.Close()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL, http.StatusFound) }))
	defer outside.Close()
	c, _ := courier(t, outside.Listener.Addr().String()) // this one port alone
	data, err := c.Fetch(t.Context(), outside.URL, 1000)
	if err == nil {
		t.Errorf("came through: %s", data)
	}
	var private *call.PrivateError
	if !strings.Contains(fmt.Sprint(err), "private") && !errors.As(err, &private) {
		t.Errorf("refused for another reason: %v", err)
	}
}

func TestAddressesWithSecretsAreSealedOrRefused(t *testing.T) {
	c, _ := courier(t)
	hook := Hook{ID: "m", Work: "w", URL: "https://example.com/hook?token=s3cr3t"}
	if err := c.Owe(t.Context(), hook); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	c.Box, _ = seal.New(strings.Repeat("k", seal.MinKey))
	if err := c.Owe(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	log, _ := c.Ledger.Deliveries(t.Context(), "w")
	if len(log) != 1 || strings.Contains(fmt.Sprintf("%s %+v", log[0].Sealed, log[0]), "s3cr3t") {
		t.Errorf("log %+v", log)
	}
	if address, err := c.address(log[0]); address != hook.URL || err != nil {
		t.Errorf("opened %q, %v", address, err)
	}
	for _, bad := range []string{"", "ftp://example.com", "file:///etc/passwd", "https://user:pass@example.com/", "https://", "gopher://x", "https://e.com/" + strings.Repeat("a", 3000)} {
		if err := c.Owe(t.Context(), Hook{ID: "x", URL: bad}); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

func TestSecretive(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.com/hook": false, "https://example.com/hooks/done-with-batches-of-foxes": false, "https://example.com/jobs/550e8400-e29b-41d4-a716-446655440000": false,
		"https://example.com/hook?x=1": true, "https://example.com/hook#x": true,
		"https://hooks.example.com/services/T000/B000/a1B2c3D4e5F6g7H8i9J0k1L2": true, "https://example.com/api/webhooks/123456789012345678/Xy-9_abcdefghijklmnop": true,
	} {
		if u, err := url.Parse(address); err != nil || Secretive(u) != want {
			t.Errorf("%s: want %v", address, want)
		}
	}
}

func TestFetchIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 2000)) }))
	defer s.Close()
	c, _ := courier(t, "127.0.0.1")
	if _, err := c.Fetch(t.Context(), s.URL, 1000); err == nil {
		t.Error("too much was taken")
	}
	if data, err := c.Fetch(t.Context(), s.URL, 2000); err != nil || len(data) != 2000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
