package compiler

import (
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// Batch is a decoded batch.yaml: its settings as plain data, with places where findings need them. What is not given has its default.
type Batch struct {
	File *source.File
	Root *source.Value // the whole tree, for keys that are read where they are needed (gallery, output.dir)
	Name string        // of the file if none is given, see nameOf
	// Workflow is the name of the workflow's file, or the workflow itself.
	Workflow  *source.Value
	Templates []*source.Value // names of the files of node templates
	Seed      uint64          // of everything that is drawn, any uint64; 0 by default
	Inputs    []Setting       // address → path of a file
	Set       []Setting       // address → value
	Bind      []Setting       // axis → address or addresses
	Sweep     sweep.Spec      // as written; package sweep reads it
	Prompts   Prompts
	Endpoints []*source.Value // names, or endpoints written out
	Schedule  Schedule
	Output    Output
	Gallery   Gallery
	Notify    Notify
	Reduction Reduction // which passes are off
}

// Setting is one line of inputs, set or bind.
type Setting struct {
	Name  string // an address, or an axis
	Key   diag.Place
	Value *source.Value // any; the schema allows scalars for set, and paths for inputs
}

// Schedule says how a plan is run.
type Schedule struct {
	Objective   string        // cheapest, fastest or balanced; cheapest by default
	Deadline    time.Duration // from the first start; 0 for none
	BudgetUSD   float64       // 0 for none
	Fuse        int           // renders merged into one job at most: 0 is auto, 1 is off
	Retries     int           // extra attempts per shard; 3 by default
	Hedge       bool          // false by default
	MaxParallel int           // shards in flight; 64 by default
	FailFast    bool
	Resubmit    bool // uncertain submissions are sent again; false holds them

	budget diag.Place // where it is written, for findings about prices
}

// Output says what is written.
type Output struct {
	Dir      string        // as written, relative to the batch; "out" by default
	Filename string        // the pattern; %index% by default
	Post     *source.Value // the steps as written, nil for none
	S3       *source.Value // the bucket as written, nil for none

	filename *source.Value // where the pattern stands
}

// Gallery says how the gallery is laid out; the names are axes.
type Gallery struct {
	Title, Rows, Cols, Pages string
	Theme                    string // a built-in theme, "" for the plain one
	NoSheet                  bool   // no contact sheet is drawn
}

// Notify says who is told when a batch has ended; the zero value tells nobody.
type Notify struct {
	Webhook   string // the address that is called
	SecretEnv string // name of the environment variable that holds the secret that signs
}

// The defaults of a batch.
// They are written into the documentation of batch.yaml, too: a change here changes what every batch
// without the key does.
const (
	defaultRetries     = 3
	defaultMaxParallel = 64
	defaultDir         = "out"
	defaultFilename    = "%index%"
)
