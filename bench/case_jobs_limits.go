package bench

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Jobs against the limits of a platform: how much of what they allow is used, and what many jobs that wait cost this machine.
// The first has the goal as a share: what is not used of a limit is time that a user waits.
var jobLimitCases = []Case{
	{Name: "JobsFarAway", What: "1,000 instant jobs whose answers come 100 ms later: against what the rate of submits and the places in flight allow together, and against what the places alone would allow",
		Run: jobsFarAway, Goals: []Goal{{Unit: "share", Least: 0.9, Meaning: "at least 90 % of what the rate and the places in flight allow"}}},
	{Name: "JobsPending10000", What: "10,000 jobs of 30 s that are pending at once, polled within 2,000 calls per 10 s; the platform is another process", Skip: needUnix,
		Run: jobsPending, Goals: []Goal{{Unit: "%-core", Most: 15, Meaning: "under 15 % of a core"}, {Unit: "peak-MB", Most: 200, Meaning: "under 200 MB"}}},
}

// The rates are the platform's published ones.
const (
	farAway     = 100 * time.Millisecond // added to each answer
	farJobs     = 1000
	farRate     = 1000 // submits per 10 s, as RunPod takes them
	farPlaces   = 40   // jobs in flight at a time
	pendingJobs = 10_000
	pendingRate = 2000 // polls per 10 s, as RunPod takes them
)

// distance is a way to a remote that is far away.
// The delay stands after the answer: the server has worked already, and only we wait.
type distance struct{ http.RoundTripper }

func (d distance) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := d.RoundTripper.RoundTrip(r)
	select {
	case <-r.Context().Done(): // the run is being stopped
	case <-time.After(farAway):
	}
	return answer, err
}

// jobsFarAway measures twice: with the platform's rate and some places, and with those places and no rate.
// Without the rate, the second figure shows whether the first one is short of places or of our own speed.
func jobsFarAway(e *Env, b *testing.B) error {
	base, _, stop, err := e.jobServer()
	if err != nil {
		return err
	}
	defer stop()
	plan, err := e.jobPlanOf(flow, farJobs)
	if err != nil {
		return err
	}
	var byRate, byPlaces time.Duration
	calls := distance{newCounter()}
	for b.Loop() {
		took, err := e.timed(b.Context(), "runpod", plan, base, calls, compiler.Limits{InFlight: farPlaces, SubmitPer10s: farRate, StatusPer10s: unlimited})
		if err != nil {
			return err
		}
		byRate += took
		if took, err = e.timed(b.Context(), "runpod", plan, base, calls, compiler.Limits{InFlight: farPlaces, SubmitPer10s: unlimited, StatusPer10s: unlimited}); err != nil {
			return err
		}
		byPlaces += took
	}
	n := float64(farJobs * b.N)
	// A job needs two calls of 100 ms each: the submit and the poll that finds it done.
	rate, places := float64(farRate)/10, farPlaces/(2*farAway.Seconds()) // a job holds its place for two answers
	b.ReportMetric(rate, "allowed-by-rate/s")
	b.ReportMetric(n/byRate.Seconds(), "jobs/s")
	b.ReportMetric(n/byRate.Seconds()/math.Min(rate, places), "share")
	b.ReportMetric(places, "allowed-by-places/s")
	b.ReportMetric(n/byPlaces.Seconds(), "places-alone-jobs/s")
	b.ReportMetric(n/byPlaces.Seconds()/places, "places-alone-share")
	b.ReportMetric(0, "ns/op")
	return nil
}

// timed runs a plan in a new folder.
// kind is the dialect. It starts counting when everything is open, so neither SQLite's start nor the endpoint's are in it.
func (e *Env) timed(ctx context.Context, kind string, plan *compiler.Plan, base string, calls http.RoundTripper, limits compiler.Limits) (time.Duration, error) {
	price := 0.0
	end, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: kind, URL: base, Price: &price, FromUser: true, Limits: limits}, dialect.Deps{Transport: calls})
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(e.Temp, "jobs")
	if err != nil {
		return 0, err
	}
	st, err := store.Open(dir)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	start := time.Now()
	// No fusing: one render, one job. Fastest, since cheapest would let few workers do all.
	sum, err := scheduler.Run(ctx, plan, []scheduler.Endpoint{end}, st, counted{}, scheduler.Options{Objective: scheduler.Fastest, MaxParallel: max(limits.InFlight, 1), Fuse: 1})
	if err != nil || !sum.AllDone() {
		return 0, notDone(sum, err)
	}
	return time.Since(start), nil
}

// needUnix skips elsewhere: /proc is what is read.
func needUnix(*Env) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("processor time and peak memory are read from Linux")
	}
	return nil
}

// jobsPending measures the cost of waiting: timers, polls within their rate, and the memory of 10,000 open jobs. %-core is processor time by
// time on the clock. The emulator is another process, so that what is measured is ours.
func jobsPending(e *Env, b *testing.B) error {
	// The emulator's rates are switched off; ours are what is kept.
	base, stop, err := e.emulate(fmt.Sprintf("endpoints:\n  ep: {dialects: [novita, runpod], workers: {min: %d, max: %d}, execution: 30s, limits: {submit_per_10s: 10000000, status_per_10s: 10000000}}\n",
		pendingJobs, pendingJobs))
	if err != nil {
		return err
	}
	defer stop()
	// Small pictures: 10,000 large ones would keep this machine busy for minutes with drawing them.
	plan, err := e.jobPlanOf(strings.ReplaceAll(flow, ":512", ":16"), pendingJobs)
	if err != nil {
		return err
	}
	worst, peak, polls := 0.0, 0.0, 0.0
	for b.Loop() {
		calls := newCounter()
		runtime.GC()                                              // what earlier cases left must not count into the peak
		_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak starts anew; without the right to it, the figure is higher
		before := processorTime()
		took, err := e.timed(b.Context(), "novita", plan, base+"/v1/ep", calls, compiler.Limits{InFlight: pendingJobs, SubmitPer10s: unlimited, StatusPer10s: pendingRate})
		if err != nil {
			return err
		}
		worst = math.Max(worst, (processorTime()-before).Seconds()/took.Seconds()) // the worst turn, as a user might have it
		peak = math.Max(peak, peakMB())
		polls = float64(calls.n.Load()) / pendingJobs
	}
	b.ReportMetric(100*worst, "%-core")
	b.ReportMetric(peak, "peak-MB")
	b.ReportMetric(polls, "requests/job")
	b.ReportMetric(0, "ns/op")
	return nil
}

// emulate starts `comfyc emulate` as a process, and gives its address: the first line on its stdout, which also says that it is ready. stop
// kills it and waits.
func (e *Env) emulate(config string) (base string, stop func(), err error) {
	program, err := e.comfyc()
	if err != nil {
		return "", nil, err
	}
	file, err := e.write("pending/emulator.yaml", config)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(program, "emulate", "--listen", "127.0.0.1:0", "--config", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the emulator did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// peakMB is the most memory that this process has held since its peak was cleared.
// VmHWM is in KiB; 0 where it cannot be read.
func peakMB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscan(rest, &kib)
	return kib * 1024 / 1e6
}
