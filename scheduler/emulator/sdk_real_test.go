package emulator

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSDKReal lets the platforms' own clients work against the emulator, over TCP. Both parts need what is not part of Go:
//
//	COMFYC_SDK_PYTHON   the python of a virtual environment with `pip install runpod novita-gpus`
//	COMFYC_SDK_NODE     the node_modules folder of `npm install runpod-sdk`
func TestSDKReal(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		python := os.Getenv("COMFYC_SDK_PYTHON")
		if python == "" {
			t.Skip("COMFYC_SDK_PYTHON is not set: no python with runpod and novita-gpus")
		}
		drive(t, nil, 18, python, "testdata/sdk.py")
	})
	t.Run("javascript", func(t *testing.T) {
		modules := os.Getenv("COMFYC_SDK_NODE")
		if modules == "" {
			t.Skip("COMFYC_SDK_NODE is not set: no node_modules with runpod-sdk")
		}
		drive(t, []string{"NODE_PATH=" + modules}, 8, "node", "testdata/sdk.mjs")
	})
}

// drive runs a client's script against an endpoint and counts what it holds.
func drive(t *testing.T, env []string, want int, command ...string) {
	t.Helper()
	e := start(t, Config{Endpoints: []Endpoint{{Name: "sdk", Key: "key-0123456789", Dialects: []Dialect{RunPod, Novita}}}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(ln) }()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	script := exec.CommandContext(ctx, command[0], append(command[1:], "http://"+ln.Addr().String())...)
	script.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	script.Stdout, script.Stderr = &out, &out
	err = script.Run()
	held := strings.Count("\n"+out.String(), "\nok ")
	if err != nil || held < want {
		t.Errorf("%d things held, want %d; %v\n%s", held, want, err, out.String())
	}
	t.Logf("%d things held", held)
	e.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
