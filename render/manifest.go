package render

import "github.com/comfyc/comfyc/scheduler"

// ManifestVersion is the version of manifest.json that is written and read.
const ManifestVersion = 1

// Manifest is the record of a finished or running batch. Everything a gallery shows
// is in it. It holds data only: no clock is read and no file opened by its methods.
type Manifest struct {
	// Version is 1.
	Version int `json:"version"`
	// Name is the batch's name.
	Name string `json:"name"`
	// Created and Updated are RFC 3339 times: when the batch was first started, and when
	// this record was made.
	Created string `json:"created"`
	Updated string `json:"updated"`
	// Plan is the plan's hash, in hex.
	Plan string `json:"plan,omitempty"`
	// Command is the command line that renders one cell alone when "--set ADDRESS=VALUE" is
	// added for each of its axes, if there is one: "comfyc render flux.json --set 9.steps=20".
	Command string `json:"command,omitempty"`
	// Retry is the command line that tries failed renders again, Resubmit that which sends held ones again at the risk of paying twice.
	Retry    string `json:"retry,omitempty"`
	Resubmit string `json:"resubmit,omitempty"`
	// Running is set while the batch runs: whoever shows the manifest should look again.
	Running bool `json:"running,omitempty"`
	// Gallery is how the cells are laid out at first.
	Gallery Layout `json:"gallery"`
	// Axes are the dimensions of the sweep in the order of the batch file.
	Axes []Axis `json:"axes"`
	// Graphs are the graphs that cells share, in API form; see Cell.Graph.
	Graphs []Graph `json:"graphs,omitempty"`
	// Totals sum up Cells; see [Manifest.Tally].
	Totals Totals `json:"totals"`
	// Cells are the coordinates of the sweep by rising Index.
	Cells []Cell `json:"cells"`
}

// Layout puts axes, by name, onto the sides of the grid. An empty name leaves the side
// out; axes on no side are shown side by side within a cell.
type Layout struct {
	Title string `json:"title,omitempty"`
	Rows  string `json:"rows,omitempty"`
	Cols  string `json:"cols,omitempty"`
	Pages string `json:"pages,omitempty"`
}

// Axis is one dimension of the sweep.
type Axis struct {
	Name string `json:"name"`
	// Addresses are the inputs it drives, as "node.input"; none if it is used as ${name}.
	Addresses []string `json:"addresses,omitempty"`
	// Values are in the order of the sweep.
	Values []AxisValue `json:"values"`
	// Role says what the axis means to a reader, where that is known: prompt, seed, model,
	// file, number, choice.
	Role string `json:"role,omitempty"`
}

// AxisValue is one value of an axis.
type AxisValue struct {
	// Label is what is shown, and what Cell.Coordinates refer to. Unique within its axis.
	Label string `json:"label"`
	// Value is the value as text, left out where it is the label.
	Value string `json:"value,omitempty"`
	// JSON is the value as JSON text, left out where it is a string.
	JSON string `json:"json,omitempty"`
}

// Graph is a workflow in API form: its nodes in their order.
type Graph []GraphNode

// GraphNode is one node of a Graph. Inputs are pairs of a name and a value as JSON text, so that no digit of a seed is lost.
type GraphNode struct {
	ID     string      `json:"id"`
	Class  string      `json:"class"`
	Title  string      `json:"title,omitempty"`
	Inputs [][2]string `json:"inputs"`
}

// GraphValue is a value of a cell's own in a graph.
type GraphValue struct {
	Node  string `json:"node"`
	Input string `json:"input"`
	JSON  string `json:"json"`
}

// State of a cell.
type State string

// The states are those of the cell's render.
const (
	StateWaiting   State = "waiting"
	StateActive    State = "active"
	StateDone      State = "done"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
	StateHeld      State = "held"
)

// States are all states, in the order in which a reader wants them.
var States = []State{StateDone, StateActive, StateWaiting, StateHeld, StateFailed, StateCancelled}

// Cell is one coordinate of the sweep with what came of it. Coordinates that share a
// render have equal Render, Files, Seconds and Cost.
type Cell struct {
	// ID is the coordinate's id, the hash of its axis values, in hex.
	ID string `json:"id"`
	// Index is the coordinate's position in the sweep, from 0.
	Index int `json:"index"`
	// Render is the id of the render, in hex.
	Render string `json:"render"`
	// Coordinates give an axis value's label by the axis's name.
	Coordinates map[string]string `json:"coordinates"`
	State       State             `json:"state"`
	// Error says why a cell is failed, held or cancelled, in words for the user.
	Error string `json:"error,omitempty"`
	// Missing are owed outputs that did not come, as "node" or "node (title)".
	Missing []string `json:"missing,omitempty"`
	Files   []File   `json:"files,omitempty"`
	// Prompt and Negative are the positive and the negative text as sent.
	Prompt   string `json:"prompt,omitempty"`
	Negative string `json:"negative,omitempty"`
	// Seed is decimal text, since seeds go up to 2^64-1; empty when there is none.
	Seed string `json:"seed,omitempty"`
	// Params are further settings in the order in which they are to be read.
	Params []Param `json:"params,omitempty"`
	// Graph is the index of the cell's graph in Manifest.Graphs, -1 if it is not there; without Graphs it
	// says nothing. The values of axes stand in it at the axes' addresses, and then those of Set.
	Graph int          `json:"graph,omitempty"`
	Set   []GraphValue `json:"set,omitempty"`
	// Workflow is the path of the resolved graph in API form, if it was kept.
	Workflow string `json:"workflow,omitempty"`
	// Endpoint, GPU and Worker are where it was rendered: the endpoint's configured name,
	// its GPU, the worker's id or image.
	Endpoint string `json:"endpoint,omitempty"`
	GPU      string `json:"gpu,omitempty"`
	Worker   string `json:"worker,omitempty"`
	// Seconds is the time that was paid for, in seconds.
	Seconds float64 `json:"seconds,omitempty"`
	// CostUSD is an estimate in US dollars; nil when the price is unknown.
	CostUSD *float64 `json:"cost_usd,omitempty"`
	// Attempts counts submissions, the successful one included.
	Attempts int `json:"attempts,omitempty"`
	// Reused tells that it was taken over from another batch, and what it had cost there; nil if it was rendered for this one.
	Reused *scheduler.Origin `json:"reused,omitempty"`
}

// Param is one named setting; the value is text so that no digit is lost.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kind says how a file can be shown.
type Kind string

// The kinds of files. Whatever could run script in a browser (SVG, HTML) is other.
const (
	KindImage Kind = "image"
	KindVideo Kind = "video"
	KindAudio Kind = "audio"
	KindText  Kind = "text"
	KindOther Kind = "other"
)

// File is one output of a render.
type File struct {
	// Path is relative to the run directory, with forward slashes.
	Path string `json:"path"`
	// Original is the path of the output as it came, if Path was made from it by output.post.
	Original string `json:"original,omitempty"`
	// Variant is which of the variants of output.post Path is, where they have names.
	Variant string `json:"variant,omitempty"`
	// Thumb is the path of the thumbnail, if there is one.
	Thumb string `json:"thumb,omitempty"`
	// Node is the id of the output node, Title its title.
	Node  string `json:"node,omitempty"`
	Title string `json:"title,omitempty"`
	// Type is the media type by content, Kind how it can be shown.
	Type string `json:"type"`
	Kind Kind   `json:"kind"`
	// Width and Height are in pixels; 0 when unknown.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Bytes is the file's length.
	Bytes int64 `json:"bytes"`
	// SHA256 is the hash of the file's content, in hex.
	SHA256 string `json:"sha256"`
	// Metadata are the names of the PNG text chunks that ComfyUI or comfyc can read back:
	// prompt, workflow, comfyc.
	Metadata []string `json:"metadata,omitempty"`
	// Text is the beginning of a text output, at most 2048 bytes.
	Text string `json:"text,omitempty"`
	// Note says what could not be done with the file, in words for the user.
	Note string `json:"note,omitempty"`
	// Preview is set if the pixels are a sketch drawn by the preview worker.
	Preview bool `json:"preview,omitempty"`
}

// Totals sum up a manifest's cells.
type Totals struct {
	// Cells counts coordinates, Renders the distinct renders behind them.
	Cells   int `json:"cells"`
	Renders int `json:"renders"`
	// The counts by state are of distinct renders.
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Held      int `json:"held,omitempty"`
	Cancelled int `json:"cancelled,omitempty"`
	Active    int `json:"active,omitempty"`
	Waiting   int `json:"waiting,omitempty"`
	// Files and Bytes count each render's outputs once.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Seconds is the time paid for by all renders together, in seconds.
	Seconds float64 `json:"seconds"`
	// CostUSD is the sum of known costs in US dollars; nil if none is known. Unpriced counts
	// the done renders without a known cost.
	CostUSD  *float64 `json:"cost_usd,omitempty"`
	Unpriced int      `json:"unpriced,omitempty"`
}

// Tally counts the cells into m.Totals. Renders shared by several cells are counted
// once, by their first cell.
func (m *Manifest) Tally() {
	t := Totals{Cells: len(m.Cells)}
	seen := make(map[string]bool, len(m.Cells))
	for i := range m.Cells {
		c := &m.Cells[i]
		if c.Render != "" && seen[c.Render] {
			continue
		}
		seen[c.Render] = true
		t.add(c)
	}
	m.Totals = t
}

func (t *Totals) add(c *Cell) {
	t.Renders++
	switch c.State {
	case StateDone:
		t.Done++
	case StateFailed:
		t.Failed++
	case StateHeld:
		t.Held++
	case StateCancelled:
		t.Cancelled++
	case StateActive:
		t.Active++
	default:
		t.Waiting++
	}
	t.Files += len(c.Files)
	for _, f := range c.Files {
		t.Bytes += f.Bytes
	}
	t.Seconds += c.Seconds
	switch {
	case c.CostUSD != nil:
		if t.CostUSD == nil {
			t.CostUSD = new(float64)
		}
		*t.CostUSD += *c.CostUSD
	case c.State == StateDone:
		t.Unpriced++
	}
}
