package scheduler

import (
	"time"

	"golang.org/x/time/rate"
)

// endpoint is what the core knows of a remote.
type endpoint struct {
	Properties
	index     int
	drain     bool // takes no new jobs
	finds     bool // it can tell of submits whose answer was lost
	watched   bool // it tells by itself when jobs end
	counts    bool // it tells how many jobs wait and run there; see stats.go
	counting  bool // that is being asked
	countAt   time.Time
	allWait   bool   // as many jobs wait there as are thought to
	unchecked bool   // its check is under way, or all others' are
	check     *Error // what its check said

	inFlight, submitting, polling int
	long                          int           // of polling: held back by the remote
	brief                         bool          // its jobs take less than briefJob
	submits, statuses, cancels    *rate.Limiter // asked with the core's time only
	polls, stops                  timeline[*attempt]
	quiet                         time.Time            // no poll before
	gaps                          samples              // what jobs cost beside their work
	lastEnd                       map[string]time.Time // by worker: of its last job

	begun int        // jobs with which a worker has begun, as far as is known
	queue []*attempt // the others, oldest first

	quota, depth  int     // jobs that are to run, and to wait, there at once; see quota.go
	refuge        bool    // the quota is for what can run nowhere else; see cover.go
	used          int     // the highest quota so far
	typical, slow float64 // seconds of a render: the mean, and what hardly any exceeds
	doubt         float64 // by which part typical may be wrong
	window        float64 // jobs that are ventured, by its busy answers; 0: as many as the limits allow
	cut           time.Time
	running       float64              // jobs that run there at once, as far as was seen; 0: not yet
	colds         samples              // cold starts
	told, started float64              // jobs whose worker was told, and those of them that waited for it to start; old ones count less
	workers       map[string]time.Time // when each was last heard of
	lastNew       time.Time            // when a worker last began to work
	firstSent     time.Time            // the first submit of this run, or the first after a rest
	lastDone      time.Time            // the last end of a job
	settled       time.Time
	recalled      map[string]kindSpeed // of earlier runs, by kind of graph
	kit           uint64               // models of the last job that was sent there
	fallback      estimate             // for attempts of an earlier run, whose kind of graph is not known
	health
}

// How many calls are under way at once on one endpoint. Few submits, since each of them is uncertain after a crash; more of them where
// jobs are so short that little is at stake.
const (
	maxSubmitting = 16
	maxBrief      = 128
	briefJob      = time.Second
	maxPolling    = 32
)

// slots is how many submits may be under way.
func (ep *endpoint) slots() int {
	if ep.brief {
		return maxBrief
	}
	return maxSubmitting
}

func newEndpoint(index int, p Properties) *endpoint {
	if p.Limits.InFlight <= 0 {
		p.Limits.InFlight = 1 << 30
	}
	return &endpoint{Properties: p, index: index, submits: perTenSeconds(p.Limits.SubmitPer10s), statuses: perTenSeconds(p.Limits.StatusPer10s),
		cancels:  atOnce(p.CancelPer10s),
		fallback: estimate{start: 15 * time.Second}}
}

// perTenSeconds allows at most n calls in any 10 s: a burst, and the rest evenly.
func perTenSeconds(n int) *rate.Limiter {
	if n <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	burst := max(1, n/20)
	return rate.NewLimiter(rate.Limit(max(float64(n-burst), 1)/10), burst)
}

// atOnce allows the same, but most of them in a burst: cancels come together, and the less time passes the less is paid.
func atOnce(n int) *rate.Limiter {
	if n <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	burst := max(1, n*3/4)
	return rate.NewLimiter(rate.Limit(max(float64(n-burst), 0.1)/10), burst)
}

// tokenAt gives when a call will be allowed: now, or later.
func tokenAt(l *rate.Limiter, now time.Time) time.Time {
	if l.Limit() == rate.Inf {
		return now
	}
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return now
	}
	return now.Add(time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Microsecond)
}

// health is an endpoint's circuit breaker. Trouble with submits in a row opens it; after a pause one submit probes; an answer closes it.
type health struct {
	dead     Kind   // why it cannot be used in this run, if reason is set
	reason   string // "" while it is usable
	trouble  string // the last trouble, "" after a success
	sickWith Kind   // its kind

	fails   int // submits in a row that failed
	pause   time.Duration
	until   time.Time // no submit before
	probing bool      // the one submit of a half-open breaker is under way
	busy    bool      // the pause is the remote's wish
	bad     time.Time // since when nothing succeeded; zero: it is well
	silent  bool      // its jobs were left, as it has not answered for too long
}

const (
	breakAfter = 5
	firstPause = 2 * time.Second
	maxPause   = time.Minute
	busyTimes  = 6 // a busy endpoint is borne for so many times Options.Patience
)

func (h *health) usable() bool { return h.reason == "" }

// open tells whether the breaker lets nothing but probes through.
func (h *health) open() bool { return h.fails >= breakAfter }

// admits tells whether a submit may be sent now.
func (h *health) admits(now time.Time) bool {
	return h.usable() && !now.Before(h.until) && !(h.open() && h.probing)
}

// worked notes a success. A poll's success does not close the breaker, as only submits are paid for.
func (c *core) worked(ep *endpoint, submit bool) {
	if submit && ep.open() {
		c.emit(Event{Endpoint: &EndpointEvent{Name: ep.Name, Usable: true}})
	}
	ep.bad, ep.silent = time.Time{}, false
	if submit {
		if c.shares != nil {
			c.shares.at(ep).worked = true
		}
		ep.trouble = ""
		ep.fails, ep.pause, ep.probing, ep.busy = 0, 0, false, false
	}
}

// failed notes trouble with a submit. now tells whether it concerns the endpoint at once, as when nobody listens there.
func (c *core) failed(ep *endpoint, err *Error, now bool) {
	wasOpen := ep.open()
	c.ill(ep, err)
	ep.busy = false
	ep.fails++
	if now {
		ep.fails = max(ep.fails, breakAfter)
	}
	if !ep.open() || wasOpen && !ep.probing {
		return // calls that were under way when it opened do not lengthen the pause
	}
	ep.probing = false
	ep.pause = min(max(2*ep.pause, firstPause), maxPause)
	c.pauseSubmits(ep, err, c.jitter(ep.pause))
}

// hurried notes that the remote asks to wait.
func (c *core) hurried(ep *endpoint, err *Error) {
	c.ill(ep, err)
	ep.probing, ep.busy = false, true
	wait := min(err.RetryAfter, 10*time.Minute)
	if wait <= 0 {
		ep.pause = min(max(2*ep.pause, time.Second), maxPause/2)
		wait = c.jitter(ep.pause)
	}
	c.pauseSubmits(ep, err, wait)
}

func (c *core) pauseSubmits(ep *endpoint, err *Error, wait time.Duration) {
	if until := c.now.Add(wait); until.After(ep.until) {
		ep.until = until
	}
	c.emit(Event{Endpoint: &EndpointEvent{Name: ep.Name, Usable: true, Code: err.Kind.Code(), Reason: err.Message, Pause: wait}})
}

// ill notes since when an endpoint has given no good answer.
func (c *core) ill(ep *endpoint, err *Error) {
	ep.trouble, ep.sickWith = err.Message, err.Kind
	if ep.bad.IsZero() {
		ep.bad = c.now
	}
}

// kill takes an endpoint out of this run: nothing can be sent there.
func (c *core) kill(ep *endpoint, kind Kind, reason string) {
	if !ep.usable() {
		return
	}
	ep.dead, ep.reason = kind, reason
	c.emit(Event{Endpoint: &EndpointEvent{Name: ep.Name, Code: kind.Code(), Reason: reason}})
}

// borne tells whether an endpoint's trouble is still to be waited out.
func (c *core) borne(ep *endpoint) bool {
	patience := c.opts.Patience
	if ep.busy {
		patience *= busyTimes
	}
	return ep.bad.IsZero() || c.now.Sub(ep.bad) < patience
}
