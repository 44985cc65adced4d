package emulator

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequestFaults(t *testing.T) {
	for _, tc := range []struct {
		fault Fault
		taken bool
		check func(r reply) bool
	}{
		{Fault{Kind: LostAnswer}, true, func(r reply) bool { return errors.Is(r.err, io.EOF) }},
		{Fault{Kind: Reset}, false, func(r reply) bool { return errors.Is(r.err, syscall.ECONNRESET) }},
		{Fault{Kind: HTTPStatus}, false, func(r reply) bool { return r.status == 500 && r.header.Get("Retry-After") == "" }},
		{Fault{Kind: HTTPStatus, Status: 502, After: true}, true, func(r reply) bool { return r.status == 502 }},
		{Fault{Kind: HTTPStatus, Status: 429, RetryAfter: 1500 * time.Millisecond}, false, func(r reply) bool { return r.status == 429 && r.header.Get("Retry-After") == "2" }},
		{Fault{Kind: HTML}, false, func(r reply) bool { return r.status == 200 && strings.HasPrefix(r.text, "<html>") }},
		{Fault{Kind: Truncated}, true, func(r reply) bool {
			return errors.Is(r.err, io.ErrUnexpectedEOF) && strings.HasPrefix(r.text, `{"id"`)
		}},
		{Fault{Kind: Redirect, Location: "http://elsewhere.test/"}, false, func(r reply) bool { return r.status == 404 }}, // followed, to a host that is this emulator too
		{Fault{Kind: Oversize}, true, func(r reply) bool { return len(r.text) > 64<<20 && strings.HasSuffix(r.text, " }") }},
		{Fault{Kind: UnknownStatus}, true, func(r reply) bool { return strings.Contains(r.text, `"status":"THINKING"`) }},
		{Fault{Kind: WrongID}, true, func(r reply) bool { return strings.Contains(r.text, `"id":"00000000-`) }},
	} {
		t.Run(string(tc.fault.Kind), func(t *testing.T) {
			tc.fault.At, tc.fault.On = []int{2}, Submit
			timed(t, Endpoint{Worker: "echo", Faults: []Fault{tc.fault}}, func(t *testing.T, e *Emulator, c *client) {
				c.run("/v2/ep/run", `{}`)
				if r := c.do("POST", "/v2/ep/run", `{"input":{}}`); !tc.check(r) {
					t.Errorf("second submit: %d %s %v %v", r.status, clip(r.text), r.header, r.err)
				}
				c.run("/v2/ep/run", `{}`)
				s := e.Stats().Endpoint("ep")
				if want := map[bool]int{true: 3, false: 2}[tc.taken]; s.Accepted != want || s.Faults != 1 || s.Submits != 3 {
					t.Errorf("%d jobs accepted, want %d; %d faults, %d submits", s.Accepted, want, s.Faults, s.Submits)
				}
			})
		})
	}
}

func TestSlow(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", Faults: []Fault{{Kind: Slow, On: Submit, At: []int{1}, Delay: time.Minute}, {Kind: SlowBody, On: Submit, At: []int{2}, Delay: time.Minute}}}, func(t *testing.T, e *Emulator, c *client) {
		for i := range 2 {
			begin := time.Now()
			if r := c.do("POST", "/v2/ep/run", `{"input":{}}`); r.status != 200 || time.Since(begin) != time.Minute {
				t.Errorf("submit %d: %d after %v", i+1, r.status, time.Since(begin))
			}
		}
	})
}

func TestJobFaults(t *testing.T) {
	for _, tc := range []struct {
		fault Fault
		after time.Duration
		want  string // part of the answer
		not   string
	}{
		{Fault{Kind: Partial}, time.Minute, `"a_00001_.png"`, `"b_00001_.png"`},
		{Fault{Kind: NoOutput}, time.Minute, `"COMPLETED"`, `"output"`},
		{Fault{Kind: Failed, Message: "CUDA out of memory"}, time.Minute, `"error":"CUDA out of memory"`, `"output"`},
		{Fault{Kind: Hang}, 9 * time.Minute, `"IN_PROGRESS"`, `"output"`},
		{Fault{Kind: Hang}, 11 * time.Minute, `"TIMED_OUT"`, `"output"`},
		{Fault{Kind: Expired, Delay: time.Minute}, 69 * time.Second, `"COMPLETED"`, ``},
		{Fault{Kind: Expired, Delay: time.Minute}, 71 * time.Second, `job not found`, ``},
		{Fault{Kind: Progress}, 5 * time.Second, `"output":{"progress":50}`, `COMPLETED`},
		{Fault{Kind: Twice}, 10*time.Second + 500*time.Millisecond, `"COMPLETED"`, ``},
		{Fault{Kind: Twice}, 15 * time.Second, `"IN_PROGRESS"`, `"output"`},
		{Fault{Kind: Twice}, 25 * time.Second, `"COMPLETED"`, ``},
	} {
		tc.fault.At = []int{1}
		timed(t, Endpoint{Execution: ExecutionTime{Fixed: 10 * time.Second}, Faults: []Fault{tc.fault}}, func(t *testing.T, e *Emulator, c *client) {
			id := c.run("/v2/ep/run", input(1, "a", "b"))
			time.Sleep(tc.after)
			synctest.Wait()
			r := c.do("GET", "/v2/ep/status/"+id, "")
			if !strings.Contains(r.text, tc.want) || tc.not != "" && strings.Contains(r.text, tc.not) {
				t.Errorf("%s after %v: %s", tc.fault.Kind, tc.after, clip(r.text))
			}
			if p := e.Stats().Endpoint("ep").Prefixes; tc.fault.Kind == Twice && tc.after > 15*time.Second && (len(p) != 2 || p[0].Executed != 2) {
				t.Errorf("runs counted: %v", p)
			}
		})
	}
}

// TestDice holds that faults repeat with the seed, have about their rate, and do not depend on what else is asked.
func TestDice(t *testing.T) {
	rule := []Fault{{Kind: Reset, On: Submit, Rate: 0.25}}
	strikes := func(seed uint64) (out []int) {
		d := newDice(seed, "ep", rule)
		for n := 1; n <= 4000; n++ {
			if d.request(Submit, n) != nil {
				out = append(out, n)
			}
			d.request(Status, n)
		}
		return out
	}
	a, b, c := strikes(1), strikes(1), strikes(2)
	if len(a) < 900 || len(a) > 1100 {
		t.Errorf("%d of 4000 with a rate of 0.25", len(a))
	}
	same, other := 0, 0
	for i := range a {
		if i < len(b) && a[i] == b[i] {
			same++
		}
		if i < len(c) && a[i] == c[i] {
			other++
		}
	}
	if same != len(a) || len(b) != len(a) || other > len(a)/2 {
		t.Errorf("seed 1 twice: %d of %d alike; seed 2: %d", same, len(a), other)
	}
	d := newDice(1, "ep", []Fault{{Kind: Reset, Rate: 1, Times: 3}})
	n := 0
	for i := range 10 {
		if d.request(Submit, i+1) != nil {
			n++
		}
	}
	if n != 3 {
		t.Errorf("a fault of at most 3 times struck %d times", n)
	}
}
