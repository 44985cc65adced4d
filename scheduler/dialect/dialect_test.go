package dialect_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// environment is a map as Getenv.
type environment map[string]string

func (e environment) get(name string) string { return e[name] }

// TestKeys is about whose key goes where: want is the Authorization that is sent, or fails a part of the error.
func TestKeys(t *testing.T) {
	const key = "k-123456789"
	env := environment{"NOVITA_API_KEY": key, "RUNPOD_API_KEY": key, "OTHER": key, "SPACED": " " + key + "\n", "BROKEN": "a b", "EMPTY": " "}
	read := func(path string) ([]byte, error) {
		if path == "key.txt" {
			return []byte(key + "\n"), nil
		}
		return nil, os.ErrNotExist
	}
	type config = compiler.EndpointConfig
	novita, runpod := "https://async.novita.ai/v1/e", "https://api.runpod.ai/v2/e"
	cases := []struct {
		name  string
		cfg   config
		allow map[string][]string
		want  string
		fails string
	}{
		{"by default", config{Type: "novita", URL: novita}, nil, key, ""},
		{"runpod", config{Type: "runpod", URL: runpod}, nil, key, ""},
		{"to another platform", config{Type: "runpod", URL: runpod, KeyEnv: "NOVITA_API_KEY"}, nil, "", "NOVITA_API_KEY may not go to api.runpod.ai"},
		{"to a host of somebody's choice", config{Type: "novita", URL: "https://evil.example/v1/e", KeyEnv: "NOVITA_API_KEY"}, nil, "", "--allow-key NOVITA_API_KEY=evil.example"},
		{"a name that looks like it", config{Type: "novita", URL: "https://notnovita.ai/v1/e", KeyEnv: "NOVITA_API_KEY"}, nil, "", "may not go"},
		{"and the other way round", config{Type: "novita", URL: "https://novita.ai.evil.example/v1/e", KeyEnv: "NOVITA_API_KEY"}, nil, "", "may not go"},
		{"another variable to a platform", config{Type: "novita", URL: novita, KeyEnv: "OTHER"}, nil, "", "OTHER may not go"},
		{"the user's own", config{Type: "novita", URL: "https://gpu.example/v1/e", KeyEnv: "OTHER", FromUser: true}, nil, key, ""},
		{"allowed", config{Type: "novita", URL: "https://gpu.example/v1/e", KeyEnv: "OTHER"}, map[string][]string{"OTHER": {"gpu.example"}}, key, ""},
		{"allowed with port", config{Type: "novita", URL: "http://127.0.0.1:9000/v1/e", KeyEnv: "OTHER"}, map[string][]string{"OTHER": {"127.0.0.1:9000"}}, key, ""},
		{"allowed below", config{Type: "novita", URL: "https://a.gpu.example/v1/e", KeyEnv: "OTHER"}, map[string][]string{"OTHER": {"*.gpu.example"}}, key, ""},
		{"allowed elsewhere", config{Type: "novita", URL: "https://gpu.example/v1/e", KeyEnv: "OTHER"}, map[string][]string{"OTHER": {"*.gpu.example"}, "NOVITA_API_KEY": {"gpu.example"}}, "", "may not go"},
		{"in the clear", config{Type: "novita", URL: "http://async.novita.ai/v1/e", FromUser: true}, nil, "", "without encryption"},
		{"a file of the user's", config{Type: "novita", URL: novita, KeyFile: "key.txt", FromUser: true}, nil, key, ""},
		{"a file, from a batch", config{Type: "novita", URL: novita, KeyFile: "key.txt"}, nil, "", "key.txt may not go"},
		{"a file that is not there", config{Type: "novita", URL: novita, KeyFile: "none.txt", FromUser: true}, nil, "", "cannot read the key"},
		{"with space around", config{Type: "novita", URL: novita, KeyEnv: "SPACED", FromUser: true}, nil, key, ""},
		{"no key at all", config{Type: "novita", URL: novita, KeyEnv: "BROKEN", FromUser: true}, nil, "", "BROKEN holds is no key"},
		{"unset", config{Type: "novita", URL: novita, KeyEnv: "UNSET", FromUser: true}, nil, "", "variable UNSET is not set"},
		{"empty", config{Type: "novita", URL: novita, KeyEnv: "EMPTY", FromUser: true}, nil, "", "variable EMPTY is not set"},
		{"elsewhere without a key", config{Type: "novita", URL: "http://127.0.0.1:9000/v1/e"}, nil, "", ""},
		{"a server of one's own", config{Type: "comfyui"}, nil, "", ""},
		{"preview needs none", config{Type: "preview", KeyEnv: "UNSET"}, nil, "", ""},
	}
	for _, c := range cases {
		var sent string
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = r.Header.Get("Authorization")
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"exec_info":{}}`))}, nil
		})
		preview := func(compiler.EndpointConfig) (http.RoundTripper, error) { return transport, nil }
		c.cfg.Name = "ep"
		ep, err := dialect.Open(c.cfg, dialect.Deps{Getenv: env.get, ReadFile: read, Transport: transport, Preview: preview, AllowKeys: c.allow})
		if c.fails != "" {
			if err == nil || kindOf(t, err) != unauthorized || !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), key) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := ep.(scheduler.Checker).Check(t.Context()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if want := strings.TrimSpace("Bearer " + c.want); sent != want && !(c.want == "" && sent == "") {
			t.Errorf("%s: sent %q, want %q", c.name, sent, want)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	type config = compiler.EndpointConfig
	cases := []struct {
		cfg   config
		env   environment
		url   string
		key   string
		fails string
	}{
		{config{Type: "novita"}, environment{"NOVITA_ENDPOINT_ID": "abc"}, "https://async.novita.ai/v1/abc", "NOVITA_API_KEY", ""},
		{config{Type: "novita"}, environment{"NOVITA_ENDPOINT_ID": "abc", "NOVITA_APP_NAME": "app"}, "https://async.novita.ai/v1/abc-app", "NOVITA_API_KEY", ""},
		{config{Type: "novita"}, environment{"NOVITA_ENDPOINT_ID": "../x"}, "https://async.novita.ai/v1/..%2Fx", "NOVITA_API_KEY", ""},
		{config{Type: "runpod"}, environment{"RUNPOD_ENDPOINT_ID": "abc"}, "https://api.runpod.ai/v2/abc", "RUNPOD_API_KEY", ""},
		{config{Type: "runpod", URL: "https://api.runpod.ai/v2/x/"}, nil, "https://api.runpod.ai/v2/x", "RUNPOD_API_KEY", ""},
		{config{Type: "comfyui"}, nil, "http://127.0.0.1:8188", "", ""},
		{config{Type: "novita"}, nil, "", "", "NOVITA_ENDPOINT_ID"},
		{config{Type: "runpod"}, nil, "", "", "RUNPOD_ENDPOINT_ID"},
		{config{Type: "serverless"}, nil, "", "", "no url"},
		{config{Type: "replicate"}, nil, "", "", `no type "replicate"; it is one of novita, runpod, comfyui, serverless, preview`},
	}
	for _, c := range cases {
		got, err := dialect.WithDefaults(c.cfg, c.env.get)
		if c.fails != "" {
			var e *scheduler.Error
			if !errors.As(err, &e) || e.Kind != rejected || !strings.Contains(e.Message, c.fails) {
				t.Errorf("%+v: got %v, want %q", c.cfg, err, c.fails)
			}
			continue
		}
		if err != nil || got.URL != c.url || got.KeyEnv != c.key {
			t.Errorf("%+v: got %q with %q, %v", c.cfg, got.URL, got.KeyEnv, err)
		}
	}
}

// TestLimits: what is configured stays, the rest is the type's.
func TestLimits(t *testing.T) {
	cfg, err := dialect.WithDefaults(compiler.EndpointConfig{Type: "novita", URL: "https://h/x", Limits: compiler.Limits{InFlight: 3}}, nil)
	if err != nil || cfg.Limits.InFlight != 3 || cfg.Limits.JobBytes != 4<<20 || cfg.Limits.OutputBytes != 4<<20 || cfg.Limits.Retention.Hours() != 6 {
		t.Errorf("%+v, %v", cfg.Limits, err)
	}
	for _, name := range dialect.Types() {
		l := dialect.Limits(name)
		if l.InFlight <= 0 || l.SubmitPer10s <= 0 || l.StatusPer10s <= 0 || l.JobBytes <= 0 || l.OutputBytes <= 0 || l.Retention <= 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if dialect.Limits("nothing") != (compiler.Limits{}) {
		t.Error("a type that does not exist has limits")
	}
}

func TestOpenRefusals(t *testing.T) {
	for name, cfg := range map[string]compiler.EndpointConfig{
		"a url that is none":     {Type: "novita", URL: "async.novita.ai/v1/x", FromUser: true},
		"a password in the url":  {Type: "comfyui", URL: "http://u:secret@h/"},
		"a query in the url":     {Type: "comfyui", URL: "http://h/?token=secret"},
		"no emulator":            {Type: "preview"},
		"another protocol":       {Type: "comfyui", URL: "ftp://h/"},
		"a type that is unknown": {Type: "x"},
	} {
		cfg.Name = "ep"
		if _, err := dialect.Open(cfg, dialect.Deps{}); err == nil || kindOf(t, err) != rejected || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProperties: what the configuration says is passed on.
func TestProperties(t *testing.T) {
	price := 0.5
	cfg := compiler.EndpointConfig{Name: "p", Type: "preview", GPU: "rtx4090", Worker: "w", Price: &price}
	ep, err := dialect.Open(cfg, dialect.Deps{
		Preview: func(compiler.EndpointConfig) (http.RoundTripper, error) { return http.DefaultTransport, nil },
		Supports: func(compiler.EndpointConfig) func(string) string {
			return func(class string) string { return "no " + class }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := ep.Properties()
	if !p.Preview || p.GPU != "rtx4090" || p.Worker != "w" || *p.Price != price || p.Supports("X") != "no X" {
		t.Errorf("%+v", p)
	}
}
