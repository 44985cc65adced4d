// Package runpod speaks to RunPod's serverless endpoints: /run, /status, /status-sync, /cancel, /retry, /purge-queue, /health.
//
// Beside its input a job carries `policy` (execution time-out, ttl, low priority), `webhook`, and `s3Config` where a bucket is configured.
// The last reaches the handler as it is; whether it is used is up to the worker: runpod/worker-comfyui reads its bucket from
// BUCKET_ENDPOINT_URL and its like in the endpoint's own settings and passes s3Config over.
//
// Documented limits: 10 MB for a job of /run, results are kept for 30 minutes, 1,000 submissions, 2,000 status calls and 100 cancels per
// 10 s, 600 s on a worker if nothing else is said.
package runpod

import (
	"net/http"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Base is the address below which endpoints lie, each under its id.
const Base = "https://api.runpod.ai/v2"

// Limits of an endpoint that configures none. Megabytes are taken as millions, the smaller reading; for the output no limit is
// documented, so it is taken to be the job's.
var Limits = compiler.Limits{
	InFlight:     64,
	SubmitPer10s: 1000,
	StatusPer10s: 2000,
	JobBytes:     10_000_000,
	OutputBytes:  10_000_000,
	Retention:    30 * time.Minute,
}

// What is documented besides. A status-sync may wait for 90 s and more; proxies on the way end idle connections after 100 s. So a wait of
// a minute, with its slack of 10 s, stays below both.
const (
	execution    = 10 * time.Minute
	cancelPer10s = 100
	longPoll     = time.Minute
)

// api is RunPod's.
var api = jobs.API{
	CancelMethods: []string{http.MethodPost},
	StatsPaths:    []string{"/health"},
	Webhooks:      true,
	Policies:      true,
}

// New makes an endpoint; bucket may be nil. It is no Finder: RunPod knows a job by its own id only, so what became of a lost submission
// shows by its webhook or not at all.
func New(client *call.Client, p scheduler.Properties, o worker.Options, bucket *jobs.Bucket) *jobs.Waiting {
	p.CancelPer10s, p.LongPoll = cancelPer10s, longPoll
	if p.Execution == 0 {
		p.Execution = execution
	}
	return &jobs.Waiting{Endpoint: jobs.New(api, client, p, o, bucket)}
}
