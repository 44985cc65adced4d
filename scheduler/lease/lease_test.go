package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// once checks that every render was submitted and collected once.
func (p *platform) once(t *testing.T, n int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range n {
		if p.submits[i] != 1 || p.collects[i] != 1 {
			t.Errorf("render %d was submitted %d times and collected %d times", i, p.submits[i], p.collects[i])
		}
	}
}

// Three machines share a batch and an endpoint, and its limit holds for all of them together.
func TestThreeMachines(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(100 * time.Millisecond)
	p.limit = 12
	b := fakeBatch(200, 8)
	id := submit(t, q, b)
	for range 3 {
		machine(t, url, p, 2)
	}
	s := await(t, q, id, "ended", ended)
	p.once(t, 200)
	if s.Totals.Done != 200 || s.Totals.Waiting != 0 || len(s.Slices) != 8 {
		t.Errorf("%+v", s)
	}
	if p.most > 12 {
		t.Errorf("%d jobs were in flight, and 12 are allowed", p.most)
	}
	i := 0
	for rec, err := range q.Store(id).Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Render != i || rec.ID != (work{200}).RenderID(i) || rec.State != scheduler.Done || rec.Files[0].Path != fmt.Sprintf("images/%d.png", i) {
			t.Fatalf("record %d: %+v", i, rec)
		}
		i++
	}
	m, err := q.Store(id).Meta(ctx)
	if i != 200 || err != nil || m.Name != "fox" || m.Renders != 200 || m.Started.IsZero() {
		t.Errorf("%d records, %+v, %v", i, m, err)
	}
	await(t, q, id, "given back", func(Status) bool {
		var granted int
		if err := q.db.Pool.QueryRow(ctx, "SELECT COALESCE(SUM(granted), 0) FROM limits").Scan(&granted); err != nil {
			t.Fatal(err)
		}
		return granted == 0
	})
}

// A machine that goes in good order hands its slices over at once, and what it submitted is not submitted again.
func TestHandOver(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(2 * time.Second)
	id := submit(t, q, fakeBatch(40, 2))
	stop := machine(t, url, p, 2)
	await(t, q, id, "all submitted", func(Status) bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.submits) == 40 })
	stop()
	s := await(t, q, id, "free", func(s Status) bool { return s.Slices[0].State == "free" && s.Slices[1].State == "free" })
	if p.cancels > 0 || !s.Ended.IsZero() {
		t.Errorf("%d jobs were cancelled", p.cancels)
	}
	at := time.Now()
	machine(t, url, p, 2)
	await(t, q, id, "taken", func(s Status) bool { return s.Slices[0].State != "free" })
	if took := time.Since(at); took > Silence/2 {
		t.Errorf("the next machine began after %v", took)
	}
	await(t, q, id, "ended", ended)
	p.once(t, 40)
}

// Three machines are restarted one after the other while they work: nothing is sent twice, and all is done.
func TestRollingRestart(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(200 * time.Millisecond)
	p.limit = 12
	id := submit(t, q, fakeBatch(240, 9))
	var stops []func()
	for range 3 {
		stops = append(stops, machine(t, url, p, 2))
	}
	for i, stop := range stops {
		await(t, q, id, "some done", func(s Status) bool { return s.Totals.Done >= 40*(i+1) })
		stop()
		machine(t, url, p, 2)
	}
	s := await(t, q, id, "ended", ended)
	p.once(t, 240)
	if s.Totals.Done != 240 || p.cancels > 0 || p.most > 12 {
		t.Errorf("%+v, %d jobs were cancelled, and %d were in flight at once", s.Totals, p.cancels, p.most)
	}
}

// silence makes the database believe that the owners were silent for a while, and takes the slices from them: in one transaction, so that no
// write of theirs comes in between.
func silence(t *testing.T, q *Queue, slices int) {
	t.Helper()
	err := q.db.Tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE slices SET heartbeat = heartbeat - interval '31 s' WHERE state = 'held'"); err != nil {
			return err
		}
		n, err := q.takeOver(ctx, tx)
		if err == nil && n != slices {
			err = fmt.Errorf("%d slices were taken over", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A machine that was only slow finds its slices taken over, writes nothing and submits nothing; the next one polls its jobs.
func TestTakeOver(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(time.Second)
	p.limit, p.atMost = 10, 8
	id := submit(t, q, fakeBatch(60, 2))
	machine(t, url, p, 2)
	await(t, q, id, "some done", func(s Status) bool { return s.Totals.Done == 8 })
	before := await(t, q, id, "held", func(s Status) bool { return s.Slices[0].State == "held" && s.Slices[1].State == "held" })
	silence(t, q, 2)
	p.mu.Lock()
	p.atMost = 0
	p.mu.Unlock()
	machine(t, url, p, 2)
	s := await(t, q, id, "ended", ended)
	for i, slice := range s.Slices {
		if slice.Epoch < before.Slices[i].Epoch+2 {
			t.Errorf("slice %d: epoch %d after %d", i, slice.Epoch, before.Slices[i].Epoch)
		}
	}
	if s.Totals.Done+s.Totals.Held != 60 {
		t.Errorf("%+v", s.Totals)
	}
	for i := range 60 {
		if p.submits[i] > 1 {
			t.Errorf("render %d was submitted %d times", i, p.submits[i])
		}
	}
	if s.Totals.Held > 2*16 {
		t.Errorf("%d renders are uncertain", s.Totals.Held)
	}
}

// A machine that dies after it got a slice's job and before it took the slice does not keep the slice from being run.
func TestLostJob(t *testing.T) {
	q, url := newQueue(t)
	id := submit(t, q, fakeBatch(10, 1))
	if n, err := q.sweep(ctx); err != nil || n != 0 {
		t.Fatalf("%d slices were handed out twice, %v", n, err)
	}
	if _, err := q.db.Pool.Exec(ctx, `UPDATE river_job SET state = 'running', attempted_at = now() - interval '20 s', attempt = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := q.db.Pool.Exec(ctx, `UPDATE slices SET heartbeat = heartbeat - interval '20 s'`); err != nil {
		t.Fatal(err)
	}
	p := newPlatform(0)
	machine(t, url, p, 1)
	await(t, q, id, "ended", ended)
	p.once(t, 10)
}

// The budget is of all slices together.
func TestBudget(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(100 * time.Millisecond)
	p.price = 1 // a job costs 0.10
	b := fakeBatch(200, 6)
	limit := 6.0
	b.Budget = &limit
	id := submit(t, q, b)
	for range 3 {
		machine(t, url, p, 2)
	}
	s := await(t, q, id, "ended", ended)
	m, err := q.Store(id).Meta(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Each slice learns by itself what a job costs, and the first one of a slice reserves what is said of its kind. What is left is less than that.
	var first float64
	if err := q.db.Pool.QueryRow(ctx, "SELECT max(reserved) FROM attempts").Scan(&first); err != nil {
		t.Fatal(err)
	}
	if m.SpentUSD > limit+1e-6 || limit-m.SpentUSD >= first || s.Totals.Waiting == 0 {
		t.Errorf("spent %v of %v, and a first job reserves %v: %+v", m.SpentUSD, limit, first, s.Totals)
	}
	var granted float64
	if err := q.db.Pool.QueryRow(ctx, "SELECT granted FROM batches").Scan(&granted); err != nil || granted > limit+1e-6 || granted < m.SpentUSD-1e-6 {
		t.Errorf("granted %v for %v spent, %v", granted, m.SpentUSD, err)
	}
	if !slices.ContainsFunc(s.Slices, func(s SliceStatus) bool { return s.Stopped == scheduler.StopBudget }) {
		t.Errorf("no slice says why it stopped: %+v", s.Slices)
	}
	t.Logf("spent %.2f of %.2f, %d done; a first job reserves %.2f", m.SpentUSD, limit, s.Totals.Done, first)
}

func TestMaxParallel(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(50 * time.Millisecond)
	b := fakeBatch(60, 4)
	b.MaxParallel = 5
	id := submit(t, q, b)
	for range 2 {
		machine(t, url, p, 2)
	}
	await(t, q, id, "ended", ended)
	p.once(t, 60)
	if p.most > 5 {
		t.Errorf("%d were in flight", p.most)
	}
}

func TestCancelAndRetry(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(time.Second)
	p.limit = 10
	p.fail[0], p.fail[1] = true, true
	id := submit(t, q, fakeBatch(100, 3))
	machine(t, url, p, 2)
	await(t, q, id, "some done", func(s Status) bool { return s.Totals.Done > 3 })
	if err := q.Cancel(ctx, id); err != nil {
		t.Fatal(err)
	}
	s := await(t, q, id, "ended", ended)
	if s.Asked != "cancel" || s.Totals.Cancelled == 0 || s.Totals.Done+s.Totals.Cancelled+s.Totals.Failed != 100 {
		t.Errorf("%+v", s)
	}
	p.mu.Lock()
	p.took, p.fail = time.Millisecond, map[int]bool{}
	p.mu.Unlock()
	if err := q.Retry(ctx, id, true, false); err != nil {
		t.Fatal(err)
	}
	s = await(t, q, id, "ended", ended)
	if s.Totals.Done != 100 {
		t.Errorf("after the retry: %+v", s.Totals)
	}
	for _, call := range []error{q.Cancel(ctx, "none"), q.Retry(ctx, "none", true, true), q.Remove(ctx, "none")} {
		if !errors.Is(call, ErrNoBatch) {
			t.Errorf("got %v", call)
		}
	}
	if err := q.Remove(ctx, id); err != nil {
		t.Error(err)
	}
	if _, err := q.Status(ctx, id); !errors.Is(err, ErrNoBatch) {
		t.Errorf("a removed batch: %v", err)
	}
	var blobs int
	if err := q.db.Pool.QueryRow(ctx, "SELECT count(*) FROM blobs").Scan(&blobs); err != nil || blobs != 0 {
		t.Errorf("%d files are left, %v", blobs, err)
	}
}

// stranger opens every batch as something else.
type stranger struct{ at }

func (s stranger) Open(ctx context.Context, b Batch) (*Opened, error) {
	o, err := s.at.Open(ctx, b)
	if err == nil {
		o.Work = work{b.Renders + 1}
	}
	return o, err
}

// A machine whose plan is another one does not touch the batch, and says so.
func TestOtherPlan(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(0)
	id := submit(t, q, fakeBatch(10, 1))
	w := &Worker{Queue: openQueue(t, url), Host: stranger{at{p, "s"}}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	s := await(t, q, id, "given back", func(s Status) bool { return s.Slices[0].Reason != "" && s.Slices[0].State == "free" })
	if len(p.submits) > 0 || s.Slices[0].Reason[:33] != "open the batch: here the batch co" {
		t.Errorf("%d submits, %+v", len(p.submits), s.Slices)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestIdempotency(t *testing.T) {
	q, _ := newQueue(t)
	b := fakeBatch(10, 1)
	b.Owner, b.Idempotency = "me", "k"
	first := submit(t, q, b)
	if again := submit(t, q, b); again != first {
		t.Errorf("%s is not %s", again, first)
	}
	b.Owner = "you"
	if other := submit(t, q, b); other == first {
		t.Error("another owner's key is the same batch")
	}
	got, err := q.Get(ctx, first)
	if err != nil || string(got.Bundle.Files["flow.json"]) != "{}" || len(got.Bundle.Files) != 3 || got.Bundle.File != "batch.yaml" {
		t.Errorf("%+v, %v", got, err)
	}
	ids, err := q.Batches(ctx, "you", 10)
	if err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}

// Events come in order, from all slices, none twice, and end with the batch.
func TestWatch(t *testing.T) {
	q, url := newQueue(t)
	p := newPlatform(20 * time.Millisecond)
	id := submit(t, q, fakeBatch(50, 5))
	machine(t, url, p, 3)
	done, last := map[int]int{}, int64(0)
	var totals scheduler.Totals
	for e, err := range q.Watch(ctx, id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Totals != nil {
			totals = *e.Totals
			continue
		}
		if e.Seq <= last {
			t.Fatalf("event %d after %d", e.Seq, last)
		}
		last = e.Seq
		if e.Render != nil && e.Render.State == scheduler.Done {
			done[e.Render.Index]++
		}
	}
	for i := range 50 {
		if done[i] != 1 {
			t.Errorf("render %d was told done %d times", i, done[i])
		}
	}
	if totals.Done != 50 || totals.Active != 0 {
		t.Errorf("%+v", totals)
	}
}

// An endpoint's trouble that one slice meets pauses it for all.
func TestSharedPause(t *testing.T) {
	q, _ := newQueue(t)
	id := submit(t, q, fakeBatch(10, 2))
	var traders []*trader
	for i := range 2 {
		h, err := q.claim(ctx, args{Batch: id, Slice: i, Epoch: 0}, "me")
		if err != nil || h == nil {
			t.Fatal(err)
		}
		traders = append(traders, &trader{h: h})
	}
	want := func(change func(*scheduler.EndpointWant)) scheduler.Want {
		ep := scheduler.EndpointWant{Name: "cloud", Places: 4, Submits: 10}
		ep.Limits.InFlight, ep.Limits.SubmitPer10s = 6, 4000
		change(&ep)
		return scheduler.Want{Parallel: 10, Endpoints: []scheduler.EndpointWant{ep}}
	}
	trade := func(i int, change func(*scheduler.EndpointWant)) scheduler.EndpointGrant {
		t.Helper()
		g, err := traders[i].Trade(ctx, want(change))
		if err != nil {
			t.Fatal(err)
		}
		return g.Endpoints[0]
	}
	if g := trade(0, func(*scheduler.EndpointWant) {}); g.Places != 4 || g.Submits != 0 && g.Submits != 10 || g.Runs != 1 {
		t.Errorf("the first: %+v", g)
	}
	if g := trade(1, func(*scheduler.EndpointWant) {}); g.Places != 2 || g.Runs != 2 {
		t.Errorf("the second gets what is left: %+v", g)
	}
	if g := trade(0, func(w *scheduler.EndpointWant) { w.InFlight = 4 }); g.Places != 4 {
		t.Errorf("what is in flight stays: %+v", g)
	}
	if g := trade(0, func(w *scheduler.EndpointWant) { w.InFlight = 1 }); g.Places != 3 {
		t.Errorf("then each has a half: %+v", g)
	}
	if g := trade(1, func(*scheduler.EndpointWant) {}); g.Places != 3 {
		t.Errorf("then each has a half: %+v", g)
	}
	trade(0, func(w *scheduler.EndpointWant) {
		w.Pause, w.Open, w.Reason = 10*time.Second, true, "down"
	})
	if g := trade(1, func(*scheduler.EndpointWant) {}); g.Pause < 5*time.Second || g.Submits != 0 {
		t.Errorf("not paused: %+v", g)
	}
	if _, err := q.db.Pool.Exec(ctx, "UPDATE limits SET until = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	if a, b := trade(0, func(*scheduler.EndpointWant) {}), trade(1, func(*scheduler.EndpointWant) {}); a.Submits+b.Submits != 1 {
		t.Errorf("a broken endpoint is probed by %d and %d submits", a.Submits, b.Submits)
	}
	trade(0, func(w *scheduler.EndpointWant) { w.Worked = true })
	if _, err := q.db.Pool.Exec(ctx, "UPDATE limits SET until = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	if g := trade(1, func(*scheduler.EndpointWant) {}); g.Submits < 2 {
		t.Errorf("it works again: %+v", g)
	}
	// A slice that was taken over trades no more.
	if _, err := q.db.Pool.Exec(ctx, "UPDATE slices SET epoch = epoch + 1 WHERE slice = 1"); err != nil {
		t.Fatal(err)
	}
	if g, err := traders[1].Trade(ctx, want(func(*scheduler.EndpointWant) {})); err == nil {
		t.Errorf("after it was taken over: %+v", g)
	}
	if traders[1].h.fence() == nil {
		t.Error("it does not know that it was taken over")
	}
}

func TestFairPart(t *testing.T) {
	for _, tc := range []struct {
		places, mine int
		others       []int
		want         int
	}{
		{10, 20, nil, 10},
		{10, 3, nil, 3},
		{10, 20, []int{20}, 5},
		{10, 20, []int{2}, 8},
		{10, 2, []int{20, 20}, 2},
		{9, 20, []int{20, 1}, 4},
		{2, 5, []int{5, 5, 5}, 1},
		{10, 0, []int{20}, 0},
	} {
		if got := fairPart(tc.places, tc.mine, tc.others); got != tc.want {
			t.Errorf("%+v: got %d", tc, got)
		}
	}
}

func TestFence(t *testing.T) {
	h := &hold{alive: time.Now()}
	if err := h.fence(); err != nil {
		t.Error(err)
	}
	h.alive = time.Now().Add(-selfStop - time.Second)
	if h.fence() == nil {
		t.Error("a silent owner goes on")
	}
	h.alive = time.Now()
	h.lose()
	var fenced *scheduler.FencedError
	if !errors.As(h.fence(), &fenced) {
		t.Error("a lost lease is used")
	}
}

func TestBundle(t *testing.T) {
	for name, b := range map[string]Bundle{
		"no batch": {File: "a", Files: map[string][]byte{"b": nil}},
		"outside":  {File: "a", Files: map[string][]byte{"a": nil, "../b": nil}},
		"absolute": {File: "a", Files: map[string][]byte{"a": nil, "/etc/passwd": nil}},
		"too big":  {File: "a", Files: map[string][]byte{"a": make([]byte, MaxBundle+1)}},
	} {
		if b.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
