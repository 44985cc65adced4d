package chat

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// llamaServer starts llama.cpp's server with a small model of random weights, and gives its address. COMFYC_LLAMA_PYTHON is the python of a
// virtual environment with `pip install xllamacpp gguf`.
func llamaServer(t *testing.T, key string) string {
	t.Helper()
	python := os.Getenv("COMFYC_LLAMA_PYTHON")
	if python == "" {
		t.Skip("COMFYC_LLAMA_PYTHON is not set: no python with xllamacpp and gguf, so no real server is asked")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	cmd := exec.Command(python, "testdata/llama_server.py", strconv.Itoa(port), key)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://") {
			return lines.Text()
		}
	}
	t.Fatal("the server printed no address")
	return ""
}

func TestLlamaServer(t *testing.T) {
	url := llamaServer(t, "sk-local-0123456789")
	ask := func(key string, q compiler.Question) (texts []string, failed error) {
		q.Endpoint = compiler.EndpointConfig{Name: "llm", Type: "serverless", URL: url, KeyEnv: "LLM_KEY", FromUser: true}
		q.Model, q.Instruction, q.Prompt, q.Timeout = "random", "Rewrite.", "a fox", time.Minute
		a := &Asker{Deps: dialect.Deps{Getenv: func(string) string { return key }}}
		a.Ask(context.Background(), []compiler.Question{q}, func(_ int, got []string, err error) { texts, failed = got, err })
		return texts, failed
	}
	code := func(err error) string {
		var e *compiler.AskError
		if errors.As(err, &e) {
			return e.Code
		}
		return ""
	}
	cold := 0.0
	const key = "sk-local-0123456789"
	texts, err := ask(key, compiler.Question{Count: 2, MaxTokens: 400, Seed: 7, Temperature: &cold})
	if err != nil || len(texts) != 2 {
		t.Fatalf("%q, %v", texts, err)
	}
	t.Logf("%q", texts)
	again, err := ask(key, compiler.Question{Count: 2, MaxTokens: 400, Seed: 7, Temperature: &cold})
	if err != nil || strings.Join(again, "|") != strings.Join(texts, "|") {
		t.Errorf("the same question with the same seed: %q, %v", again, err)
	}
	if _, err := ask(key, compiler.Question{Count: 2, MaxTokens: 8}); code(err) != "expansion_answer" || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("cut off: %v", err)
	}
	if _, err := ask("sk-wrong-0123456789", compiler.Question{Count: 1, MaxTokens: 8}); code(err) != "expansion_failed" || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "sk-wrong") {
		t.Errorf("a wrong key: %v", err)
	}
}
