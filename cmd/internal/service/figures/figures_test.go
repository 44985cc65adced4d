package figures

import (
	"math"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestText is what a scraper reads: names, help, kinds, labels, buckets, escapes, in an order that does not depend on the order of use.
func TestText(t *testing.T) {
	var s Set
	jobs := s.Gauge("pool_jobs", "Jobs of a pool\nby \\ state.", "pool", "state")
	seconds := s.Histogram("request_seconds", "Time.", []float64{.025, 1}, "route")
	requests := s.Counter("requests_total", "Requests.", "method", "route", "status")
	s.Counter("unused_total", "Never counted.")
	plain := s.Counter("sent_total", "Sent.")
	s.Before(func() { plain.Set(3) })
	jobs.Set(2, "b", "waiting")
	jobs.Add(1.5, "a", "x\"y\\z\n\xff")
	jobs.Add(-2, "b", "waiting")
	for _, v := range []float64{.025, .0250001, 1, 7, math.Inf(1)} {
		seconds.Observe(v, "/")
	}
	requests.Inc("GET", "/", "2xx")
	requests.Inc("GET", "/", "2xx")
	want := `# HELP pool_jobs Jobs of a pool\nby \\ state.
# TYPE pool_jobs gauge
pool_jobs{pool="a",state="x\"y\\z\n` + "\uFFFD" + `"} 1.5
pool_jobs{pool="b",state="waiting"} 0
# HELP request_seconds Time.
# TYPE request_seconds histogram
request_seconds_bucket{route="/",le="0.025"} 1
request_seconds_bucket{route="/",le="1"} 3
request_seconds_bucket{route="/",le="+Inf"} 5
request_seconds_sum{route="/"} +Inf
request_seconds_count{route="/"} 5
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{method="GET",route="/",status="2xx"} 2
# HELP sent_total Sent.
# TYPE sent_total counter
sent_total 3
`
	for range 3 {
		if got := string(s.Text()); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestManyAtOnce counts from many goroutines while others scrape; nothing is lost.
func TestManyAtOnce(t *testing.T) {
	var s Set
	n := s.Counter("n_total", "", "who")
	h := s.Histogram("h", "", []float64{1, 2})
	open := s.Gauge("open", "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				open.Add(1)
				n.Inc([]string{"a", "b"}[i%2])
				h.Observe(float64(i % 4))
				open.Add(-1)
				if i%250 == 0 {
					s.Text()
				}
			}
		})
	}
	wg.Wait()
	text := string(s.Text())
	for _, line := range []string{`n_total{who="a"} 4000`, `n_total{who="b"} 4000`, `h_bucket{le="1"} 4000`, `h_bucket{le="2"} 6000`, `h_bucket{le="+Inf"} 8000`, `h_sum 12000`, `h_count 8000`, `open 0`} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, text)
		}
	}
}

// TestProcess: the process's own figures are there and plausible.
func TestProcess(t *testing.T) {
	var s Set
	s.Process()
	text := string(s.Text())
	names := []string{"go_goroutines", "go_memstats_alloc_bytes", "go_memstats_alloc_bytes_total", "go_gc_cycles_total", "go_sched_gomaxprocs_threads", `go_info{version="` + runtime.Version() + `"}`}
	if runtime.GOOS == "linux" {
		names = append(names, "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_max_fds")
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` [0-9][0-9.e+]*$`).MatchString(text) {
			t.Errorf("no %s in\n%s", name, text)
		}
	}
}

// TestWrongFamilies are bugs of the caller.
func TestWrongFamilies(t *testing.T) {
	for what, f := range map[string]func(s *Set){
		"a name twice":    func(s *Set) { s.Gauge("a", ""); s.Counter("a", "") },
		"a wrong name":    func(s *Set) { s.Gauge("a b", "") },
		"a wrong label":   func(s *Set) { s.Gauge("a", "", `x"`) },
		"four labels":     func(s *Set) { s.Gauge("a", "", "b", "c", "d", "e") },
		"falling bounds":  func(s *Set) { s.Histogram("a", "", []float64{2, 1}) },
		"too few values":  func(s *Set) { s.Counter("a", "", "b").Inc() },
		"too many values": func(s *Set) { s.Counter("a", "").Inc("b") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", what)
				}
			}()
			f(&Set{})
		}()
	}
}
