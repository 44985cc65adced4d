package emulator

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

// timed makes a test with virtual time and one endpoint named "ep".
func timed(t *testing.T, ep Endpoint, f func(t *testing.T, e *Emulator, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ep.Name = "ep"
		e := start(t, Config{Endpoints: []Endpoint{ep}, Runner: stub(0), Seed: 1})
		f(t, e, direct1(t, e))
		e.Close()
	})
}

func number(v *source.Value, key string) int {
	n, ok := v.Get(key).Int()
	if !ok {
		return -1
	}
	return n
}

func TestColdStartAndExecution(t *testing.T) {
	timed(t, Endpoint{ColdStart: 45 * time.Second, Execution: ExecutionTime{Fixed: 10 * time.Second}, MaxWorkers: 1, Price: 0.01}, func(t *testing.T, e *Emulator, c *client) {
		a, b := c.run("/v2/ep/run", input(1, "a")), c.run("/v2/ep/run", input(2, "b"))
		for _, at := range []struct {
			after time.Duration
			a, b  string
		}{{44 * time.Second, "IN_QUEUE", "IN_QUEUE"}, {2 * time.Second, "IN_PROGRESS", "IN_QUEUE"}, {10 * time.Second, "COMPLETED", "IN_PROGRESS"}, {10 * time.Second, "COMPLETED", "COMPLETED"}} {
			time.Sleep(at.after)
			synctest.Wait()
			sa, sb := c.state("/v2/ep/status/"+a), c.state("/v2/ep/status/"+b)
			if sa.Get("status").Str() != at.a || sb.Get("status").Str() != at.b {
				t.Errorf("after %v more: %s and %s, want %s and %s", at.after, sa.Get("status").Str(), sb.Get("status").Str(), at.a, at.b)
			}
		}
		sb := c.state("/v2/ep/status/" + b)
		if number(sb, "delayTime") != 55_000 || number(sb, "executionTime") != 10_000 || sb.Get("workerId").Str() == "" {
			t.Errorf("second job: %s", sb.AppendJSON(nil)[:120])
		}
		time.Sleep(time.Minute)
		s := e.Stats().Endpoint("ep")
		// 45 s of start, 20 s of work, 5 s of idling.
		if s.Workers != 0 || s.WorkersStarted != 1 || s.WorkerSeconds != 70 || math.Abs(s.CostUSD-0.70) > 1e-9 {
			t.Errorf("workers %d, started %d, %g s, $%g", s.Workers, s.WorkersStarted, s.WorkerSeconds, s.CostUSD)
		}
	})
}

func TestScaling(t *testing.T) {
	timed(t, Endpoint{MinWorkers: 1, MaxWorkers: 4, Concurrency: 2, ColdStart: time.Second, Execution: ExecutionTime{Fixed: time.Minute}, Worker: "echo"}, func(t *testing.T, e *Emulator, c *client) {
		for range 20 {
			c.run("/v1/ep/run", `{}`)
		}
		check := func(what string, workers, busy, running, pending int) {
			t.Helper()
			v := c.state("/v1/ep/stats")
			have := []int{number(v, "total_workers"), number(v, "busy_workers"), number(v, "in_progress"), number(v, "pending")}
			if want := []int{workers, busy, running, pending}; !slices.Equal(have, want) {
				t.Errorf("%s: workers, busy, running, pending are %v, want %v", what, have, want)
			}
		}
		check("at once", 4, 1, 2, 18)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("after the cold start", 4, 4, 8, 12)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		check("at the end", 1, 0, 0, 0)
	})
}

func TestTimeouts(t *testing.T) {
	slow := ExecutionTime{Fixed: time.Hour}
	timed(t, Endpoint{MaxWorkers: 1, Execution: slow, ExecutionTimeout: 100 * time.Second, TTL: 150 * time.Second, Worker: "echo"}, func(t *testing.T, e *Emulator, c *client) {
		a := c.run("/v2/ep/run", `{}`)
		own := c.do("POST", "/v2/ep/run", `{"input":{},"policy":{"executionTimeout":20000,"ttl":1000000}}`).value(t).Get("id").Str()
		waits := c.run("/v2/ep/run", `{}`)
		early := c.do("POST", "/v2/ep/run", `{"input":{},"policy":{"ttl":60000}}`).value(t).Get("id").Str()
		for _, at := range []struct {
			after time.Duration
			words [4]string
		}{
			{61 * time.Second, [4]string{"IN_PROGRESS", "IN_QUEUE", "IN_QUEUE", "TIMED_OUT"}},
			{40 * time.Second, [4]string{"TIMED_OUT", "IN_PROGRESS", "IN_QUEUE", "TIMED_OUT"}},
			{21 * time.Second, [4]string{"TIMED_OUT", "TIMED_OUT", "IN_PROGRESS", "TIMED_OUT"}},
			{30 * time.Second, [4]string{"TIMED_OUT", "TIMED_OUT", "TIMED_OUT", "TIMED_OUT"}},
		} {
			time.Sleep(at.after)
			synctest.Wait()
			for i, id := range []string{a, own, waits, early} {
				if have := c.state("/v2/ep/status/" + id).Get("status").Str(); have != at.words[i] {
					t.Errorf("%v later, job %d: %s, want %s", at.after, i, have, at.words[i])
				}
			}
		}
	})
}

func TestRetention(t *testing.T) {
	for _, way := range []struct {
		submit, status string
		keep           time.Duration
	}{
		{"/v2/ep/run", "/v2/ep/status/", 30 * time.Minute},
		{"/v2/ep/runsync", "/v2/ep/status/", time.Minute},
		{"/v1/ep/run", "/v1/ep/status/", 6 * time.Hour},
	} {
		timed(t, Endpoint{Worker: "echo"}, func(t *testing.T, e *Emulator, c *client) {
			id := c.run(way.submit, `{}`)
			time.Sleep(way.keep - time.Second)
			if r := c.do("GET", way.status+id, ""); r.status != 200 {
				t.Errorf("%s: a second before the end: %d", way.submit, r.status)
			}
			time.Sleep(2 * time.Second)
			if r := c.do("GET", way.status+id, ""); r.status != 404 || e.Stats().Endpoint("ep").Expired != 1 {
				t.Errorf("%s: a second after the end: %d %s", way.submit, r.status, r.text)
			}
		})
	}
}

func TestRates(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", SubmitPer10s: 5, StatusPer10s: 3}, func(t *testing.T, e *Emulator, c *client) {
		var id string
		for range 5 {
			id = c.run("/v2/ep/run", `{}`)
			time.Sleep(time.Second)
		}
		r := c.do("POST", "/v2/ep/run", `{"input":{}}`)
		if r.status != 429 || r.header.Get("Retry-After") != "5" {
			t.Errorf("sixth submit in 5 s: %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
		}
		time.Sleep(5 * time.Second)
		c.run("/v2/ep/run", `{}`)
		for i := range 4 {
			if r := c.do("GET", "/v2/ep/status/"+id, ""); (r.status == 429) != (i == 3) {
				t.Errorf("poll %d: %d", i+1, r.status)
			}
		}
		s := e.Stats().Endpoint("ep")
		if s.RateLimited != 2 || s.Submits != 7 || s.Accepted != 6 || s.Polls != 4 {
			t.Errorf("counted %+v", s.Counters)
		}
	})
}

func TestQueueLimit(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", QueueLimit: 2, MaxWorkers: 1, Execution: ExecutionTime{Fixed: time.Minute}}, func(t *testing.T, e *Emulator, c *client) {
		for range 3 { // one runs, two wait
			c.run("/v2/ep/run", `{}`)
		}
		if r := c.do("POST", "/v2/ep/run", `{"input":{}}`); r.status != 429 {
			t.Errorf("%d %s", r.status, r.text)
		}
		if r := c.do("POST", "/v2/ep/purge-queue", ""); r.text != `{"removed":2,"status":"completed"}` {
			t.Errorf("purge: %s", r.text)
		}
	})
}

// RunPod allows two purges in 10 s, Novita names no limit, and an endpoint may have none.
func TestPurgeLimit(t *testing.T) {
	for _, tc := range []struct {
		path  string
		limit int
		want  []int
	}{{"/v2", 0, []int{200, 200, 429}}, {"/v1", 0, []int{200, 200, 200}}, {"/v2", -1, []int{200, 200, 200}}} {
		timed(t, Endpoint{Worker: "echo", CancelPer10s: tc.limit}, func(t *testing.T, e *Emulator, c *client) {
			for i, want := range tc.want {
				if r := c.do("POST", tc.path+"/ep/purge-queue", ""); r.status != want {
					t.Errorf("%s, limit %d, call %d: %d %s", tc.path, tc.limit, i+1, r.status, r.text)
				}
			}
			time.Sleep(11 * time.Second)
			if r := c.do("POST", tc.path+"/ep/purge-queue", ""); r.status != 200 {
				t.Errorf("later: %d %s", r.status, r.text)
			}
		})
	}
}

func TestLognormal(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", MaxWorkers: 2000, Execution: ExecutionTime{Median: 14 * time.Second, P95: 39 * time.Second, Max: 78 * time.Second}, SubmitPer10s: -1, StatusPer10s: -1}, func(t *testing.T, e *Emulator, c *client) {
		var ids []string
		for i := range 2000 {
			ids = append(ids, c.run("/v1/ep/run", fmt.Sprint(i)))
		}
		time.Sleep(2 * time.Minute)
		var took []int
		for _, id := range ids {
			took = append(took, number(c.state("/v1/ep/status/"+id), "executionTime"))
		}
		slices.Sort(took)
		if p50 := took[1000]; p50 < 13_000 || p50 > 15_000 {
			t.Errorf("median %d ms", p50)
		}
		if p95 := took[1900]; p95 < 36_000 || p95 > 42_000 {
			t.Errorf("95th percentile %d ms", p95)
		}
		if most := took[1999]; most > 78_000 || took[0] < 1000 {
			t.Errorf("from %d to %d ms", took[0], most)
		}
	})
}
