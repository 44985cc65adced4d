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
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
	"github.com/comfyc/comfyc/scheduler/store"
)

// instantJobs is how many jobs the scheduler is given, and inFlight how many of them it may have on the remote at a time: a job that is done at
// once still waits for its first poll.
// Sizes that a workstation does in seconds.
const (
	instantJobs = 5000       // of a plan; enough that start and end do not matter
	inFlight    = 1000       // more than the workers there are
	unlimited   = 10_000_000 // calls per 10 s; the platform's 1000 submits would be all that is measured
)

// The emulator runs in this process for these cases, so its work is in both sides' times.
var jobCases = []Case{
	{Name: "InstantJobs5000", What: "5,000 jobs that are done at once, over TCP, with every state synced to SQLite, against a loop of bare HTTP calls to the same server; in turn",
		Run: jobs, Goals: []Goal{{Unit: "share-of-bare", Least: 0.6, Meaning: "at least 60 % of the bare loop"}, {Unit: "requests/job", Most: 2.2, Meaning: "at most 2.2 requests a job"}}},
	{Name: "InstantJobsSDK", What: "the same jobs by us and by the runpod package's AsyncioEndpoint with gather, on the same server; in turn", Skip: runpodSDK.need,
		Run: runpodSDK.jobs, Goals: []Goal{{Unit: "times-sdk", Least: 8, Meaning: "8 times the SDK's jobs a second"}}},
	{Name: "InstantJobsNovita", What: "the same jobs by us and by the novita-gpus package in 200 threads, on the same server; in turn", Skip: novitaSDK.need, Run: novitaSDK.jobs},
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
// stop ends the server; base is the endpoint's address in RunPod's form. 64 workers are always on, so no cold start is
// measured.
func (e *Env) jobServer() (base string, plan *compiler.Plan, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	// -1 switches the emulator's own rates off: the rate of the platform would be all that is measured.
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

// jobsAgainstBare measures turns: a whole batch on our side, states on disk included, and then as many bare calls. Requests are counted, because
// fewer polls would be another way to be fast.
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

// counter counts the requests that pass. Both sides have one, with the transport that a user's endpoint of such limits gets.
// A connection that is not kept would cost a handshake for each request and hide the rest.
type counter struct {
	http.RoundTripper
	n atomic.Int64
}

// newCounter makes a transport of its own: connections of one side must not warm up the other.
func newCounter() *counter {
	return &counter{RoundTripper: call.NewTransport(inFlight)}
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// dot is a worker that saves one black pixel for each SaveImage.
// It looks at no picture and needs no model: the prompt's save nodes are all that it reads.
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

// pixel is encoded once, at its first use.
var pixel = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
})

// jobPlan is a sweep over the seed, so every render is another one and none is answered from a cache.
func (e *Env) jobPlan() (*compiler.Plan, error) { return e.jobPlanOf(flow, instantJobs) }

// jobPlanOf is a sweep of so many renders over a workflow that has a KSampler.
func (e *Env) jobPlanOf(workflow string, n int) (*compiler.Plan, error) {
	if _, err := e.write("jobs/flow.json", workflow); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("workflow: flow.json\nsweep: {matrix: {KSampler.seed: {from: 1, count: %d}}}\n", n)
	// The built-in preview endpoint, which the run replaces by its own.
	p, findings := compiler.Compile(context.Background(), compiler.Source{File: source.NewFile("batch.yaml", []byte(text)), Dir: e.Temp + "/jobs"})
	if p == nil {
		return nil, fmt.Errorf("no plan: %v", findings)
	}
	return p, nil
}

// runPlan is a whole batch in a new folder, without the pictures' own cost.
func (e *Env) runPlan(ctx context.Context, plan *compiler.Plan, base string, calls http.RoundTripper) error {
	price := 0.0 // a price of 0: money is reckoned, and nothing is spent
	end, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "runpod", URL: base, Price: &price, FromUser: true, Limits: compiler.Limits{InFlight: inFlight, SubmitPer10s: unlimited, StatusPer10s: unlimited}}, dialect.Deps{Transport: calls})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.Temp, "jobs")
	if err != nil {
		return err
	}
	// State is synced to disk at each commit, as in a real run: the folder lies on a disk, not in memory, where TMPDIR says so.
	st, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer st.Close()
	// Renders go to counted, so that pictures cost nothing.
	sum, err := scheduler.Run(ctx, plan, []scheduler.Endpoint{end}, st, counted{}, scheduler.Options{MaxParallel: inFlight})
	if err != nil || !sum.AllDone() {
		return notDone(sum, err)
	}
	return nil
}

// notDone says how far a batch came and what was first in its way; thousands may have failed for the same reason.
func notDone(sum scheduler.Summary, err error) error {
	var first scheduler.Trouble
	if len(sum.Failures) > 0 {
		first = sum.Failures[0]
	}
	return errors.Join(fmt.Errorf("the batch is not done: %v of %d, %d attempts in %v, %s %s", sum.Counts, sum.Renders, sum.Attempts, sum.Elapsed, sum.Stopped, first.Reason), err)
}

// counted is a sink that takes what came and keeps nothing.
// It checks that all owed outputs came: a run that lost some must not count as fast.
type counted struct{}

func (counted) Collect(_ context.Context, r scheduler.Result) (got scheduler.Collected, err error) {
	if len(r.Outputs) != len(r.Job.Owed) {
		return got, errors.New("an output is missing")
	}
	// The hash is made up; nothing reads the file afterwards.
	for _, i := range r.Job.Renders {
		got.Done = append(got.Done, scheduler.DoneRender{Render: i, Files: []scheduler.FileRecord{{Path: fmt.Sprint("images/", i, ".png"), Type: "image/png", SHA256: "00", Bytes: 2}}})
	}
	return got, nil
}

// bareCalls submits and polls each job from 64 goroutines, which remember nothing.
// 64 goroutines keep the server as busy as the scheduler does. An error of one ends that one, and is returned when all have
// ended.
func bareCalls(plan *compiler.Plan, base string, calls http.RoundTripper) error {
	client := &http.Client{Transport: calls}
	var next atomic.Int64
	errs := make(chan error, 64)
	for range 64 {
		go func() {
			for i := int(next.Add(1)) - 1; i < instantJobs; i = int(next.Add(1)) - 1 { // each job is taken by one goroutine
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

// bareCall asks without a pause until the job is done: the least that any client must do.
func bareCall(client *http.Client, plan *compiler.Plan, base string, i int) error {
	job, err := plan.Job(i)
	if err != nil {
		return err
	}
	var answer struct{ ID, Status string } // RunPod's answers have both
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

// ask reads the whole answer, so that its connection can be used again. Only 200 is an answer.
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
