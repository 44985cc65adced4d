package scheduler_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// fakeWork is a plan of n renders. name makes their ids; renames gives single ones another id, as an edited batch does.
type fakeWork struct {
	n       int
	renames map[int]string
	classes []string
	bad     map[int]error // renders whose job cannot be made
	side    int           // of the pictures, in pixels; 0 means 64
}

func (w *fakeWork) Hash() string { return fmt.Sprint(w.n, w.renames) }
func (w *fakeWork) Len() int     { return w.n }

func (w *fakeWork) RenderID(i int) compiler.RenderID {
	name := fmt.Sprint("render ", i)
	if s, ok := w.renames[i]; ok {
		name = s
	}
	return sha256.Sum256([]byte(name))
}

func (w *fakeWork) Job(renders ...int) (*compiler.Job, error) {
	job := &compiler.Job{Renders: renders, Prompt: []byte(`{"1":{}}`), Classes: w.classes, Width: cmp.Or(w.side, 64), Height: cmp.Or(w.side, 64)}
	for _, i := range renders {
		if err := w.bad[i]; err != nil {
			return nil, err
		}
		job.Owed = append(job.Owed, compiler.Owed{Render: i, Prefix: fmt.Sprint(i), Images: 1})
	}
	return job, nil
}

// faults are the odds of a fakeEnd's misbehaviour, each from 0 to 1.
type faults struct {
	submit500, submit429, refused, lostTaken, lostUntaken         float64
	poll500, gone, jobFails, outOfMemory, partial, unknown, never float64
	cancel500                                                     float64
}

// fakeEnd is a remote in virtual time. What it did is counted per render.
type fakeEnd struct {
	props  scheduler.Properties
	queue  time.Duration                  // before a worker takes a job
	work   time.Duration                  // paid time
	spread time.Duration                  // added at random
	draw   func(*rand.Rand) time.Duration // the paid time, if it is not nil
	lag    time.Duration                  // of every call
	faults faults
	hangs  func() bool             // calls never answer
	down   func() *scheduler.Error // what every call answers, nil for none
	reject map[int]*scheduler.Error
	silent bool // does not tell Delay and Execution
	check  error
	before func(job *compiler.Job)        // called as a submit arrives
	onPoll func(now time.Time)            // called as a poll is answered
	onTake func(id string, end time.Time) // called as a job is taken
	terms  func(scheduler.Terms)          // called with the terms of each submit
	answer int                            // bytes of a picture in base64; 0 means 4. What is over the limit is lost, as on a platform

	mu       sync.Mutex
	rng      *rand.Rand
	jobs     map[string]*fakeJob
	taken    map[int]int       // jobs taken, by render
	order    []int             // renders in the order in which they were taken
	tokens   map[string]string // ids of jobs taken, by the token of the attempt
	unclear  map[int]int       // jobs taken whose answer was lost
	rendered map[int]int
	cancels  int
	stops    []time.Time // of cancels
	polls    int
	submits  []time.Time
	busy     int // jobs not final
	mostBusy int
	paid     float64
}

type fakeJob struct {
	renders       []int
	at, from, end time.Time
	state         scheduler.State
	err           *scheduler.Error
	partial       bool
	gives         int // renders of which a partial one gives files
	closed        bool
}

func newEnd(name string, seed uint64) *fakeEnd {
	price := 0.001
	return &fakeEnd{props: scheduler.Properties{Name: name, Type: "runpod", GPU: "rtx4090", Price: &price,
		Limits: compiler.Limits{InFlight: 20, SubmitPer10s: 1000, StatusPer10s: 2000, JobBytes: 4 << 20, OutputBytes: 4 << 20, Retention: 30 * time.Minute}},
		work: 2 * time.Second, lag: 20 * time.Millisecond,
		rng: rand.New(rand.NewPCG(seed, 1)), jobs: map[string]*fakeJob{}, taken: map[int]int{}, unclear: map[int]int{}, tokens: map[string]string{}, rendered: map[int]int{}}
}

func (e *fakeEnd) Properties() scheduler.Properties { return e.props }

func (e *fakeEnd) Check(ctx context.Context) error {
	if err := e.wait(ctx); err != nil {
		return err
	}
	return e.check
}

// wait lets the call's lag pass.
func (e *fakeEnd) wait(ctx context.Context) error {
	if e.hangs != nil && e.hangs() {
		<-ctx.Done()
		return ctx.Err()
	}
	if e.lag > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(e.lag):
		}
	}
	if e.down != nil {
		if err := e.down(); err != nil {
			return err
		}
	}
	return nil
}

func (e *fakeEnd) chance(p float64) bool { return p > 0 && e.rng.Float64() < p }

func (e *fakeEnd) trouble(kind scheduler.Kind, text string) *scheduler.Error {
	return &scheduler.Error{Kind: kind, Endpoint: e.props.Name, Op: "call", Message: text}
}

func (e *fakeEnd) Submit(ctx context.Context, job *compiler.Job, terms scheduler.Terms) (string, error) {
	if e.before != nil {
		e.before(job)
	}
	if e.terms != nil {
		e.terms(terms)
	}
	e.mu.Lock()
	e.submits = append(e.submits, time.Now())
	e.mu.Unlock()
	if err := e.wait(ctx); err != nil {
		var told *scheduler.Error
		if errors.As(err, &told) {
			return "", told
		}
		return "", e.trouble(scheduler.Uncertain, err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.faults
	switch {
	case e.reject[job.Renders[0]] != nil:
		return "", e.reject[job.Renders[0]]
	case e.chance(f.submit500):
		return "", e.trouble(scheduler.Transient, "500")
	case e.chance(f.refused):
		return "", e.trouble(scheduler.Unreachable, "connection refused")
	case e.chance(f.submit429):
		err := e.trouble(scheduler.Busy, "429")
		err.RetryAfter = time.Duration(e.rng.IntN(3000)) * time.Millisecond
		return "", err
	case e.chance(f.lostUntaken):
		return "", e.trouble(scheduler.Uncertain, "reset")
	}
	id := e.take(job)
	e.tokens[terms.Token] = id
	if e.chance(f.lostTaken) {
		e.unclear[job.Renders[0]]++
		return "", e.trouble(scheduler.Uncertain, "reset")
	}
	return id, nil
}

// takenAs gives the id of the job that was taken with a token, "" if none was.
func (e *fakeEnd) takenAs(token string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tokens[token]
}

// came counts the jobs that were taken so far.
func (e *fakeEnd) came() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs)
}

func (e *fakeEnd) take(job *compiler.Job) string {
	id := fmt.Sprintf("%s-%d", e.props.Name, len(e.jobs)+1)
	now := time.Now()
	j := &fakeJob{renders: job.Renders, at: now, from: now.Add(e.queue), state: scheduler.Completed}
	work := e.work * time.Duration(len(job.Renders))
	if e.spread > 0 {
		work += time.Duration(e.rng.Int64N(int64(e.spread)))
	}
	if e.draw != nil {
		work = e.draw(e.rng)
	}
	j.end = j.from.Add(work)
	switch f := e.faults; {
	case e.chance(f.jobFails):
		j.state, j.err = scheduler.Failed, e.trouble(scheduler.WorkerFailed, "node 3 failed")
	case e.chance(f.outOfMemory):
		j.state, j.err = scheduler.Failed, e.trouble(scheduler.OutOfMemory, "CUDA out of memory")
	case e.chance(f.gone):
		j.state = scheduler.Gone
	case e.chance(f.never):
		j.end = now.Add(10000 * time.Hour)
	case e.chance(f.partial):
		j.partial, j.gives = true, e.rng.IntN(len(job.Renders))
	}
	e.jobs[id] = j
	if e.onTake != nil {
		e.onTake(id, j.end)
	}
	for _, i := range job.Renders {
		e.taken[i]++
		e.order = append(e.order, i)
	}
	e.busy++
	e.mostBusy = max(e.mostBusy, e.busy)
	return id
}

func (e *fakeEnd) Poll(ctx context.Context, remote string) (scheduler.Status, error) {
	if err := e.wait(ctx); err != nil {
		return scheduler.Status{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.polls++
	if e.onPoll != nil {
		e.onPoll(time.Now())
	}
	if e.chance(e.faults.poll500) {
		return scheduler.Status{}, e.trouble(scheduler.Transient, "502")
	}
	if e.chance(e.faults.unknown) {
		return scheduler.Status{State: scheduler.Unknown}, nil
	}
	j := e.jobs[remote]
	if j == nil {
		return scheduler.Status{State: scheduler.Gone}, nil
	}
	return e.status(j), nil
}

func (e *fakeEnd) status(j *fakeJob) scheduler.Status {
	now := time.Now()
	st := scheduler.Status{State: scheduler.Queued, Worker: "w1"}
	switch {
	case j.state == scheduler.Cancelled:
		st.State = scheduler.Cancelled
	case now.Before(j.from):
	case now.Before(j.end):
		st.State = scheduler.Running
	default:
		e.closeJob(j)
		st.State, st.Err = j.state, j.err
		if !e.silent {
			st.Delay, st.Execution = j.from.Sub(j.at), j.end.Sub(j.from)
		}
		if j.state == scheduler.Completed {
			for _, i := range j.given() {
				st.Outputs = append(st.Outputs, e.output(i))
			}
			if !e.props.ByURL && int64(e.answer*len(st.Outputs)) > e.props.Limits.OutputBytes {
				st.State, st.Outputs, st.Err = scheduler.Failed, nil, e.trouble(scheduler.Lost, "the job is completed without output")
			}
		}
	}
	return st
}

func (e *fakeEnd) output(i int) scheduler.Output {
	switch {
	case e.props.ByURL:
		return scheduler.Output{Filename: fmt.Sprint(i), URL: "https://bucket.example/x"}
	case e.answer > 0:
		return scheduler.Output{Filename: fmt.Sprint(i), Base64: strings.Repeat("A", e.answer)}
	}
	return scheduler.Output{Filename: fmt.Sprint(i), Base64: "aGk="}
}

func (j *fakeJob) given() []int {
	if j.partial {
		return j.renders[:j.gives]
	}
	return j.renders
}

func (e *fakeEnd) closeJob(j *fakeJob) {
	if j.closed {
		return
	}
	j.closed = true
	e.busy--
	e.paid += j.end.Sub(j.from).Seconds()
	for _, i := range j.renders {
		e.rendered[i]++
	}
}

func (e *fakeEnd) Cancel(ctx context.Context, remote string) error {
	if err := e.wait(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancels++
	e.stops = append(e.stops, time.Now())
	if e.chance(e.faults.cancel500) {
		return e.trouble(scheduler.Transient, "500")
	}
	if j := e.jobs[remote]; j != nil && !j.closed && time.Now().Before(j.end) {
		j.closed, j.state = true, scheduler.Cancelled
		e.busy--
	}
	return nil
}

func (e *fakeEnd) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("hi")), nil
}

// fakeSink keeps what it was given.
type fakeSink struct {
	lag  time.Duration
	fail func() error // trouble of the whole sink

	mu      sync.Mutex
	files   map[int]int // collects that gave a file, by render
	results []scheduler.Result
}

func (s *fakeSink) Collect(ctx context.Context, r scheduler.Result) (got scheduler.Collected, err error) {
	if s.lag > 0 {
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(s.lag):
		}
	}
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return got, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[int]int{}
	}
	s.results = append(s.results, r)
	have := map[string]bool{}
	for _, out := range r.Outputs {
		have[out.Filename] = true
	}
	for _, owed := range r.Job.Owed {
		if !have[owed.Prefix] {
			got.Missing = append(got.Missing, scheduler.MissingRender{Render: owed.Render, Kind: scheduler.Lost, Reason: "no file " + owed.Prefix})
			continue
		}
		s.files[owed.Render]++
		got.Done = append(got.Done, scheduler.DoneRender{Render: owed.Render, Files: []scheduler.FileRecord{
			{Path: "images/" + owed.Prefix + ".png", Bytes: 2, Preview: r.Endpoint.Preview}}})
	}
	return got, nil
}
