package web

import (
	"bytes"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the service's figures. Labels are bounded: routes as they are declared, classes of statuses, names of the configuration.
// It has a registry of its own, so that several services in one process, as in tests, do not share figures.
type Metrics struct {
	Registry *prometheus.Registry
	requests *prometheus.CounterVec   // by method, route and class of status
	seconds  *prometheus.HistogramVec // by route; buckets from 1 ms to a minute
	open     *prometheus.GaugeVec     // under way, by route
}

// NewMetrics makes the figures of requests and of the process.
// It registers Go's own and the process's figures beside them; a second call makes a second, separate set.
func NewMetrics() *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "comfyc_http_requests_total", Help: "Requests by route and class of status."}, []string{"method", "route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "comfyc_http_request_seconds", Help: "Time to answer, long polls included.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}}, []string{"route"}),
		open:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "comfyc_http_requests_in_flight", Help: "Requests that a handler has not answered yet, long polls included, streams of events not."}, []string{"route"})}
	m.Registry.MustRegister(m.requests, m.seconds, m.open, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request counts one request. The route is its declaration, so that no client can make labels.
// Called after the answer is complete, compression included.
func (m *Metrics) request(r *Route, status int, took time.Duration) {
	m.requests.WithLabelValues(r.Method, r.Path, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(r.Path).Observe(took.Seconds())
}

// begin counts a request that is under way; what it gives ends that.
func (m *Metrics) begin(r *Route) (end func()) {
	g := m.open.WithLabelValues(r.Path)
	g.Inc()
	return g.Dec
}

// Serve answers GET /metrics.
// The handler of Prometheus is net/http's and is fed a request of its own, so that it cannot write past our headers.
func (m *Metrics) Serve() func(*Call) {
	handler := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{DisableCompression: true}))
	return func(c *Call) {
		var inner fasthttp.RequestCtx
		inner.Init(&c.Request, nil, nil)
		handler(&inner)
		c.SetContentType(string(inner.Response.Header.ContentType()))
		c.SetBody(bytes.Clone(inner.Response.Body()))
	}
}
