package scheduler_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// instant is a remote in this process whose jobs are done at once.
type instant struct {
	mu    sync.Mutex
	n     int
	polls int
}

func (e *instant) Properties() scheduler.Properties {
	price := 0.0
	return scheduler.Properties{Name: "instant", Type: "runpod", Price: &price, Limits: compiler.Limits{InFlight: 1000, JobBytes: 1 << 22, OutputBytes: 1 << 22, Retention: time.Hour}}
}

func (e *instant) Submit(context.Context, *compiler.Job, scheduler.Terms) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	return fmt.Sprint("job-", e.n), nil
}

func (e *instant) Poll(context.Context, string) (scheduler.Status, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.polls++
	return scheduler.Status{State: scheduler.Completed, Outputs: []scheduler.Output{{Filename: "x.png", Base64: "aGk="}}}, nil
}

func (e *instant) Cancel(context.Context, string) error { return nil }
func (e *instant) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return nil, io.EOF
}

// takeAll is a sink that does nothing.
type takeAll struct{}

func (takeAll) Collect(_ context.Context, r scheduler.Result) (got scheduler.Collected, err error) {
	for _, i := range r.Job.Renders {
		got.Done = append(got.Done, scheduler.DoneRender{Render: i, Files: []scheduler.FileRecord{{Path: fmt.Sprintf("images/%d.png", i), Type: "image/png", SHA256: "00", Bytes: 2}}})
	}
	return got, nil
}

// BenchmarkInstantJobs is the loop's own cost: 5,000 jobs that are done at once, every intent synced before its submit.
func BenchmarkInstantJobs(b *testing.B) {
	const n = 5000
	for _, kind := range []string{"memory", "sqlite"} {
		b.Run(kind, func(b *testing.B) {
			polls := 0
			for b.Loop() {
				var st scheduler.Store = &store.Memory{}
				if kind == "sqlite" {
					var err error
					if st, err = store.Open(b.TempDir()); err != nil {
						b.Fatal(err)
					}
				}
				end := &instant{}
				sum, err := scheduler.Run(context.Background(), &fakeWork{n: n}, []scheduler.Endpoint{end}, st, takeAll{}, scheduler.Options{})
				if err != nil || !sum.AllDone() {
					b.Fatal(err, sum)
				}
				polls += end.polls
				st.Close()
			}
			jobs := float64(n * b.N)
			b.ReportMetric(jobs/b.Elapsed().Seconds(), "jobs/s")
			b.ReportMetric(1+float64(polls)/jobs, "requests/job")
		})
	}
}

// BenchmarkResume opens a batch of 100,000 renders of which 99,000 are done, until its first submit.
func BenchmarkResume(b *testing.B) {
	const n, left = 100_000, 1000
	dir, work := b.TempDir(), &fakeWork{n: n}
	st, err := store.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { st.Close() }()
	full := scheduler.Options{}
	ctx, cancel := context.WithCancel(context.Background())
	full.OnEvent = func(e scheduler.Event) {
		if e.Totals != nil && e.Totals.Waiting <= left {
			cancel()
		}
	}
	if _, err := scheduler.Run(ctx, work, []scheduler.Endpoint{&instant{}}, st, takeAll{}, full); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		st.Close()
		if st, err = store.Open(dir); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		end := &first{cancel: cancel}
		sum, err := scheduler.Run(ctx, work, []scheduler.Endpoint{end}, st, takeAll{}, scheduler.Options{ResubmitUncertain: true})
		if err != nil || sum.Kept < n-left {
			b.Fatal(err, sum.Kept)
		}
		cancel()
	}
}

// first stops a run at its first submit.
type first struct {
	instant
	cancel func()
}

func (e *first) Submit(context.Context, *compiler.Job, scheduler.Terms) (string, error) {
	e.cancel()
	return "", &scheduler.Error{Kind: scheduler.Transient, Message: "stopped"}
}
