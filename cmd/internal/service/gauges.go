package service

import (
	"github.com/comfyc/comfyc/cmd/internal/service/figures"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
)

// tellQueue adds how the queue and the endpoints stand. Labels are names of the configuration.
// Nothing is counted along the way: each scrape reads the queue's own state, so the figures cannot drift from it; the queue's locks are held for
// moments only. The names are what alerts and the dashboard in docs/deploy/grafana.json are written on, and stay.
func tellQueue(set *figures.Set, q *queue.Queue) {
	running := set.Gauge("comfyc_works_running", "Works that run on this replica.", "kind")
	waiting := set.Gauge("comfyc_works_waiting", "Works that wait for their turn.")
	places := set.Gauge("comfyc_endpoint_places", "Jobs that an endpoint may have in flight.", "endpoint")
	busy := set.Gauge("comfyc_endpoint_busy", "Places that works hold.", "endpoint")
	usable := set.Gauge("comfyc_endpoint_usable", "1 unless the endpoint is known to be out of order.", "endpoint")
	jobs := set.Gauge("comfyc_pool_jobs", "Jobs of a pool by state, those that are still kept.", "pool", "state")
	set.Before(func() {
		s := q.Stand()
		running.Set(float64(s.Batches), "batch")
		running.Set(float64(s.Jobs), "job")
		waiting.Set(float64(s.Waiting))
		for _, e := range q.EndpointsHealth() {
			places.Set(float64(e.Places), e.Name)
			busy.Set(e.Busy, e.Name)
			well := 0.0
			if e.Usable {
				well = 1
			}
			usable.Set(well, e.Name)
		}
		for _, name := range q.PoolNames() {
			h := q.Health(name, "", true) // "" and true: the jobs of all keys
			jobs.Set(float64(h.Waiting), name, "waiting")
			jobs.Set(float64(h.Running), name, "running")
			jobs.Set(float64(h.Done), name, "done")
			jobs.Set(float64(h.Failed), name, "failed")
		}
	})
}

// tellTraces adds the figures of the exporter of spans.
// What was dropped shows whether the collector keeps up; both only grow while the process lives.
func tellTraces(set *figures.Set, e *trace.Exporter) {
	sent := set.Counter("comfyc_trace_spans_sent_total", "Spans that the collector of traces has taken.")
	dropped := set.Counter("comfyc_trace_spans_dropped_total", "Spans that found the queue full, or that the collector did not take.")
	set.Before(func() {
		s, d := e.Counts()
		sent.Set(float64(s))
		dropped.Set(float64(d))
	})
}
