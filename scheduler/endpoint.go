package scheduler

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Endpoint is one configured remote, spoken to in its dialect. All methods are called from many goroutines at once. Every call
// has a context with a deadline; an implementation gives up when it is done and never sleeps or retries by itself: retries
// belong to the loop. Errors are *Error with a Kind; anything else counts as Transient, and from Submit as Uncertain.
//
// What only some remotes offer are interfaces of their own, asked for by a type assertion: see endpoint_more.go.
type Endpoint interface {
	// Properties says what the endpoint is and what its limits are. It does no I/O and always gives the same answer.
	Properties() Properties

	// Submit sends one job and returns the remote's id. It is paid for, so the loop calls it once per attempt, after the intent
	// was synced, with the terms that the intent was written with. An error of the Kind Uncertain says that the remote may have
	// taken the job; every other Kind says that it certainly has not.
	Submit(ctx context.Context, job *compiler.Job, terms Terms) (remote string, err error)

	// Poll asks for a job's state. It may be repeated at any time, also by another process that knows the id only.
	Poll(ctx context.Context, remote string) (Status, error)

	// Cancel asks to stop a job. It may be repeated; a job that is final already is no error.
	Cancel(ctx context.Context, remote string) error

	// Fetch opens one output for reading. It may be repeated until the result expires. The caller bounds the size and closes.
	Fetch(ctx context.Context, out Output) (io.ReadCloser, error)
}

// Terms are what a remote is told about one attempt besides its job. What a platform does not offer, a dialect leaves out; the
// zero value is an attempt like any other. Properties say which of them an endpoint takes.
type Terms struct {
	// Token names the attempt: drawn at random with 128 bits or more by the loop, written with the intent, and never used twice.
	// Any process that reads the store can ask a Finder for it, and a webhook's delivery shows by it that it is genuine, so it is
	// as secret as a key. "" means that the attempt can not be found again by its token.
	Token string
	// Execution is how long the job may take on a worker before the platform ends it as TimedOut; 0 leaves it to the platform.
	Execution time.Duration
	// TTL is how long the job may take from submit to end, its time in the queue included; 0 leaves it to the platform.
	TTL time.Duration
	// LowPriority asks the platform to start no worker for this job alone.
	LowPriority bool
	// Webhook is the public address to which the platform POSTs the end of the job, the token in its path; "" means none.
	Webhook string
}

// Properties of an endpoint.
type Properties struct {
	Name    string
	Type    string // novita, runpod, comfyui, serverless, preview
	GPU     string
	Worker  string
	Preview bool            // pictures are drawn, not rendered: never mixed with real ones
	Price   *float64        // USD per second, nil if unknown
	Limits  compiler.Limits // all fields set
	// OneOutput says that the worker gives the files of one output node only: a job of several renders would lose all but one.
	OneOutput bool
	// Terms that the endpoint takes. The others are dropped without a word.
	TakesTimeouts, TakesWebhook, TakesPriority bool
	// LongPoll is how long one PollWait may be held back by the remote at most; 0 if the endpoint is no LongPoller.
	LongPoll time.Duration
	// ByURL says that outputs are handed over as addresses (a bucket is configured, or the server keeps them), so that Limits.OutputBytes bounds
	// no job. Uploads says that input files are sent apart from the job, so that Limits.JobBytes bounds the graph alone, which the dialect does.
	ByURL, Uploads bool
	// Execution is the platform's own limit of a job's time on a worker where no Terms say otherwise, 0 if unknown or none.
	Execution time.Duration
	// CancelPer10s bounds the calls of Cancel in 10 s; 0 means no limit is known.
	CancelPer10s int
	// Workers says how the endpoint scales, as far as the configuration tells.
	Workers compiler.Workers
	// Terms are the user's own for every job there. They win over those of Submit.
	Terms compiler.JobTerms
	// Supports says why a class cannot run there, "" if it can. nil: not known, all pass.
	Supports func(class string) string
}

// State is a job's state on the remote.
type State uint8

// The states of remote jobs. Unknown is everything that the dialect does not know: the loop polls on.
const (
	Unknown State = iota
	Queued
	Running
	Completed
	Failed
	Cancelled
	TimedOut
	Gone // the remote does not know the job (any more)
)

// Final tells whether a state ends an attempt.
func (s State) Final() bool { return s >= Completed }

// String gives the state's word.
func (s State) String() string {
	return [...]string{"unknown", "queued", "running", "completed", "failed", "cancelled", "timed-out", "gone"}[s]
}

// Status is one answer about a job.
type Status struct {
	State     State
	Outputs   []Output
	Problems  []string      // what the worker said went wrong though the job is Completed
	Err       *Error        // why a job Failed
	Delay     time.Duration // time in the remote's queue, 0 if not told
	Execution time.Duration // paid time, 0 if not told
	Worker    string        // the remote worker's id, "" if not told
	Progress  float64       // 0 to 1, 0 if not told
}

// Output is one file of a finished job, as the remote offers it: its bytes in base64, or where they are.
type Output struct {
	Filename string // as the worker named it; suspect
	Node     string // node id, "" if the form does not tell
	Base64   string // the content, bare or as a data URI; "" if URL is set
	URL      string // where to GET it
	Problem  string // why it cannot be fetched, e.g. a path on the worker; "" if it can
	Resume   Resume // where to go on with a download that broke off; zero for the beginning
}

// Resume says from which byte a download goes on, and of which version of the file. A remote that cannot do so gives the whole file.
type Resume struct {
	From  int64  // bytes that are there already
	Match string // the version's ETag or date, as the remote gave it; "" if it gave none
}

// Resumable is what the reader that Fetch gives may be as well: Resume says from where it reads, and with which Match to ask again
// should it break off. A reader that is none cannot be gone on with.
type Resumable interface{ Resume() Resume }

// Stats is what an endpoint tells about itself. -1 means not told.
type Stats struct {
	Queued, Running   int // jobs
	Workers, Busy     int
	Completed, Failed int // jobs since the endpoint's start
}

// Kind classes what went wrong with a remote, and so what is done next.
type Kind uint8

// The kinds of trouble with a remote.
const (
	Transient    Kind = iota // network, 5xx, junk: again later, elsewhere first
	Busy                     // 429 or full: again when told
	Rejected                 // the remote will never take this job
	MissingModel             // this endpoint lacks a model or class that the graph needs
	OutOfMemory              // a bigger GPU is needed
	Unauthorized             // the key is missing or wrong: nothing can be sent there
	Lost                     // the job or its result is gone: again
	Uncertain                // the answer was lost: the job may be running and paid for
	Unreachable              // the connection was refused or the name does not resolve: nothing was sent
	WorkerFailed             // the job ran and failed
)

// String gives the kind's word.
func (k Kind) String() string {
	return [...]string{"transient", "busy", "rejected", "missing-model", "out-of-memory", "unauthorized", "lost", "uncertain", "unreachable", "failed"}[k]
}

// Error is trouble with a remote. Its text never holds a key, a token or a signed URL's query.
type Error struct {
	Kind       Kind
	Endpoint   string
	Op         string // submit, poll, cancel, fetch, stats
	Message    string
	RetryAfter time.Duration // as told by the remote, 0 if not told
	Status     int           // HTTP status, 0 if there was none
	// NodeErrors is the remote's own report about nodes: id → text, nil if none.
	NodeErrors map[string]string
	Err        error // the cause, may be nil
}

// Error prints "submit to NAME: message".
func (e *Error) Error() string { return fmt.Sprintf("%s on %s: %s", e.Op, e.Endpoint, e.Message) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
