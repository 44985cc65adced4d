package scheduler

import (
	"fmt"
	"slices"
)

// AttemptState is where one submission of a shard stands. See the diagram in doc.go.
type AttemptState uint8

// The states of attempts. The last four are final; an uncertain attempt stays so until the user, or the remote, says more.
const (
	AttemptReserved   AttemptState = iota // an endpoint was chosen and the money reserved
	AttemptSubmitting                     // the intent is durable, the POST may be on its way
	AttemptSubmitted                      // the remote gave its id
	AttemptRunning                        // a remote worker has it
	AttemptFinished                       // done remotely, its result not yet safe here
	AttemptUncertain                      // the answer to the POST was lost: it may be running and paid for
	AttemptCollected                      // at least one file is safe, and all that came
	AttemptFailed                         // refused, failed when run, or without any owed file
	AttemptCancelled                      // stopped by us or on the remote
	AttemptExpired                        // the remote lost the job or its result
)

var attemptWords = [...]string{"reserved", "submitting", "submitted", "running", "finished", "uncertain", "collected", "failed", "cancelled", "expired"}

var renderWords = [...]string{"waiting", "active", "done", "failed", "cancelled", "held"}

// String gives the state's word as the store and the events write it.
func (s AttemptState) String() string { return attemptWords[s] }

// Final tells whether an attempt has ended.
func (s AttemptState) Final() bool { return s >= AttemptCollected }

// MarshalText writes the state's word.
func (s AttemptState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the state's word.
func (s RenderState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the kind's word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Final tells whether a render has ended in this run.
func (s RenderState) Final() bool { return s >= Done }

// ParseAttemptState reads the word of an attempt's state.
func ParseAttemptState(word string) (AttemptState, error) {
	i := slices.Index(attemptWords[:], word)
	if i < 0 {
		return 0, fmt.Errorf("unknown attempt state %q", word)
	}
	return AttemptState(i), nil
}

// ParseRenderState reads the word of a render's state.
func ParseRenderState(word string) (RenderState, error) {
	i := slices.Index(renderWords[:], word)
	if i < 0 {
		return 0, fmt.Errorf("unknown render state %q", word)
	}
	return RenderState(i), nil
}

// ParseKind reads the word of a kind of trouble.
func ParseKind(word string) (Kind, error) {
	for k := Transient; k <= WorkerFailed; k++ {
		if k.String() == word {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind of trouble %q", word)
}

// attemptMoves are the legal transitions of attempts. Anything else is a bug.
var attemptMoves = [...][]AttemptState{
	AttemptReserved:   {AttemptSubmitting},
	AttemptSubmitting: {AttemptSubmitted, AttemptFailed, AttemptUncertain, AttemptCancelled},
	AttemptSubmitted:  {AttemptRunning, AttemptFinished, AttemptFailed, AttemptCancelled, AttemptExpired},
	AttemptRunning:    {AttemptFinished, AttemptFailed, AttemptCancelled, AttemptExpired},
	AttemptFinished:   {AttemptCollected, AttemptFailed, AttemptCancelled, AttemptExpired},
	AttemptUncertain:  {AttemptSubmitted, AttemptFailed},
	AttemptExpired:    {},
}

// renderMoves are the legal transitions of renders. A new run puts ended renders back to Waiting; within a run only an Active one
// of which nothing is in flight goes back.
var renderMoves = [...][]RenderState{
	Waiting:         {Active, Done, RenderFailed, RenderCancelled, Held},
	Active:          {Done, RenderFailed, RenderCancelled, Held, Waiting},
	Done:            {},
	RenderFailed:    {},
	RenderCancelled: {},
	Held:            {Waiting},
}

// Counts is how many renders are in each state, by RenderState.
type Counts [Held + 1]int

// setAttempt moves an attempt to its next state: the one place where that is done. It puts the row into the next write, keeps the
// counters of what is in flight, and tells the listener.
func (c *core) setAttempt(a *attempt, to AttemptState) {
	if !slices.Contains(attemptMoves[a.State], to) {
		panic(fmt.Sprintf("attempt %d cannot go from %s to %s", a.Number, a.State, to))
	}
	was := inFlight(a.State)
	a.State = to
	c.moveInFlight(a.endpoint, was, inFlight(to))
	if was && !inFlight(to) && a.Remote != "" {
		c.gone(a, c.endedAt(a))
	}
	c.out.changes = append(c.out.changes, Change{Attempt: a.row()})
	c.tellAttempt(a)
	defer c.indexRemote(a)
	if to.Final() || to == AttemptUncertain {
		delete(c.attempts, a.Number)
		if a.isLeft {
			c.left--
		}
	}
}

// inFlight tells whether an attempt takes a place on its endpoint.
func inFlight(s AttemptState) bool {
	return s == AttemptSubmitting || s == AttemptSubmitted || s == AttemptRunning
}

func (c *core) moveInFlight(ep *endpoint, was, is bool) {
	if was == is {
		return
	}
	by := 1
	if was {
		by = -1
	}
	c.inFlight += by
	ep.inFlight += by
}

// setRender moves a render to its next state: the one place where that is done. why is what is recorded of an ended render; it is
// nil for the states of which the store has no row.
func (c *core) setRender(i int, to RenderState, why *Record) {
	from := c.renders[i]
	if !slices.Contains(renderMoves[from], to) {
		panic(fmt.Sprintf("render %d cannot go from %s to %s", i, from, to))
	}
	c.renders[i] = to
	c.counts[from]--
	c.counts[to]++
	if to.Final() {
		why.Render, why.ID, why.State = i, c.work.RenderID(i), to
		c.out.changes = append(c.out.changes, Change{Record: why})
	}
	c.tellRender(i, to, why)
}
