package emulator

import (
	"context"
	"net/http"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// Config is what an [Emulator] is made of. The zero value is one endpoint named "preview" that speaks all dialects, has the platforms' limits,
// no faults, and renders with the built-in worker.
type Config struct {
	Endpoints []Endpoint

	// Seed makes ids, execution times and faults repeat. 0 gives random ids (so that two emulators never share one); times and faults repeat all the same.
	Seed uint64
	// Memory bounds the bytes of results, files and uploads that are kept, all endpoints together; the oldest are dropped first, as if they had
	// expired. 0 means 512 MiB.
	Memory int64
	// Fetched bounds what of Memory may be results that a client has had already; they are the first to go. 0 means all of it.
	Fetched int64
	// Parallel is how many jobs are rendered at one time on this machine, whatever the number of emulated workers. 0 means the number of CPUs.
	Parallel int
	// Webhooks allows the POST to a job's webhook, and the PUT to the bucket of its s3Config. It is off by default: a server that calls any address it
	// is told is not for everybody.
	Webhooks bool
	// Transport carries both; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Runner replaces the built-in worker; nil means worker.Run.
	Runner Runner
}

// Runner renders one prompt. It is called from at most Config.Parallel goroutines at once and stops when ctx is done.
type Runner func(ctx context.Context, prompt []byte, options worker.Options) (*worker.Result, error)

// Dialect is a language that an endpoint speaks.
type Dialect string

// The dialects.
const (
	Novita  Dialect = "novita"  // under /v1/NAME
	RunPod  Dialect = "runpod"  // under /v2/NAME
	ComfyUI Dialect = "comfyui" // under /native/NAME, and at the root for the first endpoint that lists it
)

// Delivery is how finished images are handed over.
type Delivery string

// The ways of handing over. Novita's own worker always gives URLs.
const (
	Base64 Delivery = "base64"
	URL    Delivery = "url"  // presigned, GET only
	Path   Delivery = "path" // a path on the worker: what an endpoint without a bucket answers
	// JobBucket is for workers that heed a job's s3Config: images are uploaded there (with Config.Webhooks; else to the emulator's own files), and
	// their presigned addresses answered. A job without one gets base64.
	JobBucket Delivery = "s3config"
)

// Endpoint is one emulated endpoint. Where a field says "the platform's", that is the documented value of the first of its Dialects.
// Durations and sizes follow one rule: 0 is what is documented or usual, a negative limit is none. What a test leaves out is as strict as the
// real platform, so that a client which passes here does not fail there.
type Endpoint struct {
	Name     string    // letters, digits, dots, dashes
	Dialects []Dialect // none means all
	Key      string    // the bearer key that every request must carry; "" means none
	GPU      string    // shown in the statistics
	Price    float64   // USD per worker-second, for Stats.CostUSD

	// Worker is the image that runs the jobs and so the form of input and output: runpod/worker-comfyui:TAG (from 5.0.0 on and below),
	// novitalabs/comfyui-worker:TAG, or "echo", which gives the input back without any work. "" means worker-comfyui's newest form.
	Worker string
	// Outputs is Base64 if empty.
	Outputs Delivery
	// Models are the file names that loaders find; nil means that every name exists.
	Models []string

	MinWorkers  int           // always on
	MaxWorkers  int           // 0 means 3, or the number of CPUs if that is more; 1 for a ComfyUI server
	Concurrency int           // jobs per worker at one time; 0 means 1
	ColdStart   time.Duration // from the decision to start a worker until it takes jobs
	IdleTimeout time.Duration // until an idle worker above MinWorkers stops; 0 means 5 s, negative at once
	Execution   ExecutionTime

	ExecutionTimeout time.Duration // 0 means 10 min; a job's own policy wins
	TTL              time.Duration // from submit to the end; 0 means 24 h; a job's own policy wins
	Retention        time.Duration // of finished results; 0 means the platform's

	// The rates hold for the whole endpoint, in a window of 10 s that slides by seconds.
	QueueLimit   int   // jobs that may wait; more are refused with 429; 0 means no limit
	JobBytes     int64 // of one request's body; 0 means the platform's, negative no limit
	OutputBytes  int64 // of one job's output; beyond it the job is COMPLETED without output; 0 and negative as above
	SubmitPer10s int   // requests; more get 429; 0 and negative as above
	StatusPer10s int
	CancelPer10s int

	Faults []Fault
}

// ExecutionTime says how long a job takes on a worker. A lognormal with a median of 14.56 s and a 95th percentile of 38.95 s, cut at 78.1 s, is
// what was published for flux1-dev on an RTX 4090. The zero value means as long as the work takes on this machine. A job never takes
// less than its rendering does.
type ExecutionTime struct {
	Fixed time.Duration
	// Median and P95 describe a lognormal distribution; Max cuts it, if not 0.
	Median, P95, Max time.Duration
}

// Preview is the configuration behind the `preview` endpoint type: one endpoint named "preview" that renders as fast as this machine can, without
// limits, rates or faults.
func Preview() Config {
	return Config{Memory: 2 << 30, Fetched: 64 << 20, Endpoints: []Endpoint{{
		Name: "preview", Dialects: []Dialect{RunPod, Novita, ComfyUI}, GPU: "preview",
		JobBytes: -1, OutputBytes: -1, SubmitPer10s: -1, StatusPer10s: -1, CancelPer10s: -1,
	}}}
}
