package worker

import (
	"context"
	"encoding/json"
	"fmt"
)

// File is one file a run saved.
type File struct {
	Node                string // id of the node that saved it
	Filename, Subfolder string // slashes in Subfolder; empty for the folder itself
	Type                string // "output" or "temp"
	Data                []byte
}

// Result of a run.
type Result struct {
	Files    []File      // in execution order
	Errors   []NodeError // the nodes that failed, in execution order
	Executed int         // nodes that ran and did not fail
}

// NodeError is a node that failed. What depends on it did not run.
type NodeError struct{ Node, Class, Message string }

// Options of a run; the zero value works.
type Options struct {
	// Inputs gives an uploaded file by its name, without the " [input]" that a
	// name may end in. Names of other folders keep their " [output]" or " [temp]".
	Inputs func(name string) ([]byte, error)
	// MaxPixels is the most pixels of one batch; 64 Mi when 0 or less.
	MaxPixels int
	// Counter gives the next file number of a prefix ("sub/name"), as ComfyUI
	// finds it by looking into the output folder. It is asked once per saving
	// node, while the files of this run are not there yet: the run itself counts
	// on from the larger of both. Without it numbers start at 1.
	Counter func(prefix string) int
	// NoMetadata leaves the prompt and Extra out of the files. The note that a
	// picture is a preview stays.
	NoMetadata bool
	// Extra is extra_pnginfo; each key becomes a tEXt chunk.
	Extra map[string]json.RawMessage
	// Targets are the output nodes to run; all when empty.
	Targets []string
}

// Support says how the preview runs a class.
type Support int

const (
	None  Support = iota // refused by name
	Drawn                // stands in for model work; the pictures are marked PREVIEW
	Real                 // does exactly what ComfyUI does
)

// String gives the word for reports.
func (s Support) String() string {
	return [...]string{"none", "drawn", "real"}[s]
}

// Supports tells how the preview runs a class.
func Supports(name string) Support {
	c, _ := classOf(name)
	return c.support
}

// defaultPixels is Options.MaxPixels when it is not set.
const defaultPixels = 64 << 20

// Run runs an API-format prompt: a JSON object of id -> {class_type, inputs}.
// The error is about the prompt as a whole (unreadable, no outputs, unknown
// target) or the context; a node that fails is in Result.Errors. With the
// context's error comes the result so far.
func Run(ctx context.Context, prompt []byte, opt Options) (*Result, error) {
	g, err := decodeGraph(prompt)
	if err != nil {
		return nil, err
	}
	targets, err := outputs(g, opt.Targets)
	if err != nil {
		return nil, err
	}
	if opt.MaxPixels <= 0 {
		opt.MaxPixels = defaultPixels
	}
	e := &env{graph: g, opt: opt, limit: opt.MaxPixels, prompt: prompt, done: map[string]*outcome{}}
	e.count(targets)
	for _, id := range targets {
		if ctx.Err() != nil {
			break
		}
		// A target that another one needed has run by now: execute finds its
		// outcome.
		e.execute(ctx, id, 0)
	}
	return &e.result, ctx.Err()
}

// outputs lists the nodes to run for: the targets, or else all output nodes. A
// class that is not known at all counts as an output when nothing uses it, so
// that it is named as not runnable.
func outputs(g *graph, targets []string) ([]string, error) {
	for _, id := range targets {
		if g.nodes[id] == nil {
			return nil, fmt.Errorf("the prompt has no node %q to run for", id)
		}
	}
	if len(targets) > 0 {
		return targets, nil
	}
	used := map[string]bool{}
	// Which nodes somebody is linked to. A link to a node that is not there
	// counts too; it fails when it is followed.
	for _, n := range g.nodes {
		for _, in := range n.inputs {
			if in.link != nil {
				used[in.link.node] = true
			}
		}
	}
	var out []string
	for _, id := range g.ids {
		c, known := classOf(g.nodes[id].class)
		if c.output || outputOnly[g.nodes[id].class] || !known && !used[id] {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the prompt has no outputs")
	}
	return out, nil
}
