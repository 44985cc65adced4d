package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler"
)

func TestFind(t *testing.T) {
	for image, want := range map[string]string{
		"":                                      "runpod/worker-comfyui",
		"runpod/worker-comfyui":                 "runpod/worker-comfyui",
		"runpod/worker-comfyui:5.5.0-flux1-dev": "runpod/worker-comfyui",
		"docker.io/runpod/worker-comfyui:3.4.0": "runpod/worker-comfyui",
		"registry:5000/novitalabs/comfyui-worker":      "novitalabs/comfyui-worker",
		"novitalabs/comfyui-worker:v0.0.1":             "novitalabs/comfyui-worker",
		"novitalabs/comfyui-worker@sha256:abc":         "novitalabs/comfyui-worker",
		"timpietruskyblibla/runpod-worker-comfy:3.6.0": "timpietruskyblibla/runpod-worker-comfy",
		"me/mine:1": "runpod/worker-comfyui",
	} {
		if got := Find(image).Name; got != want {
			t.Errorf("Find(%q) is %s, want %s", image, got, want)
		}
	}
}

func input(name, content string) compiler.InputFile {
	sum := sha256.Sum256([]byte(content))
	return compiler.InputFile{Name: name, Path: "/in/" + name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

func TestBody(t *testing.T) {
	read := func(path string) ([]byte, error) {
		if path == "/in/a.png" {
			return []byte("hello"), nil
		}
		return nil, os.ErrNotExist
	}
	prompt := []byte(`{"1":{"class_type":"X","inputs":{"seed":18446744073709551615,"ckpt_name":"a.safetensors","text":"a.safetensors","loras":[{"lora":"a.safetensors"}]}}}`)
	job := &compiler.Job{Prompt: prompt, OutputNode: "9"}
	with := func(files ...compiler.InputFile) *compiler.Job {
		j := *job
		j.Files = files
		return &j
	}
	cases := []struct {
		name  string
		image string
		job   *compiler.Job
		o     Options
		want  string // the body, or
		fails string // a part of the error
	}{
		{"plain", "", job, Options{}, `{"input":{"workflow":` + string(prompt) + `}}`, ""},
		{"files", "", with(input("a.png", "hello")), Options{}, `{"input":{"workflow":` + string(prompt) + `,"images":[{"name":"a.png","image":"aGVsbG8="}]}}`, ""},
		{"aliases", "", job, Options{Aliases: map[string]string{"a.safetensors": "sub/b.safetensors"}},
			`{"input":{"workflow":` + `{"1":{"class_type":"X","inputs":{"seed":18446744073709551615,"ckpt_name":"sub/b.safetensors","text":"a.safetensors","loras":[{"lora":"sub/b.safetensors"}]}}}` + `}}`, ""},
		{"output node", "novitalabs/comfyui-worker:v0.0.1", job, Options{}, `{"input":{"workflow":` + string(prompt) + `,"output_node_id":"9"}}`, ""},
		{"configured output node", "novitalabs/comfyui-worker", job, Options{OutputNode: "12"}, `{"input":{"workflow":` + string(prompt) + `,"output_node_id":"12"}}`, ""},
		{"no files there", "novitalabs/comfyui-worker", with(input("a.png", "hello")), Options{}, "", "takes no input files"},
		{"changed file", "", with(input("a.png", "other")), Options{}, "", "changed"},
		{"missing file", "", with(input("b.png", "x")), Options{}, "", "not exist"},
		{"path in the name", "", with(compiler.InputFile{Name: "../a.png"}), Options{}, "", "not one that workers take"},
		{"too large", "", job, Options{Limit: 100}, "", "the endpoint takes 100"},
		{"files too large", "", with(compiler.InputFile{Name: "big", Size: 1 << 30}), Options{Limit: 4 << 20}, "", "base64 1431655768"},
	}
	for _, c := range cases {
		c.o.ReadFile = read
		got, err := Find(c.image).Body(c.job, c.o)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: got error %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

// TestExactLimit: a body of exactly the limit passes, one byte less does not.
func TestExactLimit(t *testing.T) {
	job := &compiler.Job{Prompt: []byte(`{"1":{}}`)}
	size := int64(len(`{"input":{"workflow":{"1":{}}}}`))
	if _, err := Find("").Body(job, Options{Limit: size}); err != nil {
		t.Error(err)
	}
	var tooLarge *SizeError
	if _, err := Find("").Body(job, Options{Limit: size - 1}); !errors.As(err, &tooLarge) || tooLarge.Bytes != size {
		t.Errorf("got %v", err)
	}
}

func TestRenameKeepsBytes(t *testing.T) {
	prompt := []byte(`{"2": {"inputs": {"a": 1.50}}}`)
	for _, names := range []map[string]string{nil, {"x": "y"}, {"x": "x"}} {
		if got, err := Rename(prompt, names); string(got) != string(prompt) || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if _, err := Rename([]byte(`{`), map[string]string{"x": "y"}); err == nil {
		t.Error("a broken prompt was taken")
	}
}
