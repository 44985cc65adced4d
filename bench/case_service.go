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
var serviceCases = []Case{
	{Name: "ServiceSubmit", What: "POST /api/v1/batches from 64 connections, checked and durable, against a bare fasthttp handler that writes the same row with the same group commit; jobs against runpod's own --rp_serve_api, if that SDK is installed",
		Skip: needGo, Run: serviceSubmit, Goals: []Goal{{Unit: "of-bare", Least: 0.5, Meaning: "half of a bare handler"}, {Unit: "times", Least: 5, Meaning: "5 times runpod's --rp_serve_api"}}},
	{Name: "ServiceRead", What: "status and events from 64 connections", Skip: needGo, Run: serviceRead},
	{Name: "ServiceSoak", What: "a million mixed requests: what of heap and goroutines stays, against a tenth of them", Skip: needGo, Run: serviceSoak,
		Goals: []Goal{{Unit: "heap-end/heap-tenth", Most: 1.1, Meaning: "the heap grows by no more than a tenth"}, {Unit: "goroutines-more", Most: 10, Meaning: "no goroutine leaks"}}},
}

func needGo(*Env) error {
	_, err := exec.LookPath("go")
	return err
}

// serviceFigures runs benchmarks of the service and gives their figures: benchmark → unit → value.
func (e *Env) serviceFigures(pattern, times string) (map[string]map[string]float64, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", times, "./cmd/internal/service")
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
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		figures[name] = map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[name][fields[i+1]] = v
			}
		}
	}
	return figures, lines.Err()
}

func serviceSubmit(e *Env, b *testing.B) error {
	figures, err := e.serviceFigures("^Benchmark(Submit|Bare|Job|Peer)$", "20000x")
	if err != nil {
		return err
	}
	b.ReportMetric(figures["Submit"]["req/s"], "submit-req/s")
	b.ReportMetric(figures["Job"]["req/s"], "job-req/s")
	b.ReportMetric(figures["Bare"]["req/s"], "bare-req/s")
	b.ReportMetric(figures["Submit"]["req/s"]/figures["Bare"]["req/s"], "of-bare")
	if peer := figures["Peer"]["req/s"]; peer > 0 {
		b.ReportMetric(peer, "peer-req/s")
		b.ReportMetric(figures["Job"]["req/s"]/peer, "times")
	}
	b.ReportMetric(0, "ns/op")
	return nil
}

func serviceRead(e *Env, b *testing.B) error {
	figures, err := e.serviceFigures("^Benchmark(Status|Events)$", "20000x")
	if err != nil {
		return err
	}
	b.ReportMetric(figures["Status"]["req/s"], "status-req/s")
	b.ReportMetric(figures["Events"]["req/s"], "events-req/s")
	b.ReportMetric(0, "ns/op")
	return nil
}

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
