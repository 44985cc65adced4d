package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// completionOf is an answer as the API's documents show it, with a content.
func completionOf(content, finish string) string {
	text, _ := json.Marshal(content)
	return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%s,
		"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":%q}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}`, text, finish)
}

func TestRead(t *testing.T) {
	two := []string{"one fox", "two foxes"}
	for _, tc := range []struct {
		name, answer string
		count        int
		want         []string
		code, says   string
	}{
		{"an object", completionOf(`{"prompts": ["one fox", "two foxes"]}`, "stop"), 2, two, "", ""},
		{"a list", completionOf(`["one fox", " two foxes "]`, "stop"), 2, two, "", ""},
		{"more than asked", completionOf(`["one fox", "two foxes", "three"]`, "stop"), 2, two, "", ""},
		{"a list of objects", completionOf(`[{"prompt": "one fox"}, {"prompt": "two foxes"}]`, "stop"), 2, two, "", ""},
		{"a fence", completionOf("```json\n[\"one fox\", \"two foxes\"]\n```", "stop"), 2, two, "", ""},
		{"thoughts", completionOf("<think>\nfoxes…\n</think>\n\n{\"texts\": [\"one fox\", \"two foxes\"]}", "stop"), 2, two, "", ""},
		{"thoughts twice", completionOf("<think>1. draft</think> hm <think>[\"draft\"]</think>[\"one fox\", \"two foxes\"]", "stop"), 2, two, "", ""},
		{"thoughts without a beginning", completionOf("1. a draft\n2. another\n</think>\n1. one fox\n2. two foxes", "stop"), 2, two, "", ""},
		{"thoughts without a beginning, one line", completionOf("a draft </thinking>\n\n[\"one fox\"]", "stop"), 1, []string{"one fox"}, "", ""},
		{"thoughts without an end", completionOf("<think>\n1. a draft\n2. another", "stop"), 2, nil, "expansion_answer", "thoughts have no end"},
		{"thoughts without an end, one line", completionOf("<think> a draft", "stop"), 1, nil, "expansion_answer", "thoughts have no end"},
		{"thoughts begin anew", completionOf("<think>x</think><THINK>1. a draft\n2. another", "stop"), 2, nil, "expansion_answer", "thoughts have no end"},
		{"a list in prose", completionOf("Here you are:\n\n1. one fox\n2. \"two foxes\"\n", "stop"), 2, two, "", ""},
		{"braces stay", completionOf(`["a {red|blue} fox __x__"]`, "stop"), 1, []string{"a {red|blue} fox __x__"}, "", ""},
		{"one line", completionOf(`"one fox in snow"`, "stop"), 1, nil, "expansion_answer", "no prompts"},
		{"one line of prose", completionOf(`one fox in snow`, "stop"), 1, []string{"one fox in snow"}, "", ""},
		{"parts", `{"choices":[{"message":{"content":[{"type":"text","text":"[\"one fox\","},{"type":"text","text":"\"two foxes\"]"}]},"finish_reason":"stop"}]}`, 2, two, "", ""},
		{"a refusal", `{"choices":[{"message":{"role":"assistant","content":null,"refusal":"I can't help with that."},"finish_reason":"stop"}]}`, 2, nil, "expansion_refused", `"I can't help with that."`},
		{"a refusal in prose", completionOf("I'm sorry, but I can't assist with that request.", "stop"), 1, nil, "expansion_refused", "I'm sorry"},
		{"a filter", completionOf("", "content_filter"), 2, nil, "expansion_refused", "content filter"},
		{"cut off", completionOf(`{"prompts": ["one f`, "length"), 2, nil, "expansion_answer", "cut off"},
		{"too few", completionOf(`["one fox"]`, "stop"), 2, nil, "expansion_answer", "1 texts are in the answer, 2 were asked for"},
		{"an empty text", completionOf(`["one fox", " "]`, "stop"), 2, nil, "expansion_answer", "empty"},
		{"numbers", completionOf(`[1, 2]`, "stop"), 2, nil, "expansion_answer", "no prompts"},
		{"junk", completionOf("ĠĠ fox\u0000 lorem", "stop"), 2, nil, "expansion_answer", "no prompts"},
		{"a huge text", completionOf(`["`+strings.Repeat("x", maxText+1)+`"]`, "stop"), 1, nil, "expansion_answer", "longer than 20000"},
		{"only thoughts", completionOf("<think>foxes</think>", "stop"), 1, nil, "expansion_answer", "thoughts"},
		{"a call of a tool", `{"choices":[{"message":{"content":null,"tool_calls":[{}]},"finish_reason":"tool_calls"}]}`, 1, nil, "expansion_answer", "empty"},
		{"no choices", `{"choices":[]}`, 1, nil, "expansion_answer", "no choices"},
		{"an error with status 200", `{"error":{"message":"model overloaded"}}`, 1, nil, "expansion_failed", "model overloaded"},
		{"no JSON", `<html>`, 1, nil, "expansion_answer", "not a chat completion"},
	} {
		got, err := read([]byte(tc.answer), tc.count)
		var e *compiler.AskError
		if !slices.Equal(got, tc.want) || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code || !strings.Contains(e.Message, tc.says)) || tc.code == "" && err != nil {
			t.Errorf("%s: %q, %v", tc.name, got, err)
		}
	}
}

func TestPath(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:8000":               "/v1/chat/completions",
		"http://127.0.0.1:8000/v1":            "/chat/completions",
		"https://api.novita.ai/openai/v1":     "/chat/completions",
		"https://x.example/chat/completions/": "",
	} {
		if got := path(base); got != want {
			t.Errorf("%s: %q, want %q", base, got, want)
		}
	}
}

// asked runs an Asker against a server.
func asked(t *testing.T, h http.HandlerFunc, env map[string]string, change func(*compiler.Question)) ([]string, error) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	q := compiler.Question{Endpoint: compiler.EndpointConfig{Name: "llm", Type: "serverless", URL: server.URL, FromUser: true}, Model: "m", Instruction: "Rewrite.", Prompt: "a fox", Count: 2, Seed: 7,
		MaxTokens: 100, Timeout: 5 * time.Second}
	if change != nil {
		change(&q)
	}
	var texts []string
	var failed error
	a := &Asker{Deps: dialect.Deps{Getenv: func(name string) string { return env[name] }}}
	a.Ask(context.Background(), []compiler.Question{q}, func(_ int, got []string, err error) { texts, failed = got, err })
	return texts, failed
}

func TestRequest(t *testing.T) {
	var got map[string]any
	var header http.Header
	warm := 0.5
	texts, err := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		header = r.Header
		_ = json.NewDecoder(r.Body).Decode(&got)
		fmt.Fprint(w, completionOf(`{"prompts":["x","y"]}`, "stop"))
	}, map[string]string{"LLM_KEY": "secret-llm"}, func(q *compiler.Question) { q.Endpoint.KeyEnv, q.Temperature = "LLM_KEY", &warm })
	if err != nil || !slices.Equal(texts, []string{"x", "y"}) {
		t.Fatal(texts, err)
	}
	messages := got["messages"].([]any)
	system, user := messages[0].(map[string]any), messages[1].(map[string]any)
	if got["model"] != "m" || got["seed"] != 7.0 || got["max_tokens"] != 100.0 || got["stream"] != false || got["temperature"] != 0.5 || user["content"] != "a fox" || user["role"] != "user" ||
		!strings.Contains(system["content"].(string), "exactly 2 different texts") || header.Get("Authorization") != "Bearer secret-llm" {
		t.Errorf("%v %v", got, header)
	}
}

// Errors as vLLM, OpenAI and Novita write them, and what becomes of the key in them.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		status     int
		body, says string
	}{
		{404, `{"object":"error","message":"The model ` + "`m`" + ` does not exist.","type":"NotFoundError","param":null,"code":404}`, "does not exist"},
		{401, `{"error":{"message":"Incorrect API key provided: secret-llm.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, "HTTP 401"},
		{400, `{"error":{"message":"max_tokens is too large","type":"invalid_request_error"}}`, "max_tokens is too large"},
		{500, `{"code":500,"reason":"INTERNAL","message":"out of luck","metadata":{}}`, "out of luck"},
		{302, ``, "redirect"},
	} {
		calls := 0
		_, err := asked(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			if tc.status == 302 {
				w.Header().Set("Location", "http://elsewhere.example/")
			}
			w.WriteHeader(tc.status)
			fmt.Fprint(w, tc.body)
		}, map[string]string{"LLM_KEY": "secret-llm"}, func(q *compiler.Question) { q.Endpoint.KeyEnv = "LLM_KEY" })
		var e *compiler.AskError
		if !errors.As(err, &e) || e.Code != "expansion_failed" || !strings.Contains(e.Message, tc.says) || strings.Contains(e.Message, "secret-llm") {
			t.Errorf("%d: %v", tc.status, err)
		}
		if want := map[int]int{400: 2}[tc.status]; calls != max(want, 1) {
			t.Errorf("%d: %d calls", tc.status, calls)
		}
	}
}

// An endpoint that knows no response_format is asked without.
func TestOlderServer(t *testing.T) {
	texts, err := asked(t, func(w http.ResponseWriter, r *http.Request) {
		var got map[string]any
		_ = json.NewDecoder(r.Body).Decode(&got)
		if got["response_format"] != nil {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":"response_format is not supported"}`)
			return
		}
		fmt.Fprint(w, completionOf("1. x\n2. y", "stop"))
	}, nil, nil)
	if err != nil || !slices.Equal(texts, []string{"x", "y"}) {
		t.Error(texts, err)
	}
}

func TestKeyStaysHome(t *testing.T) {
	calls := 0
	_, err := asked(t, func(http.ResponseWriter, *http.Request) { calls++ }, map[string]string{"NOVITA_API_KEY": "secret"}, func(q *compiler.Question) {
		q.Endpoint.KeyEnv, q.Endpoint.FromUser = "NOVITA_API_KEY", false
	})
	if err == nil || calls > 0 || !strings.Contains(err.Error(), "may not go to") && !strings.Contains(err.Error(), "without encryption") {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// busy is a transport that answers 429 some times.
type busy struct {
	mu    sync.Mutex
	left  int
	after string
	calls int
}

// RoundTrip implements http.RoundTripper.
func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := httptest.NewRecorder()
	if b.calls++; b.left > 0 {
		b.left--
		w.Header().Set("Retry-After", b.after)
		w.WriteHeader(http.StatusTooManyRequests)
	} else {
		fmt.Fprint(w, completionOf(`["x"]`, "stop"))
	}
	return w.Result(), nil
}

func TestBusy(t *testing.T) {
	for _, tc := range []struct {
		left, calls int
		after       string
		ok          bool
		took        time.Duration
	}{{2, 3, "5", true, 10 * time.Second}, {9, 4, "1", false, 7 * time.Second}, {1, 1, "3600", false, 0}} {
		synctest.Test(t, func(t *testing.T) {
			b := &busy{left: tc.left, after: tc.after}
			a := &Asker{Deps: dialect.Deps{Transport: b}}
			start := time.Now()
			q := compiler.Question{Endpoint: compiler.EndpointConfig{Name: "llm", Type: "serverless", URL: "http://llm.example"}, Count: 1}
			a.Ask(t.Context(), []compiler.Question{q}, func(_ int, texts []string, err error) {
				if (err == nil) != tc.ok {
					t.Errorf("%+v: %v %v", tc, texts, err)
				}
			})
			if b.calls != tc.calls || time.Since(start) != tc.took {
				t.Errorf("%+v: %d calls in %s", tc, b.calls, time.Since(start))
			}
		})
	}
}

// Interrupted, Ask returns when nothing is on its way any more, and blames nobody.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &Asker{Parallel: 2, Deps: dialect.Deps{Transport: &busy{left: 100, after: "10"}}}
		time.AfterFunc(time.Second, cancel)
		q := compiler.Question{Endpoint: compiler.EndpointConfig{Name: "llm", Type: "serverless", URL: "http://llm.example"}, Count: 1}
		a.Ask(ctx, []compiler.Question{q, q, q, q}, func(i int, texts []string, err error) { t.Error(i, texts, err) })
	})
}

func TestKeep(t *testing.T) {
	a := &Asker{Dir: t.TempDir()}
	for _, text := range []string{"one", "two"} {
		if err := a.Keep("b.prompts.json", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(a.Dir, "b.prompts.json"))
	if entries, _ := os.ReadDir(a.Dir); err != nil || string(got) != "two" || len(entries) != 1 {
		t.Error(string(got), err, entries)
	}
	if err := (&Asker{Dir: filepath.Join(a.Dir, "none")}).Keep("x", nil); err == nil {
		t.Error("a folder that is not there took a file")
	}
}
