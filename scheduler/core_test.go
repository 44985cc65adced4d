package scheduler

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

type numbered int

func (n numbered) Len() int { return int(n) }
func (n numbered) RenderID(i int) compiler.RenderID {
	return sha256.Sum256([]byte{byte(i), byte(i >> 8)})
}

// rig drives a core by hand and answers what the test does not care about.
type rig struct {
	*testing.T
	*core
	at   time.Time
	open map[callKind][]call // calls asked for and not answered
	log  []string            // what happened, a word each
	job  func(renders []int) *compiler.Job
}

func newRig(t *testing.T, renders int, opts Options, names ...string) *rig {
	c := blankCore(numbered(renders), opts.filled())
	for i, name := range names {
		price := 0.001
		c.endpoints = append(c.endpoints, newEndpoint(i, Properties{Name: name, GPU: "gpu " + name, Price: &price, Limits: compiler.Limits{InFlight: 4, Retention: time.Hour}}))
	}
	plain := func(renders []int) *compiler.Job { return &compiler.Job{Renders: renders, Prompt: []byte("{}")} }
	return &rig{T: t, core: c, at: noon, open: map[callKind][]call{}, job: plain}
}

// feed takes a step and logs its effects, as "submit a 0" or "render 0 done". Preparing and checking succeed at once.
func (r *rig) feed(in ...input) *rig {
	for len(in) > 0 {
		out := step(r.core, in, r.at)
		in = nil
		for _, ch := range out.changes {
			if ch.Record != nil {
				r.log = append(r.log, fmt.Sprintf("render %d %s", ch.Record.Render, ch.Record.State))
			} else if ch.Attempt != nil {
				r.log = append(r.log, fmt.Sprintf("attempt %d %s", ch.Attempt.Number, ch.Attempt.State))
			}
		}
		for _, k := range out.calls {
			switch k.kind {
			case callPrepare:
				in = append(in, prepared{shard: k.shard, job: r.job(k.renders)})
			case callCheck:
				in = append(in, checked{endpoint: k.endpoint})
			default:
				r.open[k.kind] = append(r.open[k.kind], k)
				r.log = append(r.log, fmt.Sprintf("%s %s %d", [...]string{"", "", "submit", "poll", "cancel", "collect"}[k.kind], r.endpoints[k.endpoint].Name, k.attempt))
			}
		}
	}
	return r
}

// take gives the oldest open call of a kind.
func (r *rig) take(kind callKind) call {
	r.Helper()
	if len(r.open[kind]) == 0 {
		r.Fatalf("no call of kind %d is open; so far:\n%s", kind, strings.Join(r.log, "\n"))
	}
	k := r.open[kind][0]
	r.open[kind] = r.open[kind][1:]
	return k
}

func (r *rig) pass(d time.Duration) *rig {
	r.at = r.at.Add(d)
	return r.feed(tick{})
}

func (r *rig) start() *rig { return r.feed(opened{plan: "p"}) }

func (r *rig) submitOK() *rig {
	k := r.take(callSubmit)
	return r.feed(submitted{attempt: k.attempt, remote: fmt.Sprint("job-", k.attempt)})
}

func (r *rig) submitFails(kind Kind) *rig {
	return r.feed(submitted{attempt: r.take(callSubmit).attempt, err: &Error{Kind: kind, Message: kind.String()}})
}

// pollSays waits for the next poll and answers it.
func (r *rig) pollSays(st Status) *rig {
	for i := 0; len(r.open[callPoll]) == 0 && i < 100; i++ {
		r.pass(100 * time.Millisecond)
	}
	k := r.take(callPoll)
	return r.feed(polled{endpoint: k.endpoint, attempt: k.attempt, status: st})
}

func (r *rig) collectOK() *rig {
	k := r.take(callCollect)
	var got Collected
	for _, i := range k.renders {
		got.Done = append(got.Done, DoneRender{Render: i})
	}
	return r.feed(collected{attempt: k.attempt, got: got})
}

func (r *rig) expect(want ...string) *rig {
	r.Helper()
	if !slices.Equal(r.log, want) {
		r.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(r.log, "\n\t"), strings.Join(want, "\n\t"))
	}
	r.log = nil
	return r
}

func (r *rig) over() *rig {
	r.Helper()
	if !r.core.over() {
		r.Errorf("the run is not over: %v, %d calls", r.counts, r.calls)
	}
	return r
}

var completed = Status{State: Completed, Execution: 2 * time.Second}

func TestStepHappyPath(t *testing.T) {
	newRig(t, 1, Options{}, "a").start().
		expect("attempt 1 submitting", "submit a 1").
		submitOK().expect("attempt 1 submitted").
		pollSays(Status{State: Running}).expect("poll a 1", "attempt 1 running").
		pollSays(Status{State: 200}).expect("poll a 1"). // a state that nobody knows: poll on
		pollSays(completed).expect("poll a 1", "attempt 1 finished", "collect a 1").
		collectOK().expect("render 0 done", "attempt 1 collected").over()
}

// The failure classes of a submit that was not taken.
func TestStepRefused(t *testing.T) {
	for _, tc := range []struct {
		kind Kind
		wait time.Duration
		want []string
	}{
		{Rejected, 0, []string{"attempt 1 failed", "render 0 failed"}},
		{MissingModel, 0, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{OutOfMemory, 0, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{Unauthorized, 0, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{Unreachable, 0, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{Busy, 0, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{Transient, time.Second, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{WorkerFailed, time.Second, []string{"attempt 1 failed", "attempt 2 submitting", "submit b 2"}},
		{Uncertain, time.Hour, []string{"attempt 1 uncertain", "render 0 held"}},
	} {
		t.Run(tc.kind.String(), func(t *testing.T) {
			r := newRig(t, 1, Options{Retries: 1}, "a", "b").start().expect("attempt 1 submitting", "submit a 1")
			r.submitFails(tc.kind).pass(tc.wait).expect(tc.want...)
		})
	}
}

// With one endpoint only, the same classes wait, or give up.
func TestStepRefusedEverywhere(t *testing.T) {
	for _, tc := range []struct {
		kind Kind
		want []string // within a minute
	}{
		{MissingModel, []string{"attempt 1 failed", "render 0 failed"}},
		{OutOfMemory, []string{"attempt 1 failed", "render 0 failed"}},
		{Unauthorized, []string{"attempt 1 failed"}}, // the render waits for a run with a better key
		{Unreachable, []string{"attempt 1 failed", "attempt 2 submitting", "submit a 2"}},
		{Busy, []string{"attempt 1 failed", "attempt 2 submitting", "submit a 2"}},
		{Transient, []string{"attempt 1 failed", "attempt 2 submitting", "submit a 2"}},
	} {
		t.Run(tc.kind.String(), func(t *testing.T) {
			r := newRig(t, 1, Options{Retries: 1}, "a").start().expect("attempt 1 submitting", "submit a 1")
			r.submitFails(tc.kind).pass(time.Minute).expect(tc.want...)
			if tc.kind == Unauthorized && (r.stop != StopUnusable || r.counts[Waiting] != 1) {
				t.Errorf("stopped by %q, %v", r.stop, r.counts)
			}
		})
	}
}

// A busy endpoint is asked again when it said, not before, and this costs no retry.
func TestStepBusyWaitsAsTold(t *testing.T) {
	r := newRig(t, 1, Options{}, "a").start()
	for n := int64(1); n < 5; n++ {
		r.log = nil
		r.feed(submitted{attempt: r.take(callSubmit).attempt, err: &Error{Kind: Busy, RetryAfter: 30 * time.Second}})
		r.pass(29 * time.Second).expect(fmt.Sprintf("attempt %d failed", n))
		r.pass(time.Second).expect(fmt.Sprintf("attempt %d submitting", n+1), fmt.Sprintf("submit a %d", n+1))
	}
}

// A job that is gone is asked for twice before it counts as lost.
func TestStepGone(t *testing.T) {
	r := newRig(t, 1, Options{Retries: 1}, "a").start().submitOK()
	r.log = nil
	r.pollSays(Status{State: Gone}).expect("poll a 1")
	r.pollSays(Status{State: Running}).expect("poll a 1", "attempt 1 running") // it was late only
	r.pollSays(Status{State: Gone}).pollSays(Status{State: Gone})
	r.expect("poll a 1", "poll a 1", "attempt 1 expired", "attempt 2 submitting", "submit a 2")
}

func TestStepPartial(t *testing.T) {
	r := newRig(t, 1, Options{Retries: 1}, "a").start().submitOK().pollSays(completed)
	r.log = nil
	// What could not be fetched is asked for again, without a new job.
	r.feed(collected{attempt: 1, got: Collected{Missing: []MissingRender{{Render: 0, Kind: Transient, Reason: "broke off"}}}})
	r.pollSays(completed).expect("poll a 1", "collect a 1")
	// What is not in the result needs a new one.
	r.feed(collected{attempt: 1, got: Collected{Missing: []MissingRender{{Render: 0, Kind: Lost, Reason: "not there"}}}})
	r.pass(time.Second).expect("attempt 1 failed", "attempt 2 submitting", "submit a 2")
	// What an endpoint will never give is not asked of it again.
	r.submitOK().pollSays(completed)
	r.log = nil
	r.feed(collected{attempt: 2, got: Collected{Missing: []MissingRender{{Render: 0, Kind: Rejected, Reason: "no bucket"}}}})
	r.pass(time.Minute).expect("attempt 2 failed", "render 0 failed")
}

// Of a shard of several renders only what is missing is done again.
func TestStepShardOfSeveral(t *testing.T) {
	r := newRig(t, 3, Options{Retries: 1}, "a")
	s := r.newShard(0, 1, 2)
	r.cursor = 3
	r.feed(opened{plan: "p"})
	r.shards[s.id], r.preparing, r.calls = s, 1, r.calls+1
	r.feed(prepared{shard: s.id, job: &compiler.Job{Renders: s.renders}}).submitOK().pollSays(completed)
	r.log = nil
	r.feed(collected{attempt: 1, got: Collected{Done: []DoneRender{{Render: 0}, {Render: 2}}, Missing: []MissingRender{{Render: 1, Kind: Lost, Reason: "not there"}}}})
	r.pass(time.Second).expect("render 0 done", "render 2 done", "attempt 1 collected", "attempt 2 submitting", "submit a 2")
	if got := r.take(callSubmit).renders; !slices.Equal(got, []int{1}) {
		t.Errorf("sent again: %v", got)
	}
}

// Results are made safe in the order in which they expire.
func TestStepOldestExpiryFirst(t *testing.T) {
	r := newRig(t, 60, Options{}, "a")
	r.endpoints[0].Limits.InFlight = 60
	r.start()
	for len(r.open[callSubmit]) > 0 {
		r.submitOK()
	}
	for n, a := range r.attempts { // those submitted last were seen unfinished the longest ago
		a.alive = noon.Add(-time.Duration(n) * time.Minute)
	}
	for range 40 {
		r.pollSays(completed)
	}
	var expires []time.Time
	for len(r.open[callCollect]) > 0 {
		expires = append(expires, r.attempts[r.open[callCollect][0].attempt].Expires)
		r.collectOK()
	}
	queued := expires[maxCollecting:] // the others were under way before there was a queue
	if len(queued) != 40-maxCollecting || !slices.IsSortedFunc(queued, time.Time.Compare) {
		t.Errorf("%d results, expiring at %v", len(queued), queued)
	}
}

// After a crash, results that are finished remotely are asked for first, by their expiry.
func TestStepFinishedFirstAfterACrash(t *testing.T) {
	r := newRig(t, 3, Options{}, "a")
	var saved []savedAttempt
	for n := range 3 {
		a := Attempt{Number: int64(n + 1), Renders: []RenderRef{{n, r.work.RenderID(n)}}, Try: 1, State: AttemptFinished, Endpoint: "a", Remote: "x", Expires: noon.Add(-time.Duration(n) * time.Hour)}
		if n == 0 {
			a.State = AttemptRunning
		}
		saved = append(saved, savedAttempt{Attempt: a})
	}
	r.feed(opened{plan: "p", attempts: saved}).expect("poll a 3", "poll a 2", "poll a 1")
}

// A job is polled once at a time, also when it is cancelled meanwhile, and what has finished is collected though the run stops.
func TestStepInterruptDuringAPoll(t *testing.T) {
	r := newRig(t, 1, Options{}, "a").start().submitOK()
	for len(r.open[callPoll]) == 0 {
		r.pass(100 * time.Millisecond)
	}
	r.log = nil
	r.feed(interrupted{}).expect("cancel a 1")
	r.feed(cancelAnswer{attempt: r.take(callCancel).attempt}).pass(time.Second).expect()
	r.pollSays(completed).expect("attempt 1 finished", "collect a 1")
	r.collectOK().expect("render 0 done", "attempt 1 collected").over()
}

func TestStepMoney(t *testing.T) {
	cap := 0.012
	r := newRig(t, 9, Options{Budget: &cap, Expect: func(Properties, *compiler.Job) time.Duration { return 2 * time.Second }}, "a").start()
	// Nothing is known yet: only one of these jobs is ventured at once, at twice the expected time.
	r.expect("attempt 1 submitting", "submit a 1")
	if r.money.reserved != 0.004 {
		t.Errorf("reserved %v", r.money.reserved)
	}
	r.submitOK().pollSays(Status{State: Completed, Execution: 3 * time.Second})
	// 0.003 are spent; it is taken to last at most 6 s now, and so only one fits in the 0.009 that are left.
	if got := len(r.open[callSubmit]); got != 1 || math.Abs(r.money.spent-0.003) > 1e-9 || math.Abs(r.money.reserved-0.006) > 1e-9 {
		t.Errorf("%d submits, %+v", got, r.money)
	}
	r.submitOK().pollSays(Status{State: Completed, Execution: 4 * time.Second})
	if r.stop != StopBudget || r.money.reserved > 1e-12 {
		t.Errorf("stopped by %q, %+v", r.stop, r.money)
	}
}

// Illegal transitions are bugs.
func TestIllegalMoves(t *testing.T) {
	for from := AttemptReserved; from <= AttemptExpired; from++ {
		for to := AttemptReserved; to <= AttemptExpired; to++ {
			legal := slices.Contains(attemptMoves[from], to)
			r := newRig(t, 1, Options{}, "a")
			a := &attempt{Attempt: Attempt{Number: 1, State: from}, endpoint: r.endpoints[0], shard: &shard{}}
			if panics(func() { r.setAttempt(a, to) }) == legal {
				t.Errorf("%v to %v: legal is %v", from, to, legal)
			}
			if from.Final() && legal {
				t.Errorf("%v is final but can go to %v", from, to)
			}
		}
	}
	r := newRig(t, 1, Options{}, "a")
	r.setRender(0, Active, nil)
	r.setRender(0, Done, &Record{})
	if !panics(func() { r.setRender(0, Active, nil) }) {
		t.Error("a render that is done became active")
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// TestPollSchedule measures polls on the distributions that the platforms have: few calls, and seen soon.
func TestPollSchedule(t *testing.T) {
	for _, tc := range []struct {
		name     string
		draw     func(*rand.Rand) time.Duration
		polls    float64
		delayP50 time.Duration
	}{
		// No sequence of polls sees half of these within 400 ms at less than 6.06 calls, also if it knows the distribution.
		{"1 to 20 s, lognormal, median 5 s", func(r *rand.Rand) time.Duration {
			return min(max(time.Duration(5*math.Exp(0.7*r.NormFloat64())*1e9), time.Second), 20*time.Second)
		}, 6.6, 420 * time.Millisecond},
		{"1 to 20 s in 98 %, lognormal", func(r *rand.Rand) time.Duration {
			return min(max(time.Duration(4.47*math.Exp(0.643*r.NormFloat64())*1e9), time.Second), 20*time.Second)
		}, 6, 400 * time.Millisecond},
		{"14.5 s give or take", func(r *rand.Rand) time.Duration { return time.Duration((14.5 + 0.4*r.NormFloat64()) * 1e9) }, 4, 300 * time.Millisecond},
		{"2 ms", func(r *rand.Rand) time.Duration { return time.Duration((2 + r.Float64()) * 1e6) }, 1.1, 10 * time.Millisecond},
		{"10 min give or take", func(r *rand.Rand) time.Duration { return time.Duration((600 + 20*r.NormFloat64()) * 1e9) }, 20, 2500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var rng *rand.Rand
			var est estimate
			var delays []time.Duration
			polls, n := 0, 10000
			for i := range n {
				if i%2000 == 0 {
					rng, est = rand.New(rand.NewPCG(uint64(i), 7)), estimate{}
					est.seen(tc.draw(rng))
				}
				took, at, last := tc.draw(rng), time.Duration(0), time.Duration(0)
				for ok := true; ok; ok = at < took {
					last = at
					at += est.nextPoll(at, false)
					polls++
				}
				est.seen(max(last, took))
				delays = append(delays, at-took)
			}
			slices.Sort(delays)
			if mean := float64(polls) / float64(n); mean > tc.polls || delays[n/2] > tc.delayP50 || delays[n*99/100] > 5*time.Second {
				t.Errorf("%.2f polls a job, seen after %v (p50), %v (p99)", mean, delays[n/2], delays[n*99/100])
			} else {
				t.Logf("%.2f polls a job, seen after %v (p50), %v (p99)", mean, delays[n/2], delays[n*99/100])
			}
		})
	}
}

func TestTimeline(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var line timeline[int]
	for i := range 1000 {
		line.add(noon.Add(time.Duration(rng.IntN(50))*time.Second), i)
	}
	last, lastAt := -1, time.Time{}
	for line.len() > 0 {
		at, _ := line.head()
		i := line.take()
		if at.Before(lastAt) || at.Equal(lastAt) && i < last {
			t.Fatalf("%d at %v came after %d at %v", i, at, last, lastAt)
		}
		last, lastAt = i, at
	}
}

func TestSamplesForget(t *testing.T) {
	var s samples
	for i := range 100 {
		s.add(time.Duration((i*37)%100) * time.Second)
		if !slices.IsSorted(s.sorted) || len(s.ring) != len(s.sorted) || len(s.ring) > maxSamples {
			t.Fatalf("after %d: %v, %v", i, s.ring, s.sorted)
		}
	}
	want := slices.Sorted(slices.Values(s.ring))
	if !slices.Equal(want, s.sorted) {
		t.Errorf("got %v, want %v", s.sorted, want)
	}
}

func TestWords(t *testing.T) {
	for s := AttemptReserved; s <= AttemptExpired; s++ {
		if got, err := ParseAttemptState(s.String()); got != s || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	for s := Waiting; s <= Held; s++ {
		if got, err := ParseRenderState(s.String()); got != s || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	for k := Transient; k <= WorkerFailed; k++ {
		if got, err := ParseKind(k.String()); got != k || err != nil || k.Code() == "" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if _, err := ParseKind("nonsense"); err == nil {
		t.Error("nonsense is a kind")
	}
}

func TestExpectSeconds(t *testing.T) {
	flux := &compiler.Job{Classes: []string{"KSampler", "SaveImage"}, Width: 1024, Height: 1024, Renders: []int{0}}
	for _, tc := range []struct {
		p    Properties
		job  *compiler.Job
		want time.Duration
	}{
		{Properties{GPU: "rtx4090"}, flux, 15 * time.Second},
		{Properties{GPU: "H100 SXM"}, flux, 5357142857},
		{Properties{GPU: "rtx4090"}, &compiler.Job{Classes: []string{"ImageScale"}, Renders: []int{0}}, time.Second},
		{Properties{Preview: true}, flux, 50 * time.Millisecond},
	} {
		if got := ExpectSeconds(tc.p, tc.job); got != tc.want {
			t.Errorf("%v on %s: got %v, want %v", tc.job.Classes, tc.p.GPU, got, tc.want)
		}
	}
}

// Every code that a run can show is explained.
func TestCodesAreExplained(t *testing.T) {
	codes := []string{"missing_output", "job_left", "job_too_large", "no_endpoint_fits", "endpoint_left_out", "duplicate_endpoint", "mixed_preview", "unknown_price",
		"unknown_objective", "state_foreign", "state_newer", "state_damaged", "run_locked"}
	for k := Transient; k <= WorkerFailed; k++ {
		codes = append(codes, k.Code())
	}
	for _, s := range []Stop{StopInterrupted, StopBudget, StopDeadline, StopFailFast, StopUnusable, StopSink, StopStore} {
		codes = append(codes, s.Code())
		if s.why() == "" {
			t.Errorf("%s is not put in words", s)
		}
	}
	for _, code := range codes {
		if _, ok := diag.Explain(code); !ok {
			t.Errorf("%q is not explained", code)
		}
	}
}

// A remote that answers a poll with 429 is not polled at all until it said.
func TestStepBusyPolls(t *testing.T) {
	r := newRig(t, 2, Options{}, "a").start().submitOK().submitOK()
	for len(r.open[callPoll]) == 0 {
		r.pass(100 * time.Millisecond)
	}
	k := r.take(callPoll)
	r.open[callPoll], r.log = nil, nil
	r.feed(polled{endpoint: 0, attempt: k.attempt, err: &Error{Kind: Busy, RetryAfter: 20 * time.Second}})
	r.pass(19 * time.Second).expect()
	if r.pass(time.Second); len(r.open[callPoll]) == 0 || r.inFlight != 2 {
		t.Errorf("%d polls after the pause, %d in flight", len(r.open[callPoll]), r.inFlight)
	}
}
