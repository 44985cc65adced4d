// What can go wrong, and when. Whether a rule strikes depends on the seed, the endpoint's name, the rule's place in the list and the number of the
// request or job: not on time or on the order of goroutines. So a run that failed can be repeated, as long as requests come in the same order.

package emulator

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a way of misbehaving.
type Kind string

// Faults of single requests. Those that say "handled" take the job, or do whatever else was asked, before the answer goes wrong; the others do nothing at all.
const (
	LostAnswer    Kind = "lost-answer"    // handled; the connection closes without an answer
	Reset         Kind = "reset"          // the connection is reset; handled if After
	HTTPStatus    Kind = "http"           // Status (500 if 0) with a JSON error, RetryAfter if not 0; handled if After
	HTML          Kind = "html"           // 200 (or Status) and a web page; handled if After
	Truncated     Kind = "truncated"      // handled; the JSON stops half-way although the length said more
	Slow          Kind = "slow"           // handled; the answer comes Delay later
	SlowBody      Kind = "slow-body"      // handled; the header comes at once, the body Delay later
	Redirect      Kind = "redirect"       // 302 to Location
	Oversize      Kind = "oversize"       // handled; 64 MiB of blanks before the closing brace
	WrongID       Kind = "wrong-id"       // handled; the answer names another job
	UnknownStatus Kind = "unknown-status" // handled; the status is a word that nobody knows
)

// Faults of whole jobs.
const (
	Partial  Kind = "partial"   // COMPLETED, but the last image is not there
	NoOutput Kind = "no-output" // COMPLETED without output
	Failed   Kind = "failed"    // FAILED with Message, after the whole execution time
	Hang     Kind = "hang"      // IN_PROGRESS until the execution time-out
	Expired  Kind = "expired"   // the result is gone Delay after the job has finished, at once if 0
	Twice    Kind = "twice"     // after COMPLETED the platform runs the job once more: IN_PROGRESS, then COMPLETED again
	Progress Kind = "progress"  // IN_PROGRESS carries an output, which is no result
)

// Op names requests that faults may strike.
type Op string

// The operations. Polls are status, status-sync, stream and /history.
const (
	Submit Op = "submit"
	Status Op = "status"
	Cancel Op = "cancel"
	Stat   Op = "stats"
	Fetch  Op = "fetch"
	Upload Op = "upload"
	other  Op = ""
)

// Fault makes requests or jobs go wrong: those numbered in At, and each other one with the probability Rate. Numbers count from 1, per endpoint, the
// requests of the operation On, or the accepted jobs. The first rule that fits a request is taken; of jobs all that fit.
type Fault struct {
	Kind  Kind
	On    Op // of requests; "" means Submit for LostAnswer, any operation else
	Rate  float64
	At    []int
	Times int // at most so many times; 0 means no bound

	// These say how, for the kinds that name them; the others pay no heed.
	Delay      time.Duration
	RetryAfter time.Duration
	Status     int
	Message    string
	Location   string
	After      bool
}

var requestKinds = []Kind{LostAnswer, Reset, HTTPStatus, HTML, Truncated, Slow, SlowBody, Redirect, Oversize, WrongID, UnknownStatus}
var jobKinds = []Kind{Partial, NoOutput, Failed, Hang, Expired, Twice, Progress}
var ops = []Op{Submit, Status, Cancel, Stat, Fetch, Upload}

// checkFaults finds rules that cannot be meant.
func checkFaults(faults []Fault) error {
	for i, f := range faults {
		isJob := slices.Contains(jobKinds, f.Kind)
		switch {
		case !isJob && !slices.Contains(requestKinds, f.Kind):
			return fmt.Errorf("fault %d: unknown kind %q", i+1, f.Kind)
		case f.Rate < 0 || f.Rate > 1:
			return fmt.Errorf("fault %d: rate %g is not between 0 and 1", i+1, f.Rate)
		case f.On != "" && (isJob || !slices.Contains(ops, f.On)):
			return fmt.Errorf("fault %d: %s cannot strike %q", i+1, f.Kind, f.On)
		case f.Status != 0 && (f.Status < 100 || f.Status > 599):
			return fmt.Errorf("fault %d: %d is no HTTP status", i+1, f.Status)
		}
	}
	return nil
}

// handled tells whether the request is carried out before the answer goes wrong.
func (f *Fault) handled() bool {
	switch f.Kind {
	case Redirect:
		return false
	case Reset, HTTPStatus, HTML:
		return f.After
	}
	return true
}

// fits tells whether a rule is about an operation.
func (f *Fault) fits(op Op) bool {
	if f.On == "" && f.Kind == LostAnswer {
		return op == Submit
	}
	return f.On == "" || f.On == op
}

// dice decides faults of one endpoint. Its owner's lock guards it.
type dice struct {
	seed   uint64
	faults []Fault
	struck []int // times each rule was taken
}

// newDice mixes the endpoint's name into the seed, so that two endpoints with equal rules do not fail together.
func newDice(seed uint64, name string, faults []Fault) dice {
	// FNV: it is the same on all machines and in all versions, as a test's expectations need it.
	h := fnv.New64a()
	h.Write([]byte(name))
	return dice{seed: seed ^ h.Sum64(), faults: faults, struck: make([]int, len(faults))}
}

// request gives the rule that strikes the n-th request of an operation, nil if none does.
func (d *dice) request(op Op, n int) *Fault {
	for i := range d.faults {
		f := &d.faults[i]
		if slices.Contains(requestKinds, f.Kind) && f.fits(op) && d.strikes(i, string(op), n) {
			return f
		}
	}
	return nil
}

// job gives the rules that strike the n-th job.
func (d *dice) job(n int) (out []*Fault) {
	for i := range d.faults {
		if slices.Contains(jobKinds, d.faults[i].Kind) && d.strikes(i, "job", n) {
			out = append(out, &d.faults[i])
		}
	}
	return out
}

// strikes decides on one rule and one number, and counts it. `what` keeps the numbers of requests and jobs apart.
func (d *dice) strikes(rule int, what string, n int) bool {
	f := &d.faults[rule]
	if f.Times > 0 && d.struck[rule] >= f.Times {
		return false
	}
	if !slices.Contains(f.At, n) && (f.Rate == 0 || d.roll(fmt.Sprint(rule, what), n) >= f.Rate) {
		return false
	}
	d.struck[rule]++
	return true
}

// roll gives a number from 0 up to 1 that depends on the seed, the purpose and the number only.
func (d *dice) roll(purpose string, n int) float64 { return d.rand(purpose, n).Float64() }

// rand gives random numbers that depend on the seed, the endpoint's name, the purpose and the number only.
func (d *dice) rand(purpose string, n int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(d.seed^h.Sum64(), uint64(n)))
}
