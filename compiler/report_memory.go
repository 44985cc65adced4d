package compiler

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/vram"
)

// Memory says whether the largest render of a plan fits on an endpoint's GPU. All figures are GB of 2^30 bytes.
type Memory struct {
	GPU  float64 // what the GPU has, 0 if it is not known
	Need vram.Result
	Fit  vram.Fit
}

// memoryOn holds a need against an endpoint. It is nil where nothing is loaded, and for previews, which
// have no GPU.
func memoryOn(e *EndpointConfig, need vram.Result) *Memory {
	if e.Type == previewName || need.Known && need.HighGB == 0 {
		return nil
	}
	return &Memory{GPU: e.VRAM, Need: need, Fit: need.Fit(e.VRAM)}
}

// TooSmall tells whether the largest render cannot run there at all.
func (m *Memory) TooSmall() bool { return m != nil && m.Fit == vram.TooSmall }

// Verdict is one line, with whole GB: the estimate is not better than that.
func (m *Memory) Verdict() string {
	has := fmt.Sprintf("%g GB", m.GPU)
	needs := fmt.Sprintf("needs about %.0f to %.0f GB", m.Need.LowGB, m.Need.HighGB)
	if fmt.Sprintf("%.0f", m.Need.LowGB) == fmt.Sprintf("%.0f", m.Need.HighGB) {
		needs = fmt.Sprintf("needs about %.0f GB", m.Need.HighGB)
	}
	switch m.Fit {
	case vram.Fits:
		return "fits in " + has + ": " + needs
	case vram.Tight:
		return "hardly fits in " + has + ": " + needs + "; a part of the weights may stay in main memory, which is slower"
	case vram.Streamed:
		return "does not fit in " + has + ": " + needs + "; a part of the weights stays in main memory, which is much slower"
	case vram.TooSmall:
		return fmt.Sprintf("does not fit in %s: needs at least %.0f GB even with its weights in main memory", has, m.Need.FloorGB)
	}
	if m.Need.Known {
		return needs
	}
	return fmt.Sprintf("needs at least %.0f GB, as far as it is known", m.Need.FloorGB)
}

func (m *Memory) text(b *strings.Builder) {
	if m == nil {
		return
	}
	word := "memory"
	if m.Fit == vram.TooSmall {
		word = "cannot"
	}
	fmt.Fprintf(b, "  %s: %s\n", word, m.Verdict())
	for _, reason := range m.Need.Reasons {
		fmt.Fprintf(b, "    %s\n", reason)
	}
}

func (m *Memory) toValue() *source.Value {
	o := &object{}
	o.put("known", source.NewBool(m.Need.Known))
	if m.GPU > 0 {
		o.put("gpu_gb", source.NewFloat(m.GPU))
		o.text("fit", [...]string{"unknown", "fits", "tight", "streamed", "too_small"}[m.Fit])
	}
	o.interval("need_gb", Range{tenth(m.Need.LowGB), tenth(m.Need.HighGB)})
	o.put("floor_gb", source.NewFloat(tenth(m.Need.FloorGB)))
	o.text("verdict", m.Verdict())
	o.texts("reasons", m.Need.Reasons)
	return o.value()
}

// tenth rounds to one decimal.
func tenth(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }

// maxListed bounds the values of an input that inputValues lists; package vram looks at no more.
const maxListed = 4096

// memoryNeed is what the largest render needs, whatever its form, on an endpoint that has its own names
// for some models; of several forms the one that needs most, with its own reasons.
func (p *Plan) memoryNeed(aliases map[string]string) vram.Result {
	most := vram.Estimate(p.forms[0].graph, vram.Options{Values: p.forms[0].inputValues, Aliases: aliases})
	for _, f := range p.forms[1:] {
		need := vram.Estimate(f.graph, vram.Options{Values: f.inputValues, Aliases: aliases})
		floor, low, known := max(need.FloorGB, most.FloorGB), max(need.LowGB, most.LowGB), need.Known && most.Known
		if need.HighGB > most.HighGB {
			most = need
		}
		most.FloorGB, most.LowGB, most.Known = floor, low, known // every form has to run
	}
	return most
}

// inputValues lists the values that a plan gives an input, nil if it leaves it as it is. Of an axis that is too long to be kept, and of texts that
// are put together, it gives what stands in the graph.
func (f *form) inputValues(node, input int) (out []*source.Value) {
	s := f.values.find(node, input)
	if s == nil {
		return nil
	}
	s.each(func(v *source.Value) {
		if len(out) < maxListed {
			out = append(out, v)
		}
	})
	if s.values == nil && s.axis >= 0 && s.part == whole && len(s.swaps) == 0 {
		axis := &f.values.axes[s.axis]
		for i := range min(axis.Len(), maxListed) {
			out = append(out, axis.Value(i).Value)
		}
	}
	return out
}
