package dialect_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// languages under the emulator's faults, each with its place.
var emulatedLanguages = []struct{ name, kind, path string }{
	{"novita", "novita", "/v1/x"},
	{"runpod", "runpod", "/v2/x"},
	{"comfyui", "comfyui", "/native/x"},
	{"serverless", "serverless", "/v2/x/runsync"},
	{"serverless comfyui", "serverless", "/native/x"},
}

// seen is what a client sees of a job: the states of its polls, each noted once in a row, and the kinds of the errors of its polls.
type seen struct {
	states []string
	kinds  map[scheduler.Kind]int
	last   scheduler.Status
}

func (s seen) String() string {
	return fmt.Sprint(s.states, s.kinds, s.last.State, len(s.last.Outputs), s.last.Err)
}

// watchJob polls once a second of the emulator's time, up to so many times after the job's first end.
func watchJob(ctx context.Context, t *testing.T, ep scheduler.Endpoint, id string, after int) seen {
	t.Helper()
	s := seen{kinds: map[scheduler.Kind]int{}}
	for ended := 0; ended <= after; {
		time.Sleep(time.Second)
		st, err := ep.Poll(ctx, id)
		if err != nil {
			s.kinds[kindOf(t, err)]++
			if len(s.kinds) > 0 && s.kinds[transient] > 50 {
				return s
			}
			continue
		}
		if n := len(s.states); n == 0 || s.states[n-1] != st.State.String() {
			s.states = append(s.states, st.State.String())
		}
		if s.last = st; st.State.Final() || ended > 0 {
			ended++
		}
	}
	return s
}

// TestEmulatedFaults: what goes wrong with a job or with the questions about it, in every language, and what of it a caller sees.
func TestEmulatedFaults(t *testing.T) {
	queues := "novita, runpod, serverless"
	native := "comfyui, serverless comfyui"
	cases := []struct {
		name  string
		fault emulator.Fault
		who   string // languages that it is about, "" for all
		check func(t *testing.T, s seen)
	}{
		{"partial", emulator.Fault{Kind: emulator.Partial, Rate: 1}, "", func(t *testing.T, s seen) {
			if s.last.State != scheduler.Completed || len(s.last.Outputs) != 1 {
				t.Errorf("%s", s)
			}
		}},
		{"no output", emulator.Fault{Kind: emulator.NoOutput, Rate: 1}, queues, func(t *testing.T, s seen) {
			if s.last.State != scheduler.Failed || s.last.Err.Kind != scheduler.Lost {
				t.Errorf("%s", s)
			}
		}},
		{"failed", emulator.Fault{Kind: emulator.Failed, Rate: 1, Message: "CUDA out of memory"}, "", func(t *testing.T, s seen) {
			if s.last.State != scheduler.Failed || s.last.Err.Kind != scheduler.OutOfMemory {
				t.Errorf("%s", s)
			}
		}},
		{"never done", emulator.Fault{Kind: emulator.Hang, Rate: 1}, queues, func(t *testing.T, s seen) {
			if strings.Join(s.states, " ") != "running timed-out" || s.last.Err.Kind != scheduler.Lost {
				t.Errorf("%s", s)
			}
		}},
		{"done twice", emulator.Fault{Kind: emulator.Twice, Rate: 1}, "novita, runpod", func(t *testing.T, s seen) {
			if strings.Join(s.states, " ") != "running completed running completed" || len(s.last.Outputs) != 2 {
				t.Errorf("%s", s)
			}
		}},
		{"expired", emulator.Fault{Kind: emulator.Expired, Rate: 1}, "novita, runpod, " + native, func(t *testing.T, s seen) {
			if s.last.State != scheduler.Gone || s.last.Err.Kind != scheduler.Lost {
				t.Errorf("%s", s)
			}
		}},
		{"progress", emulator.Fault{Kind: emulator.Progress, Rate: 1}, queues, func(t *testing.T, s seen) {
			if s.last.State != scheduler.Completed || len(s.last.Outputs) != 2 {
				t.Errorf("%s", s)
			}
		}},
		{"unknown status", emulator.Fault{Kind: emulator.UnknownStatus, On: emulator.Status, Rate: 1, Times: 3}, "novita, runpod, " + native, func(t *testing.T, s seen) {
			if s.states[0] != "unknown" || s.last.State != scheduler.Completed {
				t.Errorf("%s", s)
			}
		}},
		{"wrong id", emulator.Fault{Kind: emulator.WrongID, On: emulator.Status, Rate: 1, Times: 3}, "novita, runpod, " + native, func(t *testing.T, s seen) {
			if s.kinds[transient] != 3 || s.last.State != scheduler.Completed {
				t.Errorf("%s", s)
			}
		}},
	}
	for _, l := range emulatedLanguages {
		for _, c := range cases {
			if c.who != "" && !slices.Contains(strings.Split(c.who, ", "), l.name) {
				continue
			}
			t.Run(l.name+"/"+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.check(t, faulty(t, l.kind, l.path, c.fault)) })
			})
		}
	}
}

// two saves two pictures.
const two = `{"1":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":255}},"2":{"class_type":"ImageInvert","inputs":{"image":["1",0]}},
	"8":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"a"}},"9":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"b"}}}`

// faulty submits a job to an endpoint with a fault and looks at it for a while.
func faulty(t *testing.T, kind, path string, fault emulator.Fault) seen {
	t.Helper()
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x", ExecutionTimeout: time.Minute, Execution: emulator.ExecutionTime{Fixed: 5500 * time.Millisecond}, Faults: []emulator.Fault{fault}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: kind, URL: "http://emulator.invalid" + path}, dialect.Deps{Transport: e.RoundTripper()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	id, err := ep.Submit(ctx, &compiler.Job{Prompt: []byte(two)}, scheduler.Terms{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	s := watchJob(ctx, t, ep, id, 12)
	for _, out := range s.last.Outputs {
		file, err := ep.Fetch(ctx, out)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		file.Close()
		if err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
			t.Errorf("%q, %v", content[:min(len(content), 20)], err)
		}
	}
	return s
}
