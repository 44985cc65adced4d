// Package chat asks language models to write prompts: it is the compiler.Asker of the command and the service. It speaks OpenAI's chat
// completions (POST …/v1/chat/completions, not streamed), as vLLM, llama.cpp's server, Novita and others do.
//
// A model is asked for JSON by `response_format`; an endpoint that does not know that refuses with 400 and is asked without. What came is
// read generously (JSON of several forms, in a fence or behind a model's thoughts, or one text a line) and held to bounds: all texts are
// there, none is empty or longer than 20,000 bytes. Refusals, answers that were cut off and junk are errors that say so; nothing is made up.
//
// A call is made once. Only "busy" (429, 503 with Retry-After) is waited for, three times and a minute at most: the model has done nothing then.
//
// Concurrency: an Asker may be used by several goroutines. Ask runs up to Parallel calls at once, each in a goroutine of its own, and has ended
// them all when it returns.
//
// Limits: 1 MiB for one answer; those of compiler.Question.
package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/durable"
)

// Asker implements compiler.Asker.
type Asker struct {
	Dir      string       // where answers are kept: the batch's folder, never ""
	Deps     dialect.Deps // the environment, key files and allowed keys
	Parallel int          // calls at once; 4 if 0
	// Progress, if it is set, is told how many of all questions have been answered, from one goroutine at a time.
	Progress func(done, all int)
}

// Bounds of a call.
const (
	maxAnswer = 1 << 20 // bytes of an answer
	maxWaits  = 3
	longest   = time.Minute // of all waits together for a busy endpoint
	parallel  = 4
)

// Ask implements compiler.Asker.
func (a *Asker) Ask(ctx context.Context, questions []compiler.Question, answered func(i int, texts []string, err error)) {
	n := a.Parallel
	if n <= 0 {
		n = parallel
	}
	var mu sync.Mutex
	done := 0
	calls := pool.New().WithMaxGoroutines(n)
	for i := range questions {
		if ctx.Err() != nil {
			break
		}
		// Go blocks while all places are taken, so the loop looks at ctx before each question.
		calls.Go(func() {
			texts, err := a.one(ctx, &questions[i])
			mu.Lock()
			defer mu.Unlock()
			// What was answered before the interruption is kept: it is paid for.
			if ctx.Err() != nil && err != nil {
				return // interrupted: that is no fault of the endpoint
			}
			answered(i, texts, err)
			if done++; a.Progress != nil {
				a.Progress(done, len(questions))
			}
		})
	}
	calls.Wait()
}

// one asks one question.
func (a *Asker) one(ctx context.Context, q *compiler.Question) ([]string, error) {
	client, err := dialect.Client(q.Endpoint, a.Deps)
	if err != nil {
		return nil, failed(err)
	}
	// A 400 or 422 for the format means that nothing was generated, so the second try is no second payment.
	answer, err := a.patiently(ctx, client, q, true)
	if status := statusOf(err); status == http.StatusBadRequest || status == http.StatusUnprocessableEntity {
		answer, err = a.patiently(ctx, client, q, false)
	}
	if err != nil {
		return nil, failed(err)
	}
	return read(answer.Body, q.Count)
}

// patiently makes a call, and waits where the endpoint is busy.
func (a *Asker) patiently(ctx context.Context, client *call.Client, q *compiler.Question, formatted bool) (answer call.Answer, err error) {
	left := longest
	for waits := 0; ; waits++ {
		// Paid: a lost answer is an error and not asked again, since the tokens may have been billed.
		answer, err = client.Do(ctx, call.Request{Op: "ask", Method: http.MethodPost, Path: path(q.Endpoint.URL), Body: body(q, formatted), Limit: maxAnswer, Timeout: q.Timeout, Paid: true})
		var e *scheduler.Error
		if !errors.As(err, &e) || e.Kind != scheduler.Busy || waits == maxWaits {
			return answer, err
		}
		// 1, 2, 4 s, or what the endpoint asks for; a wait that does not fit into the minute is not begun.
		wait := max(e.RetryAfter, time.Second<<waits)
		if left -= wait; left < 0 {
			return answer, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer, err
		}
	}
}

// statusOf gives the HTTP status that an error is about, 0 if it is about none.
func statusOf(err error) int {
	var e *scheduler.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// versioned is the end of a base URL that names the API's version, as https://api.example.com/openai/v1 does.
var versioned = regexp.MustCompile(`/v[0-9]+$`)

// path is what is behind the endpoint's URL: nothing for https://h/v1/chat/completions, /chat/completions for https://h/openai/v1, and
// /v1/chat/completions for https://h.
func path(base string) string {
	switch base = strings.TrimRight(base, "/"); {
	case strings.HasSuffix(base, "/chat/completions"):
		return ""
	case versioned.MatchString(base):
		return "/chat/completions"
	}
	return "/v1/chat/completions"
}

// message is one turn of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body writes the request. Nothing is in it that the API's simplest servers do not know, but for the format of the answer.
func body(q *compiler.Question, formatted bool) []byte {
	request := map[string]any{
		// The order for the form goes at the end of the system's text, where models heed it best, and stays when response_format is left out.
		"model": q.Model, "max_tokens": q.MaxTokens, "seed": q.Seed, "stream": false,
		"messages": []message{{"system", q.Instruction + "\n\n" + order(q.Count)}, {"user", q.Prompt}},
	}
	if q.Temperature != nil {
		request["temperature"] = *q.Temperature
	}
	if formatted {
		request["response_format"] = format(q.Count)
	}
	data, err := json.Marshal(request)
	if err != nil {
		panic("a request is texts and numbers: " + err.Error())
	}
	return data
}

// order says what form the answer is to have.
func order(count int) string {
	if count == 1 {
		return `Answer with one JSON object {"prompts": ["…"]} that holds one text, and nothing else.`
	}
	return fmt.Sprintf(`Answer with one JSON object {"prompts": ["…", …]} that holds exactly %d different texts, and nothing else.`, count)
}

// format is the same for the endpoint: a JSON Schema with an object at its root, as OpenAI asks for.
func format(count int) map[string]any {
	texts := map[string]any{"type": "array", "items": map[string]any{"type": "string", "minLength": 1}, "minItems": count, "maxItems": count}
	schema := map[string]any{"type": "object", "properties": map[string]any{"prompts": texts}, "required": []string{"prompts"}, "additionalProperties": false}
	return map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "prompts", "schema": schema}}
}

// failed is an error of the call as a finding has it.
func failed(err error) error {
	out := &compiler.AskError{Code: "expansion_failed", Message: err.Error()}
	if statusOf(err) == http.StatusNotFound {
		out.Hint = "the url of the endpoint ends before /v1/chat/completions, and the model is one that it serves"
	}
	return out
}

// Keep implements compiler.Asker. The answer was paid for: when it returns, a power cut does not lose it.
func (a *Asker) Keep(name string, data []byte) error {
	return durable.WriteFile(filepath.Join(a.Dir, filepath.Base(name)), 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
