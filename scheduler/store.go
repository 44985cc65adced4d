package scheduler

import (
	"context"
	"iter"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Store is the durable memory of one batch. It has rows for renders that have ended and for attempts; what is waiting has none.
// Package store implements it.
//
// Apply is called from one goroutine at a time; the reading methods may be called from others meanwhile, and from other
// processes, and see what was applied before they began.
type Store interface {
	// Meta gives what is known of the batch; its zero value if nothing was stored yet.
	Meta(ctx context.Context) (Meta, error)

	// Attempts gives the attempts that are not Collected, by number.
	Attempts(ctx context.Context) iter.Seq2[Attempt, error]

	// Records gives a record for every render that has left Waiting, by index: ended ones as they were recorded, else
	// those of an open attempt as Active. A render that is no more in the plan has the index -1.
	Records(ctx context.Context) iter.Seq2[Record, error]

	// Apply makes the changes in their order, all or none. They are durable when it returns.
	Apply(ctx context.Context, changes []Change) error

	// Close ends the use of the store. It may be called again.
	Close() error
}

// Meta is what the store knows of the whole batch.
type Meta struct {
	Name    string    // of the batch
	Plan    string    // hash of the plan that was run last
	Renders int       // of that plan
	Started time.Time // of the first run: a deadline counts from here
	Updated time.Time // of the last change, when read

	// These two are computed by the store when read, and ignored by Apply.
	Last     int64   // the highest number of an attempt, 0 if there was none
	SpentUSD float64 // the sum of all CostUSD that are known
}

// Attempt is the row of one submission of a shard.
type Attempt struct {
	Number      int64 // from 1, unique in the store
	Renders     []RenderRef
	Try         int // from 1: how often these renders were submitted, this time included
	State       AttemptState
	Endpoint    string
	GPU         string
	Preview     bool
	Remote      string // the remote's id of the job, "" before it is known
	Token       string // of Terms.Token: names the submission, also when its answer was lost; secret
	Worker      string
	Kind        Kind   // of the trouble with a Failed, Expired or Uncertain one
	Reason      string // the same in words
	Created     time.Time
	Submitted   time.Time // when the remote had taken it
	Finished    time.Time // when its end was seen
	Expires     time.Time // when the remote drops the result
	Seconds     float64   // paid, as told or as observed
	ReservedUSD *float64  // nil if the price is unknown
	CostUSD     *float64  // estimate once it has ended, nil if the price is unknown
}

// RenderRef names a render in the plan and for ever.
type RenderRef struct {
	Index int // in the plan that was run last, -1 if it is no more in it
	ID    compiler.RenderID
}

// Change is one write; one of its fields is set.
type Change struct {
	Attempt *Attempt           // written whole, by its number
	Record  *Record            // written whole, by its ID
	Drop    *compiler.RenderID // the record of a render that waits again
	Move    *RenderRef         // the new index of a render that has a record
	Meta    *Meta
}

// FencedError is what Apply gives when somebody else goes on with the batch: this run may write nothing any more, and stops at once.
type FencedError struct{ What string }

// Error says what was taken over.
func (e *FencedError) Error() string { return e.What + " was taken over; this run stops" }
