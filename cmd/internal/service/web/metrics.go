package web

import (
	"strconv"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/figures"
)

// Metrics are the service's figures. Labels are bounded: routes as they are declared, classes of statuses, names of the configuration.
// It has a set of its own, so that several services in one process, as in tests, do not share figures.
type Metrics struct {
	Figures  figures.Set
	requests figures.Counter   // by method, route and class of status
	seconds  figures.Histogram // by route; buckets from 1 ms to a minute
	open     figures.Gauge     // under way, by route
}

// NewMetrics makes the figures of requests and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{}
	m.requests = m.Figures.Counter("comfyc_http_requests_total", "Requests by route and class of status.", "method", "route", "status")
	m.seconds = m.Figures.Histogram("comfyc_http_request_seconds", "Time to answer, long polls included.", []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}, "route")
	m.open = m.Figures.Gauge("comfyc_http_requests_in_flight", "Requests that a handler has not answered yet, long polls included, streams of events not.", "route")
	m.Figures.Process()
	return m
}

// request counts one request. The route is its declaration, so that no client can make labels.
// Called after the answer is complete, compression included.
func (m *Metrics) request(r *Route, status int, took time.Duration) {
	m.requests.Inc(r.Method, r.Path, strconv.Itoa(status/100)+"xx")
	m.seconds.Observe(took.Seconds(), r.Path)
}

// begin counts a request that is under way; what it gives ends that.
func (m *Metrics) begin(r *Route) (end func()) {
	m.open.Add(1, r.Path)
	return func() { m.open.Add(-1, r.Path) }
}

// Serve answers GET /metrics.
func (m *Metrics) Serve() func(*Call) {
	return func(c *Call) {
		c.SetContentType(figures.ContentType)
		c.SetBody(m.Figures.Text())
	}
}
