// Package runpod speaks to RunPod's serverless endpoints: /run, /status, /cancel, /health.
//
// Documented limits: 10 MB for a job of /run, results are kept for 30 minutes, 1,000 submissions and 2,000 status calls per 10 s.
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

// api is RunPod's.
var api = jobs.API{
	CancelMethods: []string{http.MethodPost},
	StatsPaths:    []string{"/health"},
}

// New makes an endpoint.
func New(client *call.Client, p scheduler.Properties, o worker.Options) *jobs.Endpoint {
	return jobs.New(api, client, p, o)
}
