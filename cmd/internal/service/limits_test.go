package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// movedClock is a clock that begins at a known time, goes as all clocks do, and can be put forward.
type movedClock struct {
	began   time.Time
	forward atomic.Int64 // nanoseconds
}

func newClock() *movedClock { return &movedClock{began: time.Now()} }

func (c *movedClock) now() time.Time {
	return time.Date(2026, 8, 15, 12, 0, 0, 0, time.UTC).Add(time.Since(c.began) + time.Duration(c.forward.Load()))
}

func (c *movedClock) add(d time.Duration) { c.forward.Add(int64(d)) }

// keyID cuts a key's id out of its text.
func keyID(text string) string { return strings.Split(text, "_")[1] }

// spend writes a work into the ledger that has cost something.
func (c *client) spend(key, id string, usd float64, at time.Time) {
	c.t.Helper()
	o := &ledger.Order{Work: ledger.Work{ID: id, Kind: ledger.Batch, Owner: keyID(key), State: ledger.Done, Created: at, Finished: at}, Request: []byte("{}")}
	_, _, err := c.svc.ledger.AddWork(c.t.Context(), o)
	if err == nil {
		err = c.svc.ledger.Write(c.t.Context(), func(tx *ledger.Tx) error { return tx.Exec("UPDATE works SET spent = ? WHERE id = ?", usd, id) })
	}
	if err != nil {
		c.t.Fatal(err)
	}
	w, err := c.svc.ledger.Work(c.t.Context(), id)
	if err != nil || w.Spent != usd {
		c.t.Fatalf("the ledger holds %+v, %v", w, err)
	}
}

// A key's month has a budget: a batch that would cost more is stopped before it is paid for, and a key that has spent its budget gets nothing
// more in any of the faces until the month is over.
func TestABudgetHolds(t *testing.T) {
	clock := newClock()
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {dear: {type: preview, gpu: rtx4090, price: {usd_per_second: 100}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends, Now: clock.now})
	text := c.addKey(keys.Limits{BudgetUSD: 5})
	k := c.as(text)
	k.spend(text, strings.Repeat("a", 32), 1000, clock.now().AddDate(0, -1, 0)) // last month's
	batch := small("dear", 50)
	batch["endpoints"] = []string{"dear"}
	id := k.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	end := k.ended(id)
	result := end["result"].(map[string]any)
	if end["state"] != "incomplete" || result["stopped"] != "budget" || result["done"].(float64) >= 50 {
		t.Errorf("a batch above the budget: %v", end)
	}
	k.spend(text, strings.Repeat("b", 32), 5, clock.now())
	if p := k.want(403, "POST", "/api/v1/batches", batch, nil); p["code"] != "budget_exhausted" {
		t.Errorf("a batch without a budget: %v", p)
	}
	if p := k.want(403, "POST", "/v2/dear/run", map[string]any{"input": map[string]any{"workflow": flow(1)}}, nil); !strings.Contains(p["error"].(string), "budget") {
		t.Errorf("a job without a budget: %v", p)
	}
	k.want(204, "DELETE", "/api/v1/batches/"+strings.Repeat("b", 32)+"?purge=true", nil, nil)
	if p := k.want(403, "POST", "/api/v1/batches", batch, nil); p["code"] != "budget_exhausted" {
		t.Errorf("deleting a batch gave its money back: %v", p)
	}
	clock.add(31 * 24 * time.Hour)
	k.want(202, "POST", "/api/v1/batches", batch, nil) // a new month
}

// Two batches of one key that run at once cannot spend its budget twice: each reserves its part.
func TestABudgetIsNotSpentTwice(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {dear: {type: preview, gpu: rtx4090, price: {usd_per_second: 1}, emulator: {execution: 10h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	k := c.as(c.addKey(keys.Limits{BudgetUSD: 1}))
	batch := small("dear", 1)
	batch["endpoints"] = []string{"dear"}
	first := k.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "the first is on the endpoint, and so has reserved its part", func() bool {
		totals, ok := k.want(200, "GET", "/api/v1/batches/"+first, nil, nil)["totals"].(map[string]any)
		return ok && totals["active"] == 1.0
	})
	second := k.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	if end := k.ended(second); end["state"] != "incomplete" || !strings.Contains(fmt.Sprint(end["error"]), "reserved") {
		t.Errorf("the second ended %v", end)
	}
	k.want(202, "DELETE", "/api/v1/batches/"+first, nil, nil)
	k.ended(first)
}

// jobs submits jobs to a pool and gives their ids.
func (c *client) jobs(pool string, n int) (ids []string) {
	c.t.Helper()
	for i := range n {
		ids = append(ids, c.want(200, "POST", "/v2/"+pool+"/run", map[string]any{"input": map[string]any{"workflow": flow(i)}}, nil)["id"].(string))
	}
	return ids
}

// word is a job's state.
func (c *client) word(pool, id string) string {
	c.t.Helper()
	return c.want(200, "GET", "/v2/"+pool+"/status/"+id, nil, nil)["status"].(string)
}

func TestConcurrencyOfAKey(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, limits: {in_flight: 8}, emulator: {execution: 10h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	one, other := c.as(c.addKey(keys.Limits{Concurrent: 1})), c.as(c.addKey(keys.Limits{}))
	mine := one.jobs("slow", 3)
	eventually(t, "the first runs", func() bool { return one.word("slow", mine[0]) == "IN_PROGRESS" })
	theirs := other.jobs("slow", 1) // comes later, and there is room for it
	eventually(t, "another key's runs", func() bool { return other.word("slow", theirs[0]) == "IN_PROGRESS" })
	for _, id := range mine[1:] {
		if s := one.word("slow", id); s != "IN_QUEUE" {
			t.Errorf("beyond the key's limit: %s", s)
		}
	}
	one.want(200, "POST", "/v2/slow/cancel/"+mine[0], nil, nil)
	eventually(t, "the second runs in the first one's place", func() bool { return one.word("slow", mine[1]) == "IN_PROGRESS" })
	if s := one.word("slow", mine[2]); s != "IN_QUEUE" {
		t.Errorf("the third: %s", s)
	}
}

// With one place on the endpoint works run one after the other: those of a higher priority first, then by the keys' weights.
func TestTurnsGoByPriorityAndWeight(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {one: {type: preview, limits: {in_flight: 1}, emulator: {execution: 10h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	boss := c.as(c.addKey(keys.Limits{Scopes: []keys.Scope{keys.Admin}}))
	heavy, light, first := c.as(c.addKey(keys.Limits{Weight: 3})), c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{Priority: 5}))
	runs := boss.jobs("one", 1)[0]
	eventually(t, "the place is taken", func() bool { return boss.word("one", runs) == "IN_PROGRESS" })
	whose := map[string]string{}
	for _, id := range light.jobs("one", 3) {
		whose[id] = "light"
	}
	for _, id := range heavy.jobs("one", 9) {
		whose[id] = "heavy"
	}
	whose[first.jobs("one", 1)[0]] = "first"
	var order []string
	for range 9 {
		boss.want(200, "POST", "/v2/one/cancel/"+runs, nil, nil)
		delete(whose, runs)
		eventually(t, "the next one runs", func() bool {
			for id := range whose {
				if boss.word("one", id) == "IN_PROGRESS" {
					runs = id
					return true
				}
			}
			return false
		})
		order = append(order, whose[runs])
	}
	count := func(list []string, who string) (n int) {
		for _, s := range list {
			if s == who {
				n++
			}
		}
		return n
	}
	if order[0] != "first" || count(order[1:], "heavy") != 6 || count(order[1:5], "heavy") != 3 {
		t.Errorf("turns: %v", order)
	}
}

// A work is swept when its time after its end is over: a batch's and a job's are the service's, or their key's own.
func TestRetention(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	c := serve(t, Options{Dir: dir, Now: clock.now, Config: Config{KeepBatch: 100 * time.Hour, KeepJob: 10 * time.Hour}})
	long, short := c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{Retention: 30 * time.Hour}))
	works := map[string]*client{}
	batch := func(k *client) string {
		id := k.want(202, "POST", "/api/v1/batches", small("kept", 1), nil)["id"].(string)
		if end := k.ended(id); end["state"] != "done" || end["expires"] == nil {
			t.Fatalf("ended %v", end)
		}
		works[id] = k
		return id
	}
	kept, swept := batch(long), batch(short)
	job := long.want(200, "POST", "/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": flow(1)}}, nil)["id"].(string)
	have := func() (out []string) {
		for id, k := range works {
			if answer, _ := k.do("GET", "/api/v1/batches/"+id, nil, nil); answer.StatusCode == 200 {
				out = append(out, id)
			}
		}
		if answer, _ := long.do("GET", "/v2/preview/status/"+job, nil, nil); answer.StatusCode == 200 {
			out = append(out, job)
		}
		slices.Sort(out)
		return out
	}
	again := func(later time.Duration) { // works are swept at each start, and every minute
		c.stop()
		clock.add(later)
		c = serve(t, Options{Dir: dir, Now: clock.now})
		long.http, short.http, long.base, short.base, long.svc = c.http, c.http, c.base, c.base, c.svc
	}
	for _, step := range []struct {
		later time.Duration
		want  []string
	}{{5 * time.Hour, []string{kept, swept, job}}, {10 * time.Hour, []string{kept, swept}}, {30 * time.Hour, []string{kept}}, {30 * time.Hour, []string{kept}}, {60 * time.Hour, nil}} {
		again(step.later)
		slices.Sort(step.want)
		eventually(t, fmt.Sprintf("after %v more: %d works, and the files of no others", step.later, len(step.want)), func() bool {
			for _, id := range []string{kept, swept, job} {
				if _, err := os.Stat(filepath.Join(dir, "works", id)); os.IsNotExist(err) == slices.Contains(step.want, id) {
					return false
				}
			}
			return fmt.Sprint(have()) == fmt.Sprint(step.want)
		})
	}
}

// An Idempotency-Key is its key's own, and of many submits at once one is taken.
func TestIdempotencyAcrossKeysAndAtOnce(t *testing.T) {
	c := serve(t, Options{})
	a, b := c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{}))
	for path, x := range map[string]struct {
		body   any
		status int
	}{"/api/v1/batches": {small("once", 1), 202}, "/v2/preview/run": {map[string]any{"input": map[string]any{"workflow": flow(3)}}, 200},
		"/v1/preview/run": {map[string]any{"input": map[string]any{"workflow": flow(4)}}, 200}} {
		same := header{"Idempotency-Key": "shared" + path}
		ids := make([]string, 16)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				answer, err := c.http.Do(a.request("POST", path, x.body, same))
				if err != nil {
					t.Error(err)
					return
				}
				defer answer.Body.Close()
				if answer.StatusCode != x.status {
					t.Errorf("POST %s at once: %d", path, answer.StatusCode)
				}
				ids[i] = idOf(t, answer.Body)
			})
		}
		all.Wait()
		slices.Sort(ids)
		if n := len(slices.Compact(ids)); n != 1 {
			t.Errorf("%s: %d works for one Idempotency-Key", path, n)
		}
		if other := b.want(x.status, "POST", path, x.body, same)["id"]; other == ids[0] {
			t.Errorf("%s: two keys share a work", path)
		}
		a.want(400, "POST", path, x.body, header{"Idempotency-Key": strings.Repeat("k", 256)})
	}
}

// What a key may do ends with it, in its streams' next request too.
func TestARevokedKeyIsRefused(t *testing.T) {
	c := serve(t, Options{})
	text := c.addKey(keys.Limits{})
	c.addKey(keys.Limits{}) // so that there is one left
	k := c.as(text)
	k.want(200, "GET", "/api/v1/batches", nil, nil)
	if _, err := c.svc.ledger.RevokeKey(context.Background(), keyID(text), time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key is refused", func() bool { answer, _ := k.do("GET", "/api/v1/batches", nil, nil); return answer.StatusCode == 401 })
}
