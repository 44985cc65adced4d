package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// remote is a platform that all replicas of a test use: the emulator, behind a gate. While the gate is closed no job ends; so a test decides
// itself what is under way when.
type remote struct {
	emulator *emulator.Emulator
	url      string

	mu       sync.Mutex
	open     bool
	inFlight map[string]int // jobs whose end nobody has seen, by id: how often each was polled
	most     int
	cancels  int
}

// newRemote serves an endpoint named cloud in Novita's language.
func newRemote(t testing.TB) *remote {
	t.Helper()
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "cloud", Dialects: []emulator.Dialect{emulator.Novita}, MinWorkers: 8, MaxWorkers: 8,
		Execution: emulator.ExecutionTime{Median: time.Millisecond, P95: 2 * time.Millisecond}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{emulator: e, inFlight: map[string]int{}}
	server := httptest.NewServer(r)
	r.url = server.URL
	t.Cleanup(func() { server.Close(); e.Close() })
	return r
}

// endpoints writes an endpoints file with a limit of jobs in flight.
func (r *remote) endpoints(t testing.TB, inFlight int) (file string, ends []compiler.EndpointConfig) {
	return slowEndpoint(t, t.TempDir(), fmt.Sprintf("endpoints: {cloud: {type: novita, url: %s/v1/cloud, gpu: rtx4090, workers: {min: 8, max: 8}, price: {usd_per_second: 0.0003, as_of: 2026-08}, limits: {in_flight: %d}}}\n", r.url, inFlight))
}

// ServeHTTP passes a request on to the emulator, and counts.
func (r *remote) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	out := in.Clone(in.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", "emulator.test"
	answer, err := r.emulator.RoundTripper().RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	text = r.seen(in.URL.Path, text)
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(text) // the replica may be gone
}

// seen notes what an answer says, and holds ends back while the gate is closed.
func (r *remote) seen(path string, text []byte) []byte {
	var job struct{ ID, Status string }
	if json.Unmarshal(text, &job) != nil {
		return text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := filepath.Base(path)
	_, known := r.inFlight[id]
	switch {
	case strings.HasSuffix(path, "/run") && job.ID != "":
		r.inFlight[job.ID] = 0
		r.most = max(r.most, len(r.inFlight))
	case strings.Contains(path, "/cancel/"):
		r.cancels++
		delete(r.inFlight, id)
	case strings.Contains(path, "/status/") && !r.open && known:
		r.inFlight[id]++
		return fmt.Appendf(nil, `{"id":%q,"status":"IN_PROGRESS"}`, id)
	case strings.Contains(path, "/status/") && job.Status != "PENDING" && job.Status != "IN_PROGRESS":
		delete(r.inFlight, id)
	}
	return bytes.Clone(text)
}

// gate opens or closes the gate.
func (r *remote) gate(open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = open
}

// now gives how many jobs are in flight, and how many were at most.
func (r *remote) now() (inFlight, most, cancels int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.inFlight), r.most, r.cancels
}

// known tells whether all jobs in flight, so many, were polled: whoever polls has noted the job's id.
func (r *remote) known(jobs int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, polls := range r.inFlight {
		if polls < 2 {
			return false
		}
	}
	return len(r.inFlight) == jobs
}

// accepted is how many jobs were taken.
func (r *remote) accepted() int { return r.emulator.Stats().Endpoint("cloud").Accepted }

// once holds that no prompt was sent twice, and so many in all.
func (r *remote) once(t testing.TB, prompts int) {
	t.Helper()
	s := r.emulator.Stats().Endpoint("cloud")
	for _, p := range s.Prompts {
		if p.Executed > 1 {
			t.Errorf("a prompt was run %d times", p.Executed)
		}
	}
	if len(s.Prompts) != prompts || s.Accepted != prompts {
		t.Errorf("%d jobs of %d prompts were taken, want %d", s.Accepted, len(s.Prompts), prompts)
	}
}
