package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The service is inside of cmd, where this package cannot look. Its own benchmarks are run as a process, and their figures taken over.
// Figures come from the lines that `go test` prints; a benchmark that was not run gives 0, and a goal on it is then missed.
var serviceCases = []Case{
	{Name: "ServiceSubmit", What: "POST /api/v1/batches from 64 connections, checked and durable, against a bare fasthttp handler that writes the same row with the same group commit; jobs against runpod's own --rp_serve_api, if that SDK is installed",
		Skip: needGo, Run: serviceSubmit, Goals: []Goal{{Unit: "of-bare", Least: 0.5, Meaning: "half of a bare handler"}, {Unit: "times", Least: 5, Meaning: "5 times runpod's --rp_serve_api"}}},
	{Name: "ServiceRead", What: "status, and the events of a batch that has ended, from 64 connections: requests a second and the 99th percentile", Skip: needGo, Run: serviceRead},
	{Name: "ServiceSoak", What: "a million mixed requests (looks of every face, checks, submits that are cancelled, mistakes): what of heap and goroutines stays, against a tenth of them", Skip: needGo, Run: serviceSoak,
		Goals: []Goal{{Unit: "heap-end/heap-tenth", Most: 1.1, Meaning: "the heap grows by no more than a tenth"}, {Unit: "goroutines-more", Most: 10, Meaning: "no goroutine leaks"}}},
}

// needGo skips where only the built binary is: these cases compile tests.
func needGo(*Env) error {
	_, err := exec.LookPath("go")
	return err
}

// serviceFigures runs benchmarks of the service and gives their figures: benchmark → unit → value.
// times is Go's -benchtime, such as 20000x: fixed counts, so that p99 is over enough requests. Two hours bound the soak.
func (e *Env) serviceFigures(pattern, times string) (map[string]map[string]float64, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", times, "-timeout", "2h", "./cmd/internal/service")
	cmd.Dir, cmd.Stderr = e.Root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the service's benchmarks: %w\n%s", err, out)
	}
	figures := map[string]map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-") // the number of processors after the dash
		figures[name] = map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[name][fields[i+1]] = v
			}
		}
	}
	return figures, lines.Err()
}

// serviceSubmit runs four benchmarks in one process; the peer's is left out where that SDK is not installed.
func serviceSubmit(e *Env, b *testing.B) error {
	figures, err := e.serviceFigures("^Benchmark(Submit|Bare|Job|Peer)$", "20000x")
	if err != nil {
		return err
	}
	b.ReportMetric(figures["Submit"]["req/s"], "submit-req/s")
	b.ReportMetric(figures["Submit"]["p99-ms"], "submit-p99-ms")
	b.ReportMetric(figures["Job"]["p99-ms"], "job-p99-ms")
	b.ReportMetric(figures["Bare"]["p99-ms"], "bare-p99-ms")
	b.ReportMetric(figures["Job"]["req/s"], "job-req/s")
	b.ReportMetric(figures["Bare"]["req/s"], "bare-req/s")
	b.ReportMetric(figures["Submit"]["req/s"]/figures["Bare"]["req/s"], "of-bare")
	if peer := figures["Peer"]["req/s"]; peer > 0 {
		b.ReportMetric(peer, "peer-req/s")
		b.ReportMetric(figures["Peer"]["p99-ms"], "peer-p99-ms")
		b.ReportMetric(figures["Job"]["req/s"]/peer, "times")
	}
	b.ReportMetric(0, "ns/op")
	return nil
}

// serviceRead looks at what clients do most: asking, and following events.
func serviceRead(e *Env, b *testing.B) error {
	figures, err := e.serviceFigures("^Benchmark(Status|Events)$", "20000x")
	if err != nil {
		return err
	}
	b.ReportMetric(figures["Status"]["req/s"], "status-req/s")
	b.ReportMetric(figures["Events"]["req/s"], "events-req/s")
	b.ReportMetric(figures["Status"]["p99-ms"], "status-p99-ms")
	b.ReportMetric(figures["Events"]["p99-ms"], "events-p99-ms")
	b.ReportMetric(0, "ns/op")
	return nil
}

// serviceSoak takes minutes. What grew between the first tenth and the end is what would grow for ever.
func serviceSoak(e *Env, b *testing.B) error {
	figures, err := e.serviceFigures("^BenchmarkSoak$", "1000000x")
	if err != nil {
		return err
	}
	for _, unit := range []string{"heap-end/heap-tenth", "goroutines-more"} {
		b.ReportMetric(figures["Soak"][unit], unit)
	}
	b.ReportMetric(0, "ns/op")
	return nil
}
