package lease

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

var ctx = context.Background()

// platform is a remote that all machines of a test use. It counts what was really submitted.
type platform struct {
	mu       sync.Mutex
	took     time.Duration // of a job
	fail     map[int]bool  // renders that fail
	submits  map[int]int   // by render
	collects map[int]int
	jobs     map[string]fakeJob
	cancels  int
	inFlight int
	most     int
	polls    int
	price    float64
	limit    int
	ended    int
	atMost   int // jobs end no more after so many; 0 means no bound
}

type fakeJob struct {
	render int
	ends   time.Time
	over   bool
}

func newPlatform(took time.Duration) *platform {
	return &platform{took: took, fail: map[int]bool{}, submits: map[int]int{}, collects: map[int]int{}, jobs: map[string]fakeJob{}, limit: 1000}
}

// at is the platform as one machine sees it.
type at struct {
	*platform
	machine string
}

func (p at) Properties() scheduler.Properties {
	price := p.price
	return scheduler.Properties{Name: "cloud", Type: "runpod", GPU: "rtx4090", Price: &price, Limits: compiler.Limits{InFlight: p.limit, JobBytes: 1 << 20, OutputBytes: 1 << 20, Retention: time.Hour}}
}

// global is a render's index in the whole batch, which its id tells.
func global(job *compiler.Job) int {
	var i int
	fmt.Sscanf(string(job.Prompt), `{"render": %d}`, &i)
	return i
}

func (p at) Submit(_ context.Context, job *compiler.Job, _ scheduler.Terms) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := global(job)
	p.submits[i]++
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	id := fmt.Sprintf("job-%d-%d", i, p.submits[i])
	p.jobs[id] = fakeJob{render: i, ends: time.Now().Add(p.took)}
	return id, nil
}

func (p at) Poll(_ context.Context, remote string) (scheduler.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls++
	job, ok := p.jobs[remote]
	switch {
	case !ok:
		return scheduler.Status{State: scheduler.Gone}, nil
	case time.Now().Before(job.ends), !job.over && p.atMost > 0 && p.ended >= p.atMost:
		return scheduler.Status{State: scheduler.Running}, nil
	}
	if !job.over {
		job.over = true
		p.jobs[remote] = job
		p.inFlight--
		p.ended++
	}
	if p.fail[job.render] {
		return scheduler.Status{State: scheduler.Failed, Execution: p.took, Err: &scheduler.Error{Kind: scheduler.Rejected, Message: "no"}}, nil
	}
	return scheduler.Status{State: scheduler.Completed, Execution: p.took, Outputs: []scheduler.Output{{Filename: "x.png", Base64: "AA=="}}}, nil
}

func (p at) Cancel(_ context.Context, remote string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancels++
	if job, ok := p.jobs[remote]; ok && !job.over {
		delete(p.jobs, remote)
		p.inFlight--
	}
	return nil
}

func (p at) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("x")), nil
}

// Collect implements scheduler.Sink.
func (p at) Collect(_ context.Context, r scheduler.Result) (got scheduler.Collected, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range r.Job.Renders {
		if i != global(r.Job) {
			return got, fmt.Errorf("render %d is collected as %d", global(r.Job), i)
		}
		p.collects[i]++
		got.Done = append(got.Done, scheduler.DoneRender{Render: i, Files: []scheduler.FileRecord{{Path: fmt.Sprintf("images/%d.png", i), SHA256: "00", Bytes: 1}}})
	}
	return got, nil
}

// work is a plan of n renders.
type work struct{ n int }

func (w work) Hash() string { return fmt.Sprint("plan of ", w.n) }
func (w work) Len() int     { return w.n }
func (w work) RenderID(i int) compiler.RenderID {
	return sha256.Sum256(fmt.Append(nil, i))
}

func (w work) Job(renders ...int) (*compiler.Job, error) {
	if len(renders) != 1 || renders[0] >= w.n {
		return nil, errors.New("no such render")
	}
	return &compiler.Job{Renders: renders, Prompt: fmt.Appendf(nil, `{"render": %d}`, renders[0]), Classes: []string{"A"}, Width: 64, Height: 64,
		Owed: []compiler.Owed{{Render: renders[0], Node: "9", Images: 1}}}, nil
}

// Open implements Host.
func (p at) Open(_ context.Context, b Batch) (*Opened, error) {
	if string(b.Bundle.Files["flow.json"]) != "{}" {
		return nil, errors.New("the bundle is not what was submitted")
	}
	return &Opened{Work: work{b.Renders}, Endpoints: []scheduler.Endpoint{p}, Sink: p, Options: scheduler.Options{Name: b.Name, Fuse: 1, Retries: 1}}, nil
}

func openQueue(t testing.TB, url string) *Queue {
	t.Helper()
	q, err := Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

func newQueue(t testing.TB) (q *Queue, url string) {
	t.Helper()
	url = pgtest.New(t)
	return openQueue(t, url), url
}

func fakeBatch(n, slices int) Batch {
	return Batch{Name: "fox", Plan: work{n}.Hash(), Renders: n, Slices: slices, Bundle: Bundle{File: "batch.yaml",
		Files: map[string][]byte{"batch.yaml": []byte("workflow: flow.json"), "flow.json": []byte("{}"), "empty": nil}}}
}

func submit(t testing.TB, q *Queue, b Batch) string {
	t.Helper()
	id, err := q.Submit(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// machine runs a worker with connections of its own. stop ends it and waits.
func machine(t testing.TB, url string, p *platform, slots int) (stop func()) {
	t.Helper()
	name := fmt.Sprintf("m%p", new(int))
	w := &Worker{Queue: openQueue(t, url), Host: at{p, name}, Slots: slots, Grace: time.Minute}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await waits until a batch is as it should be.
func await(t testing.TB, q *Queue, id string, what string, ok func(Status) bool) Status {
	t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for {
		s, err := q.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("not %s: %+v", what, s)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func ended(s Status) bool { return !s.Ended.IsZero() }
