package scheduler

import (
	"context"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// What only some endpoints offer. The rules of Endpoint hold for all of these too: many goroutines, a deadline in every context, no sleeping and
// no retrying inside, errors of a Kind.

// Stater is an Endpoint that can tell about its queue and workers. Called seldom: as a hint for all jobs of the endpoint at once (a count of
// finished jobs that grew, a queue that is empty), and by `comfyc doctor`. It may be repeated; it counts as one status call.
type Stater interface {
	Stats(ctx context.Context) (Stats, error)
}

// Checker is an Endpoint that can say before anything is paid whether it is there and takes our key.
type Checker interface {
	// Check makes one cheap call. Kinds: Unauthorized (key or team), Rejected (no such endpoint), Unreachable, Transient.
	Check(ctx context.Context) error
}

// Preparer is an Endpoint for which something can be done before a job is paid for: input files uploaded, the job held against what the remote
// says it has.
type Preparer interface {
	// Prepare may be called before Submit, any number of times for one job, also at once with others; only what is missing is done. It costs
	// nothing but time: an upload may take minutes. Submit does by itself what was not prepared. Kinds besides the usual: MissingModel and
	// Rejected say that the endpoint would refuse the job.
	Prepare(ctx context.Context, job *compiler.Job) error
}

// Finder is an Endpoint that can tell what became of a Submit whose answer was lost.
type Finder interface {
	// Find asks whether the attempt with this token (Terms.Token) arrived. It may be repeated, also by another process. NotFound is said of this
	// moment: a request that was on its way when its connection broke can arrive later. So the loop asks when the submit's time-out has passed,
	// and takes NotFound for an answer only then. CannotTell without an error means that asking again is of no use.
	Find(ctx context.Context, token string) (Found, error)
}

// Found is a Finder's answer.
type Found struct {
	Arrival Arrival
	Remote  string // the remote's id for Poll, if it Arrived
}

// Arrival says whether a submission arrived.
type Arrival uint8

// The answers. Arrived says nothing about the job's state; Poll does.
const (
	CannotTell Arrival = iota
	Arrived
	NotFound
)

// String gives the answer's words.
func (a Arrival) String() string { return [...]string{"cannot tell", "arrived", "not found"}[a] }

// LongPoller is an Endpoint whose remote can hold an answer back until a job has ended.
type LongPoller interface {
	// PollWait is Poll for at most wait, which is bounded by Properties.LongPoll: it answers as soon as the job's state is final, else after
	// about that time with the state then; or earlier, as a remote sees fit. A context's deadline must leave some seconds beyond wait. It may be
	// repeated, and given up at any time. Every call takes a connection while it waits, and counts as one status call.
	PollWait(ctx context.Context, remote string, wait time.Duration) (Status, error)
}

// Watcher is an Endpoint that tells by itself what happens.
type Watcher interface {
	// Watch calls tell for every event until ctx is done or the connection is lost; the error says why, and is nil if ctx is done. The first call has
	// no more than Endpoint: from there on events arrive. What happened before, or while nobody watched, is never told, so each Watch that begins is
	// followed by a poll of what is open. The loop runs one Watch per endpoint, without a deadline, and begins anew after a growing pause. tell is
	// called from one goroutine and must not block.
	Watch(ctx context.Context, tell func(Hint)) error
}

// Hint is news about a job from outside the polls: a Watcher's event, or a webhook's delivery that the service received. Hints come late, twice, in
// any order or not at all, and anybody may have sent them; so a hint never changes a state. It says when a poll is worth while, and what to show
// meanwhile.
type Hint struct {
	Endpoint string // name; "" if the sender does not know
	Token    string // of the attempt (Terms.Token), as webhooks tell it; "" if Remote is set
	Remote   string // the remote's id. With a Token it says where an uncertain submit went: poll it to be sure
	State    State  // Unknown if it is not told
	Progress float64
	Node     string // id in the job's prompt of the node that runs or has just run, "" if not told; see compiler.Job.Origin
	Step     int    // of that node's own progress, of Steps; 0 if not told
	Steps    int
	Queue    int  // jobs that wait or run on the endpoint, 0 if not told
	Idle     bool // it says that it has none
}

// Retrier is an Endpoint that can run a job once more from what it keeps of it.
type Retrier interface {
	// Retry puts a job that Failed or TimedOut back into the remote's queue and gives its id, which is mostly the old one. It is paid for as a
	// Submit is: once per attempt, after the intent, and Uncertain if the answer is lost. Rejected says that the remote keeps it no more, or
	// that it is in another state.
	Retry(ctx context.Context, remote string) (string, error)
}

// Purger is an Endpoint that can drop its queue.
type Purger interface {
	// Purge cancels all jobs that wait on the endpoint, those of other people included, and tells how many there were (-1 if not told). Only
	// by the user's own word. It may be repeated.
	Purge(ctx context.Context) (removed int, err error)
}
