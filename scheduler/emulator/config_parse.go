package emulator

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// ParseConfig reads the file of `comfyc emulate --config`, JSON or YAML:
//
//	seed: 7
//	memory: 512MiB                          # of results; fetched: 64MiB bounds those that a client has had
//	parallel: 4
//	webhooks: true
//	endpoints:
//	  novita-4090:
//	    dialects: [novita, runpod, comfyui]
//	    key: test-key
//	    gpu: rtx4090
//	    price: 0.00031                      # USD per worker-second
//	    worker: runpod/worker-comfyui:5.5.0-flux1-dev
//	    outputs: base64                     # base64 | url | path | s3config (as the job says)
//	    models: [flux1-dev.safetensors]
//	    workers: {min: 0, max: 4, concurrency: 1}
//	    cold_start: 45s
//	    idle_timeout: 5s
//	    execution: {median: 14.56s, p95: 38.95s, max: 78.1s}    # or a duration
//	    execution_timeout: 10m
//	    ttl: 24h
//	    queue_limit: 1000
//	    limits: {job_bytes: 4MiB, output_bytes: none, retention: 6h, submit_per_10s: 1000, status_per_10s: 2000, cancel_per_10s: 100}
//	    faults:
//	      - {kind: lost-answer, at: [3, 7]}
//	      - {kind: http, status: 429, retry_after: 2s, on: status, rate: 0.05}
//	      - {kind: partial, rate: 0.1}
//
// All keys may be left out. Mistakes are findings of the code "schema"; the Config is of use only if there are none.
func ParseConfig(v *source.Value) (Config, []diag.Diagnostic) {
	r := &reader{}
	var c Config
	r.object(v, "the emulator's configuration", fields{
		"seed":     func(v *source.Value) { r.count(v, func(n int) { c.Seed = uint64(n) }) },
		"memory":   r.size(&c.Memory),
		"fetched":  r.size(&c.Fetched),
		"parallel": r.integer(&c.Parallel),
		"webhooks": r.boolean(&c.Webhooks),
		"endpoints": func(v *source.Value) {
			if v.Kind != source.Object {
				r.wrong(v, "the endpoints by name")
				return
			}
			for i := range v.Members {
				m := &v.Members[i]
				ep := Endpoint{Name: m.Key}
				r.endpoint(m.Value, &ep)
				if !goodName(m.Key) {
					r.add(diag.Errorf("schema", diag.OfKey(m), "the endpoint's name %q may have letters, digits, dots, dashes and underscores only", m.Key))
				}
				c.Endpoints = append(c.Endpoints, ep)
			}
		},
	})
	return c, r.check(v, c)
}

// ParsePreview reads the settings of a `preview` endpoint: the keys of one endpoint, and seed and memory, on top of [Preview]. nil means the defaults.
func ParsePreview(v *source.Value) (Config, []diag.Diagnostic) {
	c := Preview()
	if v == nil {
		return c, nil
	}
	r := &reader{}
	all := r.fields(&c.Endpoints[0])
	all["seed"] = func(v *source.Value) { r.count(v, func(n int) { c.Seed = uint64(n) }) }
	all["memory"] = r.size(&c.Memory)
	all["fetched"] = r.size(&c.Fetched)
	all["parallel"] = r.integer(&c.Parallel)
	r.object(v, "the preview's settings", all)
	return c, r.check(v, c)
}

// check looks at what no single value shows, once all of them are readable.
func (r *reader) check(v *source.Value, c Config) []diag.Diagnostic {
	// A value that could not be read was left at zero, and would be blamed once more for what it now seems to be.
	if len(r.list) == 0 {
		if _, err := c.withDefaults(); err != nil {
			r.add(diag.Errorf("schema", diag.Of(v), "%s", err))
		}
	}
	return r.list
}

func (r *reader) endpoint(v *source.Value, ep *Endpoint) {
	r.object(v, "an endpoint", r.fields(ep))
}

// fields are the keys of an endpoint.
func (r *reader) fields(ep *Endpoint) fields {
	return fields{
		"dialects": func(v *source.Value) { r.texts(v, func(s string) { ep.Dialects = append(ep.Dialects, Dialect(s)) }) },
		"key":      r.text(&ep.Key),
		"gpu":      r.text(&ep.GPU),
		"price":    r.number(&ep.Price),
		"worker":   r.text(&ep.Worker),
		"outputs":  r.text((*string)(&ep.Outputs)),
		"models": func(v *source.Value) {
			// An empty list means that no model is there, no list that all are.
			ep.Models = []string{}
			r.texts(v, func(s string) { ep.Models = append(ep.Models, s) })
		},
		"cold_start":        r.duration(&ep.ColdStart),
		"idle_timeout":      r.duration(&ep.IdleTimeout),
		"execution":         func(v *source.Value) { r.execution(v, &ep.Execution) },
		"execution_timeout": r.duration(&ep.ExecutionTimeout),
		"ttl":               r.duration(&ep.TTL),
		"queue_limit":       r.integer(&ep.QueueLimit),
		"faults":            func(v *source.Value) { r.faults(v, ep) },
		"workers": func(v *source.Value) {
			r.object(v, "workers", fields{"min": r.integer(&ep.MinWorkers), "max": r.integer(&ep.MaxWorkers), "concurrency": r.integer(&ep.Concurrency)})
		},
		"limits": func(v *source.Value) {
			r.object(v, "limits", fields{
				"job_bytes": r.size(&ep.JobBytes), "output_bytes": r.size(&ep.OutputBytes), "retention": r.duration(&ep.Retention),
				"submit_per_10s": r.limit(&ep.SubmitPer10s), "status_per_10s": r.limit(&ep.StatusPer10s), "cancel_per_10s": r.limit(&ep.CancelPer10s),
			})
		},
	}
}

// execution reads "14.56s", or an object for a distribution.
func (r *reader) execution(v *source.Value, t *ExecutionTime) {
	if v.Kind != source.Object {
		r.duration(&t.Fixed)(v)
		return
	}
	r.object(v, "an execution time", fields{"fixed": r.duration(&t.Fixed), "median": r.duration(&t.Median), "p95": r.duration(&t.P95), "max": r.duration(&t.Max)})
}

// faults checks each rule where it stands, so that a finding points at the rule and not at the endpoint.
func (r *reader) faults(v *source.Value, ep *Endpoint) {
	if v.Kind != source.Array {
		r.wrong(v, "a list of faults")
		return
	}
	for _, item := range v.Items {
		var f Fault
		before := len(r.list)
		r.object(item, "a fault", fields{
			"kind": r.text((*string)(&f.Kind)), "on": r.text((*string)(&f.On)), "rate": r.number(&f.Rate), "times": r.integer(&f.Times),
			"delay": r.duration(&f.Delay), "retry_after": r.duration(&f.RetryAfter), "status": r.integer(&f.Status),
			"message": r.text(&f.Message), "location": r.text(&f.Location), "after": r.boolean(&f.After),
			"at": func(v *source.Value) { r.counts(v, &f.At) },
		})
		if err := checkFaults([]Fault{f}); err != nil && before == len(r.list) {
			r.add(diag.Errorf("schema", diag.Of(item), "%s", err))
		}
		ep.Faults = append(ep.Faults, f)
	}
}
