// Package novita speaks to Novita's asynchronous serverless endpoints. They follow RunPod's API, with differences in what is
// documented: a job begins PENDING, GET cancels, and /stats tells about queue and workers. Novita's own SDK cancels by POST and asks
// /health, so both ways are known.
//
// Documented limits: 4 MiB for a job, 4 MiB of output in a status answer, results are kept for 6 hours. Rates are not documented.
package novita

import (
	"net/http"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Base is the address below which endpoints lie, each under its id or "<id>-<app>".
const Base = "https://async.novita.ai/v1"

// Limits of an endpoint that configures none. The rates are RunPod's, for want of published ones.
var Limits = compiler.Limits{
	InFlight:     64,
	SubmitPer10s: 1000,
	StatusPer10s: 2000,
	JobBytes:     4 << 20,
	OutputBytes:  4 << 20,
	Retention:    6 * time.Hour,
}

// api is Novita's: the documented way first, the SDK's second.
var api = jobs.API{
	CancelMethods: []string{http.MethodGet, http.MethodPost},
	StatsPaths:    []string{"/stats", "/health"},
}

// New makes an endpoint. There is no webhook, no policy and no s3Config, since none is documented beside `input`; a bucket is a matter of
// the endpoint's settings (BUCKET_ENDPOINT_URL and its like), and the platform's own execution time-out holds.
func New(client *call.Client, p scheduler.Properties, o worker.Options) *jobs.Endpoint {
	return jobs.New(api, client, p, o, nil)
}
