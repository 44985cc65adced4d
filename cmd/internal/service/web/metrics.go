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
type Metrics struct {
	Registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics makes the figures of requests and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "comfyc_http_requests_total", Help: "Requests by route and class of status."}, []string{"method", "route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "comfyc_http_request_seconds", Help: "Time to answer, long polls included.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}}, []string{"route"})}
	m.Registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request counts one request. The route is its declaration, so that no client can make labels.
func (m *Metrics) request(r *Route, status int, took time.Duration) {
	m.requests.WithLabelValues(r.Method, r.Path, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(r.Path).Observe(took.Seconds())
}

// Serve answers GET /metrics.
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
