// Package vram estimates how much GPU memory a graph needs, from what is known of its model files, and says why.
//
// ComfyUI works in phases: text encoders, sampling, decoding, upscaling by a model. Before each it makes room by moving models that are not needed
// to main memory, so the need of a graph is that of its largest phase and not the sum. A phase needs its weights, as they are loaded (files of 32
// bits in 16, a weight_dtype of fp8 halves those of 16 bits), and room to compute, which grows with the latent's area and batch. ComfyUI runs
// with less than that by keeping a part of the weights in main memory and moving them at every step; it is much slower then.
//
// All figures are in GB of 2^30 bytes, as GPUs are sold. [Estimate] keeps nothing, starts no goroutines and reads graphs only; it may be called
// from anywhere. Limits: models are known by the name of their file, custom nodes and video decoders are not known, and at most 4096 values are
// looked at for each input.
package vram

import (
	"fmt"
	"slices"

	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
)

// Options say what a graph does not hold. The zero value takes it as it is.
type Options struct {
	// Values lists the values that an input takes over a sweep, by the indexes of node and input; the largest counts. Nil, or no values, means
	// the one in the graph.
	Values func(node, input int) []*source.Value
	// Aliases are the names that an endpoint has for the model files of the graph. A file that is not known by one name may be by the other.
	Aliases map[string]string
}

// Result is what a graph needs.
type Result struct {
	// LowGB and HighGB bound the need with all weights of a phase on the GPU; 0 if no model is loaded.
	LowGB, HighGB float64
	// FloorGB is what remains if weights are kept in main memory and moved as they are needed.
	FloorGB float64
	// Known tells that every model of the graph is known; else the figures count what is known, and Reasons say what is not.
	Known   bool
	Reasons []string // a line each
}

// Fit says whether a graph fits on a GPU.
type Fit uint8

// The answers of [Result.Fit].
const (
	Unknown  Fit = iota // nothing is known of a model, or of the GPU
	Fits                // even the high estimate does
	Tight               // the low estimate fits, the high one does not
	Streamed            // not with all weights on the GPU: a part stays in main memory, and it is much slower
	TooSmall            // not at all
)

// Fit compares the need with a GPU's memory in GB, 0 for a GPU of which nothing is known.
func (r Result) Fit(gb float64) Fit {
	switch {
	case gb <= 0:
		return Unknown
	case r.FloorGB > gb: // what is known is too much already
		return TooSmall
	case !r.Known:
		return Unknown
	case r.HighGB <= gb:
		return Fits
	case r.LowGB <= gb:
		return Tight
	}
	return Streamed
}

// need is what a phase takes, in bytes.
type need struct{ low, high, floor float64 }

func (n need) add(m need) need { return need{n.low + m.low, n.high + m.high, n.floor + m.floor} }

func (n need) max(m need) need {
	return need{max(n.low, m.low), max(n.high, m.high), max(n.floor, m.floor)}
}

const gib = 1 << 30

// What every phase takes beside its models: the CUDA context and what ComfyUI leaves free (400 MiB), with some fragmentation at the high end.
var overhead = need{0.5 * gib, 1.2 * gib, 0.5 * gib}

// Estimate says what a graph needs. It looks at the nodes that run, and never fails: what it does not know is said in the result.
func Estimate(g *graph.Graph, opt Options) Result {
	e := &estimator{g: g, opt: opt, known: true, consumers: map[int]bool{}}
	for _, i := range g.Order {
		e.inspect(i)
	}
	var peak need
	for _, p := range e.phases {
		peak = peak.max(p.need)
	}
	r := Result{Known: e.known}
	if len(e.phases) == 0 && e.known {
		r.Reasons = []string{"no model is loaded on the GPU"}
		return r
	}
	r.LowGB, r.HighGB, r.FloorGB = peak.low/gib, peak.high/gib, peak.floor/gib
	for _, p := range e.phases {
		line := fmt.Sprintf("%s: %s to %s GB: %s", p.name, tenths(p.low), tenths(p.high), p.why)
		if !slices.Contains(r.Reasons, line) {
			r.Reasons = append(r.Reasons, line)
		}
	}
	if len(e.phases) > 1 {
		r.Reasons = append(r.Reasons, "the largest phase counts: before each, ComfyUI moves the other models to main memory")
	}
	for _, line := range e.unknown {
		if !slices.Contains(r.Reasons, line) {
			r.Reasons = append(r.Reasons, line)
		}
	}
	return r
}

// phase is one stretch of a run in which the same models are needed.
type phase struct {
	name, why string
	need
}

// estimator collects the phases of a graph.
type estimator struct {
	g         *graph.Graph
	opt       Options
	phases    []phase
	known     bool
	unknown   []string
	consumers map[int]bool // loaders whose text encoders were counted
}

// doubt adds something that is not known; without it the estimate is too low.
func (e *estimator) doubt(format string, args ...any) {
	e.known = false
	e.unknown = append(e.unknown, "not known: "+fmt.Sprintf(format, args...))
}

// tenths prints bytes as GB with one decimal.
func tenths(bytes float64) string { return fmt.Sprintf("%.1f", bytes/gib) }
