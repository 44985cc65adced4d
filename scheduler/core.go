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
	// token draws the name of an attempt, which is secret: the one thing that is not repeatable. nil in simulations.
	token func() string
	out   effects

	renders []RenderState // one byte each
	counts  Counts
	cursor  int             // renders before it have left Waiting, or are being prepared
	trouble map[int]Trouble // of Failed, Held and left renders
	history map[int]history // of renders that were tried in an earlier run and have not ended

	paused    bool
	unwanted  map[int]bool // renders that were cancelled and have not ended
	unwantAll bool
	priority  map[int]int // of renders, where it is not 0
	ahead     []int       // of them those that were not prepared yet, in the order in which they are to go

	endpoints  []*endpoint
	classes    map[uint64]*graphClass
	attempts   map[int64]*attempt  // open ones
	byRemote   map[string]*attempt // the same by remote id; nil as long as nobody asks
	lost       map[string]*attempt // uncertain ones, by token
	asked      map[int64]*attempt  // of them those of which somebody may tell more
	finding    timeline[*attempt]
	findingNow int            // calls that ask about them
	last       int64          // highest attempt number given
	shards     map[int]*shard // being prepared
	lastShard  int
	kinds      []*graphClass    // of classes, in the order in which they came
	ready      int              // shards that are prepared and wait for an endpoint
	odd        []*shard         // of them those that stand in no lane
	aside      int              // shards for which no usable endpoint is left in this run
	found      []candidate      // scratch space of choose
	chooser    chooser          // in place of pick, for comparisons; nil
	planned    time.Time        // when the quotas were set
	stale      bool             // they are to be set anew
	pass       int              // of route
	fusing     int              // renders that a job was to hold at most so far
	delayed    timeline[*shard] // waiting for their next try
	finished   timeline[*attempt]

	inFlight, left                                     int // attempts
	preparing, collecting, cancelling, checking, calls int // calls under way
	backlogBytes                                       int // of these
	backlog                                            int // attempts whose outputs are in memory

	money   ledger
	shares  *sharing // with other runs; nil without any
	stop    Stop
	grace   time.Time // when waiting ends after an interrupt
	aborted bool
	sick    sickness // of the sink
	reuse   reusing  // of other batches' renders

	started  time.Time
	deadline time.Time
	ended    int // renders that ended in this run
	made     int // attempts made in this run
	hedges   int // of them those of renders that had one already
	hedged   time.Time
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
	callReuse // take over what was rendered for another batch
	callTrade // ask Options.Shares
	callFind  // did a submit arrive whose answer was lost
	callStats // how many jobs wait and run there
)

// call is one call to be made. The goroutine that makes it sees nothing else of the core.
type call struct {
	kind     callKind
	endpoint int
	shard    int
	attempt  int64
	remote   string
	token    string
	terms    Terms         // of a submit
	wait     time.Duration // of a poll that may be held back
	renders  []int
	mates    []int   // of a submit: shards whose jobs are not needed, as they are part of this one
	want     *Want   // of a trade
	result   *Result // of a collect: what the core knows of it
}

// input is something that happened. apply changes the state; what follows from it is decided once, by pump, after all inputs.
type input interface{ apply(c *core) }

// shard is renders that go to an endpoint as one remote job.
type shard struct {
	id       int
	priority int
	renders  []int
	class    *graphClass // nil until prepared
	bytes    int64       // of the job's body, about
	graph    int64       // of them the graph's
	files    []compiler.InputFile
	pixels   float64   // of all pictures that it owes
	mates    []int     // ids of the shards that it was merged from
	taken    bool      // it was merged into another one
	avoid    *endpoint // where it failed last
	stray    *attempt  // an uncertain one of the same render
	unfit    []string  // why each endpoint cannot run it, "" or missing: it can
	last     Trouble   // of the last attempt
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
	endAt     time.Time // when it ended remotely
	beganAt   time.Time // when a worker began with it, as far as is known; zero: it waits
	runningAt time.Time // when it was first seen running
	progress  float64
	polls     int       // answered
	failures  int       // polls in a row without an answer
	gone      int       // answers in a row that the job is not known
	collects  int       // failed ones
	probe     bool      // it is polled early, to learn how long its kind takes
	polling   bool      // a poll is under way
	hinted    bool      // and another one is to follow at once
	finds     int       // answers of a Finder
	askUntil  time.Time // of an uncertain one: when a webhook is waited for no more
	hasOutput bool      // its outputs are in memory
	outputs   int       // their bytes
	byURL     bool      // they are elsewhere
	settled   bool      // its money is
	restored  bool      // it was submitted by an earlier run, so its times were not seen

	twin   *attempt // another one of the same render, while both are open
	beaten bool     // the other one was faster

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
	c.takeOver()
	c.prepare()
	c.route()
	c.hedge()
	c.askStats()
	c.poll()
	c.sendCancels()
	c.collect()
	c.findLost()
	c.trade()
	c.out.abort = c.aborted
	c.out.done = c.over()
	c.tellTotals()
	c.out.wake = c.wake()
}

// over tells whether nothing is left to wait for.
func (c *core) over() bool {
	if c.calls > 0 || len(c.attempts) > c.left || len(c.asked) > 0 || c.reusesMore() {
		return false
	}
	return c.stop != "" || c.cursor >= c.work.Len() && len(c.ahead) == 0 && c.ready == 0 && c.delayed.len() == 0
}

func (c *core) ask(k call) {
	c.calls++
	c.out.calls = append(c.out.calls, k)
}

// jitter is full jitter: anything between 0 and d is as likely, so that what failed at one moment is not repeated at one moment.
func (c *core) jitter(d time.Duration) time.Duration {
	return time.Duration(c.rng.Int64N(int64(d) + 1))
}
