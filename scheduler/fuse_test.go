package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// sent gives the renders of every submit that was asked for and not answered, in order.
func (r *rig) sent() (list [][]int) {
	for _, k := range r.open[callSubmit] {
		list = append(list, k.renders)
	}
	return list
}

func (r *rig) wantShards(want ...[]int) *rig {
	r.Helper()
	if got := r.sent(); !slices.EqualFunc(got, want, slices.Equal) {
		r.Errorf("submitted %v, want %v", got, want)
	}
	return r
}

func file(name string, size int64) compiler.InputFile {
	return compiler.InputFile{Name: name, Size: size}
}

// What keeps renders from one job: each limit alone, on a plan of six renders of which four are asked to go together.
func TestFuseLimits(t *testing.T) {
	whole := [][]int{{0, 1, 2, 3}, {4, 5}}
	pairs, single := [][]int{{0, 1}, {2, 3}, {4, 5}}, [][]int{{0}, {1}, {2}, {3}, {4}, {5}}
	for _, tc := range []struct {
		name string
		set  func(r *rig)
		job  func(j *compiler.Job, i int)
		want [][]int
	}{
		{"none", nil, nil, whole},
		{"off", func(r *rig) { r.opts.Fuse = 1 }, nil, single},
		{"auto, when nothing is known", func(r *rig) { r.opts.Fuse = 0 }, nil, single},
		{"a worker that gives one output", func(r *rig) { r.endpoints[0].OneOutput = true }, nil, single},
		{"the graphs fill the job", func(r *rig) { r.endpoints[0].Limits.JobBytes = 2200 }, func(j *compiler.Job, i int) { j.Prompt = make([]byte, 1000) }, pairs},
		{"files fill the job", func(r *rig) { r.endpoints[0].Limits.JobBytes = 4 << 20 },
			func(j *compiler.Job, i int) { j.Files = []compiler.InputFile{file(fmt.Sprint(i), 1500<<10)} }, pairs},
		{"one file for all", func(r *rig) { r.endpoints[0].Limits.JobBytes = 4 << 20 },
			func(j *compiler.Job, i int) { j.Files = []compiler.InputFile{file("a.png", 1500<<10)} }, whole},
		{"pictures fill the answer", func(r *rig) { r.endpoints[0].Limits.OutputBytes = 5 << 20 },
			func(j *compiler.Job, i int) { j.Width, j.Height = 1024, 1024 }, pairs},
		{"answers that hold addresses", func(r *rig) { r.endpoints[0].Limits.OutputBytes, r.endpoints[0].ByURL = 5<<20, true },
			func(j *compiler.Job, i int) { j.Width, j.Height = 1024, 1024 }, whole},
		{"the time-out", func(r *rig) {
			r.opts.Expect = func(Properties, *compiler.Job) time.Duration { return 140 * time.Second }
		}, nil, pairs},
		{"the budget", func(r *rig) {
			usd := 0.0121
			r.opts.Budget, r.money.limit = &usd, &usd
			r.endpoints[0].Limits.InFlight = 1
		}, // 1 s is reserved as 0.002
			nil, [][]int{{0, 1, 2, 3}}},
		{"too little money for four", func(r *rig) {
			usd := 0.0071
			r.opts.Budget, r.money.limit = &usd, &usd
			r.endpoints[0].Limits.InFlight = 1
		},
			nil, [][]int{{0, 1}}},
		{"other models", nil, func(j *compiler.Job, i int) { j.Models = []string{fmt.Sprint(i % 2)} }, [][]int{{0, 2, 4}, {1, 3, 5}}},
		{"another size", nil, func(j *compiler.Job, i int) { j.Width, j.Height = 512<<(i/3), 512 }, [][]int{{0, 1, 2}, {3, 4, 5}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 6, Options{Fuse: 4}, "a")
			r.endpoints[0].Limits.InFlight = 10
			r.job = func(renders []int) *compiler.Job {
				j := &compiler.Job{Renders: renders, Prompt: []byte("{}"), Width: 64, Height: 64}
				if tc.job != nil {
					tc.job(j, renders[0])
				}
				return j
			}
			if tc.set != nil {
				tc.set(r)
			}
			r.start().wantShards(tc.want...)
		})
	}
}

// A job of several that fails is taken apart. That costs no retry, and the rest is done; what was to blame fails alone.
func TestFuseSplitsOnFailure(t *testing.T) {
	for _, kind := range []Kind{WorkerFailed, Rejected, OutOfMemory, Lost} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, 3, Options{Fuse: 3}, "a").start().wantShards([]int{0, 1, 2})
			r.submitOK().pollSays(Status{State: Failed, Err: &Error{Kind: kind, Message: "bad"}})
			r.pass(time.Second).wantShards([]int{0}, []int{1}, []int{2})
			r.submitOK().submitOK().submitOK()
			for range 3 {
				st := completed
				if r.attempts[r.nextPolled()].shard.renders[0] == 1 {
					st = Status{State: Failed, Err: &Error{Kind: kind, Message: "bad"}}
				}
				r.pollSays(st)
			}
			for len(r.open[callCollect]) > 0 {
				r.collectOK()
			}
			r.pass(time.Minute).over()
			if r.counts[Done] != 2 || r.counts[RenderFailed] != 1 || r.trouble[1].Kind != kind {
				t.Errorf("%v %+v", r.counts, r.trouble)
			}
		})
	}
}

// nextPolled waits for a poll and gives the attempt that it is for.
func (r *rig) nextPolled() int64 {
	for i := 0; len(r.open[callPoll]) == 0 && i < 100; i++ {
		r.pass(100 * time.Millisecond)
	}
	return r.open[callPoll][0].attempt
}

// What says nothing about the job lets it go together again.
func TestFuseAgainAfterTrouble(t *testing.T) {
	for _, kind := range []Kind{Busy, Unreachable} {
		r := newRig(t, 3, Options{Fuse: 3}, "a").start()
		r.submitFails(kind).pass(time.Minute).wantShards([]int{0, 1, 2})
	}
	r := newRig(t, 3, Options{Fuse: 3}, "a", "b").start()
	r.submitFails(MissingModel).wantShards([]int{0, 1, 2})
	if k := r.take(callSubmit); r.endpoints[k.endpoint].Name != "b" {
		t.Errorf("sent to %s again", r.endpoints[k.endpoint].Name)
	}
}

// Of a partial result what came is kept; the rest is done again, each alone, at no retry.
func TestFusePartial(t *testing.T) {
	r := newRig(t, 4, Options{Fuse: 4}, "a").start().submitOK().pollSays(completed)
	got := Collected{Done: []DoneRender{{Render: 0}, {Render: 3}}, Missing: []MissingRender{{Render: 1, Kind: Lost}, {Render: 2, Kind: Lost}}}
	r.feed(collected{attempt: 1, got: got}).pass(time.Second).wantShards([]int{1}, []int{2})
	if r.counts[Done] != 2 || r.trouble[1].Reason != "" {
		t.Errorf("%v %v", r.counts, r.trouble)
	}
	if sum := r.attempts[2].shard.tries + r.attempts[3].shard.tries; sum != 0 {
		t.Errorf("%d retries were taken", sum)
	}
}

// A lost answer holds all renders of the job, with the money at stake in equal parts; so does a crash during the submit.
func TestFuseUncertain(t *testing.T) {
	r := newRig(t, 3, Options{Fuse: 3}, "a").start().submitFails(Uncertain)
	cut := newRig(t, 3, Options{Fuse: 3}, "a")
	usd := 0.006
	cut.feed(opened{plan: "p", meta: Meta{Last: 1}, attempts: []savedAttempt{{Attempt: Attempt{Number: 1, State: AttemptSubmitting, Endpoint: "a",
		Renders: cut.refs([]int{0, 1, 2}), ReservedUSD: &usd}}}})
	for _, r := range []*rig{r, cut} {
		if r.counts[Held] != 3 {
			t.Errorf("%v", r.counts)
		}
		for i := range 3 {
			if s := r.trouble[i].StakeUSD; s == nil || *s < 0.0019 || *s > 0.0021 {
				t.Errorf("stake of render %d: %v of %v", i, s, r.money.stake)
			}
		}
		r.over()
	}
}

// What failed together in an earlier run is tried alone, with all its retries.
func TestFuseAfterACrash(t *testing.T) {
	r := newRig(t, 3, Options{Fuse: 3}, "a")
	failed := Attempt{Number: 1, State: AttemptFailed, Kind: WorkerFailed, Endpoint: "a", Renders: r.refs([]int{0, 1})}
	r.feed(opened{plan: "p", meta: Meta{Last: 1}, attempts: []savedAttempt{{Attempt: failed}}})
	r.wantShards([]int{0}, []int{1}, []int{2})
	if a := r.attempts[2]; a.shard.tries != 0 || a.shard.attempts != 2 {
		t.Errorf("%+v", a.shard.history)
	}
}

// Jobs that keep failing hold ever fewer renders, and more again when they do not.
func TestFuseDebt(t *testing.T) {
	r := newRig(t, 1, Options{Fuse: 8}, "a").start()
	a := r.attempts[1]
	var got []int
	for _, by := range []float64{0, 2, 2, 2, 2, -1, -1, -1, -4} {
		a.blame(by)
		got = append(got, r.mostFused(a.shard, a.endpoint))
	}
	if want := []int{8, 4, 2, 1, 1, 1, 1, 2, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Answers that were seen tell more than the guess by pixels; files that are elsewhere weigh nothing.
func TestFuseLearnsAnswers(t *testing.T) {
	r := newRig(t, 9, Options{Fuse: 4}, "a")
	ep := r.endpoints[0]
	ep.Limits.OutputBytes = 4 << 20
	r.start()
	s := r.attempts[1].shard
	s.pixels = 1 << 20
	for _, tc := range []struct {
		bytes, renders int
		byURL          bool
		want           int64
	}{{0, 1, false, 2 << 20}, {1 << 20, 1, false, 5 << 18}, {4 << 19, 4, false, 5 << 18 * 31 / 32}, {0, 1, true, 1 << 10}} {
		s.class.of(1, ep).learnAnswer(tc.bytes, tc.renders, tc.byURL)
		if got := s.answer(ep); got != tc.want {
			t.Errorf("after %+v: %d", tc, got)
		}
	}
}

// Auto, where jobs wait for workers to start: the part of the start that falls to a job counts as well.
func TestFuseAutoWithColdStarts(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(ep *endpoint)
		want int
	}{
		{"workers stay", func(ep *endpoint) { ep.told, ep.started = 50, 0 }, 1},
		{"one job of 20 waits for a start of 40 s", func(ep *endpoint) { ep.told, ep.started = 40, 2 }, 10},
		{"one of 100 does", func(ep *endpoint) { ep.told, ep.started = 50, 0.5 }, 2},
		{"not enough was seen", func(ep *endpoint) { ep.told, ep.started = 2, 2 }, 1},
		{"workers stop within the pause between two jobs", func(ep *endpoint) {
			ep.Workers.IdleTimeout, ep.depth = 500*time.Millisecond, 0
		}, 30}, // a minute of work is the most that may be lost
		{"answers hold no more", func(ep *endpoint) { ep.told, ep.started, ep.Limits.OutputBytes = 40, 2, 40_000 }, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 1000, Options{}, "a")
			r.job = func(renders []int) *compiler.Job {
				return &compiler.Job{Renders: renders, Prompt: []byte("{}"), Width: 64, Height: 64}
			}
			r.start()
			ep, s := r.endpoints[0], r.attempts[1].shard
			for range 10 {
				s.class.of(1, ep).paid.add(2 * time.Second)
			}
			ep.colds.add(40 * time.Second)
			ep.gaps = samples{}
			tc.set(ep)
			l, n := newCargo(s, ep), 1
			for most := r.mostFused(s, ep); n < most && l.add(s); n++ {
			}
			if n != tc.want {
				t.Errorf("%d go together, want %d", n, tc.want)
			}
		})
	}
}

// For the shortest time all workers start anyway: what their starts cost is no reason to merge, pauses between jobs are.
func TestFuseAutoForFastest(t *testing.T) {
	for objective, want := range map[Objective]int{Balanced: 12, Fastest: 2} {
		r := newRig(t, 1000, Options{Objective: objective}, "a").start()
		ep, s := r.endpoints[0], r.attempts[1].shard
		for range 10 {
			s.class.of(1, ep).paid.add(2 * time.Second)
			ep.gaps.add(400 * time.Millisecond)
		}
		ep.colds.add(40 * time.Second)
		ep.told, ep.started = 40, 2 // a twentieth of the jobs waited for a start: 2 s for each
		if got := r.mostFused(s, ep); got != want {
			t.Errorf("%s: %d go together, want %d", objective, got, want)
		}
	}
}

// Auto: how many go together follows from the pauses that workers make between jobs.
func TestFuseAuto(t *testing.T) {
	for _, tc := range []struct {
		gap, work time.Duration
		waiting   int
		want      int
	}{
		{100 * time.Millisecond, 2 * time.Second, 1000, 1}, // 5 % is no matter
		{500 * time.Millisecond, 2 * time.Second, 1000, 3},
		{2 * time.Second, 2 * time.Second, 1000, 10},
		{2 * time.Second, 2 * time.Second, 20, 5}, // all four places stay busy
		{9 * time.Second, 15 * time.Second, 1000, 4},
		{9 * time.Second, 90 * time.Second, 1000, 1}, // a job of two would lose too much
	} {
		t.Run(fmt.Sprint(tc.gap, tc.work, tc.waiting), func(t *testing.T) {
			r := newRig(t, tc.waiting+4, Options{}, "a").start()
			ep, s := r.endpoints[0], r.attempts[1].shard
			at := noon
			for i := range 10 {
				if got := r.mostFused(s, ep); i < enoughGaps && got != 1 {
					t.Fatalf("%d after %d jobs", got, i)
				}
				a := &attempt{Attempt: Attempt{Worker: "w", Submitted: noon}}
				ep.learnGap(a, Status{Delay: at.Sub(noon), Execution: tc.work})
				s.class.of(1, ep).paid.add(tc.work)
				at = at.Add(tc.work + tc.gap)
			}
			if got := r.mostFused(s, ep); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
