// What the rest of the program sees of a plan. Everything here is data: indexes count from 0, times are
// durations, sizes are bytes, and no field is a secret.

package compiler

import (
	"time"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// RenderID names a render by what is paid for: the SHA-256 of its canonical graph (node ids, titles and save prefixes left
// out), its inputs by content and its model names. Equal renders have equal ids on every machine.
type RenderID [32]byte

// Patch replaces the literal value of one input of the render's graph.
type Patch struct {
	Node, Input int // indexes into Graph.Nodes and Node.Inputs
	Value       *source.Value
}

// Render is one resolved graph: one of the plan's graphs plus patches.
type Render struct {
	Index   int // from 0, in the plan's order
	ID      RenderID
	Graph   int // index in Plan.Graphs; 0 if all renders share one graph
	Patches []Patch
	Seed    string // decimal text of the sampler's seed, "" if the graph has none
}

// Axis is a named dimension of a plan.
type Axis struct {
	Name      string
	Addresses []string // the inputs that it sets, as "id.input"; none if it is used through ${name} alone
	Values    []AxisValue
}

// AxisValue is one value of an axis: its Label, as galleries and file names show it, unique on the axis, and its Value.
type AxisValue = sweep.Value

// Coordinate is one point of the sweep: the index of each axis' value, in the order of Plan.Axes (-1 for an axis that an
// included point does not have).
type Coordinate struct {
	ID     string // stable under edits of the sweep: the hash of the axis names and values, 16 hex digits
	Index  int    // from 0, in the plan's order
	Render int    // index of its render; several coordinates may share one
	Values []int
}

// Owed is an output file that a job must give back.
type Owed struct {
	Render int    // index of the render in the plan
	Node   string // id of the node in the workflow as its author wrote it
	Title  string // the node's title
	Class  string // SaveImage, PreviewImage, …
	Prefix string // the unique filename_prefix that was sent; the file's name begins with it
	Images int    // how many files at least: the batch size if it is known, else 1
}

// InputFile is a file that a job's graph loads.
type InputFile struct {
	Name   string // as the graph names it: made of the content's hash, so equal names are equal files
	Path   string // where it lies on this machine
	SHA256 string // hex
	Size   int64  // bytes
}

// Job is what is sent for one shard: one render, or several merged into one graph.
type Job struct {
	Renders []int
	Prompt  []byte // the API-format prompt as JSON
	Owed    []Owed
	Files   []InputFile
	Classes []string // distinct class names, sorted
	Models  []string // distinct model file names, sorted
	// OutputNode is the id of the first output node, for workers that ask for one.
	OutputNode string
	// Origin gives the workflow's node id for each id in Prompt; nil if they are the same, as in a job of one render.
	Origin map[string]string
	// Workflow gives the workflow in UI form as JSON, with this render's values in its widgets, for remotes that write it into pictures; see
	// [Plan.Drawing]. nil if it was written in API form, or if the job has several renders.
	Workflow func() []byte
	Width    int // pixels of the first output, 0 if unknown
	Height   int
}

// EndpointConfig is one endpoint as the endpoints file describes it. Secrets are named, never held.
type EndpointConfig struct {
	Name       string
	Type       string // novita, runpod, comfyui, serverless, preview
	URL        string // base URL without a trailing slash, the endpoint's own path included
	KeyEnv     string // name of the environment variable that holds the key
	KeyFile    string // or of a file
	GPU        string // rtx4090, h100, …
	VRAM       float64
	Worker     string   // the worker image, which tells the input and output form
	Price      *float64 // USD per second; nil if unknown
	PriceAsOf  string
	Limits     Limits
	Aliases    map[string]string // model name in the graph → name on this endpoint
	AllowHosts []string          // private hosts from which outputs may be fetched
	Emulator   *source.Value     // settings of a preview endpoint, nil for the defaults
	OutputNode string            // output_node_id for workers that want one; "" means the first output
	Models     []string          // model files that the endpoint has; nil if it is not known
	// ModelHashes are the SHA-256 of some of them, in lower-case hex, by name.
	ModelHashes map[string]string
	ObjectInfo  string  // path of an /object_info snapshot of the endpoint, "" if there is none
	FromUser    bool    // the configuration is the user's own, not beside a batch
	Bucket      *Bucket // where the worker puts outputs, for platforms that are told with each job; nil if they are not
	Health      string  // path of a service's health check below its host, "" for the dialect's own
	Workers     Workers
	Terms       JobTerms
}

// Workers say how an endpoint scales, as it is set up at the platform. Zero fields are unknown.
type Workers struct {
	Min, Max    int           // workers; those above Min stop when they idle
	Concurrency int           // jobs that one worker runs at a time
	ColdStart   time.Duration // from the decision to start a worker until it takes jobs
	IdleTimeout time.Duration // that a worker idles, and is paid for, before it stops
}

// JobTerms are an endpoint's own terms for every job. Zero fields leave it to the estimate and to the platform.
type JobTerms struct {
	Execution   time.Duration // longest time on a worker
	TTL         time.Duration // longest time from submit to end
	LowPriority bool          // start no worker for one job alone
}

// Bucket is an S3 bucket that a platform's worker uploads to. Its keys are named here, never held.
type Bucket struct {
	URL       string // of the service
	Name      string
	KeyEnv    string // variable of the access key's id
	SecretEnv string // variable of the access key's secret
}

// Limits of an endpoint. Zero fields mean the default of the endpoint's type.
type Limits struct {
	InFlight     int           // jobs submitted and not final
	SubmitPer10s int           // calls of submit per 10 s
	StatusPer10s int           // calls of status per 10 s
	JobBytes     int64         // size of one job's body
	OutputBytes  int64         // size of one status answer's output
	Retention    time.Duration // how long a finished result is kept
}
