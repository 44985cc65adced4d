package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
	"github.com/comfyc/comfyc/scheduler/store"
)

// instantJobs is how many jobs the scheduler is given, and inFlight how many of them it may have on the remote at a time: a job that is done at
// once still waits for its first poll.
const (
	instantJobs = 5000
	inFlight    = 1000
	unlimited   = 10_000_000 // calls per 10 s; the platform's 1000 submits would be all that is measured
)

var jobCases = []Case{
	{Name: "InstantJobs5000", What: "5,000 jobs that are done at once, over TCP, with every state synced to SQLite, against a loop of bare HTTP calls to the same server; in turn",
		Run: jobs, Goals: []Goal{{Unit: "share-of-bare", Least: 0.6, Meaning: "at least 60 % of the bare loop"}, {Unit: "requests/job", Most: 2.2, Meaning: "at most 2.2 requests a job"}}},
	{Name: "InstantJobsSDK", What: "the same jobs by us and by the runpod package's AsyncioEndpoint with gather, on the same server; in turn", Skip: needSDK,
		Run: jobsSDK, Goals: []Goal{{Unit: "times-sdk", Least: 8, Meaning: "8 times the SDK's jobs a second"}}},
}

// jobs runs a whole plan against an emulated endpoint whose worker answers at once, then submits and polls as many jobs with net/http alone.
func jobs(e *Env, b *testing.B) error {
	base, plan, stop, err := e.jobServer()
	if err != nil {
		return err
	}
	defer stop()
	return e.jobsAgainstBare(b, base, plan)
}

// jobServer starts an emulated endpoint whose worker answers at once, and compiles the plan for it.
func (e *Env) jobServer() (base string, plan *compiler.Plan, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	em, err := emulator.New(emulator.Config{Runner: dot, Endpoints: []emulator.Endpoint{{Name: "ep", Dialects: []emulator.Dialect{emulator.RunPod},
		MinWorkers: 64, MaxWorkers: 64, SubmitPer10s: -1, StatusPer10s: -1}}})
	if err != nil {
		return "", nil, nil, err
	}
	go func() { _ = em.Serve(ln) }() // ends when the emulator is closed
	if plan, err = e.jobPlan(); err != nil {
		em.Close()
		return "", nil, nil, err
	}
	return "http://" + ln.Addr().String() + "/v2/ep", plan, func() { em.Close() }, nil
}

func (e *Env) jobsAgainstBare(b *testing.B, base string, plan *compiler.Plan) error {
	var whole, bare time.Duration
	ours, theirs := newCounter(), newCounter()
	for b.Loop() {
		start := time.Now()
		if err := e.runPlan(b.Context(), plan, base, ours); err != nil {
			return err
		}
		whole += time.Since(start)
		start = time.Now()
		if err := bareCalls(plan, base, theirs); err != nil {
			return err
		}
		bare += time.Since(start)
	}
	b.ReportMetric(float64(instantJobs*b.N)/whole.Seconds(), "jobs/s")
	b.ReportMetric(float64(instantJobs*b.N)/bare.Seconds(), "bare-jobs/s")
	b.ReportMetric(float64(ours.n.Load())/float64(instantJobs*b.N), "requests/job")
	b.ReportMetric(float64(theirs.n.Load())/float64(instantJobs*b.N), "bare-requests/job")
	b.ReportMetric(bare.Seconds()/whole.Seconds(), "share-of-bare")
	b.ReportMetric(0, "ns/op")
	return nil
}

// counter counts the requests that pass. Both sides have one, with as many kept connections as bareCalls has goroutines.
type counter struct {
	http.RoundTripper
	n atomic.Int64
}

func newCounter() *counter {
	return &counter{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 64}}
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// dot is a worker that saves one black pixel for each SaveImage.
func dot(_ context.Context, prompt []byte, _ worker.Options) (*worker.Result, error) {
	var nodes map[string]struct {
		Class  string `json:"class_type"`
		Inputs struct {
			Prefix string `json:"filename_prefix"`
		} `json:"inputs"`
	}
	if err := json.Unmarshal(prompt, &nodes); err != nil {
		return nil, err
	}
	out := &worker.Result{Executed: len(nodes)}
	for id, n := range nodes {
		if n.Class == "SaveImage" {
			out.Files = append(out.Files, worker.File{Node: id, Filename: n.Inputs.Prefix + "_00001_.png", Type: "output", Data: pixel()})
		}
	}
	return out, nil
}

var pixel = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
})

func (e *Env) jobPlan() (*compiler.Plan, error) {
	if _, err := e.write("jobs/flow.json", flow); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("workflow: flow.json\nsweep: {matrix: {KSampler.seed: {from: 1, count: %d}}}\n", instantJobs)
	p, findings := compiler.Compile(context.Background(), compiler.Source{File: source.NewFile("batch.yaml", []byte(text)), Dir: e.Temp + "/jobs"})
	if p == nil {
		return nil, fmt.Errorf("no plan: %v", findings)
	}
	return p, nil
}

// runPlan is a whole batch in a new folder, without the pictures' own cost.
func (e *Env) runPlan(ctx context.Context, plan *compiler.Plan, base string, calls http.RoundTripper) error {
	price := 0.0
	end, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "runpod", URL: base, Price: &price, FromUser: true, Limits: compiler.Limits{InFlight: inFlight, SubmitPer10s: unlimited, StatusPer10s: unlimited}}, dialect.Deps{Transport: calls})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.Temp, "jobs")
	if err != nil {
		return err
	}
	st, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer st.Close()
	sum, err := scheduler.Run(ctx, plan, []scheduler.Endpoint{end}, st, counted{}, scheduler.Options{MaxParallel: inFlight})
	if err != nil || !sum.AllDone() {
		return fmt.Errorf("the batch is not done: %+v, %w", sum, err)
	}
	return nil
}

// counted is a sink that takes what came and keeps nothing.
type counted struct{}

func (counted) Collect(_ context.Context, r scheduler.Result) (got scheduler.Collected, err error) {
	if len(r.Outputs) != len(r.Job.Owed) {
		return got, errors.New("an output is missing")
	}
	for _, i := range r.Job.Renders {
		got.Done = append(got.Done, scheduler.DoneRender{Render: i, Files: []scheduler.FileRecord{{Path: fmt.Sprint("images/", i, ".png"), Type: "image/png", SHA256: "00", Bytes: 2}}})
	}
	return got, nil
}

// bareCalls submits and polls each job from 64 goroutines, which remember nothing.
func bareCalls(plan *compiler.Plan, base string, calls http.RoundTripper) error {
	client := &http.Client{Transport: calls}
	var next atomic.Int64
	errs := make(chan error, 64)
	for range 64 {
		go func() {
			for i := int(next.Add(1)) - 1; i < instantJobs; i = int(next.Add(1)) - 1 {
				if err := bareCall(client, plan, base, i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var all []error
	for range 64 {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func bareCall(client *http.Client, plan *compiler.Plan, base string, i int) error {
	job, err := plan.Job(i)
	if err != nil {
		return err
	}
	var answer struct{ ID, Status string }
	if err := ask(client, "POST", base+"/run", append(append([]byte(`{"input":{"workflow":`), job.Prompt...), "}}"...), &answer); err != nil {
		return err
	}
	for answer.Status != "COMPLETED" {
		if err := ask(client, "GET", base+"/status/"+answer.ID, nil, &answer); err != nil {
			return err
		}
		if answer.Status == "FAILED" {
			return errors.New("a job failed")
		}
	}
	return nil
}

func ask(client *http.Client, method, url string, body []byte, into any) error {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, url, answer.Status, data)
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	return err
}
