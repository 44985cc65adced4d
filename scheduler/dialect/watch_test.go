package dialect_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// ears collects hints.
type ears struct {
	mu    sync.Mutex
	hints []scheduler.Hint
}

func (e *ears) hear(h scheduler.Hint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hints = append(e.hints, h)
}

// of gives what was told of a job.
func (e *ears) of(remote string) (out []scheduler.Hint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.hints {
		if h.Remote == remote {
			out = append(out, h)
		}
	}
	return out
}

const sampled = `{"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":255}},
	"2":{"class_type":"ImageInvert","inputs":{"image":["1",0]}},"9":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"r"}}}`

// TestWatch: a job's story is told node by node, and its end when a poll sees it, in the emulator's time.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x", Dialects: []emulator.Dialect{emulator.ComfyUI}, Execution: emulator.ExecutionTime{Fixed: 3 * time.Second}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: "http://emulator.invalid/native/x"}, dialect.Deps{Transport: e.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var heard ears
		ended := make(chan error, 1)
		go func() { ended <- ep.(scheduler.Watcher).Watch(ctx, heard.hear) }()
		synctest.Wait()
		if len(heard.hints) == 0 || heard.hints[0] != (scheduler.Hint{Endpoint: "ep"}) {
			t.Fatalf("the first hint: %+v", heard.hints)
		}
		id, err := ep.Submit(ctx, &compiler.Job{Prompt: []byte(sampled)}, scheduler.Terms{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		checkStory(t, heard.of(id))
		time.Sleep(time.Second)
		synctest.Wait()
		all := heard.of(id)
		if last := all[len(all)-1]; last.State != scheduler.Completed {
			t.Errorf("the end: %+v", last)
		}
		if st, err := ep.Poll(ctx, id); err != nil || st.State != scheduler.Completed {
			t.Errorf("%+v, %v", st, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the end of watching: %v", err)
		}
	})
}

// checkStory looks at a job that runs: its progress grows, and its nodes are named in the order of their work.
func checkStory(t *testing.T, story []scheduler.Hint) {
	t.Helper()
	var nodes []string
	progress := 0.0
	for _, h := range story {
		if h.State != scheduler.Running || h.Progress < progress || h.Progress >= 1 {
			t.Errorf("after progress %g: %+v", progress, h)
		}
		progress = h.Progress
		if h.Node != "" && !slices.Contains(nodes, h.Node) {
			nodes = append(nodes, h.Node)
		}
	}
	if !slices.Equal(nodes, []string{"1", "2", "9"}) || progress < 0.5 {
		t.Errorf("nodes %v, progress %g", nodes, progress)
	}
}

// TestWatchLost: a connection that breaks is an error, one that cannot be made as well, and the silence of a dead server is noticed.
func TestWatchLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x", Dialects: []emulator.Dialect{emulator.ComfyUI}}}})
		if err != nil {
			t.Fatal(err)
		}
		ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: "http://emulator.invalid/native/x"}, dialect.Deps{Transport: e.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		watch := func() { ended <- ep.(scheduler.Watcher).Watch(t.Context(), func(scheduler.Hint) {}) }
		go watch()
		time.Sleep(10 * time.Minute) // pings keep it alive
		select {
		case err := <-ended:
			t.Fatalf("ended by itself: %v", err)
		default:
		}
		e.Close()
		if err := <-ended; err == nil || kindOf(t, err) != transient {
			t.Errorf("the server ended: %v", err)
		}
		go watch()
		if err := <-ended; err == nil {
			t.Error("a closed server was watched")
		}
	})
}

// TestRecordedWatch reads what a real ComfyUI said over its websocket.
func TestRecordedWatch(t *testing.T) {
	for name, want := range map[string]scheduler.State{"030-ws-image-run": scheduler.Completed, "051-ws-cached-run": scheduler.Completed, "096-ws-sd-run": scheduler.Completed,
		"079-ws-runtime-error": scheduler.Failed, "108-ws-interrupt": scheduler.Cancelled, "120-ws-bystander": scheduler.Unknown} {
		var file struct {
			Messages []struct {
				Text json.RawMessage `json:"text"`
			} `json:"messages"`
		}
		recording(t, filepath.Join("comfyui", "comfyui-"+name+".json"), &file)
		var said []string
		for _, m := range file.Messages {
			if len(m.Text) > 0 {
				said = append(said, string(m.Text))
			}
		}
		hints := replayed(t, said)
		ends := map[scheduler.State]bool{}
		steps := 0
		for _, h := range hints {
			if h.Endpoint != "ep" || h.Progress < 0 || h.Progress >= 1 {
				t.Errorf("%s: %+v", name, h)
			}
			if h.Remote != "" && h.State.Final() {
				ends[h.State] = true
			}
			if h.Steps == 3 {
				steps++
			}
		}
		if want != scheduler.Unknown && !ends[want] || want == scheduler.Unknown && len(ends) > 0 || name == "096-ws-sd-run" && steps < 3 {
			t.Errorf("%s: ends %v, %d steps, want %v", name, ends, steps, want)
		}
	}
}

// FuzzWatch: whatever a server says, hints stay within their bounds.
func FuzzWatch(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(recordings, "comfyui", "comfyui-*-ws-*.json")) // none without the recordings
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"type":"progress","data":{"value":1e99,"max":-1,"prompt_id":"` + nativeID + `","node":"1"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, h := range replayed(t, []string{text}) {
			if h.Progress < 0 || h.Progress > 1 || h.Step < 0 || h.Step > h.Steps || len(h.Node) > 200 || h.Queue < 0 {
				t.Errorf("%+v", h)
			}
		}
	})
}

// replayed gives the hints of what a server says.
func replayed(t *testing.T, said []string) []scheduler.Hint {
	t.Helper()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "comfyui", URL: "http://said.invalid"}, dialect.Deps{Transport: speaking(said)})
	if err != nil {
		t.Fatal(err)
	}
	var heard ears
	err = ep.(scheduler.Watcher).Watch(t.Context(), heard.hear)
	var lost *scheduler.Error
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), "websocket") {
		t.Fatalf("the end: %v", err)
	}
	return heard.hints
}
