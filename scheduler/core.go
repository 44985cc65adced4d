package scheduler

import (
	"math/rand/v2"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// core is the pure part of a run: it owns every state and decides everything, and does nothing. What happened comes in as inputs,
// what is to be done goes out as effects. It reads no clock, starts no goroutine and does no I/O; its randomness is seeded. So the
// loop, tests in virtual time and simulations run the same code.
type core struct {
	opts Options
	work workIndex
	now  time.Time
	rng  *rand.Rand
	out  effects

	renders []RenderState // one byte each
	counts  Counts
	cursor  int             // renders before it have left Waiting, or are being prepared
	trouble map[int]Trouble // of Failed, Held and left renders
	history map[int]history // of renders that were tried in an earlier run and have not ended

	endpoints []*endpoint
	classes   map[uint64]*graphClass
	attempts  map[int64]*attempt // open ones
	last      int64              // highest attempt number given
	shards    map[int]*shard     // being prepared
	lastShard int
	ready     []*shard         // prepared, waiting for an endpoint
	aside     int              // shards for which no usable endpoint is left in this run
	found     []candidate      // scratch space of choose
	pass      int              // of route
	fusing    int              // renders that a job was to hold at most so far
	delayed   timeline[*shard] // waiting for their next try
	finished  timeline[*attempt]
	cancels   timeline[*attempt]

	inFlight, left                                     int // attempts
	preparing, collecting, cancelling, checking, calls int // calls under way
	backlogBytes                                       int // of these
	backlog                                            int // attempts whose outputs are in memory

	money   ledger
	stop    Stop
	grace   time.Time // when waiting ends after an interrupt
	aborted bool
	sick    sickness // of the sink

	started  time.Time
	deadline time.Time
	ended    int // renders that ended in this run
	made     int // attempts made in this run
	kept     int
	changed  bool
	told     time.Time
	toldLast bool
}

// workIndex is the part of Work that the core needs: numbers and names, no graphs.
type workIndex interface {
	Len() int
	RenderID(i int) compiler.RenderID
}

// effects is what step wants done, in this order. Submits must not be started before the changes are durable; everything else may
// be started at once.
type effects struct {
	changes []Change
	events  []Event
	calls   []call
	wake    time.Time // call step again then, if nothing happens before; zero: no need
	abort   bool      // give up the calls that are under way
	done    bool      // the run is over
}

func (e *effects) reset() {
	*e = effects{changes: e.changes[:0:0], events: e.events[:0:0], calls: e.calls[:0]}
}

// callKind is a kind of call that the core asks for.
type callKind uint8

const (
	callPrepare callKind = iota // build the job of a shard
	callCheck                   // is the endpoint there, and does it take our key
	callSubmit                  // paid; once per attempt
	callPoll
	callCancel
	callCollect
)

// call is one call to be made. The goroutine that makes it sees nothing else of the core.
type call struct {
	kind     callKind
	endpoint int
	shard    int
	attempt  int64
	remote   string
	renders  []int
	mates    []int  // of a submit: shards whose jobs are not needed, as they are part of this one
	result   Result // of a collect: what the core knows of it
}

// input is something that happened. apply changes the state; what follows from it is decided once, by pump, after all inputs.
type input interface{ apply(c *core) }

// shard is renders that go to an endpoint as one remote job.
type shard struct {
	id      int
	renders []int
	class   *graphClass // nil until prepared
	bytes   int64       // of the job's body, about
	graph   int64       // of them the graph's
	files   []compiler.InputFile
	pixels  float64   // of all pictures that it owes
	mates   []int     // ids of the shards that it was merged from
	taken   bool      // it was merged into another one
	avoid   *endpoint // where it failed last
	unfit   []string  // why each endpoint cannot run it, "" or missing: it can
	last    Trouble   // of the last attempt
	history
}

// history is what earlier attempts of a render came to.
type history struct {
	tries    int     // attempts that count against Retries
	attempts int     // all
	cost     float64 // USD
	unpriced bool    // a price was unknown
	alone    bool    // a job of several failed with it: it is not merged again
}

// attempt is an open attempt.
type attempt struct {
	Attempt
	shard    *shard
	endpoint *endpoint

	pollAt    time.Time // the entry of the endpoint's timeline that counts; zero: none
	alive     time.Time // when it was last known to be unfinished
	runningAt time.Time // when it was first seen running
	progress  float64
	polls     int  // answered
	failures  int  // polls in a row without an answer
	gone      int  // answers in a row that the job is not known
	collects  int  // failed ones
	probe     bool // it is polled early, to learn how long its kind takes
	polling   bool // a poll is under way
	hasOutput bool // its outputs are in memory
	outputs   int  // their bytes
	byURL     bool // they are elsewhere
	settled   bool // its money is
	restored  bool // it was submitted by an earlier run, so its times were not seen

	code     string // of its trouble, if it is another than that of Kind
	cancel   string // why it is being cancelled, "" if it is not
	requests int    // cancel calls made
	looks    int    // polls since the remote took the cancel
	overdue  bool   // it is cancelled because it took too long: done again
	isLeft   bool   // given up in this run; the next one goes on with it
}

// row copies the stored part.
func (a *attempt) row() *Attempt {
	row := a.Attempt
	return &row
}

// step applies the inputs at one moment and says what is to be done. The effects are valid until the next step.
func step(c *core, inputs []input, now time.Time) *effects {
	c.now = now
	c.out.reset()
	for _, in := range inputs {
		in.apply(c)
	}
	c.pump()
	return &c.out
}

// pump lets everything happen that can happen now.
func (c *core) pump() {
	c.enforce()
	c.prepare()
	c.route()
	c.poll()
	c.sendCancels()
	c.collect()
	c.out.abort = c.aborted
	c.out.done = c.over()
	c.tellTotals()
	c.out.wake = c.wake()
}

// over tells whether nothing is left to wait for.
func (c *core) over() bool {
	if c.calls > 0 || len(c.attempts) > c.left {
		return false
	}
	return c.stop != "" || c.cursor >= c.work.Len() && len(c.ready) == 0 && c.delayed.len() == 0
}

func (c *core) ask(k call) {
	c.calls++
	c.out.calls = append(c.out.calls, k)
}

// ratio of full jitter: between 0 and d.
func (c *core) jitter(d time.Duration) time.Duration {
	return time.Duration(c.rng.Int64N(int64(d) + 1))
}
