package service

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/comfyc/comfyc/cmd/internal/service/queue"
)

// gauges tell how the queue and the endpoints stand, when they are asked. Labels are names of the configuration.
// Nothing is counted along the way: each scrape reads the queue's own state, so the figures cannot drift from it.
type gauges struct {
	queue                                  *queue.Queue
	running, waiting, places, busy, usable *prometheus.Desc
	jobs                                   *prometheus.Desc
}

// newGauges names the figures. The list is also that of the dashboard in docs/deploy/grafana.json.
// The names are what alerts are written on, and stay. All begin with "comfyc_".
func newGauges(q *queue.Queue) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("comfyc_"+name, help, labels, nil)
	}
	return &gauges{queue: q,
		running: desc("works_running", "Works that run on this replica.", "kind"),
		waiting: desc("works_waiting", "Works that wait for their turn."),
		places:  desc("endpoint_places", "Jobs that an endpoint may have in flight.", "endpoint"),
		busy:    desc("endpoint_busy", "Places that works hold.", "endpoint"),
		usable:  desc("endpoint_usable", "1 unless the endpoint is known to be out of order.", "endpoint"),
		jobs:    desc("pool_jobs", "Jobs of a pool by state, those that are still kept.", "pool", "state")}
}

// Describe implements prometheus.Collector.
// Describe sends every description once, when the collector is registered.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.running, g.waiting, g.places, g.busy, g.usable, g.jobs} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
// Collect runs at each scrape of /metrics, in the goroutine of that request; it takes the queue's locks for moments only.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := g.queue.Stand()
	tell(g.running, float64(s.Batches), "batch")
	tell(g.running, float64(s.Jobs), "job")
	tell(g.waiting, float64(s.Waiting))
	for _, e := range g.queue.EndpointsHealth() {
		usable := 0.0
		if e.Usable {
			usable = 1
		}
		tell(g.places, float64(e.Places), e.Name)
		tell(g.busy, e.Busy, e.Name)
		tell(g.usable, usable, e.Name)
	}
	for _, name := range g.queue.PoolNames() {
		h := g.queue.Health(name, "", true) // "" and true: the jobs of all keys
		tell(g.jobs, float64(h.Waiting), name, "waiting")
		tell(g.jobs, float64(h.Running), name, "running")
		tell(g.jobs, float64(h.Done), name, "done")
		tell(g.jobs, float64(h.Failed), name, "failed")
	}
}
