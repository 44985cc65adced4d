package scheduler

import (
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Work is what the scheduler needs of a plan; *compiler.Plan is one. Renders are named by their index from 0. All methods may be called
// from several goroutines and always give the same answer.
type Work interface {
	Hash() string                              // of the whole plan
	Len() int                                  // renders
	RenderID(i int) compiler.RenderID          // of one render
	Job(renders ...int) (*compiler.Job, error) // what is sent for a shard
}

// RenderState is where a render stands. See the diagram in doc.go.
type RenderState uint8

// The states of renders. Held renders wait for the user: a submit's answer was lost and they may be paid for already.
const (
	Waiting RenderState = iota
	Active
	Done
	RenderFailed
	RenderCancelled
	Held
)

// String gives the state's word as manifests and the store write it.
func (s RenderState) String() string {
	return [...]string{"waiting", "active", "done", "failed", "cancelled", "held"}[s]
}

// Record is what the store knows of one render: what galleries and `comfyc status` show.
type Record struct {
	Render    int // index in the plan
	ID        compiler.RenderID
	State     RenderState
	Files     []FileRecord // of a Done render
	Reason    string       // why it Failed, was Cancelled or is Held
	Kind      Kind         // of the failure
	Endpoint  string       // where it was done or last tried
	GPU       string
	Remote    string // the remote's id of the last attempt
	Worker    string
	Attempts  int
	Submitted time.Time
	Finished  time.Time
	Seconds   float64  // paid seconds of the last attempt
	CostUSD   *float64 // estimate over all attempts, nil if a price is unknown
}
