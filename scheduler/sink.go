package scheduler

import (
	"context"
	"io"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Sink makes the outputs of finished jobs safe. The collector of package render implements it. Collect is called from
// several goroutines, may be called again for a result that was collected already (after a crash), and then gives the same answer.
type Sink interface {
	// Collect fetches, checks, names, syncs and renames the files of one result. The error is for trouble that concerns the whole sink,
	// such as a full disk; what is wrong with one output is in Collected.
	Collect(ctx context.Context, result Result) (Collected, error)
}

// Result is what a finished attempt gave back.
type Result struct {
	Job       *compiler.Job
	Outputs   []Output
	Problems  []string
	Endpoint  Properties
	Remote    string
	Worker    string
	Submitted time.Time
	Finished  time.Time
	Execution time.Duration // paid time as the remote told it, else as observed
	CostUSD   *float64      // estimate, nil if the price is unknown
	Attempt   int           // from 1
	// Fetch opens an output (Endpoint.Fetch).
	Fetch func(ctx context.Context, out Output) (io.ReadCloser, error)
}

// Collected says what became of each render of a result.
type Collected struct {
	Done    []DoneRender
	Missing []MissingRender
}

// DoneRender is a render all of whose owed files are safe.
type DoneRender struct {
	Render int
	Files  []FileRecord
}

// MissingRender is a render that lacks at least one owed file.
type MissingRender struct {
	Render int
	Kind   Kind // Transient: worth another look at the same result; Lost: worth another attempt; Rejected: the endpoint will never give it
	Reason string
}

// FileRecord is one file that is safe on disk: hashed, synced, renamed. It is stored as JSON with the render's row.
type FileRecord struct {
	Path    string `json:"path"` // relative to the run directory, with slashes
	Node    string `json:"node"`
	Title   string `json:"title,omitempty"`
	Type    string `json:"type"` // media type by content
	SHA256  string `json:"sha256"`
	Bytes   int64  `json:"bytes"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	Thumb   string `json:"thumb,omitempty"`
	Preview bool   `json:"preview,omitempty"`

	Original string   `json:"original,omitempty"` // path of the file as it came, if Path was made from it by output.post
	Variant  string   `json:"variant,omitempty"`  // which of the variants of output.post Path is, where they have names
	Metadata []string `json:"metadata,omitempty"` // PNG text chunks it came with: prompt, workflow, comfyc
	Text     string   `json:"text,omitempty"`     // the beginning of a text output
	Note     string   `json:"note,omitempty"`     // what could not be done with it, in words for the user
	Reused   *Origin  `json:"reused,omitempty"`   // where it came from, if it was not rendered for this batch
}

// Origin tells where a render was made that was taken over from another batch.
type Origin struct {
	Batch    string    `json:"batch,omitempty"` // its name
	Rendered time.Time `json:"rendered,omitzero"`
	Seconds  float64   `json:"seconds,omitempty"`  // that were paid for
	CostUSD  *float64  `json:"cost_usd,omitempty"` // estimate; nil if the price was unknown
}
